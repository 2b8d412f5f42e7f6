"""Acoustic and locality metrics with hand-worked cases."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audio_eval.interfaces import Item, MetricResult
from audio_eval.pitch import median_f0
from audio_eval.plugins import create_metric
from audio_eval.scoring.context import Context, JudgePool
from audio_eval.scoring.runner import run_metric
from audio_eval.scoring.summary import summarize
from mingtok_audio.core.audio import save_audio

RATE = 16000


def tone(seconds: float, hz: float = 150.0, level: float = 0.3) -> np.ndarray:
    """A buzz (T,) with harmonics, as a voice has."""
    t = np.arange(int(seconds * RATE)) / RATE
    buzz = sum(np.sin(2 * np.pi * hz * k * t) / k for k in range(1, 9))
    return (level * buzz / np.max(np.abs(buzz))).astype(np.float32)


@pytest.fixture
def make(tmp_path):
    def build(source: np.ndarray, output: np.ndarray | None, task: str, **parameters: Any) -> Item:
        save_audio(tmp_path / "source.wav", source, RATE)
        if output is not None:
            save_audio(tmp_path / "output.wav", output, RATE)
        return Item(
            id="x",
            audio=tmp_path / "output.wav" if output is not None else None,
            source=tmp_path / "source.wav",
            reference=tmp_path / "source.wav",
            task=task,
            parameters=parameters,
        )

    return build


def run(name: str, item: Item) -> MetricResult:
    return run_metric(create_metric(name), item, Context(JudgePool({})))


def test_rde_by_hand(make):
    # 2 s at speed 2 should be 1 s; 1.2 s is 0.2 s off, a tenth of the source.
    found = run("rde", make(tone(2.0), tone(1.2), "speed", speed=2.0))
    assert found.value == pytest.approx(10.0, abs=1e-3)
    assert run("rde", make(tone(2.0), tone(1.0), "speed", speed=2.0)).value == pytest.approx(0.0)


def test_rae_by_hand(make):
    source = np.full(RATE, 0.2, dtype=np.float32)
    # Wanted 0.1, found 0.15: 0.05 of 0.2.
    found = run("rae", make(source, np.full(RATE, 0.15, np.float32), "volume", volume=0.5))
    assert found.value == pytest.approx(25.0, abs=0.02)


@pytest.mark.parametrize("hz", [80.0, 150.0, 220.0, 333.0])
def test_pitch_tracker(hz):
    assert median_f0(tone(1.0, hz)) == pytest.approx(hz, rel=0.005)


def test_noise_and_silence_have_no_pitch():
    noise = np.random.default_rng(0).normal(0, 0.1, RATE).astype(np.float32)
    assert median_f0(noise) is None
    assert median_f0(np.zeros(RATE, np.float32)) is None


def test_pitch_error_by_hand(make):
    up = tone(1.0, 150.0 * 2 ** (3 / 12))
    found = run("pitch_error", make(tone(1.0), up, "pitch", semitones=4.0))
    assert found.value == pytest.approx(1.0, abs=0.1)
    silent = run("pitch_error", make(tone(1.0), np.zeros(RATE, np.float32), "pitch", semitones=4.0))
    assert (silent.status, silent.value) == ("failed", 12.0)


@pytest.mark.parametrize(
    ("name", "task"), [("rde", "speed"), ("rae", "volume"), ("pitch_error", "pitch")]
)
def test_what_does_not_apply_or_lacks_its_number(make, name, task):
    other = run(name, make(tone(0.5), tone(0.5), "emotion"))
    assert other.status == "skipped"
    lacking = run(name, make(tone(0.5), tone(0.5), task))
    assert lacking.status == "unavailable"
    assert "gives no" in lacking.reason


def test_a_missing_output_counts(make):
    for name, value in {"rde": 100.0, "rae": 100.0, "pitch_error": 12.0}.items():
        task = {"rde": "speed", "rae": "volume", "pitch_error": "pitch"}[name]
        item = make(tone(0.5), None, task, speed=1.0, volume=1.0, semitones=1.0)
        found = run(name, item)
        assert (found.status, found.value) == ("failed", value)
        metric = create_metric(name)
        assert summarize(metric, [found, MetricResult(0.0)]).value == value / 2


def _spliced() -> tuple[np.ndarray, np.ndarray, list[Any]]:
    source = tone(1.0)
    output = np.concatenate([source[:4000], tone(0.1, 300.0), source[8000:]])
    return source, output, [[[4000, 8000], [4000, 5600]]]


def test_preservation_is_bit_for_bit(make):
    source, output, changed = _spliced()
    kept = run("preservation", make(source, output, "substitution", changed=changed))
    assert kept.value == 100.0
    assert kept.details["outside"] == 12000
    output = output.copy()
    output[:120] += 0.01
    assert run(
        "preservation", make(source, output, "substitution", changed=changed)
    ).value == pytest.approx(99.0, abs=0.02)
    whole = [[[0, len(source)], [0, len(output)]]]
    assert run("preservation", make(source, output, "substitution", changed=whole)).value == 0.0


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ([[[4000, 8000], [4000, 5000]]], "failed"),  # lengths between the spans differ
        ([[[8000, 4000], [0, 0]]], "failed"),
        ([[[0, 99999], [0, 1]]], "failed"),
        ("nonsense", "failed"),
        (None, "unavailable"),
    ],
)
def test_declared_spans_that_cannot_be(make, changed, status):
    source, output, _ = _spliced()
    item = make(source, output, "substitution", changed=changed)
    assert run("preservation", item).status == status


def test_distance_outside_and_click(make):
    source, output, changed = _spliced()
    item = make(source, output, "substitution", changed=changed)
    assert run("outside_lsd", item).value == 0.0
    hard = run("boundary_click", item).value
    assert hard is not None and hard > 6.0
    smooth = make(source, source, "substitution", changed=[[[4000, 5000], [4000, 5000]]])
    gentle = run("boundary_click", smooth).value
    assert gentle is not None and gentle <= 0.0


def test_receipt_is_checked_against_the_audio(make, tmp_path: Path):
    source, output, changed = _spliced()
    receipt = {
        "source": {"sample_rate": RATE, "num_samples": len(source)},
        "output": {"sample_rate": RATE, "num_samples": len(output)},
        "changed": [{"source": changed[0][0], "output": changed[0][1], "operation": 0}],
    }
    path = tmp_path / "receipt.json"
    path.write_text(json.dumps(receipt))
    item = make(source, output, "substitution", receipt=str(path))
    assert run("receipt", item).value == 100.0
    assert run("preservation", item).value == 100.0
    receipt["output"]["num_samples"] = 7
    path.write_text(json.dumps(receipt))
    found = run("receipt", item)
    assert found.value == 0.0
    assert "samples, not 7" in str(found.details["false"])
    assert run("receipt", make(source, output, "substitution")).status == "unavailable"


def test_rtf_and_duration(make):
    item = make(tone(1.0), tone(2.0), "speed", seconds=0.5)
    assert run("duration", item).value == 2.0
    assert run("rtf", item).value == 0.25
    assert run("rtf", make(tone(1.0), tone(1.0), "speed")).status == "unavailable"
