"""A Ray cluster of one node for the tests of this folder: a head and its workers."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mingtok_audio.core.cluster import Cluster
from mingtok_audio.core.errors import UserError

MARK = "UNIAUDIO_TEST_CLUSTER"


@pytest.fixture(scope="session")
def kill_worker() -> Callable[[str], bool]:
    """`kill_worker(address)` kills a process that holds an actor of that cluster, if there is one
    by now."""

    def kill(address: str) -> bool:
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                name = (folder / "cmdline").read_bytes()
                mine = f"{MARK}={address}".encode() in (folder / "environ").read_bytes().split(
                    b"\0"
                )
            except OSError:
                continue
            if mine and name.startswith(b"ray::_Actor"):
                os.kill(int(folder.name), signal.SIGKILL)
                return True
        return False

    return kill


@pytest.fixture(scope="session")
def head() -> Iterator[str]:
    """The address of a head that was started for the session."""
    pytest.importorskip("ray")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tempfile.mkdtemp(prefix="ray-")  # short: Ray puts sockets in it
    command = [
        sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block",
        "--port", str(port), "--num-cpus", "2", "--include-dashboard=false",
        "--object-store-memory", "100000000", "--disable-usage-stats", "--temp-dir", folder,
    ]  # fmt: skip
    address = f"127.0.0.1:{port}"
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(Path(__file__).parent),
        MARK: address,  # by which `kill_worker` knows this cluster's processes
    }
    log = Path(folder) / "head.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command, env=environment, stdout=stream, stderr=stream, start_new_session=True
        )
    try:
        limit = time.monotonic() + 60
        while True:
            assert process.poll() is None, log.read_text()
            try:
                with Cluster(address) as cluster:
                    assert cluster.size("CPU") == 2
                break
            except UserError:
                assert time.monotonic() < limit, log.read_text()
                time.sleep(0.2)
        yield address
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)
