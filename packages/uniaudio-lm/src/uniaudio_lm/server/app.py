"""The FastAPI application: settings, safety, and the routes of this and other packages."""

from __future__ import annotations

import hmac
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from fastapi import FastAPI
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mingtok_audio.core.errors import UserError
from uniaudio_lm.server import errors
from uniaudio_lm.server.pool import WorkerPool
from uniaudio_lm.server.routes.page import is_open
from uniaudio_lm.server.worker import ModelSettings

logger = logging.getLogger("uniaudio_lm.server")
LOOPBACK = ("127.0.0.1", "localhost", "::1")
_OPEN_PATHS = frozenset({"/health", "/ready"})
_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


@dataclass(frozen=True)
class ServerSettings:
    """How to serve.

    Attributes:
        keys: API keys; any of them opens everything. Empty: open, on the loopback address only.
        max_body: bytes of a request.
        max_seconds: of an uploaded recording.
        max_characters: of a text to say.
        drain_seconds: that running requests have when the server is told to end.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    model: ModelSettings = field(default_factory=ModelSettings)
    workers: int = 1
    active: int = 32
    waiting: int = 64
    deadline: float = 600.0
    keys: tuple[str, ...] = ()
    max_body: int = 256 * 2**20
    max_seconds: float = 3600.0
    max_characters: int = 20_000
    drain_seconds: float = 30.0

    def __post_init__(self) -> None:
        if self.host not in LOOPBACK and not self.keys:
            raise UserError(
                f"serving on {self.host} needs an API key: set UNIAUDIO_API_KEYS or give "
                "--api-keys FILE (one a line); 127.0.0.1 needs none"
            )
        for name in ("workers", "active", "waiting"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} must be at least 1, not {getattr(self, name)}")


def create_app(settings: ServerSettings) -> FastAPI:
    """The application; its workers start and end with it."""
    from uniaudio_lm.server.extensions import include_extensions
    from uniaudio_lm.server.routes import audio, batch, live, page, state

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await app.state.pool.start()
        yield
        await app.state.pool.drain(settings.drain_seconds)

    app = FastAPI(
        title="uniaudio",
        description="Speech, transcripts, edits and tokens of one speech language model. The "
        "audio routes follow the OpenAI interface.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.state.settings = settings
    app.state.voices = {}
    app.state.pool = WorkerPool(
        settings.model, settings.workers, settings.active, settings.waiting, settings.deadline
    )
    errors.install(app)
    app.include_router(state.router)
    app.include_router(audio.router)
    app.include_router(batch.router)
    app.include_router(live.router)
    app.include_router(page.router)
    include_extensions(app)
    app.add_middleware(Guard, settings=settings)
    return app


class Guard:
    """Keys, origins, host names, the size of bodies, and headers of answers."""

    def __init__(self, app: ASGIApp, settings: ServerSettings) -> None:
        self.app, self.settings = app, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See `Guard`."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._refusal(scope["path"], headers)
        if refusal is not None:
            if scope["type"] == "http":
                await errors.response(refusal)(scope, receive, _protected(send))
            else:
                await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] == "websocket":
            await self.app(scope, receive, send)
            return
        await self._limited(scope, receive, send)

    async def _limited(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read at most `max_body` bytes, whatever the length header says."""
        limit, read, begun = self.settings.max_body, 0, False

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > limit:
                raise _TooLargeError
            return message

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = True
            await _protected(send)(message)

        try:
            await self.app(scope, counted, noted)
        except _TooLargeError:
            if not begun:
                too_large = errors.ApiError(f"the request is larger than {limit:,} bytes", 413)
                await errors.response(too_large)(scope, receive, _protected(send))

    def _refusal(self, path: str, headers: Headers) -> errors.ApiError | None:
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > self.settings.max_body:
            return errors.ApiError(
                f"the request is larger than {self.settings.max_body:,} bytes", 413
            )
        host = headers.get("host", "")
        name = urlsplit(f"//{host}").hostname or ""
        if self.settings.host in LOOPBACK and name not in (*LOOPBACK, "testserver"):
            # A page elsewhere whose name is made to point here must not reach this server.
            return errors.ApiError(f"this server does not answer for the host {name!r}", 403)
        origin = headers.get("origin")
        if origin and urlsplit(origin).netloc != host:
            return errors.ApiError("requests of other sites are refused", 403)
        if self.settings.keys and path not in _OPEN_PATHS and not is_open(path):
            given = headers.get("authorization", "").removeprefix("Bearer ").encode()
            # Every key is compared, so that the time tells nothing.
            if not sum(hmac.compare_digest(given, key.encode()) for key in self.settings.keys):
                return errors.ApiError(
                    "an API key is needed: Authorization: Bearer KEY", 401, code="invalid_api_key"
                )
        return None


class _TooLargeError(Exception):
    """A body that goes on beyond the limit."""


def _protected(send: Send) -> Send:
    """Add the security headers to an answer."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [
                *message.get("headers", []),
                (b"x-content-type-options", b"nosniff"),
                (b"referrer-policy", b"no-referrer"),
                (b"cross-origin-resource-policy", b"same-origin"),
                (b"content-security-policy", _POLICY.encode()),
            ]
        await send(message)

    return sending
