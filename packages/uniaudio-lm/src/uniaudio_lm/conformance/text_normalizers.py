"""The kit of text normalisers."""

from __future__ import annotations

import time
from typing import Any

from mingtok_audio.core.plugins import CheckResult
from mingtok_audio.core.plugins.conformance import require
from uniaudio_lm.conformance.common import run
from uniaudio_lm.interfaces import TextNormalizer

_WORDS = {"en": "the quick brown fox is here", "zh": "今天天气很好", "fr": "il fait beau"}
_NUMBERS = {
    "en": ["On 3 March 2024, 21 cats cost $3.50.", "5% of 10 km", "12345678901234567890123"],
    "zh": ["2024年3月15日，3.5元，5%", "重5kg，共1,234人", "12345678901234567890123"],
}
_ODD = ["", "  ", "?!…", "😀 ok", "$", "%", "1/0", "99:99", "-", "３％", "\u0301a", "a" * 500, "½"]
_LONG = 5_000  # characters
_SECONDS = 10.0


def check_text_normalizer(normalizer: type, **options: Any) -> list[CheckResult]:
    """Check a normaliser class against the rules of `TextNormalizer`; `options` build it."""
    kit = NormalizerKit(normalizer, options)
    return run(
        [
            ("any text gives a text", kit.texts),
            ("words stay", kit.words),
            ("numbers are said", kit.numbers),
            ("same input, same output", kit.repeat),
            ("a long text takes no more than its share", kit.long),
        ]
    )


class NormalizerKit:
    """Builds the class under test; a method a rule."""

    def __init__(self, found: type, options: dict[str, Any]) -> None:
        self._class, self._options = found, options

    def make(self) -> TextNormalizer:
        """An instance, checked."""
        built = self._class(**self._options)
        require(isinstance(built, TextNormalizer), "it is not a TextNormalizer")
        return built

    def texts(self) -> None:
        made = self.make()
        for language in (*_WORDS, "en-US", "xx"):
            for text in _ODD:
                found = made.normalize(text, language)
                require(
                    isinstance(found, str), f"{text!r} ({language}) gives {type(found).__name__}"
                )

    def words(self) -> None:
        made = self.make()
        for language, text in _WORDS.items():
            found = made.normalize(text, language)
            require(found.strip() == text, f"{text!r} ({language}) becomes {found!r}")

    def numbers(self) -> str:
        made = self.make()
        spoken = []
        for language, texts in _NUMBERS.items():
            said = [made.normalize(text, language) for text in texts]
            if said == texts:
                continue  # a language that it does not speak stays as it is
            spoken.append(language)
            for found in said:
                require(not any(c.isdigit() for c in found), f"digits are left in {found!r}")
        require(bool(spoken), "it changes no text in en or zh")
        return ", ".join(spoken)

    def repeat(self) -> None:
        made = self.make()
        for language, texts in _NUMBERS.items():
            for text in texts:
                one, two = (m.normalize(text, language) for m in (made, self.make()))
                require(one == two, f"{text!r} becomes something else the second time")

    def long(self) -> None:
        made = self.make()
        for language, unit in (("en", "12 cats, "), ("zh", "有12个，"), ("en", "1"), ("en", "1-")):
            start = time.process_time()
            made.normalize(unit * (_LONG // len(unit)), language)
            taken = time.process_time() - start
            require(
                taken < _SECONDS, f"{_LONG:,} characters of {unit!r} take {taken:.0f} s of a CPU"
            )
