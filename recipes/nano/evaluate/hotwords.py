"""Do hotwords help with rare words, and do they stay out of recordings that lack them?

    python recipes/nano/evaluate/hotwords.py -o out/hotwords
    for hints in none said others; do
        audio-eval score context_asr --refs out/hotwords/items.jsonl --hyps out/hotwords/$hints \
            -o out/hotwords-$hints
    done

Items are held-out sentences of the bulk voice with a word that the training texts hold at most
`RARE` times. Each is heard without hints, with its rare words among four others (`said`), and with
five others only (`others`); the others are rare words of other items. Every command above gives the
share of rare words missed (`ne_fnr`) and the word error rate; the leaks are counted here.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mingtok_audio import load_audio
from uniaudio_lm import UniAudio
from uniaudio_lm.training.batches import rare_words

RARE, ITEMS, OTHERS = 3, 100, 4


def with_rare_words(
    rows: list[dict[str, Any]], split: str
) -> list[tuple[dict[str, Any], list[str]]]:
    """Every n-th item of a split that has some, and its rare words."""
    seen = Counter(
        w.lower() for row in rows if row["split"] == "train" for w in rare_words(row["text"])
    )
    found = []
    for row in rows:
        if row["split"] == split and 1 <= row["seconds"] <= 12:
            words = [w for w in rare_words(row["text"]) if seen[w.lower()] <= RARE]
            if words:
                found.append((row, words))
    return [found[i * len(found) // ITEMS] for i in range(ITEMS)] if len(found) > ITEMS else found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--manifest", type=Path, default=Path(".data/hibari/manifest.jsonl"))
    parser.add_argument("--model", default="nano")
    parser.add_argument("--split", default="test", help="valid, to choose the boost with")
    parser.add_argument("--boost", type=float, help="in the place of the model's hotword_boost")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    rows = [json.loads(line) for line in options.manifest.read_text("utf-8").splitlines()]
    items = with_rare_words(rows, options.split)
    everything = sorted({word for _, words in items for word in words})
    model = UniAudio.from_pretrained(options.model)
    if options.boost is not None:
        found = replace(model.config.recognition, hotword_boost=options.boost)
        model.model.config = replace(model.config, recognition=found)
    rng = np.random.default_rng(0)
    for name in ("none", "said", "others"):
        (options.output / name).mkdir(parents=True, exist_ok=True)
    lines, leaked, given = [], 0, 0
    for row, words in items:
        wav, rate = load_audio(options.manifest.parent / row["audio"])
        known = row["text"].lower()
        others = [w for w in rng.permutation(everything).tolist() if w.lower() not in known]
        said = rng.permutation([*words, *others[:OTHERS]]).tolist()
        hints = {"none": [], "said": said, "others": others[: OTHERS + 1]}
        for name, hotwords in hints.items():
            text = model.transcribe(wav, rate, language="en", hotwords=hotwords).text
            (options.output / name / f"{row['id']}.txt").write_text(text + "\n", encoding="utf-8")
            if name == "others":
                heard = text.lower()
                leaked += sum(w.lower() in heard for w in hotwords)
                given += len(hotwords)
        item = {"id": row["id"], "task": "context_asr", "language": "en", "text": row["text"]}
        lines.append(json.dumps({**item, "entities": words}, ensure_ascii=False) + "\n")
    (options.output / "items.jsonl").write_text("".join(lines), encoding="utf-8")
    print(
        f"{len(items)} items; hints that leaked into recordings without them: {leaked} of {given}"
    )


if __name__ == "__main__":
    main()
