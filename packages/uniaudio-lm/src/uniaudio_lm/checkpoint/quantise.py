"""Weight-only quantisation to 8 bits through torchao (extra `[int8]`).

A quarter of the memory of float32, half of bfloat16. The backbone's matrices only: embeddings, the
output layer, routers and norms are small or sensitive, and the rest of the model is a tenth of it.
Activations stay as they are. On a CPU each product first widens its weights, so it is no faster.
"""

from __future__ import annotations

from torch import Tensor, nn

from mingtok_audio.core.errors import UserError

KINDS = ("int8",)


class Quantizer:
    """Turns the matrices of a model's backbone into 8-bit ones, one as soon as it is read.

    Args:
        model: on the meta device.
        kind: "int8".

    Raises:
        UserError: another kind, or torchao is not there.
    """

    def __init__(self, model: nn.Module, kind: str) -> None:
        if kind not in KINDS:
            raise UserError(f"weights can be quantised to {', '.join(KINDS)}, not '{kind}'")
        try:
            from torchao.quantization import Int8Tensor, PerRow
        except (ImportError, OSError, RuntimeError) as error:
            raise UserError(
                "quantised weights need torchao: pip install torchao "
                f"({type(error).__name__}: {error})"
            ) from error
        self._make, self._rows = Int8Tensor.from_hp, PerRow
        backbone = model.get_submodule("backbone")
        kept = {id(p) for p in _embeddings(backbone)}
        self.names = {
            f"backbone.{prefix}.{leaf}"
            for prefix, part in backbone.named_modules()
            for leaf, parameter in part.named_parameters(recurse=False)
            if prefix and id(parameter) not in kept and _is_product(part, leaf)
        }

    def __call__(self, name: str, tensor: Tensor) -> Tensor:
        """The parameter as it is used."""
        if name not in self.names:
            return tensor
        return self._make(tensor.contiguous(), self._rows(-1))


def _embeddings(backbone: nn.Module) -> list[nn.Parameter]:
    """Embeddings and output layers: what has a row for each token."""
    size = int(backbone.vocab_size)  # type: ignore[arg-type]
    return [p for p in backbone.parameters() if p.dim() == 2 and p.shape[0] == size]


def _is_product(part: nn.Module, leaf: str) -> bool:
    # Experts' matrices are stacked: (experts, out, in).
    stacked = bool(getattr(part, "stacked", False)) and getattr(part, leaf).dim() == 3
    return stacked or (isinstance(part, nn.Linear) and leaf == "weight")


def quantised_bytes(model: nn.Module) -> int:
    """Bytes of a model's parameters, quantised ones with their scales."""
    total = 0
    for parameter in model.parameters():
        numbers = getattr(parameter, "qdata", None)
        if isinstance(numbers, Tensor):
            total += numbers.nbytes + parameter.scale.nbytes  # type: ignore[attr-defined]
        else:
            total += parameter.nbytes
    return total
