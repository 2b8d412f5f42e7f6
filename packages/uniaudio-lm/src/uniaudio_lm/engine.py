"""One model that recognises and speaks: what a user of the package calls.

`UniAudio` holds the network (`model.SpeechLM`) and what a task may need beside it: a text
normaliser, an aligner, a word model. The tasks themselves are functions in `uniaudio_lm.tasks`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, Unpack

import numpy as np
import torch
from torch import Tensor

from mingtok_audio.core.errors import UserError
from mingtok_audio.models.mingtok import MingTok
from mingtok_audio.models.reference import EncoderLayers
from uniaudio_lm.checkpoint.load import Room, load_model
from uniaudio_lm.checkpoint.save import save_model
from uniaudio_lm.checks import sampling_of
from uniaudio_lm.config import (
    PartConfig,
    Sampling,
    SamplingChanges,
    Task,
    UniAudioConfig,
    check_task,
)
from uniaudio_lm.interfaces import Aligner, Recognizer, TextNormalizer, Word, WordModel
from uniaudio_lm.model.speech_lm import SpeechLM
from uniaudio_lm.parts.aligners.loading import load_aligner, shipped_aligner
from uniaudio_lm.parts.normalizers import new_normalizer
from uniaudio_lm.parts.recognizers.loading import check_recognizer, load_recognizer
from uniaudio_lm.parts.watermarks import new_watermark
from uniaudio_lm.recognition.words import load_word_model
from uniaudio_lm.speaker_file import Speaker, speakers_of
from uniaudio_lm.tasks import ask as ask_task
from uniaudio_lm.tasks import asr, described, tts
from uniaudio_lm.tasks import edit as edit_task
from uniaudio_lm.tasks.likelihood import text_log_probs
from uniaudio_lm.tasks.voice import Voice, VoicePrompt, prepare_voice
from uniaudio_lm.watermarking import DEFAULT_WATERMARK, Watermark

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from uniaudio_lm.tasks.ask import Answer
    from uniaudio_lm.tasks.asr import Transcript
    from uniaudio_lm.tasks.edit import EditedSpeech
    from uniaudio_lm.tasks.tts import Speech, SpeechStream


class UniAudio:
    """A loaded model. `from_pretrained` makes one; the constructor takes a network that is there.

    Attributes:
        model: the network.
        normalizer: writes a text as it is spoken; None leaves texts as they are.
        aligner: gives recognised words their times; None: words have no times. It is not saved.
        recognizer: recognises in the language model's place; see `use_recognizer`.
        watermark: marks all speech that this object gives; None: it is not marked. It is not saved.
    """

    def __init__(
        self,
        model: SpeechLM,
        *,
        normalizer: TextNormalizer | None = None,
        aligner: Aligner | None = None,
        recognizer: Recognizer | str | Path = "model",
        watermark: Watermark | str | None = DEFAULT_WATERMARK,
    ) -> None:
        self.model = model
        self.aligner = aligner
        self.watermark = new_watermark(watermark) if isinstance(watermark, str) else watermark
        self._recognizer: Recognizer | str | Path | None = recognizer
        self.normalizer = normalizer or new_normalizer(model.config.text_normalizer)
        self._words: WordModel | None = None
        self._shipped: Aligner | Literal[False] | None = None

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | Path,
        *,
        device: str | torch.device = "cpu",
        dtype: str | torch.dtype | None = "float32",
        backbone: str | Path | None = None,
        compressor: str | Path | None = None,
        generation_head: str | Path | None = None,
        stop_detector: str | Path | None = None,
        device_map: str | Path | Mapping[str, str | int] | None = None,
        max_memory: Mapping[str | int, str | int] | None = None,
        offload_folder: str | Path | None = None,
        quantize: str | None = None,
        encoder_layers: EncoderLayers = "all",
    ) -> Self:
        """Load a folder, "org/name" or "hf://org/name@revision".

        Folders in the published layout are recognised by their config. A part can be replaced: by
        the folder or repository of a trained component, or by the name of a plugin. A name takes
        what the model has in `parts/SLOT/NAME` (nano: `generation_head="dit"`,
        `compressor="pooling"`), and random weights otherwise (for training; parts without
        parameters work at once).

        Args:
            device, dtype: of everything; None keeps the dtype of the file.
            device_map: "auto", "balanced", or a JSON file or mapping from modules of the backbone
                to "cuda:1", "cpu" or "disk": its layers are spread, all else stays on `device`.
                Needs accelerate.
            max_memory: most bytes of each device ({0: "20GB", "cpu": "60GB"}) for a map that is
                computed.
            offload_folder: where weights on disk are kept; by default a temporary folder.
            encoder_layers: of the tokenizer of Ming-omni-tts and Ming-3.0-tts; see
                `MingTok.from_pretrained`.
            quantize: "int8" keeps the backbone's matrices in 8 bits. Needs torchao.

        Raises:
            UserError: (`HubError`, `ConfigError`, `FormatError`, `PluginError`) in one line.
        """
        parts = {
            "backbone": backbone,
            "compressor": compressor,
            "generation_head": generation_head,
            "stop_detector": stop_detector,
        }
        chosen = {slot: part for slot, part in parts.items() if part is not None}
        room = Room(
            device, dtype, device_map, max_memory, offload_folder, quantize, encoder_layers
        )  # fmt: skip
        return cls(load_model(name_or_path, room, chosen))

    def save_pretrained(self, folder: str | Path) -> Path:
        """Write a model folder: config, weights (in shards where they are large), text tokenizer,
        the speech tokenizer's folder, and the speakers and word model of the folder that this
        model was read from.

        Raises:
            UserError: some weights are quantised or offloaded, or the file system refuses.
        """
        return save_model(self.model, Path(folder))

    # --- what it is made of ----------------------------------------------------------------------

    @property
    def config(self) -> UniAudioConfig:
        """The model's config."""
        return self.model.config

    @property
    def tokenizer(self) -> MingTok:
        """The speech tokenizer."""
        return self.model.tokenizer

    @property
    def model_id(self) -> str:
        """The model's name, for reports."""
        return self.model.model_id

    @property
    def folder(self) -> Path | None:
        """The folder that the model was read from; None for a fresh one."""
        return self.model.folder

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.model.device

    @property
    def words(self) -> WordModel | None:
        """The word model of recognition, read when it is first needed; None where the config names
        none.

        Raises:
            UserError: (`FormatError`, `PluginError`) it cannot be read.
        """
        part = self.config.recognition.word_model
        if self._words is None and part is not None and self.folder is not None:
            self._words = load_word_model(part, self.folder)
        return self._words

    @property
    def recognizer(self) -> Recognizer | None:
        """What recognises speech, read when it is first needed; None: the language model.

        Raises:
            UserError: (`HubError`, `ConfigError`, `FormatError`, `PluginError`) it cannot be read.
        """
        if isinstance(self._recognizer, str | Path):
            found = load_recognizer(self._recognizer, self.config, self.folder, self.tokenizer)
            self._recognizer = found if found is None else found.to(self.device)
        return self._recognizer

    def use_recognizer(self, recognizer: Recognizer | str | Path | None) -> Self:
        """Take a recogniser: an object, "model" (what the config names), "lm" or None (the language
        model), "reader", "whisper:FOLDER_OR_NAME", or a component's folder or repository. It is not
        saved with the model.

        Raises:
            UserError: there is no such recogniser.
        """
        if isinstance(recognizer, str | Path):
            check_recognizer(str(recognizer), self.folder)
        self._recognizer = recognizer
        return self

    def check_task(self, task: Task) -> None:
        """Refuse what the model was not trained for, where its config states that (`UserError`)."""
        check_task(task, self.config, self.model_id)

    def use_aligner(self, aligner: Aligner | str | Path | None) -> Self:
        """Take an aligner: an object, or a folder, a repository or a plugin's name; None takes the
        present one away. It is not saved with the model."""
        if isinstance(aligner, str | Path):
            aligner = load_aligner(aligner, tokenizer=self.tokenizer)
        self.aligner = aligner
        return self

    def use_text_normalizer(self, normalizer: TextNormalizer | PartConfig | str | None) -> Self:
        """Take a text normaliser: an object, or a plugin's name; None or "none" takes the present
        one away.

        Raises:
            PluginError: no such plugin.
        """
        if normalizer == "none":
            normalizer = None
        if isinstance(normalizer, str):
            normalizer = PartConfig(normalizer)
        if isinstance(normalizer, PartConfig):
            normalizer = new_normalizer(normalizer)
        self.normalizer = normalizer
        return self

    def use_watermark(self, watermark: Watermark | str | None) -> Self:
        """Take a watermark: an object, or a plugin's name; None takes the present one away.

        Raises:
            PluginError: no such plugin.
        """
        self.watermark = new_watermark(watermark) if isinstance(watermark, str) else watermark
        return self

    def speakers(self) -> list[Speaker]:
        """The voices in the model's folder; `synthesize(..., voice="name")` takes one."""
        found = speakers_of(self.folder)
        return [] if found is None else list(found.speakers.values())

    # --- speech to text --------------------------------------------------------------------------

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
        """Recognise a recording (T,) of any length and rate. The same input gives the same text.

        Args:
            language: what the answer is made to begin with, in the words that the model was
                trained with; None leaves it to the model.
            hotwords: words to expect. Each matched token adds nats to a hypothesis (the config's
                `hotword_boost`); the language model has them in its prompt too, in the published
                wording.
            beams: hypotheses of the beam search; None: the config's number.
            word_weight: weight of the word model, where the language model recognises; None: the
                config's.

        Returns:
            a `Transcript`; its words have times where the model has an `aligner`.

        Raises:
            AudioError: an empty recording, or NaN or infinite samples.
        """
        options = asr.RecognitionOptions(language, tuple(hotwords), beams, word_weight)
        return self._transcribe([wav], [sample_rate], options)[0]

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
        options = asr.RecognitionOptions(language, tuple(hotwords), beams, word_weight)
        return self._transcribe(wavs, sample_rates, options)

    @property
    def listens(self) -> bool:
        """Whether the model recognises speech; Ming-omni-tts and Ming-3.0-tts speak only."""
        tasks = self.config.tasks
        return self.config.prompt_format == "uniaudio" and (tasks is None or "recognition" in tasks)

    def _check_listens(self) -> None:
        """Refuse a task that reads a recording where the model was trained to speak only."""
        if self.config.prompt_format != "uniaudio":
            raise UserError(
                f"model {self.model_id} speaks only: it recognises and edits nothing; use another "
                "model for that (nano)"
            )

    def _transcribe(
        self,
        wavs: Sequence[ArrayLike | Tensor],
        sample_rates: Sequence[int],
        options: asr.RecognitionOptions,
    ) -> list[Transcript]:
        options, parts = self._recognition(options)
        return asr.transcribe_batch(self.model, wavs, sample_rates, options, **parts)

    def _recognition(
        self, options: asr.RecognitionOptions
    ) -> tuple[asr.RecognitionOptions, dict[str, Any]]:
        """Options with the model's defaults, and what recognition uses beside the network."""
        recognizer, words = self.recognizer, None
        if recognizer is None:
            self._check_listens()
            options = options.completed(self.config.recognition, self.model_id)
            words = self.words if options.word_weight else None
        return options, {"words": words, "aligner": self.aligner, "recognizer": recognizer}

    def transcribe_stream(
        self,
        wav: ArrayLike | Tensor,
        sample_rate: int,
        language: str | None = None,
        hotwords: Sequence[str] = (),
    ) -> Iterator[Transcript]:
        """Recognise a recording (T,) segment by segment: a `Transcript` of each as soon as it is
        there. `tasks.asr.join_transcripts` makes of them what `transcribe` gives.

        Raises:
            AudioError: see `transcribe`.
        """
        options, parts = self._recognition(asr.RecognitionOptions(language, tuple(hotwords)))
        return asr.transcribe_segments(self.model, wav, sample_rate, options, **parts)

    def log_likelihood(
        self, wav: ArrayLike | Tensor, sample_rate: int, text: str, language: str | None = None
    ) -> float:
        """How likely recognition finds that a recording (T,) of at most 30 s says `text`: the mean
        log-probability, in nats, of the text's tokens and its end (0 is certainty).

        It ranks several texts of one recording, or several recordings of one text. `language` is as
        in `transcribe`.

        Raises:
            UserError: an empty text, a longer recording, (`AudioError`) one that `transcribe`
                refuses.
        """
        self._check_listens()
        return float(text_log_probs(self.model, wav, sample_rate, text, language).mean())

    def ask(
        self,
        wav: ArrayLike | Tensor,
        sample_rate: int,
        prompt: str | None,
        *,
        history: Sequence[tuple[str | None, str]] = (),
        max_tokens: int = 512,
    ) -> Answer:
        """Ask anything about a recording (T,) of any rate.

        Args:
            prompt: as text; it comes before the recording, as in recognition. None: the recording
                itself asks.
            history: questions about the same recording and their answers, before this one. The
                recording then stands with the first question.
            max_tokens: of an answer; `Answer.truncated` tells that it was cut there.

        Raises:
            UserError: an empty prompt, or a recording that cannot be used.
        """
        self.check_task("questions")
        self._check_listens()
        return ask_task.ask(self.model, wav, sample_rate, prompt, history, max_tokens)

    def chat(self, messages: Sequence[Mapping[str, Any]], *, max_tokens: int = 512) -> Answer:
        """Answer a conversation: messages `{"role": "HUMAN" | "ASSISTANT", "content": [...]}` with
        parts `{"type": "text", "text": ...}` and `{"type": "audio", "audio": (T,), "sample_rate":
        Hz}`, in any order and any number of turns."""
        self.check_task("questions")
        self._check_listens()
        return ask_task.chat(self.model, messages, max_tokens)

    # --- text to speech --------------------------------------------------------------------------

    def sampling(
        self, given: Sampling | None = None, **changes: Unpack[SamplingChanges]
    ) -> Sampling:
        """`given`, or the model's own sampling, with some fields changed.

        Raises:
            UserError: a value out of range.
        """
        return sampling_of(self.config.sampling if given is None else given, **changes)

    def prepare_voice(self, voice: VoicePrompt | Voice | str | None) -> Voice:
        """A recording or the name of a speaker, encoded once for many texts.

        Raises:
            UserError: no such speaker, (`AudioError`) a recording that cannot be used.
        """
        return prepare_voice(self.model, voice, self.recognise)

    def recognise(self, wav: ArrayLike | Tensor, sample_rate: int) -> str:
        """The text of a recording, as `transcribe` gives it."""
        return self.transcribe(wav, sample_rate).text

    def job(
        self,
        text: str,
        voice: VoicePrompt | Voice | str | None = None,
        *,
        seed: int = 0,
        language: str | None = None,
        instruction: Mapping[str, Any] | None = None,
        marked: bool = True,
    ) -> tts.Job:
        """A text that is checked and ready for `tasks.tts.run_jobs`; see `synthesize_stream`."""
        self.check_task("speech")
        return tts.make_job(
            self.model,
            text,
            voice,
            seed,
            language,
            normalizer=self.normalizer,
            recognise=self.recognise,
            instruction=instruction,
            watermark=self.watermark if marked else None,
        )

    def guard(self) -> tts.Guard | None:
        """How takes are checked; None where the config asks for one attempt."""
        attempts = self.config.attempts
        return None if attempts == 1 else tts.Guard(attempts, self._judging_aligner)

    def _judging_aligner(self) -> Aligner | None:
        """The model's aligner, else the shipped one where it reads this tokenizer's latents."""
        if self.aligner is None and self._shipped is None and shipped_aligner() is not None:
            try:
                self._shipped = load_aligner(tokenizer=self.tokenizer)
            except UserError:
                self._shipped = False
        return self.aligner or self._shipped or None

    def synthesize_stream(
        self,
        text: str,
        voice: VoicePrompt | Voice | str | None = None,
        *,
        seed: int = 0,
        language: str | None = None,
        instruction: Mapping[str, Any] | None = None,
        checked: bool = False,
        marked: bool = True,
        sampling: Sampling | None = None,
        **changes: Unpack[SamplingChanges],
    ) -> SpeechStream:
        """Say a text: an iterator over samples (m,), as soon as they are made.

        Args:
            voice: to imitate: a recording, a voice of `prepare_voice`, or the name of a speaker of
                the model; None leaves it to the model and the seed.
            seed: of all random draws; the same on every device.
            language: a code ("en", "zh") for the text normaliser; by default each sentence's own.
            instruction: how to speak, for models that take one (Ming-omni-tts): keys such as
                emotion, dialect, speed, pitch, volume, style, ip; see
                `model.omni_prompts.caption`.
            checked: give the samples of a piece once it is complete and checked, see `synthesize`,
                instead of at once.
            marked: whether the `watermark` is put in; False is for samples that are changed again
                and marked then.
            sampling: of the generation head; the model's own by default. Single fields can be
                changed by keyword: `num_steps`, `cfg_scale`, `temperature`, `noise_scale`.

        Raises:
            UserError: nothing to say, a value out of range, or a voice that cannot be used. At
                once, not at the first piece.
        """
        chosen = self.sampling(sampling, **changes)
        job = self.job(
            text, voice, seed=seed, language=language, instruction=instruction, marked=marked
        )
        return tts.SpeechStream(self.model, job, chosen, self.guard() if checked else None)

    def synthesize(
        self,
        text: str,
        voice: VoicePrompt | Voice | str | None = None,
        *,
        seed: int = 0,
        language: str | None = None,
        instruction: Mapping[str, Any] | None = None,
        sampling: Sampling | None = None,
        **changes: Unpack[SamplingChanges],
    ) -> Speech:
        """Say a text, as a whole.

        What `synthesize_stream` gives, unless a piece of it is too short, too long, unclear or
        overdriven: models whose config has `attempts` say such a piece again with other draws, and
        `Speech.stop_reason` tells where none was good."""
        chosen = self.sampling(sampling, **changes)
        job = self.job(text, voice, seed=seed, language=language, instruction=instruction)
        return tts.speak_batch(self.model, [job], chosen, self.guard())[0]

    def synthesize_batch(
        self,
        texts: Sequence[str],
        voices: Sequence[VoicePrompt | Voice | str | None] | None = None,
        *,
        seeds: Sequence[int] | None = None,
        language: str | None = None,
        marked: bool = True,
        sampling: Sampling | None = None,
        **changes: Unpack[SamplingChanges],
    ) -> list[Speech]:
        """Say several texts together; each as `synthesize` says it alone, to rounding.

        `voices` and `seeds` are one for each text; by default no voice and seed 0. `marked` is as
        in `synthesize_stream`.
        """
        voices = [None] * len(texts) if voices is None else voices
        seeds = [0] * len(texts) if seeds is None else seeds
        if not len(texts) == len(voices) == len(seeds):
            raise UserError("give as many voices and seeds as texts")
        chosen = self.sampling(sampling, **changes)
        jobs = [
            self.job(text, voice, seed=seed, language=language, marked=marked)
            for text, voice, seed in zip(texts, voices, seeds, strict=True)
        ]
        return tts.speak_batch(self.model, jobs, chosen, self.guard())

    def dialogue(
        self,
        turns: Sequence[tuple[str, str]],
        voices: Mapping[str, VoicePrompt] | None = None,
        *,
        seed: int = 0,
        sampling: Sampling | None = None,
        **changes: Unpack[SamplingChanges],
    ) -> Speech:
        """Let two voices or more speak in turn (Ming-omni-tts, Ming-3.0-tts).

        Args:
            turns: (name, text), in order.
            voices: a recording for each name; with what it says for all of them, or for none. None
                leaves the voices to the model and the seed.
            seed, sampling, changes: as for `synthesize_stream`.

        Raises:
            UserError: a model that speaks with one voice, fewer than two names, a name without
                a voice, or a voice that cannot be used.
        """
        job = described.dialogue_job(
            self.model,
            turns,
            voices or {},
            seed,
            normalizer=self.normalizer,
            watermark=self.watermark,
        )
        return tts.speak_batch(self.model, [job], self.sampling(sampling, **changes))[0]

    def sound(
        self,
        description: str,
        *,
        seconds: float | None = None,
        seed: int = 0,
        sampling: Sampling | None = None,
        **changes: Unpack[SamplingChanges],
    ) -> Speech:
        """Make a sound from its description (Ming-omni-tts).

        Args:
            seconds: its most; None leaves the end to the model.
            sampling: by default that of the published example: guidance 4.5 and noise between the
                solver's steps.

        Raises:
            UserError: a model that was not trained on sounds, an empty description, or a length
                that cannot be.
        """
        chosen = self.sampling(sampling or described.SOUND_SAMPLING, **changes)
        job = described.sound_job(self.model, description, seconds, seed)
        return tts.speak_batch(self.model, [job], chosen)[0]

    def music(
        self,
        *,
        genre: str,
        mood: str,
        instrument: str,
        theme: str,
        seconds: float = 30.0,
        seed: int = 0,
        sampling: Sampling | None = None,
        **changes: Unpack[SamplingChanges],
    ) -> Speech:
        """Make music of about `seconds`, and no more, from five words about it (Ming-omni-tts).

        Raises:
            UserError: as `sound`.
        """
        chosen = self.sampling(sampling, **changes)
        job = described.music_job(self.model, genre, mood, instrument, theme, seconds, seed)
        return tts.speak_batch(self.model, [job], chosen)[0]

    def word_times(
        self, said: tts.Speech | tts.SpeechStream | tts.Job, wav: ArrayLike
    ) -> list[Word]:
        """The words of speech with their times in seconds, as they were said.

        Args:
            said: what `synthesize` gave, or a stream or job that is over.
            wav: (T,) its samples.

        Raises:
            UserError: there is no aligner for this model.
        """
        aligner = self._judging_aligner()
        if aligner is None:
            raise UserError(
                f"model {self.model_id} has no aligner, so the words of its speech have no times"
            )
        pieces = [text for text, _ in said.pieces]
        rate = self.tokenizer.config.sample_rate
        return tts.word_times(aligner, pieces, said.spans, np.asarray(wav), rate)

    # --- speech to speech ------------------------------------------------------------------------

    def edit(
        self,
        wav: ArrayLike | Tensor,
        sample_rate: int,
        instruction: str,
        *,
        use_cot: bool = True,
        seed: int = 0,
        sampling: Sampling | None = None,
        **changes: Unpack[SamplingChanges],
    ) -> EditedSpeech:
        """Change a recording (T,) as an instruction says; the whole of it is generated again.

        Args:
            instruction: the sentence that the model was trained with, taken as it stands.
            use_cot: let the model write the new text first: for edits of words. False for edits
                of the sound.
            seed, sampling, changes: as for `synthesize_stream`.

        Raises:
            UserError: (`AudioError`) an empty instruction, a recording that cannot be edited, or a
                model that wrote text only and no speech.
        """
        self.check_task("edits")
        self._check_listens()
        chosen = self.sampling(sampling, **changes)
        made = edit_task.edit(
            self.model, wav, sample_rate, instruction, use_cot=use_cot, seed=seed, sampling=chosen
        )
        if self.watermark is None:
            return made
        marked = self.watermark.mark(made.wav.numpy(), made.sample_rate)
        return replace(made, wav=torch.from_numpy(marked))
