"""The shipped pronunciation table: CMUdict's words in one compressed file.

Words are sorted and front-coded (the letters shared with the word before as one character),
pronunciations are a character a phoneme; both columns are compressed together with LZMA.
"""

from __future__ import annotations

import lzma
from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file

from mingtok_audio.core.errors import FormatError
from uniaudio_lm.parts.phonemizers.letters import PHONEMES, LetterToSound, restored
from uniaudio_lm.text.front_coding import front_coded, front_decoded

_FOLDER = Path(str(resources.files("uniaudio_lm"))) / "parts" / "phonemizers" / "data"
TABLE_PATH = _FOLDER / "english.xz"
LETTERS_PATH = _FOLDER / "english_letters.safetensors"
_FIRST = 33  # "!": the character of the first phoneme


def pack_table(table: Mapping[str, list[str]]) -> bytes:
    """Compress words (letters and apostrophes) with their phonemes."""
    symbol = {p: chr(_FIRST + i) for i, p in enumerate(PHONEMES)}
    words = front_coded(sorted(table))
    said = ["".join(symbol[p] for p in table[word]) for word in sorted(table)]
    text = "\n".join(words) + "\0" + "\n".join(said)
    return lzma.compress(text.encode("ascii"), preset=9 | lzma.PRESET_EXTREME)


@cache
def read_packed(path: Path = TABLE_PATH) -> dict[str, str]:
    """Words with their phonemes still as characters (see `unpacked`); read once.

    Raises:
        FormatError: the file is missing or damaged.
    """
    try:
        text = lzma.decompress(path.read_bytes()).decode("ascii")
    except (OSError, lzma.LZMAError, UnicodeDecodeError) as error:
        raise FormatError(f"the pronunciation table {path} cannot be read: {error}") from error
    words, _, said = text.partition("\0")
    return dict(zip(front_decoded(words.split("\n")), said.split("\n"), strict=True))


def unpacked(phonemes: str) -> list[str]:
    """The phonemes of an entry of `read_packed`."""
    return [PHONEMES[ord(c) - _FIRST] for c in phonemes]


def load_table() -> dict[str, list[str]]:
    """The whole table."""
    return {word: unpacked(said) for word, said in read_packed().items()}


@cache
def load_letters() -> LetterToSound:
    """The shipped letter-to-sound network, read once.

    Raises:
        FormatError: the weights are missing or damaged.
    """
    try:
        state = load_file(LETTERS_PATH)
        model = LetterToSound()
        model.load_state_dict(restored(state))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise FormatError(f"the weights {LETTERS_PATH} cannot be read: {error}") from error
    return model.eval()
