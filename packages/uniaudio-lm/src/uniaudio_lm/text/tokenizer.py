"""Text tokens of a language model: a `tokenizer.json` of the tokenizers library."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mingtok_audio.core.config import near
from mingtok_audio.core.errors import FormatError, UserError

TOKENIZER_NAME = "tokenizer.json"
MAX_TOKENIZER_BYTES = 64 << 20
_SURROGATE = re.compile("[\ud800-\udfff]")


class TextTokenizer:
    """Text to token ids and back.

    What a user wrote is text, whatever it looks like: "<audio>" in it becomes the letters, never
    the special token.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        # Once: the library refuses changes while another thread encodes.
        tokenizer.encode_special_tokens = True

    @classmethod
    def from_file(cls, path: str | Path) -> TextTokenizer:
        """Read a `tokenizer.json`.

        Raises:
            FormatError: missing, too large, or not of that format.
        """
        from tokenizers import Tokenizer

        file = Path(path)
        if not file.is_file():
            raise FormatError(
                f"{file.parent} holds no {file.name}: a model needs its text tokenizer; save it "
                "there in the format of the tokenizers library"
            )
        if file.stat().st_size > MAX_TOKENIZER_BYTES:
            raise FormatError(f"{file} is over {MAX_TOKENIZER_BYTES} bytes")
        try:
            return cls(Tokenizer.from_file(str(file)))
        except Exception as error:  # the library raises bare Exception
            raise FormatError(f"{file} is not a tokenizer: {error}") from error

    def save(self, path: str | Path) -> None:
        """Write a `tokenizer.json`."""
        self._tokenizer.save(str(path))

    @property
    def vocab_size(self) -> int:
        """Ids, special tokens included."""
        return self._tokenizer.get_vocab_size(with_added_tokens=True)

    @property
    def next_id(self) -> int:
        """The id after the highest one: how many rows embeddings need. A vocabulary may have
        gaps, so this can be more than `vocab_size`."""
        return max(self._tokenizer.get_vocab(with_added_tokens=True).values(), default=-1) + 1

    def extended(
        self, specials: Sequence[str], phrases: Sequence[str] = ()
    ) -> tuple[TextTokenizer, list[int]]:
        """A copy with one token for each of `specials`, which texts never hold, and of `phrases`,
        which they may; and the ids of those that were not there before, in order."""
        from tokenizers import AddedToken, Tokenizer

        made = Tokenizer.from_str(self._tokenizer.to_str())
        made.no_padding()
        made.no_truncation()
        before = self.next_id
        for tokens, special in ((specials, True), (phrases, False)):
            for token in tokens:
                if made.token_to_id(token) is None:
                    made.add_tokens([AddedToken(token, normalized=False, special=special)])
        extended = TextTokenizer(made)
        return extended, list(range(before, extended.next_id))

    def encode(self, text: str) -> list[int]:
        """The ids of a text; special tokens in it are taken as letters.

        Raises:
            UserError: bytes in it that are no UTF-8 (Python keeps them as lone surrogates).
        """
        if not text.isascii() and _SURROGATE.search(text):
            raise UserError("a text holds bytes that are not UTF-8")
        return self._tokenizer.encode(text, add_special_tokens=False).ids

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """Where each id of `encode` stands in the text: first character and the one after."""
        return self._tokenizer.encode(text, add_special_tokens=False).offsets

    def special(self, token: str) -> int:
        """The id of a special token such as "<audio>".

        Raises:
            FormatError: the tokenizer has no such token.
        """
        found = self._tokenizer.token_to_id(token)
        if found is None:
            known = [t.content for t in self._tokenizer.get_added_tokens_decoder().values()]
            raise FormatError(f"the text tokenizer has no token {token!r}{near(token, known)}")
        return found

    def decode(self, ids: Sequence[int], specials: bool = False) -> str:
        """The text of ids; special tokens are left out unless `specials`."""
        return self._tokenizer.decode(list(ids), skip_special_tokens=not specials)
