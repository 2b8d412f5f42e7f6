"""Collect what the nano language model is measured on: texts and recordings it never trained on.

    python recipes/nano/evaluate/lm_heldout.py --data .data -o .data/lm-heldout
    uniaudio tts @.data/lm-heldout/texts -o out/lm-tts
    audio-eval score tts --refs .data/lm-heldout/tts.jsonl --hyps out/lm-tts -o out/lm-tts-score \
        --judges .judges --metrics wer,cer,sim,dnsmos --baselines ground_truth
    uniaudio asr .data/lm-heldout/asr -o out/lm-asr
    audio-eval score asr --refs .data/lm-heldout/asr.jsonl --hyps out/lm-asr -o out/lm-asr-score

What is chosen is chosen on the validation split, so that the test sentences choose nothing:
`texts-valid` and `tts-valid.jsonl` are 24 sentences for the guidance (`uniaudio tts --cfg`),
`asr-valid` and `asr-valid.jsonl` recordings for recognition: the bulk voice's and, where
`prepare kokoro --start 4000` has spoken them, neural voices'.

Speech: 100 sentences of documents held out from training, which the bulk voice's synthesiser says
as ground truth. Recognition: the bulk voice on such sentences, trained neural voices on texts that
they did not train with, neural voices held out whole, held-out prompts of a trained real voice, and
real voices held out whole. Every n-th item of each, in the order of the manifest.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

SENTENCES, CHOOSING = 100, 24
VALIDATION = (
    ("bulk", "hibari", "valid", "en", 60),
    ("voices", "kokoro-4000", "valid", "en", 60),
)
# what it is called, corpus, split, language, at most
RECOGNITION = (
    ("bulk", "hibari", "test", "en", 100),
    ("trained-voices", "kokoro", "valid", "en", 60),
    ("unseen-voices", "kokoro", "test", "en", 60),
    ("trained-real-voice", "asterisk-en", "valid", "en", 60),
    ("librivox", "pocketsphinx", "test", "en", 60),
    ("librispeech", "librispeech", "test", "en", 60),
)


def chosen(manifest: Path, split: str, language: str, most: int) -> list[dict[str, Any]]:
    """Every n-th item of a split of 1 to 15 seconds, `most` in all."""
    rows = map(json.loads, manifest.read_text(encoding="utf-8").splitlines())
    rows = [
        row for row in rows
        if row["split"] == split and row["language"] == language and 1 <= row["seconds"] <= 15
    ]  # fmt: skip
    return [rows[i * len(rows) // most] for i in range(most)] if len(rows) > most else rows


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=Path(".data"))
    parser.add_argument("-o", "--output", type=Path, default=Path(".data/lm-heldout"))
    options = parser.parse_args()
    out = options.output
    for folder in ("texts", "texts-valid", "asr", "asr-valid", "truth"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    hibari = options.data / "hibari" / "manifest.jsonl"
    voice = chosen(hibari, "train", "en", 1)[0]
    shutil.copyfile(hibari.parent / voice["audio"], out / "voice.flac")
    sets: dict[str, list[dict[str, Any]]] = {"tts": [], "tts-valid": [], "asr": [], "asr-valid": []}
    for name, split, most in (("", "test", SENTENCES), ("-valid", "valid", CHOOSING)):
        for row in chosen(hibari, split, "en", most):
            text = out / f"texts{name}" / f"{row['id']}.txt"
            text.write_text(row["text"] + "\n", encoding="utf-8")
            truth = Path("truth") / f"{row['id']}.flac"
            if split == "test":
                shutil.copyfile(hibari.parent / row["audio"], out / truth)
            item = {"id": row["id"], "task": "tts", "language": "en", "text": row["text"]}
            given = {"reference": truth.as_posix(), "source": "voice.flac"}
            sets[f"tts{name}"].append({**item, **(given if split == "test" else {})})
    wanted = [("asr", *source) for source in RECOGNITION]
    wanted += [("asr-valid", *source) for source in VALIDATION]
    for name, mode, corpus, split, language, most in wanted:
        manifest = options.data / corpus / "manifest.jsonl"
        if name == "asr-valid" and not manifest.exists():
            continue
        for row in chosen(manifest, split, language, most):
            audio = Path(name) / f"{row['id']}{Path(row['audio']).suffix}"
            shutil.copyfile(manifest.parent / row["audio"], out / audio)
            sets[name].append({
                "id": row["id"], "task": "asr", "mode": mode, "language": row["language"],
                "text": row["text"], "audio": audio.as_posix(),
            })  # fmt: skip
    for name, rows in sets.items():
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (out / f"{name}.jsonl").write_text(lines, encoding="utf-8")
        print(f"{len(rows)} items: {out / f'{name}.jsonl'}")


if __name__ == "__main__":
    main()
