"""The server: the OpenAI interface over real workers with the nano, and what it refuses."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("fastapi")

from fastapi import FastAPI
from fastapi.testclient import TestClient

from mingtok_audio.core.audio import load_audio, wav_bytes
from mingtok_audio.core.errors import UserError
from uniaudio_lm.server.app import ServerSettings, create_app
from uniaudio_lm.server.errors import ApiError
from uniaudio_lm.server.media import CONTENT_TYPES, Encoder
from uniaudio_lm.server.pool import WorkerPool
from uniaudio_lm.server.worker import ModelSettings

RATE = 16000
SPEECH = {"model": "nano", "input": "Good morning.", "voice": "alloy", "response_format": "wav"}


def wait_until_ready(client: TestClient) -> None:
    limit = time.monotonic() + 120
    while client.get("/ready").status_code != 200:
        assert time.monotonic() < limit, client.get("/ready").text
        time.sleep(0.1)


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    settings = ServerSettings(max_seconds=30, max_body=2 * 2**20, max_characters=500)
    with TestClient(create_app(settings)) as client:
        wait_until_ready(client)
        yield client


@pytest.fixture(scope="module")
def spoken(client: TestClient) -> bytes:
    answer = client.post("/v1/audio/speech", json=SPEECH)
    assert answer.status_code == 200
    return answer.content


def samples(data: bytes) -> np.ndarray:
    return np.frombuffer(data[44:], "<i2")


def test_speech_is_what_the_library_says(spoken: bytes) -> None:
    from uniaudio_lm import UniAudio

    said = UniAudio.from_pretrained("nano").synthesize("Good morning.", seed=0)
    expected = np.clip(np.round(np.asarray(said.wav) * 32768), -32768, 32767)
    assert np.abs(samples(spoken) - expected).max() <= 1


@pytest.mark.parametrize("format", CONTENT_TYPES)
def test_every_format_holds_the_same_sound(client: TestClient, spoken: bytes, format: str) -> None:
    answer = client.post("/v1/audio/speech", json={**SPEECH, "response_format": format})
    assert answer.headers["content-type"].startswith(CONTENT_TYPES[format])
    if format == "pcm":
        assert answer.content == spoken[44:]
        return
    wav, rate = load_audio(answer.content, 16000)
    assert rate == RATE
    assert abs(len(wav) - len(samples(spoken))) <= 0.2 * RATE
    if format == "flac":
        assert np.array_equal(np.round(wav * 32768), samples(spoken))


def test_events_join_to_the_whole(client: TestClient, spoken: bytes) -> None:
    answer = client.post("/v1/audio/speech", json={**SPEECH, "stream_format": "sse"})
    events = [json.loads(line[6:]) for line in answer.text.split("\n\n") if line]
    deltas = [e for e in events if e["type"] == "speech.audio.delta"]
    assert len(deltas) > 3
    assert b"".join(base64.b64decode(e["audio"]) for e in deltas) == spoken
    assert events[-1]["type"] == "speech.audio.done"
    assert events[-1]["stop_reason"] == "stop"


@pytest.mark.parametrize("speed", [0.25, 0.8, 4.0])
def test_speed_keeps_the_pitch(client: TestClient, spoken: bytes, speed: float) -> None:
    pytest.importorskip("python_stretch")
    answer = client.post("/v1/audio/speech", json={**SPEECH, "speed": speed})
    assert answer.status_code == 200
    made, normal = samples(answer.content) / 32768, samples(spoken) / 32768
    assert len(made) == pytest.approx(len(normal) / speed, abs=2)

    def centre(wav: np.ndarray) -> float:
        power = np.square(np.abs(np.fft.rfft(wav)))
        return float((power * np.fft.rfftfreq(len(wav))).sum() / power.sum())

    assert centre(made) == pytest.approx(centre(normal), rel=0.25)


def test_the_official_client_speaks_and_transcribes(client: TestClient, spoken: bytes) -> None:
    openai = pytest.importorskip("openai")
    official = openai.OpenAI(
        api_key="none", base_url="http://testserver/v1", http_client=client, max_retries=0
    )
    speech = official.audio.speech.create(
        model="nano", voice="alloy", input="Good morning.", response_format="wav"
    )
    assert speech.content == spoken
    file = ("a.wav", spoken)
    heard = official.audio.transcriptions.create(model="nano", file=file)
    assert heard.text
    verbose = official.audio.transcriptions.create(
        model="nano", file=file, response_format="verbose_json"
    )
    assert verbose.text == heard.text
    assert verbose.words is not None
    srt = official.audio.transcriptions.create(model="nano", file=file, response_format="srt")
    assert "-->" in srt
    with pytest.raises(openai.NotFoundError) as refused:
        official.audio.speech.create(model="other", voice="alloy", input="Hello.")
    assert refused.value.body is not None
    assert [m.id for m in official.models.list()] == ["nano"]


@pytest.mark.parametrize("format", ["json", "text", "srt", "vtt", "verbose_json"])
def test_transcripts(client: TestClient, spoken: bytes, format: str) -> None:
    answer = client.post(
        "/v1/audio/transcriptions",
        files={"file": ("a.wav", spoken)},
        data={"model": "nano", "response_format": format},
    )
    assert answer.status_code == 200
    assert "morning" in answer.text.lower()
    if format == "vtt":
        assert answer.text.startswith("WEBVTT")


def test_a_streamed_transcript_joins_to_the_whole(client: TestClient) -> None:
    text = "Good morning. [pause 1s] Where is the station? [pause 1s] I will come tomorrow."
    sound = client.post("/v1/audio/speech", json={**SPEECH, "input": text}).content
    data = {"model": "nano", "stream": "true"}
    files = {"file": ("a.wav", sound)}
    answer = client.post("/v1/audio/transcriptions", files=files, data=data)
    events = [json.loads(line[6:]) for line in answer.text.split("\n\n") if line]
    deltas = [e["delta"] for e in events if e["type"] == "transcript.text.delta"]
    assert len(deltas) == 3
    assert events[-1]["type"] == "transcript.text.done"
    whole = client.post("/v1/audio/transcriptions", files=files, data={"model": "nano"}).json()
    assert "".join(deltas) == events[-1]["text"] == whole["text"]
    bad = {"file": ("a.wav", b"no sound")}
    assert client.post("/v1/audio/transcriptions", files=bad, data=data).status_code == 400


def test_hotwords_reach_the_model(client: TestClient, spoken: bytes) -> None:
    data = {"model": "nano", "hotwords": ",".join(f"{i:0>100}" for i in range(50))}
    answer = client.post("/v1/audio/transcriptions", files={"file": ("a.wav", spoken)}, data=data)
    assert answer.status_code == 400
    assert "hotword" in answer.json()["error"]["message"]


def test_words_have_times(client: TestClient, spoken: bytes) -> None:
    asked = {**SPEECH, "word_timestamps": True}
    assert client.post("/v1/audio/speech", json=asked).status_code == 400
    made = client.post("/v1/audio/speech", json={**asked, "stream_format": "json"}).json()
    assert base64.b64decode(made["audio"]) == spoken
    assert made["seconds"] == pytest.approx(len(samples(spoken)) / RATE, abs=1e-3)
    assert [w["word"].strip(".").lower() for w in made["words"]] == ["good", "morning"]
    slow = client.post(
        "/v1/audio/speech", json={**asked, "stream_format": "json", "speed": 0.5}
    ).json()
    for one, other in zip(made["words"], slow["words"], strict=True):
        # Alike but for a frame of the aligner: what is stretched is marked afterwards.
        assert other["end"] == pytest.approx(2 * one["end"], abs=0.05)
    events = client.post("/v1/audio/speech", json={**asked, "stream_format": "sse"}).text
    assert json.loads(events.strip().split("\n\n")[-1][6:])["words"] == made["words"]


def test_a_batch_says_each_text_as_alone(client: TestClient, spoken: bytes) -> None:
    requests = [SPEECH, {**SPEECH, "voice": "nobody"}, {**SPEECH, "input": "Yes.", "seed": 4}]
    requests += [{**SPEECH, "seed": seed} for seed in range(1, 20)]  # more than are taken at once
    answer = client.post("/v1/audio/speech/batch", json={"requests": requests})
    assert answer.status_code == 200
    lines = {line["index"]: line for line in map(json.loads, answer.text.splitlines())}
    assert sorted(lines) == list(range(len(requests)))
    found = samples(base64.b64decode(lines[0]["audio"])).astype(int)
    assert np.abs(found - samples(spoken)).max() <= 33, "-60 dB"
    assert "nobody" in lines[1]["error"]["message"]
    assert all("audio" in line for index, line in lines.items() if index != 1)
    for bad in ([], [{"model": "nano"}], [SPEECH] * 257):
        answer = client.post("/v1/audio/speech/batch", json={"requests": bad})
        assert answer.status_code == 400


def test_speech_goes_out_as_text_comes_in(client: TestClient) -> None:
    with client.websocket_connect("/v1/audio/speech/live") as socket:
        socket.send_json({"type": "start", "model": "nano", "seed": 3})
        socket.send_json({"type": "text", "text": "Good mor"})
        socket.send_json({"type": "text", "text": "ning. Where is"})
        first = b""
        while (message := socket.receive()).get("bytes") is not None:
            first += message["bytes"]
        assert json.loads(message["text"]) == {"type": "said", "text": "Good morning."}
        socket.send_json({"type": "text", "text": " the station?"})
        socket.send_json({"type": "flush"})
        second = b""
        while (message := socket.receive()).get("bytes") is not None:
            second += message["bytes"]
        assert json.loads(message["text"])["text"] == "Where is the station?"
        socket.send_json({"type": "end"})
        done = socket.receive_json()
    assert done["type"] == "done"
    assert done["seconds"] == pytest.approx((len(first) + len(second)) / 2 / RATE, abs=1e-3)
    alone = client.post(
        "/v1/audio/speech", json={**SPEECH, "seed": 3, "response_format": "pcm"}
    ).content
    assert first == alone
    heard = client.post(
        "/v1/audio/transcriptions",
        files={"file": ("a.wav", wav_bytes(np.frombuffer(second, "<i2") / 32768, RATE))},
        data={"model": "nano"},
    )
    assert "station" in heard.json()["text"].lower()


def test_a_transcript_grows_as_sound_comes_in(client: TestClient) -> None:
    text = "Good morning. [pause 1s] Where is the station? [pause 1s] I will come tomorrow."
    asked = {**SPEECH, "input": text, "response_format": "pcm"}
    sound = client.post("/v1/audio/speech", json=asked).content
    with client.websocket_connect("/v1/audio/transcriptions/live") as socket:
        asked = {"type": "start", "model": "nano", "sample_rate": RATE, "interval": 0.5}
        socket.send_json(asked)
        for i in range(0, len(sound), 6400):
            socket.send_bytes(sound[i : i + 6400])
        partial, segments = [], []
        while not segments:
            message = socket.receive_json()
            (segments if message["type"] == "segment" else partial).append(message)
        assert all(p["type"] == "partial" and p["text"] for p in partial)
        assert "morning" in partial[-1]["text"].lower() and partial[-1]["stable"] > 0
        assert "morning" in segments[0]["text"].lower()
        socket.send_json({"type": "end"})
        while (message := socket.receive_json())["type"] != "done":
            if message["type"] == "segment":
                segments.append(message)
    assert len(segments) == 3
    times = [t for s in segments for t in (s["start"], s["end"])]
    assert times == sorted(times)
    assert message["duration"] == pytest.approx(len(sound) / 2 / RATE, abs=1e-3)
    assert message["text"] == " ".join(s["text"] for s in segments)
    assert "station" in segments[1]["text"].lower()
    assert segments[1]["words"][0]["start"] >= segments[1]["start"] > 1.0


BAD_TALK: list[tuple[str, list[Any]]] = [
    ("speech", [{"type": "text", "text": "no start"}]),
    ("speech", ["no json"]),
    ("speech", ["[" * 100_000]),
    ("speech", [{"type": "start", "voice": "nobody at all"}, {"type": "text", "text": "Yes. No."}]),
    ("speech", [{"type": "start", "speed": 2}]),
    ("speech", [{"type": "start", "seed": "x"}]),
    ("speech", [{"type": "start"}, {"type": "sing"}]),
    ("speech", [{"type": "start"}, {"type": "text", "text": 5}]),
    ("speech", [{"type": "start"}, {"type": "text", "text": "x" * 501}]),
    ("speech", [{"type": "start"}, {"type": "text", "text": "<speak>a"}, {"type": "flush"}]),
    ("transcriptions", [{"type": "start", "sample_rate": 1}]),
    ("transcriptions", [{"type": "start", "model": "gpt"}]),
    ("transcriptions", [{"type": "start"}, b"odd"]),
    ("transcriptions", [{"type": "start"}, {"type": "stop"}]),
    ("transcriptions", [{"type": "start", "language": "klingon"}, b"\1\0" * RATE, {"type": "end"}]),
    ("transcriptions", [{"type": "start"}, *[b"\0\0" * RATE * 10] * 4]),
]


@pytest.mark.parametrize(("route", "messages"), BAD_TALK, ids=lambda x: str(x)[:40])
def test_bad_talk_ends_with_an_error(client: TestClient, route: str, messages: list[Any]) -> None:
    with client.websocket_connect(f"/v1/audio/{route}/live") as socket:
        for message in messages:
            if isinstance(message, bytes):
                socket.send_bytes(message)
            elif isinstance(message, str):
                socket.send_text(message)
            else:
                socket.send_json(message)
        found = socket.receive()
        while found.get("bytes") is not None or '"error"' not in (found.get("text") or '"error"'):
            found = socket.receive()
        error = json.loads(found["text"])["error"]
        assert (
            error["message"] and error["type"] == "invalid_request_error"
        ) or "not_found" in str(error)
        assert socket.receive()["type"] == "websocket.close"


def test_a_live_session_that_is_left_is_over(client: TestClient) -> None:
    with client.websocket_connect("/v1/audio/speech/live") as socket:
        socket.send_json({"type": "start"})
        socket.send_json({"type": "text", "text": "One two three four five. And so on."})
        assert socket.receive()["bytes"]
    limit = time.monotonic() + 10
    while "uniaudio_running 0.0" not in client.get("/metrics").text:
        assert time.monotonic() < limit
        time.sleep(0.05)


def test_tokens_there_and_back(client: TestClient, spoken: bytes) -> None:
    made = client.post("/v1/audio/tokens", files={"file": ("a.wav", spoken)})
    assert made.status_code == 200
    back = client.post("/v1/audio/tokens/decode", files={"file": ("a.mtok", made.content)})
    assert back.status_code == 200
    assert len(samples(back.content)) == len(samples(spoken))
    bad = client.post("/v1/audio/tokens/decode", files={"file": ("a.mtok", made.content[:-9])})
    assert bad.status_code == 400


def test_voices(client: TestClient, spoken: bytes) -> None:
    files = {"file": ("me.wav", spoken)}
    refused = client.post("/v1/audio/voices", files=files, data={"name": "me"})
    assert refused.status_code == 400
    assert "consent" in refused.json()["error"]["message"]
    data = {"name": "me", "text": "Good morning.", "consent": "true"}
    assert client.post("/v1/audio/voices", files=files, data=data).status_code == 201
    names = [v["id"] for v in client.get("/v1/audio/voices").json()["data"]]
    assert "me" in names
    said = client.post("/v1/audio/speech", json={**SPEECH, "voice": "me"})
    assert said.status_code == 200
    assert client.delete("/v1/audio/voices/me").status_code == 200
    assert client.delete("/v1/audio/voices/me").status_code == 404


BAD_SPEECH: list[dict[str, Any]] = [
    {"input": ""},
    {"input": "!!!"},
    {"input": "x" * 501},
    {"input": 5},
    {"response_format": "exe"},
    {"voice": "nobody at all"},
    {"speed": 0.2},
    {"speed": 4.1},
    {"speed": "fast"},
    {"seed": -1},
    {"instructions": "whisper"},
    {"ref_audio": "###"},
    {"ref_audio": base64.b64encode(b"no audio").decode()},
    {"language": "klingon of the north"},
    {"model": "gpt-99"},
]


@pytest.mark.parametrize("change", BAD_SPEECH, ids=str)
def test_bad_requests_are_refused_in_openais_form(
    client: TestClient, change: dict[str, Any]
) -> None:
    answer = client.post("/v1/audio/speech", json={**SPEECH, **change})
    assert 400 <= answer.status_code < 500
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    assert "\n" not in error["message"]


def header_that_promises(seconds: int) -> bytes:
    data = bytearray(wav_bytes(np.zeros(800, np.float32), RATE))
    size = (seconds * RATE * 2).to_bytes(4, "little")
    data[40:44] = size
    return bytes(data)


BAD_FILES = {
    "empty": b"",
    "text": b"hello, I am a recording",
    "cut": wav_bytes(np.zeros(8000, np.float32), RATE)[:100],
    "promises hours": header_that_promises(3600),
    "too long": wav_bytes(np.zeros(31 * RATE, np.float32), RATE),
    "header alone": b"RIFF\x00\x00\x00\x00WAVEfmt ",
    "zip": b"PK\x03\x04" + b"\0" * 500,
    "too large": b"\0" * (3 * 2**20),
}


@pytest.mark.parametrize("name", BAD_FILES)
@pytest.mark.parametrize("route", ["transcriptions", "tokens"])
def test_hostile_uploads_are_refused(client: TestClient, name: str, route: str) -> None:
    files = {"file": ("../../etc/passwd\n.wav", BAD_FILES[name])}
    answer = client.post(f"/v1/audio/{route}", files=files, data={"model": "nano"})
    assert 400 <= answer.status_code < 500, answer.text
    assert "Traceback" not in answer.text


def test_other_sites_and_other_hosts_are_refused(client: TestClient) -> None:
    answer = client.get("/v1/models", headers={"origin": "https://evil.example"})
    assert answer.status_code == 403
    assert client.get("/v1/models", headers={"host": "evil.example"}).status_code == 403
    assert client.get("/v1/models").headers["x-content-type-options"] == "nosniff"


def test_metrics_count(client: TestClient) -> None:
    text = client.get("/metrics").text
    assert 'uniaudio_requests_total{end="finished"}' in text


def test_the_interface_describes_itself(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    for path in ("/v1/audio/speech", "/v1/audio/transcriptions", "/v1/models", "/health"):
        assert path in paths


def test_keys(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="needs an API key"):
        ServerSettings(host="0.0.0.0")
    app = create_app(ServerSettings(host="0.0.0.0", keys=("right",)))
    app.state.pool.start = _nothing
    with TestClient(app) as client:
        assert client.get("/health").status_code == 200
        assert client.get("/v1/models").status_code == 401
        for key, status in (("wrong", 401), ("", 401), ("right", 200)):
            headers = {"Authorization": f"Bearer {key}"}
            assert client.get("/v1/models", headers=headers).status_code == status


async def _nothing() -> None:
    pass


# --- the pool, with workers that hold no model ----------------------------------------------------


TASKS = """
import os, time
from mingtok_audio.core.errors import UserError

def count(engine, params):
    for i in range(params["events"]):
        time.sleep(params.get("pause", 0.01))
        yield {"at": i, "pid": os.getpid()}

def fail(engine, params):
    yield {"at": 0}
    raise UserError("this is wrong") if params["user"] else ZeroDivisionError("secret")
"""


async def ready_pool(**options: Any) -> WorkerPool:
    pool = WorkerPool(ModelSettings("nano"), **options)
    await pool.start()
    limit = time.monotonic() + 120
    while not pool.ready:
        assert time.monotonic() < limit
        await asyncio.sleep(0.05)
    return pool


def test_the_pool_keeps_its_promises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One pool for all: its worker loads the nano once."""
    (tmp_path / "server_test_tasks.py").write_text(TASKS)
    monkeypatch.syspath_prepend(str(tmp_path))  # workers inherit the path

    async def scenario() -> None:
        pool = await ready_pool(active=2, waiting=2, deadline=60.0)
        task = "server_test_tasks:count"
        # Turns: a short request ends long before a long one that came first.
        order: list[str] = []

        async def run(name: str, events: int) -> None:
            async for _ in pool.run(task, {"events": events}):
                pass
            order.append(name)

        await asyncio.gather(run("long", 60), run("short", 3))
        assert order == ["short", "long"]

        # A full queue is refused, with the time to come back.
        running = [asyncio.create_task(run("r", 40)) for _ in range(4)]
        await asyncio.sleep(0.2)
        with pytest.raises(ApiError) as busy:
            await run("one too many", 1)
        assert busy.value.status == 429
        assert busy.value.headers is not None
        assert int(busy.value.headers["Retry-After"]) >= 1
        await asyncio.gather(*running)

        # A client that goes away frees its place.
        stream = pool.run(task, {"events": 10_000, "pause": 0.005})
        await anext(stream)
        await stream.aclose()
        assert pool.running == 0
        assert pool.counts.cancelled == 1

        # Errors: those of the user are told, ours are not.
        fails = task.replace("count", "fail")
        for user, status, text in ((True, 400, "this is wrong"), (False, 500, "internal error")):
            with pytest.raises(ApiError, match=text) as failed:
                async for _ in pool.run(fails, {"user": user}):
                    pass
            assert failed.value.status == status
            assert "secret" not in str(failed.value)

        # A worker that is killed fails its own requests, and another takes its place.
        stream = pool.run(task, {"events": 10_000})
        pid = (await anext(stream))["pid"]
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(ApiError, match="died"):
            async for _ in stream:
                pass
        events = [e async for e in pool.run(task, {"events": 2})]
        assert len(events) == 2
        assert events[0]["pid"] != pid
        assert pool.counts.replaced == 1

        # Draining waits for what runs.
        last = asyncio.create_task(run("last", 30))
        await asyncio.sleep(0.1)
        await pool.drain(30)
        await last
        assert order[-1] == "last"
        with pytest.raises(ApiError) as closed:
            await run("late", 1)
        assert closed.value.status == 503

    asyncio.run(scenario())


def test_a_model_that_cannot_be_loaded_is_said() -> None:
    async def scenario() -> None:
        pool = WorkerPool(ModelSettings("/there/is/no/such/model"))
        await pool.start()
        with pytest.raises(ApiError, match="cannot be loaded") as refused:
            async for _ in pool.run("json:loads", {}):
                pass
        assert refused.value.status == 503
        await pool.drain(1)

    asyncio.run(scenario())


@pytest.mark.parametrize("format", CONTENT_TYPES)
@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(0, 4000), max_size=12))
def test_pieces_of_any_size_give_the_same_file(format: str, sizes: list[int]) -> None:
    wav = np.sin(np.arange(RATE) / 20).astype(np.float32) * 0.5

    def encoded(places: list[int]) -> bytes:
        encoder = Encoder(format, RATE)
        return b"".join(map(encoder.push, np.split(wav, places))) + encoder.finish()

    whole, pieces = encoded([]), encoded([*np.cumsum(sizes).clip(max=RATE)])
    if format == "pcm":
        assert whole == pieces == (np.round(wav * 32768).astype("<i2")).tobytes()
        return
    if format != "opus":  # an Ogg stream has a number of its own
        assert whole == pieces
    decoded, rate = load_audio(pieces, RATE)
    assert rate == RATE
    assert np.array_equal(decoded, load_audio(whole, RATE)[0])
    assert len(wav) <= len(decoded) <= len(wav) + 0.2 * RATE
    assert np.std(decoded[2000:RATE]) == pytest.approx(np.std(wav), rel=0.1)
    if format != "mp3":  # which delays sound
        assert np.corrcoef(decoded[2000:RATE], wav[2000:])[0, 1] > 0.99


@pytest.mark.parametrize("format", ["wav", "pcm", "mp3", "opus"])
def test_a_stream_of_any_length_takes_the_same_memory(format: str) -> None:
    encoder = Encoder(format, RATE)
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, RATE).astype(np.float32)
    tracemalloc.start()
    try:
        kept = []
        for _ in range(60):
            encoder.push(noise)
            kept.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert max(kept[30:]) - max(kept[:30]) < 10_000, "a second of wav has 32,000 bytes"


def test_broken_extensions_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    from uniaudio_lm.server import extensions

    class Point:
        name, distribution, version, error = "bad", "bad-package", "1", ""

        def __init__(self, value: str) -> None:
            self.value = value

    values = ["no_such_module:router", "json:dumps", "uniaudio_lm.server.routes.state:router"]
    monkeypatch.setattr(extensions, "entry_points", lambda _: [Point(v) for v in values])
    assert extensions.include_extensions(FastAPI()) == ["bad"]
