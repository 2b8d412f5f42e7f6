"""The conformance kits of the slots, run by `uniaudio plugins validate NAME`.

They are written for the interfaces: whoever writes a plugin can call them in a test of their own.
Axes: T samples, C channels.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, cast

import numpy as np

from mingtok_audio.core.errors import UserError
from mingtok_audio.core.plugins import CheckResult
from mingtok_audio.core.plugins.conformance import CheckFailed, require, run_checks
from uniaudio_edit.data.pair import Pair
from uniaudio_edit.data.voices import VoiceConverter
from uniaudio_edit.errors import InstructionError, MissingPartError
from uniaudio_edit.grammar.engine import LANGUAGES, GrammarParser
from uniaudio_edit.honesty import check_result
from uniaudio_edit.interfaces import (
    EditBackend,
    EditRequest,
    InstructionParser,
    Word,
)
from uniaudio_edit.operations.base import EditOperation, Sound, SoundOperation
from uniaudio_edit.parts import Parts
from uniaudio_edit.pcm import from_array
from uniaudio_edit.plan import Operation, Plan
from uniaudio_edit.text import Text

_TEXT = "the quick brown fox jumps over the lazy dog"
_RATE = 16000
_DRAWS = 40


def _speech(seconds: float = 4.0, channels: int = 1, rate: int = _RATE) -> np.ndarray:
    """Bursts of tones (T, C) float64 over quiet noise, with a long pause."""
    rng = np.random.default_rng(7)
    time = np.arange(round(seconds * rate)) / rate
    bursts = np.clip(np.sin(2 * np.pi * 2.3 * time), 0, None) ** 0.5
    tone = np.sin(2 * np.pi * 170 * time) + 0.5 * np.sin(2 * np.pi * 900 * time)
    bursts[round(1.2 * rate) : round(2.4 * rate)] = 0.0  # a pause
    wav = 0.2 * bursts * tone + 0.0003 * rng.standard_normal(len(time))
    return np.repeat(wav[:, None], channels, axis=1)


# --- operations -----------------------------------------------------------------------------------


def check_edit_operation(operation: type) -> list[CheckResult]:
    """Check an operation class: its name, its wordings, its limits, its sound, its pair.

    Everything is asked of the class itself; it need not be installed.
    """
    return run_checks(_OperationKit(operation).checks())


class _OperationKit:
    def __init__(self, operation: type) -> None:
        self._class = operation

    def checks(self) -> list[tuple[str, Callable[[], str | None]]]:
        """In the order in which they are reported."""
        return [
            ("name and texts", self.name),
            ("wordings compile", self.wordings),
            ("example is understood", self.example),
            ("training sentences are understood", self.sentences),
            ("limits", self.limits),
            ("same input, same output", self.repeat),
            ("any rate, channels and length", self.forms),
            ("training pair", self.pair),
        ]

    def _made(self) -> EditOperation:
        made = self._class()
        require(isinstance(made, EditOperation), "it is not an EditOperation")
        return made

    def name(self) -> str:
        made = self._made()
        require(re.fullmatch(r"[a-z][a-z_]{1,31}", made.name) is not None, f"name {made.name!r}")
        require(bool(made.example), "it has no example")
        require(bool((type(made).__doc__ or "").strip()), "its class has no docstring")
        return made.name

    def wordings(self) -> str:
        made, count = self._made(), 0
        for language in LANGUAGES:
            for wording in made.wordings.get(language.code, ()):
                pattern = wording if isinstance(wording, str) else wording.pattern
                list(language.match(pattern, "x"))
                count += 1
        require(
            bool(count) or type(made).readings is not EditOperation.readings, "nothing asks for it"
        )
        return f"{count} rules"

    def _read(self, instruction: str, text: str = _TEXT) -> Operation:
        made = self._made()
        plan = GrammarParser(operations=[made]).parse(instruction, text)
        require(len(plan.operations) > 0, f"'{instruction}' is read as nothing")
        made.check(plan.operations[0].params)
        return plan.operations[0]

    def example(self) -> str:
        made = self._made()
        text = "old and the quick brown fox jumps um over the lazy dog"
        op = self._read(made.example, text)
        require(json.loads(json.dumps(op.params)) == op.params, "its parameters are not JSON")
        return op.describe()

    def sentences(self) -> str:
        made, count = self._made(), 0
        for style, templates in made.sentences.items():
            for template in templates:
                if "{ref}" in template or "{place}" in template:
                    continue  # these are read back when a pair is made
                values = dict(_VALUES[style == "zh"])
                if made.name == "dialect":
                    values |= _DIALECT[style == "zh"]
                self._read(template.format(**values))
                count += 1
        return f"{count} sentences"

    def limits(self) -> str:
        made = self._made()
        for name, (low, high) in made.limits.items():
            require(low < high, f"{name}: {low} is not below {high}")
            for value in (low - 1e-3 - abs(low), high + 1e-3 + abs(high)):
                try:
                    made.check({name: value})
                except InstructionError:
                    continue
                raise CheckFailed(f"{name} {value:g} is accepted, outside {low:g} to {high:g}")
        return ", ".join(made.limits)

    def _params(self) -> Iterator[dict[str, Any]]:
        """Those of the example, and the ends of each parameter's range that are reasonable."""
        made = self._made()
        params = self._read(made.example).params
        yield params
        for name, (low, high) in made.limits.items():
            if name in params and isinstance(params[name], int | float):
                yield {**params, name: min(max(low, 0.25 * params[name]), high)}
                yield {**params, name: max(low, min(high, 2.5 * params[name]))}

    def repeat(self) -> str:
        made, count = self._made(), 0
        if not isinstance(made, SoundOperation):
            return "done by a backend"
        wav = _speech()
        for params in self._params():
            try:
                one, two = (made.apply(wav.copy(), params, Sound(_RATE, 3)) for _ in range(2))
            except UserError:
                continue  # not on this recording
            require(np.array_equal(one, two), f"two results of {params} differ")
            count += 1
        require(count > 0, "nothing can be done on four seconds of speech with a pause")
        return f"{count} sets of parameters"

    def forms(self) -> str:
        made = self._made()
        if not isinstance(made, SoundOperation):
            return "done by a backend"
        params, done = next(self._params()), 0
        for rate, channels, seconds in ((8000, 1, 4.0), (44100, 2, 3.0), (16000, 1, 0.05)):
            wav = _speech(seconds, channels, rate)
            before = wav.copy()
            try:
                made_wav = made.apply(wav, params, Sound(rate))
            except UserError as error:
                require("\n" not in str(error), "its message has several lines")
                continue
            require(np.array_equal(wav, before), "it changes the samples that it is given")
            require(made_wav.ndim == 2 and made_wav.shape[1] == channels, "other axes than (T, C)")
            require(bool(np.isfinite(made_wav).all()), "NaN or infinity")
            done += 1
        require(done > 0, "every form is refused")
        return f"{done} of 3"

    def pair(self) -> str:
        made = self._made()
        if not made.task:
            return "none"
        if made.semantic or made.task == "parallel":
            return "from recordings with word times or parallel recordings"
        made_pair = made.pair(cast(Any, _Recording()), Random(1))
        require(isinstance(made_pair, Pair), "it is not a Pair")
        op = self._read(made_pair.instruction)
        require(op.type == made.name, f"'{made_pair.instruction}' is read as {op.type}")
        require(len(made_pair.source) > 0 and len(made_pair.target) > 0, "a side is empty")
        return made_pair.instruction


_VALUES = (
    {
        "value": "1.3",
        "percent": "60",
        "count": "3",
        "seconds": "2",
        "updown": "Raise",
        "direction": "up",
        "higher": "higher",
        "sound": "rain",
        "label": "happy",
    },
    {
        "value": "1.3",
        "percent": "60",
        "count": "3",
        "seconds": "2",
        "updown": "升高",
        "sound": "雨声",
        "label": "开心",
    },
)
_DIALECT = ({"label": "British"}, {"label": "四川话"})


class _Recording:
    """The part of `data.material.Material` that sound operations look at."""

    sounds: tuple[str, ...] = ()

    def wav(self) -> np.ndarray:
        return _speech()[:, 0].astype(np.float32)

    def style(self, rng: Random) -> str:
        return rng.choice(("published", "en", "zh"))

    def pair(self, task: str, instruction: str, source: Any, target: Any, **params: Any) -> Pair:
        return Pair(task, instruction, source, target, "", "", params=params)

    def under_noise(self, rng: Random) -> tuple[np.ndarray, np.ndarray, list[str], float]:
        noise = np.random.default_rng(rng.randrange(1 << 31)).standard_normal(len(self.wav()))
        return (self.wav() + 0.01 * noise).astype(np.float32), self.wav(), ["white_noise"], 10.0

    def with_sound(self, name: str, rng: Random) -> tuple[np.ndarray, np.ndarray, float]:
        noisy, wav, _, snr = self.under_noise(rng)
        return wav, noisy, snr


# --- parsers --------------------------------------------------------------------------------------


def check_instruction_parser(parser: type) -> list[CheckResult]:
    """Check a parser: a plan or an error in words for anything, and the same one twice."""
    made: InstructionParser = parser()

    def kind() -> str:
        require(isinstance(made, InstructionParser), "it is not an InstructionParser")
        return "needs the recording" if made.needs_recording else ""

    def answers() -> str:
        rng, plans = Random(3), 0
        words = [
            *[
                "delete",
                "the",
                "word",
                "fox",
                "and",
                "make",
                "it",
                "20%",
                "faster",
                "把",
                "换成",
                "“",
            ],
            "'fox'",
            "\n",
        ]
        for _ in range(_DRAWS):
            instruction = " ".join(rng.choices(words, k=rng.randint(0, 9)))
            try:
                plan = made.parse(instruction, _TEXT)
            except UserError as error:
                require("\n" not in str(error), f"{instruction!r}: a message of several lines")
                continue
            require(bool(plan.operations), f"{instruction!r}: a plan without operations")
            require(Plan.from_dict(plan.to_dict()) == plan, "a plan does not survive its JSON")
            require(made.parse(instruction, _TEXT) == plan, f"{instruction!r}: two plans differ")
            plans += 1
        return f"{plans} plans of {_DRAWS}"

    def empty() -> str:
        for instruction in ("", "  ", "''"):
            try:
                made.parse(instruction, _TEXT)
            except InstructionError:
                continue
            raise CheckFailed(f"{instruction!r} is not refused")
        return ""

    return run_checks([("interface", kind), ("answers", answers), ("empty instructions", empty)])


# --- backends -------------------------------------------------------------------------------------


def check_edit_backend(backend: type) -> list[CheckResult]:
    """Check a backend: it says what it can do, and tells the truth about what it changed.

    A backend that needs a model which is not there passes if it says so in one line.
    """
    made: EditBackend = backend()

    def kind() -> str:
        require(isinstance(made, EditBackend), "it is not an EditBackend")
        require(bool(made.operations), "it can do nothing")
        return ", ".join(sorted(made.operations))

    def truth() -> str:
        done, missing = 0, 0
        for name, op in _SAMPLES.items():
            if name not in made.operations:
                continue
            plan = Plan(name, "en", _TEXT, _TEXT, [op])
            for dtype in (np.int16, np.float32):
                wav = _speech(3.0, 2)
                pcm = (wav * 32767).astype(np.int16) if dtype is np.int16 else wav.astype(dtype)
                recording = from_array(pcm.T, _RATE)
                options = {"bits": recording.bits}
                request = EditRequest(
                    recording.pcm, _RATE, [op], plan, _words(), 0, options, Parts()
                )
                try:
                    made.check([op], Parts())
                    results = [made.apply(request) for _ in range(2)]
                except MissingPartError as error:
                    require("\n" not in str(error), "its message has several lines")
                    missing += 1
                    continue
                check_result(results[0], recording.pcm, name, recording.bits)
                require(
                    np.array_equal(results[0].pcm, results[1].pcm), f"two results of {name} differ"
                )
                done += 1
        return f"{done} edits, {missing} need a part that is not here"

    return run_checks([("interface", kind), ("changes are declared", truth)])


_SAMPLES = {
    "deletion": Operation("deletion", "brown", "", (2, 3)),
    "volume": Operation("volume", params={"factor": 0.5}),
    "speed": Operation("speed", params={"factor": 1.25}),
    "trim": Operation("trim", params={"what": "drop", "start": -1.0, "end": 0.0}),
    "emotion": Operation("emotion", params={"label": "happy"}),
}


def _words() -> list[Word]:
    units = Text(_TEXT).units
    return [Word(u.text, 0.1 + 0.3 * i, 0.35 + 0.3 * i) for i, u in enumerate(units)]


# --- voices ---------------------------------------------------------------------------------------


def check_voice_converter(converter: type) -> list[CheckResult]:
    """Check a voice converter: same words at the same times, the same number the same voice."""
    made: VoiceConverter = converter()

    def kind() -> None:
        require(isinstance(made, VoiceConverter), "it is not a VoiceConverter")

    def keeps() -> None:
        wav = _speech()[:, 0].astype(np.float32)
        one, two, again = (made.convert(wav, _RATE, n) for n in (1, 2, 1))
        require(np.array_equal(one, again), "the same number is not the same voice")
        require(not np.array_equal(one, two), "two numbers are one voice")
        require(abs(len(one) - len(wav)) <= 1 and one.dtype == np.float32, "other length or type")
        require(bool(np.isfinite(one).all()), "NaN or infinity")

    return run_checks([("interface", kind), ("voices", keeps)])
