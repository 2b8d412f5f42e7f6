"""`POST /v1/audio/edits`: the plan, the edit and its receipt, refusals with candidates."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("fastapi")

from fastapi.testclient import TestClient

from mingtok_audio.core.audio import load_audio
from uniaudio_lm.server.app import ServerSettings, create_app

DATA = Path(__file__).parents[3] / "examples" / "data"
CLIP = DATA / "librivox_0880.wav"


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with TestClient(create_app(ServerSettings())) as client:
        limit = time.monotonic() + 120
        while client.get("/ready").status_code != 200:
            assert time.monotonic() < limit
            time.sleep(0.1)
        yield client


def ask(client: TestClient, instruction: str, **more: Any) -> Any:
    text = CLIP.with_suffix(".txt").read_text().strip()
    files = {"file": (CLIP.name, CLIP.read_bytes())}
    data = {"instruction": instruction, "text": text, **more}
    return client.post("/v1/audio/edits", files=files, data=data)


def test_a_deletion_changes_nothing_else(client: TestClient) -> None:
    plan = ask(client, "delete 'not'", dry_run="true").json()
    assert "not" not in plan["edited_text"].split()
    answer = ask(client, "delete 'not'").json()
    assert answer["plan"]["operations"] == plan["operations"]
    made, rate = load_audio(base64.b64decode(answer["audio"]))
    source, source_rate = load_audio(CLIP)
    assert rate == source_rate
    (change,) = answer["receipt"]["changed"]
    (a, b), (c, d) = change["source"], change["output"]
    assert np.array_equal(made[:c], source[:a])
    assert np.array_equal(made[d:], source[b:])


def test_the_sound_alone(client: TestClient) -> None:
    answer = ask(client, "make it 6 dB quieter", response_format="wav")
    assert answer.headers["content-type"] == "audio/wav"
    made, source = load_audio(answer.content)[0], load_audio(CLIP)[0]
    assert len(made) == len(source)
    assert abs(np.sqrt(np.mean(made**2)) / np.sqrt(np.mean(source**2)) - 0.501) < 0.01


@pytest.mark.parametrize("instruction", ["paint it blue", "", "delete 'zebra'"])
def test_what_cannot_be_done_is_refused(client: TestClient, instruction: str) -> None:
    answer = ask(client, instruction)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]


def test_an_ambiguous_instruction_lists_its_readings(client: TestClient) -> None:
    files = {"file": (CLIP.name, CLIP.read_bytes())}
    data = {"instruction": "delete 'the'", "text": "the cat and the dog"}
    answer = client.post("/v1/audio/edits", files=files, data=data)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["code"] == "ambiguous"
    assert len(error["candidates"]) == 2
    assert json.dumps(error)
