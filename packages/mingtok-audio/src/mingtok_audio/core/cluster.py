"""Work on a Ray cluster: actors that each hold a model, and calls spread over them by Ray.

Ray schedules: it places the actors, starts one again whose process or node died, and repeats the
call that was lost with it. This module only connects, says what an actor is, and gives answers as
they come. Every node needs the same packages and sees the same files under the same paths.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mingtok_audio.core.errors import UserError, one_line
from mingtok_audio.core.extras import install_line

logger = logging.getLogger("mingtok_audio.jobs")

CONNECT_SECONDS = 10.0
"""How long an address may take to answer."""
_RETRIES = 2  # of a call whose actor died: an input that kills three processes is given up
# What opens an HTTP/2 connection (RFC 9113, 3.4): the preface and an empty SETTINGS frame. A gRPC
# server, which Ray's head is, answers with a SETTINGS frame of its own.
_SETTINGS = 4
_HTTP2_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, _SETTINGS, 0, 0, 0, 0, 0])


@dataclass(frozen=True)
class Lost:
    """Stands for the answer to a call that no actor lived through."""

    reason: str


class Cluster:
    """A connection to a Ray cluster; use it as a context manager.

    Args:
        address: `auto` (the cluster that runs on this machine), `HOST:PORT` of its head, or
            `ray://HOST:PORT` of its client server.

    Raises:
        UserError: Ray is not installed, or no cluster answers at the address.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self._ours = False

    def check(self) -> None:
        """Refuse what cannot work, in a bounded time, without connecting. Raises `UserError`."""
        if not _import_ray().is_initialized():
            _check_address(self.address)

    def __enter__(self) -> Cluster:
        self.check()
        ray = _import_ray()
        if ray.is_initialized():
            return self
        _keep_off_stdout()
        try:
            # What workers print must not come between lines of JSON.
            ray.init(address=self.address, log_to_driver=False, logging_level="ERROR")
        except Exception as error:
            raise UserError(
                f"--ray {self.address}: no Ray cluster: {one_line(str(error))}"
            ) from error
        self._ours = True
        return self

    def __exit__(self, *_: object) -> None:
        if self._ours:
            _import_ray().shutdown()  # ends our actors, too

    def size(self, resource: str) -> int:
        """Processors (`CPU`) or accelerators (`GPU`) of the whole cluster."""
        return int(_import_ray().cluster_resources().get(resource, 0))

    def call(
        self,
        start: Callable[[], Any],
        function: Callable[[Any, Any], Any],
        items: Sequence[Any],
        actors: int,
        *,
        gpus: int = 0,
    ) -> Iterator[tuple[int, Any]]:
        """`function(start(), item)` for each item: (its index, the answer) as they are ready.

        Args:
            start: makes what an actor holds, once in each; it must pickle.
            actors: how many to start; calls begin when the first is ready.
            gpus: for each actor.

        Raises:
            UserError: raised by `start`, or an actor that cannot be started.
        """
        ray = _import_ray()
        from ray.exceptions import RayActorError
        from ray.util import ActorPool

        options = {
            "num_cpus": 0 if gpus else 1,
            "num_gpus": gpus,
            "max_restarts": -1,
            "max_task_retries": _RETRIES,
        }
        remote = ray.remote(**options)(_Actor)
        made = [remote.remote(Path.cwd(), start, function) for _ in range(actors)]
        starting = {actor.ready.remote(): actor for actor in made}
        pool = ActorPool([])
        missing = set(range(len(items)))
        try:
            for index, item in enumerate(items):
                pool.submit(lambda actor, v: actor.call.remote(*v), (index, item))
            while starting or pool.has_next():
                # Actors that wait for a place in a busy cluster hold no call back.
                for ref in ray.wait(list(starting), timeout=0)[0] if starting else ():
                    _check_started(ray, ref)
                    pool.push(starting.pop(ref))
                if not pool.has_next():
                    if not missing:
                        break
                    ray.wait(list(starting), timeout=1.0)
                    continue
                try:
                    index, answer, error = pool.get_next_unordered(timeout=1.0)
                except TimeoutError:
                    continue
                except RayActorError:
                    continue  # whose call it was shows at the end
                missing.discard(index)
                if error is not None:
                    raise error
                yield index, answer
        finally:
            for actor in made:
                with contextlib.suppress(Exception):
                    ray.kill(actor)
        for index in sorted(missing):
            yield index, Lost("a worker process died at each attempt (out of memory?)")


class _Actor:
    """What runs in a worker process of the cluster."""

    def __init__(
        self, folder: Path, start: Callable[[], Any], function: Callable[[Any, Any], Any]
    ) -> None:
        self._function = function
        self._error: UserError | None = None
        self._state: Any = None
        try:
            os.chdir(folder)  # relative paths are those of whoever started the run
            self._state = start()
        except UserError as error:
            self._error = error
        except OSError as error:
            self._error = UserError(
                f"the Ray worker on {socket.gethostname()} cannot use the folder {folder}: "
                f"{error.strerror}; every node must see the same files under the same paths"
            )

    def ready(self) -> UserError | None:
        """None, or why this actor can do nothing."""
        return self._error

    def call(self, index: int, item: Any) -> tuple[int, Any, UserError | None]:
        """The index, the answer, and what is wrong with the actor."""
        if self._error is not None:
            return index, None, self._error
        return index, self._function(self._state, item), None


def _check_started(ray: Any, ref: Any) -> None:
    try:
        error = ray.get(ref)
    except Exception as problem:
        last = str(problem).strip().splitlines()[-1:] or [type(problem).__name__]
        raise UserError(
            f"a Ray worker cannot start: {one_line(last[0])}; install the same packages on every "
            "node"
        ) from problem
    if error is not None:
        raise error


def _keep_off_stdout() -> None:
    """Let Ray log what becomes of its workers. It prints that on standard output, where results go,
    and has no option for it."""
    from ray._private import worker

    def tell(data: dict[str, Any], *_: Any, **__: Any) -> None:
        logger.warning("Ray: %s", one_line(" ".join(data.get("lines", ())), 200))

    worker.print_to_stdstream = tell


def _import_ray() -> Any:
    try:
        import ray
    except ImportError:
        how = install_line("mingtok-audio", "ray")
        raise UserError(f"--ray needs the package ray: {how}") from None
    return ray


def _check_address(address: str) -> None:
    """Whether something listens at `HOST:PORT`; other forms are left to Ray."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not address.strip() or (colon and not (host and port.isdigit() and int(port) < 1 << 16)):
        raise UserError(f"--ray {address}: give HOST:PORT, ray://HOST:PORT or auto")
    if not colon:
        if address != "auto":
            raise UserError(f"--ray {address}: give HOST:PORT, ray://HOST:PORT or auto")
        return
    try:
        with socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS) as stream:
            stream.settimeout(CONNECT_SECONDS)
            stream.sendall(_HTTP2_HELLO)
            answer = stream.recv(9)
    except TimeoutError:
        raise UserError(
            f"--ray {address}: no Ray cluster: no answer in {CONNECT_SECONDS:.0f} seconds"
        ) from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(f"--ray {address}: no Ray cluster: {reason}") from None
    if len(answer) < 9 or answer[3] != _SETTINGS:
        raise UserError(f"--ray {address}: no Ray cluster: something else answers there")
