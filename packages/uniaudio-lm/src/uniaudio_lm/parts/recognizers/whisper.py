"""The `whisper` recogniser: any Whisper model in CTranslate2's form, by faster-whisper."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mingtok_audio.core.errors import PluginError, UserError
from uniaudio_lm.interfaces import Recognized, Recognizer


class WhisperRecognizer(Recognizer):
    """A Whisper model beside ours, to compare or to use.

    Args:
        source: a folder with `model.bin` and `tokenizer.json`, or a name or hub id that
            faster-whisper knows ("base.en", "org/name").
        beams: hypotheses of the search by default.
    """

    longest = 28.0
    pause = 1.0

    def __init__(self, source: str = "", beams: int = 5) -> None:
        super().__init__()
        if not source:
            raise UserError(
                "name the Whisper model: whisper:FOLDER or whisper:NAME (whisper:base.en)"
            )
        try:
            from faster_whisper import WhisperModel
        except ImportError as error:
            raise PluginError(
                "the recogniser 'whisper' needs its package: pip install faster-whisper"
            ) from error
        folder = Path(source).expanduser()
        if not folder.is_dir() and (folder.exists() or source.startswith((".", "/", "~"))):
            raise UserError(f"no Whisper model at {source}: give the folder that holds model.bin")
        self.beams = beams
        try:
            self._model = WhisperModel(
                str(folder) if folder.is_dir() else source,
                device="cpu",
                compute_type="int8",
                cpu_threads=1,
            )
        except (RuntimeError, ValueError, OSError) as error:
            reason = str(error).splitlines()[0]
            raise UserError(f"cannot load the Whisper model {source}: {reason}") from error

    def recognize(
        self,
        parts: Sequence[np.ndarray],
        *,
        language: str | None = None,
        hotwords: Sequence[str] = (),
        beams: int | None = None,
    ) -> list[Recognized]:
        """See `Recognizer.recognize`."""
        found = []
        for part in parts:
            segments, about = self._model.transcribe(
                np.ascontiguousarray(part, dtype=np.float32),
                language=language,
                beam_size=self.beams if beams is None else beams,
                temperature=0.0,
                condition_on_previous_text=False,
                without_timestamps=True,
                hotwords=", ".join(hotwords) or None,
            )
            text = "".join(segment.text for segment in segments).strip()
            found.append(Recognized(text, language=about.language if text else ""))
        return found
