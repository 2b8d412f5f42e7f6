"""The `reader`: text from the tokenizer's latents by an encoder-decoder.

It reads what the language model reads, the tokenizer's latents, and stands beside it as a part of
the model folder. Its layers start from Whisper tiny.en (MIT); `recipes/nano/reader` trains it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from mingtok_audio.core.errors import ConfigError, FormatError, UserError
from uniaudio_lm.interfaces import Recognized, Recognizer
from uniaudio_lm.parts.recognizers.network import Reader, ReaderConfig
from uniaudio_lm.parts.recognizers.search import search
from uniaudio_lm.text.hints import Hints
from uniaudio_lm.text.tokenizer import TextTokenizer

if TYPE_CHECKING:
    from mingtok_audio.models.mingtok import MingTok

_PIECES_PER_SECOND, _FEWEST = 9, 12
_TAIL = 0.2  # seconds of silence after a segment: the last word ends in it
_LOOPS = 4  # times that the same words follow each other before the rest is dropped
_LONGEST_LOOP, _SHORTEST_LOOP = 24, 12  # pieces: of a round, of all rounds


class ReaderRecognizer(Recognizer):
    """The `reader` recogniser.

    Args:
        longest: seconds of a segment, at most; positions of the network allow 30.
        pause: seconds without speech at which a segment ends.
        beams: hypotheses of the search by default.
        hotword_boost: nats that each piece of a hotword adds.
        languages: codes that it was trained on.
        network: what `ReaderConfig` takes.
    """

    files: ClassVar[tuple[str, ...]] = ("tokenizer.json",)
    takes_network: ClassVar[bool] = True
    """Its options are also those of `ReaderConfig`: the kit builds it small."""

    def __init__(
        self,
        longest: float = 28.0,
        pause: float = 1.0,
        beams: int = 1,
        hotword_boost: float = 2.0,
        languages: Sequence[str] = ("en",),
        **network: Any,
    ) -> None:
        super().__init__()
        known = {field.name for field in fields(ReaderConfig)}
        unknown = sorted(set(network) - known)
        if unknown:
            raise ValueError(f"the reader has no option {unknown[0]!r}; it has {sorted(known)}")
        self.longest, self.pause, self.beams = float(longest), float(pause), int(beams)
        self.hotword_boost = float(hotword_boost)
        self.languages = tuple(languages)
        self.network = Reader(ReaderConfig(**network))
        self.text: TextTokenizer | None = None
        self._codec: list[MingTok] = []  # a list: it is not part of this module's state

    def load(self, folder: Path) -> None:
        """See `Recognizer.load`."""
        text = TextTokenizer.from_file(folder / "tokenizer.json")
        config = self.network.config
        if text.vocab_size > config.start:
            raise FormatError(
                f"{folder}: tokenizer.json has {text.vocab_size} pieces, and the network "
                f"{config.start} beside its marks"
            )
        self.text = text

    def use_tokenizer(self, tokenizer: MingTok) -> None:
        """See `Recognizer.use_tokenizer`."""
        wanted, found = self.network.config.latent_dim, tokenizer.config.latent_dim
        if wanted != found:
            raise ConfigError(
                f"the recogniser reads {wanted} latents a frame, and the tokenizer has {found}"
            )
        self.sample_rate = tokenizer.config.sample_rate
        self._codec = [tokenizer]

    @torch.no_grad()
    def recognize(
        self,
        parts: Sequence[np.ndarray],
        *,
        language: str | None = None,
        hotwords: Sequence[str] = (),
        beams: int | None = None,
    ) -> list[Recognized]:
        """See `Recognizer.recognize`. `language` changes nothing: it knows one."""
        text = self._pieces()
        hints = Hints(text, hotwords, self.hotword_boost)
        return [self._one(part, hints, self.beams if beams is None else beams) for part in parts]

    def encode(self, wav: np.ndarray, chunk: int | None = None) -> Tensor:
        """Features (1, F, D) of a segment (T,); see `Reader.encode`."""
        if not self._codec:
            raise UserError("the reader has no tokenizer: use it as a part of a model")
        codec = self._codec[0]
        tail = np.zeros(round(_TAIL * self.sample_rate), np.float32)
        latents = codec.encode(np.concatenate([wav, tail]), self.sample_rate).values
        device = self.network.pieces.weight.device
        config = self.network.config
        latents = latents[:, : config.max_frames].to(device, torch.float32)
        return self.network.encode(self.network.front.padded(latents, config.padded), None, chunk)

    def _one(self, wav: np.ndarray, hints: Hints, beams: int) -> Recognized:
        encoded = self.encode(wav)
        seconds = len(wav) / self.sample_rate
        most = min(int(_PIECES_PER_SECOND * seconds) + _FEWEST, self.network.config.max_pieces - 3)
        pieces, cut = search(self.network, encoded, beams, most, hints)
        kept = _without_loop(pieces)
        said = self._pieces().decode(kept).strip()
        return Recognized(said, cut or len(kept) < len(pieces), "en" if said else "")

    def _pieces(self) -> TextTokenizer:
        if self.text is None:
            raise UserError("the reader has no text tokenizer: load it from its folder")
        return self.text


def _without_loop(pieces: list[int]) -> list[int]:
    """The pieces up to the end of the first round, where they end in the same ones over and over.
    Of several ways to see it, the one that leaves least."""
    kept = len(pieces)
    for size in range(1, _LONGEST_LOOP + 1):
        unit, at = pieces[len(pieces) - size :], len(pieces) - size
        while at >= size and pieces[at - size : at] == unit:
            at -= size
        said = len(pieces) - at
        if said >= _LOOPS * size and said >= _SHORTEST_LOOP:
            kept = min(kept, at + size)
    return pieces[:kept]
