"""What file names and instructions say about an item: language, task, mode, parameters."""

from __future__ import annotations

import re
from pathlib import Path

from audio_eval.edit_tasks import ACOUSTIC, SEMANTIC, TASK_NAMES

SEMANTIC_TASKS = tuple(SEMANTIC)
ACOUSTIC_TASKS = tuple(ACOUSTIC)
#: ``open`` is the published scripts' word for the full wording.
MODE_NAMES = {"basic": "basic", "full": "full", "open": "full"}


def infer_names(path: Path, folders: int = 2) -> dict[str, str]:
    """``language``, ``task`` and ``mode`` as far as the names of a meta file and its folders tell.

    ``meta_en_deletion_basic_test.csv`` gives en, deletion, basic. A semantic set that does not
    say ``basic`` is ``full``. The nearest name wins.
    """
    names = [path.stem, *[p.name for p in list(path.absolute().parents)[:folders]]]
    out: dict[str, str] = {}
    for name in names:
        flat = "_" + re.sub(r"[^a-z0-9]+", "_", name.lower()) + "_"
        if "language" not in out:
            found = [code for code in ("en", "zh") if f"_{code}_" in flat]
            if len(found) == 1:
                out["language"] = found[0]
        if "task" not in out:
            task = max((key for key in TASK_NAMES if f"_{key}_" in flat), key=len, default=None)
            if task:
                out["task"] = TASK_NAMES[task]
        if "mode" not in out:
            mode = next((key for key in MODE_NAMES if f"_{key}_" in flat), None)
            if mode:
                out["mode"] = MODE_NAMES[mode]
    if out.get("task") in SEMANTIC_TASKS:
        out.setdefault("mode", "full")
    elif out.get("task") in ACOUSTIC_TASKS:
        out.pop("mode", None)
    return out


def parse_parameters(task: str, instruction: str) -> dict[str, float]:
    """The number that an acoustic instruction carries ("adjusts the speed to 1.5").

    Words of direction count: "lower the pitch by 3 steps" gives -3 semitones.
    """
    row = ACOUSTIC.get(task)
    if row is None or not instruction:
        return {}
    name = row.parameter
    for pattern in row.patterns:
        found = re.search(pattern, instruction, flags=re.IGNORECASE)
        if found:
            value = float(found.group(1))
            if (
                name == "semitones"
                and value > 0
                and re.search(r"\b(?:lower|down|decrease|reduce)|降低|降|低", instruction.lower())
            ):
                value = -value
            return {name: value}
    return {}
