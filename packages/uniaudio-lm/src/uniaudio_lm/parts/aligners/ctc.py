"""The built-in aligner: a small convolutional network over the tokenizer's latents or features
says which phoneme each frame holds, and a Viterbi search places the words.

Axes: B recordings, L frames, D input dimensions, W width, V symbols (0 is the blank).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from mingtok_audio.core.errors import AudioError, ConfigError
from uniaudio_lm.interfaces import Aligner, Word
from uniaudio_lm.parts.aligners.units import PHONES, WILDCARD, Speller, SpokenWord
from uniaudio_lm.parts.aligners.viterbi import forced_path
from uniaudio_lm.parts.convolution import ConvBlock
from uniaudio_lm.speech_activity import FRAME, at_level, centred, find_speech, joined_runs

if TYPE_CHECKING:
    from mingtok_audio.models.mingtok import MingTok

_PAUSE, _EDGE = 0.3, 0.04  # seconds: of silence inside a word; kept around its sound
_FAR = 4.0  # from the usual level: a recording nearer to it is read as it is
_CHUNK = 2048  # frames that go through the network at once
_WILDCARD_COST = 1.0  # a wildcard must not be likelier than the phoneme that is there


class CtcAligner(Aligner):
    """Words with times from phoneme probabilities at the tokenizer's frame rate.

    Args:
        in_dim: D: latent or feature dimensions of the tokenizer.
        width, depth, kernel: of the blocks; a frame sees depth (kernel - 1) / 2 frames to each
            side.
        dropout: in training.
        source: what of the tokenizer is read.
        tokenizer: the one it was trained with, by name or folder; loaded when `align` is called
            before `use_tokenizer`.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        in_dim: int = 64,
        *,
        width: int = 128,
        depth: int = 5,
        kernel: int = 9,
        dropout: float = 0.0,
        source: Literal["latents", "features"] = "latents",
        tokenizer: str = "nano",
    ) -> None:
        super().__init__()
        if min(in_dim, width, depth, kernel) < 1 or kernel % 2 == 0:
            raise ValueError("in_dim, width and depth must be positive, kernel odd")
        if source not in ("latents", "features"):
            raise ValueError(f"source is latents or features, not {source!r}")
        self.in_dim, self.source, self.tokenizer_id = in_dim, source, tokenizer
        self.context = depth * (kernel // 2)
        self.register_buffer("mean", torch.zeros(in_dim))
        self.register_buffer("std", torch.ones(in_dim))
        self.input = nn.Linear(in_dim, width)
        self.blocks = nn.ModuleList(ConvBlock(width, kernel, dropout) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.output = nn.Linear(width, len(PHONES) + 1)
        self._tokenizer: list[MingTok] = []  # in a list: its weights are not this module's
        self._speller: Speller | None = None

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Latents or features (B, L, D) -> log-probabilities (B, L, V)."""
        valid = torch.ones(*x.shape[:2], 1, dtype=torch.bool, device=x.device)
        if lengths is not None:
            places = torch.arange(x.shape[1], device=x.device)
            valid = (places < lengths.to(x.device)[:, None])[..., None]
        h = self.input((x - self.mean) / self.std) * valid
        for block in self.blocks:
            h = block(h, valid)
        return self.output(self.norm(h)).log_softmax(dim=-1)

    # --- the tokenizer ---------------------------------------------------------------------------

    def use_tokenizer(self, tokenizer: MingTok) -> None:
        """See `Aligner.use_tokenizer`."""
        config = tokenizer.config
        found = config.latent_dim if self.source == "latents" else config.feature_dim
        if found != self.in_dim:
            raise ConfigError(
                f"the aligner reads {self.in_dim} {self.source} a frame, the tokenizer "
                f"{tokenizer.model_id} makes {found or 0}: they do not belong together"
            )
        pinned = getattr(self, "component_config", None)
        pinned = None if pinned is None else pinned.trained_with.get("tokenizer")
        if pinned is not None and tokenizer.model_hash not in ("", pinned.sha256):
            raise ConfigError(
                f"the aligner was trained with the tokenizer {pinned.id} (sha256 "
                f"{pinned.sha256[:12]}…), and {tokenizer.model_id} has "
                f"{tokenizer.model_hash[:12]}…: its times would be wrong; train it again"
            )
        self._tokenizer = [tokenizer]

    @property
    def tokenizer(self) -> MingTok:
        """The tokenizer in use; loaded by its name if none was given."""
        if not self._tokenizer:
            from mingtok_audio import MingTok

            self.use_tokenizer(MingTok.from_pretrained(self.tokenizer_id))
        return self._tokenizer[0]

    @torch.no_grad()
    def inputs_of(self, wav: np.ndarray) -> Tensor:
        """wav (T,) at 16 kHz -> what the network reads (1, L, D), on its device."""
        tokenizer = self.tokenizer
        latents = tokenizer.encode(wav, 16000)
        found = latents.values if self.source == "latents" else tokenizer.features(latents)
        return found.to(self.output.weight)

    @torch.no_grad()
    def log_probs(self, inputs: Tensor) -> np.ndarray:
        """Inputs (1, L, D) -> log-probabilities (L, V) float32, a chunk at a time."""
        parts, frames = [], inputs.shape[1]
        for start in range(0, frames, _CHUNK):
            begin = max(0, start - self.context)
            end = min(frames, start + _CHUNK)
            out = self(inputs[:, begin : min(frames, end + self.context)])[0]
            parts.append(out[start - begin : end - begin].float().cpu())
        return torch.cat(parts).numpy()

    # --- words -----------------------------------------------------------------------------------

    def align(self, wav: np.ndarray, text: str, language: str = "en") -> list[Word]:
        """See `Aligner.align`."""
        samples = np.asarray(wav, dtype=np.float32)
        if samples.ndim != 1 or not len(samples) or not np.isfinite(samples).all():
            raise AudioError("an aligner takes finite samples (T,), at least one")
        words = self.speller.words(text, language)
        if not words:
            return []
        samples = centred(samples)
        found = self.log_probs(self.inputs_of(at_level(samples, 16000, far=_FAR)))
        return bounded(self.place(found, words, len(samples) / 16000), samples, 16000)

    @property
    def speller(self) -> Speller:
        """Writes texts in symbols."""
        if self._speller is None:
            self._speller = Speller(_normalizer())
        return self._speller

    def place(
        self, log_probs: np.ndarray, words: list[SpokenWord], seconds: float | None = None
    ) -> list[Word]:
        """Words at their best places in frames of log-probabilities (L, V).

        Args:
            seconds: of the recording, which no word exceeds.

        A word's score says how its symbols compare with the likeliest ones of the same frames (the
        geometric mean of the ratio of their probabilities): 1 where nothing else is likelier, near
        0 where something else is said. Where the text is longer than the recording, all words
        share it evenly with score 0.
        """
        if not words:
            return []
        frames = len(log_probs)
        rate = self._tokenizer[0].frame_rate if self._tokenizer else 50.0
        total = frames / rate if seconds is None else min(seconds, frames / rate)
        tokens = [s for word in words for s in word.symbols]
        owners = np.repeat(np.arange(len(words)), [len(word.symbols) for word in words])
        scored = with_wildcard(log_probs)
        path = forced_path(scored, tokens, repeatable=WILDCARD)
        if path is None:
            share = total / len(words)
            return [Word(w.text, i * share, (i + 1) * share, 0.0) for i, w in enumerate(words)]
        spoken = np.flatnonzero(path >= 0)
        symbols = np.asarray(tokens)[path[spoken]]
        owner = owners[path[spoken]]
        ratio = scored[spoken, symbols] - log_probs[spoken].max(axis=1)
        score = np.bincount(owner, ratio, minlength=len(words))
        count = np.bincount(owner, minlength=len(words))
        first = spoken[np.searchsorted(owner, np.arange(len(words)), side="left")]
        last = spoken[np.searchsorted(owner, np.arange(len(words)), side="right") - 1] + 1
        mean = np.exp(np.minimum(score / count, 0.0))
        return [
            Word(
                word.text, float(first[i] / rate), float(min(last[i] / rate, total)), float(mean[i])
            )
            for i, word in enumerate(words)
        ]


def with_wildcard(log_probs: np.ndarray) -> np.ndarray:
    """(L, V) with a column for `WILDCARD`: the probability of any phoneme, and its cost."""
    spoken = np.log(np.maximum(-np.expm1(np.minimum(log_probs[:, :1], -1e-7)), 1e-12))
    out = np.concatenate((log_probs, spoken - _WILDCARD_COST), axis=1).astype(np.float32)
    assert out.shape[1] == WILDCARD + 1
    return out


def _normalizer() -> Any:
    """A text normaliser of the slot that works here, or None."""
    from mingtok_audio.core.errors import UserError
    from uniaudio_lm.plugins import get_host

    host = get_host()
    for name in host.names("text_normalizer"):
        try:
            return host.create("text_normalizer", name)
        except UserError:  # it needs something that is not installed
            continue
    return None


def bounded(words: list[Word], wav: np.ndarray, rate: int) -> list[Word]:
    """Words without the silence that their places hold: a search over symbols alone lets a word
    end anywhere in the pause after it, or lie on both sides of one.

    Args:
        wav: (T,) the recording that they are in.
    """
    active = find_speech(wav, rate)
    found = []
    for word in words:
        begin, end = round(word.start / FRAME), round(word.end / FRAME)
        parts = joined_runs(active[begin:end], round(_PAUSE / FRAME))
        if parts:
            first, last = max(parts, key=lambda part: part[1] - part[0])
            start = max(word.start, (begin + first) * FRAME - _EDGE)
            stop = min(word.end, (begin + last) * FRAME + _EDGE)
            found.append(replace(word, start=start, end=stop))
        else:
            found.append(word)
    return found
