"""Streams through the tokenizer: explicit state objects, any chunk size, constant memory.

The concatenation of what `push` and `finish` return equals the offline result to rounding (1e-5
in float32). Axes: B batch (1 here), L frames, T samples, D latent dimensions, H feature width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from torch import Tensor

from mingtok_audio.config import MingTokConfig
from mingtok_audio.core.audio import StreamResampler
from mingtok_audio.core.errors import AudioError, UserError
from mingtok_audio.latents import Latents
from mingtok_audio.models.decoder import Decoder, DecoderState
from mingtok_audio.models.encoder import Encoder
from mingtok_audio.models.semantic import SemanticModule
from mingtok_audio.modules.posterior import frame_noise
from mingtok_audio.modules.transformer import TransformerState

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class DecodingState:
    """State of one decoding stream: the decoder's, and the semantic module's where it is read."""

    def __init__(self, decoder: DecoderState, semantic: TransformerState | None) -> None:
        self.decoder, self.semantic = decoder, semantic


class Tokenizer(Protocol):
    """What streams need of a model; see `MingTok`."""

    config: MingTokConfig
    model_id: str
    model_hash: str
    encoder: Encoder
    decoder: Decoder

    @property
    def device(self) -> torch.device: ...

    @property
    def dtype(self) -> torch.dtype: ...

    def semantic_module(self) -> SemanticModule: ...

    def features_of(self, values: Tensor, state: TransformerState | None = None) -> Tensor: ...

    def unpack(self, latents: Latents | Tensor) -> tuple[Tensor, Tensor, Tensor]: ...

    def new_decoder_state(self, batch: int = 1) -> DecodingState: ...

    def decode_step(self, values: Tensor, state: DecodingState) -> Tensor: ...

    def decode_flush(self, state: DecodingState) -> Tensor: ...


class _Stream:
    """A stream that ends once."""

    _finished = False

    def _check_open(self) -> None:
        if self._finished:
            raise UserError("this stream has finished: open a new one")

    def _finish(self) -> None:
        self._check_open()
        self._finished = True


class StreamEncoder(_Stream):
    """Samples in, latents out. See `MingTok.stream_encoder`."""

    def __init__(
        self, model: Tokenizer, sample_rate: int, generator: torch.Generator | None = None
    ) -> None:
        if sample_rate <= 0:
            raise AudioError(f"sample_rate must be positive, got {sample_rate}")
        config = model.config
        self._model, self._generator = model, generator
        self._sample_rate = sample_rate
        self._resampler = StreamResampler(sample_rate, config.sample_rate)
        self._state = model.encoder.new_state(config.max_frames * config.frames_per_latent)
        self._pending = np.zeros(0, dtype=np.float32)
        self._received = 0

    @torch.no_grad()
    def push(self, samples: ArrayLike | Tensor) -> Latents:
        """Add samples (n,), n >= 0; the latents (1, m, D) of the frames that are complete now."""
        self._check_open()
        array = samples.detach().cpu().numpy() if isinstance(samples, Tensor) else samples
        array = np.asarray(array)
        if np.issubdtype(array.dtype, np.integer) and array.size:
            raise AudioError(
                f"expected floating-point samples in [-1, 1], got {array.dtype}: divide by "
                f"{np.iinfo(array.dtype).max + 1}"
            )
        array = array.astype(np.float32, copy=False)
        if array.ndim != 1:
            raise AudioError(f"push takes samples of shape (n,), got {array.shape}")
        if not np.isfinite(array).all():
            raise AudioError("the stream holds NaN or infinite samples")
        self._received += len(array)
        self._pending = np.concatenate((self._pending, self._resampler.push(array)))
        config = self._model.config
        first = config.hop_length - config.frame_hop + config.frame_length
        ready = len(self._pending) - first
        count = 0 if ready < 0 else ready // config.hop_length + 1
        frames = count * config.frames_per_latent
        return self._encode(frames, count * config.hop_length, source=0)

    @torch.no_grad()
    def finish(self) -> Latents:
        """End the stream: the latents of the last samples, which fill no whole one (maybe none)."""
        self._finish()
        self._pending = np.concatenate((self._pending, self._resampler.finish()))
        rest = len(self._pending)
        config = self._model.config
        frames = -(-rest // config.frame_hop)
        if frames:
            length = (frames - 1) * config.frame_hop + config.frame_length
            self._pending = np.pad(self._pending, (0, max(0, length - rest)))
        return self._encode(frames, rest, source=self._received)

    def _encode(self, count: int, num_samples: int, source: int) -> Latents:
        """Encode the first `count` frames of what is pending."""
        model, config = self._model, self._model.config
        parts = [torch.zeros(1, 0, config.latent_dim, device=model.device, dtype=torch.float32)]
        step = config.block_latents * config.frames_per_latent
        for start in range(0, count, step):
            n = min(step, count - start)
            begin = start * config.frame_hop
            end = begin + (n - 1) * config.frame_hop + config.frame_length
            block = torch.from_numpy(self._pending[begin:end])[None]
            frames = model.encoder.frame(block.to(model.device, model.dtype))[:, :n]
            posterior = model.encoder(frames, self._state)
            values = posterior.mean
            if self._generator is not None:
                values = posterior.sample(noise=frame_noise(values.shape, self._generator))
            parts.append(values.float())
        self._pending = self._pending[count * config.frame_hop :].copy()
        values = torch.cat(parts, dim=1)
        return Latents(
            values=values,
            lengths=torch.tensor([values.shape[1]]),
            num_samples=torch.tensor([num_samples]),
            sample_rate=config.sample_rate,
            frame_rate=config.frame_rate,
            source_sample_rate=self._sample_rate,
            source_num_samples=torch.tensor([source]),
            model_id=model.model_id,
            model_hash=model.model_hash,
            sampled=self._generator is not None,
            decoder_warmup_frames=config.decoder_warmup_frames,
        )


class StreamFeatures(_Stream):
    """Latents in, unified features out, frame for frame. See `MingTok.stream_features`."""

    def __init__(self, model: Tokenizer) -> None:
        self._model = model
        self._state = model.semantic_module().transformer.new_state(model.config.max_frames)

    @torch.no_grad()
    def push(self, values: Latents | Tensor) -> Tensor:
        """Add latents (1, n, D), n >= 0; their features (1, n, H)."""
        self._check_open()
        values, _, _ = self._model.unpack(values)
        if values.shape[1] == 0:
            return values.new_zeros(len(values), 0, self._model.config.feature_dim or 0)
        return self._model.features_of(values, self._state)

    def finish(self) -> Tensor:
        """End the stream; nothing is held back, so this is empty: (1, 0, H)."""
        self._finish()
        width = self._model.config.feature_dim or 0
        return torch.zeros(1, 0, width, device=self._model.device, dtype=torch.float32)


class StreamDecoder(_Stream):
    """Latents in, samples out. See `MingTok.stream_decoder`.

    The last (n_fft - hop) / 2 samples (30 ms) that a chunk stands for are held back until the next
    chunk or the end: frames overlap there. Where a latent stands for several frames, the second
    half of the last latent's frames is held back too (40 ms of AudioVAE's 80): they are
    interpolated to the next latent. Pushed `Latents` also carry how many samples they stand
    for, so the end is trimmed to the exact length; with plain tensors every frame counts in full.
    """

    def __init__(self, model: Tokenizer) -> None:
        self._model = model
        self._state = model.new_decoder_state()
        self._expected = 0
        self._emitted = 0
        self._drop = 0  # warm-up samples of a partial read that are still to come

    @torch.no_grad()
    def push(self, values: Latents | Tensor) -> Tensor:
        """Add latents (1, n, D), n >= 0; the samples (1, m) that are complete now."""
        self._check_open()
        frames, _, num_samples = self._model.unpack(values)
        if len(frames) != 1:
            raise UserError(f"a stream decodes one recording, got a batch of {len(frames)}")
        context = values.context_samples if isinstance(values, Latents) else 0
        self._expected += context + int(num_samples[0])
        self._drop += context
        parts = [torch.zeros(1, 0, device=self._model.device, dtype=torch.float32)]
        step = self._model.config.block_latents
        for start in range(0, frames.shape[1], step):
            block = frames[:, start : start + step]
            parts.append(self._model.decode_step(block, self._state))
        return self._emit(torch.cat(parts, dim=1))

    @torch.no_grad()
    def finish(self) -> Tensor:
        """End the stream: the samples (1, m) held back."""
        self._finish()
        if self._expected == 0:
            return torch.zeros(1, 0, device=self._model.device, dtype=torch.float32)
        return self._emit(self._model.decode_flush(self._state))

    def _emit(self, wav: Tensor) -> Tensor:
        wav = wav[:, : self._expected - self._emitted].float()
        self._emitted += wav.shape[1]
        drop = min(self._drop, wav.shape[1])
        self._drop -= drop
        return wav[:, drop:]
