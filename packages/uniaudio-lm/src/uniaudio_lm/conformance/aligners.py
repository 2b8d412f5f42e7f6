"""The kit of aligners."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import torch

from mingtok_audio.config import MingTokConfig, TransformerConfig
from mingtok_audio.core.errors import AudioError
from mingtok_audio.core.plugins import CheckResult
from mingtok_audio.core.plugins.conformance import require
from mingtok_audio.models.mingtok import MingTok
from uniaudio_lm.conformance.common import Kit, run, save_and_load, shaken, small
from uniaudio_lm.interfaces import Aligner, Word
from uniaudio_lm.text.words import split_words

IN_DIM = 8
_TEXTS = [
    ("the cat sat on the mat", "en"),
    ("It's 50% of $3.20, isn't it?", "en"),
    ("你好，世界", "zh"),
    ("mixed 中文 and English", "zh"),
    ("été à Zürich, привет", "fr"),
    ("aaa aaa ss ss", "en"),
    ("😀 fine 🎉", "xx"),
]


def check_aligner(aligner: type, **options: Any) -> list[CheckResult]:
    """Check an aligner class against the rules of `Aligner`; `options` build it.

    It is given a tiny tokenizer with random weights (`use_tokenizer`); a class that takes `in_dim`
    is built for it.
    """
    takes = "in_dim" in inspect.signature(aligner).parameters
    kit = AlignerKit(aligner, small(aligner, options, {"in_dim": IN_DIM} if takes else {}))
    return run(
        [
            ("words and times", kit.words),
            ("nothing to align", kit.nothing),
            ("more text than sound", kit.crowded),
            ("same input, same output", kit.repeat),
            ("a long recording", kit.long),
            ("bad recordings", kit.bad),
            ("save and load", kit.save_load),
        ]
    )


def tiny_tokenizer() -> MingTok:
    """One windowed layer of width 16, 8 latents a frame, random weights."""
    part = TransformerConfig(dim=16, num_layers=1, num_heads=2, mlp_dim=16, window=4)
    torch.manual_seed(0)
    return MingTok(MingTokConfig(encoder=part, decoder=part, latent_dim=IN_DIM, n_fft=640)).eval()


def check_words(words: list[Word], text: str, seconds: float) -> None:
    """Require that `words` are those of `text`, in order, apart, inside the recording."""
    wanted = split_words(text)
    require([w.text for w in words] == wanted, f"{[w.text for w in words]}, expected {wanted}")
    before = 0.0
    for word in words:
        require(word.start < word.end, f"{word.text!r} is from {word.start} to {word.end} s")
        require(word.start >= before - 1e-6, f"{word.text!r} begins before the word in front ends")
        require(word.end <= seconds + 1e-6, f"{word.text!r} ends after the recording")
        require(0 <= word.score <= 1, f"the score of {word.text!r} is {word.score}")
        before = word.end


def _noise(seconds: float, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(int(16000 * seconds))).astype("f4")


class AlignerKit(Kit):
    interface = Aligner

    def aligner(self) -> Aligner:
        made = shaken(self.make())
        made.use_tokenizer(tiny_tokenizer())
        return made

    def words(self) -> str:
        made = self.aligner()
        for text, language in _TEXTS:
            check_words(made.align(_noise(3.0), text, language), text, 3.0)
        check_words(
            made.align(np.zeros(48000, dtype="f4"), "all is silent", "en"), "all is silent", 3
        )
        return f"{len(_TEXTS) + 1} texts"

    def nothing(self) -> None:
        made = self.aligner()
        for text in ("", " \n", "…!?", "😀"):
            found = made.align(_noise(1.0), text, "en")
            require(found == [], f"{text!r} gives {found}")

    def crowded(self) -> None:
        made = self.aligner()
        text = "many more words than there is sound " * 20
        found = made.align(_noise(0.5), text, "en")
        check_words(found, text, 0.5)
        require(max(w.score for w in found) < 0.5, "text that cannot be there scores high")
        check_words(made.align(_noise(0.001), "short", "en"), "short", 0.001)

    def repeat(self) -> None:
        made = self.aligner()
        one, two = (made.align(_noise(2.0), "twice the same", "en") for _ in range(2))
        require(one == two, "the same input gives other times")

    def long(self) -> None:
        text = "a long recording of many words " * 60
        check_words(self.aligner().align(_noise(150.0), text, "en"), text, 150.0)

    def bad(self) -> None:
        made = self.aligner()
        for wav in (np.zeros(0, dtype="f4"), np.full(16000, np.nan, dtype="f4")):
            try:
                made.align(wav, "hello", "en")
            except AudioError:
                continue
            require(False, f"a recording of {len(wav)} samples, NaN or none, raises no AudioError")

    def save_load(self) -> None:
        found = []
        for made in save_and_load(self.make, "aligner"):
            made.use_tokenizer(tiny_tokenizer())
            found.append(made.align(_noise(2.0), "saved and loaded", "en"))
        require(found[0] == found[1], "loaded weights give other times")
