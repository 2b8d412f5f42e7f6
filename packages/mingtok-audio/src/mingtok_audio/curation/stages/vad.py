"""Voice activity: where someone speaks.

`energy` needs nothing: frames that are louder than the background around them and whose level moves
as speech does. `silero` is the network of the `silero-vad` package.

Axes: F frames of 20 ms.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata, util
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mingtok_audio.core.errors import ConfigError, UserError
from mingtok_audio.curation.interfaces import FileStage
from mingtok_audio.curation.recording import FRAME, Recording

_BLOCK_FRAMES = 1500
_WINDOW = 1500  # frames (30 s) in which background and speech level are measured
_STEADY_DB = 5.0  # a run that varies less than this is a noise or a tone
_STEADY_FRAMES = 25
_EXTENDED = 15  # frames
_SILERO_SAMPLES = 512


class Vad(FileStage):
    """Speech in a recording.

    Args:
        engine: "energy", "silero", or "auto": silero where it is installed.
        threshold: probability of speech from which a frame counts (silero).
        min_speech: seconds; shorter speech is a click.
        min_silence: seconds; shorter gaps belong to the speech around them.
        pad: seconds that are kept around speech.
    """

    columns = {"vad": "text", "speech_share": "float"}

    def __init__(
        self,
        engine: Literal["auto", "energy", "silero"] = "auto",
        threshold: float = 0.5,
        min_speech: float = 0.2,
        min_silence: float = 0.2,
        pad: float = 0.1,
    ) -> None:
        if engine not in ("auto", "energy", "silero"):
            raise ValueError(f"engine is auto, energy or silero, not {engine!r}")
        self.engine = ("silero" if silero_folder() else "energy") if engine == "auto" else engine
        self.threshold, self.pad = threshold, pad
        self.min_speech, self.min_silence = min_speech, min_silence
        self._model: Any = None

    def missing(self) -> str:
        """Whether silero-vad is asked for and not there."""
        if self.engine == "silero" and not silero_folder():
            return "silero-vad is not installed: pip install silero-vad, or vad.engine=energy"
        return ""

    def identity(self) -> Mapping[str, Any]:
        """The engine and its version."""
        if self.engine == "energy":
            return {"engine": "energy/2"}
        return {"engine": f"silero/{metadata.version('silero-vad')}"}

    def load(self) -> None:
        """Read silero's network."""
        folder = silero_folder()
        if self.engine != "silero" or self._model is not None or folder is None:
            return
        import torch

        try:
            self._model = torch.jit.load(str(folder / "silero_vad.jit"), map_location="cpu").eval()
        except (RuntimeError, ValueError, OSError) as error:
            raise UserError(f"the network of silero-vad cannot be read: {error}") from error

    def run(self, recording: Recording) -> None:
        """Fill `speech`; track `speech` is 1 where someone speaks, `level` the level in dB."""
        level = band_levels(recording)
        recording.tracks["level"] = level
        if self.engine == "silero":
            self.load()
            active = extended(self._silero(recording, len(level)), level)
        else:
            active = energy_activity(level)
        runs = tidy_runs(active, round(self.min_speech / FRAME), round(self.min_silence / FRAME))
        marks = np.zeros(len(level), np.float32)
        spans: list[tuple[float, float]] = []
        for first, last in runs:
            marks[first:last] = 1.0
            start = max(0.0, first * FRAME - self.pad)
            end = min(recording.seconds, last * FRAME + self.pad)
            if spans and start <= spans[-1][1]:
                spans[-1] = (spans[-1][0], end)
            else:
                spans.append((start, end))
        recording.tracks["speech"] = marks
        recording.speech = spans
        share = float(marks.mean()) if len(marks) else 0.0
        recording.values |= {"vad": self.engine, "speech_share": round(share, 4)}
        if not spans:
            recording.drop("no_speech", "nobody speaks in this recording")

    def _silero(self, recording: Recording, frames: int) -> np.ndarray:
        import torch

        if recording.rate != 16000:
            raise ConfigError("vad.engine=silero needs standardise.rate=16000")
        self._model.reset_states()
        odds: list[float] = []
        rest = np.zeros(0, np.float32)
        with torch.inference_mode():
            for block in recording.blocks():
                wav = np.concatenate([rest, block])
                whole = len(wav) // _SILERO_SAMPLES * _SILERO_SAMPLES
                for at in range(0, whole, _SILERO_SAMPLES):
                    part = torch.from_numpy(np.ascontiguousarray(wav[at : at + _SILERO_SAMPLES]))
                    odds.append(float(self._model(part, 16000).item()))
                rest = wav[whole:]
            if len(rest):
                part = torch.from_numpy(np.pad(rest, (0, _SILERO_SAMPLES - len(rest))))
                odds.append(float(self._model(part, 16000).item()))
        middle = (np.arange(frames) + 0.5) * FRAME * recording.rate / _SILERO_SAMPLES
        found = np.asarray(odds)[np.clip(middle.astype(int), 0, max(0, len(odds) - 1))]
        active = found >= self.threshold
        # Once someone speaks, a little less is enough: ends of words fade.
        near = found >= max(0.05, self.threshold - 0.15)
        for first, last in runs_of(near):
            if active[first:last].any():
                active[first:last] = True
        return active


def silero_folder() -> Path | None:
    """Where the networks of silero-vad lie, or None. The package itself is not imported."""
    found = util.find_spec("silero_vad")
    if found is None or not found.submodule_search_locations:
        return None
    folder = Path(found.submodule_search_locations[0]) / "data"
    return folder if (folder / "silero_vad.jit").is_file() else None


def band_levels(recording: Recording) -> np.ndarray:
    """Level (F,) in dB of each frame from 200 to 4000 Hz; rumble is not speech."""
    size = max(2, round(FRAME * recording.rate))
    bins = np.fft.rfftfreq(size, 1 / recording.rate)
    low, high = np.searchsorted(bins, (200.0, 4000.0))
    window = np.hanning(size).astype(np.float32)
    out: list[np.ndarray] = []
    for block in recording.blocks(_BLOCK_FRAMES * size / recording.rate):
        frames = np.pad(block, (0, -len(block) % size)).reshape(-1, size)
        power = np.square(np.abs(np.fft.rfft(frames * window, axis=1)[:, low:high])).sum(axis=1)
        out.append((10 * np.log10(power * (4 / size**2) + 1e-12)).astype(np.float32))
    return np.concatenate(out) if out else np.zeros(0, np.float32)


def energy_activity(level: np.ndarray) -> np.ndarray:
    """Which frames (F,) are speech, by their level (F,) alone."""
    if not len(level):
        return np.zeros(0, bool)
    floor, top = _around(level, 10.0), _around(level, 95.0)
    top = np.maximum(top, np.percentile(level, 95) - 20.0)
    threshold = np.where(
        top - floor > 12.0, np.maximum(floor + 0.3 * (top - floor), top - 35.0), top - 35.0
    )
    threshold = np.maximum(threshold, -70.0)
    active = np.convolve(level > threshold, np.ones(3), mode="same") >= 2
    for first, last in runs_of(level > threshold - 4.0):
        if active[first:last].any():
            active[first:last] = True
    for first, last in runs_of(active):
        inside = level[first:last]
        if len(inside) >= _STEADY_FRAMES and np.ptp(np.percentile(inside, (10, 95))) < _STEADY_DB:
            active[first:last] = False
    return active


def extended(active: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Runs of speech (F,) with the beginnings and ends that a network misses: frames beside them,
    up to 0.3 s, that stand out from the background."""
    if not active.any():
        return active
    floor, top = _around(level, 10.0), _around(level, 95.0)
    loud = level > floor + np.maximum(8.0, 0.3 * (top - floor))
    out = active.copy()
    for first, last in runs_of(active):
        for step in range(1, _EXTENDED + 1):
            if first - step < 0 or not loud[first - step]:
                break
            out[first - step] = True
        for step in range(_EXTENDED):
            if last + step >= len(loud) or not loud[last + step]:
                break
            out[last + step] = True
    return out


def _around(level: np.ndarray, percent: float) -> np.ndarray:
    """A percentile (F,) of the 30 s around each frame."""
    half = _WINDOW // 2
    centres = np.arange(0, len(level) + half, half)
    values = [np.percentile(level[max(0, c - half) : c + half], percent) for c in centres]
    return np.interp(np.arange(len(level)), centres, values)


def runs_of(active: np.ndarray) -> list[tuple[int, int]]:
    """[first, last) of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], active.astype(np.int8), [0]))))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def tidy_runs(active: np.ndarray, shortest: int, gap: int) -> list[tuple[int, int]]:
    """Runs with gaps of fewer than `gap` frames closed, of at least `shortest` frames."""
    out: list[tuple[int, int]] = []
    for first, last in runs_of(active):
        if out and first - out[-1][1] < gap:
            out[-1] = (out[-1][0], last)
        else:
            out.append((first, last))
    return [run for run in out if run[1] - run[0] >= shortest]
