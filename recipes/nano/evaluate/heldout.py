"""Collect the recordings that the shipped weights are measured on: speakers never trained on.

    python recipes/nano/evaluate/heldout.py --data .data -o .data/heldout
    mingtok reconstruct .data/heldout/wavs -o out/heldout
    audio-eval score reconstruction --refs .data/heldout/manifest.jsonl --hyps out/heldout \
        -o out/heldout-score

Real speakers: Italian prompts (a language held out whole), LibriVox, LibriSpeech, and short phrases
of many languages; and the held-out neural voices. The choice is every n-th clip of a source in the
order of its manifest: nothing is picked by how it sounds. `--all` takes every clip that is long
enough: word error rates of twenty short phrases say little.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

# source: (clips, shortest in seconds)
CLIPS = {
    "asterisk-it": (40, 2.0),
    "pocketsphinx": (10, 1.0),
    "librispeech": (1, 1.0),
    "stamps": (20, 1.5),
    "kokoro": (20, 1.5),
}


def choose(manifest: Path, clips: int | None, shortest: float) -> list[dict]:
    """Every n-th line of the test split that is long enough; all of them without `clips`."""
    rows = [json.loads(line) for line in manifest.read_text(encoding="utf-8").splitlines()]
    rows = [r for r in rows if r["split"] == "test" and shortest <= r["seconds"] <= 15]
    step = max(1, len(rows) // clips) if clips else 1
    return rows[::step][:clips]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=Path(".data"))
    parser.add_argument("-o", "--output", type=Path, default=Path(".data/heldout"))
    parser.add_argument("--all", action="store_true", help="every clip of every source")
    options = parser.parse_args()
    (options.output / "wavs").mkdir(parents=True, exist_ok=True)
    lines = []
    for source, (clips, shortest) in CLIPS.items():
        folder = options.data / source
        for row in choose(folder / "manifest.jsonl", None if options.all else clips, shortest):
            name = f"{source}-{Path(row['audio']).stem}"
            target = Path("wavs") / f"{name}{Path(row['audio']).suffix}"
            shutil.copyfile(folder / row["audio"], options.output / target)
            kept = {k: row[k] for k in ("text", "language", "speaker", "licence", "seconds")}
            entry = {"id": name, "audio": target.as_posix(), "task": "reconstruction", **kept}
            entry["mode"] = source
            lines.append(json.dumps(entry, ensure_ascii=False))
    (options.output / "manifest.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{len(lines)} clips: {options.output / 'manifest.jsonl'}")


if __name__ == "__main__":
    main()
