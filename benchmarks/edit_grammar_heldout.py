"""How many generated instructions the grammar parser turns into exactly the recorded edit.

    audio-eval build .data/hibari/manifest.jsonl -o SET --preset paper-full --scale 0.3 \\
        --language en --seed 78
    python benchmarks/edit_grammar_heldout.py SET/meta

The edited text that a set records was verified there by a second, independent path. An
instruction counts as "same" (the parser's edited text is it, but for case and punctuation),
"refused" (an error in words) or "wrong" (another edit, which would have been applied).
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path

from audio_eval.scoring.manifest import read_manifest
from uniaudio_edit.errors import AmbiguousInstructionError, InstructionError
from uniaudio_edit.grammar.engine import GrammarParser


def plain(text: str) -> str:
    """Letters and digits only, in lower case."""
    return "".join(c for c in text.casefold() if c.isalnum())


def outcome(parser: GrammarParser, item: object) -> tuple[str, str]:
    """What became of one item, and what the parser made or said."""
    try:
        plan = parser.parse(item.instruction, item.original_text, language=item.language)  # type: ignore[attr-defined]
    except (InstructionError, AmbiguousInstructionError) as error:
        return "refused", str(error)
    same = plain(plan.edited_text) == plain(item.text)  # type: ignore[attr-defined]
    return ("same" if same else "wrong"), plan.edited_text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("meta", type=Path, nargs="+", help="meta folders of built sets")
    parser.add_argument("--show", action="store_true", help="print what was not the same")
    options = parser.parse_args()
    grammar = GrammarParser()
    counts: dict[str, Counter[str]] = {}
    for folder in options.meta:
        for file in sorted(folder.rglob("*.csv")):
            for item in read_manifest(file):
                kind, said = outcome(grammar, item)
                counts.setdefault(str(item.language), Counter())[kind] += 1
                if options.show and kind != "same":
                    print(f"{kind}: {item.instruction} | {item.original_text} | {said}")
    rows = {
        language: {"items": sum(c.values()), **{k: c[k] for k in ("same", "refused", "wrong")}}
        for language, c in sorted(counts.items())
    }
    print(json.dumps({"benchmark": "edit_grammar_heldout", "languages": rows}))


if __name__ == "__main__":
    main()
