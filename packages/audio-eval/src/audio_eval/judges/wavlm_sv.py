"""WavLM speaker verification through transformers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from audio_eval.interfaces import ComponentInfo, Judge
from audio_eval.judges.base import hub_folder, need, version, weights_id

if TYPE_CHECKING:
    import numpy as np


class WavLMSpeaker(Judge):
    """X-vector of a WavLM speaker-verification model, whole clip.

    The published SIM uses the UniSpeech ECAPA head on WavLM-large, which is not on the hub in a
    safe format; this is the x-vector head that transformers loads. Figures of the two are not
    comparable: the judge's name stands in every result.

    Args:
        model: hub id, ``hf://org/name@revision`` or folder.
        device: ``auto`` ``cpu`` ``cuda`` ``mps``.
    """

    info = ComponentInfo(
        name="wavlm_sv",
        version="1",
        summary="WavLM speaker verification (x-vectors) through transformers",
        needs_model=True,
        extra="speaker",
    )
    role = "speaker"
    sample_rate = 16000
    modules = ("transformers",)

    def __init__(self, model: str = "microsoft/wavlm-base-plus-sv", device: str = "auto") -> None:
        self.model = model
        self.device = device
        self._loaded: Any = None

    def check(self) -> None:
        need("transformers", "speaker")
        hub_folder(self.model)

    def identity(self) -> str:
        weights = weights_id(hub_folder(self.model))
        library = f"transformers {version('transformers')}"
        return f"wavlm_sv/{self.info.version} {self.model} {weights} {library}"

    def evaluate(self, wav: np.ndarray, sample_rate: int, **request: Any) -> Mapping[str, Any]:
        """``{"embedding"}`` of unit length (512 values)."""
        import torch

        if self._loaded is None:
            from transformers import WavLMForXVector

            from mingtok_audio.core.runtime import select_device

            model: Any = WavLMForXVector.from_pretrained(
                hub_folder(self.model), use_safetensors=True
            )
            self._loaded = model.to(select_device(self.device)).eval()
        # Some 30 ms are the least that its convolutions and pooling take.
        padded = torch.nn.functional.pad(torch.from_numpy(wav), (0, max(0, 6400 - len(wav))))
        # What the models' feature extractor does for models with layer-normalised features.
        if self._loaded.config.feat_extract_norm == "layer":
            padded = (padded - padded.mean()) / torch.sqrt(padded.var(correction=0) + 1e-7)
        with torch.inference_mode():
            found = self._loaded(padded[None].to(self._loaded.device)).embeddings[0]
        unit = torch.nn.functional.normalize(found.float(), dim=0)
        return {"embedding": [round(x, 7) for x in unit.tolist()]}
