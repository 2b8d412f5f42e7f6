"""The speech language model: tokenizer, compressor, backbone, generation head, stop detector.

Paper sections 3.2 and 5.2. Axes: B batch, L frames, P patches, S tokens, p frames of a patch, d
latent dimensions, D width of the language model.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
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
from uniaudio_lm.config import PartConfig, UniAudioConfig
from uniaudio_lm.interfaces import Backbone, GenerationHead, Phonemizer, StopDetector
from uniaudio_lm.models.layout import lay_out
from uniaudio_lm.plugins import get_host
from uniaudio_lm.prompts import Prompt
from uniaudio_lm.recognition.word_file import find_words
from uniaudio_lm.recognition.word_model import WordModel
from uniaudio_lm.tasks.api import TaskMethods
from uniaudio_lm.text.length import guess_language
from uniaudio_lm.text.phonemes import phoneme_text
from uniaudio_lm.text.tokenizer import TOKENIZER_NAME, TextTokenizer

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from mingtok_audio.core.plugins import PluginHost
    from uniaudio_lm.tasks.edit import EditedSpeech

PART_SLOTS = ("backbone", "compressor", "generation_head", "stop_detector")


class UniAudio(TaskMethods, nn.Module):
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
        self.config = config
        self.model_id = config.name
        self.text = text
        self.tokenizer = MingTok(tokenizer)
        self.backbone = cast(Backbone, _build(get_host(), "backbone", config.backbone))
        dim = self.backbone.dim
        compressor = _build(
            tokenizer_host(), "compressor", config.compressor,
            in_dim=width, patch_size=config.patch_size, out_dim=dim,
        )  # fmt: skip
        self.compressor = cast(Compressor, compressor)
        self.adapter = self._new_adapter()
        head = _build(
            get_host(), "generation_head", config.generation_head,
            cond_dim=dim, latent_dim=latents, patch_size=config.patch_size,
        )  # fmt: skip
        self.generation_head = cast(GenerationHead, head)
        self.phonemizer = _new_phonemizer(config.phonemizer)
        self.folder: Path | None = None
        self._words: WordModel | None = None
        self.kept_silence: Tensor | None = None
        self.use_text_normalizer(config.text_normalizer)
        stop = _build(get_host(), "stop_detector", config.stop_detector, dim=dim)
        self.stop_detector = cast(StopDetector, stop)
        for values, name in ((config.latent_mean, "mean"), (config.latent_std, "std")):
            if values is not None and len(values) != latents:
                raise UserError(
                    f"latent_{name} has {len(values)} values for {latents} latent dimensions"
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
        device_map: str | Path | Mapping[str, str | int] | None = None,
        max_memory: Mapping[str | int, str | int] | None = None,
        offload_folder: str | Path | None = None,
        quantize: str | None = None,
    ) -> Self:
        """Load a folder, "org/name" or "hf://org/name@revision".

        Folders in the published layout are recognised by their config. A part can be replaced: by
        the folder or repository of a trained component, or by the name of a plugin. The name takes
        what the model has in `parts/SLOT/NAME` (nano: `generation_head="dit"`,
        `compressor="pooling"`), and random weights otherwise (for training; parameter-free
        parts work at once).

        Args:
            device, dtype: of everything; None keeps the dtype of the file.
            device_map: "auto", "balanced", or a JSON file or mapping from modules of the backbone
                to "cuda:1", "cpu" or "disk": its layers are spread, all else stays on `device`.
                Needs accelerate.
            max_memory: most bytes of each device ({0: "20GB", "cpu": "60GB"}) for a map that is
                computed.
            offload_folder: where what goes to disk is kept; by default a temporary folder.
            quantize: "int8" keeps the backbone's matrices in 8 bits. Needs torchao.

        Raises:
            UserError: (`HubError`, `ConfigError`, `FormatError`, `PluginError`) in one line.
        """
        from uniaudio_lm.models.loading import Room, load_model

        parts = {
            "backbone": backbone,
            "compressor": compressor,
            "generation_head": generation_head,
            "stop_detector": stop_detector,
        }
        chosen = {slot: part for slot, part in parts.items() if part is not None}
        room = Room(device, dtype, device_map, max_memory, offload_folder, quantize)
        return load_model(cls, name_or_path, room, chosen)

    @property
    def words(self) -> WordModel | None:
        """The words that recognition knows: `words.xz` of the model's folder, read once.

        Raises:
            FormatError: it is damaged.
        """
        if self._words is None and self.folder is not None:
            self._words = find_words(self.folder)
        return self._words

    def save_pretrained(self, folder: str | Path) -> Path:
        """Write a model folder: config, weights (in shards where they are large), text tokenizer,
        and the speech tokenizer's folder.

        Raises:
            UserError: some weights are quantised or offloaded, or the file system refuses.
        """
        from uniaudio_lm.models.saving import save_model

        return save_model(self, Path(folder))

    def train(self, mode: bool = True) -> Self:
        """See `nn.Module.train`. For use on a CPU, weights are laid out as its products read them
        fastest (`models.layout`)."""
        lay_out(self, columns=not mode)
        self.kept_silence = None
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

    # --- what users ask for (tasks.api has the rest) ---------------------------------------------

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
        noise_scale: float | None = None,
    ) -> EditedSpeech:
        """Change a recording (T,) as an instruction says, and make the whole of it anew.

        Args:
            instruction: the sentence that the model was trained with, taken as it stands.
            use_cot: let the model write the new text first: for edits of words. False for edits
                of the sound.
            seed, num_steps, cfg_scale, temperature, noise_scale: as for `synthesize_stream`.

        Raises:
            UserError: (`AudioError`) an empty instruction, a recording that cannot be edited, or a
                model that does not come to speak.
        """
        from uniaudio_lm.tasks.edit import edit
        from uniaudio_lm.tasks.tts import sampling_of

        sampling = sampling_of(self, num_steps, cfg_scale, temperature, noise_scale)
        return edit(
            self, wav, sample_rate, instruction, use_cot=use_cot, seed=seed, sampling=sampling
        )

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


def _new_phonemizer(part: PartConfig | None) -> Phonemizer | None:
    if part is None:
        return None
    return cast(Phonemizer, get_host().create("phonemizer", part.name, **part.options))


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
