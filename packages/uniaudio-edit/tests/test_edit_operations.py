"""Every built-in component passes the kit of its slot; operations keep their laws."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from uniaudio_edit.conformance import check_edit_operation
from uniaudio_edit.editor import Editor
from uniaudio_edit.errors import InstructionError
from uniaudio_edit.grammar.engine import GrammarParser
from uniaudio_edit.grammar.rules import Rule
from uniaudio_edit.operations.base import Sound, SoundOperation
from uniaudio_edit.plugins import SLOTS, edit_operations, get_host

RATE = 16000
_BUILT_IN = [
    f"{slot}:{name}" for slot in SLOTS for name in get_host().names(slot) if slot != "watermark"
]


@pytest.mark.parametrize("name", _BUILT_IN)
def test_built_in_components_pass_their_kits(name: str) -> None:
    _, results = get_host().validate(name)
    assert not [(r.check, r.detail) for r in results if not r.ok]


class Invert(SoundOperation):
    """Turns the samples upside down."""

    name = "invert"
    example = "turn it upside down"
    wordings = {  # noqa: RUF012
        "en": (Rule("invert", r"turn {THING} upside down"),),
        "zh": (Rule("invert", r"把?{AUDIO}?(?:翻转|反相)"),),
    }

    def apply(self, wav: np.ndarray, params: Any, sound: Sound) -> np.ndarray:
        """See `SoundOperation.apply`."""
        return -wav


class Drawing(Invert):
    """Draws without a seed, which is not allowed."""

    def apply(self, wav: np.ndarray, params: Any, sound: Sound) -> np.ndarray:
        """See `SoundOperation.apply`."""
        return wav + np.random.default_rng().standard_normal(wav.shape)


def test_a_new_operation_is_its_class() -> None:
    assert all(r.ok for r in check_edit_operation(Invert))
    parser = GrammarParser(operations=[Invert()])
    for instruction in ("please turn the recording upside down", "把录音反相"):
        (op,) = parser.parse(instruction, "").operations
        assert op.type == "invert"
    with pytest.raises(InstructionError, match="turn it upside down"):
        parser.parse("make it 20% faster", "")


def test_the_kit_finds_hidden_randomness() -> None:
    failed = [r for r in check_edit_operation(Drawing) if not r.ok]
    assert [r.check for r in failed] == ["same input, same output"]


def tones(seconds: float = 1.0) -> np.ndarray:
    time = np.arange(round(seconds * RATE)) / RATE
    return (0.2 * np.sin(2 * np.pi * 220 * time) * (np.sin(2 * np.pi * 3 * time) > 0)).astype("f4")


def values(low: float, high: float) -> Iterator[float]:
    """Both ends of a range and some between, on a scale that suits it."""
    if low > 0:
        yield from (float(v) for v in np.geomspace(low, high, 7))
    else:
        yield from (float(v) for v in np.linspace(low, high, 7))


@pytest.mark.parametrize(
    "name", [n for n, op in edit_operations().items() if isinstance(op, SoundOperation)]
)
def test_same_input_same_seed_same_bytes(name: str) -> None:
    """For every parameter in its range; the stretch library once drew phases past half speed."""
    operation = edit_operations()[name]
    assert isinstance(operation, SoundOperation)
    parser = GrammarParser(operations=[operation])
    params = parser.parse(operation.example, "").operations[0].params
    wav = tones(0.6)[:, None].astype(np.float64)
    numbers = [n for n in operation.limits if isinstance(params.get(n, 0.0), int | float)]
    for parameter in numbers or [""]:
        for value in values(*operation.limits[parameter]) if parameter else (0.0,):
            given = {**params, parameter: value} if parameter else params
            one, two = (operation.apply(wav.copy(), given, Sound(RATE, seed=5)) for _ in range(2))
            assert one.tobytes() == two.tobytes(), given


def test_slow_speech_repeats_and_has_the_right_length() -> None:
    editor = Editor()
    for instruction, factor in (("make it 60% slower", 0.4), ("set the speed to 0.15", 0.15)):
        results = []
        for _ in range(2):
            plan = editor.plan(tones(), RATE, instruction)
            results.append(editor.apply(tones(), RATE, plan).recording.pcm)
        assert np.array_equal(*results)
        assert len(results[0]) == round(RATE / factor)


def test_reverb() -> None:
    editor = Editor()
    wav = tones(2.0)
    wav[RATE // 2 :] = 0.0
    tail = []
    for instruction in ("add reverb of 0.3 seconds", "加上3秒的混响"):
        plan = editor.plan(wav, RATE, instruction)
        made = editor.apply(wav, RATE, plan).wav
        assert len(made) == len(wav)
        tail.append(float(np.abs(made[RATE:]).mean()))
    assert tail[1] > 10 * tail[0]
    (op,) = editor.plan(wav, RATE, "make it sound like a church").operations
    assert op.params["decay"] > 2
    with pytest.raises(InstructionError, match="out of range"):
        editor.plan(wav, RATE, "add reverb of 30 seconds")
