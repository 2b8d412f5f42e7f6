"""uniaudio-edit as a `system` of audio-eval: makes the outputs of edit suites.

Only audio-eval imports this module (entry point `audio_eval.plugins`); the editor does not need it.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from audio_eval.hookspecs import hookimpl
from audio_eval.interfaces import ComponentInfo, Item, ItemFailedError, System, SystemOutput
from mingtok_audio.core.errors import UserError
from mingtok_audio.core.plugins import ComponentSpec


@hookimpl
def register_components() -> list[ComponentSpec]:
    """The system of this package."""
    return [
        ComponentSpec(
            "system",
            "uniaudio_edit",
            "uniaudio_edit.eval_system:UniaudioEdit",
            summary="edits recordings as their instructions say",
        )
    ]


class UniaudioEdit(System):
    """Carries out `Item.instruction` on `Item.source`.

    Args:
        text: whether the item's `original_text` is given to the editor (as with `--text`).
        backend, parser: by name.
        model: that speaks and recognises, a name or folder.
        which: what to do with an ambiguous instruction; "refuse" counts as failed.
        seed: of everything random.
    """

    info = ComponentInfo(
        name="uniaudio_edit",
        summary="uniaudio-edit",
        needs_source=True,
    )

    def __init__(
        self,
        text: bool = True,
        *,
        backend: str = "auto",
        parser: str = "grammar",
        model: str = "nano",
        which: str = "refuse",
        seed: int = 0,
    ) -> None:
        from uniaudio_edit.editor import Editor

        self._editor = Editor(parser=parser, backend=backend, model=model, seed=seed)
        self._options: dict[str, Any] = {
            "text": text,
            "backend": backend,
            "parser": parser,
            "model": model,
            "which": which,
            "seed": seed,
        }

    def identity(self) -> str:
        """Version and options."""
        from uniaudio_edit import __version__

        options = " ".join(f"{name}={value}" for name, value in self._options.items())
        return f"uniaudio-edit {__version__} {options}"

    def produce(self, item: Item, folder: Path) -> SystemOutput:
        """Edit one item; its word times may be given as the parameter `words`."""
        from uniaudio_edit.words import parse_words

        if item.source is None or not item.instruction:
            raise ItemFailedError("the item has no source recording or no instruction")
        began = time.perf_counter()
        raw = item.parameters.get("words")
        folder.mkdir(parents=True, exist_ok=True)
        suffix = item.source.suffix.lower()
        output = folder / f"{item.id}{suffix if suffix in ('.wav', '.flac') else '.wav'}"
        try:
            self._editor.edit_file(
                item.source,
                item.instruction,
                output,
                text=item.original_text if self._options["text"] else None,
                words=parse_words(raw, f"the words of {item.id}") if raw is not None else None,
                which=str(self._options["which"]),
            )
        except UserError as error:
            raise ItemFailedError(str(error)) from error
        return SystemOutput(audio=output, seconds=time.perf_counter() - began)
