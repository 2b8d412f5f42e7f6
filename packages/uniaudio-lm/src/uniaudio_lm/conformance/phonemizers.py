"""The kit of phonemizers."""

from __future__ import annotations

from typing import Any

from mingtok_audio.core.plugins import CheckResult
from mingtok_audio.core.plugins.conformance import require
from uniaudio_lm.conformance.common import run
from uniaudio_lm.interfaces import Phonemizer
from uniaudio_lm.text.words import split_words

_SAID = {"en": "the quick brown fox isn't here", "zh": "今天天气很好"}
_ODD = [
    "",
    "  ",
    "?!…",
    "😀 ok",
    "a" * 500,
    "qzxv mixed 中文 été 42 & 50%",
    "'''",
    "ＡＢ　Ｃ",
    "\u0301a",
]


def check_phonemizer(phonemizer: type, **options: Any) -> list[CheckResult]:
    """Check a phonemizer class against the rules of `Phonemizer`; `options` build it."""
    kit = PhonemizerKit(phonemizer, options)
    return run(
        [
            ("what it speaks", kit.speaks),
            ("a list a word", kit.lists),
            ("known symbols", kit.symbols),
            ("words it knows", kit.said),
            ("same input, same output", kit.repeat),
            ("words do not depend on their neighbours' script", kit.apart),
        ]
    )


class PhonemizerKit:
    """Builds the class under test; a method a rule."""

    def __init__(self, found: type, options: dict[str, Any]) -> None:
        self._class, self._options = found, options

    def make(self) -> Phonemizer:
        """An instance, checked."""
        built = self._class(**self._options)
        require(isinstance(built, Phonemizer), "it is not a Phonemizer")
        return built

    def _texts(self, made: Phonemizer) -> list[tuple[str, str]]:
        language = made.languages[0]
        known = [_SAID[code] for code in made.languages if code in _SAID]
        return [(text, language) for text in [*known, *_ODD]]

    def speaks(self) -> str:
        made = self.make()
        require(bool(made.languages) and bool(made.symbols), "no languages, or no symbols")
        require(len(set(made.symbols)) == len(made.symbols), "a symbol is listed twice")
        return f"{', '.join(made.languages)}: {len(made.symbols)} symbols"

    def lists(self) -> None:
        made = self.make()
        for text, language in self._texts(made):
            found = made.phonemize(text, language)
            count = len(split_words(text))
            require(
                len(found) == count, f"{len(found)} lists for the {count} words of {text[:40]!r}"
            )

    def symbols(self) -> None:
        made = self.make()
        known = set(made.symbols)
        for text, language in self._texts(made):
            unknown = {p for word in made.phonemize(text, language) for p in word} - known
            require(not unknown, f"{text[:40]!r} gives {sorted(unknown)}, which it does not list")

    def said(self) -> None:
        made = self.make()
        for language in made.languages:
            text = _SAID.get(language)
            if text is not None:
                empty = [w for w in made.phonemize(text, language) if not w]
                require(not empty, f"words of {text!r} have no phonemes")

    def repeat(self) -> None:
        made = self.make()
        for text, language in self._texts(made):
            one, two = (m.phonemize(text, language) for m in (made, self.make()))
            require(one == two, f"{text[:40]!r} gives other phonemes the second time")

    def apart(self) -> None:
        made = self.make()
        for language in made.languages:
            text = _SAID.get(language)
            if text is not None:
                alone = made.phonemize(text, language)
                beside = made.phonemize(f"😀 {text}, …", language)
                require(alone == beside, "punctuation changes the phonemes")
