"""Four parametric English voices of Debian's flite (BSD-like licence), very fast.

They sound robotic, but they are voices of their own (slt female, rms, awb and kal16 male).
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from .packages import PackageError, debian_package
from .sentences import Sentence, load
from .synthesis import Job, Spoken, synthesise

CORPUS = "flite"
VOICES = ("slt", "rms", "awb", "kal16")
DEFAULT_HOURS = 40 / 60
VALID_TURN = 20


class Flite:
    """The unpacked flite program with its own shared libraries."""

    def __init__(self, out: Path) -> None:
        packages = out / "packages"
        self.program = (debian_package("flite", packages) / "usr/bin/flite").resolve()
        libraries = debian_package("libflite1", packages) / "usr/lib"
        (folder,) = {path.parent.resolve() for path in libraries.rglob("libflite.so*")}
        self.environment = {**os.environ, "LD_LIBRARY_PATH": str(folder)}

    def speak(self, job: Job) -> Spoken:
        """One sentence at the voice's own rate (16 kHz)."""
        import soundfile

        voice = job.speaker.removeprefix("flite-")
        with tempfile.TemporaryDirectory() as work:
            path = Path(work) / "spoken.wav"
            command = [str(self.program), "-voice", voice, "-t", job.text, "-o", str(path)]
            done = subprocess.run(
                command, env=self.environment, capture_output=True, text=True, check=False
            )
            if done.returncode != 0 or not path.exists():
                raise PackageError(f"flite failed: {done.stderr.strip()}")
            wav, sample_rate = soundfile.read(path, dtype="float32")
        return Spoken(wav, sample_rate)


def jobs(sentences: list[Sentence]) -> list[Job]:
    """The voices take turns; sentences from the middle, which the other corpora reach last.

    Every twentieth turn is a valid sentence, for all voices, so that no voice misses them.
    """
    train = [s for s in sentences if s.split == "train"]
    valid = [s for s in sentences if s.split == "valid"]
    train, valid = train[len(train) // 2 :], valid[len(valid) // 2 :]
    order: list[Job] = []
    for turn in range(len(train) // len(VOICES)):
        for voice in VOICES:
            pool = train if turn % VALID_TURN or not valid else valid
            sentence = pool.pop(0)
            order.append(
                Job(
                    id=f"flite-{voice}-{sentence.id}",
                    text=sentence.text,
                    language="en",
                    speaker=f"flite-{voice}",
                    source=f"flite voice {voice}; text: {sentence.source}",
                    licence=f"flite's BSD-like licence (voice), {sentence.licence} (text)",
                    split=sentence.split,
                    document=sentence.document,
                )
            )
    return order


def prepare(out: Path, hours: float | None = None) -> list[Path]:
    """Speaks `hours` (40 minutes by default) into `OUT/flite`; returns its manifest."""
    flite = Flite(out)
    seconds = 3600 * (DEFAULT_HOURS if hours is None else hours)
    return [synthesise(out / CORPUS, jobs(load(out)), flite.speak, max_seconds=seconds)]
