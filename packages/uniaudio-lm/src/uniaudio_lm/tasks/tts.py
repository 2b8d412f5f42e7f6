"""Speech from text: whole, streamed, and in batches, all by the same steps.

A text is cut into sentences, each is written out as it is said, and what fits together is said as
one piece. All pieces have one voice: the reference's, or that of the first piece. Axes: T samples,
L frames, d latent dimensions, p frames of a patch.
"""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from mingtok_audio.core.audio import resample
from mingtok_audio.core.errors import PluginError, UserError
from mingtok_audio.core.runtime import seeded_generator
from uniaudio_lm.checks import check_text
from uniaudio_lm.config import Sampling
from uniaudio_lm.interfaces import ALIGNER_RATE, Aligner, TextInfo, TextNormalizer, Word
from uniaudio_lm.model import omni_prompts, prompts
from uniaudio_lm.model.generation import Generation, Item, SeededNoise
from uniaudio_lm.model.states import join_decoding, select_decoding
from uniaudio_lm.tasks.guard import Verdict, cut, is_short, judge, limited, overdriven
from uniaudio_lm.tasks.voice import (
    Recogniser,
    Voice,
    VoicePrompt,
    prepare_voice,
    voice_of,
)
from uniaudio_lm.text.length import guess_language, is_spoken, speech_seconds
from uniaudio_lm.text.markup import plain_text
from uniaudio_lm.text.sentences import join_pieces, split_sentences
from uniaudio_lm.text.ssml import spoken_parts

if TYPE_CHECKING:
    from mingtok_audio.streaming import DecodingState
    from uniaudio_lm.model.speech_lm import SpeechLM
    from uniaudio_lm.watermarking import Marker, Watermark

__all__ = ["Job", "Speech", "SpeechStream", "VoicePrompt", "make_job", "run_jobs"]

# Speaks no slower than this many times the guess, and a little more for pauses.
_MAX_SHARE, _SLACK_SECONDS = 2.5, 2.0
_GUARDED_SHARE, _GUARDED_SECONDS = 2.0, 1.1  # of models whose takes are checked
_LONGEST_PATCHES = 200  # where nothing says how long a sound is, as in the published code


@dataclass(frozen=True)
class Speech:
    """What was said.

    Attributes:
        wav: (T,) float32 on the CPU.
        stop_reason: "stop" only where the learned head ended every piece, and each says its text;
            else what first ended one instead ("max_length", "silence", "loop"), or what is wrong
            with one: "short" (words must be missing), "long", "unclear" (not its words).
        patches: made in all.
        pieces: (text, reason) of each piece.
        overdriven: samples beyond [-1, 1] that were limited.
        spans: [start, end) of each piece in samples; pauses that were asked for lie between them.
    """

    wav: Tensor
    sample_rate: int
    stop_reason: str
    patches: int
    pieces: list[tuple[str, str]]
    overdriven: int = 0
    spans: list[tuple[int, int]] = field(default_factory=list)


@dataclass
class Job:
    """One text on its way; filled while it is said.

    Attributes:
        pauses: piece -> seconds of silence before it; after the last one, under their number.
        samples: given so far.
        spans: see `Speech`.
        marker: puts a watermark into the samples.
    """

    texts: list[str]
    voice: Voice
    noise: SeededNoise
    instruction: Mapping[str, Any] | None = None
    task: str = omni_prompts.SPEECH
    """The task sentence of a model that has several."""
    seconds: list[float | None] | None = None
    """Of each piece, as long as it should be; None where only the model knows. No list: as long as
    the texts say."""
    reasons: list[str] = field(default_factory=list)
    patches: int = 0
    overdriven: int = 0
    pauses: dict[int, float] = field(default_factory=dict)
    samples: int = 0
    spans: list[tuple[int, int]] = field(default_factory=list)
    latents: list[Tensor] = field(default_factory=list)
    """Patches (p, d) of the current piece."""
    marker: Marker | None = None

    @property
    def pieces(self) -> list[tuple[str, str]]:
        """(text, reason) of each piece that is over."""
        return list(zip(self.texts, self.reasons, strict=False))

    @property
    def stop_reason(self) -> str:
        """ "stop" where the learned head ended every piece, else what first ended one instead: a
        piece that was cut short in the middle must not go unseen. "" before the end."""
        if len(self.reasons) < len(self.texts):
            return ""
        return next((reason for reason in self.reasons if reason != "stop"), "stop")


class SpeechStream(Iterator[Tensor]):
    """The samples (m,) of one text, as soon as they are there. `result` tells how it ended."""

    def __init__(
        self, model: SpeechLM, job: Job, sampling: Sampling, guard: Guard | None = None
    ) -> None:
        self._job = job
        self.sample_rate = model.tokenizer.config.sample_rate
        self._samples = run_jobs(model, [job], sampling, guard)

    def __next__(self) -> Tensor:
        return next(self._samples)[1]

    @property
    def stop_reason(self) -> str:
        """Why speech ended (see `Speech`); "" while it has not."""
        return self._job.stop_reason

    @property
    def patches(self) -> int:
        """Made so far."""
        return self._job.patches

    @property
    def overdriven(self) -> int:
        """Samples beyond [-1, 1] so far, which were limited."""
        return self._job.overdriven

    @property
    def pieces(self) -> list[tuple[str, str]]:
        """(text, reason) of each piece that is over."""
        return self._job.pieces

    @property
    def spans(self) -> list[tuple[int, int]]:
        """See `Speech`; of the pieces that are over."""
        return self._job.spans

    def result(self, wav: Tensor) -> Speech:
        """The whole, once the stream is over."""
        return speech_of(self._job, wav, self.sample_rate)


def speech_of(job: Job, wav: Tensor, sample_rate: int) -> Speech:
    """A finished job's `Speech`."""
    return Speech(
        wav, sample_rate, job.stop_reason, job.patches, job.pieces, job.overdriven, job.spans
    )


def make_job(
    model: SpeechLM,
    text: str,
    voice: VoicePrompt | Voice | str | None,
    seed: int,
    language: str | None = None,
    *,
    normalizer: TextNormalizer | None = None,
    recognise: Recogniser | None = None,
    instruction: Mapping[str, Any] | None = None,
    watermark: Watermark | None = None,
) -> Job:
    """Check a text and a voice, and cut the text into pieces.

    Args:
        normalizer: writes the text as it is spoken; None leaves it as it is.
        recognise: see `prepare_voice`.
        instruction: how to speak; see `model.omni_prompts.caption`.
        watermark: marks the samples; None leaves them as they are.

    Raises:
        UserError: nothing to say, too much of it, or a voice that cannot be used.
    """
    spoken = () if model.phonemizer is None else model.phonemizer.languages
    check_text(text, language, spoken, model.model_id)
    if instruction and model.config.prompt_format == "uniaudio":
        raise UserError(f"model {model.model_id} takes no instructions (Ming-omni-tts does)")
    pieces, pauses = list[str](), dict[int, float]()
    for part in spoken_parts(text):
        if is_spoken(part.text):
            seconds = model.config.piece_seconds
            pieces += spoken_pieces(part.text, normalizer, seconds, language)
        if part.pause:
            pauses[len(pieces)] = pauses.get(len(pieces), 0.0) + part.pause
    made = prepare_voice(model, voice, recognise)
    how = omni_prompts.checked_instruction(instruction) if instruction else None
    rate = model.tokenizer.config.sample_rate
    marker = None if watermark is None else watermark.new_marker(rate)
    noise = SeededNoise(seeded_generator(seed))
    return Job(pieces, made, noise, how, pauses=pauses, marker=marker)


def spoken_pieces(
    text: str, normalizer: TextNormalizer | None, piece_seconds: float, language: str | None = None
) -> list[str]:
    """The text as it is said, in pieces of about `piece_seconds`.

    Each sentence is normalised in `language`, or in its own: a text may mix them. One without
    letters is in the language of the one before.
    """
    sentences = split_sentences(plain_text(text))
    if normalizer is not None:
        code = language or guess_language(text)
        for i, sentence in enumerate(sentences):
            if language is None and any(c.isalpha() for c in sentence):
                code = guess_language(sentence)
            said = normalizer.normalize(sentence, code)
            if not isinstance(said, str):
                kind = type(normalizer).__name__
                raise PluginError(f"the text normaliser {kind} gave {type(said).__name__}, no text")
            # Whatever a normaliser does not know how to say is left to the model.
            sentences[i] = " ".join(said.split()) if is_spoken(said) else sentence
    return join_pieces(sentences, piece_seconds)


@dataclass(frozen=True)
class Guard:
    """How takes are checked and made again; see `tasks.guard`.

    Attributes:
        attempts: takes of a piece, at most.
        aligner: gives an aligner, or None; called where the length of a take leaves a doubt.
    """

    attempts: int
    aligner: Callable[[], Aligner | None]


@dataclass
class _Take:
    """One way that a piece was said."""

    wav: Tensor
    latents: list[Tensor]
    reason: str
    verdict: Verdict

    @property
    def outcome(self) -> str:
        """The reason to report: "stop" for a take that says its text, whole or cut."""
        if self.verdict.problem in ("short", "unclear"):
            return self.verdict.problem
        if self.reason == "stop" and self.verdict.problem == "long" and self.verdict.end is None:
            return "long"
        return self.reason


@dataclass
class _Text:
    """A job of a `SpeechBatch`, and where it stands.

    Attributes:
        item: its number in the generation; None while it waits for its turn.
        takes: of the current piece so far; `chunks`, `patches` and `best` belong to them.
        start: the sample at which the current piece begins.
    """

    key: int
    job: Job
    item: int | None = None
    piece: int = 0
    takes: int = 0
    patches: int = 0
    chunks: list[Tensor] = field(default_factory=list)
    start: int = 0
    best: _Take | None = None


@dataclass
class _Sounding:
    """Texts whose patches go through the decoder together."""

    texts: list[_Text]
    state: DecodingState


class SpeechBatch:
    """Texts that are said together, a patch of each at a time; they join and leave in between.

    A text says the same in any company, to rounding.

    Args:
        guard: gives each piece once it is checked; a bad one is said again with other draws, and
            the best is kept. None: samples come as they are made, and a piece that is much too
            short for its text has the reason "short".
        rows: texts that are said at once. Others wait, and after each piece a text lets the one go
            ahead that has waited longest, so that long texts don't hold up short ones.
    """

    def __init__(
        self,
        model: SpeechLM,
        sampling: Sampling,
        guard: Guard | None = None,
        rows: int | None = None,
    ) -> None:
        self._model, self._guard, self._limit = model, guard, rows
        self._generation = Generation(model, sampling)
        self._waiting: deque[_Text] = deque()
        self._speaking: dict[int, _Text] = {}
        self._groups: list[_Sounding] = []
        self._next = 0
        self.failed: dict[int, Exception] = {}
        """Texts that could not be begun; they are over, and the others go on."""

    def __len__(self) -> int:
        """Texts that are not over."""
        return len(self._waiting) + len(self._speaking)

    def add(self, job: Job) -> int:
        """Add a text before the next step; the number that `step` names it by."""
        self._next += 1
        self._waiting.append(_Text(self._next, job))
        return self._next

    def remove(self, key: int) -> None:
        """Forget a text before its end."""
        self._waiting = deque(text for text in self._waiting if text.key != key)
        gone = [item for item, text in self._speaking.items() if text.key == key]
        self._generation.leave(gone)
        for item in gone:
            del self._speaking[item]

    def step(self) -> list[tuple[int, Tensor]]:
        """The next patch of every text that has its turn: (number, samples (m,)). A job whose
        `stop_reason` is set is over."""
        jobs = {text.key: text.job for text in (*self._waiting, *self._speaking.values())}
        out: list[tuple[int, Tensor]] = []
        for key, wavs in itertools.groupby(self._step(), lambda pair: pair[0]):
            marker = jobs[key].marker
            if marker is None:
                out += wavs
            else:
                out += [(key, torch.from_numpy(marker.push(wav.numpy()))) for _, wav in wavs]
        for key, job in jobs.items():
            if job.marker is not None and job.stop_reason:
                _append(out, key, torch.from_numpy(job.marker.flush()))
        return [(key, wav) for key, wav in out if len(wav)]

    @torch.no_grad()
    def _step(self) -> list[tuple[int, Tensor]]:
        said = self._begin()
        if not self._speaking:
            return said
        step = self._generation.step()
        texts, sounds = dict(self._speaking), dict[int, list[Tensor]]()
        ended = {texts[i].key for i in step.finished}
        made = set(step.items)
        # A text that ends before it makes a patch still has samples that are held back.
        over = {texts[i].key for i in step.finished if i not in made}
        self._flush(over, sounds)
        if step.patches is not None:
            self._sound([texts[i] for i in step.items], step.patches, sounds)
        self._flush(ended - over, sounds)
        for item, text in texts.items():
            wav = sounds.get(text.key)
            if wav:
                said += self._heard(text, wav[0] if len(wav) == 1 else torch.cat(wav))
            if item in step.finished:
                del self._speaking[item]
                said += self._end_take(text, step.finished[item])
        return said

    def _begin(self) -> list[tuple[int, Tensor]]:
        """Let texts begin a piece while there is room for them; the pauses before."""
        items, texts, said = [], [], list[tuple[int, Tensor]]()
        silence = self._model.silence()
        start = self._generation.feature_position
        room = math.inf if self._limit is None else self._limit - len(self._speaking)
        while self._waiting and len(items) < room:
            text = self._waiting.popleft()
            text.patches, text.job.latents, text.chunks = text.job.patches, [], []
            try:
                items.append(_item(self._model, text.job, text.piece, silence, start))
            except Exception as error:
                self.failed[text.key] = error
                continue
            texts.append(text)
            if not text.takes:
                said += self._pause(text)
                text.start = text.job.samples
            if start is None and items[0].features is not None:
                start = items[0].features.position
        for text, item in zip(texts, self._generation.join(items), strict=True):
            text.item = item
            self._speaking[item] = text
        return said

    def _pause(self, text: _Text) -> list[tuple[int, Tensor]]:
        """The silence that was asked for before a piece, or after the last one."""
        seconds = text.job.pauses.get(text.piece, 0.0)
        count = round(seconds * self._model.tokenizer.config.sample_rate)
        text.job.samples += count
        return [(text.key, torch.zeros(count))] if count else []

    def _sound(self, texts: list[_Text], patches: Tensor, sounds: dict[int, list[Tensor]]) -> None:
        """Decode patches (n, p, d)."""
        rows = {text.key: row for row, text in enumerate(texts)}
        for group in self._groups:
            self._keep(group, [t.key in rows for t in group.texts])
        self._groups = [group for group in self._groups if group.texts]
        old = {text.key for group in self._groups for text in group.texts}
        new = [text for text in texts if text.key not in old]
        if new:
            state = self._model.new_speech_state(len(new))
            if self._groups:  # to be joined with them later
                like = self._groups[0].state
                state.decoder.transformer.position = like.decoder.transformer.position
                if state.semantic is not None and like.semantic is not None:
                    state.semantic.position = like.semantic.position
            self._groups.append(_Sounding(new, state))
        self._join()
        for group in self._groups:
            chosen = patches[[rows[text.key] for text in group.texts]]
            wav = self._model.speech_step(chosen, group.state).float().cpu()
            for text, samples in zip(group.texts, wav, strict=True):
                text.job.patches += 1
                text.job.latents.append(patches[rows[text.key]])
                sounds.setdefault(text.key, []).append(samples)

    def _join(self) -> None:
        groups: list[_Sounding] = []
        for group in self._groups:
            for other in groups:
                state = join_decoding(other.state, group.state)
                if state is not None:
                    other.texts, other.state = other.texts + group.texts, state
                    break
            else:
                groups.append(group)
        self._groups = groups

    def _flush(self, keys: set[int], sounds: dict[int, list[Tensor]]) -> None:
        """Take texts out of the decoder, with the samples that it holds back."""
        if not keys:
            return
        for group in self._groups:
            going = [text.key in keys for text in group.texts]
            if any(going):
                leaving = _Sounding(list(group.texts), group.state)
                if not all(going):
                    self._keep(leaving, going)
                self._keep(group, [not g for g in going])
                tails = self._model.speech_flush(leaving.state).float().cpu()
                for text, samples in zip(leaving.texts, tails, strict=True):
                    sounds.setdefault(text.key, []).append(samples)
        self._groups = [group for group in self._groups if group.texts]

    @staticmethod
    def _keep(group: _Sounding, stay: Sequence[bool]) -> None:
        rows = [row for row, kept in enumerate(stay) if kept]
        if rows and len(rows) < len(stay):
            group.state = select_decoding(group.state, torch.tensor(rows))
        group.texts = [group.texts[row] for row in rows]

    def _heard(self, text: _Text, wav: Tensor) -> list[tuple[int, Tensor]]:
        """Samples of a take: given at once, or kept until it is judged."""
        if self._guard is not None:
            text.chunks.append(wav)
            return []
        text.job.overdriven += overdriven(wav)
        text.job.samples += len(wav)
        return [(text.key, limited(wav))]

    def _end_take(self, text: _Text, reason: str) -> list[tuple[int, Tensor]]:
        """A take is over: judge it, and go on with the next one or the next piece."""
        job, model = text.job, self._model
        said: list[tuple[int, Tensor]] = []
        text.item = None
        if self._guard is None:
            seconds = len(job.latents) * model.patch_seconds
            if model.config.attempts > 1 and reason == "stop":
                short = is_short(job.texts[text.piece], seconds, job.voice.rate)
                reason = "short" if short else reason
            job.reasons.append(reason)
        else:
            if not self._judged(text, reason, self._guard):
                self._waiting.appendleft(text)
                return []
            assert text.best is not None
            wav = _accepted(model, job, text.best)
            job.samples += len(wav)
            said.append((text.key, wav))
            text.best, text.takes = None, 0
        if job.voice.latents is None and job.latents:
            # Without a reference, the first piece gives the voice of all others.
            latents, rate = torch.cat(job.latents), model.tokenizer.frame_rate
            made = voice_of(latents, job.texts[text.piece], model.config.patch_size, rate)
            job.voice = replace(made, speaker=job.voice.speaker)
        text.chunks = []
        job.spans.append((text.start, job.samples))
        text.piece += 1
        if text.piece < len(job.texts):
            self._waiting.append(text)
        else:
            said += self._pause(text)
        return said

    def _judged(self, text: _Text, reason: str, guard: Guard) -> bool:
        """Compare a take with the best so far; False: another one has to be made."""
        job, rate = text.job, self._model.tokenizer.config.sample_rate
        wav = torch.cat([torch.zeros(0, dtype=torch.float32), *text.chunks])
        job.patches = text.patches
        verdict = judge(job.texts[text.piece], wav, rate, reason, job.voice.rate, guard.aligner)
        if text.best is None or verdict.badness < text.best.verdict.badness:
            text.best = _Take(wav, job.latents, reason, verdict)
        text.takes += 1
        return not text.best.verdict.problem or text.takes >= guard.attempts


def word_times(
    aligner: Aligner,
    pieces: Sequence[str],
    spans: Sequence[tuple[int, int]],
    wav: np.ndarray,
    sample_rate: int,
) -> list[Word]:
    """The words of speech (T,) with their times in it, as they were said ("1984" has two or
    more words).

    Args:
        pieces, spans: what was said, and between which samples; see `Speech`.
    """
    words: list[Word] = []
    for text, (start, end) in zip(pieces, spans, strict=True):
        if end <= start:
            continue
        part = resample(np.asarray(wav[start:end], dtype=np.float32), sample_rate, ALIGNER_RATE)
        begin = start / sample_rate
        found = aligner.align(part, text, guess_language(text))
        words += [replace(w, start=w.start + begin, end=w.end + begin) for w in found]
    return words


def _append(said: list[tuple[int, Tensor]], key: int, wav: Tensor) -> None:
    """Add samples to the last ones of a text."""
    for i in reversed(range(len(said))):
        if said[i][0] == key:
            said[i] = (key, torch.cat([said[i][1], wav]))
            return
    said.append((key, wav))


def run_jobs(
    model: SpeechLM, jobs: Sequence[Job], sampling: Sampling, guard: Guard | None = None
) -> Iterator[tuple[int, Tensor]]:
    """Say all jobs together: (job, samples (m,)); see `SpeechBatch`."""
    batch = SpeechBatch(model, sampling, guard)
    places = {batch.add(job): i for i, job in enumerate(jobs)}
    while len(batch):
        for key, wav in batch.step():
            yield places[key], wav
        for error in batch.failed.values():
            raise error


def _accepted(model: SpeechLM, job: Job, take: _Take) -> Tensor:
    """Make a take the job's own; its samples (m,)."""
    wav, end = take.wav, take.verdict.end
    job.latents = take.latents
    if end is not None and (take.reason != "stop" or take.verdict.problem == "long"):
        wav = cut(wav, model.tokenizer.config.sample_rate, end)
        job.latents = take.latents[: math.ceil(end / model.patch_seconds)]
    job.reasons.append(take.outcome)
    job.patches += len(job.latents)
    job.overdriven += overdriven(wav)
    return limited(wav)


def speak_batch(
    model: SpeechLM, jobs: Sequence[Job], sampling: Sampling, guard: Guard | None = None
) -> list[Speech]:
    """Say all jobs together, and give each as a whole; see `run_jobs`."""
    if not jobs:
        return []
    parts: list[list[Tensor]] = [[torch.zeros(0, dtype=torch.float32)] for _ in jobs]
    for i, wav in run_jobs(model, jobs, sampling, guard):
        parts[i].append(wav)
    rate = model.tokenizer.config.sample_rate
    return [speech_of(job, torch.cat(p), rate) for job, p in zip(jobs, parts, strict=True)]


def _item(
    model: SpeechLM, job: Job, piece: int, silence: Tensor | None, position: int | None = None
) -> Item:
    """A piece of a job for the generation.

    Args:
        position: where its feature stream stands after the voice; None: wherever it ends.
    """
    voice, text = job.voice, job.texts[piece]
    state = model.new_feature_state()
    if position is not None:
        state.position = position - (0 if voice.latents is None else voice.latents.shape[1])
    patches = [] if voice.latents is None else [model.embed_audio(voice.latents, state)[0]]
    if model.config.prompt_format == "uniaudio":
        count = sum(len(part) for part in patches)
        segments = prompts.speech(model.speakable(text), model.speakable(voice.text), count)
        prompt = prompts.encode(model.text_tokenizer, segments, join=False)
        embeds, _ = model.embed_prompt(prompt, patches)
    else:
        embeds = _omni_prompt(model, job, text, patches[0] if patches else None)
    expected = speech_seconds(text, voice.rate) if job.seconds is None else job.seconds[piece]
    share, slack = _MAX_SHARE, _SLACK_SECONDS
    if model.config.attempts > 1:
        share, slack = _GUARDED_SHARE, _GUARDED_SECONDS
    if expected is None:
        limit = getattr(model.stop_detector, "max_patches", None) or _LONGEST_PATCHES
    elif job.task == omni_prompts.SPEECH:
        limit = int((share * expected + slack) / model.patch_seconds) + 1
    else:  # a length that was asked for, to a patch
        limit = max(1, math.ceil(expected / model.patch_seconds))
    info = TextInfo(
        max_patches=limit, expected_seconds=expected, patch_seconds=model.patch_seconds,
        silence=silence,
    )  # fmt: skip
    history = None if voice.latents is None else voice.latents[0, -model.history_latents :]
    return Item(
        embeds[0], "audio", history=history, features=state, noise=job.noise, info=info,
        max_steps=limit + 1,
    )  # fmt: skip


# Captions that say who speaks stand with an empty speaker slot.
_SPEAKER_CAPTIONS = ("IP", "风格")


def _omni_prompt(model: SpeechLM, job: Job, text: str, patches: Tensor | None) -> Tensor:
    """Embeddings (1, S, D) of a prompt of Ming-omni-tts. There is no speaker slot without an
    embedding, but where the caption describes or names the speaker: then the slot is zero."""
    style = model.config.prompt_format
    caption = None
    slots: list[Tensor | None] = []
    if job.voice.speaker is not None:
        speaker = job.voice.speaker
        slots = list(speaker) if speaker.ndim == 2 else [speaker]
    if job.instruction is not None:
        caption = omni_prompts.caption(job.instruction, style)
        if not slots and any(job.instruction.get(key) is not None for key in _SPEAKER_CAPTIONS):
            slots = [None]
    asked = omni_prompts.OmniPrompt(
        text, job.task, clip_text=job.voice.text, speakers=len(slots), caption=caption,
        patches=0 if patches is None else len(patches),
    )  # fmt: skip
    return omni_prompts.embed(model, asked, slots, patches)[1]
