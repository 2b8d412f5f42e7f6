"""Items that change how speech sounds: speed, pitch, volume, emotion, dialect, noise, added sound.

Each instruction carries its parameter, which is read back from the words by another path
(`manifest.parse_parameters`, or a closed list of labels) before the item counts. Where the perfect
result can be computed, it is written beside the item as its target.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from audio_eval.build import dsp
from audio_eval.build.expand import expand
from audio_eval.build.items import Draft, ItemRejectedError
from audio_eval.build.presets import Cell
from audio_eval.build.sources import Recording
from audio_eval.edit_tasks import ACOUSTIC, AcousticTask
from audio_eval.scoring.manifest import parse_parameters
from mingtok_audio.core.audio import load_audio
from mingtok_audio.core.errors import UserError

NOISES = ("white", "pink", "hum", "babble")
_NOISE_SECONDS = 30.0

SOUNDS: dict[str, tuple[str, str]] = {
    "white": ("white noise", "白噪声"),
    "pink": ("pink noise", "粉红噪声"),
    "hum": ("mains hum", "电流声"),
    "babble": ("people talking", "人群说话声"),
}


@dataclass
class AcousticMaker:
    """Makes acoustic items.

    Args:
        wording: "basic" for the published phrasings, "full" for varied ones in the text's language.
        noises: recordings of noise or sound by name; empty takes the synthetic `NOISES`.
        pool: recordings that babble is mixed from.
    """

    wording: str = "basic"
    noises: Mapping[str, Path] = field(default_factory=dict)
    pool: Sequence[Recording] = ()

    def make(
        self, recording: Recording, cell: Cell, seed: int
    ) -> Iterable[Draft | ItemRejectedError]:
        """One draft for a recording, or why not."""
        rng = random.Random(f"{seed}/{recording.id}/{cell}")
        try:
            yield self._draft(recording, cell, rng)
        except ItemRejectedError as error:
            yield error

    def _draft(self, recording: Recording, cell: Cell, rng: random.Random) -> Draft:
        task = ACOUSTIC[cell.task]
        parameters: dict[str, Any] = {}
        said = ""
        draft: dict[str, Any] = {}
        if task.parameter:
            value = self._value(task, recording, rng)
            parameters[task.parameter] = value
            said = f"{value:g}"
            draft["target"] = _target(task.parameter, recording.audio, value)
        elif task.labels:
            label = rng.choice(list(task.labels))
            parameters["label"] = label
            said = self._name(task.labels[label], recording)
        else:
            name, snr = self._noise(rng), rng.choice(task.snrs_db)
            parameters |= {"noise": name, "snr_db": snr}
            shown = name.replace("_", " ")
            names = SOUNDS.get(name, (shown, shown))
            said = self._name(names, recording)
            mixture = self._mixture(recording, name, snr, rng.randrange(2**32))
            clean = _loader(recording.audio)
            draft |= (
                {"source": mixture, "target": clean}
                if task.sound == "source"
                else {"target": mixture}
            )
        instruction = self._instruction(task, said, recording, rng)
        _read_back(cell.task, instruction, parameters)
        return Draft(
            recording=recording,
            cell=cell,
            instruction=instruction,
            original_text=" ".join(recording.text.split()),
            edited_text=" ".join(recording.text.split()),
            parameters=parameters,
            **draft,
        )

    def _name(self, names: tuple[str, str], recording: Recording) -> str:
        return names[recording.language == "zh" and self.wording == "full"]

    def _instruction(
        self, task: AcousticTask, said: str, recording: Recording, rng: random.Random
    ) -> str:
        if self.wording == "basic":
            return task.basic.format(v=said)
        grammar = task.chinese if recording.language == "zh" else task.english
        text = expand(rng.choice(grammar), rng).replace("{v}", said)
        return text[0].upper() + text[1:] if rng.random() < 0.6 else text

    def _value(self, task: AcousticTask, recording: Recording, rng: random.Random) -> float:
        if task.parameter != "volume":
            return rng.choice(task.values)
        wav, _ = load_audio(recording.audio)
        peak = float(np.max(np.abs(wav))) or 1.0
        fitting = [v for v in task.values if v * peak <= 1.0]
        if not fitting:
            raise ItemRejectedError("would_clip", f"peak {peak:.2f}")
        return rng.choice(fitting)

    def _noise(self, rng: random.Random) -> str:
        names = sorted(self.noises) or [n for n in NOISES if n != "babble" or len(self.pool) > 1]
        return rng.choice(names)

    def _mixture(self, recording: Recording, name: str, snr: int, seed: int) -> Any:
        def make() -> tuple[np.ndarray, int]:
            wav, rate = load_audio(recording.audio)
            noise = self._samples(name, len(wav), rate, recording, np.random.default_rng(seed))
            return dsp.mix_at_snr(wav, noise, snr), rate

        return make

    def _samples(
        self, name: str, samples: int, rate: int, recording: Recording, rng: np.random.Generator
    ) -> np.ndarray:
        if name in self.noises:
            noise, _ = load_audio(self.noises[name], sample_rate=rate)
            spare = len(noise) - samples
            return noise[int(rng.integers(spare + 1)) :] if spare > 0 else noise
        if name != "babble":
            return dsp.make_noise(name, samples, rate, rng)
        others = [r for r in self.pool if r.id != recording.id]
        voices = rng.choice(len(others), size=min(6, len(others)), replace=False)
        mix = np.zeros(samples, np.float32)
        for voice in voices:
            wav, _ = load_audio(others[int(voice)].audio, sample_rate=rate)
            wav = np.resize(wav, samples)
            mix += np.roll(wav, int(rng.integers(samples)))
        return mix


def read_noises(folder: Path) -> dict[str, Path]:
    """Recordings of noise in a folder, by file name; used from a random place, repeated if short.

    Raises:
        UserError: no such folder, or no audio in it.
    """
    from mingtok_audio.core.audio import find_audio_files

    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder of noise recordings")
    found = {file.stem: file for file in find_audio_files(folder)}
    if not found:
        raise UserError(f"{folder}: no audio files in it")
    return found


def _loader(path: Path) -> Any:
    return lambda: load_audio(path)


def _target(parameter: str, path: Path, value: float) -> Any:
    def make() -> tuple[np.ndarray, int]:
        wav, rate = load_audio(path)
        if parameter == "speed":
            return dsp.change_speed(wav, rate, value), rate
        if parameter == "semitones":
            return dsp.shift_pitch(wav, rate, value), rate
        return dsp.change_volume(wav, value), rate

    return make


def _read_back(task: str, instruction: str, parameters: Mapping[str, Any]) -> None:
    """The second path: the number or the label must be told from the words alone."""
    row = ACOUSTIC[task]
    if row.parameter:
        heard = parse_parameters(task, instruction).get(row.parameter)
        if heard != parameters[row.parameter]:
            raise ItemRejectedError("parameter_disagrees", f"{instruction} | {heard}")
    elif row.labels:
        heard = [
            label
            for label, names in row.labels.items()
            if any(name.casefold() in instruction.casefold() for name in names)
        ]
        if heard != [parameters["label"]]:
            raise ItemRejectedError("parameter_disagrees", f"{instruction} | {heard}")
