"""The kit of watermarks."""

from __future__ import annotations

from typing import Any

import numpy as np

from mingtok_audio.core.plugins import CheckResult
from mingtok_audio.core.plugins.conformance import require
from uniaudio_lm.conformance.common import run
from uniaudio_lm.watermarking import Watermark

_RATE, _SECONDS = 16000, 3.0
_RATES = (8000, 22050, 48000)
_LOUDEST = -10.0  # dB of what the mark changes, over the speech
_PIECES = (1, 7, 160, 1600, 333, 5000)
_OTHERS = 6  # unmarked recordings


def check_watermark(watermark: type, **options: Any) -> list[CheckResult]:
    """Check a watermark class against the rules of `Watermark`; `options` build it."""
    kit = WatermarkKit(watermark, options)
    return run(
        [
            ("length and type stay", kit.keeps),
            ("pieces of any length give the same samples", kit.pieces),
            ("same input, same output", kit.repeats),
            ("the mark is quiet", kit.quiet),
            ("outside the spans nothing changes", kit.spans),
            ("found at every sample rate", kit.rates),
            ("found in half a second", kit.short),
            ("survives level, 16 bits, noise at 20 dB and telephone band", kit.survives),
            ("not found in what is not marked", kit.unmarked),
            ("silence and single samples", kit.odd),
        ]
    )


def speech_like(seconds: float = _SECONDS, rate: int = _RATE, seed: int = 0) -> np.ndarray:
    """Harmonics with a moving pitch and noise under syllables (T,) float32."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    pitch = 120.0 + 20.0 * np.sin(2 * np.pi * 0.7 * time + rng.uniform(0, 6))
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    voiced = np.zeros(len(time))
    for n in range(1, 40):
        if 140 * n < rate / 2:
            voiced += np.cos(n * phase + rng.uniform(0, 6)) / n
    hiss = rng.standard_normal(len(time))
    turns = 0.5 + 0.5 * np.sin(2 * np.pi * 3.0 * time + rng.uniform(0, 6))
    made = 0.1 * turns * voiced + 0.02 * (1.2 - turns) * hiss
    return (made / max(1.0, np.abs(made).max() / 0.9)).astype(np.float32)


class WatermarkKit:
    """Builds the class under test; a method a rule."""

    def __init__(self, found: type, options: dict[str, Any]) -> None:
        self._class, self._options = found, options

    def make(self) -> Watermark:
        """An instance, checked."""
        built = self._class(**self._options)
        require(isinstance(built, Watermark), "it is not a Watermark")
        return built

    def keeps(self) -> None:
        made = self.make()
        for shape in ((4000,), (4000, 2)):
            for kind in (np.float32, np.float64):
                wav = np.resize(speech_like(0.5), shape).astype(kind)
                marked = made.mark(wav, _RATE)
                require(marked.shape == wav.shape, f"{wav.shape} becomes {marked.shape}")
                require(marked.dtype == kind, f"{np.dtype(kind)} becomes {marked.dtype}")
                require(bool(np.isfinite(marked).all()), "NaN or infinity")

    def pieces(self) -> None:
        made, wav = self.make(), speech_like()
        marker, parts, at = made.new_marker(_RATE), [], 0
        while at < len(wav):
            size = _PIECES[len(parts) % len(_PIECES)]
            parts.append(marker.push(wav[at : at + size]))
            at += size
        parts.append(marker.flush())
        same = np.array_equal(np.concatenate(parts), made.mark(wav, _RATE))
        require(same, "a stream is not what the whole gives")

    def repeats(self) -> None:
        wav = speech_like()
        one, two = (self.make().mark(wav, _RATE) for _ in range(2))
        require(np.array_equal(one, two), "the same input gives another output")

    def quiet(self) -> str:
        wav = speech_like()
        change = self.make().mark(wav, _RATE) - wav
        level = 10 * np.log10(np.mean(change**2) / np.mean(wav**2) + 1e-12)
        require(level < _LOUDEST, f"the change is at {level:.1f} dB, not below {_LOUDEST} dB")
        return f"{level:.1f} dB"

    def spans(self) -> None:
        wav = speech_like()
        marked = self.make().mark_spans(wav, _RATE, [(8000, 24000), (40000, 40001)])
        keep = np.ones(len(wav), bool)
        keep[8000:24000] = keep[40000:40001] = False
        require(np.array_equal(marked[keep], wav[keep]), "it touches samples outside the spans")
        require(not np.array_equal(marked, wav), "it marks nothing")

    def rates(self) -> None:
        made = self.make()
        for rate in _RATES:
            found = made.detect(made.mark(speech_like(rate=rate), rate), rate)
            require(found.found, f"not found at {rate} Hz")

    def short(self) -> None:
        made = self.make()
        marked = made.mark(speech_like(), _RATE)
        found = made.detect(marked[16000:24000], _RATE)
        require(found.found, f"score {found.score} of {found.threshold}")
        require(bool(found.spans), "it states no span")

    def survives(self) -> None:
        made = self.make()
        marked = made.mark(speech_like(), _RATE)
        rng = np.random.default_rng(1)
        noise = rng.standard_normal(len(marked)) * np.sqrt(np.mean(marked**2)) * 0.1
        spectrum = np.fft.rfft(marked)
        hertz = np.fft.rfftfreq(len(marked), 1 / _RATE)
        spectrum[(hertz < 300) | (hertz > 3400)] = 0.0
        changed = {
            "a level of -20 dB": 0.1 * marked,
            "16 bits": np.rint(marked * 32768) / 32768,
            "noise at 20 dB": marked + noise,
            "telephone band": np.fft.irfft(spectrum, len(marked)),
        }
        for name, wav in changed.items():
            require(made.detect(wav, _RATE).found, f"not found after {name}")

    def unmarked(self) -> str:
        made = self.make()
        scores = [made.detect(speech_like(1.0, seed=n), _RATE) for n in range(_OTHERS)]
        alarms = sum(found.found for found in scores)
        require(not alarms, f"found in {alarms} of {_OTHERS} recordings that are not marked")
        return f"{_OTHERS} recordings"

    def odd(self) -> None:
        made = self.make()
        for wav in (np.zeros(16000), np.zeros(1), np.ones(50), np.zeros(0)):
            marked = made.mark(wav.astype(np.float32), _RATE)
            require(len(marked) == len(wav), "another length")
            require(not made.detect(marked[:100], _RATE).found, "found in nothing")
