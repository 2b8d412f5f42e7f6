"""One clip to its pairs: a function of the seed, the clip and the clips around it alone."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from mingtok_audio.core.audio import audio_info, load_audio
from mingtok_audio.core.errors import UserError
from uniaudio_edit.data import acoustic, semantic
from uniaudio_edit.data.clips import Clip, unit_words
from uniaudio_edit.data.pair import SAMPLE_RATE, SEMANTIC_TASKS, TASKS, NoPairError, Pair
from uniaudio_edit.data.semantic import Spoken
from uniaudio_edit.data.timbre import Timbre
from uniaudio_edit.parsers.units import Text

_DONOR_TRIES = 8
_KEPT_RECORDINGS = 48
DEFAULT_WEIGHTS = {
    "insertion": 3.0, "deletion": 3.0, "substitution": 3.0, "denoise": 1.0, "speed": 1.0,
    "pitch": 1.0, "volume": 1.0, "add_sound": 1.0, "parallel": 1.0,
}  # fmt: skip


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
        timbre: the converter, a `timbre` plugin.
        timbre_share: share of recordings that are converted.
        block: clips that artefacts and babble are taken from together.
    """

    seed: int = 0
    tasks: dict[str, float] = field(default_factory=lambda: dict(DEFAULT_WEIGHTS))
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
            if name not in TASKS:
                raise UserError(f"there is no task {name!r}; there are {', '.join(TASKS)}")
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
        from uniaudio_edit.plugins import get_host

        self.recipe = recipe
        self._noises = read_sounds(recipe.noises)
        self._sounds = read_sounds(recipe.sounds)
        self._timbre: Timbre | None = (
            get_host().create("timbre", recipe.timbre) if recipe.timbres else None
        )
        self._kept: OrderedDict[tuple[str, int], np.ndarray] = OrderedDict()

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
        recipe = self.recipe
        rng = Random(f"{recipe.seed}/{clip.id}/{task}")
        if task in SEMANTIC_TASKS:
            spoken = self._spoken(clip, number)
            if task == "insertion":
                return semantic.insertion(spoken, rng, recipe.longest_span)
            if task == "substitution":
                return semantic.substitution(spoken, rng, recipe.longest_span)
            donor = self._donor(clip, around, rng, number)
            return semantic.deletion(spoken, donor, rng, recipe.longest_span)
        if task == "parallel":
            return self._parallel(clip, rng, number)
        said = acoustic.Said(self._wav(clip, number), clip.text, clip.language)
        if task == "denoise":
            around_it = acoustic.Noises(self._noises, recipe.noise_snr_db)
            return acoustic.denoise(said, rng, around_it, self._babble(clip, around))
        if task == "add_sound":
            return acoustic.add_sound(said, rng, acoustic.Noises(self._sounds, recipe.sound_snr_db))
        made = {"speed": acoustic.speed, "pitch": acoustic.pitch, "volume": acoustic.volume}[task]
        return made(said, rng)

    # --- recordings -------------------------------------------------------------------------------

    def _wav(self, clip: Clip, number: int) -> np.ndarray:
        """(T,) float32 at 16 kHz, in voice `number` (0: its own)."""
        return self._load(clip.audio, number)

    def _load(self, path: Path, number: int) -> np.ndarray:
        key = (str(path), number)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        if not self.recipe.min_seconds <= audio_info(path).seconds <= self.recipe.max_seconds:
            raise NoPairError("length")
        wav, _ = load_audio(path, SAMPLE_RATE)
        if not np.any(wav):
            raise NoPairError("silence")
        if number and self._timbre is not None:
            wav = self._timbre.convert(wav, SAMPLE_RATE, number)
        self._kept[key] = wav.astype(np.float32)
        while len(self._kept) > _KEPT_RECORDINGS:
            self._kept.popitem(last=False)
        return self._kept[key]

    def _spoken(self, clip: Clip, number: int) -> Spoken:
        if not clip.timing:
            raise NoPairError("no_word_times")
        text = Text(clip.text)
        if len(text) < 2:
            raise NoPairError("too_short")
        wav = self._wav(clip, number)
        words = unit_words(clip, len(wav) / SAMPLE_RATE)
        if words is None:
            raise NoPairError("no_word_times")
        return Spoken.of(wav, clip.text, words)

    def _donor(self, clip: Clip, around: Sequence[Clip], rng: Random, number: int) -> Spoken:
        """Another recording of the block, of the same speaker if there is one."""
        others = [c for c in around if c.id != clip.id and c.language == clip.language and c.timing]
        same = [c for c in others if c.speaker == clip.speaker]
        pool = same or others
        for other in rng.sample(pool, min(len(pool), _DONOR_TRIES)):
            try:
                return self._spoken(other, number)
            except (NoPairError, UserError):
                continue
        raise NoPairError("no_donor")

    def _babble(self, clip: Clip, around: Sequence[Clip]) -> acoustic.Babble:
        def made(size: int, rng: Random) -> np.ndarray:
            others = [c for c in around if c.id != clip.id]
            voices = np.zeros(size)
            found = 0
            for other in rng.sample(others, min(len(others), 3 * _DONOR_TRIES)):
                try:
                    wav = self._wav(other, 0)
                except (NoPairError, UserError):
                    continue
                level = float(np.sqrt(np.mean(np.square(wav))))
                voices += np.roll(np.resize(wav, size), rng.randrange(size)) / level
                found += 1
                if found == 5:
                    return voices
            if found < 2:
                raise NoPairError("no_donor")
            return voices

        return made

    def _parallel(self, clip: Clip, rng: Random, number: int) -> Pair:
        choices = [
            (p["audio"], kind, str(p[kind]))
            for p in clip.parallel
            for kind in ("emotion", "dialect")
            if p.get(kind)
        ]
        if not choices:
            raise NoPairError("no_parallel")
        audio, kind, label = rng.choice(choices)
        other = self._load(clip.audio.parent / audio, number)
        said = acoustic.Said(self._wav(clip, number), clip.text, clip.language)
        return acoustic.parallel(said, rng, other, kind, label)


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
