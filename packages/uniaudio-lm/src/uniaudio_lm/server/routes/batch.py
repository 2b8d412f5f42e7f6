"""`POST /v1/audio/speech/batch`: many texts in one request, each answered when it is said."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from uniaudio_lm.server.errors import ApiError, BusyError, error_body
from uniaudio_lm.server.routes.audio import SpeechRequest, speech_params, whole_speech
from uniaudio_lm.server.routes.state import pool_of

router = APIRouter(prefix="/v1/audio")
_TOGETHER = 16
_PATIENCE = 0.2


class BatchRequest(BaseModel):
    """Texts to say."""

    model_config = ConfigDict(
        extra="ignore",
        json_schema_extra={
            "example": {
                "requests": [
                    {"model": "nano", "input": "Good morning.", "response_format": "wav"},
                    {"model": "nano", "input": "Good night.", "response_format": "wav", "seed": 7},
                ]
            }
        },
    )

    requests: list[SpeechRequest] = Field(
        min_length=1, max_length=256, description="Each as for `/v1/audio/speech`."
    )


@router.post(
    "/speech/batch",
    summary="Say many texts",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/x-ndjson": {}}}},
)
async def speech_batch(request: Request, body: BatchRequest) -> StreamingResponse:
    """A line of JSON for each text as soon as it is said, in the order in which they end: `index`
    and what `stream_format` `json` of `/v1/audio/speech` gives, or `index` and `error`."""
    return StreamingResponse(_lines(request, body), media_type="application/x-ndjson")


async def _lines(request: Request, body: BatchRequest) -> AsyncIterator[str]:
    gate = asyncio.Semaphore(_TOGETHER)

    async def say(index: int, asked: SpeechRequest) -> dict[str, Any]:
        async with gate:
            try:
                asked = asked.model_copy(update={"stream_format": "json"})
                params = speech_params(request.app, asked)
                while True:
                    try:
                        events = pool_of(request).run("uniaudio_lm.server.tasks:speech", params)
                        return {"index": index, **await whole_speech(events, asked.response_format)}
                    except BusyError:  # the batch itself is accepted: it waits for its turn
                        await asyncio.sleep(_PATIENCE)
            except ApiError as error:
                return {
                    "index": index,
                    **error_body(str(error), error.status, error.param, error.code),
                }

    tasks = [asyncio.ensure_future(say(i, asked)) for i, asked in enumerate(body.requests)]
    try:
        for task in asyncio.as_completed(tasks):
            yield json.dumps(await task, ensure_ascii=False) + "\n"
    finally:  # the client may have gone away
        for task in tasks:
            task.cancel()
