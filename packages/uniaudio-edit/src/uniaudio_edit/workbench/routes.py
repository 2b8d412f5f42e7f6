"""`/v1/recordings`: recordings that stay on the server while they are edited, with their history.

A recording belongs to the browser (or client) that opened it, by a cookie; nobody else sees it. It
goes when it is removed, a day after its last use, or with the server.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Literal

from fastapi import APIRouter, FastAPI, File, Query, Request, UploadFile
from fastapi.responses import FileResponse, Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from mingtok_audio.core.audio import audio_info
from mingtok_audio.core.errors import AudioError
from uniaudio_edit.workbench.exports import CONTENT_TYPES, PLAYABLE, bundle, export
from uniaudio_edit.workbench.store import MAX_AGE, Step, Store, Work
from uniaudio_edit.workbench.views import view
from uniaudio_lm.server.errors import ApiError, error_body
from uniaudio_lm.server.routes.state import pool_of

COOKIE = "uniaudio_owner"
_TASKS = "uniaudio_edit.workbench.tasks"
_SUFFIXES = {"WAV": ".wav", "FLAC": ".flac", "MP3": ".mp3", "OGG": ".ogg", "AIFF": ".aiff"}
_MAX_TEXT = 200_000
_MAX_EDITS = 200


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.recordings = Store()
    yield
    app.state.recordings.close()


router = APIRouter(prefix="/v1/recordings", lifespan=_lifespan, tags=["recordings"])


class WordsRequest(BaseModel):
    """What a step says: given, or to be recognised."""

    text: str | None = Field(None, max_length=_MAX_TEXT, description="None: it is recognised.")
    hotwords: list[str] = Field(default_factory=list, max_length=100)


class Edit(BaseModel):
    """Words [start, end), counted from 0, become `new`; start = end inserts before `start`."""

    start: int = Field(ge=0)
    end: int = Field(ge=0)
    new: str = Field("", max_length=2000)


class PlanRequest(BaseModel):
    """An instruction, or edits of words by their numbers."""

    model_config = ConfigDict(json_schema_extra={"example": {"instruction": "make it 3 dB louder"}})

    instruction: str | None = Field(None, min_length=1, max_length=4000)
    edits: list[Edit] | None = Field(None, min_length=1, max_length=_MAX_EDITS)
    which: str = Field("refuse", pattern=r"^(refuse|first|last|all|\d{1,3})$")


class StepRequest(BaseModel):
    """A plan to carry out, by the `plan_id` that `plan` gave."""

    plan_id: str = Field(max_length=64)
    seed: int = Field(0, ge=0, lt=2**31)


def _store(request: Request) -> Store:
    return request.app.state.recordings


def _work(request: Request, id: str) -> Work:
    return _store(request).get(request.cookies.get(COOKIE, ""), id)


@router.get("", summary="The recordings of this browser")
async def recordings(request: Request) -> dict[str, Any]:
    """The last used first, without their words; and what a new one may have at most."""
    settings = request.app.state.settings
    mine = _store(request).of(request.cookies.get(COOKIE, "")) if COOKIE in request.cookies else []
    rows = [
        {"id": w.id, "name": w.name, "steps": len(w.steps), "seconds": w.steps[0].info["seconds"]}
        for w in mine
    ]
    limits = {"bytes": settings.max_body, "seconds": settings.max_seconds}
    return {"object": "list", "data": rows, "limits": limits}


@router.post("", summary="Open a recording", status_code=201)
async def open_recording(
    request: Request,
    response: Response,
    file: Annotated[UploadFile, File(description="wav, flac, ogg, opus, mp3, aiff or au.")],
) -> dict[str, Any]:
    """Step 0 of its history is the upload, byte for byte."""
    owner = request.cookies.get(COOKIE, "")
    if not 20 <= len(owner) <= 64:
        owner = secrets.token_urlsafe(24)
    store = _store(request)
    work = store.new(owner, _shown(file.filename))
    try:
        step = await _opened(request, work, file.file)
    except BaseException:
        store.remove(work)
        raise
    work.steps[step.number] = step
    store.add(work)
    response.set_cookie(
        COOKIE,
        owner,
        max_age=round(MAX_AGE),
        path="/v1/recordings",
        httponly=True,
        samesite="strict",
    )
    return work.public()


def _copied(work: Work, number: int, source: BinaryIO) -> Path:
    """The upload as a file of the server's own, with the suffix of what it holds."""
    place = work.folder / f"{number}.upload"
    with place.open("wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
    try:
        kind = audio_info(place).format
    except AudioError as error:
        raise AudioError(str(error).replace(str(place), work.name)) from error
    suffix = _SUFFIXES.get(kind, ".wav" if "WAV" in kind else ".au")
    return place.rename(place.with_suffix(suffix))


async def _opened(request: Request, work: Work, source: BinaryIO) -> Step:
    number = work.reserve()
    path = await asyncio.to_thread(_copied, work, number, source)
    step = Step(number, path, None, {})
    params = {
        "path": str(path),
        "name": work.name,
        "wave": str(step.wave),
        "max_seconds": request.app.state.settings.max_seconds,
    }
    async for event in pool_of(request).run(f"{_TASKS}:open_upload", params):
        step.info = event["info"]
    return step


def _shown(name: str | None) -> str:
    """A name from outside as it may be shown; it never names a file here."""
    return "".join(c for c in name or "" if c.isprintable())[-80:] or "recording"


@router.get("/{id}", summary="A recording with its history")
async def recording(request: Request, id: str) -> dict[str, Any]:
    """Every step: its length, words with times, and the plan and receipt that made it."""
    return _work(request, id).public()


@router.delete("/{id}", summary="Remove a recording and its history")
async def remove_recording(request: Request, id: str) -> dict[str, Any]:
    """Nothing of it is kept."""
    _store(request).remove(_work(request, id))
    return {"id": id, "deleted": True}


@router.post("/{id}/steps/{number}/words", summary="What a step says", response_model=None)
async def words(request: Request, id: str, number: int, body: WordsRequest) -> Response:
    """Recognise the words, or take the text that is given, and find their times. The sound stays
    as it is.

    The answer is a line of JSON for each stage and at last `{"step": {...}}`.
    """
    work = _work(request, id)
    step = work.step(number)
    params = {"path": str(step.path), "text": body.text, "hotwords": body.hotwords}

    def done(event: dict[str, Any]) -> dict[str, Any]:
        step.text, step.words, step.notes = event["text"], event["words"], event["notes"]
        return {"step": step.public()}

    return await _lines(request, f"{_TASKS}:find_words", params, "words", done)


@router.post("/{id}/steps/{number}/plan", summary="What an edit would do")
async def plan(request: Request, id: str, number: int, body: PlanRequest) -> dict[str, Any]:
    """`{"plan", "plan_id"}`, or `{"choices": [{"label", "which", "plan", "plan_id"}], "message"}`
    where the instruction has several readings."""
    if (body.instruction is None) == (body.edits is None):
        raise ApiError("give an instruction, or edits: one of the two", param="instruction")
    work = _work(request, id)
    step = work.step(number)
    edits = body.edits
    if edits is not None and step.text is None:
        raise ApiError("the words of this step are not known yet: ask for them first", 409)
    params = {
        "path": str(step.path),
        "text": step.text,
        "words": step.words,
        "instruction": body.instruction,
        "edits": None if edits is None else [[e.start, e.end, e.new] for e in edits],
        "which": body.which,
    }
    found: dict[str, Any] = {}
    async for event in pool_of(request).run(f"{_TASKS}:plan", params):
        found = event
    for row in [found, *found.get("choices", ())]:
        if "plan" in row:
            row["plan_id"] = work.keep_plan(number, row["plan"])
    return found


@router.post("/{id}/steps/{number}/edits", summary="Make an edit", response_model=None)
async def edit(request: Request, id: str, number: int, body: StepRequest) -> Response:
    """Carry out a plan on a step; the result is a new step, and the old one stays.

    The answer is a line of JSON for each stage and at last `{"step": {...}}`. A client that goes
    away leaves the history as it was.
    """
    work = _work(request, id)
    step = work.step(number)
    chosen = work.plan(number, body.plan_id)
    _store(request).check_space()
    new = work.reserve()
    made = Step(new, work.folder / f"{new}.wav", number, {})
    if step.path.suffix == ".flac":
        made.path = made.path.with_suffix(".flac")
    params = {
        "path": str(step.path),
        "output": str(made.path),
        "wave": str(made.wave),
        "plan": chosen,
        "words": step.words,
        "seed": body.seed,
    }

    def done(event: dict[str, Any]) -> dict[str, Any]:
        made.info, made.made = event["info"], event["made"]
        made.text, made.words, made.notes = event["text"], event["words"], event["notes"]
        work.steps[new] = made
        return {"step": made.public()}

    return await _lines(request, f"{_TASKS}:apply", params, "made", done)


async def _lines(
    request: Request, task: str, params: dict[str, Any], last: str, done: Any
) -> Response:
    """A task's events as lines of JSON; `done` makes the last line of the event that has `last`."""
    events = pool_of(request).run(task, params)

    def line(event: dict[str, Any]) -> str:
        return json.dumps(done(event) if last in event else event, ensure_ascii=False) + "\n"

    first = None
    async for event in events:  # what is refused at once is an error with a status
        first = line(event)
        break

    async def stream() -> AsyncIterator[str]:
        if first is not None:
            yield first
        try:
            async for event in events:
                yield line(event)
        except ApiError as error:  # the status is long sent
            yield json.dumps(error_body(str(error), error.status, error.param, error.code)) + "\n"

    return StreamingResponse(stream(), media_type="application/x-ndjson")


@router.get("/{id}/steps/{number}/audio", summary="The sound of a step", response_class=Response)
async def audio(
    request: Request,
    id: str,
    number: int,
    response_format: Annotated[
        Literal["original", "play", "wav", "flac", "mp3", "opus"],
        Query(alias="format", description="original: the file itself; play: what browsers play."),
    ] = "original",
) -> Response:
    """A file; parts of it by the Range header."""
    work = _work(request, id)
    path, kind = work.step(number).path, response_format
    if kind == "play":
        kind = "original" if path.suffix in PLAYABLE else "wav"
    if kind == "original" or path.suffix == f".{kind}":
        return FileResponse(path, media_type=CONTENT_TYPES[path.suffix])
    data = await asyncio.to_thread(export, path, kind, work.folder)
    return Response(data, media_type=CONTENT_TYPES[f".{kind}"])


@router.get("/{id}/steps/{number}/bundle", summary="An edit, its receipt and what undoes it")
async def bundled(request: Request, id: str, number: int) -> Response:
    """A zip for `uniaudio edit-undo` and `uniaudio edit-apply`."""
    step = _work(request, id).step(number)
    if step.made is None:
        raise ApiError("step 0 is the recording itself: no edit made it", 404)
    data = await asyncio.to_thread(bundle, Path(step.path))
    return Response(data, media_type="application/zip")


@router.get("/{id}/steps/{number}/view", summary="A part of a step as numbers to draw")
async def drawn(
    request: Request,
    id: str,
    number: int,
    *,
    start: Annotated[float, Query(ge=0, allow_inf_nan=False)],
    end: Annotated[float, Query(gt=0, le=1e6, allow_inf_nan=False)],
    width: Annotated[int, Query(ge=1, le=2000)],
) -> Response:
    """`width` lowest samples (int8), as many highest, then 64 rows of mel levels (uint8)."""
    if end <= start:
        raise ApiError("end must be after start", param="end")
    step = _work(request, id).step(number)
    rate = step.info["sample_rate"]
    data = await asyncio.to_thread(view, step.wave, rate, start, end, width)
    return Response(data, media_type="application/octet-stream")
