"""One clip to its pairs: a function of the seed, the clip and the clips around it alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from mingtok_audio.core.errors import UserError
from uniaudio_edit.data.clips import Clip
from uniaudio_edit.data.material import Material, Store
from uniaudio_edit.data.pair import NoPairError, Pair
from uniaudio_edit.data.voices import VoiceConverter
from uniaudio_edit.operations.base import EditOperation
from uniaudio_edit.plugins import edit_operations, get_host


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


class PairMaker:
    """Makes the pairs of clips. Holds a few decoded recordings, nothing else that grows."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        timbre: VoiceConverter | None = (
            get_host().create("voice_converter", recipe.timbre) if recipe.timbres else None
        )
        self._store = Store(recipe, read_sounds(recipe.noises), read_sounds(recipe.sounds), timbre)

    def pairs(self, clip: Clip, around: Sequence[Clip]) -> list[tuple[str, Pair | str]]:
        """(task, pair or why there is none) for a clip; `around` is its block."""
        recipe = self.recipe
        rng = Random(f"{recipe.seed}/{clip.id}")
        number = 0
        if recipe.timbres and rng.random() < recipe.timbre_share:
            number = rng.randint(1, recipe.timbres)
        out: list[tuple[str, Pair | str]] = []
        made = 0
        for task in self._drawn(rng):
            if made == recipe.per_clip:
                break
            try:
                pair = self._pair(clip, task, around, number)
                if number:
                    pair.params["timbre"] = number
                out.append((task, pair))
                made += 1
            except NoPairError as error:
                out.append((task, error.reason))
                if error.reason in ("length", "unreadable"):
                    break  # no task will do better
            except UserError as error:
                out.append((task, f"unreadable: {error}"))
                break
        return out

    def _drawn(self, rng: Random) -> list[str]:
        """All tasks asked for, in an order that their shares decide: the first ones are made."""
        left = {name: share for name, share in sorted(self.recipe.tasks.items()) if share > 0}
        order = []
        while left:
            name = rng.choices(list(left), list(left.values()))[0]
            order.append(name)
            del left[name]
        return order

    def _pair(self, clip: Clip, task: str, around: Sequence[Clip], number: int) -> Pair:
        rng = Random(f"{self.recipe.seed}/{clip.id}/{task}")
        return tasks()[task].pair(Material(self._store, clip, around, number), rng)


def read_sounds(folder: str) -> Mapping[str, Path]:
    """Recordings of a folder by their names ("" has none).

    Raises:
        UserError: there is no such folder, or nothing in it.
    """
    from mingtok_audio.core.audio import find_audio_files

    if not folder:
        return {}
    if not Path(folder).is_dir():
        raise UserError(f"{folder}: no such folder of sounds")
    found = {path.stem: path for path in find_audio_files(folder)}
    if not found:
        raise UserError(f"{folder} holds no recordings")
    return found
