"""Whisper by hub id, through transformers: the default judge where a model hub can be reached."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from audio_eval.interfaces import ComponentInfo, Judge, JudgeUnavailableError
from audio_eval.judges.base import hub_folder, need, version, weights_id
from audio_eval.text.normalize import is_chinese, to_simplified

if TYPE_CHECKING:
    import numpy as np

_WINDOW_SECONDS = 30.0


class WhisperHub(Judge):
    """Whisper from a hub repository (or local folder) of safetensors, greedy, language forced.

    The published benchmark's setting: ``openai/whisper-large-v3``, one 30 s window; longer clips
    are read window by window. A repository in CTranslate2 format (it holds a ``model.bin``) goes
    through faster-whisper: give its folder to the judge ``whisper_ct2``.

    Args:
        model: hub id, ``hf://org/name@revision`` or folder.
        device: ``auto`` ``cpu`` ``cuda`` ``mps``.
    """

    info = ComponentInfo(
        name="whisper",
        version="1",
        summary="Whisper by hub id, through transformers",
        needs_model=True,
        extra="asr",
    )
    role = "asr"
    sample_rate = 16000
    modules = ("transformers",)

    def __init__(self, model: str = "openai/whisper-large-v3", device: str = "auto") -> None:
        self.model = model
        self.device = device
        self._loaded: tuple[Any, Any] | None = None

    def check(self) -> None:
        need("transformers", "asr")
        hub_folder(self.model)

    def identity(self) -> str:
        weights = weights_id(hub_folder(self.model))
        library = f"transformers {version('transformers')}"
        return f"whisper/{self.info.version} {self.model} {weights} {library}"

    def _load(self) -> tuple[Any, Any]:
        if self._loaded is None:
            from transformers import AutoProcessor, WhisperForConditionalGeneration

            from mingtok_audio.core.runtime import select_device

            folder = hub_folder(self.model)
            processor = AutoProcessor.from_pretrained(folder)
            model: Any = WhisperForConditionalGeneration.from_pretrained(
                folder, use_safetensors=True
            )
            self._loaded = (processor, model.to(select_device(self.device)).eval())
        return self._loaded

    def evaluate(self, wav: np.ndarray, sample_rate: int, **request: Any) -> Mapping[str, Any]:
        """``{"text"}``; word times are not given."""
        import torch

        processor, model = self._load()
        language = str(request.get("language") or "").split("-")[0].lower() or None
        if not getattr(model.generation_config, "is_multilingual", True):
            # An English-only Whisper refuses to be told a language.
            if language not in (None, "en"):
                raise JudgeUnavailableError(
                    f"{self.model} recognises English only, not {language!r}"
                )
            language = None
        step = int(_WINDOW_SECONDS * sample_rate)
        texts = []
        for start in range(0, len(wav), step):
            features = processor(
                wav[start : start + step], sampling_rate=sample_rate, return_tensors="pt"
            ).input_features.to(model.device)
            forced = {"language": language, "task": "transcribe"} if language else {}
            with torch.inference_mode():
                tokens = model.generate(features, num_beams=1, do_sample=False, **forced)
            texts.append(processor.batch_decode(tokens, skip_special_tokens=True)[0].strip())
        text = " ".join(texts)
        return {"text": to_simplified(text) if language and is_chinese(language) else text}
