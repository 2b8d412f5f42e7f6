"""Batches made ahead by worker threads."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")


class Prefetcher(Generic[T]):
    """Calls `make(step)` for the steps to come; a batch is a function of its step alone.

    Threads are enough: reading, resampling and the heavy array operations release the lock. With
    no workers the batch is made when it is asked for.
    """

    def __init__(
        self, make: Callable[[int], T], workers: int = 0, ahead: int | None = None
    ) -> None:
        if workers < 0:
            raise ValueError(f"workers must not be negative, got {workers}")
        self._make = make
        self._ahead = 2 * workers if ahead is None else ahead
        self._pool = ThreadPoolExecutor(workers, "batch") if workers else None
        self._pending: dict[int, Future[T]] = {}

    def get(self, step: int, stride: int = 1) -> T:
        """The batch of `step`; starts on those of step + stride, step + 2 stride, ..."""
        if self._pool is None:
            return self._make(step)
        wanted = [step + i * stride for i in range(self._ahead + 1)]
        for key in [k for k in self._pending if k not in wanted]:
            self._pending.pop(key).cancel()
        for key in wanted:
            if key not in self._pending:
                self._pending[key] = self._pool.submit(self._make, key)
        return self._pending.pop(step).result()

    def close(self) -> None:
        """Stop the workers."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
