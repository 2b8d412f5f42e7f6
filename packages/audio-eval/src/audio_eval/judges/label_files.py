"""Labels from a table: what people, or a model that runs elsewhere, said about each item."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audio_eval.interfaces import ComponentInfo, Judge, JudgeUnavailableError

if TYPE_CHECKING:
    import numpy as np


class LabelFiles(Judge):
    """Looks the label of an item up in ``path`` (JSONL ``{"id", "text"}`` or lines ``id label``).

    Fills the role ``emotion`` or ``dialect`` that it is chosen for.
    """

    info = ComponentInfo(name="label_files", version="1", summary="labels from a table, by item id")
    role = "emotion"
    sample_rate = None

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self._labels: dict[str, str] | None = None

    def check(self) -> None:
        if not self.path.is_file():
            raise JudgeUnavailableError(f"{self.path} is not there")

    def identity(self) -> str:
        from audio_eval.judges.base import sha256_of

        return f"label_files/{self.info.version} {self.path.name} {sha256_of(self.path)[:16]}"

    def evaluate(self, wav: np.ndarray, sample_rate: int, **request: Any) -> Mapping[str, Any]:
        """``{"label"}``; an item that is not in the table raises ``JudgeUnavailableError``."""
        if self._labels is None:
            from audio_eval.scoring.textfiles import read_texts

            self._labels = read_texts(self.path)
        label = self._labels.get(str(request.get("id", "")))
        if label is None:
            raise JudgeUnavailableError(f"{self.path} has no label for {request.get('id')!r}")
        return {"label": label}
