"""Fixtures shared by the tokenizer's tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_tokenizer import tiny_model


@pytest.fixture(scope="session")
def model():
    return tiny_model()


@pytest.fixture(scope="session")
def golden() -> Path:
    return Path(__file__).resolve().parents[3] / "tests" / "data" / "golden"
