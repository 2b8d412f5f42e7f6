"""How good a segment sounds: noise, bandwidth, clipping, music, and DNSMOS where it is installed.

Axes: T samples, F frames, B frequency bins.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import metadata, util
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mingtok_audio.core.audio import resample
from mingtok_audio.core.errors import UserError
from mingtok_audio.curation.interfaces import SegmentStage
from mingtok_audio.curation.recording import Recording, Segment

_AROUND = 10.0  # seconds on either side in which the background is measured
_LEAST_NOISE = 5  # frames of background, at the least
_SNR_RANGE = (-10.0, 80.0)
_BANDWIDTH_DB = 60.0  # below the loudest part of the spectrum ends what is recorded
_SPECTRUM = 1024  # samples, at 16 kHz
_MOS_RATE, _MOS_SAMPLES = 16000, 144160
# The network's raw outputs to opinion scores (P.835, overall), as its authors publish them.
_OVERALL = np.poly1d([-0.06766283, 1.11546468, 0.04602535])
_SIGNAL = np.poly1d([-0.08397278, 1.22083953, 0.0052439])
_BACKGROUND = np.poly1d([-0.13166888, 1.60915514, -0.39604546])


class Quality(SegmentStage):
    """Measures of a segment.

    Args:
        dnsmos: "auto" where speechmos and onnxruntime are installed, "on", or "off".
        dnsmos_hop: seconds between the windows (9 s each) that DNSMOS is a mean of.
    """

    columns = {
        "level_db": "float",
        "bandwidth": "float",
        "clipping": "float",
        "music": "float",
        "dnsmos_sig": "float",
        "dnsmos_bak": "float",
    }
    writes_core = ("snr", "dnsmos")

    def __init__(
        self, dnsmos: Literal["auto", "on", "off"] = "auto", dnsmos_hop: float = 4.0
    ) -> None:
        if dnsmos not in ("auto", "on", "off") or not dnsmos_hop > 0:
            raise ValueError(f"dnsmos is auto, on or off, not {dnsmos!r}; dnsmos_hop is positive")
        self._wanted = dnsmos
        self._mos = dnsmos != "off" and dnsmos_model() is not None
        self.hop = dnsmos_hop
        self._session: Any = None

    def missing(self) -> str:
        """Whether DNSMOS is asked for and not there."""
        if self._wanted == "on" and not self._mos:
            return "dnsmos needs: pip install --no-deps speechmos, pip install onnxruntime"
        return ""

    def identity(self) -> Mapping[str, Any]:
        """The version of DNSMOS."""
        return {"dnsmos": f"speechmos {metadata.version('speechmos')}"} if self._mos else {}

    def load(self) -> None:
        """Read the network of DNSMOS."""
        if not self._mos or self._session is not None:
            return
        import onnxruntime  # pyright: ignore[reportMissingImports]

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        try:
            self._session = onnxruntime.InferenceSession(
                str(dnsmos_model()), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise UserError(f"the network of speechmos cannot be loaded: {error}") from error

    def run(self, segment: Segment, wav: np.ndarray, recording: Recording) -> None:
        """Fill the columns."""
        clipped = recording.track("clipped", segment.start, segment.end)
        power = float(np.mean(np.square(wav, dtype=np.float64))) if len(wav) else 0.0
        segment.values |= {
            "snr": _rounded(_snr(segment, recording), 2),
            "level_db": round(10 * float(np.log10(power + 1e-12)), 2),
            "bandwidth": _rounded(bandwidth(wav, recording.rate), 0),
            "clipping": round(float(clipped.mean()), 6) if len(clipped) else 0.0,
            "music": round(music(wav, recording.rate), 4),
            "dnsmos": None,
            "dnsmos_sig": None,
            "dnsmos_bak": None,
        }
        if self._mos and len(wav):
            self.load()
            signal, background, overall = self._opinions(wav, recording.rate)
            segment.values |= {
                "dnsmos": overall,
                "dnsmos_sig": signal,
                "dnsmos_bak": background,
            }

    def _opinions(self, wav: np.ndarray, rate: int) -> tuple[float, float, float]:
        """Signal, background and overall quality, 1 to 5."""
        samples = wav if rate == _MOS_RATE else resample(wav, rate, _MOS_RATE)
        samples = np.clip(samples, -1.0, 1.0).astype(np.float32)
        while len(samples) < _MOS_SAMPLES:  # as the authors do with shorter clips
            samples = np.concatenate([samples, samples])
        hop = round(self.hop * _MOS_RATE)
        raw = [
            self._session.run(None, {"input_1": samples[None, at : at + _MOS_SAMPLES]})[0][0]
            for at in range(0, len(samples) - _MOS_SAMPLES + 1, hop)
        ]
        signal, background, overall = np.array(raw, np.float64).T
        scores = _SIGNAL(signal), _BACKGROUND(background), _OVERALL(overall)
        return tuple(round(float(np.mean(score)), 4) for score in scores)  # pyright: ignore


def dnsmos_model() -> Path | None:
    """The network in the speechmos package, or None. The package itself is not imported."""
    found = util.find_spec("speechmos")
    if found is None or not found.submodule_search_locations or not util.find_spec("onnxruntime"):
        return None
    path = Path(found.submodule_search_locations[0]) / "dnsmos_models" / "sig_bak_ovr.onnx"
    return path if path.is_file() else None


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(float(value), digits)


def _snr(segment: Segment, recording: Recording) -> float | None:
    """Speech over background in dB, from the levels of frames inside speech and around it."""
    inside = recording.track("level", segment.start, segment.end)
    spoken = recording.track("speech", segment.start, segment.end) > 0.5
    if not len(inside) or not spoken.any():
        return None
    low, high = max(0.0, segment.start - _AROUND), segment.end + _AROUND
    around = recording.track("level", low, high)
    silent = recording.track("speech", low, high) < 0.5
    # Frames beside speech hold its ends: they are not background.
    silent = np.convolve(silent, np.ones(5), mode="same") > 4.5
    speech = np.mean(10 ** (inside[spoken] / 10))
    # Where a noise begins and ends with the speech, only the gaps between its sounds show it.
    noise = 10 ** (np.percentile(inside, 10) / 10)
    if silent.sum() >= _LEAST_NOISE:
        quiet = np.sort(around[silent])[: max(1, int(0.9 * silent.sum()))]
        noise = max(noise, np.mean(10 ** (quiet / 10)))
    clean = max(speech - noise, 1e-12)
    return float(np.clip(10 * np.log10(clean / max(noise, 1e-12)), *_SNR_RANGE))


def bandwidth(wav: np.ndarray, rate: int) -> float | None:
    """The highest frequency in Hz at which the loud frames of a segment hold anything: within 60 dB
    of the spectrum's peak. None for silence."""
    spectrum = _spectrogram(wav, rate)
    if spectrum is None:
        return None
    energy = spectrum.sum(axis=1)
    loud = spectrum[energy > energy.max() * 1e-3]
    top = np.percentile(loud, 90, axis=0)
    smooth = np.convolve(top, np.ones(5) / 5, mode="same")
    if smooth.max() <= 0:
        return None
    found = np.flatnonzero(smooth > smooth.max() * 10 ** (-_BANDWIDTH_DB / 10))
    return float((found[-1] + 1) * rate / 2 / (spectrum.shape[1] - 1))


def music(wav: np.ndarray, rate: int) -> float:
    """How much a segment is like music and unlike speech, 0 to 1.

    Notes hold their pitch, so that the peaks of the spectrum stay in their places; syllables come
    and go a few times a second, with silence between them.
    """
    spectrum = _spectrogram(wav, rate)
    if spectrum is None or len(spectrum) < 20:
        return 0.0
    bins = spectrum[:, 4 : spectrum.shape[1] // 2]
    level = 10 * np.log10(bins + bins.max() * 1e-8)
    peaks = np.zeros(level.shape, bool)
    peaks[:, 2:-2] = (
        (level[:, 2:-2] > level[:, 1:-3])
        & (level[:, 2:-2] > level[:, 3:-1])
        & (level[:, 2:-2] > np.maximum(level[:, :-4], level[:, 4:]) + 6.0)
        & (level[:, 2:-2] > level.max(axis=1, keepdims=True) - 35.0)
    )
    held = peaks.copy()
    for step in range(1, _HELD_FRAMES):
        later = np.zeros_like(peaks)
        later[:-step] = peaks[step:]
        held &= later
    steady = held.sum() / max(1, peaks[: -_HELD_FRAMES + 1].sum())
    energy = bins.sum(axis=1)
    pauses = float(np.mean(energy < 0.1 * energy.mean()))
    value = _MUSIC[0] + _MUSIC[1] * steady + _MUSIC[2] * pauses
    return float(1 / (1 + np.exp(-value)))


_HELD_FRAMES = 5  # 160 ms
_MUSIC = (-2.0, 14.0, -6.0)
"""Offset, and weights of the steady peaks and of the pauses."""


@cache
def _window(size: int) -> np.ndarray:
    return np.hanning(size).astype(np.float32)


def _spectrogram(wav: np.ndarray, rate: int) -> np.ndarray | None:
    """Power (F, B) of windows of 64 ms, 32 ms apart; None for silence and what is too short."""
    size = 2 * round(_SPECTRUM * rate / 16000 / 2)
    if len(wav) < size or not np.abs(wav).max(initial=0.0) > 0:
        return None
    frames = np.lib.stride_tricks.sliding_window_view(wav, size)[:: size // 2]
    return np.square(np.abs(np.fft.rfft(frames * _window(size), axis=1)))
