"""How many items of each kind: the counts of the paper's tables 8 to 10, and balanced ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import cast, get_args

from audio_eval.build.edits import Kind
from audio_eval.build.units import Language, Task
from audio_eval.build.wording import Wording
from audio_eval.edit_tasks import ACOUSTIC
from mingtok_audio.core.errors import UserError

SEMANTIC: tuple[Task, ...] = get_args(Task)


@dataclass(frozen=True, order=True)
class Cell:
    """One group of items that are counted together; kind and wording are "" for acoustic ones."""

    language: Language
    task: str
    wording: Wording | str = ""
    kind: Kind | str = ""

    def __str__(self) -> str:
        return "/".join(p for p in (self.language, self.task, self.wording, self.kind) if p)


def _table(
    wording: Wording,
    index: Mapping[Language, Iterable[int]],
    content: Mapping[Language, Iterable[int]],
) -> dict[Cell, int]:
    return {
        Cell(language, task, wording, kind): count
        for kind, rows in (("index", index), ("content", content))
        for language, counts in rows.items()
        for task, count in zip(SEMANTIC, counts, strict=True)
    }


# Deletion, insertion, substitution, in the order of the tables.
TABLE_8 = _table(
    "basic", {"zh": (92, 65, 29), "en": (47, 79, 29)}, {"zh": (78, 105, 130), "en": (133, 81, 150)}
)
TABLE_9 = _table(
    "full",
    {"zh": (186, 180, 36), "en": (138, 100, 67)},
    {"zh": (95, 110, 289), "en": (62, 99, 189)},
)
TABLE_10 = {
    Cell("zh", "emotion"): 84,
    Cell("en", "emotion"): 72,
    Cell("zh", "speed"): 50,
    Cell("en", "speed"): 50,
    Cell("zh", "pitch"): 50,
    Cell("en", "pitch"): 50,
    Cell("zh", "volume"): 50,
    Cell("en", "volume"): 50,
    Cell("zh", "dialect"): 250,
}
PRESETS: dict[str, dict[Cell, int]] = {
    "paper-basic": TABLE_8,
    "paper-full": TABLE_9,
    "paper-acoustic": TABLE_10,
}


def preset(name: str, languages: Iterable[str] = ()) -> dict[Cell, int]:
    """The counts of a preset, of some languages only where given.

    Raises:
        UserError: unknown name.
    """
    if name not in PRESETS:
        raise UserError(f"unknown preset {name!r}; there are: {', '.join(PRESETS)}")
    wanted = set(languages) or {"en", "zh"}
    return {cell: n for cell, n in PRESETS[name].items() if cell.language in wanted}


def balanced(
    items: int,
    languages: Iterable[Language],
    wordings: Iterable[Wording],
    tasks: Iterable[str] = SEMANTIC,
) -> dict[Cell, int]:
    """`items` spread as evenly as whole numbers allow over languages, wordings, tasks and kinds.

    Raises:
        UserError: fewer items than one, or nothing to spread them over.
    """
    cells = [
        cell
        for language in languages
        for task in tasks
        for cell in (
            [Cell(language, task, w, k) for k in get_args(Kind) for w in wordings]
            if task in SEMANTIC
            else [Cell(language, task)]
        )
        if task in SEMANTIC or language in (ACOUSTIC[task].languages or (language,))
    ]
    if items < 1 or not cells:
        raise UserError("nothing to build: give at least one item, task, language and wording")
    # One round over all tasks before the second kind of any, so that few items still mix.
    cells.sort(key=lambda c: (c.language, c.wording, c.kind, c.task))
    share, rest = divmod(items, len(cells))
    counts = {cell: share + (place < rest) for place, cell in enumerate(cells)}
    return {cell: n for cell, n in counts.items() if n}


def parse_counts(texts: Iterable[str]) -> dict[Cell, int]:
    """Counts from `en/deletion/full/index=10` or `zh/speed=50`.

    Raises:
        UserError: a text that is not of this form, naming it.
    """
    counts: dict[Cell, int] = {}
    for text in texts:
        name, _, number = text.partition("=")
        cell = _cell(name.strip().split("/"), text)
        if not number.strip().isdigit() or not int(number):
            raise UserError(f"count {text!r}: give a whole number above 0 after '='")
        if cell in counts:
            raise UserError(f"count {text!r}: {cell} is given twice")
        counts[cell] = int(number)
    return counts


def _cell(parts: list[str], text: str) -> Cell:
    tasks = (*SEMANTIC, *ACOUSTIC)
    form = "LANGUAGE/TASK/WORDING/KIND=N, for example en/deletion/full/index=10 or zh/speed=50"
    if len(parts) < 2 or parts[0] not in get_args(Language) or parts[1] not in tasks:
        raise UserError(f"count {text!r}: write {form}; tasks: {', '.join(tasks)}")
    language = cast("Language", parts[0])
    if parts[1] in ACOUSTIC:
        if len(parts) != 2:
            raise UserError(f"count {text!r}: {parts[1]} takes no wording and kind; write {form}")
        return Cell(language, parts[1])
    good = len(parts) == 4 and parts[2] in get_args(Wording) and parts[3] in get_args(Kind)
    if not good:
        raise UserError(f"count {text!r}: write {form}; basic or full, index or content")
    return Cell(language, parts[1], parts[2], parts[3])


def scaled(counts: Mapping[Cell, int], scale: float) -> dict[Cell, int]:
    """Counts times `scale`, rounded, at least one each."""
    if not scale > 0:
        raise UserError(f"scale is {scale}; it must be above 0")
    return {cell: max(1, round(n * scale)) for cell, n in counts.items()}
