"""`uniaudio push`: a model folder to the Hugging Face Hub, with a model card and a licence."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mingtok_audio.core.config import load_json
from mingtok_audio.core.errors import HubError, UserError, one_line
from mingtok_audio.core.models.hub import CONFIG_NAME

CARD = "README.md"
_SENT = (
    "config.json", "adapter.json", "tokenizer.json", "words.json.xz", "campplus.onnx", "LICENSE",
    CARD,
)  # fmt: skip
_SENT_BELOW = ("tokenizer", "parts")
_REPO = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
_LICENSE = re.compile(r"[a-z0-9][a-z0-9.+-]{1,40}")


def plan(folder: Path) -> list[str]:
    """The files of a model or adapter folder that are sent, relative to it.

    Raises:
        UserError: no such folder, or no model in it.
    """
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}")
    found = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        place = path.relative_to(folder)
        below = len(place.parts) > 1 and place.parts[0] in _SENT_BELOW
        weights = path.name.endswith((".safetensors", ".safetensors.index.json"))
        inside = below or len(place.parts) == 1
        about = below and path.suffix == ".json"
        if place.as_posix() in _SENT or (inside and weights) or about:
            found.append(place.as_posix())
    described = {CONFIG_NAME, "adapter.json"} & set(found)
    if not described or not any(name.endswith(".safetensors") for name in found):
        raise UserError(f"{folder} holds no model: config.json (or adapter.json) and .safetensors")
    return found


def card(folder: Path, repo: str, license: str) -> str:
    """A model card for a folder that has none."""
    path = folder / CONFIG_NAME
    config: Any = load_json(path) if path.is_file() else {}
    config = config if isinstance(config, Mapping) else {}
    parts = {
        slot: value["name"]
        for slot, value in config.items()
        if isinstance(value, Mapping) and isinstance(value.get("name"), str)
    }
    rows = "".join(f"| {slot} | {name} |\n" for slot, name in sorted(parts.items()))
    table = f"\n| part | plugin |\n| --- | --- |\n{rows}" if rows else ""
    what = "Low-rank adapters" if not config else "A speech language model"
    return (
        f"---\nlicense: {license}\nlibrary_name: uniaudio-lm\npipeline_tag: text-to-speech\n"
        f"tags: [speech, uniaudio]\n---\n\n# {repo.partition('/')[2]}\n\n"
        f"{what} for uniaudio-lm.\n\n"
        f'```\nuniaudio tts "Good morning." -m {repo} -o out.wav\n```\n{table}\n'
        "Speech that this model makes is synthetic: label it, and imitate nobody without consent.\n"
    )


def push(
    source: str,
    repo: str,
    *,
    license: str,
    private: bool = False,
    message: str = "",
    dry_run: bool = False,
) -> dict[str, Any]:
    """Send a folder as one commit.

    Returns:
        `{repo, files, bytes, card, license, dry_run, url}`; `card` is "own" or "made".

    Raises:
        UserError: no model, no name of a repository, no licence's name, (`HubError`) the Hub
            refuses or does not answer.
    """  # fmt: skip
    if not _REPO.fullmatch(repo):
        raise UserError(f"a repository is org/name, not {repo!r}")
    if not _LICENSE.fullmatch(license):
        raise UserError(f"a licence is a name such as mit or apache-2.0, not {license!r}")
    folder = Path(source)
    files = plan(folder)
    own = CARD in files
    made = b"" if own else card(folder, repo, license).encode()
    size = sum((folder / name).stat().st_size for name in files) + len(made)
    report: dict[str, Any] = {
        "repo": repo, "files": sorted({*files, CARD}), "bytes": size,
        "card": "own" if own else "made", "license": license, "dry_run": dry_run, "url": None,
    }  # fmt: skip
    if dry_run:
        return report
    import huggingface_hub

    operations = [huggingface_hub.CommitOperationAdd(name, str(folder / name)) for name in files]
    if not own:
        operations.append(huggingface_hub.CommitOperationAdd(CARD, made))
    api = huggingface_hub.HfApi()
    try:
        api.create_repo(repo, private=private, exist_ok=True)
        found = api.create_commit(repo, operations, commit_message=message or "Add the model")
    except Exception as error:  # its HTTP library's errors come through too
        raise HubError(f"{repo}: {one_line(str(error), 200)}") from error
    return report | {"url": str(getattr(found, "commit_url", None))}
