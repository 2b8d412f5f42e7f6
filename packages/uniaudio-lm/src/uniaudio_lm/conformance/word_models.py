"""The kit of word models."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any

from mingtok_audio.core.errors import UserError
from mingtok_audio.core.plugins import CheckResult
from mingtok_audio.core.plugins.conformance import require
from uniaudio_lm.conformance.common import run
from uniaudio_lm.interfaces import WordModel

_WORDS = ("the", "house", "isn't", "qxzvk", "a", WordModel.END)
_PARTS = ("t", "th", "the", "hous", "qxzvk")


def check_word_model(word_model: type, **options: Any) -> list[CheckResult]:
    """Check a word model class against the rules of `WordModel`; `options` build it."""
    kit = WordModelKit(word_model, options)
    return run(
        [
            ("it has defaults, and names its files", kit.files),
            ("costs are finite and not negative", kit.costs),
            ("no beginning costs more than its words", kit.beginnings),
            ("missing files are refused", kit.missing),
        ]
    )


class WordModelKit:
    """Builds the class under test; a method a rule."""

    def __init__(self, found: type, options: dict[str, Any]) -> None:
        self._class, self._options = found, options

    def make(self) -> WordModel:
        """An instance, checked."""
        built = self._class(**self._options)
        require(isinstance(built, WordModel), "it is not a WordModel")
        return built

    def files(self) -> str:
        made = self.make()
        for name in made.files:
            require(name == Path(name).name and name not in ("", ".", ".."), f"{name!r} is a path")
        return ", ".join(made.files)

    def costs(self) -> None:
        made = self.make()
        for before in (WordModel.START, *_WORDS[:-1]):
            for word in _WORDS:
                cost = made.cost(before, word)
                require(math.isfinite(cost) and cost >= 0, f"{word!r} costs {cost}")
                require(cost == made.cost(before, word), f"{word!r} costs another time another sum")

    def beginnings(self) -> None:
        made = self.make()
        for part in _PARTS:
            cost = made.best(part)
            require(math.isfinite(cost) and cost >= 0, f"{part!r} costs {cost}")
        require(made.best("t") <= made.best("the") + 1e-9, "'t' costs more than 'the'")

    def missing(self) -> None:
        made = self.make()
        if not made.files:
            return
        with tempfile.TemporaryDirectory() as folder:
            try:
                made.load(Path(folder))
            except UserError:
                return
        require(False, "an empty folder is read without an error")
