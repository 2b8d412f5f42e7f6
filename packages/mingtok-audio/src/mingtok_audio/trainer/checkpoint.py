"""Training checkpoints: a tree of tensors and plain values as safetensors and JSON, no pickle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from mingtok_audio.core.errors import FormatError
from mingtok_audio.core.files import atomic_write

_TENSOR = "__tensor__"


class Checkpoints:
    """The last few checkpoints of a run: `checkpoints/step-00000100.safetensors`, ..."""

    def __init__(self, folder: Path, keep: int) -> None:
        self.folder, self.keep = folder / "checkpoints", keep

    def paths(self) -> list[Path]:
        """Oldest first."""
        return sorted(self.folder.glob("step-*.safetensors"))

    def save(self, step: int, tree: Any) -> Path:
        """Write one atomically, then drop the oldest beyond `keep`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"step-{step:08d}.safetensors"
        save_tree(path, tree)
        for old in self.paths()[: -self.keep]:
            old.unlink()
        return path

    def load(self) -> Any | None:
        """The newest, or None."""
        paths = self.paths()
        return load_tree(paths[-1]) if paths else None


def save_tree(path: Path, tree: Any) -> None:
    """Write nested dicts and lists of tensors, numbers, strings and None, atomically."""
    tensors: dict[str, torch.Tensor] = {}
    skeleton = _pack(tree, tensors)
    with atomic_write(path) as temporary:
        save_file(tensors, temporary, metadata={"tree": json.dumps(skeleton)})


def load_tree(path: Path) -> Any:
    """Read what `save_tree` wrote; dict keys that were integers come back as integers."""
    with safe_open(path, "pt") as file:
        metadata = file.metadata() or {}
        if "tree" not in metadata:
            raise FormatError(f"{path}: not a training checkpoint")
        return _unpack(json.loads(metadata["tree"]), file)


def _pack(node: Any, tensors: dict[str, torch.Tensor]) -> Any:
    if isinstance(node, torch.Tensor):
        name = str(len(tensors))
        tensors[name] = node.detach().cpu().clone().contiguous()
        return {_TENSOR: name}
    if isinstance(node, dict):
        return {"dict": [[key, _pack(value, tensors)] for key, value in node.items()]}
    if isinstance(node, list | tuple):
        return {"list": [_pack(value, tensors) for value in node]}
    if node is None or isinstance(node, bool | int | float | str):
        return {"value": node}
    raise TypeError(f"a checkpoint cannot hold {type(node).__name__}")


def _unpack(node: Any, file: Any) -> Any:
    if _TENSOR in node:
        return file.get_tensor(node[_TENSOR])
    if "dict" in node:
        return {key: _unpack(value, file) for key, value in node["dict"]}
    if "list" in node:
        return [_unpack(value, file) for value in node["list"]]
    return node["value"]
