"""Speech from text: whole, streamed, and in batches, all by the same steps.

A text is cut into sentences, each is written out as it is said, and what fits together is said as
one piece. All pieces have one voice: the reference's, or that of the first piece. Axes: T samples,
L frames, d latent dimensions, p frames of a patch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from mingtok_audio.core.errors import PluginError, UserError
from mingtok_audio.core.runtime import seeded_generator
from uniaudio_lm.checks import check_text
from uniaudio_lm.config import Sampling
from uniaudio_lm.interfaces import Aligner, TextInfo, TextNormalizer
from uniaudio_lm.model import omni_prompts, prompts
from uniaudio_lm.model.generation import Item, SeededNoise, generate
from uniaudio_lm.model.states import select_decoding
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

if TYPE_CHECKING:
    from uniaudio_lm.model.speech_lm import SpeechLM

__all__ = ["Job", "Speech", "SpeechStream", "VoicePrompt", "make_job", "run_jobs"]

# Speaks no slower than this many times the guess, and a little more for pauses.
_MAX_SHARE, _SLACK_SECONDS = 2.5, 2.0
_GUARDED_SHARE, _GUARDED_SECONDS = 2.0, 1.1  # of models whose takes are checked


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
    """

    wav: Tensor
    sample_rate: int
    stop_reason: str
    patches: int
    pieces: list[tuple[str, str]]
    overdriven: int = 0


@dataclass
class Job:
    """One text on its way; filled while it is said."""

    texts: list[str]
    voice: Voice
    noise: SeededNoise
    instruction: Mapping[str, Any] | None = None
    reasons: list[str] = field(default_factory=list)
    patches: int = 0
    overdriven: int = 0
    latents: list[Tensor] = field(default_factory=list)
    """Patches (p, d) of the current piece."""

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

    def result(self, wav: Tensor) -> Speech:
        """The whole, once the stream is over."""
        return speech_of(self._job, wav, self.sample_rate)


def speech_of(job: Job, wav: Tensor, sample_rate: int) -> Speech:
    """A finished job's `Speech`."""
    return Speech(wav, sample_rate, job.stop_reason, job.patches, job.pieces, job.overdriven)


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
) -> Job:
    """Check a text and a voice, and cut the text into pieces.

    Args:
        normalizer: writes the text as it is spoken; None leaves it as it is.
        recognise: see `prepare_voice`.
        instruction: how to speak; see `model.omni_prompts.caption`.

    Raises:
        UserError: nothing to say, too much of it, or a voice that cannot be used.
    """
    spoken = () if model.phonemizer is None else model.phonemizer.languages
    check_text(text, language, spoken, model.model_id)
    if instruction and model.config.prompt_format == "uniaudio":
        raise UserError(f"model {model.model_id} takes no instructions (Ming-omni-tts does)")
    pieces = spoken_pieces(text, normalizer, model.config.piece_seconds, language)
    made = prepare_voice(model, voice, recognise)
    how = omni_prompts.checked_instruction(instruction) if instruction else None
    return Job(pieces, made, SeededNoise(seeded_generator(seed)), how)


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


def run_jobs(
    model: SpeechLM, jobs: Sequence[Job], sampling: Sampling, guard: Guard | None = None
) -> Iterator[tuple[int, Tensor]]:
    """Say all jobs together: (job, samples (m,)). A job says the same in any company, to rounding.

    Args:
        guard: gives each piece once it is checked; a bad one is said again with other draws, and
            the best is kept. None: samples come as they are made, and a piece that is much too
            short for its text has the reason "short".
    """
    silence = model.silence()
    for piece in range(max(len(job.texts) for job in jobs)):
        members = [i for i, job in enumerate(jobs) if piece < len(job.texts)]
        if guard is None:
            for j, wav in _stream_piece(model, jobs, members, piece, silence, sampling):
                jobs[members[j]].overdriven += overdriven(wav)
                yield members[j], limited(wav)
        else:
            takes = _best_takes(model, jobs, members, piece, silence, sampling, guard)
            for i, take in takes.items():
                yield i, _accepted(model, jobs[i], take)
        for i in members:
            job = jobs[i]
            if job.voice.latents is None and job.latents:
                # Without a reference, the first piece gives the voice of all others.
                said, rate = torch.cat(job.latents), model.tokenizer.frame_rate
                made = voice_of(said, job.texts[piece], model.config.patch_size, rate)
                job.voice = replace(made, speaker=job.voice.speaker)
            job.latents = []


def _stream_piece(  # noqa: PLR0917
    model: SpeechLM,
    jobs: Sequence[Job],
    members: Sequence[int],
    piece: int,
    silence: Tensor,
    sampling: Sampling,
) -> Iterator[tuple[int, Tensor]]:
    """One take of a piece of each member: (place among the members, samples)."""
    items = [_item(model, jobs[i], piece, silence) for i in members]
    yield from _run_piece(model, jobs, members, items, sampling)
    if model.config.attempts == 1:
        return
    for i in members:
        job = jobs[i]
        seconds = len(job.latents) * model.patch_seconds
        if job.reasons[-1] == "stop" and is_short(job.texts[piece], seconds, job.voice.rate):
            job.reasons[-1] = "short"


def _best_takes(  # noqa: PLR0917
    model: SpeechLM,
    jobs: Sequence[Job],
    members: Sequence[int],
    piece: int,
    silence: Tensor,
    sampling: Sampling,
    guard: Guard,
) -> dict[int, _Take]:
    """The best take of a piece of each member; those without a fault are made once."""
    rate = model.tokenizer.config.sample_rate
    best: dict[int, _Take] = {}
    todo = list(members)
    for _ in range(guard.attempts):
        chunks: dict[int, list[Tensor]] = {i: [torch.zeros(0, dtype=torch.float32)] for i in todo}
        for i in todo:
            jobs[i].latents = []
        before = [jobs[i].patches for i in todo]
        items = [_item(model, jobs[i], piece, silence) for i in todo]
        for j, wav in _run_piece(model, jobs, todo, items, sampling):
            chunks[todo[j]].append(wav)
        for i, patches in zip(todo, before, strict=True):
            job, wav = jobs[i], torch.cat(chunks[i])
            job.patches, reason = patches, job.reasons.pop()
            verdict = judge(job.texts[piece], wav, rate, reason, job.voice.rate, guard.aligner)
            if i not in best or verdict.badness < best[i].verdict.badness:
                best[i] = _Take(wav, job.latents, reason, verdict)
        todo = [i for i in todo if best[i].verdict.problem]
        if not todo:
            break
    return {i: best[i] for i in members}


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


def _item(model: SpeechLM, job: Job, piece: int, silence: Tensor | None) -> Item:
    voice, text = job.voice, job.texts[piece]
    state = model.new_feature_state()
    patches = [] if voice.latents is None else [model.embed_audio(voice.latents, state)[0]]
    if model.config.prompt_format == "uniaudio":
        count = sum(len(part) for part in patches)
        segments = prompts.speech(model.speakable(text), model.speakable(voice.text), count)
        prompt = prompts.encode(model.text_tokenizer, segments, join=False)
        embeds, _ = model.embed_prompt(prompt, patches)
    else:
        embeds = _omni_prompt(model, job, text, patches[0] if patches else None)
    expected = speech_seconds(text, voice.rate)
    share, slack = _MAX_SHARE, _SLACK_SECONDS
    if model.config.attempts > 1:
        share, slack = _GUARDED_SHARE, _GUARDED_SECONDS
    limit = int((share * expected + slack) / model.patch_seconds) + 1
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
        slots = [job.voice.speaker]
    if job.instruction is not None:
        caption = omni_prompts.caption(job.instruction, style)
        if not slots and any(job.instruction.get(key) is not None for key in _SPEAKER_CAPTIONS):
            slots = [None]
    asked = omni_prompts.OmniPrompt(
        text, clip_text=job.voice.text, speakers=len(slots), caption=caption,
        patches=0 if patches is None else len(patches),
    )  # fmt: skip
    return omni_prompts.embed(model, asked, slots, patches)[1]


@torch.no_grad()
def _run_piece(
    model: SpeechLM,
    jobs: Sequence[Job],
    members: Sequence[int],
    items: Sequence[Item],
    sampling: Sampling,
) -> Iterator[tuple[int, Tensor]]:
    rows = list(range(len(items)))
    state = model.new_speech_state(len(items))
    begun = False
    for step in generate(model, items, sampling):
        ended = [j for j in rows if j in step.finished and j not in step.items]
        tails = model.speech_flush(state) if ended and begun else None
        for j in ended:
            jobs[members[j]].reasons.append(step.finished[j])
            if tails is not None:
                yield j, tails[rows.index(j)].float().cpu()
        stay = [j for j in rows if j not in ended]
        if len(stay) < len(rows):
            state = select_decoding(state, _rows(rows, stay))
            rows = stay
        if not rows:
            break
        assert step.patches is not None and step.items == rows
        wav = model.speech_step(step.patches, state).float().cpu()
        begun = True
        ended = [j for j in rows if j in step.finished]
        tails = model.speech_flush(state) if ended else None
        for row, j in enumerate(rows):
            job = jobs[members[j]]
            job.patches += 1
            job.latents.append(step.patches[row])
            if tails is not None and j in step.finished:
                job.reasons.append(step.finished[j])
                yield j, torch.cat((wav[row], tails[row].float().cpu()))
            else:
                yield j, wav[row]
        stay = [j for j in rows if j not in ended]
        if ended and stay:
            state = select_decoding(state, _rows(rows, stay))
        rows = stay


def _rows(rows: Sequence[int], stay: Sequence[int]) -> Tensor:
    return torch.tensor([rows.index(j) for j in stay], dtype=torch.int64)
