"""Configuration of the speech language model: plain dataclasses, free of torch.

A model folder holds `config.json` (this, as JSON), `model.safetensors` with everything but the
tokenizer, `tokenizer.json` (text), and the folder `tokenizer/` (speech).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict

from mingtok_audio.core.config import from_dict
from mingtok_audio.core.errors import ConfigError, UserError
from mingtok_audio.core.models.components import PinnedModel

FORMAT_VERSION = 2
Task = Literal["recognition", "speech", "questions", "edits"]
MAX_NOISE_SCALE = 2.0
MAX_WORD_WEIGHT = 10.0
MAX_BEAMS = 64


PromptFormat = Literal["uniaudio", "omni_chatml", "omni_role", "ming3"]


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
class Sampling:
    """How patches of speech are sampled; see `GenerationHead.sample`.

    Attributes:
        num_steps: steps of the solver for each patch, from 1.
        cfg_scale: guidance scale; 0 samples from the condition alone.
        temperature: of the noise between solver steps; 0 adds none.
        noise_scale: scale of the initial noise, 0 to 2; 1 is what the head was trained with. Lower
            values give less varied and often clearer speech (not in the paper).
    """

    num_steps: int = 10
    cfg_scale: float = 2.0
    temperature: float = 0.0
    noise_scale: float = 1.0

    def __post_init__(self) -> None:
        if self.num_steps < 1:
            raise ValueError(f"solver steps (num_steps) must be at least 1, not {self.num_steps}")
        if self.temperature < 0:
            raise ValueError("temperature cannot be negative")
        if not 0 <= self.noise_scale <= MAX_NOISE_SCALE:
            raise ValueError(
                f"the noise scale (noise_scale) is from 0 to {MAX_NOISE_SCALE:g}, not "
                f"{self.noise_scale:g}"
            )


class SamplingChanges(TypedDict, total=False):
    """The fields of `Sampling` as keywords; a field that is missing or None keeps its value."""

    num_steps: int | None
    cfg_scale: float | None
    temperature: float | None
    noise_scale: float | None


@dataclass(frozen=True)
class SegmentConfig:
    """The segments that a model recognises: stretches of speech, found by their energy.

    Attributes:
        longest: seconds of speech, at most: what the model was trained on.
        pause: seconds without speech at which a segment ends.
    """

    longest: float
    pause: float = 0.3

    def __post_init__(self) -> None:
        if not (self.longest >= 1 and self.pause > 0):
            raise ValueError("segments need at least 1 s, and a pause above 0 s")


@dataclass(frozen=True)
class RecognitionConfig:
    """How recognition searches for a text. The paper's way is the default: one beam, nothing else.

    Attributes:
        languages: codes of the languages that it was trained on ("en"); None: not known, every
            hint is passed on in the words of the caller.
        recognizer: a part that recognises in the language model's place (`recognizer` slot); None:
            the language model does it, as the paper has it.
        segments: recordings are brought to one level, and their speech is recognised in segments
            cut at pauses. None: as published, whole recordings of up to 30 s, longer ones cut at
            their quietest places.
        beams: hypotheses that the beam search keeps; 1 takes the likeliest token.
        hotword_boost: nats that every token of a hotword adds to a hypothesis; 0 leaves hotwords to
            the prompt alone.
        word_model: a plugin that scores words (`word_model` slot); None: no word model.
        word_weight: weight of its log-probabilities; 0 switches it off.
        word_bonus: nats that every word adds, against a bias to few long words.
        coverage: penalty for audio that a hypothesis leaves out; None: no penalty.
    """

    languages: list[str] | None = None
    recognizer: PartConfig | None = None
    segments: SegmentConfig | None = None
    beams: int = 1
    hotword_boost: float = 0.0
    word_model: PartConfig | None = None
    word_weight: float = 0.0
    word_bonus: float = 1.0
    coverage: CoverageConfig | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.beams <= MAX_BEAMS:
            raise ValueError(f"beams is from 1 to {MAX_BEAMS}, not {self.beams}")
        if self.hotword_boost < 0:
            raise ValueError("hotword_boost cannot be negative")
        if not 0 <= self.word_weight <= MAX_WORD_WEIGHT:
            raise ValueError(
                f"word_weight is from 0 to {MAX_WORD_WEIGHT:g}, not {self.word_weight:g}"
            )


@dataclass(frozen=True)
class UniAudioConfig:
    """A speech language model: its parts, and how it is used unless a caller says otherwise.

    Attributes:
        tokenizer: the speech tokenizer that it was trained with.
        patch_size: frames of a patch.
        audio_input: what of the tokenizer the language model reads: "unified" features, or
            "latent" (normalised as for the head; the paper's figure 8 compares both).
        speech_decoder: turns generated latents into sound; None: the tokenizer's own decoder.
        phonemizer: turns a text to be spoken into phonemes; None: the model reads letters.
        text_normalizer: writes numbers and signs as words; None: texts stay as they are.
        latent_dims: how many of the latents' dimensions the language model reads and generates,
            from the first; the others are 0 in what it generates. None: all. A tokenizer whose
            first dimensions describe speech without its phase has others that cannot be predicted
            from text.
        latent_mean, latent_std: per latent dimension; the head works on (latent - mean) / std.
            None: on the latents as they are (published).
        tasks: that it was trained for; None: not known, all of them are tried.
        history_latents: how many of the latest latents the generation head reads; None: those of
            one patch.
        speaker_dim: width of a speaker embedding that the prompt takes; None: it takes none.
        prompt_format: how the prompt of speech is written: "uniaudio" (Ming-UniAudio),
            "omni_chatml" or "omni_role" (Ming-omni-tts, dense and with experts), or "ming3"
            (Ming-3.0-tts).
        piece_seconds: about how much speech is generated at once; longer texts are cut at
            sentences. The length of the training utterances is a good choice.
        attempts: takes of a piece of speech, at most: each is checked (`tasks.guard`), and made
            again where words are missing or too much is said. 1: the first is taken, unchecked.
        sampling: default of the generation head.
        recognition: default of recognition.
    """

    backbone: PartConfig
    generation_head: PartConfig
    stop_detector: PartConfig
    compressor: PartConfig
    tokenizer: PinnedModel | None = None
    patch_size: int = 5
    audio_input: Literal["unified", "latent"] = "unified"
    speech_decoder: PartConfig | None = None
    phonemizer: PartConfig | None = None
    text_normalizer: PartConfig | None = field(default_factory=lambda: PartConfig("rules"))
    latent_dims: int | None = None
    latent_mean: list[float] | None = None
    latent_std: list[float] | None = None
    tasks: list[Task] | None = None
    history_latents: int | None = None
    speaker_dim: int | None = None
    prompt_format: PromptFormat = "uniaudio"
    piece_seconds: float = 12.0
    attempts: int = 1
    sampling: Sampling = field(default_factory=Sampling)
    recognition: RecognitionConfig = field(default_factory=RecognitionConfig)
    name: str = "uniaudio"
    model_type: Literal["uniaudio"] = "uniaudio"
    format_version: int = FORMAT_VERSION

    def __post_init__(self) -> None:
        if self.format_version != FORMAT_VERSION:
            raise ValueError(f"format_version is {FORMAT_VERSION}, not {self.format_version}")
        if self.patch_size < 1:
            raise ValueError("patch_size must be at least 1")
        if self.attempts < 1:
            raise ValueError("attempts must be at least 1")
        if not self.piece_seconds > 0:
            raise ValueError("piece_seconds must be positive")
        if self.latent_dims is not None and self.latent_dims < 1:
            raise ValueError("latent_dims must be at least 1")
        if self.history_latents is not None and self.history_latents < self.patch_size:
            raise ValueError("history_latents must be at least patch_size")
        if self.speaker_dim is not None and self.speaker_dim < 1:
            raise ValueError("speaker_dim must be at least 1")
        if (self.latent_mean is None) != (self.latent_std is None):
            raise ValueError("latent_mean and latent_std go together")
        if self.latent_std is not None and min(self.latent_std) <= 0:
            raise ValueError("latent_std must be positive")


_TASK_NOTES: dict[Task, str] = {
    "questions": "answer questions: give one that was (--model)",
    "edits": "carry out edits: give one that was (--model)",
    "recognition": "recognise speech",
    "speech": "speak",
}


def check_task(task: Task, config: UniAudioConfig, model: str) -> None:
    """Refuse a task that a model was not trained for, where its config states its tasks.

    Raises:
        UserError: it was not.
    """
    if config.tasks is not None and task not in config.tasks:
        raise UserError(f"model {model} was not trained to {_TASK_NOTES[task]}")


_LANGUAGE_NAMES = {
    "en": ("english",), "zh": ("chinese", "mandarin", "中文", "汉语", "普通话"),
    "de": ("german", "deutsch"),
    "fr": ("french", "français"), "es": ("spanish", "español"), "it": ("italian", "italiano"),
    "pt": ("portuguese", "português"), "nl": ("dutch", "nederlands"), "pl": ("polish", "polski"),
    "ru": ("russian", "русский"), "ja": ("japanese", "日本語"), "ko": ("korean", "한국어"),
}  # fmt: skip
_LANGUAGE_CODES = {name: code for code, names in _LANGUAGE_NAMES.items() for name in names}


def known_language(given: str, languages: list[str] | None, model: str) -> str:
    """A language hint as a model knows it: its code where the model's config states languages.

    Args:
        given: a code ("en", "en-US") or a name ("English").

    Raises:
        UserError: a language that the model was not trained on; the known ones are named.
    """
    if languages is None:
        return given
    plain = given.strip().casefold()
    code = _LANGUAGE_CODES.get(plain, plain.replace("_", "-").partition("-")[0])
    for known in languages:
        if known.casefold() in (plain, code):
            return known
    raise UserError(
        f"model {model} does not know the language {given[:40]!r}: it recognises "
        f"{', '.join(languages)}"
    )


_SAMPLING_FIELDS = ("num_steps", "cfg_scale", "temperature", "noise_scale")
_RECOGNITION_FIELDS = ("beams", "hotword_boost", "word_weight", "word_bonus", "coverage")


def migrated(data: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a `config.json` of any format version as the newest version has them.

    Version 1 kept the fields of `sampling` and `recognition` beside the parts, and a word model
    where the folder held one.
    """
    out = dict(data)
    if out.get("format_version", FORMAT_VERSION) != 1:
        return out
    sampling = {key: out.pop(key) for key in _SAMPLING_FIELDS if key in out}
    recognition = {key: out.pop(key) for key in _RECOGNITION_FIELDS if key in out}
    if recognition.get("word_weight"):
        recognition["word_model"] = {"name": "bigram", "options": {}}
    return {**out, "sampling": sampling, "recognition": recognition, "format_version": 2}


def parse_config(data: Mapping[str, Any], where: str) -> UniAudioConfig:
    """A parsed `config.json` of any format version.

    Raises:
        ConfigError: unknown keys, wrong types or values; `where` is named.
    """
    version = data.get("format_version", FORMAT_VERSION)
    if not isinstance(version, int) or not 1 <= version <= FORMAT_VERSION:
        raise ConfigError(
            f"{where}: format_version {version!r} is not known (this release reads 1 to "
            f"{FORMAT_VERSION}); upgrade uniaudio-lm"
        )
    return from_dict(UniAudioConfig, migrated(data), where=where)
