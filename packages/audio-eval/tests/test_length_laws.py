"""No score rises because something of an output was left out or added."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audio_eval.interfaces import ComponentInfo, Item, Judge, MetricResult
from audio_eval.plugins import create_metric
from audio_eval.scoring.context import Context, JudgePool
from audio_eval.scoring.runner import run_metric
from audio_eval.scoring.summary import summarize
from mingtok_audio.core.audio import save_audio

RATE = 16000


def speechlike(seconds: float = 2.0, seed: int = 0) -> np.ndarray:
    """Noise bursts with pauses (T,)."""
    rng = np.random.default_rng(seed)
    wav = rng.normal(size=round(seconds * RATE)) * 0.1
    return (wav * (np.sin(np.arange(len(wav)) / RATE * 2 * np.pi * 3) > -0.3)).astype(np.float32)


class Generous(Judge):
    """Likes short things best: what a judge must not be able to give away."""

    info = ComponentInfo(name="generous", version="1", summary="likes what is short")
    sample_rate = RATE

    def __init__(self, role: str) -> None:
        self.role = role

    def check(self) -> None: ...

    def identity(self) -> str:
        return f"generous {self.role}"

    def evaluate(self, wav: np.ndarray, sample_rate: int, **request: Any) -> dict[str, Any]:
        score = 5.0 - min(4.0, len(wav) / RATE)
        return {"embedding": [1.0, 0.0], "ovrl": score, "sig": score, "bak": score, "mos": score}


METRICS = (
    "pesq",
    "stoi",
    "mel_distance",
    "sim",
    "dnsmos",
    "dnsmos_sig",
    "dnsmos_bak",
    "distillmos",
)
CHANGES = {
    "cut to a tenth": lambda w: w[: len(w) // 10],
    "cut to a half": lambda w: w[: len(w) // 2],
    "cut to nine tenths": lambda w: w[: len(w) * 9 // 10],
    "start cut": lambda w: w[len(w) // 8 :],
    "doubled": lambda w: np.concatenate([w, w]),
    "longer by silence": lambda w: np.concatenate([w, np.zeros(RATE, np.float32)]),
    "silence": np.zeros_like,
    "almost silence": lambda w: w * 1e-6,
    "silence, short": lambda w: np.zeros(RATE // 5, np.float32),
}


def score(name: str, folder: Path, output: np.ndarray | None, task: str) -> MetricResult:
    reference = folder / "reference.wav"
    save_audio(reference, speechlike(), RATE, subtype="FLOAT")
    path = None
    if output is not None:
        path = folder / "output.wav"
        save_audio(path, output, RATE, subtype="FLOAT")
    item = Item(
        "a", audio=path, reference=reference, text="a few words of speech", language="en", task=task
    )
    roles = ("speaker", "dnsmos", "distillmos")
    context = Context(JudgePool({role: Generous(role) for role in roles}))
    return run_metric(create_metric(name), item, context)


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("change", CHANGES)
def test_a_copy_of_another_length_or_of_silence_fails(
    name: str, change: str, tmp_path: Path
) -> None:
    pytest.importorskip({"pesq": "pesq", "stoi": "pystoi"}.get(name, "numpy"))
    whole = score(name, tmp_path, speechlike(), "reconstruction")
    assert whole.status == "ok", whole.reason
    changed = score(name, tmp_path, CHANGES[change](speechlike()), "reconstruction")
    assert changed.status == "failed"
    assert changed.value is not None
    assert whole.value is not None
    better = create_metric(name).info.higher_is_better
    assert changed.value < whole.value if better else changed.value > whole.value


@pytest.mark.parametrize("name", METRICS)
def test_a_missing_copy_counts(name: str, tmp_path: Path) -> None:
    missing = score(name, tmp_path, None, "reconstruction")
    assert missing.status == "failed"
    assert missing.value is not None


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(cut=st.floats(0.0, 0.06), front=st.booleans())
def test_a_little_missing_never_helps(tmp_path: Path, cut: float, front: bool) -> None:
    """Within the padding that a codec may add, what is gone still counts against the copy."""
    wav = speechlike()
    n = int(cut * RATE)
    short = wav[n:] if front else wav[: len(wav) - n]
    whole = score("mel_distance", tmp_path, wav, "reconstruction")
    changed = score("mel_distance", tmp_path, short, "reconstruction")
    assert whole.value is not None
    assert changed.value is not None
    assert changed.value >= whole.value


@pytest.mark.parametrize("name", ["sim", "dnsmos", "distillmos"])
@pytest.mark.parametrize("seconds", [0.1, 0.3, 30.0])
def test_speech_far_from_the_length_of_its_text_fails(
    name: str, seconds: float, tmp_path: Path
) -> None:
    assert score(name, tmp_path, speechlike(2.0), "tts").status == "ok"
    assert score(name, tmp_path, speechlike(seconds), "tts").status == "failed"


def test_a_silent_reference_is_nobodys_fault(tmp_path: Path) -> None:
    reference = tmp_path / "silent.wav"
    save_audio(reference, np.zeros(RATE, np.float32), RATE)
    item = Item("a", audio=reference, reference=reference, task="reconstruction")
    found = run_metric(create_metric("mel_distance"), item, Context(JudgePool({})))
    assert found.status == "unavailable"


def errors(wrong: int, of: int) -> MetricResult:
    return MetricResult(100.0 * wrong / of, details={"S": wrong, "D": 0, "I": 0, "N": of})


@given(st.integers(1, 9), st.integers(1, 30))
def test_items_that_are_all_right_or_all_wrong_leave_room(items: int, words: int) -> None:
    metric = create_metric("wer")
    right = summarize(metric, [errors(0, words)] * items)
    assert right.ci95 is not None
    assert right.ci95[0] == 0.0
    assert right.ci95[1] >= 100.0 / (items * words + 1) * 0.9
    wrong = summarize(metric, [errors(words, words)] * items)
    assert wrong.ci95 is not None
    assert wrong.ci95[1] == 100.0
    assert wrong.ci95[0] < 100.0


def test_one_item_has_no_interval() -> None:
    assert summarize(create_metric("wer"), [errors(1, 3)]).ci95 is None
    assert summarize(create_metric("dnsmos"), [MetricResult(3.0)]).ci95 is None
