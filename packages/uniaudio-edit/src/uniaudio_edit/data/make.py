"""One clip to its pairs: a function of the seed, the clip and the clips around it alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random

from mingtok_audio.core.errors import UserError
from uniaudio_edit.data.clips import Clip
from uniaudio_edit.data.material import ClipMaterial, Store
from uniaudio_edit.data.pair import NoPairError, Pair
from uniaudio_edit.data.recipe import Recipe, tasks
from uniaudio_edit.data.voices import VoiceConverter
from uniaudio_edit.plugins import get_host


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
        return tasks()[task].pair(ClipMaterial(self._store, clip, around, number), rng)


def read_sounds(folder: str) -> Mapping[str, Path]:
    """Recordings of a folder and the folders in it by their names ("" has none); of two with one
    name (as in MUSAN's and the DNS Challenge's folders), the later has its folder's name too.

    Raises:
        UserError: there is no such folder, or nothing in it.
    """
    from mingtok_audio.core.audio import find_audio_files

    if not folder:
        return {}
    if not Path(folder).is_dir():
        raise UserError(f"{folder}: no such folder of sounds")
    found: dict[str, Path] = {}
    for path in sorted(find_audio_files(folder)):
        name = path.relative_to(folder).with_suffix("").as_posix()
        found[name if path.stem in found else path.stem] = path
    if not found:
        raise UserError(f"{folder} holds no recordings")
    return found
