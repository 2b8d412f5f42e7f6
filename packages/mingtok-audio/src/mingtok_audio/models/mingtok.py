"""The tokenizer: speech to continuous latents, unified features, and back.

MingTok-Audio (paper section 3.1) makes 50 latents per second of 16 kHz speech; AudioVAE (of
Ming-omni-tts) makes 12.5 of 44.1 kHz and has no unified features.
Axes: B batch, T samples, L latents, D latent dimensions, H feature width.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
from torch import Tensor, nn

from mingtok_audio.config import MingTokConfig
from mingtok_audio.core.audio import resample
from mingtok_audio.core.config import to_dict
from mingtok_audio.core.errors import AudioError, UserError
from mingtok_audio.core.models.hub import CONFIG_NAME, WEIGHTS_NAME, save_tensors, write_json
from mingtok_audio.latents import Latents
from mingtok_audio.models.decoder import Decoder
from mingtok_audio.models.encoder import Encoder
from mingtok_audio.models.loading import load_model
from mingtok_audio.models.semantic import SemanticModule
from mingtok_audio.modules.posterior import Posterior, frame_noise
from mingtok_audio.modules.transformer import TransformerState
from mingtok_audio.streaming import (
    DecodingState,
    StreamDecoder,
    StreamEncoder,
    StreamFeatures,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from mingtok_audio.models.reference import EncoderLayers


class MingTok(nn.Module):
    """The tokenizer. `from_pretrained` loads one; `MingTok(config)` makes one with random weights.

    The public methods (`encode`, `features`, `decode`, `stream_*`) take and give whole recordings
    without gradients; training uses the submodules and the `*_of` methods.
    """

    def __init__(self, config: MingTokConfig) -> None:
        super().__init__()
        self.config = config
        self.model_id = config.name
        self.model_hash = ""
        width = config.decoder.dim
        self.encoder = Encoder(config)
        self.latent_proj = nn.Linear(config.latent_dim, width)
        self.semantic = None if config.semantic is None else SemanticModule(config.semantic, width)
        self.feature_proj = (
            nn.Linear(config.semantic.dim, width)
            if config.semantic is not None and config.decoder_input == "unified"
            else None
        )
        self.decoder = Decoder(config)

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | Path = "nano",
        *,
        device: str | torch.device = "cpu",
        dtype: str | torch.dtype = "float32",
        window_keys: int | None = None,
        window_layers: int | None = None,
        full_attention: bool = False,
        max_frames: int | None = None,
        encoder_layers: EncoderLayers = "all",
    ) -> Self:
        """Load "nano" (shipped), a folder, "org/name" or "hf://org/name@revision".

        Folders in the published layouts are recognised by their config: MingTok-Audio, AudioVAE,
        and a Ming-omni-tts checkpoint, of which the AudioVAE is read. `window_keys` overrides how
        many keys a query of the encoder and the decoder sees, `window_layers` the first layer that
        has the window, `full_attention` switches the window off: the published code behaves
        differently under different attention implementations. `encoder_layers` says how many
        layers of AudioVAE's encoder run: "all", or "published" for the first 4, which is what the
        published code runs under its pinned library. Raises `UserError` (`HubError`,
        `ConfigError`, `FormatError`) in one line when something does not fit.
        """
        return load_model(
            cls,
            name_or_path,
            device=device,
            dtype=dtype,
            window_keys=window_keys,
            window_layers=window_layers,
            full_attention=full_attention,
            max_frames=max_frames,
            encoder_layers=encoder_layers,
        )

    def save_pretrained(self, folder: str | Path) -> Path:
        """Write `config.json` and `model.safetensors` into a folder, atomically each."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        save_tensors(folder / WEIGHTS_NAME, self.state_dict(), {"format": "pt"})
        write_json(folder / CONFIG_NAME, to_dict(self.config))
        return folder

    @property
    def device(self) -> torch.device:
        return self.latent_proj.weight.device

    @property
    def dtype(self) -> torch.dtype:
        return self.latent_proj.weight.dtype

    @property
    def frame_rate(self) -> float:
        return self.config.frame_rate

    @property
    def decoder_warmup_frames(self) -> int | None:
        """See `MingTokConfig.decoder_warmup_frames`."""
        return self.config.decoder_warmup_frames

    # --- tensors in, tensors out (with gradients) ------------------------------------------------

    def posterior_of(self, wav: Tensor) -> Posterior:
        """wav (B, T) at the model's rate -> posterior of the latents (B, L, D)."""
        return self.encoder(self.encoder.frame(wav))

    def features_of(self, values: Tensor, state: TransformerState | None = None) -> Tensor:
        """latents (B, L, D) -> unified features (B, L, H), whole or the next part of a stream."""
        return self.semantic_module()(self.latent_proj(values), state)

    def decoder_input_of(self, values: Tensor, state: TransformerState | None = None) -> Tensor:
        """latents (B, L, D) -> what the decoder reads, (B, L, C)."""
        if self.feature_proj is None:
            return self.latent_proj(values)
        return self.feature_proj(self.features_of(values, state))

    def wav_of(self, values: Tensor) -> Tensor:
        """latents (B, L, D) -> waveform (B, L * hop)."""
        return self.decoder(self.decoder_input_of(values))

    def semantic_module(self) -> SemanticModule:
        if self.semantic is None:
            raise UserError(
                f"model {self.model_id!r} has no semantic module, so it has no unified features: "
                "use a tokenizer that was trained past its first stage"
            )
        return self.semantic

    # --- whole recordings ------------------------------------------------------------------------

    @torch.no_grad()
    def encode_posterior(
        self, wav: ArrayLike | Tensor, sample_rate: int, lengths: Sequence[int] | None = None
    ) -> Posterior:
        """Posterior of the latents: mean and std (B, L, D), zero beyond each item's frames.

        Arguments as for `encode`.
        """
        wav, sizes, _ = self._prepare(wav, sample_rate, lengths)
        return self._posterior(wav, sizes)

    @torch.no_grad()
    def encode(
        self,
        wav: ArrayLike | Tensor,
        sample_rate: int,
        lengths: Sequence[int] | Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Latents:
        """wav (T,) or (B, T) at any rate -> `Latents` with values (B, L, D).

        `lengths` gives each item's samples at `sample_rate` (the rest of its row is ignored).
        Without a `generator` the latents are the posterior's mean; with one they are drawn from
        it (on the CPU: a seed means the same on every device). Raises `AudioError` for empty
        or non-finite audio.
        """
        wav, sizes, source = self._prepare(wav, sample_rate, lengths)
        posterior = self._posterior(wav, sizes)
        values = posterior.mean
        frames = self._frame_counts(sizes)
        if generator is not None:
            noise = torch.zeros(values.shape, dtype=torch.float32)
            for i, count in enumerate(frames.tolist()):
                shape = torch.Size((1, count, values.shape[-1]))
                noise[i, :count] = frame_noise(shape, generator)[0]
            values = posterior.sample(noise=noise)
        return Latents(
            values=values.float(),
            lengths=frames,
            num_samples=sizes,
            sample_rate=self.config.sample_rate,
            frame_rate=self.config.frame_rate,
            source_sample_rate=sample_rate,
            source_num_samples=source,
            model_id=self.model_id,
            model_hash=self.model_hash,
            sampled=generator is not None,
            decoder_warmup_frames=self.config.decoder_warmup_frames,
        )

    @torch.no_grad()
    def features(self, latents: Latents | Tensor) -> Tensor:
        """Unified features (B, L, H) of latents: what the LM reads; zero beyond each length."""
        values, lengths, _ = self.unpack(latents)
        config = self.semantic_module().transformer.config
        state = self.semantic_module().transformer.new_state(values.shape[1])
        windowed = config.context_frames is not None
        step = self.config.block_latents if windowed else max(1, values.shape[1])
        parts = [
            self.features_of(values[:, i : i + step], state)
            for i in range(0, values.shape[1], step)
        ]
        out = torch.cat(parts, dim=1) if parts else values.new_zeros(len(values), 0, config.dim)
        return out * _mask(lengths, out.shape[1]).to(out)[..., None]

    @torch.no_grad()
    def decode(self, latents: Latents | Tensor) -> Tensor:
        """Waveform (B, T) at the model's rate, float32, zero beyond each item's `num_samples`."""
        values, lengths, _ = self.unpack(latents)
        frames = values.shape[1]
        if frames == 0:
            return torch.zeros(len(values), 0, device=self.device, dtype=torch.float32)
        values = _hold_last(values, lengths)
        state = self.new_decoder_state(len(values), max_frames=frames)
        step = self.config.block_latents if self.decoder_warmup_frames is not None else frames
        parts = [
            self.decode_step(values[:, i : i + step], state, lengths)
            for i in range(0, frames, step)
        ]
        wav = torch.cat([*parts, self.decode_flush(state, lengths)], dim=-1)
        return _trim(wav, latents)

    # --- streams ---------------------------------------------------------------------------------

    def new_decoder_state(self, batch: int = 1, max_frames: int | None = None) -> DecodingState:
        """State of a fresh decoding stream."""
        bound = self.config.max_frames if max_frames is None else max_frames
        semantic = None
        if self.feature_proj is not None:
            semantic = self.semantic_module().transformer.new_state(bound)
        return DecodingState(self.decoder.new_state(batch, self.device, bound), semantic)

    def decode_step(
        self, values: Tensor, state: DecodingState, lengths: Tensor | None = None
    ) -> Tensor:
        """The samples (B, m) that n further latents (B, n, D), n >= 1, complete.

        `lengths` (B,) as for `Decoder.step`.
        """
        hidden = self.decoder_input_of(values, state.semantic)
        return self.decoder.step(hidden, state.decoder, lengths)

    def decode_flush(self, state: DecodingState, lengths: Tensor | None = None) -> Tensor:
        """The samples (B, m) that are held back when a stream of `decode_step` ends."""
        return self.decoder.flush(state.decoder, lengths)

    def stream_encoder(
        self, sample_rate: int = 16000, generator: torch.Generator | None = None
    ) -> StreamEncoder:
        """Encode a stream of samples at `sample_rate`, any chunk size."""
        return StreamEncoder(self, sample_rate, generator)

    def stream_features(self) -> StreamFeatures:
        """Unified features of a stream of latents."""
        return StreamFeatures(self)

    def stream_decoder(self) -> StreamDecoder:
        """Decode a stream of latents, any chunk size."""
        return StreamDecoder(self)

    # --- helpers ---------------------------------------------------------------------------------

    def _posterior(self, wav: Tensor, sizes: Tensor) -> Posterior:
        config = self.config
        frames = self.encoder.frame(wav.to(self.device, self.dtype))
        count = frames.shape[1]
        state = self.encoder.new_state(count)
        windowed = config.encoder.context_frames is not None
        step = config.block_latents * config.frames_per_latent if windowed else count
        valid = _mask(-(-sizes // config.frame_hop), count).to(self.device)
        parts = [
            self.encoder(frames[:, i : i + step], state, valid[:, i : i + step])
            for i in range(0, count, step)
        ]
        latents = -(-count // config.frames_per_latent)
        keep = _mask(self._frame_counts(sizes), latents).to(self.device)[..., None]
        return Posterior(
            torch.cat([p.mean for p in parts], dim=1) * keep,
            torch.cat([p.std for p in parts], dim=1) * keep,
        )

    def _frame_counts(self, sizes: Tensor) -> Tensor:
        return -(-sizes // self.config.hop_length)

    def _prepare(
        self, wav: ArrayLike | Tensor, sample_rate: int, lengths: Sequence[int] | Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """-> (wav (B, T) at the model's rate, samples of each item there, and at the source)."""
        array = np.asarray(wav.detach().cpu() if isinstance(wav, Tensor) else wav)
        if np.issubdtype(array.dtype, np.integer):
            raise AudioError(
                f"expected floating-point samples in [-1, 1], got {array.dtype}: divide by "
                f"{np.iinfo(array.dtype).max + 1}"
            )
        array = np.atleast_2d(array.astype(np.float32, copy=False))
        if array.ndim != 2:
            raise AudioError(f"expected wav of shape (T,) or (B, T), got {array.shape}")
        if sample_rate <= 0:
            raise AudioError(f"sample_rate must be positive, got {sample_rate}")
        source = np.full(len(array), array.shape[1]) if lengths is None else np.asarray(lengths)
        if source.shape != (len(array),) or source.min(initial=1) < 1:
            raise AudioError(
                f"lengths must hold one positive sample count for each of {len(array)} items "
                f"(no audio can be encoded from nothing), got {source.tolist()}"
            )
        if source.max() > array.shape[1]:
            raise AudioError(f"a length of {source.max()} exceeds the {array.shape[1]} samples")
        rows = [row[:count] for row, count in zip(array, source, strict=True)]
        for i, row in enumerate(rows):
            if not np.isfinite(row).all():
                raise AudioError(f"item {i} of the audio holds NaN or infinite samples")
        rows = [resample(row, sample_rate, self.config.sample_rate) for row in rows]
        sizes = torch.tensor([len(row) for row in rows])
        out = torch.zeros(len(rows), int(sizes.max()), dtype=torch.float32)
        for i, row in enumerate(rows):
            out[i, : len(row)] = torch.from_numpy(row)
        return out, sizes, torch.from_numpy(source.astype(np.int64))

    def unpack(self, latents: Latents | Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """-> (values (B, L, D) on the model's device and dtype, lengths (B,), num_samples (B,))."""
        config = self.config
        if isinstance(latents, Tensor):
            latents = Latents(latents, sample_rate=config.sample_rate, frame_rate=config.frame_rate)
        found = (latents.sample_rate, latents.hop_length)
        if found != (config.sample_rate, config.hop_length):
            raise UserError(
                f"the latents stand for {found[1]} samples each at {found[0]} Hz, those of model "
                f"{self.model_id!r} for {config.hop_length} at {config.sample_rate} Hz: decode "
                f"them with the model that made them ({latents.model_id or 'unknown'})"
            )
        if latents.values.shape[-1] != config.latent_dim:
            raise UserError(
                f"the latents have {latents.values.shape[-1]} dimensions, model "
                f"{self.model_id!r} has {config.latent_dim}: decode them with the model "
                f"that made them ({latents.model_id or 'unknown'})"
            )
        return latents.values.to(self.device, self.dtype), latents.lengths, latents.num_samples


def _mask(lengths: Tensor, frames: int) -> Tensor:
    """(B, L), True where the frame exists."""
    return torch.arange(frames) < lengths.cpu()[:, None]


def _hold_last(values: Tensor, lengths: Tensor) -> Tensor:
    """values (B, L, D) with each item's last latent repeated beyond its length.

    Interpolation between latents then ends in each item as it would alone.
    """
    last = (lengths.to(values.device) - 1).clamp_min(0)[:, None]
    index = torch.arange(values.shape[1], device=values.device)[None].minimum(last)
    return values.gather(1, index[..., None].expand_as(values))


def _trim(wav: Tensor, latents: Latents | Tensor) -> Tensor:
    """Drop a partial read's warm-up and all that lies beyond `num_samples`."""
    wav = wav.float()
    if isinstance(latents, Tensor):
        return wav
    wav = wav[:, latents.context_samples :][:, : int(latents.num_samples.max())]
    return wav * _mask(latents.num_samples, wav.shape[1]).to(wav)
