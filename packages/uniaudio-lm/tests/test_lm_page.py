"""The page's files: what is served, under which policy, and that its texts are complete."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import pytest

pytest.importorskip("fastapi")

from fastapi.testclient import TestClient

from uniaudio_lm.server.app import ServerSettings, create_app

PAGE = Path(str(resources.files("uniaudio_lm.server") / "page"))
FILES = sorted(path for path in PAGE.iterdir() if path.is_file())


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    # The workers are never started: the page needs no model.
    yield TestClient(create_app(ServerSettings(keys=("secret",))))


def test_every_file_is_served_without_a_key_under_a_strict_policy(client: TestClient) -> None:
    assert client.get("/v1/models").status_code == 401
    for path in FILES:
        answer = client.get(f"/page/{path.name}")
        assert answer.content == path.read_bytes()
        policy = answer.headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        tag = {"if-none-match": answer.headers["etag"]}
        again = client.get(f"/page/{path.name}", headers=tag)
        assert (again.status_code, again.content) == (304, b"")
    assert client.get("/").content == (PAGE / "index.html").read_bytes()


@pytest.mark.parametrize("name", ["nothing.js", "..%2Fapp.py", "%2e%2e/app.py", "index.html/x", ""])
def test_nothing_else_is_served(client: TestClient, name: str) -> None:
    assert client.get(f"/page/{name}").status_code == 404


def test_the_files_are_small_plain_and_from_here() -> None:
    assert {path.suffix for path in FILES} == {".html", ".css", ".js", ".svg"}
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        assert len(text) < 100_000
        elsewhere = re.findall(r"https?://[^\s\"']+", text)
        assert set(elsewhere) <= {"http://www.w3.org/2000/svg"}, path.name
        assert "innerHTML" not in text
        assert "eval(" not in text
    index = (PAGE / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<script(?![^>]*\bsrc=)|\bon\w+=|<style|\bstyle=", index)


def test_every_text_has_both_languages_and_is_used() -> None:
    table = (PAGE / "i18n.js").read_text(encoding="utf-8")
    rows = re.findall(r'^  (\w+): \["((?:[^"\\]|\\.)+)", "((?:[^"\\]|\\.)+)"\],$', table, re.M)
    texts = {key: (english, chinese) for key, english, chinese in rows}
    assert len(texts) == len(rows) == table.count('"],\n')
    for key, (english, chinese) in texts.items():
        slots = [sorted(re.findall(r"\{\w+\}", text)) for text in (english, chinese)]
        assert slots[0] == slots[1], key
    code = "".join(p.read_text(encoding="utf-8") for p in FILES if p.name != "i18n.js")
    quoted = set(re.findall(r'"(\w+)"', code))
    for asked in re.findall(r'\bt\("(\w+)"', code):
        assert asked in texts
    made = {"tab_", "sure", "by_", "q_", "op_"}  # the rest of these keys is put together
    unused = [k for k in texts if k not in quoted and not k.startswith(tuple(made))]
    assert unused == []


def test_every_import_names_a_file_and_something_in_it() -> None:
    for path in FILES:
        if path.suffix != ".js":
            continue
        text = path.read_text(encoding="utf-8")
        for names, module in re.findall(r'^import \{([^}]+)\} from "\./([\w-]+\.js)";', text, re.M):
            other = (PAGE / module).read_text(encoding="utf-8")
            for name in names.split(","):
                pattern = rf"^export (?:async )?(?:function|class|const) {name.strip()}\b"
                assert re.search(pattern, other, re.M), f"{path.name}: {name} of {module}"
                assert len(re.findall(rf"\b{name.strip()}\b", text)) > 1, f"{path.name}: {name}"
