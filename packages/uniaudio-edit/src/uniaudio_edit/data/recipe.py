"""What training pairs are made, and how."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from mingtok_audio.core.errors import UserError
from uniaudio_edit.operations.base import EditOperation
from uniaudio_edit.plugins import edit_operations


def tasks() -> dict[str, EditOperation]:
    """The operations that pairs are made of, by the name of the task."""
    found: dict[str, EditOperation] = {}
    for operation in edit_operations().values():
        if operation.task:
            found.setdefault(operation.task, operation)
    return found


def default_weights() -> dict[str, float]:
    """How often each task is drawn."""
    return {name: operation.weight for name, operation in tasks().items()}


@dataclass(frozen=True)
class Recipe:
    """What pairs are made, and how.

    Attributes:
        seed: of everything.
        tasks: how often each is drawn, relative to the others; 0 leaves it out.
        per_clip: pairs from each recording, of different tasks.
        longest_span: most units (words, characters) that an edit touches.
        min_seconds, max_seconds: of recordings; others make no pair.
        noise_snr_db, sound_snr_db: drawn from these ranges.
        noises, sounds: folders of recordings; without them noise imitates some.
        timbres: number of voices that recordings are converted to; 0 leaves them as they are.
        timbre: the converter, a `voice_converter` plugin.
        timbre_share: share of recordings that are converted.
        block: clips that artefacts and babble are taken from together.
    """

    seed: int = 0
    tasks: dict[str, float] = field(default_factory=default_weights)
    per_clip: int = 1
    longest_span: int = 5
    min_seconds: float = 1.0
    max_seconds: float = 30.0
    noise_snr_db: tuple[float, float] = (-5.0, 20.0)
    sound_snr_db: tuple[float, float] = (5.0, 20.0)
    noises: str = ""
    sounds: str = ""
    timbres: int = 0
    timbre: str = "formant_shift"
    timbre_share: float = 0.5
    block: int = 256

    def __post_init__(self) -> None:
        for name, share in self.tasks.items():
            if name not in tasks():
                raise UserError(f"there is no task {name!r}; there are {', '.join(tasks())}")
            if not 0 <= share < float("inf"):
                raise UserError(f"the share of {name} must be 0 or more, not {share}")
        if not any(self.tasks.values()):
            raise UserError("no task is asked for: every share is 0")
        if self.per_clip < 1 or self.longest_span < 1 or self.block < 1:
            raise UserError("per_clip, longest_span and block must be at least 1")
        if not 0 < self.min_seconds <= self.max_seconds:
            raise UserError("the shortest recording must be above 0 s and not above the longest")
        if not 0 <= self.timbre_share <= 1 or self.timbres < 0:
            raise UserError("timbres must be 0 or more, and their share from 0 to 1")

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)
