"""Addresses that are no cluster: one line in a bounded time, with Ray installed or not."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mingtok_audio.core import cluster
from mingtok_audio.core.errors import UserError


@pytest.fixture
def fake_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stands for Ray: it must not be asked to connect."""
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(is_initialized=lambda: False))
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 0.3)


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def _address(server: socket.socket) -> str:
    return f"127.0.0.1:{server.getsockname()[1]}"


def _refusal(address: str) -> str:
    began = time.monotonic()
    with pytest.raises(UserError) as found:
        cluster.Cluster(address).check()
    assert time.monotonic() - began < 2
    assert "\n" not in str(found.value)
    return str(found.value)


@pytest.mark.usefixtures("fake_ray")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(exclude_characters=":"), max_size=9).filter(lambda t: t != "auto"))
def test_what_is_no_address_is_refused(text: str) -> None:
    for address in (text, f"{text}:", f"{text}:99999", f":{text}"):
        with pytest.raises(UserError, match="give HOST:PORT"):
            cluster.Cluster(address).check()


@pytest.mark.usefixtures("fake_ray")
def test_nobody_listens(server: socket.socket) -> None:
    address = _address(server)
    server.close()
    assert "refused" in _refusal(address)
    assert "refused" in _refusal(f"ray://{address}")


@pytest.mark.usefixtures("fake_ray")
def test_somebody_listens_and_says_nothing(server: socket.socket) -> None:
    assert "no answer" in _refusal(_address(server))


@pytest.mark.usefixtures("fake_ray")
@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_another_service_answers(server: socket.socket, answer: bytes) -> None:
    def serve() -> None:
        client, _ = server.accept()
        with client:
            client.recv(100)
            client.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    assert "something else" in _refusal(_address(server))
    thread.join()


def test_without_ray_the_command_gives_the_pip_line(tmp_path: Path) -> None:
    script = "import sys; sys.modules['ray'] = None; from mingtok_audio.cli import main; main()"
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "x.wav").write_bytes(b"")
    command = [sys.executable, "-c", script, "encode", "in", "-o", "out", "--ray", "auto"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("error: --ray needs the package ray: pip install ")
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()
