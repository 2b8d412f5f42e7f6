"""Bulk speech of one English neural voice with exact phoneme times (hibari-tts, Apache-2.0).

The voice is a hundred times faster than real time on one thread. Its acoustic graph computes a
duration for each phoneme in units of 600 samples at 24 kHz; the node that holds it is made an
output of the graph here, so the times are the ones that were spoken, not an alignment. The
sounds come two units (50 ms) before the times of the graph, throughout a sentence (correlating
the spectrum with the symbols' classes shows it: -48 ms for sibilants); this is taken off the
first pause and added to the last. A stress mark has a time of its own, which is spent on the
vowel after it.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from .common import stable_fraction
from .packages import PackageError
from .sentences import Sentence, load
from .synthesis import CannotSpeakError, Job, Spoken, synthesise

CORPUS = "hibari"
KNOWN_VERSION = "0.2.1"
DURATION_NODE = "/Cast_32_output_0"
SAMPLES_PER_UNIT = 600
LEAD_UNITS = 2
PAD = "_"
MAX_PHONEMES = 400
# Seconds of speech; the shares of the splits come out of the order of the sentences.
DEFAULT_HOURS = 4.0


class TimedVoice:
    """The hibari voice, whose durations can be read; one onnxruntime thread."""

    def __init__(self) -> None:
        import onnx
        import onnxruntime
        from hibari import Hibari

        found = version("hibari-tts")
        if found != KNOWN_VERSION:
            raise PackageError(
                f"hibari-tts {found}: the graph's duration node is known for {KNOWN_VERSION} only"
            )
        self.voice = Hibari(threads=1)
        graph = onnx.load(self.voice.model_path)
        graph.graph.output.append(
            onnx.helper.make_tensor_value_info(DURATION_NODE, onnx.TensorProto.INT64, None)
        )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self.session: Any = onnxruntime.InferenceSession(
            graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def phonemes(self, text: str) -> tuple[str, ...]:
        """The symbols that the voice knows for one sentence, padded at both ends."""
        symbols = self.voice.g2p(text)
        known = [symbol for symbol in symbols if symbol in self.voice.vocab]
        if not known:
            raise CannotSpeakError("no phonemes")
        if len(known) > MAX_PHONEMES:
            raise CannotSpeakError(f"longer than {MAX_PHONEMES} phonemes")
        return (PAD, *known, PAD)

    def speak(self, job: Job) -> Spoken:
        """One sentence at 24 kHz with its phonemes and their seconds."""
        from hibari import dsp

        symbols = self.phonemes(job.text)
        ids = [0 if s == PAD else self.voice.vocab[s] for s in symbols]
        feeds = {"ids": np.asarray([ids], np.int64), "speed": np.ones(1, np.float32)}
        *acoustic, units = self.session.run(None, feeds)
        seed = int(stable_fraction(job.id) * 2**32)
        wav = dsp.synth(*(array[0] for array in acoustic), np.random.default_rng(seed))
        units = np.asarray(units).reshape(-1)
        if len(units) != len(symbols) or int(units.sum()) * SAMPLES_PER_UNIT != len(wav):
            raise PackageError("hibari's durations do not add up to its samples")
        lead = min(LEAD_UNITS, int(units[0]))
        units[0] -= lead
        units[-1] += lead
        seconds = units * (SAMPLES_PER_UNIT / dsp.SR)
        return Spoken(wav, dsp.SR, symbols, tuple(float(s) for s in seconds))


def jobs(sentences: list[Sentence]) -> list[Job]:
    """Training sentences with every twelfth place given to a valid or a test one.

    The second half of the test sentences is not used: it belongs to the held-out voices of the
    other corpora, and no training voice speaks a test sentence.
    """
    main = [s for s in sentences if s.split == "train"]
    spare = [s for s in sentences if s.split == "valid"]
    test = [s for s in sentences if s.split == "test" and stable_fraction("half" + s.id) < 0.5]
    mixed = [s for pair in zip(spare, test, strict=False) for s in pair]
    order: list[Sentence] = []
    for place, sentence in enumerate(main):
        if place % 11 == 0 and place // 11 < len(mixed):
            order.append(mixed[place // 11])
        order.append(sentence)
    return [job(sentence) for sentence in order]


def job(sentence: Sentence) -> Job:
    """A sentence for this voice."""
    return Job(
        id=f"hibari-{sentence.id}",
        text=sentence.text,
        language="en",
        speaker="hibari-heart",
        source=f"hibari-tts {KNOWN_VERSION}; text: {sentence.source}",
        licence=f"Apache-2.0 (voice), {sentence.licence} (text)",
        split=sentence.split,
        document=sentence.document,
    )


def prepare(out: Path, hours: float | None = None) -> list[Path]:
    """Speaks `hours` (4 by default) into `OUT/hibari`; returns its manifest."""
    voice = TimedVoice()
    wanted = DEFAULT_HOURS if hours is None else hours
    manifest = synthesise(
        out / CORPUS, jobs(load(out)), voice.speak, max_seconds=wanted * 3600, flush_seconds=20
    )
    return [manifest]
