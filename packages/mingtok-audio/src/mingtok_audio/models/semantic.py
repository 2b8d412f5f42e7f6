"""The semantic module: latents to unified features (paper sections 3.1.1 and 3.1.2).

Axes: B batch, L frames, C decoder width, H feature width.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from mingtok_audio.config import TransformerConfig
from mingtok_audio.modules.transformer import Transformer, TransformerState


class SemanticModule(nn.Module):
    """Whisper's encoder without its convolutions, made causal: the features Z_uni."""

    def __init__(self, config: TransformerConfig, input_dim: int) -> None:
        super().__init__()
        self.input_proj = nn.Linear(input_dim, config.dim)
        self.transformer = Transformer(config)

    def forward(self, latent_hidden: Tensor, state: TransformerState | None = None) -> Tensor:
        """Projected latents (B, L, C), before any activation -> features (B, L, H)."""
        return self.transformer(self.input_proj(F.gelu(latent_hidden)), state)
