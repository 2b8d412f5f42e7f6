"""The conformance kit of the compressor slot, run by `mingtok plugins validate NAME`.

It is written for the interface, not for an implementation: whoever writes a compressor can call
`check_compressor(MyCompressor)` in a test of their own.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mingtok_audio.core.plugins import CheckResult
from mingtok_audio.core.plugins.conformance import require, run_checks
from mingtok_audio.interfaces import Compressor

_IN_DIM = 24
_PATCH = 4
_TOLERANCE = 1e-5


def check_compressor(compressor: type, **options: Any) -> list[CheckResult]:
    """Check a compressor class against the rules of `Compressor`.

    Args:
        compressor: the class; built with `in_dim`, `patch_size` and `options`.

    Returns:
        One result per check: shapes, causality, streaming, batch, gradient, repeat, save_load.
    """
    kit = _Kit(compressor, options)
    checks: list[tuple[str, Callable[[], str | None]]] = [
        ("shapes", kit.shapes),
        ("causality", kit.causality),
        ("streaming equals offline", kit.streaming),
        ("batch equals single", kit.batch),
        ("gradient", kit.gradient),
        ("same input, same output", kit.repeat),
        ("save and load", kit.save_load),
    ]
    # A check must not change the randomness of whoever calls it.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return run_checks(checks)


class _Kit:
    def __init__(self, compressor: type, options: dict[str, Any]) -> None:
        self._class = compressor
        self._options = {"in_dim": _IN_DIM, "patch_size": _PATCH, **options}

    def _build(self) -> Compressor:
        built = self._class(**self._options)
        require(isinstance(built, Compressor), "it is not a mingtok_audio.interfaces.Compressor")
        return built.eval()

    @staticmethod
    def _features(batch: int, frames: int, seed: int = 0) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(batch, frames, _IN_DIM, generator=generator)

    @torch.no_grad()
    def shapes(self) -> str:
        module = self._build()
        require(module.in_dim == _IN_DIM, f"in_dim is {module.in_dim}, built with {_IN_DIM}")
        require(module.patch_size == _PATCH, f"patch_size is {module.patch_size}, not {_PATCH}")
        require(
            type(module.out_dim) is int and module.out_dim > 0,
            "out_dim is not a whole number from 1",
        )
        for frames in (0, 1, _PATCH - 1, _PATCH, _PATCH + 1, 3 * _PATCH, 3 * _PATCH + 2):
            lengths = torch.tensor([frames, frames // 2])
            patches, counts = module(self._features(2, frames), lengths)
            wanted = (2, module.num_patches(frames), module.out_dim)
            require(
                tuple(patches.shape) == wanted,
                f"{frames} frames give patches {tuple(patches.shape)}, expected {wanted}",
            )
            expected = [module.num_patches(frames), module.num_patches(frames // 2)]
            require(
                counts.dtype == torch.int64 and counts.tolist() == expected,
                f"{frames} and {frames // 2} frames give the counts {counts.tolist()} "
                f"({counts.dtype}), expected {expected} (torch.int64)",
            )
            require(bool(torch.isfinite(patches).all()), f"{frames} frames give NaN or infinity")
        return f"out_dim {module.out_dim}"

    @torch.no_grad()
    def causality(self) -> None:
        module = self._build()
        features = self._features(1, 4 * _PATCH)
        before = module(features)[0]
        for patch in range(3):
            cut = (patch + 1) * _PATCH
            changed = features.clone()
            changed[:, cut:] = self._features(1, 4 * _PATCH - cut, seed=1)
            error = _difference(module(changed)[0][:, : patch + 1], before[:, : patch + 1])
            require(
                error <= _TOLERANCE, f"patch {patch} changes by {error:.2g} with frames after it"
            )

    @torch.no_grad()
    def streaming(self) -> str:
        module = self._build()
        worst = 0.0
        for frames, chunk in ((23, 1), (23, 3), (24, 7), (2, 1), (17, 17), (40, 11)):
            features = self._features(1, frames, seed=frames)
            whole = module(features)[0]
            stream = module.stream()
            pieces = [stream.push(part) for part in features.split(chunk, dim=1)]
            pieces.append(stream.push(features[:, :0]))
            pieces.append(stream.finish())
            joined = torch.cat(pieces, dim=1)
            require(
                joined.shape == whole.shape,
                f"{frames} frames in chunks of {chunk} give {joined.shape[1]} patches, "
                f"the whole gives {whole.shape[1]}",
            )
            worst = max(worst, _difference(joined, whole))
            require(
                worst <= _TOLERANCE, f"{frames} frames in chunks of {chunk} differ by {worst:.2g}"
            )
        return f"largest difference {worst:.1g}"

    @torch.no_grad()
    def batch(self) -> str:
        module = self._build()
        lengths = [19, 5, 1, 12, _PATCH]
        worst = 0.0
        for padding in (0.0, 50.0):
            items = [self._features(1, n, seed=n) for n in lengths]
            padded = torch.full((len(items), max(lengths), _IN_DIM), padding)
            for row, item in zip(padded, items, strict=True):
                row[: item.shape[1]] = item[0]
            patches, counts = module(padded, torch.tensor(lengths))
            for i, item in enumerate(items):
                alone = module(item)[0]
                require(int(counts[i]) == alone.shape[1], "a batch gives other counts than items")
                worst = max(worst, _difference(patches[i : i + 1, : counts[i]], alone))
                require(
                    worst <= _TOLERANCE,
                    f"an item of {lengths[i]} frames differs by {worst:.2g} in a batch",
                )
                tail = patches[i, counts[i] :]
                require(not bool(tail.any()), "patches after an item's count are not zero")
        return f"largest difference {worst:.1g}"

    def gradient(self) -> str:
        module = self._build()
        features = self._features(2, 3 * _PATCH).requires_grad_()
        lengths = torch.tensor([3 * _PATCH, 2 * _PATCH])
        patches, _ = module(features, lengths)
        weight = self._features(2, 1, seed=3)[..., :1]
        (patches * patches.detach().cos() * (1 + weight)).sum().backward()
        grad = features.grad
        require(grad is not None, "no gradient reaches the features")
        assert grad is not None
        reached = grad.abs().sum(dim=(0, 2)) > 0
        require(bool(reached.any()), "no gradient reaches the features")
        require(not bool(grad[1, 2 * _PATCH :].any()), "a gradient reaches the padding")
        missing = [n for n, p in module.named_parameters() if p.requires_grad and p.grad is None]
        require(not missing, f"no gradient reaches the parameter {', '.join(missing)}")
        count = sum(p.numel() for p in module.parameters())
        return f"{count} parameters"

    @torch.no_grad()
    def repeat(self) -> None:
        module = self._build()
        features = self._features(2, 3 * _PATCH + 1)
        first, second = module(features)[0], module(features)[0]
        require(torch.equal(first, second), "in eval mode, a second call gives something else")

    @torch.no_grad()
    def save_load(self) -> None:
        from mingtok_audio.core.models.components import load_weights, save_component

        module = self._build()
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
        features = self._features(1, 2 * _PATCH + 1)
        wanted = module(features)[0]
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            save_component(
                folder, module, slot="compressor", name="under_test", options=self._options
            )
            again = self._build()
            if module.state_dict():
                load_weights(again, folder, "the saved component")
        require(torch.equal(again(features)[0], wanted), "loaded weights give other patches")


def _difference(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max()) if a.numel() else 0.0
