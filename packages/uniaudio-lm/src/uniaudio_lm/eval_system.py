"""uniaudio-lm as a `system` of audio-eval: recognition, speech and copies, with one model load.

Only audio-eval imports this module (entry point `audio_eval.plugins`); the model does not need it.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audio_eval.hookspecs import hookimpl
from audio_eval.interfaces import ComponentInfo, Item, ItemFailedError, System, SystemOutput
from mingtok_audio.core.errors import UserError
from mingtok_audio.core.plugins import ComponentSpec

if TYPE_CHECKING:
    from uniaudio_lm.engine import UniAudio

_TASKS = ("asr", "context_asr", "tts", "reconstruction")


@hookimpl
def register_components() -> list[ComponentSpec]:
    """The system of this package."""
    return [
        ComponentSpec(
            "system",
            "uniaudio",
            "uniaudio_lm.eval_system:Uniaudio",
            summary="recognises, speaks and copies as each item's task says",
        )
    ]


class Uniaudio(System):
    """Does what `Item.task` says: `asr`, `context_asr` (with the item's own `entities` as words to
    expect), `tts` (in the voice of `source`, which says `prompt_text`) or `reconstruction`.

    Args:
        model: a name, a folder or a Hub id; loaded once.
        task: for items that name none.
        beams: hypotheses of the beam search; 0 is the model's own number.
        entities: False leaves an item's entity list out of the prompt.
        voice: False speaks without the item's recording.
        device: of the model.
        seed: of everything random.
    """

    info = ComponentInfo(name="uniaudio", summary="uniaudio-lm")

    def __init__(
        self,
        model: str = "nano",
        *,
        task: str = "",
        beams: int = 0,
        entities: bool = True,
        voice: bool = True,
        device: str = "cpu",
        seed: int = 0,
    ) -> None:
        if task and task not in _TASKS:
            raise UserError(f"--system uniaudio: task is one of {', '.join(_TASKS)}, not '{task}'")
        if beams < 0:
            raise UserError("--system uniaudio: beams cannot be negative")
        self._options: dict[str, Any] = {
            "model": model, "task": task, "beams": beams, "entities": entities, "voice": voice,
            "device": device, "seed": seed,
        }  # fmt: skip
        self._model: UniAudio | None = None

    def identity(self) -> str:
        """Version and options."""
        from uniaudio_lm import __version__

        options = " ".join(f"{name}={value}" for name, value in self._options.items())
        return f"uniaudio-lm {__version__} {options}"

    def produce(self, item: Item, folder: Path) -> SystemOutput:
        """See `System.produce`. The seconds leave out loading the model."""
        model = self._loaded()
        task = item.task or self._options["task"]
        began = time.perf_counter()
        try:
            if task in ("asr", "context_asr"):
                text = self._recognised(model, item)
                return SystemOutput(text=text, seconds=time.perf_counter() - began)
            if task == "tts":
                wav, rate = self._spoken(model, item)
            elif task == "reconstruction":
                wav, rate = self._copied(model, item)
            else:
                known = ", ".join(_TASKS)
                raise ItemFailedError(f"its task is '{task}'; this system does {known}")
        except UserError as error:
            raise ItemFailedError(str(error)) from error
        seconds = time.perf_counter() - began
        from audio_eval.scoring.systems import file_name
        from mingtok_audio.core.audio import save_audio

        folder.mkdir(parents=True, exist_ok=True)
        output = folder / f"{file_name(item.id)}.wav"
        save_audio(output, wav, rate)
        return SystemOutput(audio=output, seconds=seconds)

    def _loaded(self) -> UniAudio:
        if self._model is None:
            from uniaudio_lm.engine import UniAudio

            options = self._options
            self._model = UniAudio.from_pretrained(options["model"], device=options["device"])
        return self._model

    def _recognised(self, model: UniAudio, item: Item) -> str:
        wav, rate = _recording(item)
        words = item.parameters.get("entities", []) if self._options["entities"] else []
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise ItemFailedError("'entities' is not a list of strings")
        language = item.language or None
        found = model.transcribe(
            wav, rate, language, hotwords=words, beams=self._options["beams"] or None
        )
        return found.text

    def _spoken(self, model: UniAudio, item: Item) -> tuple[Any, int]:
        from mingtok_audio.core.audio import load_audio
        from uniaudio_lm.tasks.voice import VoicePrompt

        if not item.text:
            raise ItemFailedError("the item has no text to say")
        voice = None
        if item.source is not None and self._options["voice"]:
            wav, rate = load_audio(item.source)
            said = item.parameters.get("prompt_text")
            voice = VoicePrompt(wav, rate, said if isinstance(said, str) else None)
        made = model.synthesize(
            item.text, voice, seed=self._options["seed"], language=item.language or None
        )
        return made.wav.cpu().numpy(), made.sample_rate

    def _copied(self, model: UniAudio, item: Item) -> tuple[Any, int]:
        wav, rate = _recording(item)
        tokenizer = model.tokenizer
        made = tokenizer.decode(tokenizer.encode(wav, rate))
        return made[0].cpu().numpy(), tokenizer.config.sample_rate


def _recording(item: Item) -> tuple[Any, int]:
    from mingtok_audio.core.audio import load_audio

    path = item.reference or item.source
    if path is None:
        raise ItemFailedError("the item names no recording")
    return load_audio(path)
