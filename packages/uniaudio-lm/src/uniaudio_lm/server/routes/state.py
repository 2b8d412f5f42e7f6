"""Whether the server lives, is ready, how it does, and which models it has."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from uniaudio_lm.server.pool import WorkerPool

router = APIRouter()


def pool_of(request: Request) -> WorkerPool:
    """The workers of the application."""
    return request.app.state.pool


@router.get("/health", summary="The process answers")
async def health() -> dict[str, str]:
    """Always `{"status": "ok"}` while the process lives."""
    return {"status": "ok"}


@router.get("/ready", summary="A model is loaded")
async def ready(request: Request) -> JSONResponse:
    """200 when a worker can take a request, else 503."""
    pool = pool_of(request)
    if pool.ready:
        return JSONResponse({"status": "ready", "model": pool.model_id})
    text = pool.failure or "the model is being loaded"
    return JSONResponse({"status": "not ready", "reason": text}, 503)


@router.get("/v1/models", summary="The model that is served")
async def models(request: Request) -> dict[str, Any]:
    """A list of one, as in the OpenAI interface."""
    name = request.app.state.settings.model.model
    entry = {"id": name, "object": "model", "created": 0, "owned_by": "uniaudio"}
    return {"object": "list", "data": [entry]}


@router.get("/metrics", summary="Counts for Prometheus", response_class=Response)
async def metrics(request: Request) -> Response:
    """Requests by their end, and how many run and wait now."""
    from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
    from prometheus_client.exposition import CONTENT_TYPE_LATEST

    pool = pool_of(request)
    registry = CollectorRegistry()
    ends = Counter(
        "uniaudio_requests", "Requests by what became of them", ["end"], registry=registry
    )
    for name, value in vars(pool.counts).items():
        ends.labels(name).inc(value)
    Gauge("uniaudio_running", "Requests in workers", registry=registry).set(pool.running)
    Gauge("uniaudio_waiting", "Requests in the queue", registry=registry).set(pool.queued)
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
