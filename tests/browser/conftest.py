"""A server with the nano, and pages of a real Chromium that look at it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from browser_server import Server


@pytest.fixture(scope="session")
def server() -> Iterator[Any]:
    """One for all tests; PAGE_SERVER=http://127.0.0.1:PORT takes one that runs already."""
    if address := os.environ.get("PAGE_SERVER"):
        yield SimpleNamespace(address=address)
        return
    server = Server()
    yield server
    server.stop()


SPOKEN = Path(__file__).parents[2] / "examples" / "data" / "librivox_0880.wav"
"""What the microphone hears, over and over."""


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.fail("no Chromium is installed (Debian: apt-get install chromium)")
    with playwright.sync_playwright() as running:
        # Its own sandbox needs rights that a container seldom gives; only our own page is opened.
        options = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
        options += ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
        options += [f"--use-file-for-fake-audio-capture={SPOKEN}"]
        browser = running.chromium.launch(executable_path=path, args=options)
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium: Any, server: Any) -> Iterator[Callable[..., Any]]:
    """`visit()` opens the page as a browser of its own; what it complains about fails the test."""
    contexts, complaints = [], []

    def go(address: str = "", **options: Any) -> Any:
        options = {"viewport": {"width": 1280, "height": 860}, "locale": "en-US", **options}
        context = chromium.new_context(accept_downloads=True, **options)
        context.set_default_timeout(60_000)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console",
            lambda message: (
                complaints.append(message.text)
                if message.type == "error" and "status of" not in message.text
                else None
            ),
        )
        page.complaints = complaints
        page.goto(address or server.address)
        return page

    yield go
    for context in contexts:
        context.close()
    assert not complaints
