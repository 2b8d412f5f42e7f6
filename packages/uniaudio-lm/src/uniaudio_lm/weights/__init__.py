"""Weights that ship with the package. No torch here: `info` and `doctor` only look at files."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from mingtok_audio.core.errors import HubError

NEWEST_NANO = "nano-v2"
PARTS_FOLDER = "parts"
"""Of a model folder: `parts/SLOT/NAME` holds a component that was trained for this model, and is
what the plugin's name stands for in `from_pretrained(..., SLOT=NAME)`."""


def shipped_folder() -> Path:
    """Where the newest shipped language model lies, whether or not it is there."""
    return Path(str(resources.files("uniaudio_lm") / "weights" / "nano"))


SPEAKER_MODEL = "campplus.onnx"
"""Of a model folder: the speaker model of Ming-omni-tts, as its repository names it."""
MODEL_FILES = ("tokenizer.json", "speakers.safetensors?", f"{SPEAKER_MODEL}?")
"""Fetched from a hub beside the config and the weights; one that ends in "?" may be missing."""


def shipped_weights(name: str) -> Path | None:
    """Folder of the model that ships with the package: "nano" (the newest) or its version.

    Raises:
        HubError: a nano that this installation does not have.
    """
    if name != "nano" and not name.startswith("nano-"):
        return None
    folder = shipped_folder()
    if name in ("nano", NEWEST_NANO) and (folder / "config.json").is_file():
        return folder
    raise HubError(
        f"this installation of uniaudio-lm holds no model '{name}': give a model folder or "
        "hf://org/name"
    )
