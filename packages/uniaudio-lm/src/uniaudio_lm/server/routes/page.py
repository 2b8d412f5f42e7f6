"""The page at `/`: static files of the wheel, under a policy that lets in nothing else."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib import resources

from fastapi import APIRouter, Request
from fastapi.responses import Response

from uniaudio_lm.server.errors import ApiError

router = APIRouter(include_in_schema=False)
PREFIX = "/page/"
_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


def is_open(path: str) -> bool:
    """Whether a path is of the page itself, which asks for the API key."""
    return path == "/" or path.startswith(PREFIX)


@lru_cache(maxsize=1)
def _files() -> dict[str, tuple[bytes, str]]:
    """Every file of the page by its name: its bytes and its tag."""
    found = {}
    for entry in (resources.files("uniaudio_lm.server") / "page").iterdir():
        if entry.name.rpartition(".")[2] in _TYPES:
            data = entry.read_bytes()
            found[entry.name] = data, f'"{hashlib.sha256(data).hexdigest()[:20]}"'
    return found


@router.get("/")
async def index(request: Request) -> Response:
    """The page."""
    return _file(request, "index.html")


@router.get(PREFIX + "{name}")
async def file(request: Request, name: str) -> Response:
    """A file of the page."""
    return _file(request, name)


def _file(request: Request, name: str) -> Response:
    if name not in _files():
        raise ApiError("the page has no such file", 404)
    data, tag = _files()[name]
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(data, media_type=_TYPES[name.rpartition(".")[2]], headers=headers)
