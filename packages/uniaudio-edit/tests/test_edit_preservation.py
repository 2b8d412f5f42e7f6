"""Real recordings in every form: nothing outside the declared change moves, joins are not heard,
and any plan can be repeated and undone exactly."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from uniaudio_edit.backends.splice import MARGIN_SECONDS
from uniaudio_edit.editor import Editor
from uniaudio_edit.interfaces import Word
from uniaudio_edit.pcm import from_array, read_recording, write_pcm
from uniaudio_edit.receipt import apply_receipt, undo_receipt

pytest.importorskip("audio_eval")
_SCRIPT = Path(__file__).parents[3] / "benchmarks" / "edit_preservation.py"
if not _SCRIPT.is_file():
    pytest.skip("the benchmarks are not here", allow_module_level=True)


def _load() -> Any:
    spec = importlib.util.spec_from_file_location("edit_preservation", _SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


bench = _load()


def _holds(row: dict[str, Any]) -> None:
    assert row["outside_equal_percent"] == 100.0
    assert row["sites"] == 4
    assert row["undo_exact"]
    assert row["repeat_same_file"]
    # No join is louder than what 99 of 100 places of the recording itself are.
    assert row["click_db_max"] < row["natural_db_99th_percentile"]


@pytest.mark.parametrize("form", bench.FORMS, ids=lambda form: form.name)
def test_several_sites_in_real_recordings(tmp_path: Path, form: Any) -> None:
    row = bench.measure(tmp_path, form, bench.INSTRUCTION)
    _holds(row)
    assert row["undo_same_file"] or form.suffix != ".wav"
    words = {w.text: w.end - w.start for w in bench.spoken(0.0)[1]}
    spoken = sum(words[w] for w in ("turnips", "ladled", "ill-disposed", "thick", "peppered"))
    most = spoken + 0.3 + 4 * 2 * MARGIN_SECONDS  # "and" is there twice
    assert 0 < row["declared_percent"] / 100 * row["seconds"] < most


def test_ten_minutes(tmp_path: Path) -> None:
    row = bench.measure(tmp_path, bench.LONG, bench.LONG_INSTRUCTION)
    assert row["seconds"] >= 600
    _holds(row)
    assert row["declared_percent"] < 1.0


def test_the_example_runs(tmp_path: Path) -> None:
    import subprocess

    root = _SCRIPT.parents[1]
    source = root / "examples" / "data" / "librispeech_1089-134686-0000.flac"
    command = [sys.executable, str(root / "examples" / "03_edit.py"), str(source), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "dinner, carrots" in done.stdout
    back, original = read_recording(tmp_path / "back.flac"), read_recording(source)
    assert np.array_equal(back.pcm, original.pcm)


def test_the_natural_level_is_audio_evals_measure() -> None:
    wav = np.random.default_rng(0).standard_normal((16000, 1))
    place = int(np.random.default_rng(0).integers(1600, 14400, 1)[0])
    span = (place - 64, place + 64)
    found = bench.BoundaryClick().measure(wav[:, 0], wav[:, 0], [(span, span)], 16000).value
    assert bench.natural_clicks(wav, 16000, 1)[0] == pytest.approx(found)


# --- any plan -------------------------------------------------------------------------------------

_COUNT = 8
_WORDS = [Word(f"w{n}", 0.1 + 0.25 * n, 0.3 + 0.25 * n) for n in range(_COUNT)]
_SOUND = {
    "speed": "make it 10% faster",
    "pitch": "raise the pitch by 2 semitones",
    "softer": "turn it down by 6 dB",
    "fade": "fade in over 0.1 seconds",
    "denoise": "denoise the audio",
    "rain": "add rain",
}


@st.composite
def _instructions(draw: st.DrawFn) -> str:
    sites = draw(st.sets(st.integers(0, _COUNT - 1), max_size=_COUNT - 1))
    sounds = draw(st.lists(st.sampled_from(sorted(_SOUND)), max_size=2, unique=True))
    parts = [f"delete 'w{n}'" for n in sorted(sites)] + [_SOUND[name] for name in sounds]
    return " and ".join(parts) or "delete 'w0'"


_FORMS = st.tuples(
    st.sampled_from(["int16", "int32", "float32"]),
    st.integers(1, 2),
    st.sampled_from([8000, 16000, 22050]),
)


@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    instruction=_instructions(),
    form=_FORMS,
    seed=st.integers(0, 9),
)
def test_any_plan_repeats_and_is_undone(
    tmp_path: Path, instruction: str, form: tuple[str, int, int], seed: int
) -> None:
    kind, channels, rate = form
    noise = 0.1 * np.random.default_rng(seed).standard_normal((channels, round(2.3 * rate)))
    dtype = np.dtype(kind)
    wav = noise.astype(dtype) if dtype.kind == "f" else (noise * np.iinfo(dtype).max).astype(dtype)
    source, out = tmp_path / "in.wav", tmp_path / "out.wav"
    made = from_array(wav, rate)
    write_pcm(source, made.pcm, made)
    receipt = Editor(seed=seed).edit_file(source, instruction, out, words=_WORDS)
    before, after = read_recording(source), read_recording(out)
    same, total = bench.outside(before.pcm, after.pcm, receipt)
    assert same == total
    place = tmp_path / "out.receipt.json"
    assert apply_receipt(place, None, tmp_path / "again.wav", force=True)["same_file"]
    assert (tmp_path / "again.wav").read_bytes() == out.read_bytes()
    assert undo_receipt(place, None, tmp_path / "back.wav", force=True)["same_file"]
    assert (tmp_path / "back.wav").read_bytes() == source.read_bytes()
    # The same instruction makes the same file; the receipt does not depend on when.
    again = Editor(seed=seed).edit_file(source, instruction, tmp_path / "two.wav", words=_WORDS)
    assert (tmp_path / "two.wav").read_bytes() == out.read_bytes()
    assert again.changed == receipt.changed
