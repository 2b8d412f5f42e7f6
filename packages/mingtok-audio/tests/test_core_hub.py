"""Finding models: shipped, folders, and a hub that is only played here."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

import huggingface_hub
import pytest
import torch
from huggingface_hub import errors
from safetensors.torch import save

from mingtok_audio.core.errors import HubError
from mingtok_audio.core.models import hub
from mingtok_audio.core.models.hub import load_tensors, resolve

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class ConnectError(OSError):
    """What an HTTP library raises without a network."""


def response_error(kind: type[Exception], message: str = "no") -> Exception:
    """These errors want a response object of the HTTP library; only their type matters here."""
    error = kind.__new__(kind)
    Exception.__init__(error, message)
    return error


@dataclass
class FakeHub:
    """Stands in for the two functions that reach the network."""

    cache: Path
    files: dict[str, bytes] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    failure: Exception | None = None
    download_failure: Exception | None = None
    asked: list[str] = field(default_factory=list)
    fetched: list[tuple[str, str | None]] = field(default_factory=list)

    def url(self, repo: str, name: str, revision: str | None = None) -> str:
        return f"{repo}|{name}|{revision}"

    def metadata(self, url: str) -> object:
        name = url.split("|")[1]
        self.asked.append(name)
        if self.failure is not None:
            raise self.failure
        if name not in self.files:
            raise response_error(errors.EntryNotFoundError)
        size = self.sizes.get(name, len(self.files[name]))
        return type("Meta", (), {"size": size})()

    def download(
        self, repo: str, name: str, revision: str | None = None, local_files_only: bool = False
    ) -> str:
        folder = self.cache / f"models--{repo.replace('/', '--')}"
        blob, link = folder / "blobs" / name, folder / "snapshots" / COMMIT / name
        if local_files_only:
            if not link.exists():
                raise errors.LocalEntryNotFoundError("not in the cache")
            return str(link)
        if self.download_failure is not None:
            raise self.download_failure
        self.fetched.append((name, revision))
        blob.parent.mkdir(parents=True, exist_ok=True)
        link.parent.mkdir(parents=True, exist_ok=True)
        blob.write_bytes(self.files[name])
        if not link.exists():
            link.symlink_to(os.path.relpath(blob, link.parent))
        return str(link)


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    fake = FakeHub(tmp_path / "cache")
    monkeypatch.setattr(huggingface_hub, "hf_hub_url", fake.url)
    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", fake.metadata)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fake.download)
    fake.files = {
        "config.json": b"{}",
        "model.safetensors": save({"a": torch.ones(2)}),
        "pytorch_model.bin": b"pickle",
        "README.md": b"hello",
    }
    return fake


def shard_files() -> dict[str, bytes]:
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    return {
        "config.json": b"{}",
        "model.safetensors.index.json": json.dumps(index).encode(),
        "model-1.safetensors": save({"a": torch.ones(2)}),
        "model-2.safetensors": save({"b": torch.zeros(3)}),
        "model-3.safetensors": save({"c": torch.zeros(3)}),
    }


def test_shipped_names_and_folders(tmp_path: Path) -> None:
    shipped = tmp_path / "weights" / "nano"
    shipped.mkdir(parents=True)
    found = resolve("nano", builtin={"nano": shipped}.get)
    assert (found.path, found.id, found.revision) == (shipped, "nano", None)
    folder = tmp_path / "mine"
    folder.mkdir()
    for given in (folder, str(folder)):
        assert resolve(given, builtin=lambda _: None).path == folder


def test_names_that_are_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")  # what lies beside a checkout is not known
    with pytest.raises(HubError, match=r"no model 'nanp'.*did you mean 'nano'"):
        resolve("nanp", builtin=lambda _: None, known=("nano", "nano-v1"))
    (tmp_path / "file").touch()
    with pytest.raises(HubError, match=r"is a file; give the folder"):
        resolve(tmp_path / "file")
    for bad in ("", "  ", "a\nb", "\0"):
        with pytest.raises(HubError, match=r"is no component"):
            resolve(bad, kind="component")
    for bad in ("./org/name", "../x", "~/nowhere", "a/b/c", "/no/such", "hf:/a/b"):
        with pytest.raises(HubError, match=r"no model"):
            resolve(bad)


@pytest.mark.parametrize(
    "bad",
    ["hf://", "hf://name", "hf://a/b/c", "hf://a/../b", "hf://a/b@", "hf://a/b@../x", "hf://a/b@-x",
     "hf://a b/c", "hf://a/b?x", "hf://a/..", "hf://a/b@x y"],
)  # fmt: skip
def test_hub_addresses_that_are_none(bad: str, fake: FakeHub) -> None:
    with pytest.raises(HubError, match=r"is not a repository|is not a revision"):
        resolve(bad)
    assert not fake.asked


@pytest.mark.parametrize(
    ("name", "revision"),
    [("org/name", None), ("hf://org/name", None), ("hf://org/name@v1.0", "v1.0"),
     ("org/name@refs/pr/1", "refs/pr/1")],
)  # fmt: skip
def test_only_the_files_needed_are_fetched(name: str, revision: str | None, fake: FakeHub) -> None:
    found = resolve(name)
    assert found.id == "hf://org/name" and found.revision == COMMIT
    # The first file fixes the commit for the others.
    assert fake.fetched == [("config.json", revision), ("model.safetensors", COMMIT)]
    assert dict(load_tensors(found.path)).keys() == {"a"}


def test_shards_and_further_files(fake: FakeHub) -> None:
    fake.files = {**shard_files(), "tokenizer.json": b"{}"}
    found = resolve("hf://org/name", files=("tokenizer.json", "voices.json?"))
    assert [name for name, _ in fake.fetched] == [
        "config.json",
        "tokenizer.json",
        "model.safetensors.index.json",
        "model-1.safetensors",
        "model-2.safetensors",
    ]
    assert dict(load_tensors(found.path)).keys() == {"a", "b"}
    with pytest.raises(HubError, match=r"hf://org/name has no missing.json"):
        resolve("hf://org/name", files=("missing.json",))


def test_a_hostile_index_fetches_nothing_more(fake: FakeHub) -> None:
    fake.files = shard_files()
    fake.files["model.safetensors.index.json"] = b'{"weight_map": {"a": "../../x.safetensors"}}'
    with pytest.raises(HubError, match=r"plain .safetensors file name"):
        resolve("hf://org/name")
    assert [n for n, _ in fake.fetched] == ["config.json", "model.safetensors.index.json"]


def test_a_repository_without_safetensors(fake: FakeHub) -> None:
    del fake.files["model.safetensors"]
    with pytest.raises(HubError, match=r"only safetensors weights are read"):
        resolve("hf://org/name")
    assert "pytorch_model.bin" not in fake.asked
    assert resolve("hf://org/name", weights=False).path.name == COMMIT
    del fake.files["config.json"]
    with pytest.raises(HubError, match=r"has no config.json"):
        resolve("hf://org/name")


def test_files_that_are_too_large(fake: FakeHub) -> None:
    fake.sizes["model.safetensors"] = hub.MAX_WEIGHT_BYTES + 1
    with pytest.raises(HubError, match=r"are refused"):
        resolve("hf://org/name")
    fake.sizes["config.json"] = hub.MAX_SMALL_BYTES + 1
    with pytest.raises(HubError, match=r"config.json has"):
        resolve("hf://org/other")
    assert [n for n, _ in fake.fetched] == ["config.json"]


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        (response_error(errors.RepositoryNotFoundError), "no such repository, or it is private"),
        (response_error(errors.GatedRepoError), "is gated"),
        (response_error(errors.RevisionNotFoundError), "there is no revision 'v9'"),
        (errors.OfflineModeIsEnabled("offline"), r"not on this machine.*HF_HUB_OFFLINE"),
        (ConnectError("no route"), "not on this machine.*cannot be reached"),
        (response_error(errors.HfHubHTTPError, "503"), "cannot be reached"),
    ],
)
def test_what_the_hub_answers_in_words(fake: FakeHub, failure: Exception, message: str) -> None:
    fake.failure = failure
    with pytest.raises(HubError, match=message) as caught:
        resolve("hf://org/name@v9")
    assert "hf://org/name" in str(caught.value) and "\n" not in str(caught.value)
    assert not fake.fetched


def test_a_bug_is_not_taken_for_a_missing_network(fake: FakeHub) -> None:
    fake.failure = KeyError("bug")
    with pytest.raises(KeyError):
        resolve("hf://org/name")


@pytest.mark.parametrize("failure", [errors.OfflineModeIsEnabled("x"), ConnectError("x")])
def test_what_was_fetched_works_offline(fake: FakeHub, failure: Exception) -> None:
    fake.files = shard_files()
    online = resolve("hf://org/name")
    fake.failure = failure
    fake.asked.clear()
    fake.fetched.clear()
    assert resolve("hf://org/name") == online
    assert fake.asked == ["config.json"]  # a dead network is asked once, not for every file
    assert not fake.fetched
    (online.path / "model-2.safetensors").unlink()
    with pytest.raises(HubError, match=r"model-2.safetensors was never fetched"):
        resolve("hf://org/name")


def test_a_download_that_breaks(fake: FakeHub) -> None:
    fake.download_failure = OSError(28, "No space left on device")
    with pytest.raises(HubError, match=r"cannot be stored: no space left"):
        resolve("hf://org/name")
    fake.download_failure = errors.LocalEntryNotFoundError("x")
    with pytest.raises(HubError, match=r"the connection broke"):
        resolve("hf://org/name")
    fake.download_failure = response_error(errors.HfHubHTTPError, "500 Server Error")
    with pytest.raises(HubError, match=r"cannot be fetched"):
        resolve("hf://org/name")


def test_offline_by_variable_without_a_stand_in(tmp_path: Path) -> None:
    """The real library in a process of its own: quick, in words, no retries."""
    import subprocess
    import sys

    code = (
        "from mingtok_audio.core.models.hub import resolve\n"
        "from mingtok_audio.core.errors import HubError\n"
        "try: resolve('hf://org/name@v1')\nexcept HubError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True, text=True, check=False, timeout=120,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.stdout == (
        "hf://org/name@v1 is not on this machine (config.json was never fetched) and offline mode "
        "is on (HF_HUB_OFFLINE); connect, or give a folder\n"
    ), done.stderr
