"""Finding an aligner: the shipped one, a component folder, a hub repository, or a plugin's name."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, cast

from mingtok_audio.core.errors import PluginError, UserError
from mingtok_audio.core.models.components import load_component
from mingtok_audio.core.models.hub import resolve
from uniaudio_lm.interfaces import Aligner
from uniaudio_lm.plugins import get_host

if TYPE_CHECKING:
    from mingtok_audio.models.mingtok import MingTok


def shipped_aligner() -> Path | None:
    """Folder of the aligner that ships with the package, if this release ships one."""
    folder = Path(str(resources.files("uniaudio_lm"))) / "weights" / "aligner"
    return folder if (folder / "config.json").is_file() else None


def load_aligner(source: str | Path | None = None, *, tokenizer: MingTok | None = None) -> Aligner:
    """An aligner that is ready to use.

    Args:
        source: a component folder, "org/name", "hf://org/name@revision" or the name of a plugin
            that needs no weights; None takes the shipped one, or the only such plugin.
        tokenizer: that a model has loaded already; the aligner's own otherwise.

    Raises:
        HubError, ConfigError, PluginError: there is none, it cannot be read, or it does not fit
            the tokenizer.
    """
    host = get_host()
    names = host.names("aligner")
    if source is None:
        source = shipped_aligner()
    if source is None:
        third = [name for name in names if name != "ctc"]
        if not third:
            raise PluginError(
                "this release ships no aligner weights: train an aligner "
                "(python -m uniaudio_lm.training.aligner.train) and give its folder"
            )
        source = third[0]
    if isinstance(source, str) and source in names:
        if source == "ctc":
            raise PluginError(
                "the aligner 'ctc' needs trained weights: give its folder or hub repository"
            )
        aligner = host.create("aligner", source)
    else:
        found = resolve(source, kind="aligner component", weights=False, known=names)
        aligner = load_component(host, "aligner", found.path)
    aligner = cast(Aligner, aligner).eval()
    if tokenizer is not None:
        aligner.use_tokenizer(tokenizer)
    return aligner


def fitting_aligner(tokenizer: MingTok) -> Aligner | None:
    """The shipped aligner, from the model's own latents where it fits those, else from the
    tokenizer that it was trained with; None where none is shipped."""
    if shipped_aligner() is None:
        return None
    try:
        return load_aligner(tokenizer=tokenizer)
    except UserError:
        return load_aligner()
