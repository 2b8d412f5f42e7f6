"""Pip lines in messages name what an index has."""

from __future__ import annotations

from importlib import metadata

import pytest

from mingtok_audio.core import extras


def test_an_extra_is_named_by_what_it_installs() -> None:
    assert extras.install_line("mingtok-audio", "train") == (
        "pip install accelerate matplotlib tensorboard"
    )


def test_extras_of_extras_are_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    stated = {
        "house": [
            "torch>=2",
            'house[a,b] ; extra == "all"',
            "x>=1; extra == 'a'",
            "y[fast]<2 ; python_version > '3' and extra == 'b'",
            'x>=1 ; extra == "b"',
        ],
        "y": ["z ; extra == 'slow'"],
    }
    monkeypatch.setattr(metadata, "requires", lambda name: stated[name])
    assert extras.requirements("house", "all") == ["x", "y"]
    assert extras.requirements("house", "none") == []


def test_an_unknown_distribution_is_named_as_it_is() -> None:
    assert extras.install_line("no-such-thing", "x") == "pip install 'no-such-thing[x]'"
