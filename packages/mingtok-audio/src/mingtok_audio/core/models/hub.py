"""Where a model or component comes from: shipped, a folder, or a hub repository.

Only the files that are needed are fetched, weights are safetensors only, and code never comes
from a hub. Without a network (or with HF_HUB_OFFLINE=1) what was fetched before still works.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mingtok_audio.core.config import near
from mingtok_audio.core.errors import HubError
from mingtok_audio.core.files import atomic_write, os_reason
from mingtok_audio.core.models.weights import (
    INDEX_NAME,
    WEIGHTS_NAME,
    TensorInfo,
    load_tensors,
    read_safetensors_header,
    save_tensors,
    sha256_of_file,
    sha256_of_weights,
    shard_names,
    weight_files,
    write_json,
)

__all__ = [
    "INDEX_NAME",
    "WEIGHTS_NAME",
    "ResolvedSource",
    "TensorInfo",
    "atomic_write",
    "load_tensors",
    "read_safetensors_header",
    "resolve",
    "save_tensors",
    "sha256_of_file",
    "sha256_of_weights",
    "weight_files",
    "write_json",
]

CONFIG_NAME = "config.json"
MAX_SMALL_BYTES = 64 << 20  # configs, indexes, tokenizers
MAX_WEIGHT_BYTES = 256 << 30  # one weights file
_SHOWN = 100  # characters of a name in an error
_REPO = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
_REVISION = re.compile(r"[\w][\w./-]{0,200}")


@dataclass(frozen=True)
class ResolvedSource:
    """A folder on this machine, where it came from, and which revision (None: not from a hub).

    `id` is the shipped name, the folder as given, or `hf://org/name`.
    """

    path: Path
    id: str
    revision: str | None = None


def resolve(
    name_or_path: str | Path,
    *,
    kind: str = "model",
    builtin: Callable[[str], Path | None] | None = None,
    files: Sequence[str] = (),
    known: Sequence[str] = (),
    weights: bool = True,
) -> ResolvedSource:
    """Find a model or component.

    Args:
        name_or_path: a shipped name ("nano"), a folder, "org/name", "org/name@revision" or
            "hf://org/name@revision".
        kind: what to call it in messages.
        builtin: the folder of a shipped name, or None for other names.
        files: further files wanted from a hub beside the config and the weights; one that ends in
            "?" may be missing.
        known: shipped names, for messages.
        weights: False lets a hub repository have none (a component without parameters).

    Raises:
        HubError: nothing of that name, no network, no such revision, not allowed, no safetensors.
    """
    text = str(name_or_path)
    if not text.strip() or not text.isprintable():
        raise HubError(f"'{text}' is no {kind}: give a name, a folder or hf://org/name")
    if text.startswith("hf://"):
        return _from_hub(text.removeprefix("hf://"), kind, files, weights)
    if isinstance(name_or_path, str) and builtin is not None:
        shipped = builtin(text)
        if shipped is not None:
            return ResolvedSource(shipped, text)
    folder = Path(text).expanduser()
    if folder.is_dir():
        return ResolvedSource(folder, text)
    if folder.exists():
        raise HubError(f"{text} is a file; give the folder that holds the {kind}'s {CONFIG_NAME}")
    if _REPO.fullmatch(text.partition("@")[0]) and not text.startswith((".", "~")):
        return _from_hub(text, kind, files, weights)
    shipped_names = f" ({', '.join(known)})" if known else ""
    raise HubError(
        f"no {kind} '{_shown(text)}': it is not a shipped name{shipped_names}, not a folder, and "
        f"not of the form org/name or hf://org/name@revision{near(text, known, say_known=False)}"
    )


def _shown(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _from_hub(text: str, kind: str, files: Sequence[str], weights: bool) -> ResolvedSource:
    repo, at, revision = text.partition("@")
    if not _REPO.fullmatch(repo) or ".." in repo:
        raise HubError(
            f"'{_shown(text)}' is not a repository: write hf://org/name or hf://org/name@revision"
        )
    if at and (not _REVISION.fullmatch(revision) or ".." in revision):
        raise HubError(f"'{_shown(revision)}' is not a revision (a branch, a tag or a commit)")
    fetcher = _Fetcher(repo, revision or None, kind)
    folder = fetcher.need(CONFIG_NAME, MAX_SMALL_BYTES).parent
    for name in files:
        plain = name.rstrip("?")
        limit = MAX_WEIGHT_BYTES if plain.endswith(".safetensors") else MAX_SMALL_BYTES
        if plain != name:
            fetcher.want(plain, limit)
        else:
            fetcher.need(plain, limit)
    fetcher.weights(required=weights)
    return ResolvedSource(folder, f"hf://{repo}", fetcher.revision)


class _Fetcher:
    """The files of one repository at one commit, from the hub or from what was fetched before."""

    def __init__(self, repo: str, revision: str | None, kind: str) -> None:
        self.repo = repo
        self.asked = revision
        self.revision = revision
        self.kind = kind
        self.offline: str | None = None  # why the hub cannot be asked

    def need(self, name: str, limit: int) -> Path:
        path = self.want(name, limit)
        if path is None:
            raise HubError(self._not_fetched(name) if self.offline else f"{self} has no {name}")
        return path

    def weights(self, required: bool) -> None:
        if self.want(WEIGHTS_NAME, MAX_WEIGHT_BYTES) is not None:
            return
        index = self.want(INDEX_NAME, MAX_SMALL_BYTES)
        if index is None:
            if not required:
                return
            raise HubError(
                self._not_fetched(WEIGHTS_NAME)
                if self.offline
                else f"{self} has no {WEIGHTS_NAME}; only safetensors weights are read, because "
                "other formats can run code when they are loaded"
            )
        for shard in sorted(set(shard_names(index).values())):
            self.need(shard, MAX_WEIGHT_BYTES)

    def want(self, name: str, limit: int) -> Path | None:
        """The file on this machine, or None where the repository has no such file."""
        import huggingface_hub
        from huggingface_hub import errors

        if self.offline is None:
            try:
                self._ask(name, limit)
            except errors.OfflineModeIsEnabled:
                self.offline = "offline mode is on (HF_HUB_OFFLINE)"
            except errors.EntryNotFoundError:
                return None
            except errors.GatedRepoError as error:
                raise HubError(
                    f"{self} is gated: accept its terms on its page, then log in (hf auth login)"
                ) from error
            except errors.RevisionNotFoundError as error:
                raise HubError(f"{self}: there is no revision '{self.asked}'") from error
            except errors.RepositoryNotFoundError as error:
                raise HubError(
                    f"no {self.kind} {self}: there is no such repository, or it is private and "
                    "you are not logged in (hf auth login)"
                ) from error
            except HubError:
                raise
            except Exception as error:
                if not _is_transport(error):
                    raise
                self.offline = f"the hub cannot be reached ({type(error).__name__})"
        try:
            found = Path(
                huggingface_hub.hf_hub_download(
                    self.repo,
                    name,
                    revision=self.revision,
                    local_files_only=self.offline is not None,
                )
            )
        except errors.LocalEntryNotFoundError as error:
            if self.offline is None:
                raise HubError(f"{self}: the connection broke while {name} was fetched") from error
            return None
        except (errors.HfHubHTTPError, errors.HFValidationError) as error:
            raise HubError(f"{self}: {name} cannot be fetched: {error}") from error
        except OSError as error:
            raise HubError(f"{self}: {name} cannot be stored: {os_reason(error)}") from error
        # The commit that the first file came from: a branch that moves must not mix files.
        if found.parent.parent.name == "snapshots":
            self.revision = found.parent.name
        return found

    def _ask(self, name: str, limit: int) -> None:
        """Refuse a file that is too large before fetching it; raises what the hub answers."""
        import huggingface_hub

        url = huggingface_hub.hf_hub_url(self.repo, name, revision=self.revision)
        size = huggingface_hub.get_hf_file_metadata(url).size
        if size is not None and size > limit:
            raise HubError(f"{self}: {name} has {size} bytes; more than {limit} are refused")

    def _not_fetched(self, name: str) -> str:
        return (
            f"{self} is not on this machine ({name} was never fetched) and {self.offline}; "
            "connect, or give a folder"
        )

    def __str__(self) -> str:
        return f"hf://{self.repo}" + (f"@{self.asked}" if self.asked else "")


def _is_transport(error: Exception) -> bool:
    """No answer, or a server in trouble. huggingface_hub lets its HTTP library's errors through,
    and which library that is changes with its version."""
    module = type(error).__module__.partition(".")[0]
    return isinstance(error, OSError) or module in {"httpx", "httpx2", "httpcore", "requests"}
