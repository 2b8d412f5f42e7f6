"""`uniaudio push`: what is sent to the Hub, and that it can be loaded from there."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch

from uniaudio_lm import UniAudio

GOLDEN = Path(__file__).resolve().parents[3] / "tests" / "data" / "golden"


class Hub:
    """Stands for the Hub: a commit becomes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.made = folder, []

    def create_repo(self, repo: str, **options: Any) -> None:
        self.made.append((repo, options))

    def create_commit(self, repo: str, operations: Any, **options: Any) -> Any:
        for operation in operations:
            path = self.folder / operation.path_in_repo
            path.parent.mkdir(parents=True, exist_ok=True)
            given = operation.path_or_fileobj
            path.write_bytes(given if isinstance(given, bytes) else Path(given).read_bytes())
        return type("Commit", (), {"commit_url": f"https://hub.test/{repo}"})()


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    made = Hub(tmp_path / "hub")
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: made)
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return UniAudio.from_pretrained(GOLDEN / "omni_lm").save_pretrained(tmp_path / "model")


def test_what_is_sent_is_the_model(uniaudio, hub: Hub, folder: Path) -> None:
    (folder / "notes.txt").write_text("private")
    (folder / "latents").mkdir()
    (folder / "latents" / "a.safetensors").write_bytes(b"x")
    ran = uniaudio("push", folder, "me/voice", "--license", "mit", "--private", "--json")
    assert ran.code == 0, ran.err
    assert ran.json["card"] == "made" and ran.json["url"].endswith("me/voice")
    assert hub.made == [("me/voice", {"private": True, "exist_ok": True})]
    sent = {p.relative_to(hub.folder).as_posix() for p in hub.folder.rglob("*") if p.is_file()}
    assert sent == set(ran.json["files"])
    assert "notes.txt" not in sent and "latents/a.safetensors" not in sent
    text = (hub.folder / "README.md").read_text()
    assert text.startswith("---\nlicense: mit\n") and "-m me/voice" in text
    ours, theirs = UniAudio.from_pretrained(folder), UniAudio.from_pretrained(hub.folder)
    there = theirs.model.state_dict()
    assert all(torch.equal(t, there[n]) for n, t in ours.model.state_dict().items())


def test_a_published_folder_and_its_own_card(uniaudio, hub: Hub, tmp_path: Path) -> None:
    own = Path(shutil.copytree(GOLDEN / "omni_lm", tmp_path / "own"))
    (own / "README.md").write_text("mine")
    ran = uniaudio("push", own, "me/voice", "--license", "apache-2.0", "--json")
    assert ran.code == 0 and ran.json["card"] == "own"
    assert (hub.folder / "README.md").read_text() == "mine"


def test_a_dry_run_sends_nothing(uniaudio, hub: Hub, folder: Path) -> None:
    ran = uniaudio("push", folder, "me/voice", "--license", "mit", "--dry-run")
    assert ran.code == 0 and "would be sent" in ran.out
    assert not hub.made and not hub.folder.exists()


def test_refusals(uniaudio, hub: Hub, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for args, message in (
        ((folder, "voice", "--license", "mit"), "org/name"),
        ((folder, "me/voice", "--license", "My Licence"), "licence"),
        ((tmp_path / "nowhere", "me/voice", "--license", "mit"), "no folder"),
        ((tmp_path / "empty", "me/voice", "--license", "mit"), "no model"),
    ):
        ran = uniaudio("push", *args)
        assert ran.code == 2 and message in ran.err and ran.err.count("\n") == 1

    def refuse(*args: object, **options: object) -> None:
        raise RuntimeError("401\nunauthorised")

    hub.create_repo = refuse  # type: ignore[method-assign]
    ran = uniaudio("push", folder, "me/voice", "--license", "mit")
    assert ran.code == 2 and "unauthorised" in ran.err and ran.err.count("\n") == 1
