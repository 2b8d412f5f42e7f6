"""Letters to phonemes for words that no dictionary holds: a small convolutional network with CTC.

Every letter has `SLOTS` output frames, each a phoneme or nothing; repeats of a frame are one
phoneme, as in CTC. Weights are kept as 8-bit integers with a scale per row.

Axes: B words, S letters, W width, V phonemes and the blank.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from uniaudio_lm.parts.convolution import ConvBlock

LETTERS = "'abcdefghijklmnopqrstuvwxyz"
SLOTS = 2
_VOWELS = "AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW"
_CONSONANTS = "B CH D DH F G HH JH K L M N NG P R S SH T TH V W Y Z ZH"
PHONEMES: tuple[str, ...] = (
    *_CONSONANTS.split(),
    *(vowel + stress for vowel in _VOWELS.split() for stress in "012"),
)
"""ARPABET, vowels with their stress (0 none, 1 main, 2 second)."""
_SCALE = ".scale"


class LetterToSound(nn.Module):
    """A word's letters to the log-probabilities of its phonemes.

    Args:
        width, depth, kernel: of the blocks; a phoneme sees depth (kernel - 1) / 2 letters to each
            side.
        dropout: in training.
    """

    def __init__(
        self, width: int = 96, depth: int = 5, kernel: int = 7, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.embed = nn.Embedding(len(LETTERS) + 1, width, padding_idx=0)
        self.blocks = nn.ModuleList(ConvBlock(width, kernel, dropout) for _ in range(depth))
        self.out = nn.Linear(width, SLOTS * (len(PHONEMES) + 1))

    def forward(self, letters: Tensor) -> Tensor:
        """Letters (B, S), 1 + their index, 0 beyond the end -> (B, SLOTS S, V), V from 0 = none."""
        valid = (letters > 0)[..., None]
        x = self.embed(letters)
        for block in self.blocks:
            x = block(x, valid)
        return self.out(x).unflatten(-1, (SLOTS, -1)).flatten(1, 2).log_softmax(dim=-1)

    @torch.no_grad()
    def read(self, words: Sequence[str]) -> list[list[str]]:
        """The likeliest phonemes of each word (letters of `LETTERS` only)."""
        if not words:
            return []
        best = self(spell(words)).argmax(dim=-1)
        out = []
        for word, row in zip(words, best.tolist(), strict=True):
            frames = row[: SLOTS * len(word)]
            kept = [v for i, v in enumerate(frames) if v and (i == 0 or v != frames[i - 1])]
            out.append([PHONEMES[v - 1] for v in kept])
        return out


def spell(words: Sequence[str]) -> Tensor:
    """Words -> (B, S) int64, 0 beyond their ends."""
    out = torch.zeros(len(words), max(map(len, words)), dtype=torch.int64)
    for row, word in zip(out, words, strict=True):
        row[: len(word)] = torch.tensor([LETTERS.index(c) + 1 for c in word], dtype=torch.int64)
    return out


def quantized(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Matrices as int8 with a scale per row, the rest as float16."""
    out = {}
    for name, tensor in state.items():
        if tensor.dim() < 2:
            out[name] = tensor.half()
            continue
        scale = tensor.flatten(1).abs().amax(dim=1).clamp_min(1e-8) / 127
        shape = (-1, *[1] * (tensor.dim() - 1))
        out[name] = (tensor / scale.view(shape)).round().to(torch.int8)
        out[name + _SCALE] = scale
    return out


def restored(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of `quantized`, to its rounding."""
    out = {}
    for name, tensor in state.items():
        if name.endswith(_SCALE):
            continue
        scale = state.get(name + _SCALE)
        full = tensor.float()
        if scale is not None:
            full = full * scale.view(-1, *[1] * (tensor.dim() - 1))
        out[name] = full
    return out
