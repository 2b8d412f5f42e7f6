"""Which take of new words is kept: how well it is understood, and how alike the voices are.

The model that speaks also judges: never the judge that scores results. Axes: T samples, H features.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from uniaudio_edit.parts import Take, Transcriber
from uniaudio_edit.text import Text

if TYPE_CHECKING:
    from uniaudio_lm import UniAudio

_SIMILARITY, _LENGTH, _UNENDED = 0.5, 0.25, 0.25
_LONGEST = 30.0  # seconds that a likelihood is of


class ModelJudge:
    """How well a take is understood in context (0 to 1), half the likeness of the voices, and less
    for takes that are much too long or short, or that the model did not end by itself.

    Understood is how likely the model finds the words that are wanted: its likeliest text (letters
    that differ from them) tells takes apart only where it errs seldom. A transcriber that is given
    has nothing but a text to say, and is believed in the model's place.

    Args:
        model: whose features tell voices apart.
        transcriber: (T,) samples and their rate to text; None asks the listener.
        listener: recognises speech; None is the model, or nobody where it only speaks: then, and
            for words in a language that the listener does not know, takes are not understood.
    """

    def __init__(
        self,
        model: UniAudio,
        transcriber: Transcriber | None = None,
        listener: UniAudio | None = None,
    ) -> None:
        self._model = model
        self._transcriber = transcriber
        self._listener = model if listener is None and model.listens else listener

    def understands(self, text: str) -> bool:
        """Whether anybody here could tell if a text is what a take says."""
        if self._transcriber is not None:
            return True
        if self._listener is None:
            return False
        languages = self._listener.config.recognition.languages
        return languages is None or Text(text).language in languages

    @property
    def most(self) -> float:
        """The best score that a take can have where it is understood."""
        return 1.0 + _SIMILARITY

    def __call__(self, take: Take) -> float:
        """More is better."""
        score = self._understood(take) + _SIMILARITY * self._similarity(take)
        seconds = max(len(take.wav) / take.sample_rate, 1e-3)
        score -= _LENGTH * min(2.0, abs(float(np.log(seconds / max(take.expected_seconds, 0.05)))))
        return score - (_UNENDED if take.stop_reason != "stop" else 0.0)

    def _understood(self, take: Take) -> float:
        excerpt, rate = take.excerpt.astype(np.float32), take.sample_rate
        if self._transcriber is not None:
            heard = str(self._transcriber(excerpt, rate))
        elif self._listener is None or not self.understands(take.excerpt_text):
            return 0.0
        elif len(excerpt) <= _LONGEST * rate:
            return float(np.exp(self._listener.log_likelihood(excerpt, rate, take.excerpt_text)))
        else:
            heard = self._listener.transcribe(excerpt, rate).text
        return 1.0 - min(1.0, error_rate(heard, take.excerpt_text))

    def _similarity(self, take: Take) -> float:
        """Cosine of the mean features of the take and of the voice."""
        one, two = (self._mean(wav, take.sample_rate) for wav in (take.wav, take.voice))
        return float(one @ two / max(float(np.linalg.norm(one) * np.linalg.norm(two)), 1e-9))

    def _mean(self, wav: np.ndarray, rate: int) -> np.ndarray:
        import torch

        with torch.no_grad():
            latents = self._model.tokenizer.encode(wav.astype(np.float32), rate)
            features = self._model.model.audio_features(latents.values.to(self._model.device))
        return features[0].mean(dim=0).float().cpu().numpy()


def error_rate(heard: str, wanted: str) -> float:
    """Edit distance of the letters over the letters wanted; words and marks do not matter."""
    a, b = ("".join(unit.key for unit in Text(text).units) for text in (heard, wanted))
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        last, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (x != y))
    return row[-1] / max(1, len(b))
