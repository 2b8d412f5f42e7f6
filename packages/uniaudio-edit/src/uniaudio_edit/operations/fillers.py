"""`fillers`: "um", "uh" and their like go. A wording of deletions, which `splice` carries out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from uniaudio_edit.grammar.references import AnyOf, Draft, Reading
from uniaudio_edit.operations.base import WordOperation

WORDS = {
    "en": (
        "um",
        "umm",
        "uh",
        "uhh",
        "uhm",
        "er",
        "erm",
        "ah",
        "hmm",
        "hm",
        "mm",
        "mhm",
        "you know",
    ),
    "zh": ("嗯", "呃", "额", "唔", "哦", "噢", "那个什么"),
}
_EN_SOUND = r"(?:u+m+|u+h+|uhm|erm|er(?='?s)|ah|hm+)(?:'?s)?"


class Fillers(WordOperation):
    """The words of `WORDS`, in both languages; becomes operations of the type `deletion`."""

    name = "fillers"
    example = "remove the filler words"
    wordings = {
        "en": (
            r"(?:{DELETE}|clean up|clean out) (?:the |all |any |all the |every |all of the )?(?:filler(?: words?| sounds?)?s?|hesitations?|hesitation (?:words|sounds)|filled pauses)",
            rf"{{DELETE}} (?:the |all |any |all the |every |all of the )?(?P<named>{_EN_SOUND}(?:(?:,? (?:and|or) (?:the )?|, ?){_EN_SOUND})*)",
        ),
        "zh": (
            r"{DELETE}(?:所有|全部)?的?(?:语气词|口头禅|填充词|赘词|废话词|停顿词|口头语)",
            r"(?:把|将)?(?:所有|全部)?的?(?:语气词|口头禅|填充词|赘词|停顿词|口头语)(?:都|全部)?{DELETE}",
            r"{DELETE}(?:所有|全部)?的?[“”]?(?P<named>(?:嗯|呃|额|啊|哦)(?:[、和啊嗯呃额哦]+)?)(?:这样)?的?(?:语气词|声音|音)",
        ),
    }

    def readings(self, clause: Any) -> Iterator[Reading]:
        """Every filler word of the text goes."""
        language = clause.language
        for pattern in self.wordings.get(language.code, ()):
            if isinstance(pattern, str) and (found := language.full(pattern, clause.sound)):
                every = (*WORDS["en"], *WORDS["zh"])
                named = re.findall(r"[a-z]+|[嗯呃额啊哦]", found.groupdict().get("named") or "")
                families = {_family(word) for word in named} - {""}
                words = tuple(w for w in every if not families or _family(w) in families)
                what = "filler words" if not families else f"'{', '.join(sorted(families))}'"
                yield Reading((Draft("deletion", AnyOf(words, what)),))
                return


def _family(word: str) -> str:
    """ "ums", "ummm" -> "um": the sound that a filler word is a spelling of; "" for others."""
    sound = re.sub(r"(.)\1+", r"\1", word.rstrip("s") if word != "s" else word)
    return (
        sound
        if sound in ("um", "uh", "uhm", "er", "erm", "ah", "hm", "m") or sound in WORDS["zh"]
        else ""
    )
