"""What runs in a worker process: one model, and several requests that take turns.

A task is a generator function `(engine, params) -> events`; it is named "module:function", so that
other packages bring their own. Between two events of one request the others have their turn, and a
cancelled request ends there: speech gives an event a patch.
"""

from __future__ import annotations

import importlib
import os
import signal
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from mingtok_audio.core.jobs import end_with_parent

Event = dict[str, Any]
Task = Callable[[Any, dict[str, Any]], Iterator[Event]]


@dataclass(frozen=True)
class ModelSettings:
    """Which model a worker loads. `threads`: of torch, for each worker."""

    model: str = "nano"
    device: str = "cpu"
    dtype: str | None = "float32"
    threads: int = 1


class Engine:
    """The models of one worker; `lm` is there from the start, others are made when asked for."""

    def __init__(self, settings: ModelSettings) -> None:
        from mingtok_audio.core.runtime import set_threads
        from uniaudio_lm import UniAudio
        from uniaudio_lm.parts.aligners.loading import fitting_aligner

        set_threads(settings.threads)
        self.settings = settings
        self.lm = UniAudio.from_pretrained(
            settings.model, device=settings.device, dtype=settings.dtype
        )
        self.lm.use_aligner(fitting_aligner(self.lm.tokenizer))
        self._made: dict[str, Any] = {}

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """What `make` gave when `name` was first asked for."""
        if name not in self._made:
            self._made[name] = make()
        return self._made[name]


def find_task(name: str) -> Task:
    """The generator function "module:function"."""
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)


def serve(connection: Connection, settings: ModelSettings) -> None:
    """The worker's loop. Messages in: ("run", id, task, params), ("cancel", id), ("stop",)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    end_with_parent(os.getppid())
    try:
        engine = Engine(settings)
    except Exception as error:
        connection.send(("failed", None, type(error).__name__, str(error)))
        return
    connection.send(("ready", None, engine.lm.model_id, None))
    running: dict[int, Iterator[Event]] = {}
    while True:
        while connection.poll(None if not running else 0):
            try:
                kind, *rest = connection.recv()
            except EOFError:
                return
            if kind == "stop":
                return
            if kind == "cancel":
                running.pop(rest[0], None)
                continue
            request, task, params = rest
            try:
                running[request] = iter(find_task(task)(engine, params))
            except Exception as error:
                _report(connection, request, error)
        for request, events in list(running.items()):
            try:
                connection.send(("event", request, next(events), None))
            except StopIteration:
                del running[request]
                connection.send(("done", request, None, None))
            except (BrokenPipeError, OSError) as error:
                if isinstance(error, BrokenPipeError):
                    return
                del running[request]
                _report(connection, request, error)
            except Exception as error:
                del running[request]
                _report(connection, request, error)


def _report(connection: Connection, request: int, error: Exception) -> None:
    from mingtok_audio.core.errors import UserError

    user = isinstance(error, UserError)
    if not user:
        traceback.print_exc()
    text = str(error) if user else f"internal error: {type(error).__name__}"
    connection.send(("error", request, "user" if user else "internal", text))
