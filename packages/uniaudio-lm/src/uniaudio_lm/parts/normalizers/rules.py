"""The built-in text normaliser: English and Chinese by rules, other languages as they are."""

from __future__ import annotations

from uniaudio_lm.interfaces import TextNormalizer
from uniaudio_lm.parts.normalizers import chinese, english
from uniaudio_lm.text.markup import plain_text

# Digits and signs of full width, and signs of one meaning, as their plain forms.
_PLAIN = str.maketrans("０１２３４５６７８９％＄￥￡＋－＝：／．", "0123456789%$¥£+-=:/.")
_PLAIN_ENGLISH = _PLAIN | str.maketrans("～", "-")


class RulesNormalizer(TextNormalizer):
    """Numbers, ordinals, dates, times, money, units, percentages, fractions, telephone numbers and
    common abbreviations, in English ("en") and Chinese ("zh"). Texts of other languages stay."""

    def normalize(self, text: str, language: str) -> str:
        """See `TextNormalizer.normalize`."""
        text = plain_text(text)
        code = language.lower().partition("-")[0].partition("_")[0]
        if code == "en":
            return english.normalize(text.translate(_PLAIN_ENGLISH))
        if code == "zh":
            return chinese.normalize(text.translate(_PLAIN))
        return text
