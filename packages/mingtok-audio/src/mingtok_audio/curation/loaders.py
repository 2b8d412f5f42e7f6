"""Models of other packages, found by what they offer and not by an import.

A package offers a recogniser, an aligner, a speaker encoder, a normaliser or a separator with an
entry point of the group `mingtok_audio.loaders`: its name says what it gives, its target is a
function `load(source: str | None)` that returns the model; None asks for the one it would choose.

- `recognizer`: `recognize(parts, language=...)`, a list of objects with `text` and `language` for
  segments (T,) at its `sample_rate`.
- `aligner`: `align(wav, text, language)`, a list of objects with `text`, `start`, `end`, `score`.
- `speaker_encoder`: `embed(wav, sample_rate)`, a vector.
- `text_normalizer`: `normalize(text, language)`, the text as it is spoken.
- `separator`: samples (1, T) to speech (1, T).
"""

from __future__ import annotations

from typing import Any

from mingtok_audio.core.errors import PluginError, UserError
from mingtok_audio.core.plugins.specs import (
    EntryPoint,
    attempt,
    disabled_plugins,
    entry_points,
    normalize,
    reason,
)

GROUP = "mingtok_audio.loaders"


def find_loader(kind: str) -> EntryPoint | None:
    """The installed loader of a kind ("recognizer", ...), or None."""
    everything, disabled = disabled_plugins()
    for entry in entry_points(GROUP):
        if entry.name == kind and not everything and normalize(entry.distribution) not in disabled:
            return entry
    return None


def load_from_plugin(kind: str, source: str | None = None) -> Any:
    """The model that an installed package offers.

    Raises:
        UserError: no package offers one, or it cannot be loaded.
    """
    entry = find_loader(kind)
    if entry is None:
        raise PluginError(f"no installed package offers the model '{kind}'")
    loader, error = attempt(entry.load)
    if error is None and loader is not None:
        try:
            return loader(source)
        except UserError:
            raise
        except Exception as raised:
            error = raised
    assert error is not None
    raise PluginError(
        f"the {kind} of {entry.distribution} cannot be loaded: {reason(error)}"
    ) from error


def loader_version(kind: str) -> str:
    """The distribution and version that offers a kind; "" where none does."""
    entry = find_loader(kind)
    return f"{entry.distribution} {entry.version}" if entry else ""
