"""The front end of the speaker model: windowed-sinc resampling and a Kaldi filter bank.

Both compute what torchaudio does with its defaults, in plain torch. Axes: T samples, F frames,
M mel bins.
"""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor
from torch.nn import functional as F

from mingtok_audio.core.errors import AudioError

SPEAKER_RATE = 16000
MEL_BINS = 80
_FRAME, _SHIFT, _FFT = 400, 160, 512
_FLOOR = 1.1920928955078125e-07
_WIDTH, _ROLLOFF = 6, 0.99


def resample_sinc(wav: Tensor, source: int, target: int) -> Tensor:
    """wav (B, T) from `source` Hz to `target` Hz, (B, ceil(T target / source)).

    A sinc of 6 zero crossings under a Hann window, cut off at 99 % of the lower Nyquist frequency.
    """
    if min(source, target) < 1:
        raise AudioError(f"sample rates must be positive, got {source} and {target}")
    if source == target:
        return wav
    divisor = math.gcd(source, target)
    old, new = source // divisor, target // divisor
    kernel, width = _sinc_kernel(old, new)
    length = math.ceil(new * wav.shape[-1] / old)
    padded = F.pad(wav, (width, width + old))[:, None]
    out = F.conv1d(padded, kernel.to(wav), stride=old)  # (B, new, blocks)
    return out.transpose(1, 2).flatten(1)[:, :length]


@functools.lru_cache(maxsize=16)
def _sinc_kernel(old: int, new: int) -> tuple[Tensor, int]:
    """(new, 1, 2 width + old) filters, one for each phase, and the width on either side."""
    cutoff = min(old, new) * _ROLLOFF
    width = math.ceil(_WIDTH * old / cutoff)
    place = torch.arange(-width, width + old, dtype=torch.float64)[None, None] / old
    phase = torch.arange(0, -new, -1, dtype=torch.float64)[:, None, None] / new
    time = ((phase + place) * cutoff).clamp(-_WIDTH, _WIDTH)
    window = torch.cos(time * math.pi / _WIDTH / 2) ** 2
    kernel = torch.sinc(time) * window * cutoff / old
    return kernel.float(), width


def kaldi_fbank(wav: Tensor) -> Tensor:
    """16 kHz samples (T,) in [-1, 1] -> log mel energies (F, 80) of whole 25 ms frames.

    Kaldi's filter bank: no dither, DC removed per frame, pre-emphasis 0.97, Povey window, power
    spectrum, 20 Hz to 8 kHz. The samples are not scaled to 16-bit integers: the floor of the
    logarithm would then lie elsewhere.

    Raises:
        AudioError: fewer samples than a frame.
    """
    if wav.shape[-1] < _FRAME:
        raise AudioError("a voice of less than 25 ms gives no speaker features")
    frames = wav.unfold(0, _FRAME, _SHIFT)
    frames = frames - frames.mean(dim=1, keepdim=True)
    before = F.pad(frames[:, None], (1, 0), mode="replicate")[:, 0, :-1]
    frames = (frames - 0.97 * before) * _povey().to(wav)
    power = torch.fft.rfft(frames, n=_FFT).abs().square()
    return (power @ _mel_filters().to(wav)).clamp_min(_FLOOR).log()


@functools.cache
def _povey() -> Tensor:
    return torch.hann_window(_FRAME, periodic=False, dtype=torch.float64).pow(0.85).float()


@functools.cache
def _mel_filters() -> Tensor:
    """(257, 80) triangles, even on the mel scale; the spectrum's last bin is unused."""
    low, high = _mel(torch.tensor([20.0, SPEAKER_RATE / 2], dtype=torch.float64)).tolist()
    step = (high - low) / (MEL_BINS + 1)
    left = low + torch.arange(MEL_BINS, dtype=torch.float64)[:, None] * step
    mel = _mel(torch.arange(_FFT // 2, dtype=torch.float64) * SPEAKER_RATE / _FFT)[None]
    rising, falling = (mel - left) / step, (left + 2 * step - mel) / step
    filters = torch.minimum(rising, falling).clamp_min(0)
    return F.pad(filters, (0, 1)).T.float()


def _mel(frequency: Tensor) -> Tensor:
    return 1127.0 * (1 + frequency / 700.0).log()
