"""The kit of recognisers."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from mingtok_audio.core.models.components import load_weights, save_component
from mingtok_audio.core.plugins import CheckResult
from mingtok_audio.core.plugins.conformance import require
from uniaudio_lm.conformance.aligners import IN_DIM, tiny_tokenizer
from uniaudio_lm.conformance.common import Kit, run, shaken, small
from uniaudio_lm.interfaces import Recognized, Recognizer

_SIZES = {
    "dim": 24,
    "num_heads": 2,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "front_width": 16,
    "vocab_size": 259,
}


def check_recognizer(recognizer: type, **options: Any) -> list[CheckResult]:
    """Check a recogniser class against the rules of `Recognizer`; `options` build it.

    It is given a tiny tokenizer with random weights (`use_tokenizer`), and a class with `files`
    has a text tokenizer of 256 bytes to load, where it asks for `tokenizer.json`.
    """
    network = getattr(recognizer, "takes_network", False)
    needed = {"latent_dim": IN_DIM, **_SIZES} if network else {}
    kit = RecognizerKit(recognizer, small(recognizer, options, needed))
    return run(
        [
            ("an answer for each segment", kit.answers),
            ("batch equals single", kit.batches),
            ("same input, same text", kit.repeats),
            ("silence, clicks and long segments", kit.extremes),
            ("hotwords and beams", kit.hints),
            ("save and load", kit.saves),
        ]
    )


def _noise(seconds: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (0.1 * rng.standard_normal(int(16_000 * seconds))).astype(np.float32)


class RecognizerKit(Kit):
    interface = Recognizer

    def ready(self) -> Recognizer:
        made = shaken(self.make())
        with tempfile.TemporaryDirectory() as folder:
            if "tokenizer.json" in made.files:
                byte_tokenizer().save(str(Path(folder) / "tokenizer.json"))
            made.load(Path(folder))
        made.use_tokenizer(tiny_tokenizer())
        return made

    def answers(self) -> str:
        made = self.ready()
        require(made.longest > 0 and made.pause > 0, "`longest` and `pause` are seconds above 0")
        require(made.sample_rate > 0, "`sample_rate` is in Hz")
        parts = [_noise(1.0), _noise(2.5, 1), _noise(0.3, 2)]
        found = made.recognize(parts)
        require(len(found) == 3, f"{len(found)} answers for 3 segments")
        for answer in found:
            require(isinstance(answer, Recognized), f"{answer!r} is no `Recognized`")
        require(made.recognize([]) == [], "no segments give an answer")
        return "3 segments"

    def batches(self) -> None:
        made = self.ready()
        parts = [_noise(1.0), _noise(2.5, 1)]
        together = made.recognize(parts)
        alone = [made.recognize([part])[0] for part in parts]
        require(together == alone, "a segment says something else beside another")

    def repeats(self) -> None:
        made = self.ready()
        one, two = (made.recognize([_noise(1.5)]) for _ in range(2))
        require(one == two, "the same segment gives another text")

    def extremes(self) -> None:
        made = self.ready()
        longest = min(made.longest, 30.0)
        for wav in (np.zeros(16_000, np.float32), _noise(0.001), _noise(longest)):
            require(len(made.recognize([wav])) == 1, f"{len(wav)} samples give no answer")

    def hints(self) -> None:
        made = self.ready()
        for beams in (1, 3):
            found = made.recognize([_noise(1.0)], hotwords=["Zürich", "two words"], beams=beams)
            require(len(found) == 1, "hotwords take the answer away")

    def saves(self) -> str:
        made = self.ready()
        again = self.ready()
        with tempfile.TemporaryDirectory() as folder:
            save_component(folder, made, slot="recognizer", name="x", options={})
            if made.state_dict():
                load_weights(again, Path(folder), "saved")
        require(
            made.recognize([_noise(1.2)]) == again.recognize([_noise(1.2)]),
            "loaded weights give another text",
        )
        return "saved and loaded alike"


def byte_tokenizer() -> Any:
    """A tokenizer of the 256 bytes."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE({piece: i for i, piece in enumerate(alphabet)}, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    return made
