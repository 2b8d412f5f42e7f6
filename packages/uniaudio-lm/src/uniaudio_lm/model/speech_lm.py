"""The network: tokenizer, compressor, backbone, generation head, stop detector.

Paper sections 3.2 and 5.2. What a user calls is `uniaudio_lm.engine.UniAudio`, which holds one of
these. Axes: B batch, L frames, P patches, S tokens, p frames of a patch, d latent dimensions, D
width of the language model.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mingtok_audio.config import MingTokConfig
from mingtok_audio.core.errors import UserError
from mingtok_audio.interfaces import Compressor
from mingtok_audio.models.mingtok import MingTok
from mingtok_audio.modules.merge import merge_patches
from mingtok_audio.modules.transformer import TransformerState
from mingtok_audio.plugins import get_host as tokenizer_host
from mingtok_audio.streaming import DecodingState
from uniaudio_lm.config import PartConfig, UniAudioConfig
from uniaudio_lm.interfaces import (
    Backbone,
    GenerationHead,
    Phonemizer,
    SpeechDecoder,
    StopDetector,
)
from uniaudio_lm.model.layout import lay_out
from uniaudio_lm.model.prompts import Prompt
from uniaudio_lm.plugins import get_host
from uniaudio_lm.text.length import guess_language
from uniaudio_lm.text.phonemes import phoneme_text
from uniaudio_lm.text.tokenizer import TOKENIZER_NAME, TextTokenizer

if TYPE_CHECKING:
    from mingtok_audio.core.plugins import PluginHost

PART_SLOTS = ("backbone", "compressor", "generation_head", "stop_detector")


class SpeechLM(nn.Module):
    """The weights of one model, with random numbers in them until they are loaded.

    Args:
        config: of the parts.
        tokenizer: config of the speech tokenizer.
        text: the text tokenizer; needed wherever prompts are made.
        backbone: one that is there already; None builds the config's.

    Attributes:
        model_id: name of the model, for reports.
        folder: that the weights were read from; None for a fresh model.
    """

    def __init__(
        self,
        config: UniAudioConfig,
        tokenizer: MingTokConfig,
        text: TextTokenizer | None = None,
        *,
        backbone: Backbone | None = None,
    ) -> None:
        super().__init__()
        latents = config.latent_dims or tokenizer.latent_dim
        if latents > tokenizer.latent_dim:
            raise UserError(f"latent_dims is {latents}, the tokenizer has {tokenizer.latent_dim}")
        width = latents if config.audio_input == "latent" else tokenizer.feature_dim
        if width is None:
            raise UserError(
                f"tokenizer {tokenizer.name!r} has no semantic module: a language model reads its "
                "features, so it needs a tokenizer trained past the first stage (or the config's "
                'audio_input "latent")'
            )
        for values, name in ((config.latent_mean, "mean"), (config.latent_std, "std")):
            if values is not None and len(values) != latents:
                raise UserError(
                    f"latent_{name} has {len(values)} values for {latents} latent dimensions"
                )
        self.config = config
        self.model_id = config.name
        self.folder: Path | None = None
        self.text = text
        self.tokenizer = MingTok(tokenizer)
        if backbone is None:
            backbone = cast(Backbone, build_part(get_host(), "backbone", config.backbone))
        self.backbone = backbone
        dim = self.backbone.dim
        self.compressor = _new_compressor(config, width, dim)
        self.adapter = self._new_adapter()
        shapes = {"cond_dim": dim, "latent_dim": latents, "patch_size": config.patch_size}
        head = build_part(get_host(), "generation_head", config.generation_head, **shapes)
        self.generation_head = cast(GenerationHead, head)
        stop = build_part(get_host(), "stop_detector", config.stop_detector, dim=dim)
        self.stop_detector = cast(StopDetector, stop)
        self.speaker_proj = (
            None if config.speaker_dim is None else nn.Linear(config.speaker_dim, dim)
        )
        self.speech_decoder: SpeechDecoder | None = None
        if config.speech_decoder is not None:
            dims = {"latent_dim": tokenizer.latent_dim}
            part = build_part(get_host(), "speech_decoder", config.speech_decoder, **dims)
            self.speech_decoder = cast(SpeechDecoder, part)
        self._silence: Tensor | None = None
        self.phonemizer: Phonemizer | None = None
        if config.phonemizer is not None:
            self.phonemizer = get_host().create(
                "phonemizer", config.phonemizer.name, **config.phonemizer.options
            )

    def _new_adapter(self) -> nn.Module:
        out, dim = self.compressor.out_dim, self.backbone.dim
        return nn.Identity() if out == dim else nn.Linear(out, dim)

    def train(self, mode: bool = True) -> Self:
        """See `nn.Module.train`. For use on a CPU, weights are laid out as matrix products read
        them fastest (`model.layout`)."""
        lay_out(self, columns=not mode)
        self._silence = None
        return super().train(mode)

    @property
    def device(self) -> torch.device:
        return self.tokenizer.device

    @property
    def dtype(self) -> torch.dtype:
        return self.tokenizer.dtype

    @property
    def dim(self) -> int:
        """D."""
        return self.backbone.dim

    @property
    def latent_dims(self) -> int:
        """Dimensions of the latents that the language model reads and says."""
        return self.config.latent_dims or self.tokenizer.config.latent_dim

    @property
    def history_latents(self) -> int:
        """Latents that the generation head reads as history."""
        return self.config.history_latents or self.config.patch_size

    @property
    def patch_seconds(self) -> float:
        """Seconds of one patch."""
        return self.config.patch_size / self.tokenizer.frame_rate

    @property
    def text_tokenizer(self) -> TextTokenizer:
        """The text tokenizer. Raises `UserError` where the model was made without one."""
        if self.text is None:
            raise UserError(f"model {self.model_id!r} has no text tokenizer ({TOKENIZER_NAME})")
        return self.text

    def speakable(self, text: str, language: str | None = None) -> str:
        """A text as the model reads what it is to say: phonemes where it was trained on them."""
        if self.phonemizer is None:
            return text
        return phoneme_text(text, self.phonemizer, language or guess_language(text))

    # --- latents ---------------------------------------------------------------------------------

    def normalize(self, latents: Tensor) -> Tensor:
        """Latents (..., d) as the head has them: its dimensions, in its units."""
        latents = latents[..., : self.latent_dims]
        if self.config.latent_mean is None or self.config.latent_std is None:
            return latents
        mean = latents.new_tensor(self.config.latent_mean)
        return (latents - mean) / latents.new_tensor(self.config.latent_std)

    def denormalize(self, latents: Tensor) -> Tensor:
        """What the head says as the tokenizer's latents (..., d)."""
        if self.config.latent_mean is not None and self.config.latent_std is not None:
            mean = latents.new_tensor(self.config.latent_mean)
            latents = latents * latents.new_tensor(self.config.latent_std) + mean
        return self._said_only(latents)

    # --- generated latents to sound --------------------------------------------------------------

    def new_speech_state(self, batch: int = 1) -> DecodingState:
        """State of a fresh stream of `speech_step`."""
        if self.speech_decoder is not None:
            return self.speech_decoder.new_state(batch)
        return self.tokenizer.new_decoder_state(batch)

    def speech_step(self, latents: Tensor, state: DecodingState) -> Tensor:
        """The samples (B, m) that n further generated latents (B, n, d) complete."""
        if self.speech_decoder is not None:
            return self.speech_decoder.step(latents, state)
        return self.tokenizer.decode_step(latents, state)

    def speech_flush(self, state: DecodingState) -> Tensor:
        """The samples (B, m) that are held back when a stream ends."""
        if self.speech_decoder is not None:
            return self.speech_decoder.flush(state)
        return self.tokenizer.decode_flush(state)

    @torch.no_grad()
    def speech_of(self, latents: Tensor) -> Tensor:
        """Generated latents (B, L, d) as a waveform (B, T)."""
        if self.speech_decoder is not None:
            return self.speech_decoder(latents)
        return self.tokenizer.decode(latents)

    @torch.no_grad()
    def silence(self) -> Tensor:
        """The latent frame (d,) of digital silence, in the head's units. It is encoded once, and
        again after training (every thread that does so at the same time finds the same)."""
        kept = self._silence
        if kept is None or (kept.device, kept.dtype) != (self.device, self.dtype):
            rate = self.tokenizer.config.sample_rate
            latents = self.tokenizer.encode(torch.zeros(rate, dtype=torch.float32), rate).values
            kept = self.normalize(latents[0, -1]).to(self.device, self.dtype)
            if not self.training:
                self._silence = kept
        return kept

    # --- audio into the language model -----------------------------------------------------------

    def new_feature_state(self) -> TransformerState:
        """State of a fresh stream of what the language model reads."""
        if self.config.audio_input == "latent":
            return TransformerState()
        semantic = self.tokenizer.semantic
        assert semantic is not None
        return semantic.transformer.new_state(self.tokenizer.config.max_frames)

    def audio_features(self, values: Tensor, state: TransformerState | None = None) -> Tensor:
        """Latents (B, L, d) -> what the compressor reads (B, L, H), whole or the next part of a
        stream."""
        if self.config.audio_input == "unified":
            return self.tokenizer.features_of(self._said_only(values).to(self.dtype), state)
        if state is not None:
            state.position += values.shape[1]
        return self.normalize(values.to(self.dtype))

    def _said_only(self, values: Tensor) -> Tensor:
        """Latents (..., d) or what is said of them, with zeros in the dimensions that never are."""
        unsaid = self.tokenizer.config.latent_dim - self.latent_dims
        return F.pad(values[..., : self.latent_dims], (0, unsaid)) if unsaid else values

    def embed_audio(
        self, values: Tensor, state: TransformerState | None = None, lengths: Tensor | None = None
    ) -> Tensor:
        """Latents (B, L, d) -> inputs of the language model (B, P, D).

        With a state, it continues that stream and advances it; L is then a multiple of p.
        """
        features = self.audio_features(values, state)
        patches, _ = self.compressor(features, lengths)
        return self.adapter(patches)

    def embed_prompt(self, prompt: Prompt, patches: list[Tensor]) -> tuple[Tensor, Tensor]:
        """A prompt and the patches (P, D) of its recordings -> embeddings (1, S, D), and the mask
        (1, S) that is True where audio stands."""
        ids = torch.tensor([prompt.ids], device=self.device)
        embeds = self.backbone.embed(ids)
        if not patches or not sum(count for _, count in prompt.spans):
            return embeds, torch.zeros(ids.shape, dtype=torch.bool, device=self.device)
        lengths = torch.tensor([[len(part) for part in patches]])
        spans = torch.tensor([prompt.spans])
        return merge_patches(embeds, torch.cat(patches)[None].to(embeds), lengths, spans)


def _new_compressor(config: UniAudioConfig, width: int, dim: int) -> Compressor:
    """The compressor of frames of `width` channels; one that projects gives vectors of the
    language model's width unless its options say otherwise."""
    host, part = tokenizer_host(), config.compressor
    options = dict(part.options)
    if host.resolve("compressor", part.name).projects:
        options.setdefault("out_dim", dim)
    part = PartConfig(part.name, options)
    shapes = {"in_dim": width, "patch_size": config.patch_size}
    return cast(Compressor, build_part(host, "compressor", part, **shapes))


def build_part(host: PluginHost, slot: str, part: PartConfig, **shapes: Any) -> nn.Module:
    """A part by name. `shapes` are the keywords that its slot's interface promises to take; they
    follow from the other parts, whatever the options of a stray component say."""
    return host.create(slot, part.name, **{**part.options, **shapes})
