"""Make a corpus whose truth is known, to test `mingtok curate` on.

    python recipes/curation/corpus.py SPEECH.jsonl NOISE.jsonl -o DIR --seed 0

SPEECH.jsonl is a manifest of clean single-speaker recordings: `id`, `audio` (relative to it),
`speaker`, `language`, `seconds`, and where it is known `text` and `split`. NOISE.jsonl has `audio`
and `kind` ("noise"). The same inputs and seed give the same bytes.

DIR gets `audio/*.wav` (16 kHz, 16 bits), `manifest.jsonl` (the input of `mingtok curate`, with the
texts that an owner would give, right and wrong ones) and `truth.json`:

- `files`: a list of `{"name", "kind", "seconds", "events", ...}`.
- an event: `start`, `end` (seconds), `what` ("speech", "music", "noise", "silence"). Speech has
  `speech` (spans in which the voice sounds, without pauses of 0.3 s and more), `speaker`,
  `language`, `text` and `condition` ("clean", "snr20", "snr10", "snr0", "clipped", "music",
  "telephone").
- `text_right`: of files that come with a text. `copy_of`: of copies.
- `ladders`: groups of files that hold one utterance from the best to the worst sound.

Where the voice sounds is measured on the clean recording alone: 20 ms frames within 30 dB of its
loudest. Recordings whose pauses are not 38 dB below their speech are not used.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator

from mingtok_audio.core.audio import load_audio, resample, save_audio
from mingtok_audio.core.errors import UserError
from mingtok_audio.core.files import atomic_write_text

RATE, FRAME = 16000, 320
SPEECH_DB, FLOOR_DB = 30.0, 38.0
PAUSE = 0.3  # seconds without voice that end a span
ROOM_DB = -70.0  # of the noise floor of every file
LEVEL_DB = -24.0  # of speech
_SHORTEST = 3.4  # seconds of what must become a segment of its own
_IN_DIALOGUE = 6  # recordings that a speaker of a long file has at least
LADDER = ("clean", "snr20", "snr10", "snr0")
Event = dict[str, Any]


@dataclass(frozen=True)
class Utterance:
    """A clean recording, cut to its voice: samples (T,) at 16 kHz, spans in seconds."""

    wav: np.ndarray
    spans: tuple[tuple[float, float], ...]
    row: dict[str, Any]

    @property
    def speaker(self) -> str:
        """A name that no other corpus has."""
        return speaker_name(self.row)


def speaker_name(row: dict[str, Any]) -> str:
    """The corpus and the speaker in it; a prefix says only who has redistributed the recording."""
    return f"{row.get('corpus')}/{row['speaker'].split(':')[-1]}"


def read_utterance(row: dict[str, Any], folder: Path) -> Utterance | None:
    """A recording at one level; None where it is not clean enough to say where its voice is."""
    try:
        wav, rate = load_audio(folder / row["audio"])
    except UserError:
        return None
    wav = resample(wav, rate, RATE)
    wav = wav - wav.mean()
    level = frame_db(wav)
    if len(level) < 25 or np.percentile(level, 95) - np.percentile(level, 3) < FLOOR_DB:
        return None
    spans = voiced(level)
    if not spans:
        return None
    first, last = spans[0][0], spans[-1][1]
    cut = wav[round(first * RATE) : round(last * RATE)]
    active = level[level > level.max() - SPEECH_DB]
    gain = LEVEL_DB - 10 * np.log10(np.mean(10 ** (active / 10)))
    made = (cut * 10 ** (gain / 20)).astype(np.float32)
    peak = float(np.abs(made).max())
    if peak > 0.9:
        made *= np.float32(0.9 / peak)
    fade = min(80, len(made) // 2)
    ramp = np.linspace(0, 1, fade, dtype=np.float32)
    made[:fade] *= ramp
    made[-fade:] *= ramp[::-1]
    return Utterance(made, tuple((a - first, b - first) for a, b in spans), row)


def frame_db(wav: np.ndarray) -> np.ndarray:
    """Level (F,) of frames of 20 ms in dBFS."""
    frames = wav[: len(wav) // FRAME * FRAME].reshape(-1, FRAME).astype(np.float64)
    return 10 * np.log10(np.square(frames).mean(axis=1) + 1e-12)


def voiced(level: np.ndarray) -> list[tuple[float, float]]:
    """Spans in seconds of frames that hold voice, joined over pauses shorter than `PAUSE`."""
    active = np.flatnonzero(level > level.max() - SPEECH_DB)
    step = FRAME / RATE
    spans: list[list[float]] = []
    for frame in active:
        start = float(frame * step)
        if spans and start - spans[-1][1] < PAUSE:
            spans[-1][1] = start + step
        else:
            spans.append([start, start + step])
    return [(a, b) for a, b in spans if b - a >= 0.1]


class Canvas:
    """A file in the making: pieces one after the other, and what they are.

    Args:
        rng: of the noise floor.
    """

    def __init__(self, rng: Generator) -> None:
        self.rng = rng
        self.pieces: list[np.ndarray] = []
        self.events: list[Event] = []
        self._at = 0

    @property
    def seconds(self) -> float:
        """Length so far."""
        return self._at / RATE

    def add(self, wav: np.ndarray, what: str, **about: Any) -> None:
        """Append samples (T,) as an event; spans under `speech` are moved to their place."""
        start = self._at / RATE
        self.pieces.append(wav.astype(np.float32))
        self._at += len(wav)
        if "speech" in about:
            about["speech"] = [
                [round(a + start, 3), round(b + start, 3)] for a, b in about["speech"]
            ]
        self.events.append(
            {"start": round(start, 3), "end": round(self._at / RATE, 3), "what": what, **about}
        )

    def pause(self, seconds: float) -> None:
        """Append nothing but the noise floor."""
        self.add(np.zeros(round(seconds * RATE), np.float32), "silence")

    def say(self, said: Utterance, condition: str, background: np.ndarray | None = None) -> None:
        """Append an utterance in a condition."""
        row = said.row
        self.add(
            worsened(said.wav, condition, background), "speech", speech=said.spans,
            speaker=said.speaker, language=row["language"], text=row.get("text"),
            condition=condition, recording=row["id"],
        )  # fmt: skip

    def wav(self) -> np.ndarray:
        """All samples (T,), over a noise floor."""
        wav = np.concatenate(self.pieces)
        floor = self.rng.normal(0, 10 ** (ROOM_DB / 20), len(wav))
        return np.clip(wav + floor, -1, 1).astype(np.float32)


def worsened(wav: np.ndarray, condition: str, background: np.ndarray | None) -> np.ndarray:
    """Speech (T,) under a condition; `background` is noise or music."""
    if condition.startswith("snr") or condition == "music":
        assert background is not None
        under = np.resize(background, len(wav))
        snr = 5.0 if condition == "music" else float(condition.removeprefix("snr"))
        return wav + under * np.float32(rms(wav) / max(rms(under), 1e-9) * 10 ** (-snr / 20))
    if condition == "clipped":
        limit = np.float32(0.2 * np.abs(wav).max())
        return np.clip(wav, -limit, limit)
    if condition == "telephone":
        return resample(resample(wav, RATE, 8000), 8000, RATE)[: len(wav)]
    return wav


def rms(wav: np.ndarray) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(np.square(wav, dtype=np.float64))))


def music(rng: Generator, seconds: float) -> np.ndarray:
    """Chords of harmonic tones with a beat (T,), at the level of speech: nobody sings."""
    scale = 220.0 * 2.0 ** (np.array([0, 2, 4, 5, 7, 9, 11, 12]) / 12)
    beat = rng.uniform(0.3, 0.6)
    out = np.zeros(round(seconds * RATE) + RATE, np.float64)
    for start in np.arange(0, seconds, beat):
        root = int(rng.integers(0, 5))
        length = round(2.5 * beat * RATE)
        time = np.arange(length) / RATE
        decay = np.exp(-time / beat)
        for degree in (root, root + 2, root + 4 if root + 4 < 8 else root):
            for harmonic in range(1, 6):
                tone = np.sin(2 * np.pi * scale[degree] * harmonic * time + rng.uniform(0, 6))
                first = round(start * RATE)
                part = (decay * tone / harmonic**1.5)[: len(out) - first]
                out[first : first + len(part)] += part
    out = out[: round(seconds * RATE)]
    return (out * 10 ** (LEVEL_DB / 20) / rms(out)).astype(np.float32)


class Builder:
    """Draws recordings and writes files with their truth.

    Args:
        voices: utterances by speaker.
        noises: backgrounds (T,).
    """

    def __init__(
        self, output: Path, voices: dict[str, list[Utterance]], noises: list[np.ndarray], seed: int
    ) -> None:
        self.output = output
        self.voices = voices
        self.noises = noises
        self.steady = sorted(noises, key=lambda wav: float(frame_db(wav).std()))[:10]
        self.rng = np.random.default_rng(seed)
        self.files: list[dict[str, Any]] = []
        self.rows: list[dict[str, Any]] = []
        self.ladders: list[list[str]] = []
        self._used: dict[str, int] = defaultdict(int)
        (output / "audio").mkdir(parents=True, exist_ok=True)

    def speakers(
        self, language: str | None, count: int, text: bool = False, least: int = 1
    ) -> list[str]:
        """Speakers with at least so many unused recordings, in an order by chance that favours
        those with many."""
        fitting = [
            name
            for name, said in sorted(self.voices.items())
            if (language is None or said[0].row["language"] == language)
            and len(said) - self._used[name] >= least
            and (not text or said[self._used[name]].row.get("text"))
        ]
        if len(fitting) < count:
            raise SystemExit(f"too few speakers of {language or 'any language'} are left")
        weights = np.array([len(self.voices[n]) - self._used[n] for n in fitting], float)
        picked = self.rng.choice(len(fitting), count, replace=False, p=weights / weights.sum())
        return [fitting[i] for i in picked]

    def next(self, speaker: str) -> Utterance | None:
        """An utterance that nothing else has; None where the speaker has no more."""
        said = self.voices[speaker]
        place = self._used[speaker]
        if place >= len(said):
            return None
        self._used[speaker] += 1
        return said[place]

    def noise(self) -> np.ndarray:
        """A background (T,)."""
        return self.noises[int(self.rng.integers(len(self.noises)))]

    def write(self, name: str, kind: str, canvas: Canvas, **about: Any) -> None:
        """A file, its row and its truth."""
        row = {k: about.pop(k) for k in ("text", "language") if about.get(k)}
        wav = canvas.wav()
        save_audio(self.output / "audio" / f"{name}.wav", wav, RATE)
        licence = {"licence": "test", "origin": "recipes/curation/corpus.py"}
        self.rows.append({"audio": f"audio/{name}.wav", **row, **licence})
        seconds = round(len(wav) / RATE, 3)
        self.files.append(
            {"name": name, "kind": kind, "seconds": seconds, "events": canvas.events, **about}
        )

    # -- kinds of files -------------------------------------------------------------------------

    def dialogue(self, name: str, speakers: Sequence[str], seconds: float) -> None:
        """Two speakers in turns, with pauses, silences and music between them."""
        canvas = Canvas(self.rng)
        rng = self.rng
        turn = silent = 0
        canvas.pause(rng.uniform(0.5, 2))
        while canvas.seconds < seconds and silent < len(speakers):
            speaker = speakers[turn % len(speakers)]
            silent += 1
            for _ in range(int(rng.integers(1, 4))):
                said = self.next(speaker)
                if said is None:
                    break
                silent = 0
                condition = str(
                    rng.choice(["clean", "snr20", "snr10", "music"], p=[0.7, 0.1, 0.1, 0.1])
                )
                under = music(rng, 10.0) if condition == "music" else self.noise()
                canvas.say(said, condition, under)
                canvas.pause(rng.uniform(0.35, 1.0))
            turn += 1
            chance = rng.random()
            if chance < 0.12:
                canvas.add(music(rng, rng.uniform(5, 10)), "music")
                canvas.pause(rng.uniform(0.5, 1.0))
            elif chance < 0.24:
                canvas.pause(rng.uniform(4, 8))
            elif chance < 0.32:
                sound = np.resize(self.noise(), round(rng.uniform(3, 5) * RATE))
                canvas.add(sound * (10 ** (-30 / 20) / max(rms(sound), 1e-9)), "noise")
                canvas.pause(rng.uniform(0.5, 1.0))
            else:
                canvas.pause(rng.uniform(0.3, 1.5))
        self.write(name, "dialogue", canvas, speakers=sorted(set(speakers)))

    def single(
        self,
        name: str,
        said: Utterance,
        condition: str,
        background: np.ndarray | None = None,
        **about: Any,
    ) -> None:
        """One utterance between two pauses; a background by chance where none is given."""
        canvas = Canvas(self.rng)
        by_chance = self.noise()
        under = by_chance if background is None else background
        if condition.startswith("snr"):  # noise goes on where nobody speaks
            margin = RATE // 2
            spans = tuple((a + margin / RATE, b + margin / RATE) for a, b in said.spans)
            said = Utterance(np.pad(said.wav, margin), spans, said.row)
            canvas.say(said, condition, under)
        else:
            canvas.pause(0.5)
            canvas.say(said, condition, under)
            canvas.pause(0.5)
        self.write(name, about.pop("kind", "single"), canvas, **about)

    def texts(self, count: int) -> None:
        """Utterances with a text: half of them with one that is not theirs or has a wrong word."""
        made: list[Utterance] = []
        while len(made) < count:
            (speaker,) = self.speakers("en", 1, text=True)
            said = self.next(speaker)
            if said is None or len(said.wav) < _SHORTEST * RATE:
                continue
            if len(str(said.row.get("text") or "").split()) > 3:
                made.append(said)
        for i, said in enumerate(made):
            text, wrong = str(said.row["text"]), None
            if i % 4 == 1:
                text, wrong = str(made[(i + 2) % count].row["text"]), "another"
            elif i % 4 == 3:
                words = text.split()
                half = len(words) // 2
                text, wrong = " ".join(words[:half]), "cut"
            self.single(
                f"text-{i:03d}", said, "clean", kind="text", text=text, wrong=wrong,
                text_right=wrong is None,
            )  # fmt: skip

    def ladder(self, name: str) -> None:
        """One utterance in more and more of one steady noise, clipped, and through a telephone."""
        said = self._long("en")
        background = self.steady[len(self.ladders) % len(self.steady)]
        names = []
        for condition in (*LADDER, "clipped", "telephone"):
            self.single(f"{name}-{condition}", said, condition, background, kind="ladder")
            if condition in LADDER:
                names.append(f"{name}-{condition}")
        self.ladders.append(names)

    def copies(self, name: str) -> None:
        """An utterance, a copy that is quieter and begins elsewhere, a copy that went through a
        telephone, and the same speaker with another sentence."""
        said = self._long("en")
        self.single(f"{name}-a", said, "clean", kind="copy")
        canvas = Canvas(self.rng)
        canvas.pause(1.3)
        quieter = Utterance(said.wav * np.float32(0.4), said.spans, said.row)
        canvas.say(quieter, "clean")
        canvas.pause(0.2)
        self.write(f"{name}-b", "copy", canvas, copy_of=f"{name}-a")
        self.single(f"{name}-c", said, "telephone", kind="copy", copy_of=f"{name}-a")
        other = self.next(said.speaker) or self._long("en")
        self.single(f"{name}-d", other, "clean", kind="copy")

    def _long(self, language: str) -> Utterance:
        while True:
            (speaker,) = self.speakers(language, 1)
            said = self.next(speaker)
            if said is not None and len(said.wav) > _SHORTEST * RATE:
                return said

    def nothing(self) -> None:
        """Files in which nobody speaks."""
        for i, what in enumerate(("silence", "music", "noise")):
            canvas = Canvas(self.rng)
            if what == "silence":
                canvas.pause(20.0)
            elif what == "music":
                canvas.add(music(self.rng, 20.0), "music")
            else:
                canvas.add(np.resize(self.noise(), 20 * RATE), "noise")
            self.write(f"nothing-{i}-{what}", what, canvas)


def load_voices(
    manifest: Path, splits: Sequence[str], languages: Sequence[str], most: int, seed: int
) -> dict[str, list[Utterance]]:
    """Clean utterances by speaker, of up to `most` speakers a language."""
    rows = [json.loads(line) for line in manifest.read_text("utf-8").splitlines() if line.strip()]
    rng = np.random.default_rng(seed)
    by_speaker: dict[str, dict[str, list[dict[str, Any]]]] = {name: {} for name in languages}
    for row in sorted(rows, key=lambda r: r["id"]):
        # The second language may have one split only.
        wanted = row.get("split") in splits or row["language"] != languages[0]
        fits = wanted and row["language"] in by_speaker and 1.5 <= row["seconds"] <= 14
        if row.get("speaker") and fits:
            by_speaker[row["language"]].setdefault(speaker_name(row), []).append(row)
    found: dict[str, list[Utterance]] = {}
    for speakers in by_speaker.values():
        names = sorted(speakers, key=lambda n: (-len(speakers[n]), n))[: 3 * most]
        for name in [names[i] for i in rng.permutation(len(names))[:most]]:
            chosen = [speakers[name][i] for i in rng.permutation(len(speakers[name]))[:40]]
            said = [u for row in chosen if (u := read_utterance(row, manifest.parent)) is not None]
            if said:
                found[name] = said
    return found


def load_noises(manifest: Path, count: int, seed: int) -> list[np.ndarray]:
    """Backgrounds (T,), at 16 kHz."""
    rows = [json.loads(line) for line in manifest.read_text("utf-8").splitlines() if line.strip()]
    fitting = sorted((r for r in rows if r["kind"] == "noise"), key=lambda r: r["id"])
    order = np.random.default_rng(seed).permutation(len(fitting))
    found = []
    for i in order:
        wav, rate = load_audio(manifest.parent / fitting[i]["audio"])
        if rms(wav) > 1e-3:
            found.append(resample(wav, rate, RATE))
        if len(found) == count:
            break
    return found


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("speech", type=Path)
    parser.add_argument("noise", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dialogues", type=int, default=6, help="long files, two speakers each")
    parser.add_argument("--seconds", type=float, default=240.0, help="of a long file")
    parser.add_argument("--texts", type=int, default=40, help="short files with a text")
    parser.add_argument("--ladders", type=int, default=6)
    parser.add_argument("--copies", type=int, default=6)
    parser.add_argument("--languages", nargs="+", default=["en", "zh", "es", "ar"])
    parser.add_argument("--splits", nargs="+", default=["valid", "test"])
    options = parser.parse_args()
    voices = load_voices(options.speech, options.splits, options.languages, 40, options.seed)
    builder = Builder(
        options.output, voices, load_noises(options.noise, 40, options.seed), options.seed
    )
    first, *others = options.languages
    for i in range(options.dialogues):
        # Every second long file has a second language, with a speaker of its own.
        if i % 2 and others:
            other = others[i // 2 % len(others)]
            pair = [
                *builder.speakers(first, 1, least=_IN_DIALOGUE),
                *builder.speakers(other, 1, least=_IN_DIALOGUE),
            ]
        else:
            pair = builder.speakers(first, 2, least=_IN_DIALOGUE)
        builder.dialogue(f"dialogue-{i}", pair, options.seconds)
    builder.texts(options.texts)
    for i in range(options.ladders):
        builder.ladder(f"ladder-{i}")
    for i in range(options.copies):
        builder.copies(f"copy-{i}")
    builder.nothing()
    truth = {"seed": options.seed, "files": builder.files, "ladders": builder.ladders}
    atomic_write_text(
        options.output / "truth.json", json.dumps(truth, ensure_ascii=False, indent=1)
    )
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in builder.rows)
    atomic_write_text(options.output / "manifest.jsonl", lines)
    seconds = sum(file["seconds"] for file in builder.files)
    print(f"{len(builder.files)} files, {seconds / 60:.1f} minutes in {options.output}")


if __name__ == "__main__":
    main()
