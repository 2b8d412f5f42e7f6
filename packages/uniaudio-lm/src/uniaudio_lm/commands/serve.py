"""`uniaudio serve`: check everything that needs no model, then run the server."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path

import typer

from mingtok_audio.core.errors import UserError
from mingtok_audio.core.extras import install_line
from mingtok_audio.core.files import os_reason

KEYS_VARIABLE = "UNIAUDIO_API_KEYS"


@dataclass(frozen=True)
class ServeChoice:
    """The options of the command."""

    host: str
    port: int
    model: str
    workers: int
    queue: int
    batch: int
    api_keys: str | None
    max_seconds: float
    watermark: str | None
    device: str
    dtype: str


def read_keys(path: str | None, variable: str) -> tuple[str, ...]:
    """The API keys of a file (one a line) and of the environment variable's value.

    Raises:
        UserError: the file cannot be read, or holds none.
    """
    keys = [key.strip() for key in variable.split(",")]
    if path is not None:
        try:
            lines = Path(path).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            reason = os_reason(error) if isinstance(error, OSError) else "not UTF-8 text"
            raise UserError(f"cannot read the API keys in {path}: {reason}") from error
        found = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
        if not found:
            raise UserError(f"{path} holds no API key: write one a line")
        keys += found
    return tuple(key for key in keys if key)


def serve(choice: ServeChoice) -> None:
    """Run the server until it is told to end.

    Raises:
        UserError: the `serve` extra is not installed, the address cannot be taken, keys are needed,
            or there is no such model.
    """
    try:
        import uvicorn

        from uniaudio_lm.server.app import ServerSettings, create_app
    except ImportError as error:
        raise UserError(
            f"the server needs the package {error.name}: {install_line('uniaudio-lm', 'serve')}"
        ) from error
    from mingtok_audio.core.runtime import select_device
    from uniaudio_lm.checkpoint.describe import describe
    from uniaudio_lm.server.worker import ModelSettings

    if not 0 <= choice.port <= 65535:
        raise UserError(f"--port must be 0 to 65535, not {choice.port}")
    if choice.batch < 1:
        raise UserError(f"--batch must be at least 1, not {choice.batch}")
    if choice.max_seconds <= 0:
        raise UserError(f"--max-seconds must be positive, not {choice.max_seconds:g}")
    keys = read_keys(choice.api_keys, os.environ.get(KEYS_VARIABLE, ""))
    describe([choice.model])  # a model that is not there, or is none, is said at once
    device = str(select_device(choice.device))
    dtype = None if choice.dtype == "auto" and device == "cpu" else choice.dtype
    settings = ServerSettings(
        host=choice.host,
        port=choice.port,
        model=ModelSettings(
            choice.model,
            device,
            "float32" if dtype is None else dtype,
            batch=choice.batch,
            watermark=choice.watermark,
        ),
        workers=choice.workers,
        waiting=choice.queue,
        keys=keys,
        max_seconds=choice.max_seconds,
    )
    listener = _listen(choice.host, choice.port)
    port = listener.getsockname()[1]
    shown = f"[{choice.host}]" if ":" in choice.host else choice.host
    typer.echo(
        f"uniaudio serves {choice.model} on http://{shown}:{port} (Ctrl-C ends it)", err=True
    )
    config = uvicorn.Config(
        create_app(settings),
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=round(settings.drain_seconds),
        server_header=False,
    )
    uvicorn.Server(config).run(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    """A socket on the address: taken before any model is loaded."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(1024)  # who connects once the address is told waits until it is served
    except OSError as error:
        raise UserError(f"cannot listen on {host}, port {port}: {os_reason(error)}") from error
    return listener
