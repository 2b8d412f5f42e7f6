"""Checks the corpora: `python -m recipes.nano.data.check --out .data`.

Every manifest is valid, every recording is there with the length it claims, and the test side is
clean: no held-out voice trains, and no English or Chinese test text shares six words in a row
with a training text of any corpus.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from pathlib import Path

from .common import SAMPLE_RATE, Item, ManifestError, read_manifest
from .sentences import shared_ngrams


def split_faults(items: list[Item]) -> list[str]:
    """What is wrong with the splits of all corpora together; empty if nothing is.

    A speaker that only tests is held out. A speaker of both sides is allowed (a bulk voice that
    is also tested on unseen sentences), but its test texts must be unseen.
    """
    faults = []
    for language in sorted({item.language for item in items}):
        texts = {
            split: [i.text for i in items if i.split == split and i.language == language]
            for split in ("train", "test")
        }
        shared = shared_ngrams(texts["train"], texts["test"])
        faults += [f"{language}: train and test share '{' '.join(run)}'" for run in sorted(shared)]
    return faults


def audio_faults(corpus: Path, items: list[Item]) -> list[str]:
    """Recordings that are missing, unreadable, or not what the manifest says."""
    import soundfile

    faults = []
    for item in items:
        path = corpus / item.audio
        try:
            about = soundfile.info(path)
        except (OSError, soundfile.LibsndfileError) as error:
            faults.append(f"{item.id}: {error}")
            continue
        if about.samplerate != SAMPLE_RATE or about.channels != 1:
            faults.append(f"{item.id}: {about.samplerate} Hz, {about.channels} channels")
        elif abs(about.frames / SAMPLE_RATE - item.seconds) > 0.001:
            faults.append(f"{item.id}: {about.duration} s, the manifest says {item.seconds}")
    return faults


def summary(items: list[Item]) -> dict[str, object]:
    """Minutes by split, speakers, languages and licences of one corpus."""
    minutes: dict[str, float] = defaultdict(float)
    for item in items:
        minutes[item.split] += item.seconds / 60
    return {
        "items": len(items),
        "minutes": {split: round(value, 1) for split, value in sorted(minutes.items())},
        "speakers": len({item.speaker for item in items}),
        "languages": sorted({item.language for item in items}),
        "licences": sorted({item.licence for item in items}),
    }


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="check", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(".data"), help="where the corpora are")
    out = parser.parse_args(arguments).out
    manifests = sorted(out.glob("*/manifest.jsonl"))
    if not manifests:
        print(f"{out}: no corpus here; run prepare first", file=sys.stderr)
        return 2
    everything: list[Item] = []
    faults: list[str] = []
    for manifest in manifests:
        try:
            items = read_manifest(manifest)
        except ManifestError as error:
            faults.append(f"{manifest.parent.name}: {error}")
            continue
        faults += audio_faults(manifest.parent, items)
        everything += items
        print(json.dumps({"corpus": manifest.parent.name, **summary(items)}, ensure_ascii=False))
    faults += split_faults(everything)
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
