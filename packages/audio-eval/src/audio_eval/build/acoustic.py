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
from audio_eval.scoring.manifest import parse_parameters
from mingtok_audio.core.audio import load_audio
from mingtok_audio.core.errors import UserError

SPEEDS = (0.5, 0.6, 0.7, 0.8, 0.9, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8, 1.9, 2.0)
SEMITONES = (-6, -5, -4, -3, -2, -1, 1, 2, 3, 4, 5, 6)
VOLUMES = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.2, 1.3, 1.4, 1.5, 1.6)
SNRS_DB = (0, 5, 10, 15)
SOUND_SNRS_DB = (5, 10, 15)
NOISES = ("white", "pink", "hum", "babble")
_NOISE_SECONDS = 30.0

#: Label -> how instructions name it (English, Chinese).
EMOTIONS: dict[str, tuple[str, str]] = {
    "happy": ("happy", "高兴"),
    "sad": ("sad", "悲伤"),
    "angry": ("angry", "生气"),
    "surprised": ("surprised", "惊讶"),
    "fearful": ("fearful", "害怕"),
}
DIALECTS: dict[str, tuple[str, str]] = {
    "zh_chengdu": ("Chengdu", "成都话"),
    "zh_dongbei": ("Dongbei", "东北话"),
    "zh_guangxi": ("Guangxi", "广西话"),
}
SOUNDS: dict[str, tuple[str, str]] = {
    "white": ("white noise", "白噪声"),
    "pink": ("pink noise", "粉红噪声"),
    "hum": ("mains hum", "电流声"),
    "babble": ("people talking", "人群说话声"),
}

# The published wordings (appendix C.3, table 7); `{v}` is the parameter.
BASIC: dict[str, str] = {
    "speed": "adjusts the speed to {v}",
    "pitch": "shifts the pitch by {v} steps",
    "volume": "adjusts the volume to {v}",
    "emotion": "Change the emotion of the speech to {v}.",
    "dialect": "Change the accent of the speech to {v}.",
    "denoise": "denoise the audio",
    "add_sound": "add {v} to the background",
}
_POLITE = "(|||please |could you |can you please )"
FULL_EN: dict[str, tuple[str, ...]] = {
    "speed": (
        _POLITE + "(set|change|adjust) the (speaking |)speed to {v}( times|x|)",
        "(Play|Say) it at a speed of {v}",
    ),
    "pitch": (
        _POLITE + "(shift|move|transpose) the pitch by {v} (semitones|steps|half steps)",
        "the pitch should move by {v} semitones",
    ),
    "volume": (
        _POLITE + "(set|change|adjust) the volume to {v}( times|)( of what it was|)",
        "the volume should be {v} times the present one",
    ),
    "emotion": (
        _POLITE + "make (the speaker|it|the voice) sound {v}",
        "Say this in a {v} (voice|tone|way)",
        "(Change|Turn) the emotion (of the speech |)(to|into) {v}",
    ),
    "dialect": (
        "(Say|Speak) this with a {v} accent",
        _POLITE + "(change|turn) the accent (of the speech |)(to|into) {v}",
    ),
    "denoise": (
        _POLITE + "(remove|clean up|get rid of) the background noise",
        _POLITE + "denoise (the audio|this recording|this clip)",
        "(Make|Get) the speech (clean|free of noise)",
    ),
    "add_sound": (
        _POLITE + "(add|put|mix) {v} (to|into|in) the background",
        "I want to hear {v} (behind|under) the (speech|voice)",
    ),
}
FULL_ZH: dict[str, tuple[str, ...]] = {
    "speed": ("(请|帮我|)把(语速|速度)(调到|调整为|改成|变为){v}倍", "语速(变成|调成)原来的{v}倍"),
    "pitch": ("(请|帮我|)把(音高|音调)(移动|变化|调整){v}个半音",),
    "volume": ("(请|帮我|)把音量(调到|调整为|改成|变为){v}倍", "音量(变成|调成)原来的{v}倍"),
    "emotion": ("(请|)(用|以){v}的(语气|情绪)(说|来说)", "(请|)把(情绪|语气)(改成|换成|变为){v}"),
    "dialect": ("(请|)(用|换成|改用){v}(说|讲)", "(请|)把口音(改成|换成|变为){v}"),
    "denoise": ("(请|帮我|)(去掉|去除|消除)(背景|)噪(声|音)", "(请|帮我|)(给这段录音|)降噪"),
    "add_sound": ("(请|帮我|)在背景(里|中)(加上|加入|添加){v}", "(请|)加一点{v}作为背景"),
}
_PARAMETER = {"speed": "speed", "pitch": "semitones", "volume": "volume"}
_LABELS = {"emotion": EMOTIONS, "dialect": DIALECTS}


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
        task = cell.task
        parameters: dict[str, Any] = {}
        said = ""
        draft: dict[str, Any] = {}
        if task in _PARAMETER:
            value = self._value(task, recording, rng)
            parameters[_PARAMETER[task]] = value
            said = f"{value:g}"
            draft["target"] = _target(task, recording.audio, value)
        elif task in _LABELS:
            label = rng.choice(list(_LABELS[task]))
            parameters["label"] = label
            said = self._name(_LABELS[task][label], recording)
        else:
            name, snr = self._noise(task, rng)
            parameters |= {"noise": name, "snr_db": snr}
            shown = name.replace("_", " ")
            names = SOUNDS.get(name, (shown, shown))
            said = self._name(names, recording)
            mixture = self._mixture(recording, name, snr, rng.randrange(2**32))
            clean = _loader(recording.audio)
            draft |= (
                {"source": mixture, "target": clean} if task == "denoise" else {"target": mixture}
            )
        instruction = self._instruction(task, said, recording, rng)
        _read_back(task, instruction, parameters)
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

    def _instruction(self, task: str, said: str, recording: Recording, rng: random.Random) -> str:
        if self.wording == "basic":
            return BASIC[task].format(v=said)
        grammar = FULL_ZH if recording.language == "zh" else FULL_EN
        text = expand(rng.choice(grammar[task]), rng).replace("{v}", said)
        return text[0].upper() + text[1:] if rng.random() < 0.6 else text

    def _value(self, task: str, recording: Recording, rng: random.Random) -> float:
        if task == "speed":
            return rng.choice(SPEEDS)
        if task == "pitch":
            return rng.choice(SEMITONES)
        wav, _ = load_audio(recording.audio)
        peak = float(np.max(np.abs(wav))) or 1.0
        fitting = [v for v in VOLUMES if v * peak <= 1.0]
        if not fitting:
            raise ItemRejectedError("would_clip", f"peak {peak:.2f}")
        return rng.choice(fitting)

    def _noise(self, task: str, rng: random.Random) -> tuple[str, int]:
        names = sorted(self.noises) or [n for n in NOISES if n != "babble" or len(self.pool) > 1]
        return rng.choice(names), rng.choice(SNRS_DB if task == "denoise" else SOUND_SNRS_DB)

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


def _target(task: str, path: Path, value: float) -> Any:
    def make() -> tuple[np.ndarray, int]:
        wav, rate = load_audio(path)
        if task == "speed":
            return dsp.change_speed(wav, rate, value), rate
        if task == "pitch":
            return dsp.shift_pitch(wav, rate, value), rate
        return dsp.change_volume(wav, value), rate

    return make


def _read_back(task: str, instruction: str, parameters: Mapping[str, Any]) -> None:
    """The second path: the number or the label must be told from the words alone."""
    if task in _PARAMETER:
        name = _PARAMETER[task]
        heard = parse_parameters(task, instruction).get(name)
        if heard != parameters[name]:
            raise ItemRejectedError("parameter_disagrees", f"{instruction} | {heard}")
    elif task in _LABELS:
        heard = [
            label
            for label, names in _LABELS[task].items()
            if any(name.casefold() in instruction.casefold() for name in names)
        ]
        if heard != [parameters["label"]]:
            raise ItemRejectedError("parameter_disagrees", f"{instruction} | {heard}")
