"""WebSockets: speech out as text comes in, and a transcript as sound comes in.

`/v1/audio/speech/live`. The client sends JSON: first `{"type": "start", ...}` with the fields of
`/v1/audio/speech` (without `input`), then `{"type": "text", "text": "..."}` as often as it likes,
`{"type": "flush"}` to have said what is there, and `{"type": "end"}`. The server sends sound as
binary messages, `{"type": "said", "text"}` after each part, and `{"type": "done", ...}`.

`/v1/audio/transcriptions/live`. First `{"type": "start", "sample_rate": 16000, "language",
"hotwords", "interval": 1.0}`, then sound as binary messages (16-bit little-endian samples, one
channel), and `{"type": "end"}`. The server sends `{"type": "segment", "start", "end", "text",
"words"}` for each segment that a pause has ended, `{"type": "partial", "start", "end", "text",
"stable"}` of what follows it so far (its first `stable` words were there before, too; all may still
change), about every `interval` seconds of sound, and `{"type": "done", "text", "duration"}`.

What is wrong is told as `{"type": "error", "error": {...}}`, and the socket is closed.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any, TypeVar

import numpy as np
from fastapi import APIRouter, FastAPI, WebSocket, WebSocketDisconnect
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from uniaudio_lm.live import SHORTEST, stable_words
from uniaudio_lm.server.errors import ApiError, error_body
from uniaudio_lm.server.media import Encoder
from uniaudio_lm.server.pool import WorkerPool
from uniaudio_lm.server.routes.audio import SpeechRequest, check_model, speech_params, word_list
from uniaudio_lm.text.length import joined

_Fields = TypeVar("_Fields", bound=BaseModel)
router = APIRouter(prefix="/v1/audio")
_TASKS = "uniaudio_lm.server.tasks"
_POLICY, _INTERNAL = 1008, 1011


class HearingStart(BaseModel):
    """How sound is recognised."""

    model_config = ConfigDict(extra="ignore")

    model: str = "nano"
    sample_rate: int = Field(16000, ge=4000, le=192_000)
    language: str | None = None
    hotwords: str | None = None
    interval: float = Field(1.0, ge=SHORTEST, le=30.0)


@router.websocket("/speech/live")
async def speech_live(socket: WebSocket) -> None:
    """See the module."""
    await socket.accept()
    try:
        start = await _start(socket)
        body = _checked(SpeechRequest, {"response_format": "pcm", **start, "input": "-"})
        if body.speed != 1.0 or body.word_timestamps or body.response_format == "flac":
            raise ApiError("live speech has speed 1, no word_timestamps, and no format flac")
        params = speech_params(socket.app, body)
        await _speak(socket, params, body.response_format)
    except WebSocketDisconnect:
        return
    except ApiError as error:
        await _refuse(socket, error)


async def _speak(socket: WebSocket, params: dict[str, Any], format: str) -> None:
    limit = socket.app.state.settings.max_characters
    encoder: Encoder | None = None

    async def texts() -> AsyncIterator[str]:
        total = 0
        while True:
            message = await _message(socket)
            kind = message.get("type")
            if kind == "end":
                return
            if kind == "flush":
                yield ""
            elif kind == "text" and isinstance(message.get("text"), str):
                total += len(message["text"])
                if total > limit:
                    raise ApiError(f"at most {limit:,} characters are said in one session")
                if message["text"]:
                    yield message["text"]
            else:
                raise ApiError("send messages of the type text (with text), flush or end")

    async for event in _pool(socket.app).run(f"{_TASKS}:live_speech", params, texts()):
        if "sample_rate" in event:
            encoder = Encoder(format, event["sample_rate"])
        elif "wav" in event and encoder is not None:
            data = encoder.push(event["wav"])
            if data:
                await socket.send_bytes(data)
        elif "said" in event:
            await socket.send_json({"type": "said", "text": event["said"]})
        elif "end" in event and encoder is not None:
            rest = encoder.finish()
            if rest:
                await socket.send_bytes(rest)
            rate = encoder.sample_rate
            await socket.send_json({"type": "done", "sample_rate": rate, **event["end"]})
    await socket.close()


@router.websocket("/transcriptions/live")
async def transcriptions_live(socket: WebSocket) -> None:
    """See the module."""
    await socket.accept()
    try:
        start = _checked(HearingStart, await _start(socket))
        check_model(socket.app, start.model)
        await _hear(socket, start)
    except WebSocketDisconnect:
        return
    except ApiError as error:
        await _refuse(socket, error)


async def _hear(socket: WebSocket, start: HearingStart) -> None:
    rate, limit = start.sample_rate, socket.app.state.settings.max_seconds
    kept, new, done, text = np.zeros(0, np.float32), 0, 0, ""
    before: list[str] = []
    final = False
    while not final:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1000))
        if message.get("bytes") is not None:
            data = message["bytes"]
            if len(data) % 2:
                raise ApiError("sound is 16-bit samples: an even number of bytes")
            kept = np.concatenate((kept, np.frombuffer(data, "<i2").astype(np.float32) / 32768))
            new += len(data) // 2
            if done + len(kept) > limit * rate:
                raise ApiError(f"at most {limit:g} s are recognised in one session")
        elif _parsed(message.get("text") or "").get("type") == "end":
            final = True
        else:
            raise ApiError("send sound as binary messages, then a message of the type end")
        if not len(kept) or (new < start.interval * rate and not final):
            continue
        new = 0
        params = {
            "wav": kept, "sample_rate": rate, "start": done / rate, "final": final,
            "language": start.language or None, "hotwords": word_list(start.hotwords),
        }  # fmt: skip
        async for event in _pool(socket.app).run(f"{_TASKS}:live_transcribe", params):
            if "segment" in event:
                text = joined([text, event["segment"]["text"]])
                before = []
                await socket.send_json({"type": "segment", **event["segment"]})
            elif "partial" in event:
                said = event["partial"]["text"]
                stable = stable_words(before, said)
                before = said.split()
                await socket.send_json({"type": "partial", **event["partial"], "stable": stable})
            else:
                kept, done = kept[event["used"] :], done + event["used"]
    await socket.send_json(
        {"type": "done", "text": text, "duration": round((done + len(kept)) / rate, 3)}
    )
    await socket.close()


def _pool(app: FastAPI) -> WorkerPool:
    return app.state.pool


async def _start(socket: WebSocket) -> dict[str, Any]:
    message = await _message(socket)
    if message.pop("type", None) != "start":
        raise ApiError("the first message must have the type start")
    return message


async def _message(socket: WebSocket) -> dict[str, Any]:
    """The next message, which is JSON."""
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1000))
    return _parsed(message.get("text") or "")


def _parsed(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ApiError("a message is no JSON") from error
    if not isinstance(found, dict):
        raise ApiError("a message is no JSON object")
    return found


def _checked(kind: type[_Fields], fields: dict[str, Any]) -> _Fields:
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        raise ApiError(f"{name}: {first['msg']}", param=name) from error


async def _refuse(socket: WebSocket, error: ApiError) -> None:
    body = error_body(str(error), error.status, error.param, error.code)
    try:
        await socket.send_json({"type": "error", **body})
        await socket.close(_INTERNAL if error.status >= 500 else _POLICY)
    except (RuntimeError, WebSocketDisconnect):
        return  # it is gone
