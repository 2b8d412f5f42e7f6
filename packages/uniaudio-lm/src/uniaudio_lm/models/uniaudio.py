"""The speech language model: tokenizer, compressor, backbone, generation head, stop detector.

Paper sections 3.2 and 5.2. Axes: B batch, L frames, P patches, S tokens, p frames of a patch, d
latent dimensions, D width of the language model.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

import torch
from torch import Tensor, nn

from mingtok_audio.config import MingTokConfig
from mingtok_audio.core.config import to_dict
from mingtok_audio.core.errors import UserError
from mingtok_audio.core.files import atomic_write
from mingtok_audio.core.weights import save_tensors
from mingtok_audio.interfaces import Compressor
from mingtok_audio.models.mingtok import MingTok
from mingtok_audio.modules.merge import merge_patches
from mingtok_audio.modules.transformer import TransformerState
from mingtok_audio.plugins import get_host as tokenizer_host
from uniaudio_lm.config import PartConfig, UniAudioConfig
from uniaudio_lm.interfaces import Backbone, GenerationHead, StopDetector
from uniaudio_lm.plugins import get_host
from uniaudio_lm.prompts import Prompt
from uniaudio_lm.text.tokenizer import TOKENIZER_NAME, TextTokenizer

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from mingtok_audio.core.plugins import PluginHost
    from uniaudio_lm.tasks.asr import Transcript
    from uniaudio_lm.tasks.edit import EditedSpeech
    from uniaudio_lm.tasks.tts import Speech, SpeechStream, VoicePrompt

PART_SLOTS = ("backbone", "compressor", "generation_head", "stop_detector")


class UniAudio(nn.Module):
    """One model that hears and speaks. `from_pretrained` loads one; the constructor makes one
    with random weights.

    Args:
        config: of the parts.
        tokenizer: config of the speech tokenizer.
        text: the text tokenizer; needed by whatever makes prompts.
    """

    def __init__(
        self, config: UniAudioConfig, tokenizer: MingTokConfig, text: TextTokenizer | None = None
    ) -> None:
        super().__init__()
        if tokenizer.feature_dim is None:
            raise UserError(
                f"tokenizer {tokenizer.name!r} has no semantic module: a language model reads its "
                "features, so it needs a tokenizer trained past the first stage"
            )
        self.config = config
        self.model_id = config.name
        self.text = text
        self.tokenizer = MingTok(tokenizer)
        self.backbone = cast(Backbone, _build(get_host(), "backbone", config.backbone))
        dim = self.backbone.dim
        compressor = _build(
            tokenizer_host(), "compressor", config.compressor,
            in_dim=tokenizer.feature_dim, patch_size=config.patch_size, out_dim=dim,
        )  # fmt: skip
        self.compressor = cast(Compressor, compressor)
        self.adapter = self._new_adapter()
        head = _build(
            get_host(), "generation_head", config.generation_head,
            cond_dim=dim, latent_dim=tokenizer.latent_dim, patch_size=config.patch_size,
        )  # fmt: skip
        self.generation_head = cast(GenerationHead, head)
        stop = _build(get_host(), "stop_detector", config.stop_detector, dim=dim)
        self.stop_detector = cast(StopDetector, stop)
        for values, name in ((config.latent_mean, "mean"), (config.latent_std, "std")):
            if values is not None and len(values) != tokenizer.latent_dim:
                raise UserError(
                    f"latent_{name} has {len(values)} values, the tokenizer "
                    f"{tokenizer.latent_dim} latent dimensions"
                )

    def _new_adapter(self) -> nn.Module:
        out, dim = self.compressor.out_dim, self.backbone.dim
        return nn.Identity() if out == dim else nn.Linear(out, dim)

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | Path,
        *,
        device: str | torch.device = "cpu",
        dtype: str | torch.dtype | None = "float32",
        backbone: str | Path | None = None,
        compressor: str | Path | None = None,
        generation_head: str | Path | None = None,
        stop_detector: str | Path | None = None,
    ) -> Self:
        """Load a folder, "org/name" or "hf://org/name@revision".

        Folders in the published layout are recognised by their config. A part can be replaced: by
        the folder or repository of a trained component, or by the name of a plugin, whose weights
        are then random (for training; parameter-free parts work at once).

        Raises:
            UserError: (`HubError`, `ConfigError`, `FormatError`, `PluginError`) in one line.
        """
        from uniaudio_lm.models.loading import load_model

        parts = {
            "backbone": backbone,
            "compressor": compressor,
            "generation_head": generation_head,
            "stop_detector": stop_detector,
        }
        chosen = {slot: part for slot, part in parts.items() if part is not None}
        return load_model(cls, name_or_path, device=device, dtype=dtype, parts=chosen)

    def save_pretrained(self, folder: str | Path) -> Path:
        """Write a model folder: config, weights, text tokenizer, and the speech tokenizer's
        folder."""
        root = Path(folder)
        root.mkdir(parents=True, exist_ok=True)
        state = {k: v for k, v in self.state_dict().items() if not k.startswith("tokenizer.")}
        save_tensors(root / "model.safetensors", state, {"format": "pt"})
        self.tokenizer.save_pretrained(root / "tokenizer")
        if self.text is not None:
            with atomic_write(root / TOKENIZER_NAME) as temporary:
                self.text.save(temporary)
        with atomic_write(root / "config.json") as temporary:
            temporary.write_text(json.dumps(to_dict(self.config), indent=2) + "\n")
        return root

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
    def patch_seconds(self) -> float:
        """Seconds of one patch."""
        return self.config.patch_size / self.tokenizer.frame_rate

    @property
    def text_tokenizer(self) -> TextTokenizer:
        """The text tokenizer. Raises `UserError` where the model was made without one."""
        if self.text is None:
            raise UserError(f"model {self.model_id!r} has no text tokenizer ({TOKENIZER_NAME})")
        return self.text

    # --- what users ask for ----------------------------------------------------------------------

    def transcribe(
        self,
        wav: ArrayLike | Tensor,
        sample_rate: int,
        language: str | None = None,
        hotwords: Sequence[str] = (),
    ) -> Transcript:
        """What is said in a recording (T,) of any length and rate.

        `language` is what the answer is made to begin with, in the words that the model was
        trained with; `hotwords` are put into the prompt in the published wording. The same input
        gives the same text. Raises `AudioError` for empty or non-finite audio.
        """
        from uniaudio_lm.tasks.asr import transcribe

        return transcribe(self, wav, sample_rate, language, hotwords)

    def synthesize_stream(
        self,
        text: str,
        voice: VoicePrompt | None = None,
        *,
        seed: int = 0,
        num_steps: int | None = None,
        cfg_scale: float | None = None,
        temperature: float | None = None,
    ) -> SpeechStream:
        """Say a text: an iterator over samples (m,), as soon as they are made.

        Args:
            voice: to imitate; None leaves the voice to the model and the seed.
            seed: of all draws; the same on every device.
            num_steps, cfg_scale, temperature: of the generation head; the model's own by default.

        Raises:
            UserError: nothing to say, or a voice that cannot be used. At once, not at the first
                piece.
        """
        from uniaudio_lm.tasks.tts import SpeechStream, make_job, sampling_of

        sampling = sampling_of(self, num_steps, cfg_scale, temperature)
        return SpeechStream(self, make_job(self, text, voice, seed), sampling)

    def synthesize(
        self,
        text: str,
        voice: VoicePrompt | None = None,
        *,
        seed: int = 0,
        num_steps: int | None = None,
        cfg_scale: float | None = None,
        temperature: float | None = None,
    ) -> Speech:
        """Say a text; what `synthesize_stream` gives, as a whole."""
        stream = self.synthesize_stream(
            text, voice, seed=seed, num_steps=num_steps, cfg_scale=cfg_scale,
            temperature=temperature,
        )  # fmt: skip
        return stream.result(torch.cat([torch.zeros(0), *stream]))

    def synthesize_batch(
        self,
        texts: Sequence[str],
        voices: Sequence[VoicePrompt | None] | None = None,
        *,
        seeds: Sequence[int] | None = None,
        num_steps: int | None = None,
        cfg_scale: float | None = None,
        temperature: float | None = None,
    ) -> list[Speech]:
        """Say several texts together; each as `synthesize` says it alone, to rounding.

        `voices` and `seeds` are one for each text; by default no voice and seed 0.
        """
        from uniaudio_lm.tasks.tts import make_job, run_jobs, sampling_of, speech_of

        voices = [None] * len(texts) if voices is None else voices
        seeds = [0] * len(texts) if seeds is None else seeds
        if not len(texts) == len(voices) == len(seeds):
            raise UserError("texts, voices and seeds must be as many of each")
        if not texts:
            return []
        sampling = sampling_of(self, num_steps, cfg_scale, temperature)
        jobs = [make_job(self, *job) for job in zip(texts, voices, seeds, strict=True)]
        parts: list[list[Tensor]] = [[torch.zeros(0)] for _ in jobs]
        for i, wav in run_jobs(self, jobs, sampling):
            parts[i].append(wav)
        rate = self.tokenizer.config.sample_rate
        return [speech_of(job, torch.cat(p), rate) for job, p in zip(jobs, parts, strict=True)]

    def edit(
        self,
        wav: ArrayLike | Tensor,
        sample_rate: int,
        instruction: str,
        *,
        use_cot: bool = True,
        seed: int = 0,
        num_steps: int | None = None,
        cfg_scale: float | None = None,
        temperature: float | None = None,
    ) -> EditedSpeech:
        """Change a recording (T,) as an instruction says, and make the whole of it anew.

        Args:
            instruction: the sentence that the model was trained with, taken as it stands.
            use_cot: let the model write the new text first: for edits of words. False for edits
                of the sound.
            seed, num_steps, cfg_scale, temperature: as for `synthesize_stream`.

        Raises:
            UserError: (`AudioError`) an empty instruction, a recording that cannot be edited, or a
                model that does not come to speak.
        """
        from uniaudio_lm.tasks.edit import edit
        from uniaudio_lm.tasks.tts import sampling_of

        sampling = sampling_of(self, num_steps, cfg_scale, temperature)
        return edit(
            self, wav, sample_rate, instruction, use_cot=use_cot, seed=seed, sampling=sampling
        )

    # --- latents ---------------------------------------------------------------------------------

    def normalize(self, latents: Tensor) -> Tensor:
        """Latents (..., d) in the head's units."""
        if self.config.latent_mean is None or self.config.latent_std is None:
            return latents
        mean = latents.new_tensor(self.config.latent_mean)
        return (latents - mean) / latents.new_tensor(self.config.latent_std)

    def denormalize(self, latents: Tensor) -> Tensor:
        """Latents (..., d) in the tokenizer's units."""
        if self.config.latent_mean is None or self.config.latent_std is None:
            return latents
        mean = latents.new_tensor(self.config.latent_mean)
        return latents * latents.new_tensor(self.config.latent_std) + mean

    # --- audio into the language model -----------------------------------------------------------

    def new_feature_state(self) -> TransformerState:
        """State of a fresh stream of unified features."""
        semantic = self.tokenizer.semantic
        assert semantic is not None
        return semantic.transformer.new_state(self.tokenizer.config.max_frames)

    def embed_audio(
        self, values: Tensor, state: TransformerState | None = None, lengths: Tensor | None = None
    ) -> Tensor:
        """Latents (B, L, d) -> inputs of the language model (B, P, D).

        With a state, it continues that stream and advances it; L is then a multiple of p.
        """
        features = self.tokenizer.features_of(values.to(self.dtype), state)
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


def _build(host: PluginHost, slot: str, part: PartConfig, **shapes: Any) -> nn.Module:
    """A part by name: its options, and those of the shapes that its class takes."""
    found = host.resolve(slot, part.name)
    parameters = inspect.signature(found).parameters
    anything = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
    fitting = {k: v for k, v in shapes.items() if anything or k in parameters}
    # Widths follow from the other parts, whatever the options of a stray component say; only the
    # width of a compressor's patches is free, for an adapter stands behind it.
    free = {k: v for k, v in fitting.items() if k == "out_dim"}
    return host.create(slot, part.name, **{**free, **part.options, **_without(fitting, free)})


def _without(table: dict[str, Any], gone: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in table.items() if k not in gone}
