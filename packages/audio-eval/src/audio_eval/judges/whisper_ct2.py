"""Whisper from a CTranslate2 folder, through faster-whisper."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audio_eval.interfaces import ComponentInfo, Judge, JudgeUnavailableError
from audio_eval.judges.base import need, sha256_of, version
from audio_eval.text.normalize import is_chinese, to_simplified

if TYPE_CHECKING:
    import numpy as np
    from faster_whisper import WhisperModel


class WhisperFolder(Judge):
    """Whisper, greedy, language forced, no text carried over between windows.

    Chinese comes back in simplified characters. Options:

    Args:
        path: the folder with ``model.bin``, ``config.json``, ``tokenizer.json``.
        beam_size: 1 is greedy.
        device: ``auto`` ``cpu`` ``cuda``.
        compute_type: of CTranslate2 (``default`` ``float32`` ``int8`` ``float16``).
        threads: CPU threads; 0 leaves it to the library.
    """

    info = ComponentInfo(
        name="whisper_ct2",
        version="1",
        summary="Whisper from a CTranslate2 folder (faster-whisper)",
        needs_model=True,
        extra="asr",
    )
    role = "asr"
    sample_rate = 16000
    modules = ("faster_whisper",)

    def __init__(
        self,
        path: str,
        beam_size: int = 1,
        device: str = "cpu",
        compute_type: str = "float32",
        threads: int = 1,
    ) -> None:
        self.path = Path(path)
        self.beam_size = beam_size
        self.device = device
        self.compute_type = compute_type
        self.threads = threads
        self._model: WhisperModel | None = None

    def check(self) -> None:
        if not (self.path / "model.bin").is_file():
            raise JudgeUnavailableError(
                f"{self.path} holds no model.bin (see audio-eval judges --assemble)"
            )
        need("faster_whisper", "asr")

    def identity(self) -> str:
        weights = sha256_of(self.path / "model.bin")[:16]
        library = f"faster-whisper {version('faster-whisper')}"
        settings = f"beam {self.beam_size} {self.compute_type}"
        return f"whisper_ct2/{self.info.version} {self.path.name} {weights} {library} {settings}"

    def _load(self) -> WhisperModel:
        if self._model is None:
            from faster_whisper import WhisperModel

            self._model = WhisperModel(
                str(self.path),
                device=self.device,
                compute_type=self.compute_type,
                cpu_threads=self.threads,
                local_files_only=True,
            )
        return self._model

    def evaluate(self, wav: np.ndarray, sample_rate: int, **request: Any) -> Mapping[str, Any]:
        """``{"text"}``, and ``"words"`` where asked for; see ``Judge``."""
        language = str(request.get("language") or "") or None
        words = bool(request.get("words"))
        if language:
            language = language.split("-")[0].lower()
        model = self._load()
        if not model.model.is_multilingual:
            if language not in (None, "en"):
                raise JudgeUnavailableError(
                    f"{self.path.name} recognises English only, not {language!r}"
                )
            language = "en"
        segments, info = model.transcribe(
            wav,
            language=language,
            beam_size=self.beam_size,
            temperature=0.0,
            condition_on_previous_text=False,
            word_timestamps=words,
        )
        parts = list(segments)
        chinese = is_chinese(language or info.language)
        text = "".join(part.text for part in parts).strip()
        out: dict[str, Any] = {"text": to_simplified(text) if chinese else text}
        if language is None:
            out["language"] = info.language
        if words:
            out["words"] = [
                {
                    "text": to_simplified(w.word) if chinese else w.word,
                    "start": round(float(w.start), 3),
                    "end": round(float(w.end), 3),
                }
                for part in parts
                for w in part.words or []
            ]
        return out
