"""The models that edits may use. Each is loaded when it is first asked for.

Axes: T samples.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mingtok_audio.core.errors import UserError
from uniaudio_edit.errors import InstructionError, MissingPartError
from uniaudio_edit.pcm import Recording, to_float

if TYPE_CHECKING:
    from uniaudio_lm import Aligner, UniAudio

DEFAULT_MODEL = "nano"
SILENT = 1e-4  # of full scale

Transcriber = Callable[[np.ndarray, int], str]
"""(T,) float32 and its rate in Hz -> what is said."""


@dataclass(frozen=True)
class Take:
    """One way a model said new words, for a judge.

    Attributes:
        wav: (T,) float32, the new words alone.
        sample_rate: of all recordings here, Hz.
        text: the new words.
        excerpt: (T',) the new words between what precedes and follows them in the recording.
        excerpt_text: what is said there.
        voice: (T'',) the recording that the voice was taken from.
        stop_reason: why the model ended; "stop" where it meant to.
        expected_seconds: how long the words should take at the speaker's pace.
    """

    wav: np.ndarray
    sample_rate: int
    text: str
    excerpt: np.ndarray
    excerpt_text: str
    voice: np.ndarray
    stop_reason: str
    expected_seconds: float


Judge = Callable[[Take], float]
"""How good a take is; more is better. Never the judge that scores the results."""


@dataclass
class Parts:
    """What an editor has.

    Attributes:
        model: a uniaudio-lm model, or its name or folder. Where it only speaks, the shipped one
            recognises.
        transcriber: what recognises speech; None asks the model.
        aligner: what finds word times: an aligner, or its name; "" takes one that is there.
        judge: what chooses among takes; None makes one from the model.
        device: where a model is loaded to.
        recognizer: what recognises speech in the model's place, as `UniAudio.use_recognizer` takes
            it; "" leaves it to the model.
    """

    model: UniAudio | str | Path = DEFAULT_MODEL
    transcriber: Transcriber | None = None
    aligner: Aligner | str = ""
    judge: Judge | None = None
    device: str = "auto"
    recognizer: str = ""
    _loaded: Any = field(default=None, repr=False)
    _aligner: Any = field(default=None, repr=False)
    _listener: Any = field(default=None, repr=False)

    def lm(self, purpose: str) -> UniAudio:
        """The model; `purpose` is what it is needed for, in words.

        Raises:
            MissingPartError: it cannot be loaded; says why and what to do.
        """
        if self._loaded is None:
            if not isinstance(self.model, str | Path):
                self._loaded = self.model
                return self._loaded
            from uniaudio_lm import UniAudio

            try:
                self._loaded = UniAudio.from_pretrained(self.model, device=self.device)
            except UserError as error:
                raise MissingPartError(f"{purpose} (--model): {error}") from error
        return self._loaded

    def listener(self, purpose: str) -> UniAudio:
        """What recognises speech: the model, or the shipped one where the model only speaks.

        Raises:
            MissingPartError: neither is there.
        """
        model = self.lm(purpose)
        if self.recognizer:
            return model.use_recognizer(self.recognizer)
        if model.listens:
            return model
        if self._listener is None:
            from uniaudio_lm import UniAudio

            try:
                self._listener = UniAudio.from_pretrained(DEFAULT_MODEL, device=self.device)
            except UserError as error:
                raise MissingPartError(
                    f"{purpose}: {model.model_id} only speaks, and the shipped model, which would "
                    f"listen in its place, is missing: {error}"
                ) from error
        return self._listener

    def editing_lm(self, purpose: str) -> UniAudio:
        """The model, for what only a model trained on edits can do.

        Raises:
            MissingPartError: it is the shipped one, which is not; or it cannot be loaded.
        """
        from uniaudio_lm.checkpoint.load import shipped_weights

        try:
            shipped = isinstance(self.model, str) and shipped_weights(self.model) is not None
        except UserError as error:  # a nano that is not installed
            raise MissingPartError(f"{purpose} (--model): {error}") from error
        if shipped:
            raise MissingPartError(
                f"{purpose} (--model): the shipped model recognises and speaks, but was not "
                "trained on edits; give one that was, as a folder or hf://org/name"
            )
        return self.lm(purpose)

    @property
    def model_id(self) -> str:
        """The loaded model's name; "" where none was needed."""
        return "" if self._loaded is None else str(self._loaded.model_id)

    def word_aligner(self) -> Aligner:
        """What finds word times.

        Raises:
            MissingPartError: nothing here can; says why and what to do.
        """
        if self._aligner is None:
            if not isinstance(self.aligner, str):
                self._aligner = self.aligner
                return self._aligner
            from uniaudio_lm.parts.aligners.loading import load_aligner

            try:
                self._aligner = load_aligner(self.aligner or None)
            except UserError as error:
                if self.aligner:
                    raise
                raise MissingPartError(
                    "it is not known when each word is spoken; give the times with --words FILE "
                    f'([{{"text", "start", "end"}}, ...] in seconds), or --aligner NAME: '
                    f"{error}"
                ) from error
        return self._aligner

    def transcribe(self, recording: Recording, hotwords: Sequence[str] = ()) -> str:
        """What a recording says; `hotwords` are words to expect.

        Raises:
            InstructionError: it is silent, or nothing was recognised.
            MissingPartError: nothing here can recognise speech.
        """
        mono = mono_float(recording)
        if float(np.abs(mono).max(initial=0.0)) < SILENT:
            raise InstructionError("the recording is silent: it has no words to edit")
        text = self.recognize(mono, recording.sample_rate, hotwords).strip()
        if not text:
            raise InstructionError(
                "nothing was recognised in the recording; if it speaks, give its text with --text"
            )
        return text

    def recognize(self, wav: np.ndarray, sample_rate: int, hotwords: Sequence[str] = ()) -> str:
        """(T,) float32 -> what is said, "" where it is nothing. A `transcriber` knows no hotwords.

        Raises:
            MissingPartError: nothing here can recognise speech.
        """
        if self.transcriber is not None:
            return str(self.transcriber(wav, sample_rate))
        model = self.listener(
            "what the recording says is not known, so no words can be edited; give it with --text, "
            "or a model that recognises speech"
        )
        return model.transcribe(wav, sample_rate, hotwords=tuple(hotwords)).text


def mono_float(recording: Recording) -> np.ndarray:
    """(T,) float32 in [-1, 1), the mean of the channels."""
    return to_float(recording.pcm).mean(axis=1).astype(np.float32)


@lru_cache(maxsize=1)
def shared_parts(model: str, aligner: str, recognizer: str = "") -> Parts:
    """One for a process: the files of a folder share the loaded model."""
    return Parts(model, aligner=aligner, recognizer=recognizer)
