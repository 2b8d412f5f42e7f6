"""Recordings inside a page: as data in it (FLAC, so nothing is lost), or as links beside it."""

from __future__ import annotations

import base64
import html
import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from mingtok_audio.core.audio import load_audio
from mingtok_audio.core.errors import AudioError

AudioMode = Literal["embed", "link", "none"]


@dataclass
class Players:
    """Makes `<audio>` elements and keeps count of their size.

    Args:
        page: where the page will be, for links.
        mode: embed, link, or none (no players).
        budget: bytes that may be embedded in all; what goes beyond becomes a link.
    """

    page: Path
    mode: AudioMode = "embed"
    budget: int = 20 * 1024 * 1024
    used: int = 0
    linked: int = 0

    def player(self, path: Path | None, label: str) -> str:
        """A labelled player, or a note why there is none."""
        if self.mode == "none":
            return ""
        shown = html.escape(label)
        if path is None:
            return _note(shown, "no recording")
        if not path.is_file():
            return _note(shown, "file not found")
        source = self._embedded(path) if self.mode == "embed" else self._link(path)
        preload = "metadata" if source.startswith("data:") else "none"
        if not source:
            return _note(shown, "cannot be decoded")
        return (
            f'<figure class="player"><figcaption>{shown}</figcaption>'
            f'<audio controls preload="{preload}" src="{source}"></audio></figure>'
        )

    def _embedded(self, path: Path) -> str:
        if self.used + path.stat().st_size // 8 > self.budget:
            return self._link(path)  # even well compressed it would not fit
        try:
            data = _flac(path)
        except AudioError:
            return ""
        size = len(data) * 4 // 3
        if self.used + size > self.budget:
            return self._link(path)
        self.used += size
        return "data:audio/flac;base64," + base64.b64encode(data).decode("ascii")

    def _link(self, path: Path) -> str:
        self.linked += 1
        try:
            relative = os.path.relpath(path.absolute(), self.page.absolute().parent)
        except ValueError:  # another drive on Windows
            return html.escape(path.absolute().as_uri())
        return html.escape(quote(Path(relative).as_posix()))


def _flac(path: Path) -> bytes:
    import soundfile

    wav, rate = load_audio(path)
    buffer = io.BytesIO()
    soundfile.write(buffer, wav, rate, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


def _note(label: str, text: str) -> str:
    return (
        f'<figure class="player"><figcaption>{label}</figcaption><span class="none">{text}</span>'
        "</figure>"
    )
