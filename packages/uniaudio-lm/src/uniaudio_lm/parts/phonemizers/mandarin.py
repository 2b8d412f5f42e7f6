"""Chinese characters to pinyin initials and finals, through pypinyin (MIT; extra `zh`)."""

from __future__ import annotations

from mingtok_audio.core.errors import UserError
from uniaudio_lm.interfaces import Phonemizer
from uniaudio_lm.text.words import is_single, split_words

_INITIALS = "b p m f d t n l g k h j q x zh ch sh r z c s"
INITIALS = tuple(_INITIALS.split())
_FINALS = (
    "a o e i u v ai ei ao ou an en ang eng ong er ia ie iao iou ian in iang ing iong ua uo uai "
    "uei uan uen uang ueng ve van vn ê"
)
FINALS = tuple(_FINALS.split())


class MandarinPhonemizer(Phonemizer):
    """An initial (where there is one) and a final with its tone for each character.

    Tones are 1 to 4, 5 is neutral: 你好 gives [["n", "i3"], ["h", "ao3"]]. Words of other scripts
    give no phonemes.

    Args:
        tones: keep them; False leaves bare finals.

    Raises:
        UserError: pypinyin is not installed.
    """

    languages = ("zh",)

    def __init__(self, *, tones: bool = True) -> None:
        try:
            import pypinyin
        except ImportError as error:
            raise UserError(
                "the phonemizer 'mandarin' needs pypinyin: pip install pypinyin"
            ) from error
        self._pypinyin = pypinyin
        self.tones = tones
        finals = [f + t for f in FINALS for t in "12345"] if tones else list(FINALS)
        self.symbols = (*INITIALS, *finals)

    def phonemize(self, text: str, language: str = "zh") -> list[list[str]]:
        """See `Phonemizer.phonemize`. Characters in a row are read together: 银行 is yinhang."""
        words = split_words(text)
        out: list[list[str]] = []
        row: list[str] = []
        for word in [*words, ""]:
            if is_single(word):
                row.append(word)
                continue
            out += self._read(row)
            row = []
            if word:
                out.append([])
        return out

    def _read(self, characters: list[str]) -> list[list[str]]:
        if not characters:
            return []
        style = self._pypinyin.Style
        text = "".join(characters)
        options = {"strict": True, "errors": lambda piece: [""] * len(piece)}
        initials = self._pypinyin.lazy_pinyin(text, style=style.INITIALS, **options)
        finals = self._pypinyin.lazy_pinyin(
            text, style=style.FINALS_TONE3, neutral_tone_with_five=True, **options
        )
        known = set(self.symbols)
        out = []
        for initial, final in zip(initials, finals, strict=True):
            said = [initial, final if self.tones else final.rstrip("12345")]
            out.append([s for s in said if s in known])
        return out
