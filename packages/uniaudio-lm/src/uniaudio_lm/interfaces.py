"""What a plugin for the speech language model extends.

Axes: B batch, S tokens, N items or patches, p frames of a patch, d latent dimensions, D width of
the language model, V vocabulary.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from mingtok_audio.models.mingtok import MingTok
    from mingtok_audio.streaming import DecodingState

StopReason = Literal["", "stop", "max_length", "silence", "loop"]


class BackboneState(ABC):
    """Where a generation stands: the keys and values of all tokens so far. Owned by the caller."""

    @property
    @abstractmethod
    def length(self) -> int:
        """Slots filled in every row, padding on the left included."""

    @abstractmethod
    def select(self, rows: Tensor) -> BackboneState:
        """The state of some rows (n,) int64, in that order; the old state must not be used on."""

    def joined(self, other: BackboneState) -> BackboneState | None:
        """These rows and then those of another state, whatever their lengths, padded on the left;
        neither old state must be used on. None: such states can't be joined, and generations that
        began apart go through the backbone one after the other."""
        return None


class Backbone(nn.Module, ABC):
    """A causal language model on embeddings.

    A constructor has the keyword `vocab_size`, or `with_vocabulary` says where else it goes. Rules,
    which `uniaudio plugins validate NAME` checks: a position depends on nothing after it; a prompt
    and then steps give what the whole gives; an item of a left-padded batch gives what it gives
    alone; gradients reach every parameter that takes part.

    Attributes:
        dim: D.
        vocab_size: V.
    """

    dim: int
    vocab_size: int

    @classmethod
    def with_vocabulary(cls, options: Mapping[str, Any], size: int) -> dict[str, Any]:
        """The constructor's options with a vocabulary of `size`."""
        return {**options, "vocab_size": size}

    @abstractmethod
    def embed(self, ids: Tensor) -> Tensor:
        """Token ids (B, S) int64 -> embeddings (B, S, D)."""

    @abstractmethod
    def new_state(self, batch: int, capacity: int) -> BackboneState:
        """A fresh state. `capacity` slots are reserved (it grows when more are needed)."""

    @abstractmethod
    def forward(
        self,
        embeds: Tensor,
        state: BackboneState | None = None,
        *,
        valid: Tensor | None = None,
        positions: Tensor | None = None,
        audio_mask: Tensor | None = None,
    ) -> Tensor:
        """Hidden states (B, n, D) after the final norm.

        Args:
            embeds: (B, n, D), a whole sequence or, with a state, what follows.
            state: continued and advanced.
            valid: (B, n) bool, False for padding, which is on the left; None is all True.
            positions: (B, n), or (3, B, n) for a model with 3-D positions; by default each item
                counts its valid tokens from 0.
            audio_mask: (B, n) bool, True where an audio patch stands: for models that treat those
                tokens apart. None: no token is treated apart.
        """

    @abstractmethod
    def logits(self, hidden: Tensor) -> Tensor:
        """Hidden states (..., D) -> scores (..., V), float32."""


class GenerationHead(nn.Module, ABC):
    """Language-model states to audio patches, by any generative means.

    A constructor takes at least the keywords `cond_dim` (D), `latent_dim` (d) and `patch_size` (p).
    The kit checks: shapes, `num_steps` from 1 on, guidance 0 and 1, that all randomness comes from
    the given noise or generators, batch equals single, gradients, save and load.
    """

    cond_dim: int
    latent_dim: int
    patch_size: int

    @abstractmethod
    def loss(
        self,
        cond: Tensor,
        target: Tensor,
        history: Tensor,
        *,
        num_samples: int = 1,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Training loss, a scalar.

        Args:
            cond: (N, D) hidden states.
            target: (N, p, d) the patch that follows each of them.
            history: (N, p, d) the patch before; zeros where there is none.
            num_samples: draws per patch.
            generator: of all draws, on the CPU; None uses the global one.
        """

    @abstractmethod
    def sample(
        self,
        cond: Tensor,
        history: Tensor,
        *,
        num_steps: int = 10,
        cfg_scale: float = 2.0,
        temperature: float = 0.0,
        init_noise: Tensor | None = None,
        step_noise: Tensor | None = None,
        generators: Sequence[torch.Generator] | None = None,
    ) -> Tensor:
        """Patches (N, p, d).

        Args:
            cond, history: as in `loss`.
            num_steps: steps of the solver, from 1.
            cfg_scale: guidance: v = v_c + cfg_scale (v_c - v_0); 0 is the condition alone.
            temperature: of the noise after every step; 0 leaves only the initial draw.
            init_noise: (N, p, d); drawn from `generators` when not given.
            step_noise: (num_steps, N, p, d) unit Gaussian; likewise.
            generators: one on the CPU for each item, so that an item draws the same in any batch.
        """


class SpeechDecoder(nn.Module, ABC):
    """Generated latents to sound, in the place of the tokenizer's own decoder.

    A constructor has the keyword `latent_dim` (d, of the tokenizer). The kit checks: shapes, a
    stream equals the whole, batch equals single, gradients, save and load.

    Attributes:
        hop_length: samples of a frame.
    """

    hop_length: int

    @abstractmethod
    def forward(self, latents: Tensor) -> Tensor:
        """Latents (B, L, d) in the tokenizer's units -> waveform (B, L * hop_length)."""

    @abstractmethod
    def new_state(self, batch: int = 1) -> DecodingState:
        """State of a fresh stream of `batch` items."""

    @abstractmethod
    def step(self, latents: Tensor, state: DecodingState) -> Tensor:
        """The samples (B, m) that n further frames (B, n, d) complete."""

    @abstractmethod
    def flush(self, state: DecodingState) -> Tensor:
        """The samples (B, m) that are held back when a stream ends."""


@dataclass(frozen=True)
class TextInfo:
    """What a stop detector may know about an item.

    Attributes:
        min_patches: no stop before this many; None leaves it to the detector.
        max_patches: the end in any case; None leaves it to the detector.
        expected_seconds: a guess of the speech's length from the text and the voice's speaking
            rate; None where there is no text to go by.
        patch_seconds: of one patch.
        silence: (d,) the latent frame of digital silence, in the head's units; None if unknown.
    """

    min_patches: int | None = None
    max_patches: int | None = None
    expected_seconds: float | None = None
    patch_seconds: float = 0.1
    silence: Tensor | None = None


@dataclass(frozen=True)
class StopDecision:
    """Attributes: stop (N,) bool on the CPU; reason per item ("" goes on); probability (N,)."""

    stop: Tensor
    reason: list[StopReason]
    probability: Tensor


class StopDetector(nn.Module, ABC):
    """Decides when speech ends.

    A constructor takes at least the keyword `dim` (D). The reason is "stop" only where a learned
    head fired; every other end has a name of its own.

    Attributes:
        stop_after_patch: the decision belongs to the patch that the same hidden state made, which
            is kept (the published checkpoints). Otherwise it comes first: no patch is made then.
        shared_options: keywords of the constructor that a detector hands on to the one that
            replaces it in a model.
    """

    shared_options: ClassVar[tuple[str, ...]] = ()
    stop_after_patch: bool

    @abstractmethod
    def start(self, batch: int, text_info: Sequence[TextInfo]) -> Any:
        """The state of `batch` new items."""

    @abstractmethod
    def update(self, state: Any, hidden: Tensor, patch: Tensor, step: int) -> StopDecision:
        """Decide for every item.

        Args:
            state: from `start` or `select`; advanced.
            hidden: (N, D) the hidden states of this step.
            patch: (N, p, d) the patches made from them, or with `stop_after_patch` False the ones
                before.
            step: patches so far, this one included; the first call has 1 (or 0 where the decision
                comes first).
        """

    @abstractmethod
    def select(self, state: Any, rows: Sequence[int]) -> Any:
        """The state of some items, in that order."""

    @abstractmethod
    def loss(self, hidden: Tensor, lengths: Tensor) -> Tensor:
        """Training loss, a scalar: hidden states (B, N, D) of whole utterances of `lengths` (B,)
        patches."""


class TextNormalizer(ABC):
    """Written text to spoken words: numbers, dates, money, units."""

    @abstractmethod
    def normalize(self, text: str, language: str) -> str:
        """The text as it is said. `language` is a code ("en", "zh")."""


@dataclass(frozen=True)
class Word:
    """A word or character with its place in seconds and a score in [0, 1]."""

    text: str
    start: float
    end: float
    score: float


ALIGNER_RATE = 16000


class Aligner(nn.Module, ABC):
    """Words with times, from a recording and what is said in it.

    The words are those of `uniaudio_lm.text.words.split_words`, as they are written, in order, and
    they do not overlap. Text that is not said, or too much of it, gives low scores, not an error.
    """

    @abstractmethod
    def align(self, wav: np.ndarray, text: str, language: str) -> list[Word]:
        """wav (T,) at 16 kHz -> the words of `text` in order.

        Raises `AudioError` for an empty recording or non-finite samples. `language` is a code
        ("en", "zh").
        """

    def use_tokenizer(self, tokenizer: MingTok) -> None:
        """Told by a model that has a tokenizer loaded. Aligners that read its latents or features
        take it, or refuse it with a `ConfigError`; others need not care."""


@dataclass(frozen=True)
class Recognized:
    """What a segment says.

    Attributes:
        text: of the segment; "" where nobody speaks.
        truncated: a limit of the recogniser ended the text.
        language: as the recogniser names it; "" where it does not.
    """

    text: str
    truncated: bool = False
    language: str = ""


class Recognizer(nn.Module, ABC):
    """Text from segments of speech, in the place of the language model's own recognition.

    Recordings are cut into segments at pauses before, and brought to one level; see
    `uniaudio_lm.speech_activity`. A constructor has defaults for everything; `load` then reads
    what its folder holds besides the weights.

    Attributes:
        sample_rate: that it reads, in Hz.
        longest: seconds of a segment, at most.
        pause: seconds without speech at which a segment ends.
        beams: hypotheses of its search where the caller names no number.
        languages: codes of the languages that it knows; None: not known.
        files: names of further files in its folder.
    """

    sample_rate: int = 16_000
    longest: float = 28.0
    pause: float = 1.0
    beams: int = 1
    languages: tuple[str, ...] | None = None
    files: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def recognize(
        self,
        parts: Sequence[np.ndarray],
        *,
        language: str | None = None,
        hotwords: Sequence[str] = (),
        beams: int | None = None,
    ) -> list[Recognized]:
        """What segments (T,) at `sample_rate` say; each the same as alone, and the same each time.

        Args:
            language: a code of `languages`; None leaves it to the recogniser.
            hotwords: words to expect.
            beams: hypotheses of the search; None: `self.beams`.
        """

    def load(self, folder: Path) -> None:
        """Read `files` from a folder. Raises `FormatError` where they cannot be read."""

    def use_tokenizer(self, tokenizer: MingTok) -> None:
        """Told by a model that has a tokenizer loaded. Recognisers that read its latents take it,
        or refuse it with a `ConfigError`; others need not care."""


class Phonemizer(ABC):
    """Words to phonemes, for models that read those.

    Attributes:
        languages: codes of the languages that it speaks.
        symbols: every phoneme that it may give.
    """

    languages: tuple[str, ...] = ()
    symbols: tuple[str, ...] = ()

    @abstractmethod
    def phonemize(self, text: str, language: str) -> list[list[str]]:
        """The phonemes of each word of a normalised text, words as `split_words` cuts them. A word
        of a script that it does not read has none."""


class WordModel(ABC):
    """Which words there are, and how likely one follows another: beside a language model of pieces
    of words, for `recognition.words`. Costs are negative log-probabilities in nats.

    A constructor has defaults for everything; `load` then reads the numbers.

    Attributes:
        files: names of its files in a model folder; they are saved and fetched with the model.
    """

    START: ClassVar[str] = "<s>"
    END: ClassVar[str] = "</s>"
    FLOOR: ClassVar[float] = 10.0
    """No known word costs more."""
    files: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def load(self, folder: Path) -> None:
        """Read its files from a model folder. Raises `FormatError` where they cannot be read."""

    @abstractmethod
    def cost(self, before: str, word: str) -> float:
        """Of `word` (or `END`) after the word `before` (or `START`); words in lower case."""

    @abstractmethod
    def best(self, part: str) -> float:
        """Least cost of a word that begins with `part`, after any word."""
