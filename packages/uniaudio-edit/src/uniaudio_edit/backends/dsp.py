"""`dsp`: speed, pitch, volume, noise, fades and background sound, by signal processing.

Speed and pitch come from Signalsmith Stretch (MIT), noise reduction from noisereduce (MIT). These
edits change the whole recording; the length is right to the sample.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mingtok_audio.core.errors import UserError
from uniaudio_edit.backends.sounds import background
from uniaudio_edit.interfaces import Change, EditBackend, EditRequest, EditResult
from uniaudio_edit.pcm import from_float, to_float
from uniaudio_edit.plan import Operation

CEILING_DB = -0.3  # dBTP that a raised volume does not pass
_OVERSAMPLING = 4
_LOOK_AHEAD_SECONDS = 0.004
DEFAULT_SNR_DB = 15.0


class DspBackend(EditBackend):
    """Sound edits of the whole recording."""

    operations = frozenset({"speed", "pitch", "volume", "denoise", "fade", "add_sound"})
    needs_words = False
    is_global = True

    def apply(self, request: EditRequest) -> EditResult:
        """See `EditBackend.apply`."""
        wav = to_float(request.pcm)  # (T, C)
        notes: list[str] = []
        steps: dict[str, Callable[..., np.ndarray]] = {
            "speed": _speed,
            "pitch": _pitch,
            "volume": _volume,
            "denoise": _denoise,
            "fade": _fade,
            "add_sound": _add_sound,
        }
        for op in request.operations:
            wav = steps[op.type](wav, request.sample_rate, op, request, notes)
        bits = int(request.options.get("bits", 8 * request.pcm.dtype.itemsize))
        pcm, clipped = from_float(wav, request.pcm.dtype, bits)
        if clipped:
            notes.append(f"{clipped} samples clipped")
        index = request.plan.operations.index(request.operations[0])
        change = Change((0, len(request.pcm)), (0, len(pcm)), index)
        return EditResult(pcm, [change], notes, _libraries(request))


def _libraries(request: EditRequest) -> dict[str, str]:
    from importlib.metadata import version

    kinds = {op.type for op in request.operations}
    used = {}
    if kinds & {"speed", "pitch"}:
        used["stretch"] = f"python-stretch {version('python-stretch')}"
    if "denoise" in kinds:
        used["denoise"] = f"noisereduce {version('noisereduce')}"
    return used


def stretch(wav: np.ndarray, rate: int, factor: float, semitones: float) -> np.ndarray:
    """(T, C) at `factor` times the speed and `semitones` higher, of exact length."""
    from python_stretch.Signalsmith import Stretch

    stretch = Stretch()
    stretch.preset(wav.shape[1], rate)
    stretch.setTimeFactor(factor)
    if semitones:
        # Above this frequency the spectrum is shifted less: consonants keep their hiss.
        stretch.setTransposeSemitones(semitones, min(8000.0 / rate, 0.5))
    wanted = max(1, round(len(wav) / factor))
    # The library cannot do with less than its block; silence behind the end is cut off again.
    block = 2 * (stretch.inputLatency() + stretch.outputLatency())
    padding = max(0, block - len(wav))
    given = np.pad(wav, ((0, padding), (0, 0))).T.astype(np.float32)
    made = np.asarray(stretch.process(np.ascontiguousarray(given))).T.astype(np.float64)
    if len(made) < wanted:
        made = np.pad(made, ((0, wanted - len(made)), (0, 0)))
    return made[:wanted]


def _speed(wav: np.ndarray, rate: int, op: Operation, *_: Any) -> np.ndarray:
    factor = float(op.params["factor"])
    return wav if factor == 1.0 else stretch(wav, rate, factor, 0.0)


def _pitch(wav: np.ndarray, rate: int, op: Operation, *_: Any) -> np.ndarray:
    semitones = float(op.params["semitones"])
    return wav if semitones == 0.0 else stretch(wav, rate, 1.0, semitones)


def _volume(
    wav: np.ndarray, rate: int, op: Operation, _request: EditRequest, notes: list[str]
) -> np.ndarray:
    factor = float(op.params.get("factor", 1.0))
    if "db" in op.params:
        factor = 10.0 ** (float(op.params["db"]) / 20.0)
    louder = wav * factor
    if factor <= 1.0:
        return louder
    limited, share = limit(louder, rate)
    if share:
        notes.append(
            f"volume: {share:.2%} of the samples would pass {CEILING_DB:g} dBTP and were held down"
        )
    return limited


def true_peak(wav: np.ndarray) -> np.ndarray:
    """The largest level between and at the samples, per sample: (T, C) -> (T,)."""
    from scipy.signal import resample_poly

    peaks = np.zeros(len(wav))
    size = 1 << 18
    pad = 64
    for begin in range(0, len(wav), size):
        low, high = max(0, begin - pad), min(len(wav), begin + size + pad)
        fine = np.abs(resample_poly(wav[low:high], _OVERSAMPLING, 1, axis=0)).max(axis=1)
        per = fine.reshape(-1, _OVERSAMPLING).max(axis=1)
        end = min(begin + size, len(wav))
        peaks[begin:end] = per[begin - low : end - low]
    return np.maximum(peaks, np.abs(wav).max(axis=1))


def limit(wav: np.ndarray, rate: int) -> tuple[np.ndarray, float]:
    """Hold (T, C) under `CEILING_DB` true peak with a gain that moves slowly.

    Returns:
        The samples and the share of them that was turned down.
    """
    from scipy.ndimage import minimum_filter1d, uniform_filter1d

    ceiling = 10.0 ** (CEILING_DB / 20.0)
    peaks = true_peak(wav)
    if peaks.max() <= ceiling:
        return wav, 0.0
    gain = np.minimum(1.0, ceiling / np.maximum(peaks, 1e-12))
    width = 2 * max(1, round(_LOOK_AHEAD_SECONDS * rate)) + 1
    # The mean over a window of the least gain within the same window never passes the gain itself.
    gain = uniform_filter1d(minimum_filter1d(gain, width, mode="nearest"), width, mode="nearest")
    return wav * np.minimum(gain, 1.0)[:, None], float(np.mean(gain < 0.999))


def _denoise(wav: np.ndarray, rate: int, op: Operation, *_: Any) -> np.ndarray:
    import noisereduce

    strength = float(op.params.get("strength", 0.9))
    frame = 1 << max(5, round(np.log2(rate * 0.032)))
    if len(wav) < 4 * frame:
        raise UserError(
            f"the recording is too short to tell noise from speech ({len(wav)} samples)"
        )
    if not np.any(wav):
        return wav
    channels = [
        noisereduce.reduce_noise(
            y=channel,
            sr=rate,
            stationary=True,
            prop_decrease=strength,
            n_fft=frame,
            time_constant_s=2.0,
            freq_mask_smooth_hz=max(500, 2 * rate // frame),
        )
        for channel in wav.T
    ]
    return np.nan_to_num(np.stack(channels, axis=1)[: len(wav)].astype(np.float64))


def _fade(wav: np.ndarray, rate: int, op: Operation, *_: Any) -> np.ndarray:
    faded = wav.copy()
    for name in ("in", "out"):
        if name not in op.params:
            continue
        n = min(len(wav), max(1, round(float(op.params[name]) * rate)))
        curve = (0.5 - 0.5 * np.cos(np.pi * (np.arange(n) + 0.5) / n))[:, None]
        if name == "in":
            faded[:n] *= curve
        else:
            faded[-n:] *= curve[::-1]
    return faded


def _add_sound(
    wav: np.ndarray, rate: int, op: Operation, request: EditRequest, notes: list[str]
) -> np.ndarray:
    snr = op.params.get("snr_db", request.options.get("snr_db"))
    if snr is None:
        snr = DEFAULT_SNR_DB
        notes.append(f"add_sound: no level was given: {snr:g} dB below the speech")
    name, path = str(op.params.get("sound", "")), request.options.get("sound")
    sound = background(name, path, len(wav), rate, request.seed)[:, None]
    speech = _active_level(wav)
    level = float(np.sqrt(np.mean(np.square(sound))))
    if speech == 0.0:
        raise UserError("the recording is silence: a level relative to its speech has no meaning")
    if level == 0.0:
        raise UserError("the background sound is silence")
    mixed = wav + sound * (speech / level * 10.0 ** (-float(snr) / 20.0))
    return limit(mixed, rate)[0]


def _active_level(wav: np.ndarray) -> float:
    """RMS of the frames within 40 dB of the loudest: the speech without its pauses."""
    mono = wav.mean(axis=1)
    size = 512
    frames = mono[: len(mono) // size * size].reshape(-1, size) if len(mono) >= size else mono[None]
    power = np.mean(np.square(frames), axis=1)
    active = power[power > power.max() * 1e-4]
    return float(np.sqrt(active.mean())) if len(active) else 0.0
