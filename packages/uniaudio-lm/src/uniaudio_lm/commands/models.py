"""Which model a command works with, and with which parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mingtok_audio.core.config import load_json
from mingtok_audio.core.models.hub import CONFIG_NAME, resolve
from uniaudio_lm.config import UniAudioConfig, parse_config
from uniaudio_lm.plugins import get_host
from uniaudio_lm.weights import MODEL_FILES, shipped_weights

if TYPE_CHECKING:
    from uniaudio_lm.engine import UniAudio


_SMALL = 60_000_000  # parameters


@dataclass(frozen=True)
class ModelAbout:
    """A model that is not loaded; `config` is None in the published layout."""

    id: str
    folder: Path
    revision: str | None
    config: UniAudioConfig | None

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages that it speaks; none: not known."""
        part = None if self.config is None else self.config.phonemizer
        return () if part is None else get_host().resolve("phonemizer", part.name).languages


@dataclass(frozen=True)
class ModelChoice:
    """A model and its parts, as the options of a command name them."""

    model: str = "nano"
    device: str = "auto"
    dtype: str = "auto"
    head: str | None = None
    stop: str | None = None
    compressor: str | None = None
    normalizer: str | None = None
    aligner: str | None = None
    recognizer: str | None = None
    device_map: str | None = None
    max_memory: str | None = None
    quantize: str | None = None
    encoder_layers: str = "all"
    threads: int | None = None
    """Of the CPU; None: one for a small model, which more only slow down, else torch's number."""

    def about(self) -> ModelAbout:
        """What its files say, without loading it. Raises `UserError` where there are none."""
        source = resolve(self.model, kind="model", builtin=shipped_weights, files=MODEL_FILES)
        path = source.path / CONFIG_NAME
        data = load_json(path)
        own = isinstance(data, Mapping) and data.get("model_type") == "uniaudio"
        config = parse_config(data, str(path)) if own else None
        return ModelAbout(source.id, source.path, source.revision, config)

    def load(self) -> UniAudio:
        """The model. Raises `UserError` in one line."""
        from mingtok_audio.core.runtime import set_threads
        from mingtok_audio.models.reference import parse_encoder_layers
        from uniaudio_lm.checkpoint.place import parse_memory
        from uniaudio_lm.engine import UniAudio

        layers = parse_encoder_layers(self.encoder_layers)
        memory = None if self.max_memory is None else parse_memory(self.max_memory)
        made = UniAudio.from_pretrained(
            self.model,
            device=self.device,
            dtype=self.dtype,
            generation_head=self.head,
            stop_detector=self.stop,
            compressor=self.compressor,
            device_map=self.device_map,
            max_memory=memory,
            quantize=self.quantize,
            encoder_layers=layers,
        )
        size = sum(parameter.numel() for parameter in made.model.parameters())
        small = size < _SMALL and made.device.type == "cpu"
        set_threads(self.threads if self.threads is not None else 1 if small else None)
        if self.normalizer is not None:
            made.use_text_normalizer(self.normalizer)
        if self.aligner is not None:
            made.use_aligner(None if self.aligner == "none" else self.aligner)
        if self.recognizer is not None:
            made.use_recognizer(self.recognizer)
        return made

    def identity(self) -> dict[str, Any]:
        """What tells this choice from another one: names, and the sizes and times of the files
        that they stand for (to hash the weights of a large model would take minutes)."""
        about = self.about()
        folders = [about.folder]
        named = (self.head, self.stop, self.compressor, self.aligner, self.recognizer)
        folders += [Path(p) for p in named if p]
        files = sorted(f for folder in folders if folder.is_dir() for f in _files(folder))
        stats = [(f.name, f.stat().st_size, f.stat().st_mtime_ns) for f in files]
        placed = ("device", "device_map", "max_memory", "threads")
        chosen = {k: v for k, v in asdict(self).items() if k not in placed}
        return {**chosen, "files": stats, "revision": about.revision}


def _files(folder: Path) -> list[Path]:
    return [f for f in folder.rglob("*") if f.suffix in (".json", ".safetensors") and f.is_file()]
