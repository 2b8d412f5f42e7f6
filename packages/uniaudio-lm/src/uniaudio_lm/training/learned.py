"""What a joint run trains: the model, and layers that are thrown away after training.

Axes: C phonemes, D width.
"""

from __future__ import annotations

from torch import Tensor, nn

from uniaudio_lm.model.speech_lm import SpeechLM
from uniaudio_lm.training.losses import FrameHead


class JointModel(nn.Module):
    """The model, and what only training has.

    Args:
        phonemes: C, for a classifier on hidden states; 0 for none.
        symbols: embeddings of phonemes (C, D) that stand in the place of audio.
        delays: of the classifier on unified features; 0 for none.
    """

    def __init__(
        self, lm: SpeechLM, phonemes: int, symbols: Tensor | None = None, delays: int = 0
    ) -> None:
        super().__init__()
        self.lm = lm
        self.phoneme_head = nn.Linear(lm.dim, phonemes) if phonemes else None
        self.symbols = None if symbols is None else nn.Parameter(symbols)
        width = lm.tokenizer.config.feature_dim or 0
        self.frame_head = FrameHead(width, delays) if delays else None
