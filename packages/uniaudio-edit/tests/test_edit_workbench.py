"""`/v1/recordings`: words, plans, edits and history over the server; nothing else changes."""

from __future__ import annotations

import io
import json
import os
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("fastapi")

import soundfile
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from mingtok_audio.core.audio import load_audio
from mingtok_audio.core.errors import UserError
from uniaudio_edit.editor import Editor
from uniaudio_edit.grammar.engine import plan_word_edits
from uniaudio_edit.receipt import undo_receipt
from uniaudio_edit.workbench import store as stores
from uniaudio_edit.workbench.store import Store, Work
from uniaudio_edit.workbench.views import BANDS, view
from uniaudio_lm.server.app import ServerSettings, create_app
from uniaudio_lm.server.errors import ApiError

DATA = Path(__file__).parents[3] / "examples" / "data"
CLIP = DATA / "librivox_0880.wav"
TEXT = CLIP.with_suffix(".txt").read_text().strip()


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with TestClient(create_app(ServerSettings(max_seconds=60))) as client:
        limit = time.monotonic() + 120
        while client.get("/ready").status_code != 200:
            assert time.monotonic() < limit
            time.sleep(0.1)
        yield client


def opened(client: TestClient, data: bytes, name: str = "x.wav") -> str:
    answer = client.post("/v1/recordings", files={"file": (name, data)})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


@pytest.fixture
def work(client: TestClient) -> Iterator[str]:
    """The address of a recording whose text is known."""
    path = f"/v1/recordings/{opened(client, CLIP.read_bytes())}"
    last(client.post(f"{path}/steps/0/words", json={"text": TEXT}))
    yield path
    client.delete(path)


def last(answer: Any) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    found = json.loads(answer.text.splitlines()[-1])
    assert "step" in found, found
    return found["step"]


def done(client: TestClient, path: str, step: int, seed: int = 0, **body: Any) -> dict[str, Any]:
    found = client.post(f"{path}/steps/{step}/plan", json=body).json()
    assert "plan_id" in found, found
    body = {"plan_id": found["plan_id"], "seed": seed}
    return last(client.post(f"{path}/steps/{step}/edits", json=body))


def sound(client: TestClient, path: str, step: int, kind: str = "original") -> bytes:
    answer = client.get(f"{path}/steps/{step}/audio?format={kind}")
    assert answer.status_code == 200, answer.text
    return answer.content


def test_words_have_times_scores_and_places(client: TestClient, work: str) -> None:
    step = client.get(work).json()["steps"][0]
    assert step["text"] == TEXT
    assert [TEXT[w["from"] : w["to"]] for w in step["words"]] == [w["text"] for w in step["words"]]
    for word in step["words"]:
        assert 0 <= word["start"] < word["end"] <= step["info"]["seconds"] + 0.1
        assert 0 <= word["score"] <= 1


def test_a_chain_equals_the_command_line_and_its_start_stays(
    client: TestClient, work: str, tmp_path: Path
) -> None:
    words = TEXT.split()
    one = done(client, work, 0, edits=[{"start": 3, "end": 5}])
    two = done(client, work, 1, instruction="add rain in the background")
    assert (one["parent"], two["parent"]) == (0, 1)
    editor, path, text = Editor(), CLIP, TEXT
    for step, asked in ((one, f"delete '{words[3]} {words[4]}'"), (two, "add rain")):
        target = tmp_path / f"{step['number']}.wav"
        editor.edit_file(path, asked, target, text=text)
        assert sound(client, work, step["number"]) == target.read_bytes()
        path, text = target, step["text"]
    assert sound(client, work, 0) == CLIP.read_bytes()
    outside = one["made"]["receipt"]["source"]["num_samples"] - sum(
        c["source"][1] - c["source"][0] for c in one["made"]["receipt"]["changed"]
    )
    assert one["made"]["equal"] == one["made"]["compared"] == outside > 0


def test_the_bundle_undoes_the_edit(client: TestClient, work: str, tmp_path: Path) -> None:
    done(client, work, 0, edits=[{"start": 0, "end": 1}])
    bundle = client.get(f"{work}/steps/1/bundle").content
    zipfile.ZipFile(io.BytesIO(bundle)).extractall(tmp_path)
    undone = undo_receipt(tmp_path / "1.receipt.json", None, None)
    assert Path(undone["output"]).read_bytes() == CLIP.read_bytes()
    assert client.get(f"{work}/steps/0/bundle").status_code == 404


def test_new_words_are_said_and_another_take_differs(client: TestClient, work: str) -> None:
    edits = [{"start": 3, "end": 4, "new": "always"}]
    one = done(client, work, 0, edits=edits)
    two = done(client, work, 0, seed=1, edits=edits)
    assert "always" in one["text"].split()
    assert sound(client, work, one["number"]) != sound(client, work, two["number"])


def test_a_cut_by_time_takes_its_words_along(client: TestClient, work: str) -> None:
    before = client.get(work).json()["steps"][0]
    step = done(client, work, 0, instruction="cut the last second")
    limit = before["info"]["seconds"] - 1
    kept = [w["text"] for w in before["words"] if (w["start"] + w["end"]) / 2 < limit]
    assert [w["text"].lower() for w in step["words"]] == [w.lower() for w in kept]


def test_several_readings_are_choices_with_plans(client: TestClient, work: str) -> None:
    last(client.post(f"{work}/steps/0/words", json={"text": "the cat and the dog"}))
    found = client.post(f"{work}/steps/0/plan", json={"instruction": "delete 'the'"}).json()
    assert [c["plan"]["operations"][0]["text_span"] for c in found["choices"]] == [[0, 1], [3, 4]]
    body = {"plan_id": found["choices"][1]["plan_id"]}
    assert last(client.post(f"{work}/steps/0/edits", json=body))["text"] == "the cat and dog"


def test_what_is_refused_says_why_and_changes_nothing(client: TestClient, work: str) -> None:
    before = client.get(work).json()
    for body in (
        {"instruction": "paint it blue"},
        {"instruction": "add thunder in the background"},
        {"edits": [{"start": 90, "end": 91}]},
        {"edits": [{"start": 2, "end": 1}]},
        {"edits": [{"start": 0, "end": len(TEXT.split())}]},
        {"edits": [{"start": 1, "end": 1, "new": " "}]},
        {"edits": [{"start": 1, "end": 1, "new": "?!"}]},
        {},
    ):
        answer = client.post(f"{work}/steps/0/plan", json=body)
        assert answer.status_code == 400, answer.text
        assert answer.json()["error"]["message"]
    assert client.post(f"{work}/steps/0/edits", json={"plan_id": "x"}).status_code == 404
    assert client.get(f"{work}/steps/7/audio").status_code == 404
    assert client.get(work).json() == before


@pytest.mark.parametrize("data", [b"", b"not audio at all", CLIP.read_bytes()[:30]])
def test_a_file_that_is_no_recording_is_refused(client: TestClient, data: bytes) -> None:
    answer = client.post("/v1/recordings", files={"file": ("my <file>.mp3", data)})
    assert answer.status_code == 400
    assert "my <file>.mp3" in answer.json()["error"]["message"]
    assert "uniaudio-recordings" not in answer.text
    assert client.get("/v1/recordings").json()["data"] == []


def test_a_recording_is_its_owners(client: TestClient, work: str) -> None:
    mine = client.get("/v1/recordings").json()["data"]
    assert [work.endswith(row["id"]) for row in mine] == [True]
    cookie = client.cookies.get("uniaudio_owner")
    for other in ("", "x" * 32, "é" * 32):
        headers = {"cookie": f"uniaudio_owner={other}".encode()}
        client.cookies.clear()
        assert client.get(work, headers=headers).status_code == 404
        assert client.get("/v1/recordings", headers=headers).json()["data"] == []
        assert client.delete(work, headers=headers).status_code == 404
    client.cookies.set("uniaudio_owner", cookie or "", path="/v1/recordings")
    assert client.get(work).status_code == 200


@pytest.mark.parametrize(("format", "subtype", "rate", "channels"), [
    ("WAV", "PCM_24", 44100, 2), ("WAV", "FLOAT", 48000, 1), ("FLAC", "PCM_16", 22050, 1),
    ("MP3", "MPEG_LAYER_III", 44100, 2), ("OGG", "VORBIS", 44100, 1),
])  # fmt: skip
def test_every_format_opens_edits_and_downloads(
    client: TestClient, format: str, subtype: str, rate: int, channels: int
) -> None:
    wav = 0.1 * np.sin(np.arange(rate * 2) / 50)[:, None].repeat(channels, 1)
    buffer = io.BytesIO()
    soundfile.write(buffer, wav, rate, subtype=subtype, format=format)
    path = f"/v1/recordings/{opened(client, buffer.getvalue())}"
    step = done(client, path, 0, instruction="make it 6 dB quieter")
    assert sound(client, path, 0) == buffer.getvalue()
    for kind in ("wav", "mp3", "opus", "play"):
        made, got = load_audio(sound(client, path, step["number"], kind))
        assert abs(len(made) / got - 2) < 0.15
    start = client.get(f"{path}/steps/0/audio", headers={"range": "bytes=0-9"})
    assert (start.status_code, start.content) == (206, buffer.getvalue()[:10])
    client.delete(path)


def test_a_view_shows_where_sound_is(tmp_path: Path) -> None:
    rate = 16000
    wav = np.zeros(2 * rate, np.int16)
    wav[rate:] = (20000 * np.sin(2 * np.pi * 1000 * np.arange(rate) / rate)).astype(np.int16)
    np.save(tmp_path / "w.npy", wav)
    width = 40
    data = np.frombuffer(view(tmp_path / "w.npy", rate, 0, 4, width), np.uint8)
    low, high = data[:width].view(np.int8), data[width : 2 * width].view(np.int8)
    levels = data[2 * width :].reshape(BANDS, width)
    assert (high[:10] == 0).all()
    assert (high[10:20] == 78).all()
    assert (low[10:20] == -79).all()
    assert (levels[:, 20:] == 0).all()
    assert set(levels[:, 12:18].argmax(axis=0)) == {np.argmax(levels[:, 15])}
    assert 0.3 < np.argmax(levels[:, 15]) / BANDS < 0.4  # 1 kHz of 8 on the mel scale


@given(st.integers(1, 40_000), st.floats(0, 3), st.floats(0.001, 3), st.integers(1, 500))
def test_any_view_has_its_size(
    tmp_path_factory: pytest.TempPathFactory, samples: int, start: float, length: float, width: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.npy"
    np.save(path, np.zeros(samples, np.int16))
    data = view(path, 16000, start, start + length, width)
    assert len(data) == width * (2 + BANDS)


WORD = st.text("abcdé", min_size=1, max_size=4)


@given(st.lists(WORD, min_size=1, max_size=8), st.data())
def test_edits_by_number_give_the_text_that_they_say(words: list[str], data: st.DataObject) -> None:
    i = data.draw(st.integers(0, len(words)))
    j = data.draw(st.integers(i, len(words)))
    new = data.draw(st.sampled_from(["", "zebra", "two words"]))
    text = " ".join(words)
    try:
        plan = plan_word_edits(text, [(i, j, new)])
    except UserError:
        assert not new and (i == j or (i, j) == (0, len(words)))
        return
    assert plan.edited_text.lower() == " ".join([*words[:i], *new.split(), *words[j:]]).lower()


def test_old_recordings_and_those_of_dead_servers_go(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(stores.tempfile, "gettempdir", lambda: str(tmp_path))
    dead = tmp_path / "uniaudio-recordings-999999999-x"
    living = tmp_path / f"uniaudio-recordings-{os.getppid()}-x"
    dead.mkdir()
    living.mkdir()
    now = [0.0]
    store = Store(lambda: now[0])
    assert living.is_dir()
    assert not dead.exists()
    works: list[Work] = []
    for _ in range(stores.MAX_RECORDINGS):
        works.append(store.new("me", "x"))
        store.add(works[-1])
    with pytest.raises(ApiError, match="remove one"):
        store.new("me", "x")
    now[0] = stores.MAX_AGE - 1
    store.get("me", works[0].id)
    now[0] = stores.MAX_AGE + 1
    assert [work.id for work in store.of("me")] == [works[0].id]
    assert not works[1].folder.exists()
    store.close()
    assert not store.folder.exists()
