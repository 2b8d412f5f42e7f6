"""Configuration of the speech language model: plain dataclasses, free of torch.

A model folder holds `config.json` (this, as JSON), `model.safetensors` with everything but the
tokenizer, `tokenizer.json` (text), and the folder `tokenizer/` (speech).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from mingtok_audio.core.models.components import PinnedModel

FORMAT_VERSION = 1
MAX_NOISE_SCALE = 2.0
MAX_WORD_WEIGHT = 10.0


@dataclass(frozen=True)
class PartConfig:
    """One part: the name of a plugin in the part's slot, and its own options.

    What follows from other parts (widths, patch size) is not repeated here.
    """

    name: str
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class CoverageConfig:
    """Which attention heads were taught to look at what is said next (`loss.attention`), and what a
    text loses for each patch of speech that it leaves out, in nats."""

    layer: int
    heads: list[int]
    weight: float = 1.0

    def __post_init__(self) -> None:
        if self.layer < 0 or not self.heads or min(self.heads) < 0:
            raise ValueError("coverage needs a layer and at least one of its heads")
        if not self.weight >= 0:
            raise ValueError("the weight of coverage cannot be negative")


@dataclass(frozen=True)
class UniAudioConfig:
    """A speech language model.

    Attributes:
        latent_dims: how many of the latents' dimensions the language model reads and says, from the
            first; the others are 0 in what it says. None: all. A tokenizer whose first dimensions
            describe speech without its phase has others that no text foretells.
        latent_mean, latent_std: per latent dimension; the head works on (latent - mean) / std.
            None: on the latents as they are (published).
        patch_size: frames of a patch.
        audio_input: what of the tokenizer the language model reads: "unified" features, or
            "latent" (normalised as for the head; the paper's figure 8 compares both).
        phonemizer: turns what is to be said into phonemes; None: the model reads letters.
        text_normalizer: writes numbers and signs as they are said; None: texts go in as they are.
        piece_seconds: about how much speech is said at once; longer texts are cut at sentences.
            What a model was trained on is a good choice.
        num_steps, cfg_scale, temperature: what the head samples with by default.
        noise_scale: of the noise that a patch begins as; 1 is what the head was trained with. Less
            gives less varied and often clearer speech (not in the paper).
        beams: texts that recognition follows at once (`beam_search`); 1 takes the likeliest token.
        hotword_boost: what a hotword's every token adds to a text's log-probability; 0 leaves
            hotwords to the prompt alone (published).
        word_weight: of what the model's `words.xz`, if it has one, says of a text's words;
            0: nothing.
        word_bonus: what every word earns a text then, in nats.
        coverage: recognition holds texts to saying all of a recording; None: it does not
            (published).
        tokenizer: the speech tokenizer that it was trained with.
    """

    backbone: PartConfig
    generation_head: PartConfig
    stop_detector: PartConfig
    compressor: PartConfig
    tokenizer: PinnedModel | None = None
    patch_size: int = 5
    audio_input: Literal["unified", "latent"] = "unified"
    phonemizer: PartConfig | None = None
    text_normalizer: PartConfig | None = field(default_factory=lambda: PartConfig("rules"))
    latent_dims: int | None = None
    latent_mean: list[float] | None = None
    latent_std: list[float] | None = None
    piece_seconds: float = 12.0
    num_steps: int = 10
    cfg_scale: float = 2.0
    temperature: float = 0.0
    noise_scale: float = 1.0
    beams: int = 1
    hotword_boost: float = 0.0
    word_weight: float = 0.0
    word_bonus: float = 1.0
    coverage: CoverageConfig | None = None
    name: str = "uniaudio"
    model_type: Literal["uniaudio"] = "uniaudio"
    format_version: int = FORMAT_VERSION

    def __post_init__(self) -> None:
        if self.format_version != FORMAT_VERSION:
            raise ValueError(
                f"format_version {self.format_version} is not known (this release reads "
                f"{FORMAT_VERSION}); upgrade uniaudio-lm"
            )
        if self.patch_size < 1 or self.num_steps < 1:
            raise ValueError("patch_size and num_steps must be at least 1")
        if not self.piece_seconds > 0:
            raise ValueError("piece_seconds must be positive")
        if self.latent_dims is not None and self.latent_dims < 1:
            raise ValueError("latent_dims must be at least 1")
        if not 1 <= self.beams <= 64 or self.hotword_boost < 0:
            raise ValueError("beams is from 1 to 64, hotword_boost cannot be negative")
        if not 0 <= self.word_weight <= MAX_WORD_WEIGHT:
            raise ValueError(f"word_weight is from 0 to {MAX_WORD_WEIGHT:g}")
        if self.temperature < 0:
            raise ValueError("temperature cannot be negative")
        if not 0 <= self.noise_scale <= MAX_NOISE_SCALE:
            raise ValueError(f"noise_scale is from 0 to {MAX_NOISE_SCALE:g}")
        if (self.latent_mean is None) != (self.latent_std is None):
            raise ValueError("latent_mean and latent_std go together")
        if self.latent_std is not None and min(self.latent_std) <= 0:
            raise ValueError("latent_std must be positive")
