"""Worker processes and the requests that they run: a bounded queue, turns, deadlines, replacement.

Every request belongs to one worker from its start to its end. A worker runs up to `active` requests
together; others wait here, up to `waiting`, then `BusyError`. A worker that dies fails its own
requests and is replaced.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import multiprocessing
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

from uniaudio_lm.server.errors import ApiError, BusyError
from uniaudio_lm.server.worker import Event, ModelSettings, serve

_TOO_MANY_DEATHS = 5  # of workers that never became ready, one after the other


@dataclass
class _Worker:
    process: Any
    connection: Connection
    ready: bool = False
    requests: dict[int, asyncio.Queue] = field(default_factory=dict)


@dataclass
class Counts:
    """For the metrics."""

    started: int = 0
    finished: int = 0
    failed: int = 0
    cancelled: int = 0
    refused: int = 0
    replaced: int = 0


class WorkerPool:
    """See the module.

    Args:
        settings: the model that each worker loads.
        workers: processes.
        active: requests that one worker has at once.
        waiting: requests that wait for a worker at most.
        deadline: seconds that one request may take in all.
    """

    def __init__(
        self,
        settings: ModelSettings,
        workers: int = 1,
        active: int = 32,
        waiting: int = 64,
        deadline: float = 600.0,
    ) -> None:
        self.settings, self.size = settings, workers
        self.active, self.waiting, self.deadline = active, waiting, deadline
        self.counts = Counts()
        self.model_id = ""
        self.failure = ""
        self._workers: list[_Worker] = []
        self._ids = itertools.count()
        self._queued = 0
        self._free = asyncio.Condition()
        self._deaths = 0
        self._seconds = 1.0  # that a request takes, lately
        self._closing = False
        self._loop: asyncio.AbstractEventLoop | None = None

    async def start(self) -> None:
        """Start the workers; they load their models meanwhile."""
        self._loop = asyncio.get_running_loop()
        for _ in range(self.size):
            self._spawn()

    @property
    def ready(self) -> bool:
        """Whether some worker can take a request."""
        return any(worker.ready for worker in self._workers)

    @property
    def running(self) -> int:
        """Requests that workers hold now."""
        return sum(len(worker.requests) for worker in self._workers)

    @property
    def queued(self) -> int:
        """Requests that wait for a worker."""
        return self._queued

    async def run(
        self,
        task: str,
        params: dict[str, Any],
        inputs: AsyncIterator[Any] | None = None,
    ) -> AsyncIterator[Event]:
        """The events of a task. Leaving the iteration cancels it.

        Args:
            inputs: what the client gives while the task runs; the task finds it in
                `params["inputs"]`, and None at its end. What it raises ends the task.

        Raises:
            BusyError: too many wait.
            ApiError: the task refused its input (400), failed (500), took too long (504), or its
                worker died (500).
        """
        end = time.monotonic() + self.deadline
        worker = await self._take(end)
        request = next(self._ids)
        events: asyncio.Queue = asyncio.Queue()
        worker.requests[request] = events
        self.counts.started += 1
        over, begun = False, time.monotonic()
        feeding: asyncio.Task | None = None
        try:
            try:
                worker.connection.send(("run", request, task, params))
            except OSError as error:
                raise ApiError("the worker of this request died", 500) from error
            if inputs is not None:
                feeding = asyncio.ensure_future(self._feed(worker, request, inputs, events))
            while True:
                left = end - time.monotonic()
                try:
                    kind, first, second = await asyncio.wait_for(events.get(), max(left, 0.001))
                except TimeoutError as error:
                    text = f"the request took longer than {self.deadline:g} s"
                    raise ApiError(text, 504) from error
                if kind == "event":
                    yield first
                    continue
                if kind == "gone":
                    raise first
                over = True
                if kind == "done":
                    self.counts.finished += 1
                    self._seconds += 0.1 * (time.monotonic() - begun - self._seconds)
                    return
                raise ApiError(second, 400 if first == "user" else 500)
        except ApiError:
            self.counts.failed += 1
            raise
        finally:
            if feeding is not None:
                feeding.cancel()
            worker.requests.pop(request, None)
            if not over:
                self.counts.cancelled += 1
                with contextlib.suppress(OSError):  # it may be gone, and with it the request
                    worker.connection.send(("cancel", request))
            async with self._free:
                self._free.notify_all()

    @staticmethod
    async def _feed(
        worker: _Worker, request: int, inputs: AsyncIterator[Any], events: asyncio.Queue
    ) -> None:
        """Hand on what a client gives, until it ends."""
        try:
            async for value in inputs:
                worker.connection.send(("input", request, value))
            worker.connection.send(("input", request, None))
        except OSError:
            return  # the worker died, which is told elsewhere
        except Exception as error:
            events.put_nowait(("gone", error, None))

    def _wait_seconds(self) -> int:
        """When a place in the queue will be free, as things go."""
        return max(1, round(self._seconds * self._queued / (self.size * self.active)))

    async def _take(self, end: float) -> _Worker:
        """The ready worker with the fewest requests, when there is one with a place."""
        async with self._free:
            if self._queued >= self.waiting:
                self.counts.refused += 1
                raise BusyError(self._wait_seconds())
            self._queued += 1
            try:
                while True:
                    if self.failure:
                        raise ApiError(f"the model cannot be loaded: {self.failure}", 503)
                    if self._closing:
                        raise ApiError("the server is shutting down", 503)
                    open_ones = [
                        w for w in self._workers if w.ready and len(w.requests) < self.active
                    ]
                    if open_ones:
                        return min(open_ones, key=lambda w: len(w.requests))
                    left = end - time.monotonic()
                    try:
                        await asyncio.wait_for(self._free.wait(), max(left, 0.001))
                    except TimeoutError as error:
                        raise ApiError("no worker was free in time", 504) from error
            finally:
                self._queued -= 1

    async def drain(self, seconds: float) -> None:
        """Take no new requests, wait for the running ones, then end the workers."""
        self._closing = True
        end = time.monotonic() + seconds
        async with self._free:
            self._free.notify_all()
        while self.running and time.monotonic() < end:
            await asyncio.sleep(0.05)
        for worker in self._workers:
            with contextlib.suppress(OSError):
                worker.connection.send(("stop",))
        for worker in self._workers:
            await asyncio.to_thread(worker.process.join, 2.0)
            if worker.process.is_alive():
                worker.process.kill()

    # --- workers ---------------------------------------------------------------------------------

    def _spawn(self) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=serve, args=(theirs, self.settings), daemon=True)
        process.start()
        theirs.close()
        worker = _Worker(process, ours)
        self._workers.append(worker)
        threading.Thread(target=self._read, args=(worker,), daemon=True).start()

    def _read(self, worker: _Worker) -> None:
        """In a thread: what a worker sends, until it is gone."""
        loop = self._loop
        assert loop is not None
        while True:
            try:
                message = worker.connection.recv()
            except (EOFError, OSError):
                break
            try:
                loop.call_soon_threadsafe(self._got, worker, message)
            except RuntimeError:
                return  # the loop is closed
        try:
            loop.call_soon_threadsafe(lambda: asyncio.ensure_future(self._died(worker)))
        except RuntimeError:
            return

    def _got(self, worker: _Worker, message: tuple) -> None:
        kind, request, first, second = message
        if kind == "ready":
            worker.ready, self.model_id, self._deaths = True, first, 0
            asyncio.ensure_future(self._wake())  # noqa: RUF006
        elif kind == "failed":
            self.failure = second
            asyncio.ensure_future(self._wake())  # noqa: RUF006
        elif request in worker.requests:
            worker.requests[request].put_nowait((kind, first, second))

    async def _wake(self) -> None:
        async with self._free:
            self._free.notify_all()

    async def _died(self, worker: _Worker) -> None:
        """Fail the requests of a worker that is gone, and start another."""
        if worker in self._workers:
            self._workers.remove(worker)
        for events in worker.requests.values():
            events.put_nowait(("error", "internal", "the worker of this request died"))
        if self._closing or self.failure:
            return
        self._deaths += 0 if worker.ready else 1
        if self._deaths >= _TOO_MANY_DEATHS:
            self.failure = "its workers die while they load it (out of memory?)"
        else:
            self.counts.replaced += 1
            self._spawn()
        await self._wake()
