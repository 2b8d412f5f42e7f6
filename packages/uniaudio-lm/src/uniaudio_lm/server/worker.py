"""What runs in a worker process: one model, and several requests that take turns.

A task is a generator function `(engine, params) -> events`; it is named "module:function", so that
other packages bring their own. Between two events of one request the others have their turn, and a
cancelled request ends there. All texts are said together: between two rounds of turns every one of
them gets a patch (`Engine.say`). An empty event is a turn of which the server is not told.
"""

from __future__ import annotations

import importlib
import os
import signal
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

import numpy as np

from mingtok_audio.core.jobs import end_with_parent
from uniaudio_lm.watermarking import DEFAULT_WATERMARK

if TYPE_CHECKING:
    from uniaudio_lm.tasks.tts import Job, SpeechBatch

_IDLE_SECONDS = 0.02
Event = dict[str, Any]
Task = Callable[[Any, dict[str, Any]], Iterator[Event]]


@dataclass(frozen=True)
class ModelSettings:
    """Which model a worker loads.

    Attributes:
        threads: of torch, for each worker.
        batch: texts that are said at once; others wait, and long texts let them go ahead after each
            piece.
        watermark: of all speech that leaves the server, by name, or None.
    """

    model: str = "nano"
    device: str = "cpu"
    dtype: str | None = "float32"
    threads: int = 1
    batch: int = 16
    watermark: str | None = DEFAULT_WATERMARK


class Ticket:
    """A text among those that an engine says."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.error: Exception | None = None
        self._wavs: list[np.ndarray] = []

    @property
    def over(self) -> bool:
        """Whether all samples are there."""
        return self.error is not None or bool(self.job.stop_reason)

    def add(self, wav: np.ndarray) -> None:
        """Samples (m,) that were said."""
        self._wavs.append(wav)

    def take(self) -> np.ndarray | None:
        """The samples (m,) since the last call, if there are any.

        Raises:
            Exception: the text could not be said.
        """
        if self.error is not None:
            raise self.error
        wavs, self._wavs = self._wavs, []
        return np.concatenate(wavs) if wavs else None


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
        self.lm.use_watermark(settings.watermark)
        self._made: dict[str, Any] = {}
        self._tickets: dict[int, Ticket] = {}
        self._batch = self._new_batch()

    def _new_batch(self) -> SpeechBatch:
        from uniaudio_lm.tasks.tts import SpeechBatch

        return SpeechBatch(self.lm.model, self.lm.sampling(), rows=self.settings.batch)

    @contextmanager
    def say(self, job: Job) -> Iterator[Ticket]:
        """Say a text with all others, as long as the context is open."""
        key, ticket = self._batch.add(job), Ticket(job)
        batch = self._batch
        self._tickets[key] = ticket
        try:
            yield ticket
        finally:
            batch.remove(key)
            self._tickets.pop(key, None)

    def step(self) -> bool:
        """Say the next patch of all texts; False where there is none."""
        if not len(self._batch):
            return False
        try:
            for key, wav in self._batch.step():
                self._tickets[key].add(wav.numpy())
        except Exception as error:  # nobody knows what state the batch is in
            for ticket in self._tickets.values():
                ticket.error = error
            self._batch = self._new_batch()
            self._tickets = {}
            return True
        for key, failure in self._batch.failed.items():
            self._tickets[key].error = failure
        self._batch.failed.clear()
        return True

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
    """The worker's loop. Messages in: ("run", id, task, params), ("input", id, value),
    ("cancel", id), ("stop",). A task finds its inputs in the deque `params["inputs"]`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    end_with_parent(os.getppid())
    try:
        engine = Engine(settings)
    except Exception as error:
        connection.send(("failed", None, type(error).__name__, str(error)))
        return
    connection.send(("ready", None, engine.lm.model_id, None))
    running: dict[int, Iterator[Event]] = {}
    inputs: dict[int, deque] = {}
    idle = False  # all that run wait for their clients
    while True:
        while connection.poll(None if not running else _IDLE_SECONDS if idle else 0):
            idle = False
            try:
                kind, *rest = connection.recv()
            except EOFError:
                return
            if kind == "stop":
                return
            if kind == "cancel":
                _close(running.pop(rest[0], None))
                continue
            if kind == "input":
                inputs.get(rest[0], deque()).append(rest[1])
                continue
            request, task, params = rest
            inputs[request] = deque()
            try:
                running[request] = iter(
                    find_task(task)(engine, {**params, "inputs": inputs[request]})
                )
            except Exception as error:
                _report(connection, request, error)
        inputs = {request: inputs[request] for request in running}
        idle = not engine.step()
        for request, events in list(running.items()):
            try:
                event = next(events)
                if event:
                    idle = False
                    connection.send(("event", request, event, None))
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


def _close(events: Iterator[Event] | None) -> None:
    """End a task at the place where it stands."""
    if isinstance(events, Generator):
        try:
            events.close()
        except Exception:
            traceback.print_exc()


def _report(connection: Connection, request: int, error: Exception) -> None:
    from mingtok_audio.core.errors import UserError

    user = isinstance(error, UserError)
    if not user:
        traceback.print_exc()
    text = str(error) if user else f"internal error: {type(error).__name__}"
    connection.send(("error", request, "user" if user else "internal", text))
