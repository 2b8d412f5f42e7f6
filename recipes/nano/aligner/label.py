"""Phoneme times of real recordings with texts, by pocketsphinx, for the training of the aligner.

    python label.py MANIFEST_FOLDER OUTPUT.jsonl [--labels LABELS.json] [--split train]

Each row of OUTPUT is a row of the manifest with `phonemes` and `durations` as
`uniaudio_lm.training.aligner.references` reads them, and an absolute `audio`. Rows without a text
take it from LABELS (`recipes/nano/reader/label.py`). Left out is a recording whose text has a word
that pocketsphinx's dictionary lacks, or that it cannot align. The acoustic model and the dictionary
come with the package (BSD-2-Clause).
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

import numpy as np
import soundfile as sf
import soxr
from pocketsphinx import Decoder

RATE, FRAMES = 16_000, 100  # pocketsphinx counts frames of 10 ms
# The one-letter symbols of manifests (misaki's) for pocketsphinx's phones.
_PAIRS = """
    AA:ɑ AE:æ AH:ʌ AO:ɔ AW:W AY:I B:b CH:ʧ D:d DH:ð EH:ɛ ER:ɜ EY:A F:f G:ɡ HH:h IH:ɪ IY:i JH:ʤ
    K:k L:l M:m N:n NG:ŋ OW:O OY:Y P:p R:ɹ S:s SH:ʃ T:t TH:θ UH:ʊ UW:u V:v W:w Y:j Z:z ZH:ʒ
"""
SYMBOLS: dict[str, str] = {pair.split(":")[0]: pair.split(":")[1] for pair in _PAIRS.split()}
Timed = list[tuple[str, list[tuple[str, int, int]]]]  # words: phones with first frame and length


def words_of(text: str) -> list[str]:
    """A text as the dictionary writes words; none where it has numbers or other letters."""
    if re.search(r"[^\x00-\x2f:-@A-Z\[-~’]", text):
        return []
    found = re.findall(r"[a-z']+", text.lower().replace("’", "'"))
    return [word for word in (w.strip("'") for w in found) if word]


class Labeller:
    """Finds phonemes; one decoder for all recordings."""

    def __init__(self) -> None:
        self.decoder = Decoder(lm=None, loglevel="FATAL", beam=1e-80, pbeam=1e-80, wbeam=1e-60)

    def align(self, wav: np.ndarray, words: list[str]) -> Timed | None:
        """Words with their phones; None where they cannot be aligned."""
        if not words or any(self.decoder.lookup_word(word) is None for word in words):
            return None
        raw = (np.clip(wav, -1, 1) * 32767).astype("<i2").tobytes()
        try:
            self.decoder.set_align_text(" ".join(words))
            self._hear(raw)
            self.decoder.set_alignment()
            self._hear(raw)
            found = [
                (word.name, [(phone.name, phone.start, phone.duration) for phone in word])
                for word in self.decoder.get_alignment()
            ]
        except RuntimeError:
            return None
        said = [name.split("(")[0] for name, _ in found if not name.startswith(("<", "["))]
        return found if said == words else None

    def _hear(self, raw: bytes) -> None:
        self.decoder.start_utt()
        self.decoder.process_raw(raw, full_utt=True)
        self.decoder.end_utt()


def columns(timed: Timed, seconds: float) -> tuple[list[str], list[float]]:
    """`phonemes` and `durations` of aligned words."""
    phonemes, durations, at, inside = list[str](), list[float](), 0, False
    for _, phones in timed:
        spoken = all(name in SYMBOLS for name, _, _ in phones)
        if inside and spoken:
            phonemes.append(" ")
            durations.append(0.0)
        for name, _, length in phones:
            phonemes.append(SYMBOLS.get(name, "_"))
            durations.append(length / FRAMES)
            at += length
        inside = spoken
    phonemes.append("_")
    durations.append(round(max(0.0, seconds - at / FRAMES), 3))
    return phonemes, durations


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recordings", type=Path, help="folder with manifest.jsonl")
    parser.add_argument("output", type=Path)
    parser.add_argument("--labels", type=Path)
    parser.add_argument("--split", default="train")
    parser.add_argument("--longest", type=float, default=20.0, help="seconds")
    given = parser.parse_args()
    labels = json.loads(given.labels.read_text()) if given.labels else {}
    labeller, kept, tried = Labeller(), 0, 0
    temporary = given.output.with_suffix(".tmp")
    with temporary.open("w", encoding="utf-8") as file:
        for line in (given.recordings / "manifest.jsonl").open(encoding="utf-8"):
            row = json.loads(line)
            text = row["text"] or labels.get(row["id"])
            if row["split"] != given.split or row["language"] != "en" or not text:
                continue
            if row["seconds"] > given.longest:
                continue
            tried += 1
            path = (given.recordings / row["audio"]).resolve()
            samples, rate = sf.read(path, dtype="float32", always_2d=True)
            wav = soxr.resample(samples.mean(1), rate, RATE).astype(np.float32)
            timed = labeller.align(wav, words_of(text))
            if timed is None:
                continue
            kept += 1
            phonemes, durations = columns(timed, len(wav) / RATE)
            row |= {
                "audio": str(path),
                "text": " ".join(words_of(text)),
                "seconds": len(wav) / RATE,
            }
            file.write(json.dumps({**row, "phonemes": phonemes, "durations": durations}) + "\n")
            if kept % 200 == 0:
                print(f"{kept} of {tried}", flush=True)
    temporary.replace(given.output)
    print(f"{kept} of {tried} aligned", flush=True)


if __name__ == "__main__":
    main()
