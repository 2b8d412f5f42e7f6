"""Word error rates of a recogniser on recordings of speakers that it was not trained on.

    python evaluate.py RECOGNIZER MANIFEST_FOLDER [--sets FL L2 LS ...] [--limit N]

RECOGNIZER is what `uniaudio asr --recognizer` takes: model, lm, a component's folder,
whisper:FOLDER. Sets:

- `FL` two fluent readers (dc_tts, LJ), 60 clips; `L2` non-native adults, 90 clips; `LS` clips of
  LibriSpeech speakers, against Whisper base's text where tiny.en agrees (needs `--reference`).
- `CLEAN` 30 clips of FL and 30 of L2, as they are; `QUIET` -30 dB with direct current, `PHONE` 300
  to 3400 Hz at 8 kHz, `MP3` 64 kbit/s, `NOISE` 10 dB, `ROOM` (both need `--noise`): the same.
- `JOIN10`, `JOIN30`, `JOIN60`, `JOIN120`: the clips of FL joined into that many seconds.
- `NONE` 100 clips without speech: how many have text.
- `HOT` rare words (six letters or more, in one text of FL and L2 alone): the share that is missed
  without hints, and with them among four words of other texts; hints of other texts that appear.
- a manifest (`.jsonl`): its clips of the split `test`.

Each line is JSON: WER in %, its 95 % interval by bootstrap over clips, CPU seconds a second.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile as sf
import soxr
import torch
from whisper_normalizer.english import EnglishTextNormalizer

from uniaudio_lm import UniAudio

RATE = 16_000
_MP3_64K = 0.62  # libsndfile counts down from 160 kbit/s at this rate
_NORMALIZE = EnglishTextNormalizer()
Clip = tuple[np.ndarray, str]


def words(text: str) -> list[str]:
    """Words as Whisper's published normaliser writes them."""
    return _NORMALIZE(text).split()


def errors(reference: list[str], found: list[str]) -> int:
    """Substitutions, deletions and insertions."""
    row = list(range(len(found) + 1))
    for i, a in enumerate(reference, 1):
        before, row[0] = row[0], i
        for j, b in enumerate(found, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (a != b))
    return row[-1]


class Recordings:
    """The rows of a manifest, and what is made of them."""

    def __init__(self, folder: Path, noise: Path | None, reference: Path | None) -> None:
        self.folder, self.noise_folder = folder, noise
        self.rows = [json.loads(line) for line in (folder / "manifest.jsonl").open()]
        self.reference = json.loads(reference.read_text()) if reference else {}

    def wav(self, row: dict) -> np.ndarray:
        samples, rate = sf.read(self.folder / row["audio"], dtype="float32", always_2d=True)
        return soxr.resample(samples.mean(1), rate, RATE).astype(np.float32)

    def fluent(self) -> list[dict]:
        man = [r for r in self.rows if "dc_tts" in r["source"] and r["text"]]
        sources = ("coqui-ai/TTS", "espnet-tts", "speechbot")
        other = [r for r in self.rows if r["text"] and any(s in r["source"] for s in sources)]
        for part in (man, other):
            random.Random(5).shuffle(part)
        return man[:30] + other[:30]

    def second(self) -> list[dict]:
        found = [
            r
            for r in self.rows
            if r["split"] == "test"
            and r["language"] == "en"
            and r["text"]
            and "alpha" not in r["source"]
            and "dc_tts" not in r["source"]
            and (r.get("age") or 99) >= 16
        ]
        random.Random(5).shuffle(found)
        return found[:90]

    def libri(self) -> list[dict]:
        found = [
            r for r in self.rows if "Resemblyzer" in r["source"] and r["split"] in ("valid", "test")
        ]
        return [{**r, "text": self.reference[r["id"]]} for r in found if r["id"] in self.reference]

    def clips(self, name: str) -> Iterator[Clip]:
        if name in ("FL", "L2", "LS"):
            rows = {"FL": self.fluent, "L2": self.second, "LS": self.libri}[name]()
            yield from ((self.wav(r), r["text"]) for r in rows)
        elif name.endswith(".jsonl"):
            for row in map(json.loads, Path(name).read_text("utf-8").splitlines()):
                if row.get("split") == "test" and row.get("text"):
                    samples, rate = sf.read(Path(name).parent / row["audio"], dtype="float32")
                    yield soxr.resample(samples, rate, RATE), row["text"]
        elif name.startswith("JOIN"):
            yield from self._joined(float(name[4:]))
        elif name == "NONE":
            yield from ((wav, "") for wav in self._silent(100))
        else:
            changed = getattr(self, f"_{name.lower()}")
            rows = self.fluent()[::2] + self.second()[::3]
            for i, row in enumerate(rows):
                yield changed(self.wav(row), np.random.default_rng(i)), row["text"]

    def _joined(self, seconds: float) -> Iterator[Clip]:
        parts: list[np.ndarray] = []
        texts: list[str] = []
        for row in self.fluent() * (1 if seconds < 100 else 2):
            parts += [self.wav(row), np.zeros(RATE // 3, np.float32)]
            texts.append(row["text"])
            if sum(map(len, parts)) >= seconds * RATE:
                yield np.concatenate(parts), " ".join(texts)
                parts, texts = [], []

    def _silent(self, count: int) -> Iterator[np.ndarray]:
        rng = np.random.default_rng(7)
        noises = list(self._sounds("noise"))
        for i in range(count):
            length = int(rng.uniform(1, 12) * RATE)
            t = np.arange(length) / RATE
            match i % 5:
                case 0:
                    wav = rng.standard_normal(length) * 10 ** rng.uniform(-5, -1)
                case 1:
                    wav = np.sin(2 * np.pi * rng.uniform(80, 3000) * t) * rng.uniform(0.01, 0.5)
                case 2:
                    chord = 220 * 2 ** (rng.integers(0, 24, size=(8, 3)) / 12)
                    beat = (t * 2).astype(int) % 8
                    wav = sum(np.sin(2 * np.pi * chord[beat, k] * t) for k in range(3))
                    wav = wav * np.exp(-2 * (t * 2 % 1)) * 0.2
                case 3:
                    wav = np.zeros(length)
                case _:
                    sound = noises[int(rng.integers(len(noises)))]
                    wav = np.tile(sound, -(-length // len(sound)))[:length] * rng.uniform(0.1, 1)
            yield np.clip(wav, -1, 1).astype(np.float32)

    def _sounds(self, kind: str) -> Iterator[np.ndarray]:
        if self.noise_folder is None:
            raise SystemExit("this set needs --noise FOLDER (with a manifest.jsonl)")
        for line in (self.noise_folder / "manifest.jsonl").open():
            row = json.loads(line)
            # A fifth of the sounds is not in the training windows.
            if row["kind"] != kind or zlib.crc32(row["id"].encode()) % 5:
                continue
            samples, rate = sf.read(
                self.noise_folder / row["audio"], dtype="float32", always_2d=True
            )
            wav = soxr.resample(samples.mean(1), rate, RATE).astype(np.float32)
            if len(wav) > 800 and np.abs(wav).max() > 0:
                yield wav

    def _clean(self, wav: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return wav

    def _quiet(self, wav: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return wav * np.float32(10 ** (-30 / 20)) + np.float32(0.02)

    def _phone(self, wav: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        from scipy.signal import butter, sosfilt

        band = sosfilt(butter(4, [300, 3400], "band", fs=RATE, output="sos"), wav)
        return soxr.resample(soxr.resample(band, RATE, 8000), 8000, RATE).astype(np.float32)

    def _mp3(self, wav: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        coded = io.BytesIO()
        sf.write(
            coded, wav, RATE, format="MP3", bitrate_mode="CONSTANT", compression_level=_MP3_64K
        )
        coded.seek(0)
        return sf.read(coded, dtype="float32")[0]

    def _noise(self, wav: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        sounds = list(self._sounds("noise"))
        sound = sounds[int(rng.integers(len(sounds)))]
        sound = np.tile(sound, -(-len(wav) // len(sound)))[: len(wav)]
        gain = np.sqrt((wav**2).mean() / (sound**2).mean() / 10)
        return (wav + gain * sound).astype(np.float32)

    def _room(self, wav: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        from scipy.signal import fftconvolve

        rooms = list(self._sounds("rir"))
        room = rooms[int(rng.integers(len(rooms)))]
        return fftconvolve(wav, room[np.abs(room).argmax() :])[: len(wav)].astype(np.float32)


def hints(model: UniAudio, clips: list[Clip], beams: int | None) -> dict:
    """How much hotwords help, and how many of other texts appear: a line of the report."""
    texts = [words(text) for _, text in clips]
    counts = Counter(word for text in texts for word in set(text))
    rare = [
        [w for w in text if len(w) >= 6 and w.isalpha() and counts[w] == 1][:2] for text in texts
    ]
    every = [word for found in rare for word in found]
    random_ = random.Random(3)
    asked, missed, helped, leaked, offered = 0, 0, 0, 0, 0
    before, after, total = 0, 0, 0
    for (wav, _), text, mine in zip(clips, texts, rare, strict=True):
        if not mine:
            continue
        others = random_.sample([w for w in every if w not in text], 4)
        plain = words(model.transcribe(wav, RATE, beams=beams).text)
        hinted = words(model.transcribe(wav, RATE, None, (*mine, *others), beams=beams).text)
        asked += len(mine)
        missed += sum(w not in plain for w in mine)
        helped += sum(w not in hinted for w in mine)
        offered += len(others)
        leaked += sum(w in hinted and w not in plain for w in others)
        before, after = before + errors(text, plain), after + errors(text, hinted)
        total += len(text)
    return {
        "set": "HOT",
        "rare_words": asked,
        "missed": round(100 * missed / asked, 1),
        "missed_with_hints": round(100 * helped / asked, 1),
        "hints_of_others": offered,
        "leaked": leaked,
        "wer": round(100 * before / total, 1),
        "wer_with_hints": round(100 * after / total, 1),
    }


def score(model: UniAudio, name: str, clips: list[Clip], beams: int | None, show: int) -> dict:
    """One line of the report."""
    counts, seconds, began = [], 0.0, time.process_time()
    for i, (wav, text) in enumerate(clips):
        found = model.transcribe(wav, RATE, beams=beams).text
        seconds += len(wav) / RATE
        wanted = words(text)
        counts.append((errors(wanted, words(found)), len(wanted)))
        if i < show:
            print(f"    {text} | {found}", flush=True)
    cost = round((time.process_time() - began) / seconds, 3)
    if name == "NONE":
        loud = sum(n > 0 for n, _ in counts)
        return {"set": name, "clips": len(counts), "with_text": loud, "cost": cost}
    table = np.array(counts)
    drawn = np.random.default_rng(0).integers(0, len(table), (2000, len(table)))
    rates = table[drawn, 0].sum(1) / table[drawn, 1].sum(1) * 100
    low, high = np.percentile(rates, [2.5, 97.5]).round(1)
    wer = round(table[:, 0].sum() / table[:, 1].sum() * 100, 1)
    return {"set": name, "clips": len(table), "wer": wer, "low": low, "high": high, "cost": cost}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recognizer")
    parser.add_argument("recordings", type=Path, help="folder with manifest.jsonl")
    parser.add_argument("--model", default="nano")
    parser.add_argument("--sets", nargs="+", default=["FL", "L2"])
    parser.add_argument("--noise", type=Path)
    parser.add_argument("--reference", type=Path, help="JSON {clip id: text}, for LS")
    parser.add_argument("--limit", type=int, default=1000, help="clips of a set, at most")
    parser.add_argument("--beams", type=int)
    parser.add_argument("--show", type=int, default=0, help="texts to print of each set")
    given = parser.parse_args()
    torch.set_num_threads(1)
    recordings = Recordings(given.recordings, given.noise, given.reference)
    model = UniAudio.from_pretrained(given.model).use_recognizer(given.recognizer)
    for name in given.sets:
        if name == "HOT":
            clips = [*recordings.clips("FL"), *recordings.clips("L2")][: given.limit]
            line = hints(model, clips, given.beams)
            print(json.dumps({"recognizer": given.recognizer, **line}), flush=True)
            continue
        clips = list(recordings.clips(name))
        chosen = clips[:: max(1, len(clips) // given.limit)] if given.limit < len(clips) else clips
        line = score(model, name, chosen, given.beams, given.show)
        print(json.dumps({"recognizer": given.recognizer, **line}), flush=True)


if __name__ == "__main__":
    main()
