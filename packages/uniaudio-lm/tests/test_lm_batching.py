"""Texts that join and leave a batch between patches say what they say alone."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor

from uniaudio_lm import UniAudio
from uniaudio_lm.model.generation import Generation
from uniaudio_lm.tasks.tts import SpeechBatch, run_jobs

TEXTS = {
    "morning": "Good morning.",
    "long": "The first train leaves at noon. Bring a warm coat, it may rain. We meet at the gate.",
    "yes": "Yes.",
    "voice": "Where is the station?",
    "late": "I will come tomorrow.",
}
ARRIVALS = {"morning": 0, "long": 0, "yes": 3, "voice": 9, "late": 25}
TOLERANCE = 1e-3
"""Of full scale (-60 dB): rounding of the first patches grows over the hundred that follow."""


@pytest.fixture(scope="module")
def nano() -> UniAudio:
    return UniAudio.from_pretrained("nano")


@pytest.fixture(scope="module")
def alone(nano: UniAudio) -> Mapping[str, Tensor]:
    made = {}
    for name in TEXTS:
        job = new_job(nano, name)
        made[name] = torch.cat([w for _, w in run_jobs(nano.model, [job], nano.sampling())])
        assert job.stop_reason
    return made


def new_job(nano: UniAudio, name: str):
    voice = nano.speakers()[0].name if name == "voice" else None
    return nano.job(TEXTS[name], voice, seed=len(name))


@pytest.mark.parametrize("rows", [None, 2])
@pytest.mark.parametrize("leaves", [None, "long"])
def test_a_text_says_the_same_in_any_company(
    nano: UniAudio, alone: Mapping[str, Tensor], rows: int | None, leaves: str | None
) -> None:
    batch = SpeechBatch(nano.model, nano.sampling(), rows=rows)
    jobs = {name: new_job(nano, name) for name in TEXTS}
    names: dict[int, str] = {}
    said: dict[str, list[Tensor]] = {name: [] for name in TEXTS}
    over: list[str] = []
    most = 0
    for step in range(2000):
        for name, arrival in ARRIVALS.items():
            if arrival == step:
                names[batch.add(jobs[name])] = name
        if step == 15 and leaves is not None:
            batch.remove(next(key for key, name in names.items() if name == leaves))
        for key, wav in batch.step():
            said[names[key]].append(wav)
        most = max(most, len(batch._speaking))
        over += [n for n, job in jobs.items() if job.stop_reason and n not in over]
        if step > max(ARRIVALS.values()) and not len(batch):
            break
    assert most == (rows or 4)
    for name in TEXTS:
        found = torch.cat(said[name])
        if name == leaves:
            assert 0 < len(found) < len(alone[name])
            continue
        assert len(found) == len(alone[name]), name
        assert float((found - alone[name]).abs().max()) < TOLERANCE, name
    if leaves is None:
        assert "long" in over[3:], "a long text does not hold up others"


def test_streams_that_began_apart_go_on_together(nano: UniAudio) -> None:
    batch = SpeechBatch(nano.model, nano.sampling())
    groups = []
    for step in range(10):
        if step in (0, 4, 7):
            batch.add(new_job(nano, "long"))
        batch.step()
        groups.append((len(batch._generation._streams), len(batch._groups)))
    assert groups == [(1, 1)] * 4 + [(1, 2), (1, 1), (1, 1), (1, 2), (1, 1), (1, 1)]
    assert len(batch._generation._rows) == 1


def test_a_batch_that_is_left_is_empty(nano: UniAudio) -> None:
    batch = SpeechBatch(nano.model, nano.sampling())
    keys = [batch.add(new_job(nano, name)) for name in TEXTS]
    for _ in range(3):
        batch.step()
    for key in keys:
        batch.remove(key)
    assert batch.step() == []
    assert len(batch) == len(batch._generation) == 0


def test_an_empty_generation_makes_nothing(nano: UniAudio) -> None:
    step = Generation(nano.model, nano.sampling()).step()
    assert not step.items
    assert not step.finished
