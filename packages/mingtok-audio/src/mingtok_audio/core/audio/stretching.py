"""Time and pitch by Signalsmith Stretch (MIT), the same bytes each time. Axes: T samples, C."""

from __future__ import annotations

import numpy as np

from mingtok_audio.core.errors import UserError

_MOST_SLOWED = 2.0
"""The library draws random phases beyond this slow-down, from a generator that nobody can seed."""


def stretch(wav: np.ndarray, rate: int, factor: float, semitones: float) -> np.ndarray:
    """(T, C) at `factor` times the speed and `semitones` higher, of exact length.

    What is slower than half the speed is done in several passes of at most a half each.

    Raises:
        UserError: the package `python-stretch` is not installed.
    """
    wanted = max(1, round(len(wav) / factor))
    passes = max(1, int(np.ceil(np.log(1 / factor) / np.log(_MOST_SLOWED) - 1e-9)))
    each = factor ** (1 / passes)
    for n in range(passes):
        length = wanted if n == passes - 1 else max(1, round(len(wav) / each))
        wav = _pass(wav, rate, each, semitones if n == 0 else 0.0, length)
    return wav


def _pass(wav: np.ndarray, rate: int, factor: float, semitones: float, wanted: int) -> np.ndarray:
    try:
        from python_stretch.Signalsmith import Stretch
    except ImportError as error:
        text = "a change of speed or pitch needs the package python-stretch: pip install it"
        raise UserError(text) from error
    library = Stretch()
    library.preset(wav.shape[1], rate)
    library.setTimeFactor(factor)
    if semitones:
        # Above this frequency the spectrum is shifted less: consonants keep their hiss.
        library.setTransposeSemitones(semitones, min(8000.0 / rate, 0.5))
    # The library needs at least its block; the silence that fills it is cut off again.
    block = 2 * (library.inputLatency() + library.outputLatency())
    padding = max(0, block - len(wav))
    given = np.pad(wav, ((0, padding), (0, 0))).T.astype(np.float32)
    made = np.asarray(library.process(np.ascontiguousarray(given))).T.astype(np.float64)
    if len(made) < wanted:
        made = np.pad(made, ((0, wanted - len(made)), (0, 0)))
    return made[:wanted]
