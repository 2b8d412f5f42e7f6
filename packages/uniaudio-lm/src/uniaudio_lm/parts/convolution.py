"""The block of the small convolutional networks: the aligner's and the letter-to-sound model's."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class ConvBlock(nn.Module):
    """x + MLP(norm(depthwise(x))); what is after an item's end stays zero.

    Args:
        width: W.
        kernel: of the convolution over positions, odd.
        dropout: in training.
    """

    def __init__(self, width: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.mix = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width)
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, 2 * width)
        self.down = nn.Linear(2 * width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        """x (B, S, W), valid (B, S, 1)."""
        h = self.mix(x.transpose(1, 2)).transpose(1, 2)  # Conv1d wants (B, W, S)
        h = self.down(self.dropout(F.gelu(self.up(self.norm(h)))))
        return (x + h) * valid
