"""Speech from text: whole, streamed, and in batches, all by the same steps.

Long texts are said in pieces with one voice: the reference's, or that of the first piece. Axes:
T samples, L frames, d latent dimensions, p frames of a patch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from mingtok_audio.core.errors import AudioError, UserError
from mingtok_audio.core.runtime import seeded_generator
from uniaudio_lm import prompts
from uniaudio_lm.generation import Item, Sampling, SeededNoise, generate
from uniaudio_lm.interfaces import TextInfo
from uniaudio_lm.states import select_decoding
from uniaudio_lm.text.length import (
    SYLLABLES_PER_SECOND,
    is_spoken,
    speech_seconds,
    split_text,
    syllables,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from uniaudio_lm.models.uniaudio import UniAudio

MAX_CHARACTERS = 100_000
PIECE_SECONDS = 12.0
# A longer reference makes voices collapse; what is too short says nothing about one.
MAX_VOICE_SECONDS, MIN_VOICE_SECONDS = 12.0, 0.3
# Speaks no slower than this many times the guess, and a little more for pauses.
_MAX_SHARE, _SLACK_SECONDS = 2.5, 2.0
_SILENT = 1e-4


@dataclass(frozen=True)
class VoicePrompt:
    """A recording to take the voice from: samples (T,) at `sample_rate`, and what is said."""

    wav: ArrayLike | Tensor
    sample_rate: int
    text: str


@dataclass(frozen=True)
class Speech:
    """What was said.

    Attributes:
        wav: (T,) float32 on the CPU.
        stop_reason: of the last piece; "stop" only where the learned head fired.
        patches: made in all.
        pieces: (text, reason) of each piece.
    """

    wav: Tensor
    sample_rate: int
    stop_reason: str
    patches: int
    pieces: list[tuple[str, str]]


@dataclass
class _Voice:
    latents: Tensor | None = None
    """(1, L, d), L a multiple of p."""
    text: str = ""
    rate: float = SYLLABLES_PER_SECOND


@dataclass
class Job:
    """One text on its way; filled while it is said."""

    texts: list[str]
    voice: _Voice
    noise: SeededNoise
    reasons: list[str] = field(default_factory=list)
    patches: int = 0
    latents: list[Tensor] = field(default_factory=list)
    """Patches (p, d) of the current piece."""


class SpeechStream(Iterator[Tensor]):
    """The samples (m,) of one text, as soon as they are there. `result` tells how it ended."""

    def __init__(self, model: UniAudio, job: Job, sampling: Sampling) -> None:
        self._job = job
        self.sample_rate = model.tokenizer.config.sample_rate
        self._pieces = run_jobs(model, [job], sampling)

    def __next__(self) -> Tensor:
        return next(self._pieces)[1]

    @property
    def stop_reason(self) -> str:
        """Why the last piece ended; "" while it has not."""
        done = len(self._job.reasons) == len(self._job.texts)
        return self._job.reasons[-1] if done else ""

    @property
    def patches(self) -> int:
        """Made so far."""
        return self._job.patches

    def result(self, wav: Tensor) -> Speech:
        """The whole, once the stream is over."""
        return speech_of(self._job, wav, self.sample_rate)


def speech_of(job: Job, wav: Tensor, sample_rate: int) -> Speech:
    """A finished job's `Speech`."""
    pieces = list(zip(job.texts, job.reasons, strict=True))
    return Speech(wav, sample_rate, job.reasons[-1], job.patches, pieces)


def sampling_of(
    model: UniAudio, num_steps: int | None, cfg_scale: float | None, temperature: float | None
) -> Sampling:
    """The model's own values where none are given."""
    config = model.config
    return Sampling(
        config.num_steps if num_steps is None else num_steps,
        config.cfg_scale if cfg_scale is None else cfg_scale,
        config.temperature if temperature is None else temperature,
    )


def make_job(model: UniAudio, text: str, voice: VoicePrompt | None, seed: int) -> Job:
    """Check a text and a voice, and cut the text into pieces.

    Raises:
        UserError: nothing to say, too much of it, or a voice that cannot be used.
    """
    if len(text) > MAX_CHARACTERS:
        raise UserError(
            f"the text has {len(text):,} characters; at most {MAX_CHARACTERS:,} are said at once: "
            "split it"
        )
    if not is_spoken(text):
        shown = "is empty" if not text.strip() else "holds no letter or digit to say"
        raise UserError(f"the text {shown}")
    pieces = split_text(text, PIECE_SECONDS)
    return Job(pieces, _prepare_voice(model, voice), SeededNoise(seeded_generator(seed)))


def _prepare_voice(model: UniAudio, voice: VoicePrompt | None) -> _Voice:
    if voice is None:
        return _Voice()
    wav = voice.wav.detach().cpu().numpy() if isinstance(voice.wav, Tensor) else voice.wav
    wav = np.asarray(wav, dtype=np.float32)
    if wav.ndim != 1:
        raise AudioError(f"a voice is samples (T,), not of shape {wav.shape}")
    seconds = len(wav) / max(1, voice.sample_rate)
    if seconds < MIN_VOICE_SECONDS:
        raise AudioError(
            f"the voice has {seconds:.2f} s; at least {MIN_VOICE_SECONDS} s are needed"
        )
    text = voice.text
    if seconds > MAX_VOICE_SECONDS:
        wav, text = _cut_voice(wav, voice.sample_rate, text)
        seconds = len(wav) / voice.sample_rate
    if not np.isfinite(wav).all():
        raise AudioError("the voice holds NaN or infinite samples")
    if float(np.abs(wav).max(initial=0.0)) < _SILENT:
        raise AudioError("the voice is silent: give a recording of someone who speaks")
    latents = model.tokenizer.encode(wav, voice.sample_rate).values
    size = model.config.patch_size
    latents = latents[:, : latents.shape[1] // size * size]
    if latents.shape[1] == 0:
        raise AudioError("the voice is shorter than one patch of this model")
    rate = SYLLABLES_PER_SECOND
    if is_spoken(text):
        rate = min(max(syllables(text) / seconds, rate / 2), rate * 2)
    return _Voice(latents.to(model.device, model.dtype), text, rate)


def _cut_voice(wav: np.ndarray, rate: int, text: str) -> tuple[np.ndarray, str]:
    """The beginning of a long reference, up to the quietest place of its last third, and the share
    of its words that is likely to be said there."""
    end = int(MAX_VOICE_SECONDS * rate)
    start = end * 2 // 3
    window = max(1, rate // 10)
    power = np.convolve(np.square(wav[start:end]), np.ones(window) / window, mode="valid")
    cut = start + int(power.argmin()) + window // 2
    share = cut / len(wav)
    if " " in text.strip():
        words = text.split()
        return wav[:cut], " ".join(words[: max(1, round(share * len(words)))])
    return wav[:cut], text[: max(1, round(share * len(text)))]


def run_jobs(
    model: UniAudio, jobs: Sequence[Job], sampling: Sampling
) -> Iterator[tuple[int, Tensor]]:
    """Say all jobs together: (job, samples (m,)) as they are made. A job says the same in any
    company, to rounding."""
    silence = _silence(model)
    for piece in range(max(len(job.texts) for job in jobs)):
        members = [i for i, job in enumerate(jobs) if piece < len(job.texts)]
        items = [_item(model, jobs[i], piece, silence) for i in members]
        for j, wav in _run_piece(model, jobs, members, items, sampling):
            yield members[j], wav
        for i in members:
            job = jobs[i]
            if job.voice.latents is None and job.latents:
                # Without a reference, the first piece gives the voice of all others.
                latents = torch.cat(job.latents)[None]
                longest = int(MAX_VOICE_SECONDS * model.tokenizer.frame_rate)
                longest -= longest % model.config.patch_size
                if latents.shape[1] <= longest:
                    job.voice = replace(job.voice, latents=latents, text=job.texts[piece])
            job.latents = []


def _item(model: UniAudio, job: Job, piece: int, silence: Tensor | None) -> Item:
    voice, text = job.voice, job.texts[piece]
    size = model.config.patch_size
    state = model.new_feature_state()
    patches = [] if voice.latents is None else [model.embed_audio(voice.latents, state)[0]]
    count = sum(len(part) for part in patches)
    segments = prompts.speech(text, voice.text, count)
    prompt = prompts.encode(model.text_tokenizer, segments, join=False)
    embeds, _ = model.embed_prompt(prompt, patches)
    expected = speech_seconds(text, voice.rate)
    limit = int((_MAX_SHARE * expected + _SLACK_SECONDS) / model.patch_seconds) + 1
    info = TextInfo(
        max_patches=limit, expected_seconds=expected, patch_seconds=model.patch_seconds,
        silence=silence,
    )  # fmt: skip
    history = None if voice.latents is None else voice.latents[0, -size:]
    return Item(
        embeds[0], "audio", history=history, features=state, noise=job.noise, info=info,
        max_steps=limit + 1,
    )  # fmt: skip


@torch.no_grad()
def _silence(model: UniAudio) -> Tensor | None:
    """The latent frame (d,) of digital silence, in the head's units."""
    rate = model.tokenizer.config.sample_rate
    latents = model.tokenizer.encode(np.zeros(rate, dtype=np.float32), rate).values
    return model.normalize(latents[0, -1])


@torch.no_grad()
def _run_piece(
    model: UniAudio,
    jobs: Sequence[Job],
    members: Sequence[int],
    items: Sequence[Item],
    sampling: Sampling,
) -> Iterator[tuple[int, Tensor]]:
    tokenizer = model.tokenizer
    rows = list(range(len(items)))
    state = tokenizer.new_decoder_state(len(items))
    begun = False
    for step in generate(model, items, sampling):
        ended = [j for j in rows if j in step.finished and j not in step.items]
        tails = tokenizer.decoder.head.flush(state.decoder.istft) if ended and begun else None
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
        wav = tokenizer.decode_step(step.patches, state).float().cpu()
        begun = True
        ended = [j for j in rows if j in step.finished]
        tails = tokenizer.decoder.head.flush(state.decoder.istft) if ended else None
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
