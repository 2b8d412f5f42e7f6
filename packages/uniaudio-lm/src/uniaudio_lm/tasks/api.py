"""What users ask a model for: the methods of `UniAudio` that hear and speak."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

import torch
from torch import Tensor

from mingtok_audio.core.errors import UserError
from uniaudio_lm.config import PartConfig

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from uniaudio_lm.interfaces import Aligner, TextNormalizer
    from uniaudio_lm.models.uniaudio import UniAudio
    from uniaudio_lm.speakers import Speaker
    from uniaudio_lm.tasks.ask import Answer
    from uniaudio_lm.tasks.asr import Transcript
    from uniaudio_lm.tasks.tts import Speech, SpeechStream
    from uniaudio_lm.tasks.voice import Voice, VoicePrompt


class TaskMethods:
    """Recognition, questions, and speech; mixed into `UniAudio`.

    Attributes:
        text_normalizer: writes a text as it is said before it is spoken; None leaves it.
    """

    text_normalizer: TextNormalizer | None = None
    _aligner: Aligner | None = None

    @property
    def aligner(self) -> Aligner | None:
        """Gives recognised words their times; None where there is none."""
        return self._aligner

    def use_aligner(self, aligner: Aligner | str | Path | None) -> Self:
        """Take an aligner: one that is made, or a folder, a repository or a plugin's name; None
        takes it away. It is not saved with the model."""
        from uniaudio_lm.aligners import load_aligner

        if isinstance(aligner, str | Path):
            aligner = load_aligner(aligner, tokenizer=cast("UniAudio", self).tokenizer)
        # Past nn.Module, which would make it a part with weights of the model's own.
        self.__dict__["_aligner"] = aligner
        return self

    def use_text_normalizer(self, normalizer: TextNormalizer | PartConfig | str | None) -> Self:
        """Take a text normaliser: one that is made, or a plugin's name; None or "none" takes it
        away.

        Raises:
            PluginError: no such plugin.
        """
        from uniaudio_lm.plugins import get_host

        if normalizer == "none":
            normalizer = None
        if isinstance(normalizer, str):
            normalizer = PartConfig(normalizer)
        if isinstance(normalizer, PartConfig):
            made = get_host().create("text_normalizer", normalizer.name, **normalizer.options)
            normalizer = cast("TextNormalizer", made)
        self.text_normalizer = normalizer
        return self

    def speakers(self) -> list[Speaker]:
        """The voices that the model's folder holds; `synthesize(..., voice="name")` takes one."""
        from uniaudio_lm.speakers import speakers_of

        found = speakers_of(cast("UniAudio", self).folder)
        return [] if found is None else list(found.speakers.values())

    def transcribe(
        self,
        wav: ArrayLike | Tensor,
        sample_rate: int,
        language: str | None = None,
        hotwords: Sequence[str] = (),
        beams: int | None = None,
        *,
        word_weight: float | None = None,
    ) -> Transcript:
        """What is said in a recording (T,) of any length and rate.

        `language` is what the answer is made to begin with, in the words that the model was
        trained with; `hotwords` are put into the prompt in the published wording, and earn a text
        that says them the `hotword_boost` of the model's config. `beams` texts are followed at
        once (None: as many as the config says); `word_weight` is what known words count (None: the
        config's, where the model has `words.xz`). The same input gives the same text. Words have
        times where the model has an `aligner`. Raises `AudioError` for empty or non-finite audio.
        """
        return self.transcribe_batch(
            [wav], [sample_rate], language, hotwords, beams, word_weight=word_weight
        )[0]

    def transcribe_batch(
        self,
        wavs: Sequence[ArrayLike | Tensor],
        sample_rates: Sequence[int],
        language: str | None = None,
        hotwords: Sequence[str] = (),
        beams: int | None = None,
        *,
        word_weight: float | None = None,
    ) -> list[Transcript]:
        """Several recordings together; each as `transcribe` gives it alone."""
        from uniaudio_lm.tasks.asr import transcribe_batch

        model = cast("UniAudio", self)
        return transcribe_batch(
            model, wavs, sample_rates, language, hotwords, beams, word_weight=word_weight
        )

    def log_likelihood(
        self,
        wav: ArrayLike | Tensor,
        sample_rate: int,
        text: str,
        language: str | None = None,
    ) -> float:
        """How likely recognition finds that a recording (T,) of at most 30 s says `text`: the mean
        log-probability, in nats, of the text's tokens and its end (0 would be certainty).

        It ranks several texts of one recording, or several recordings of one text. `language` is
        what the answer is made to begin with, as in `transcribe`; None leaves it to the model.
        Raises `UserError` for an empty text or a longer recording, `AudioError` as `transcribe`.
        """
        from uniaudio_lm.tasks.likelihood import text_log_probs

        found = text_log_probs(cast("UniAudio", self), wav, sample_rate, text, language)
        return float(found.mean())

    def ask(
        self,
        wav: ArrayLike | Tensor,
        sample_rate: int,
        prompt: str,
        *,
        history: Sequence[tuple[str, str]] = (),
        max_tokens: int = 512,
    ) -> Answer:
        """Ask anything about a recording (T,) of any rate.

        Args:
            prompt: as text; it stands before the recording, as in recognition.
            history: questions about the same recording and their answers, before this one. The
                recording then stands with the first question.
            max_tokens: at which the answer is cut; `Answer.truncated` says so.

        Raises:
            UserError: an empty prompt, or a recording that cannot be used.
        """
        from uniaudio_lm.tasks.ask import ask

        return ask(cast("UniAudio", self), wav, sample_rate, prompt, history, max_tokens)

    def chat(self, messages: Sequence[Mapping[str, Any]], *, max_tokens: int = 512) -> Answer:
        """Answer a conversation: messages `{"role": "HUMAN" | "ASSISTANT", "content": [...]}` with
        parts `{"type": "text", "text": ...}` and `{"type": "audio", "audio": (T,), "sample_rate":
        Hz}`, in any order and any number of turns."""
        from uniaudio_lm.tasks.ask import chat

        return chat(cast("UniAudio", self), messages, max_tokens)

    def synthesize_stream(
        self,
        text: str,
        voice: VoicePrompt | Voice | str | None = None,
        *,
        seed: int = 0,
        language: str | None = None,
        num_steps: int | None = None,
        cfg_scale: float | None = None,
        temperature: float | None = None,
        noise_scale: float | None = None,
    ) -> SpeechStream:
        """Say a text: an iterator over samples (m,), as soon as they are made.

        Args:
            voice: to imitate: a recording, one that was prepared (`tasks.voice.prepare_voice`), or
                the name of a speaker of the model; None leaves it to the model and the seed.
            seed: of all draws; the same on every device.
            language: a code ("en", "zh") for the text normaliser; by default each sentence's own.
            num_steps, cfg_scale, temperature: of the generation head; the model's own by default.
            noise_scale: of the noise that a patch begins as, 0 to 2; the model's own by default.

        Raises:
            UserError: nothing to say, or a voice that cannot be used. At once, not at the first
                piece.
        """
        from uniaudio_lm.tasks.tts import SpeechStream, make_job, sampling_of

        model = cast("UniAudio", self)
        sampling = sampling_of(model, num_steps, cfg_scale, temperature, noise_scale)
        return SpeechStream(model, make_job(model, text, voice, seed, language), sampling)

    def synthesize(
        self,
        text: str,
        voice: VoicePrompt | Voice | str | None = None,
        *,
        seed: int = 0,
        language: str | None = None,
        num_steps: int | None = None,
        cfg_scale: float | None = None,
        temperature: float | None = None,
        noise_scale: float | None = None,
    ) -> Speech:
        """Say a text; what `synthesize_stream` gives, as a whole."""
        stream = self.synthesize_stream(
            text, voice, seed=seed, language=language, num_steps=num_steps, cfg_scale=cfg_scale,
            temperature=temperature, noise_scale=noise_scale,
        )  # fmt: skip
        return stream.result(torch.cat([torch.zeros(0), *stream]))

    def synthesize_batch(
        self,
        texts: Sequence[str],
        voices: Sequence[VoicePrompt | Voice | str | None] | None = None,
        *,
        seeds: Sequence[int] | None = None,
        language: str | None = None,
        num_steps: int | None = None,
        cfg_scale: float | None = None,
        temperature: float | None = None,
        noise_scale: float | None = None,
    ) -> list[Speech]:
        """Say several texts together; each as `synthesize` says it alone, to rounding.

        `voices` and `seeds` are one for each text; by default no voice and seed 0.
        """
        from uniaudio_lm.tasks.tts import make_job, run_jobs, sampling_of, speech_of

        model = cast("UniAudio", self)
        voices = [None] * len(texts) if voices is None else voices
        seeds = [0] * len(texts) if seeds is None else seeds
        if not len(texts) == len(voices) == len(seeds):
            raise UserError("texts, voices and seeds must be as many of each")
        if not texts:
            return []
        sampling = sampling_of(model, num_steps, cfg_scale, temperature, noise_scale)
        jobs = [make_job(model, *job, language) for job in zip(texts, voices, seeds, strict=True)]
        parts: list[list[Tensor]] = [[torch.zeros(0)] for _ in jobs]
        for i, wav in run_jobs(model, jobs, sampling):
            parts[i].append(wav)
        rate = model.tokenizer.config.sample_rate
        return [speech_of(job, torch.cat(p), rate) for job, p in zip(jobs, parts, strict=True)]
