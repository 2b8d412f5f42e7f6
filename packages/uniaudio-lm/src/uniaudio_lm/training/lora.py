"""Low-rank adapters (Hu et al., 2021): y = W x + (alpha / rank) B A x, with W frozen.

An adapter folder holds `adapter.json` and `model.safetensors`: the low-rank pairs, and whatever
else was trained. Experts are not linear layers here, and are left alone.

    python -m uniaudio_lm.training.lora MODEL ADAPTER -o MERGED
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mingtok_audio.core.config import from_dict, load_json, to_dict
from mingtok_audio.core.errors import ConfigError, FormatError
from mingtok_audio.core.models.hub import load_tensors, save_tensors, write_json
from uniaudio_lm.training.settings import LoraConfig

CONFIG, WEIGHTS = "adapter.json", "model.safetensors"


class LoraLinear(nn.Module):
    """A frozen linear layer with a low-rank one beside it, which begins at zero."""

    def __init__(self, base: nn.Linear, rank: int, alpha: float) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        self.scale = alpha / rank
        like = {"device": base.weight.device, "dtype": base.weight.dtype}
        self.down = nn.Parameter(torch.empty(rank, base.in_features, **like))
        self.up = nn.Parameter(torch.zeros(base.out_features, rank, **like))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) -> (..., out)."""
        return self.base(x) + self.scale * F.linear(F.linear(x, self.down), self.up)

    @torch.no_grad()
    def merged(self) -> nn.Linear:
        """One linear layer that does the same."""
        self.base.weight += (self.scale * self.up @ self.down).to(self.base.weight)
        return self.base


def add_lora(model: nn.Module, config: LoraConfig) -> list[str]:
    """Put adapters on the linear layers whose names match; returns the names.

    Raises:
        ConfigError: no layer matches.
    """
    patterns = [re.compile(target) for target in config.targets]
    names = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and any(p.fullmatch(name) for p in patterns)
    ]
    if not names:
        raise ConfigError(f"lora.targets: no linear layer's name matches {config.targets}")
    for name in names:
        base = model.get_submodule(name)
        assert isinstance(base, nn.Linear)
        model.set_submodule(name, LoraLinear(base, config.rank, config.alpha))
    return names


def merge_lora(model: nn.Module) -> int:
    """Fold all adapters into their layers, which then are plain again; returns how many."""
    found = [(n, m) for n, m in model.named_modules() if isinstance(m, LoraLinear)]
    for name, module in found:
        model.set_submodule(name, module.merged())
    return len(found)


@contextmanager
def as_merged(model: nn.Module) -> Iterator[None]:
    """The model without adapters, and as good, inside; as it was, afterwards."""
    found = [(n, m) for n, m in model.named_modules() if isinstance(m, LoraLinear)]
    weights = [m.base.weight.detach().clone() for _, m in found]
    merge_lora(model)
    try:
        yield
    finally:
        for (name, module), weight in zip(found, weights, strict=True):
            with torch.no_grad():
                module.base.weight.copy_(weight)
            model.set_submodule(name, module)


def save_adapter(model: nn.Module, config: LoraConfig, folder: str | Path) -> Path:
    """Write what has been trained of a model with adapters."""
    root = Path(folder)
    root.mkdir(parents=True, exist_ok=True)
    learned = {n: p.detach() for n, p in model.named_parameters() if p.requires_grad}
    save_tensors(root / WEIGHTS, learned, {"format": "pt"})
    write_json(root / CONFIG, {"format_version": 1, "lora": to_dict(config)})
    return root


def load_adapter(model: nn.Module, folder: str | Path) -> None:
    """Put a saved adapter on the model that it was trained on. `merge_lora` then makes it plain.

    Raises:
        UserError: (`ConfigError`, `FormatError`) no adapter, or one of another model.
    """
    root = Path(folder)
    data = load_json(root / CONFIG)
    if not isinstance(data, dict) or data.get("format_version") != 1:
        raise FormatError(f"{root / CONFIG}: no adapter of format_version 1")
    add_lora(model, from_dict(LoraConfig, data.get("lora"), where=str(root / CONFIG)))
    parameters = dict(model.named_parameters())
    for name, tensor in load_tensors(root):
        place = parameters.get(name)
        if place is None or place.shape != tensor.shape:
            raise ConfigError(f"{root}: {name} {list(tensor.shape)} does not fit this model")
        with torch.no_grad():
            place.copy_(tensor)


def main() -> None:
    """Merge an adapter into a model folder."""
    import argparse

    from uniaudio_lm.checkpoint.load import load_model
    from uniaudio_lm.checkpoint.save import save_model

    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("model")
    parser.add_argument("adapter")
    parser.add_argument("-o", "--output", required=True)
    options = parser.parse_args()
    model = load_model(options.model)
    load_adapter(model, options.adapter)
    count = merge_lora(model)
    save_model(model, Path(options.output))
    print(f"{options.output}: {count} layers merged")


if __name__ == "__main__":
    main()
