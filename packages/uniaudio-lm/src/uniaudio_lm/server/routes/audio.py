"""`/v1/audio`: speech, transcriptions, tokens and voices, as the OpenAI interface has them."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, FastAPI, File, Form, Request, UploadFile
from fastapi.responses import PlainTextResponse, Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from uniaudio_lm.server.errors import ApiError
from uniaudio_lm.server.media import CONTENT_TYPES, Encoder
from uniaudio_lm.server.routes.state import pool_of
from uniaudio_lm.text.length import joined

router = APIRouter(prefix="/v1/audio")
_TASKS = "uniaudio_lm.server.tasks"
_DEFAULT_VOICES = frozenset({"", "default", "alloy"})
_MAX_NAME = 64


class SpeechRequest(BaseModel):
    """What to say and how."""

    model_config = ConfigDict(
        extra="ignore",
        json_schema_extra={
            "example": {"model": "nano", "input": "Good morning.", "voice": "default"}
        },
    )

    model: str = "nano"
    input: str = Field(min_length=1, description="The text to say.")
    voice: str | dict[str, str] = Field("default", description="A name of `/v1/audio/voices`.")
    response_format: Literal["wav", "flac", "mp3", "opus", "pcm"] = "mp3"
    stream_format: Literal["audio", "sse", "json"] = Field(
        "audio",
        description="The sound itself; events as it is made; or one JSON object with the sound in "
        "base64.",
    )
    word_timestamps: bool = Field(
        False, description="Give the words with their times: with stream_format sse or json."
    )
    speed: float = Field(
        1.0,
        ge=0.25,
        le=4.0,
        description="Times as fast, at the same pitch; other than 1, the sound comes once it is "
        "whole.",
    )
    seed: int = Field(0, ge=0, lt=2**63)
    language: str | None = None
    instructions: str | None = Field(None, description="Refused by models that follow none.")
    ref_audio: str | None = Field(None, description="A voice to imitate: base64 of a file.")
    ref_text: str | None = Field(None, description="What `ref_audio` says.")


def check_model(app: FastAPI, name: str) -> None:
    """Refuse a model that is not served.

    Raises:
        ApiError: with status 404.
    """
    served = app.state.settings.model.model
    known = {served, app.state.pool.model_id}
    if name not in known:
        raise ApiError(
            f"the model {name!r} is not served here; {served!r} is",
            404,
            param="model",
            code="model_not_found",
        )


@router.post(
    "/speech",
    summary="Say a text",
    response_class=Response,
    responses={200: {"content": {t: {} for t in (*CONTENT_TYPES.values(), "text/event-stream")}}},
)
async def speech(request: Request, body: SpeechRequest) -> Response:
    """Say `input`; the bytes come as they are made.

    With `stream_format: "sse"`: events `speech.audio.delta` (base64) and `speech.audio.done`.
    """
    params = speech_params(request.app, body)
    events = pool_of(request).run(f"{_TASKS}:speech", params)
    if body.stream_format == "json":
        return _json(await whole_speech(events, body.response_format))
    rate = 0
    async for event in events:  # up to the first sound: what is wrong is an error with a status
        if "sample_rate" in event:
            rate = event["sample_rate"]
        if "wav" in event:
            break
    else:
        raise ApiError("nothing was said", 500)
    encoder = Encoder(body.response_format, rate)
    if body.stream_format == "sse":
        stream = _as_events(encoder, event, events)
        return StreamingResponse(stream, media_type="text/event-stream")
    media = CONTENT_TYPES[body.response_format]
    return StreamingResponse(_as_bytes(encoder, event, events), media_type=media)


async def whole_speech(events: AsyncIterator[dict[str, Any]], format: str) -> dict[str, Any]:
    """The events of speech as one object: `audio` (base64), `format`, and what the end tells."""
    end: dict[str, Any] = {}
    encoder, parts = Encoder(format, 0), list[bytes]()
    async for event in events:
        if "sample_rate" in event:
            encoder = Encoder(format, event["sample_rate"])
        if "wav" in event:
            parts.append(encoder.push(event["wav"]))
        end = event.get("end", end)
    parts.append(encoder.finish())
    audio = base64.b64encode(b"".join(parts)).decode()
    return {"audio": audio, "format": format, "sample_rate": encoder.sample_rate, **end}


def speech_params(app: FastAPI, body: SpeechRequest) -> dict[str, Any]:
    """What the worker is told to say.

    Raises:
        ApiError: something that is known to be refused.
    """
    check_model(app, body.model)
    settings = app.state.settings
    if len(body.input) > settings.max_characters:
        raise ApiError(
            f"input has {len(body.input):,} characters, at most {settings.max_characters:,} are "
            "taken: split it",
            param="input",
        )
    if body.instructions:
        raise ApiError("the model follows no instructions", param="instructions")
    if body.word_timestamps and body.stream_format == "audio":
        raise ApiError(
            "word_timestamps needs stream_format sse or json: sound alone cannot hold them",
            param="word_timestamps",
        )
    voice, reference, text = _voice_of(app, body)
    return {
        "text": body.input,
        "voice": voice,
        "reference": reference,
        "reference_text": text,
        "seed": body.seed,
        "language": body.language,
        "max_seconds": 60.0,
        "speed": body.speed,
        "words": body.word_timestamps,
    }


async def _as_bytes(
    encoder: Encoder, first: dict[str, Any], events: AsyncIterator[dict[str, Any]]
) -> AsyncIterator[bytes]:
    yield encoder.push(first["wav"])
    async for event in events:
        if "wav" in event:
            data = encoder.push(event["wav"])
            if data:
                yield data
    yield encoder.finish()


async def _as_events(
    encoder: Encoder, first: dict[str, Any], events: AsyncIterator[dict[str, Any]]
) -> AsyncIterator[str]:
    def delta(data: bytes) -> str:
        audio = base64.b64encode(data).decode()
        return _sse({"type": "speech.audio.delta", "audio": audio})

    end: dict[str, Any] = {}
    yield delta(encoder.push(first["wav"]))
    try:
        async for event in events:
            end = event.get("end", end)
            if "wav" in event:
                data = encoder.push(event["wav"])
                if data:
                    yield delta(data)
    except ApiError as error:  # the status is long sent
        yield _sse({"type": "error", "message": str(error)})
        return
    yield delta(encoder.finish())
    yield _sse({"type": "speech.audio.done", **end})


def _sse(data: dict[str, Any]) -> str:
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n"


def _voice_of(app: FastAPI, body: SpeechRequest) -> tuple[str | None, bytes | None, str | None]:
    """-> (name of a voice of the model, reference recording, its text)."""
    if body.ref_audio is not None:
        try:
            return None, base64.b64decode(body.ref_audio, validate=True), body.ref_text
        except (binascii.Error, ValueError) as error:
            raise ApiError("ref_audio is not base64", param="ref_audio") from error
    name = body.voice if isinstance(body.voice, str) else body.voice.get("id", "")
    if name in _DEFAULT_VOICES:
        return None, None, None
    kept = app.state.voices.get(name)
    if kept is not None:
        return None, kept["data"], kept["text"]
    return name, None, None


@router.post("/transcriptions", summary="Write down a recording", response_model=None)
async def transcriptions(
    request: Request,
    file: Annotated[UploadFile, File(description="wav, flac, ogg, opus, mp3, aiff or au.")],
    *,
    model: Annotated[str, Form()] = "nano",
    response_format: Annotated[
        Literal["json", "text", "srt", "vtt", "verbose_json"], Form()
    ] = "json",
    language: Annotated[str | None, Form()] = None,
    prompt: Annotated[str | None, Form(description="Taken as hotwords, comma-separated.")] = None,
    hotwords: Annotated[str | None, Form(description="Words to expect, comma-separated.")] = None,
    stream: Annotated[bool, Form()] = False,
) -> Response:
    """Recognise an upload. `verbose_json` has words and segments with times."""
    check_model(request.app, model)
    events = transcribing(request, await file.read(), file.filename, language, hotwords or prompt)
    if stream:
        first = await anext(events)  # what is wrong is an error with a status
        return StreamingResponse(_as_deltas(first, events), media_type="text/event-stream")
    seconds, found = 0.0, dict[str, Any]()
    async for event in events:
        found = event if "transcript" in event else found
        seconds = event.get("seconds", seconds)
    text = found["transcript"]["text"]
    if response_format == "text":
        return PlainTextResponse(text + "\n")
    if response_format in ("srt", "vtt"):
        kind = "application/x-subrip" if response_format == "srt" else "text/vtt"
        return Response(found[response_format], media_type=f"{kind}; charset=utf-8")
    if response_format == "json":
        return _json({"text": text})
    words = found["transcript"]["words"]
    segments = [{"id": i, **s} for i, s in enumerate(found["transcript"]["segments"])]
    return _json(
        {
            "task": "transcribe",
            "language": found["transcript"]["language"],
            "duration": round(seconds, 3),
            "text": text,
            "segments": segments,
            "words": None
            if words is None
            else [{"word": w["text"], "start": w["start"], "end": w["end"]} for w in words],
        }
    )


def transcribing(
    request: Request, data: bytes, name: str | None, language: str | None, hotwords: str | None
) -> AsyncIterator[dict[str, Any]]:
    """The events of `tasks.transcribe`."""
    params = {
        "data": data,
        "name": name or "upload",
        "language": language or None,
        "hotwords": word_list(hotwords),
        "max_seconds": request.app.state.settings.max_seconds,
    }
    return pool_of(request).run(f"{_TASKS}:transcribe", params)


def word_list(words: str | None) -> list[str]:
    """Words that are separated by commas."""
    return [word.strip() for word in (words or "").split(",") if word.strip()]


async def _as_deltas(
    first: dict[str, Any], events: AsyncIterator[dict[str, Any]]
) -> AsyncIterator[str]:
    """Events `transcript.text.delta` of each segment, and `transcript.text.done`."""
    text = ""
    try:
        async for event in events:
            if event.get("text"):
                longer = joined([text, event["text"]])
                yield _sse({"type": "transcript.text.delta", "delta": longer[len(text) :]})
                text = longer
            elif "transcript" in event:
                found = event["transcript"]
                yield _sse(
                    {
                        "type": "transcript.text.done",
                        "text": found["text"],
                        "language": found["language"],
                        "duration": round(first.get("seconds", 0.0), 3),
                    }
                )
    except ApiError as error:  # the status is long sent
        yield _sse({"type": "error", "message": str(error)})


def _json(data: Any) -> Response:
    text = json.dumps(data, ensure_ascii=False)
    return Response(text, media_type="application/json")


@router.post("/tokens", summary="A recording as a .mtok file", response_class=Response)
async def tokens(request: Request, file: Annotated[UploadFile, File()]) -> Response:
    """Encode an upload; the answer is the file."""
    params = {
        "data": await file.read(),
        "name": file.filename or "upload",
        "max_seconds": request.app.state.settings.max_seconds,
    }
    found: dict[str, Any] = {}
    async for event in pool_of(request).run(f"{_TASKS}:encode", params):
        found = event
    headers = {"X-Frames": str(found["frames"])}
    return Response(found["mtok"], media_type="application/octet-stream", headers=headers)


@router.post("/tokens/decode", summary="A .mtok file as sound", response_class=Response)
async def tokens_decode(
    request: Request,
    file: Annotated[UploadFile, File()],
    response_format: Annotated[Literal["wav", "flac", "mp3", "opus", "pcm"], Form()] = "wav",
) -> Response:
    """Decode an upload."""
    params = {
        "data": await file.read(),
        "max_seconds": request.app.state.settings.max_seconds,
    }
    rate, wav = 0, np.zeros(0, np.float32)
    async for event in pool_of(request).run(f"{_TASKS}:decode", params):
        rate = event.get("sample_rate", rate)
        wav = event.get("wav", wav)
    encoder = Encoder(response_format, rate)
    data = encoder.push(wav) + encoder.finish()
    return Response(data, media_type=CONTENT_TYPES[response_format])


@router.get("/voices", summary="The voices that speech can have")
async def list_voices(request: Request) -> dict[str, Any]:
    """Voices of the model, and those that were uploaded."""
    own: list[dict[str, Any]] = []
    async for event in pool_of(request).run(f"{_TASKS}:voices", {}):
        own = [{**voice, "uploaded": False} for voice in event["voices"]]
    kept = [{"id": name, "language": "", "uploaded": True} for name in request.app.state.voices]
    return {"object": "list", "data": own + kept}


@router.post("/voices", summary="Keep a voice while the server runs", status_code=201)
async def add_voice(
    request: Request,
    file: Annotated[UploadFile, File(description="A few seconds of one person.")],
    name: Annotated[str, Form()],
    text: Annotated[str, Form(description="What the recording says.")] = "",
    consent: Annotated[bool, Form(description="The speaker allows the use of this voice.")] = False,
) -> dict[str, Any]:
    """Keep a recording as a voice, in memory only."""
    if not consent:
        raise ApiError("a voice needs the consent of its speaker: consent=true", param="consent")
    if not name or len(name) > _MAX_NAME or not all(c.isalnum() or c in "-_ ." for c in name):
        raise ApiError(
            f"name must have 1 to {_MAX_NAME} letters, digits, spaces, dots or dashes", param="name"
        )
    voices = request.app.state.voices
    if len(voices) >= 64 and name not in voices:
        raise ApiError("64 voices are kept at most: delete one", 409)
    data = await file.read()
    params = {"data": data, "name": file.filename or "upload", "max_seconds": 60.0}
    async for _ in pool_of(request).run(f"{_TASKS}:encode", params):
        pass  # refused here, not when it is first used
    voices[name] = {"data": data, "text": text}
    return {"id": name, "uploaded": True}


@router.delete("/voices/{name}", summary="Forget an uploaded voice")
async def delete_voice(request: Request, name: str) -> dict[str, Any]:
    """Only uploaded voices can be deleted."""
    if request.app.state.voices.pop(name, None) is None:
        raise ApiError(f"no uploaded voice has the name {name[:_MAX_NAME]!r}", 404)
    return {"id": name, "deleted": True}
