"""`POST /v1/audio/edits` of `uniaudio serve`: a recording and an instruction, to its edit.

The routes come by the entry point `uniaudio.routes`; the edit itself runs in a worker of the
server, with the model that the worker holds.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, File, Form, Request, UploadFile
from fastapi.responses import JSONResponse, Response

from uniaudio_lm.server.errors import error_body
from uniaudio_lm.server.media import CONTENT_TYPES, Encoder, read_upload
from uniaudio_lm.server.routes.audio import check_model
from uniaudio_lm.server.routes.state import pool_of

if TYPE_CHECKING:
    from uniaudio_lm.server.worker import Engine, Event

router = APIRouter(prefix="/v1/audio")


def edit(engine: Engine, params: dict[str, Any]) -> Iterator[Event]:
    """Plan an edit, and make it unless `dry_run`.

    `params`: data, name, instruction, text, seed, dry_run, max_seconds. Events: {"plan": {...}},
    then {"wav": (T',) float32, "sample_rate": r, "receipt": {...}}; {"candidates": [...]} where the
    instruction has several readings.
    """
    from uniaudio_edit.editor import Editor
    from uniaudio_edit.errors import AmbiguousInstructionError
    from uniaudio_edit.parts import Parts

    parts = engine.once("edit parts", lambda: Parts(engine.lm))
    wav, rate = read_upload(params["data"], params["name"], params["max_seconds"])
    yield {"read": True}
    editor = Editor(parts=parts, seed=params["seed"], watermark=engine.settings.watermark)
    try:
        plan = editor.plan(wav, rate, params["instruction"], text=params["text"])
    except AmbiguousInstructionError as error:
        yield {"candidates": error.candidates, "message": str(error)}
        return
    yield {"plan": plan.to_dict()}
    if params["dry_run"]:
        return
    made = editor.apply(wav, rate, plan)
    yield {"wav": made.wav, "sample_rate": made.sample_rate, "receipt": made.receipt.to_dict()}


@router.post("/edits", summary="Edit a recording by an instruction", response_model=None)
async def edits(
    request: Request,
    file: Annotated[UploadFile, File(description="wav, flac, ogg, opus, mp3, aiff or au.")],
    instruction: Annotated[str, Form(min_length=1, description="delete 'not'; make it louder")],
    *,
    model: Annotated[str, Form()] = "nano",
    text: Annotated[str | None, Form(description="What is said; else it is recognised.")] = None,
    dry_run: Annotated[bool, Form(description="Only the plan.")] = False,
    seed: Annotated[int, Form(ge=0)] = 0,
    response_format: Annotated[Literal["json", "wav", "flac", "mp3", "opus"], Form()] = "json",
) -> Response:
    """The plan (`dry_run`), `{audio, format, plan, receipt}` with the sound as base64 wav, or the
    sound itself in another `response_format`.

    An ambiguous instruction is refused with its readings in `error.candidates`.
    """
    check_model(request.app, model)
    params = {
        "data": await file.read(),
        "name": file.filename or "upload",
        "instruction": instruction,
        "text": text or None,
        "seed": seed,
        "dry_run": dry_run,
        "max_seconds": request.app.state.settings.max_seconds,
    }
    plan: dict[str, Any] = {}
    made: dict[str, Any] = {}
    async for event in pool_of(request).run("uniaudio_edit.server:edit", params):
        if "candidates" in event:
            body = error_body(event["message"], 400, "instruction", "ambiguous")
            body["error"]["candidates"] = event["candidates"]
            return JSONResponse(body, 400)
        plan = event.get("plan", plan)
        made = event if "wav" in event else made
    if dry_run:
        return _json(plan)
    kind = "wav" if response_format == "json" else response_format
    encoder = Encoder(kind, made["sample_rate"])
    data = encoder.push(made["wav"]) + encoder.finish()
    if response_format != "json":
        return Response(data, media_type=CONTENT_TYPES[kind])
    audio = base64.b64encode(data).decode()
    return _json({"audio": audio, "format": kind, "plan": plan, "receipt": made["receipt"]})


def _json(data: Any) -> Response:
    return Response(json.dumps(data, ensure_ascii=False), media_type="application/json")
