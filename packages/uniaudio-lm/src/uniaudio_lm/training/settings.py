"""What a YAML file says of a joint run (paper sections 5.1, 5.2, 5.4; tables 5 and 6)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from mingtok_audio.config import TransformerConfig
from mingtok_audio.trainer.loop import OptimConfig, TrainerConfig
from mingtok_audio.training.data import Augmentation
from mingtok_audio.training.manifests import Source
from uniaudio_lm.config import PartConfig, Sampling

PARTS = ("backbone", "compressor", "adapter", "generation_head", "stop_detector")


@dataclass(frozen=True)
class Understanding:
    """Recognition: speech in, "language TAB text" out."""

    train: list[Source] = field(default_factory=list)
    valid: list[Source] = field(default_factory=list)
    """Held-out items for the figures of an evaluation."""
    max_tokens: int = 5500
    """Of a padded batch: prompt, patches and answer."""
    longest: float = 30.0
    """Seconds; longer recordings are left out."""
    variants: int = 0
    """Augmented copies of each recording, made once and cached; one of them or the recording
    itself is drawn each time."""
    augmentation: Augmentation | None = None
    """Of the variants; None takes the defaults."""
    hotwords: float = 0.0
    """Share of the items whose prompt lists words: some that are said, some that are not."""

    def __post_init__(self) -> None:
        _check_data(self.max_tokens, self.longest)
        if self.variants < 0 or not 0 <= self.hotwords <= 1:
            raise ValueError("variants cannot be negative, hotwords is in [0, 1]")
        if self.augmentation is not None and not self.variants:
            raise ValueError("augmentation needs variants: how many copies of each recording")


@dataclass(frozen=True)
class Phase:
    """A part of a length curriculum."""

    batches: int
    longest: float
    """Seconds."""


@dataclass(frozen=True)
class Generation:
    """Speech: text in, patches out."""

    train: list[Source] = field(default_factory=list)
    valid: list[Source] = field(default_factory=list)
    max_tokens: int = 2000
    longest: float = 30.0
    curriculum: list[Phase] = field(default_factory=list)
    """Shorter items first; after the last phase all of them."""
    text: Literal["model", "phonemes"] = "model"
    """What is read: the text as the model prepares it, or the manifest's own phonemes."""
    continued: float = 0.0
    """Share of the items that follow another one of the same speaker: how a voice prompt looks."""

    def __post_init__(self) -> None:
        _check_data(self.max_tokens, self.longest)
        if not 0 <= self.continued <= 1:
            raise ValueError("continued is a share in [0, 1]")
        if any(p.batches < 1 or p.longest <= 0 for p in self.curriculum):
            raise ValueError("a phase of the curriculum needs batches and a length")


@dataclass(frozen=True)
class Latents:
    """Where the tokenizer's posteriors are kept, and what is taken from them."""

    cache: str = ".data/latents"
    draw: Literal["sample", "mean"] = "sample"
    """A fresh sample whenever an item is used, or always the mean."""
    memory_gb: float = 2.0
    """Kept in memory beside the files."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Of the encoder's products: bf16 takes half the time, and moves latents by about 1 %."""
    description: str | None = None
    """Components of described latents (`mingtok_audio.training.description`): these are computed
    from the recordings, and the tokenizer's encoder, which may be in training, is not asked."""
    described: tuple[Literal["understanding", "generation"], ...] = ("understanding", "generation")
    """The tasks that `description` is for. Once the encoder is trained, recognition does better to
    learn from what it reads at inference: the encoder's output, with its errors."""

    def only(self, task: str) -> Latents:
        """These settings for one task."""
        if task in self.described:
            return self
        return replace(self, description=None)


@dataclass(frozen=True)
class JointData:
    """Both tasks, and how steps are shared between them."""

    understanding: Understanding = field(default_factory=Understanding)
    generation: Generation = field(default_factory=Generation)
    ratio: tuple[int, int] = (1, 3)
    """Steps of understanding and of generation in turn; 0 leaves a task out."""
    latents: Latents = field(default_factory=Latents)
    audio: Literal["recorded", "phonemes"] = "recorded"
    """"phonemes" puts embeddings of the phonemes in each patch in the place of audio, and reads no
    recording: what a language model learns first and fastest (not in the paper). The embeddings
    are written beside the model, for `symbols` of a later run."""
    workers: int = 0
    """Threads that make batches ahead."""

    def __post_init__(self) -> None:
        if min(self.ratio) < 0 or not sum(self.ratio):
            raise ValueError("ratio needs two whole numbers that are not both 0, as in [1, 3]")
        for steps, task in zip(self.ratio, ("understanding", "generation"), strict=True):
            if steps and not getattr(self, task).train:
                raise ValueError(f"{task}.train names no manifest (or leave it out: ratio 0)")


@dataclass(frozen=True)
class Guide:
    """Guided attention: two heads of one layer look at what is being said (not in the paper).

    It needs items with `phonemes` and `durations` in the manifest; others are left alone.
    """

    weight: float = 0.0
    layer: int = 2
    heads: tuple[int, ...] = (0, 1)
    answer_heads: tuple[int, ...] = ()
    """Heads that look, while an answer is written, at the patches in which its next token is said;
    none: recognition is not guided."""
    hold: int = 1000
    """Steps at full weight; from there it falls to 0 at step `until`."""
    until: int = 4000

    def at(self, step: int) -> float:
        """The weight at a step."""
        if step <= self.hold:
            return self.weight
        return self.weight * max(0.0, (self.until - step) / max(1, self.until - self.hold))


@dataclass(frozen=True)
class JointLoss:
    """flow + text + stop + balance. The terms after `balance` are not in the paper."""

    flow: float = 1.0
    text: float = 1.0
    stop: float = 1.0
    """Of the stop detector's own loss, which has the paper's factor 0.01 already."""
    balance: float = 0.01
    """Load balance of the routers, where the backbone has experts."""
    draws: int = 1
    """Times and noises for each patch."""
    cond_dropout: float | None = None
    """None keeps the head's own (the paper's 0.1)."""
    time_distribution: Literal["uniform", "logit_normal"] | None = None
    """None keeps the head's own."""
    history_noise: float = 0.0
    """Largest standard deviation, in the head's units, of noise on the patch before: what was
    generated is never as clean as what was recorded."""
    input_noise: float = 0.0
    """The same for what the language model reads of the speech so far."""
    answer_noise: float = 0.0
    """Share of an answer's tokens that are replaced by random ones at the input; the labels stay.
    It makes recognition robust to its own earlier mistakes (like scheduled sampling)."""
    attention: Guide = field(default_factory=Guide)
    phoneme: float = 0.0
    """Cross-entropy of the phonemes in each patch through a linear layer that is thrown away: from
    the hidden state that a patch is said from, and in recognition from the one a patch later."""
    symbols: float = 0.0
    """Squared error of audio in the language model's input to the embeddings of the phonemes in
    it, relative to their variance, to start a compressor from. Where flow, text and stop are 0,
    the language model is not run at all."""
    frames: float = 0.0
    """Cross-entropy of the phoneme in each frame from the unified features, through linear layers
    that are thrown away: what a semantic module learns from phoneme times (with `semantic`)."""
    frame_delays: tuple[int, ...] = (0, 4)
    """Frames of 20 ms after which the features say what a frame held: at once, and once what
    follows has been heard."""

    def __post_init__(self) -> None:
        if self.draws < 1 or min(self.history_noise, self.input_noise) < 0:
            raise ValueError("draws is at least 1, noise cannot be negative")
        if not 0 <= self.answer_noise < 1:
            raise ValueError("answer_noise is a share, from 0 to below 1")
        if self.frames and (not self.frame_delays or min(self.frame_delays) < 0):
            raise ValueError("frame_delays needs numbers of frames, 0 or more")


@dataclass(frozen=True)
class LoraConfig:
    """Low-rank adapters on linear layers; their parts are frozen but for them."""

    rank: int = 16
    alpha: float = 32.0
    targets: list[str] = field(
        default_factory=lambda: [r"backbone\..*\.(qkv|out|gate_up|down|[qkvo]_proj)"]
    )
    """Regular expressions that match whole names of linear layers."""

    def __post_init__(self) -> None:
        if self.rank < 1 or not self.targets:
            raise ValueError("rank is at least 1, and targets name something")


@dataclass(frozen=True)
class FreshModel:
    """A model around a trained tokenizer: of random weights, or of a text language model and parts
    of random weights."""

    backbone: PartConfig | str | None = None
    """A part of random weights, whose vocabulary size follows from the text tokenizer; the folder
    or Hub id of a text language model (`uniaudio_lm.checkpoint.text_llm`); or None where `init`
    names one."""
    generation_head: PartConfig = field(default_factory=lambda: PartConfig("mlp"))
    stop_detector: PartConfig = field(
        default_factory=lambda: PartConfig("guarded", {"stop_after_patch": False})
    )
    compressor: PartConfig = field(default_factory=lambda: PartConfig("pooling"))
    phonemizer: PartConfig | None = None
    tokenizer: str = "nano"
    """The speech tokenizer: "nano", a folder or a Hub id."""
    semantic: TransformerConfig | None = None
    """Give the tokenizer a fresh semantic module (for trials; a trained one is better)."""
    audio_input: Literal["unified", "latent"] = "unified"
    text_tokenizer: str | None = None
    """A `tokenizer.json`; None learns one from the training texts, or takes that of the text
    language model."""
    text_pieces: int | None = None
    """Pieces that are learned, beside bytes, phonemes and special tokens; None: 500."""
    latent_dims: int | None = None
    """See `UniAudioConfig`."""
    normalize_latents: bool = True
    """Measure mean and deviation of the training latents; the head works in those units."""
    patch_size: int = 5
    sampling: Sampling = field(default_factory=Sampling)
    """How it speaks by default."""
    name: str = "my-uniaudio"

    def __post_init__(self) -> None:
        if self.latent_dims is not None and self.latent_dims < 1:
            raise ValueError("latent_dims must be at least 1")
        if self.text_pieces is not None and self.text_pieces < 0:
            raise ValueError("text_pieces cannot be negative")


@dataclass(frozen=True)
class Evaluation:
    """What is made at every evaluation, beside the losses on the `valid` manifests."""

    batches: int = 4
    """Of each task."""
    sentences: list[str] = field(default_factory=list)
    """Said with the averaged weights: wavs and spectrograms in `samples/`."""
    recordings: list[str] = field(default_factory=list)
    """Audio files that are transcribed into `samples/transcripts.tsv`."""


@dataclass(frozen=True)
class JointConfig:
    """A whole run, as its YAML file says it."""

    data: JointData
    init: str | None = None
    """Trained weights to start from: a speech language model's folder (any layout) or Hub id; with
    `model`, a text language model's."""
    init_dtype: Literal["float32", "bfloat16"] = "float32"
    """Of the weights of `init` that stay as they are; those that learn are in float32. bfloat16
    needs trainer.mixed_precision bf16. The tokenizer stays in float32."""
    model: FreshModel | None = None
    """A fresh model; None with an `init` that is a speech language model."""
    parts: dict[str, str | PartConfig] = field(default_factory=dict)
    """Parts of `init` to replace by slot: a plugin's name, or name and options (random weights
    then), or the folder of a trained component; as backbone also that of a text language model,
    which brings its text tokenizer."""
    head_init: str | None = None
    """A model folder whose generation head is taken over (table 5: from a single-task run)."""
    learn: list[str] = field(default_factory=lambda: list(PARTS))
    """Parts that are trained; the others stay as they are, bit for bit."""
    symbols: str | None = None
    """Embeddings of phonemes (`symbols.safetensors` of a run with `data.audio: phonemes`). In such
    a run they stay as they are, so that what a compressor learned from them goes on being right."""
    semantic: bool = False
    """Train the tokenizer's semantic module too (the full fine-tuning stage)."""
    lora: LoraConfig | None = None
    loss: JointLoss = field(default_factory=JointLoss)
    optim: OptimConfig = field(default_factory=OptimConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    evaluation: Evaluation = field(default_factory=Evaluation)
    stage: Literal["joint"] = "joint"

    def __post_init__(self) -> None:
        if self.init is None and self.model is None:
            raise ValueError(
                "give `model` (a fresh model), `init` (trained weights), or both (parts around a "
                "text language model)"
            )
        if self.model is not None:
            self._check_fresh(self.model)
        unknown = [name for name in self.learn if name not in PARTS]
        if unknown:
            raise ValueError(f"learn: {unknown[0]!r} is not a part: {', '.join(PARTS)}")
        if self.parts and self.model is not None:
            raise ValueError("parts replaces parts of `init`; a fresh model names its own")
        if self.data.audio == "phonemes" and self.loss.flow:
            raise ValueError("data.audio: phonemes has no latents to generate: set loss.flow to 0")
        if self.loss.symbols and self.symbols is None:
            raise ValueError("loss.symbols needs the embeddings that `symbols` names")
        if self.loss.frames and not self.semantic:
            raise ValueError("loss.frames teaches the semantic module: set semantic: true")

    def _check_fresh(self, model: FreshModel) -> None:
        if (model.backbone is None) == (self.init is None):
            raise ValueError(
                "model.backbone: give the backbone there, or a text language model as `init`, and "
                "not both"
            )
        pretrained = self.init is not None or isinstance(model.backbone, str)
        if pretrained and (model.text_tokenizer is not None or model.text_pieces is not None):
            raise ValueError(
                "model.text_tokenizer and model.text_pieces: a text language model brings its own "
                "tokenizer"
            )


def _check_data(max_tokens: int, longest: float) -> None:
    if max_tokens < 1 or longest <= 0:
        raise ValueError("max_tokens and longest must be positive")
