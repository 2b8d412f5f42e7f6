"""Labels of any audio-classification model of transformers, by hub id: emotions, dialects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from audio_eval.interfaces import ComponentInfo, Judge, JudgeUnavailableError
from audio_eval.judges.base import hub_folder, need, version, weights_id

if TYPE_CHECKING:
    import numpy as np

_SHORTEST = 6400  # samples that the convolutions and the pooling of such models take


class AudioLabels(Judge):
    """The likeliest label of a recording.

    Fills the role ``emotion`` or ``dialect`` that it is chosen for. Where a metric names the closed
    set that is asked for, the likeliest of these is given; labels are compared without case.

    Args:
        model: hub id, ``hf://org/name@revision`` or folder, with its ``preprocessor_config.json``.
        device: ``auto`` ``cpu`` ``cuda`` ``mps``.
    """

    info = ComponentInfo(
        name="audio_labels",
        version="1",
        summary="an audio-classification model through transformers",
        needs_model=True,
        extra="speaker",
    )
    role = "emotion"
    sample_rate = 16000
    modules = ("transformers",)

    def __init__(self, model: str, device: str = "auto") -> None:
        self.model = model
        self.device = device
        self._loaded: Any = None

    def check(self) -> None:
        need("transformers", "speaker")
        hub_folder(self.model)

    def identity(self) -> str:
        weights = weights_id(hub_folder(self.model))
        library = f"transformers {version('transformers')}"
        return f"audio_labels/{self.info.version} {self.model} {weights} {library}"

    def evaluate(self, wav: np.ndarray, sample_rate: int, **request: Any) -> Mapping[str, Any]:
        """``{"label", "probability"}``, the probability among all labels of the model.

        Raises:
            JudgeUnavailableError: the model has none of the labels that are asked for, or wants
                another sample rate.
        """
        import numpy as np
        import torch

        if self._loaded is None:
            self._loaded = self._load()
        extractor, model = self._loaded
        rate = int(getattr(extractor, "sampling_rate", sample_rate))
        if rate != sample_rate:
            raise JudgeUnavailableError(f"{self.model} wants {rate} Hz, not {sample_rate}")
        wav = np.pad(wav, (0, max(0, _SHORTEST - len(wav))))
        inputs = extractor(wav, sampling_rate=sample_rate, return_tensors="pt")
        with torch.inference_mode():
            logits = model(**inputs.to(model.device)).logits[0].float()
        names = [str(model.config.id2label[i]) for i in range(len(logits))]
        asked = {str(label).strip().lower() for label in request.get("labels") or ()}
        chosen = [i for i, name in enumerate(names) if not asked or name.strip().lower() in asked]
        if not chosen:
            raise JudgeUnavailableError(
                f"{self.model} knows {', '.join(names)}; none of {', '.join(sorted(asked))}"
            )
        best = max(chosen, key=lambda i: float(logits[i]))
        probability = float(logits.softmax(dim=0)[best])
        return {"label": names[best], "probability": round(probability, 6)}

    def _load(self) -> tuple[Any, Any]:
        from transformers import AutoFeatureExtractor, AutoModelForAudioClassification

        from mingtok_audio.core.runtime import select_device

        folder = hub_folder(self.model)
        try:
            extractor = AutoFeatureExtractor.from_pretrained(folder)
            model: Any = AutoModelForAudioClassification.from_pretrained(
                folder, use_safetensors=True
            )
        except (OSError, ValueError) as error:
            reason = " ".join(str(error).split())[:160]
            raise JudgeUnavailableError(
                f"{self.model} is no audio-classification model of transformers ({reason})"
            ) from error
        return extractor, model.to(select_device(self.device)).eval()
