"""Windows of 30 s for training: clips end to end, changed at random, as the nano's latents.

    python windows.py MANIFEST_FOLDER NOISE_FOLDER TEXTS.json OUTPUT --shards 0 60 \\
        [--whisper FOLDER] [--real 0.5] [--windows 50]

A shard K is `latK.npy` (windows, 1500, 96), `usedK.npy` (frames until the last clip ends) and
`clipsK.json` ([window, first frame, last frame, text or null, source, id] a clip). With
`--whisper` (tiny.en in CTranslate2's form) it has Whisper's encoder output `tgtK.npy` and, for the
stage `stem`, its log-mel `melK.npy` (`--mel`). Sources: real speech of the manifest's split `train`
without the fluent test readers, hibari and flite at random pitch and pace, and sounds without
speech. A fifth of the noises is kept for evaluation. The same arguments give the same shards.
"""

from __future__ import annotations

import argparse
import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile as sf
import soxr
import torch
from numpy.typing import NDArray
from recipes.nano.data.speak_flite import VOICES, Flite
from recipes.nano.data.synthesis import Job
from scipy.signal import butter, fftconvolve, sosfilt
from whisper import HOP, SAMPLE_RATE, WINDOW, encoder_from_whisper, log_mel

from mingtok_audio import MingTok

Wav = NDArray[np.float32]
HELD_OUT = ("dc_tts", "coqui-ai/TTS", "espnet-tts", "speechbot")
LONGEST = 28.0
_LIMITED = {"wake-word": 480.0, "Precise": 240.0}  # seconds of single words
_SAMPLES = WINDOW * HOP


@dataclass(frozen=True)
class Clip:
    """A sound and what it says; `text` None is not known, "" is nothing."""

    wav: Wav
    text: str | None
    source: str
    id: str = ""


def read(path: Path) -> Wav:
    samples, rate = sf.read(path, dtype="float32", always_2d=True)
    return soxr.resample(samples.mean(1), rate, SAMPLE_RATE).astype(np.float32)


def repeated(wav: Wav, length: int, rng: np.random.Generator) -> Wav:
    turned = np.roll(wav, -int(rng.integers(len(wav))))
    return np.tile(turned, -(-length // len(wav)))[:length]


def as_written(text: str) -> str:
    """Corpora in capitals as a sentence."""
    said = text.strip()
    if not said.isupper():
        return said
    said = re.sub(r"\bi\b", "I", said.lower())
    return said[0].upper() + said[1:] + ("" if said[-1] in ".?!" else ".")


class Sounds:
    """Noises and room responses, without the fifth that is kept for evaluation.

    `room` and `band` are the shares of the clips that get a room, or a telephone's band.
    """

    room, band = 0.12, 0.06

    def __init__(self, folder: Path) -> None:
        self.noises: list[Wav] = []
        self.rooms: list[Wav] = []
        for line in (folder / "manifest.jsonl").open():
            row = json.loads(line)
            if zlib.crc32(row["id"].encode()) % 5 == 0:
                continue
            try:
                wav = read(folder / row["audio"])
            except (OSError, sf.LibsndfileError) as error:
                print(f"{row['audio']} is left out: {error}")
                continue
            if row["kind"] == "rir":
                wav = wav[int(np.abs(wav).argmax()) :][:SAMPLE_RATE]
            if len(wav) > 800:
                (self.rooms if row["kind"] == "rir" else self.noises).append(wav)

    def changed(self, wav: Wav, rng: np.random.Generator, pitch: float) -> Wav:
        """Another pitch and pace, tilt, room, band, level and noise, each with its probability."""
        if rng.random() < pitch:
            rate = SAMPLE_RATE * float(np.exp(rng.uniform(-0.12, 0.12)))
            wav = np.asarray(soxr.resample(wav, rate, SAMPLE_RATE))
        if rng.random() < 0.25:
            wav = wav - np.float32(rng.uniform(-0.5, 0.5)) * np.concatenate([[0], wav[:-1]])
        power = float((wav**2).mean())
        if rng.random() < self.room and self.rooms:
            room = self.rooms[int(rng.integers(len(self.rooms)))]
            wav = fftconvolve(wav, room)[: len(wav) + SAMPLE_RATE // 10]
            wav = wav * np.sqrt(power / (float((wav**2).mean()) + 1e-12))
        if rng.random() < self.band:
            band = butter(4, [300, 3400], "band", fs=SAMPLE_RATE, output="sos")
            wav = np.asarray(sosfilt(band, wav))
        if rng.random() < 0.6:
            low, high = (-1.3, -0.05) if rng.random() < 0.8 else (-2.0, -1.3)
            wav = wav / (np.abs(wav).max() + 1e-6) * 10 ** rng.uniform(low, high)
        if rng.random() < 0.35:
            if rng.random() < 0.65 and self.noises:
                noise = self.noises[int(rng.integers(len(self.noises)))]
                noise = repeated(noise, len(wav), rng)
            else:
                noise = rng.standard_normal(len(wav))
                for _ in range(int(rng.integers(0, 3))):
                    noise = noise + np.concatenate([[0], noise[:-1]])
            ratio = float((wav**2).mean()) / (float((noise**2).mean()) + 1e-12)
            wav = wav + noise * np.sqrt(ratio) * 10 ** (-rng.uniform(5, 35) / 20)
        return np.clip(wav, -1, 1).astype(np.float32)

    def nothing(self, rng: np.random.Generator) -> Clip:
        """1 to 8 s without speech: noise, hiss, tones or silence."""
        length = int(rng.uniform(1, 8) * SAMPLE_RATE)
        kind = rng.random()
        if kind < 0.6 and self.noises:
            noise = self.noises[int(rng.integers(len(self.noises)))]
            wav = repeated(noise, length, rng) * rng.uniform(0.05, 1)
        elif kind < 0.8:
            wav = rng.standard_normal(length) * 10 ** rng.uniform(-4, -1)
        elif kind < 0.9:
            time = np.arange(length) / SAMPLE_RATE
            wav = np.zeros(length)
            for _ in range(int(rng.integers(1, 4))):
                tone = np.sin(2 * np.pi * rng.uniform(80, 2000) * time)
                wav = wav + rng.uniform(0.02, 0.2) * tone
        else:
            wav = np.zeros(length)
        return Clip(np.clip(wav, -1, 1).astype(np.float32), "", "none")


class Speech:
    """Endless clips of each kind."""

    def __init__(self, folder: Path, sounds: Sounds, texts: Path, packages: Path) -> None:
        from hibari import Hibari

        self.folder, self.sounds = folder, sounds
        self.rows = [
            row
            for row in map(json.loads, (folder / "manifest.jsonl").open())
            if row["split"] == "train"
            and row["language"] == "en"
            and row["seconds"] < LONGEST
            and not any(name in row["source"] for name in HELD_OUT)
        ]
        self.texts = json.loads(texts.read_text())
        self.hibari, self.flite = Hibari(), Flite(packages)

    def real(self, rng: np.random.Generator) -> Iterator[Clip]:
        """The recordings of the manifest, over and over in another order."""
        left, rows = dict(_LIMITED), []
        for number in rng.permutation(len(self.rows)):
            row = self.rows[number]
            name = next((name for name in left if name in row["source"]), None)
            if name is not None:
                if left[name] < 0:
                    continue
                left[name] -= row["seconds"]
            rows.append(row)
        while True:
            for number in rng.permutation(len(rows)):
                row = rows[number]
                wav = self.sounds.changed(read(self.folder / row["audio"]), rng, 0.4)
                text = as_written(row["text"]) if row["text"] else None
                yield Clip(wav, text, row["source"], row["id"])

    def sayings(self, rng: np.random.Generator) -> Iterator[str]:
        """One sentence or several, up to 34 words."""
        names = list(self.texts)
        sizes = np.array([len(self.texts[name]) ** 0.5 for name in names])
        while True:
            name = names[int(rng.choice(len(names), p=sizes / sizes.sum()))]
            goal, said = int(rng.choice([2, 5, 8, 12, 16, 22])), ""
            while len(said.split()) < goal:
                more = self.texts[name][int(rng.integers(len(self.texts[name])))].strip()
                if len((said + " " + more).split()) > 34:
                    break
                between = "" if not said else " " if said[-1] in ".!?" else ". "
                said = said + between + more[0].upper() + more[1:]
            said = said.strip(" ,;:")
            if said and not re.search(r"[\d%\"()]", said):
                yield said + ("" if said[-1] in ".!?" else ".")

    def synthetic(self, rng: np.random.Generator, voice: str) -> Iterator[Clip]:
        """hibari or flite at random pitch and pace."""
        for text in self.sayings(rng):
            pitch = float(np.exp(rng.uniform(np.log(0.75), np.log(1.2))))
            if voice == "hibari":
                pace = float(np.exp(rng.uniform(np.log(0.8), np.log(1.3))))
                wav, rate = self.hibari(text, speed=pace / pitch), 24_000
            else:
                name = f"flite-{VOICES[int(rng.integers(len(VOICES)))]}"
                job = Job("", text, "en", name, "", "", "train", "")
                spoken = self.flite.speak(job)
                wav, rate = spoken.wav, spoken.sample_rate
            wav = soxr.resample(np.asarray(wav, np.float32), rate * pitch, SAMPLE_RATE)
            yield Clip(self.sounds.changed(wav, rng, 0.0), text, voice)

    def clips(self, rng: np.random.Generator, real: float) -> Iterator[Clip]:
        """All kinds, each with its share of the seconds."""
        shares = {"real": real, "hibari": 0.87 - real, "flite": 0.08, "none": 0.05}
        taken = dict.fromkeys(shares, 0.0)
        recordings = self.real(rng)
        voices = {name: self.synthetic(rng, name) for name in ("hibari", "flite")}
        while True:
            total = sum(taken.values()) + 1
            kind = max(shares, key=lambda name: shares[name] - taken[name] / total)
            if kind == "real":
                clip = next(recordings)
            elif kind == "none":
                clip = self.sounds.nothing(rng)
            else:
                clip = next(voices[kind])
            taken[kind] += len(clip.wav) / SAMPLE_RATE
            yield clip


def window(clips: Iterator[Clip], rng: np.random.Generator) -> tuple[Wav, int, list[list]]:
    """30 s of clips with pauses: samples, frames until the last one ends, and the clips."""
    wav = np.zeros(_SAMPLES, np.float32)
    at, found = int(rng.uniform(0, 0.5) * SAMPLE_RATE), []
    while at < _SAMPLES - SAMPLE_RATE:
        clip = next(clips)
        end = at + len(clip.wav)
        if end > _SAMPLES - SAMPLE_RATE // 2:
            if found:
                break
            continue
        wav[at:end] = clip.wav
        found.append([at / HOP, end / HOP, clip.text, clip.source, clip.id])
        at = end + int(rng.uniform(0.1, 0.8) * SAMPLE_RATE)
    if rng.random() < 0.5:
        wav = wav + (rng.standard_normal(_SAMPLES) * 10 ** rng.uniform(-5, -3)).astype(np.float32)
    if rng.random() < 0.04:
        wav = wav + np.float32(rng.uniform(-0.05, 0.05))
    used = min(WINDOW, int(found[-1][1]) + 1)
    return np.clip(wav, -1, 1).astype(np.float32), used, found


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recordings", type=Path, help="folder with manifest.jsonl")
    parser.add_argument("noise", type=Path, help="folder with manifest.jsonl")
    parser.add_argument("texts", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--shards", type=int, nargs=2, default=(0, 60), metavar=("FIRST", "END"))
    parser.add_argument("--windows", type=int, default=50, help="of a shard")
    parser.add_argument("--real", type=float, default=0.5, help="share of real speech")
    parser.add_argument("--room", type=float, default=Sounds.room, help="share in a room")
    parser.add_argument("--band", type=float, default=Sounds.band, help="share by telephone")
    parser.add_argument("--whisper", type=Path)
    parser.add_argument("--mel", action="store_true")
    parser.add_argument("--packages", type=Path, default=Path(".data/packages"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    given.output.mkdir(parents=True, exist_ok=True)
    sounds = Sounds(given.noise)
    sounds.room, sounds.band = given.room, given.band
    speech = Speech(given.recordings, sounds, given.texts, given.packages)
    codec = MingTok.from_pretrained("nano").eval()
    encoder = encoder_from_whisper(given.whisper) if given.whisper else None
    for shard in range(*given.shards):
        rng = np.random.default_rng(1000 + shard)
        clips = speech.clips(rng, given.real)
        parts: dict[str, list] = {name: [] for name in ("lat", "used", "tgt", "mel")}
        table = []
        for number in range(given.windows):
            wav, used, found = window(clips, rng)
            table += [[number, *clip] for clip in found]
            with torch.autocast("cpu", torch.bfloat16):
                parts["lat"].append(codec.encode(wav, SAMPLE_RATE).values[0].float().numpy())
            parts["used"].append(used)
            if encoder is not None:
                mel = log_mel(torch.from_numpy(wav))
                parts["tgt"].append(encoder(mel[None])[0].numpy())
                if given.mel:
                    parts["mel"].append(mel.numpy())
        for name, values in parts.items():
            if values:
                kind = np.int32 if name == "used" else np.float16
                np.save(given.output / f"{name}{shard}.npy", np.asarray(values, kind))
        # Last: a shard is there once its table is.
        temporary = given.output / "clips.tmp"
        temporary.write_text(json.dumps(table))
        temporary.replace(given.output / f"clips{shard}.json")
        print(f"shard {shard}: {len(table)} clips", flush=True)


if __name__ == "__main__":
    main()
