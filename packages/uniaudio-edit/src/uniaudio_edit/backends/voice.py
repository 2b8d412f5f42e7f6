"""New words in a recording's own voice, for `splice`.

The voice prompt is what stands around the place in the same recording: what follows first,
then what comes before it, so that the model goes on where the new words begin. Where an aligner is
there, the model also says the words that follow, and only the new ones are kept.

Axes: T samples, C channels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mingtok_audio.core.audio import resample
from mingtok_audio.core.errors import UserError
from mingtok_audio.core.speech import trim
from uniaudio_edit.backends.judging import ModelJudge
from uniaudio_edit.errors import MissingPartError
from uniaudio_edit.interfaces import EditRequest, Word
from uniaudio_edit.parts import Take
from uniaudio_edit.pcm import to_float
from uniaudio_edit.plan import Operation
from uniaudio_edit.text import Text
from uniaudio_edit.words import words_to_text

if TYPE_CHECKING:
    from uniaudio_edit.parts import Parts
    from uniaudio_lm import Aligner, UniAudio

DEFAULT_CANDIDATES = 3
_LEFT_SECONDS, _VOICE_SECONDS = 5.0, 8.0  # of the voice prompt: before the place, and in all
_EXCERPT_SECONDS = 1.5  # on each side, for the judge
_FOLLOWING = 2  # words that are said after the new ones, where an aligner can cut them off
_LEVEL_SECONDS = 3.0  # on each side, for the loudness
_FRAME_SECONDS = 0.010
_BELOW_DB = -20 * math.log10(0.05)  # under the loudest frame, a voice is silent
_MAX_GAIN = 10.0


@dataclass(frozen=True)
class Spoken:
    """New words at the recording's rate.

    Attributes:
        wav: (T, C) float64 in [-1, 1).
        note: which take was kept, and why.
        doubts: warnings.
    """

    wav: np.ndarray
    note: str
    doubts: list[str]


@dataclass(frozen=True)
class _Voice:
    wav: np.ndarray  # (T,) float32
    text: str
    rate: float  # units of text a second


def need_voice(operations: Sequence[Operation], parts: Parts) -> UniAudio:
    """The model that speaks. Raises `MissingPartError` that says what for."""
    op = next(op for op in operations if op.new)
    return parts.lm(
        f"{op.type} needs a voice for '{op.new}', a model that speaks (deletions and edits of the "
        "sound work without)"
    )


def speak(request: EditRequest, op: Operation) -> Spoken:
    """The best of several takes of an operation's new words, in the voice and at the loudness of
    their surroundings.

    Raises:
        UserError: (`MissingPartError`) no model, or no take that holds speech.
    """
    from uniaudio_lm import VoicePrompt

    if request.parts is None or request.words is None or op.text_span is None:
        raise MissingPartError("new words need a model and the times of the others")
    model = need_voice([op], request.parts)
    count = request.options.get("candidates", DEFAULT_CANDIDATES)
    if not isinstance(count, int) or not 1 <= count <= 100:
        raise UserError(f"candidates must be a whole number from 1 to 100, not {count!r}")
    mono = to_float(request.pcm).mean(axis=1).astype(np.float32)
    text = Text(request.plan.original_text)
    voice = _voice(mono, request.sample_rate, request.words, op.text_span, text)
    aligner = _aligner(request.parts)
    following = text.slice(op.text_span[1], min(op.text_span[1] + _FOLLOWING, len(text)))
    said = op.new if aligner is None or not following else _glued(op.new, following)
    prompt = VoicePrompt(voice.wav, request.sample_rate, voice.text)
    index = request.plan.operations.index(op)
    seeds = [request.seed + 1000 * index + n for n in range(count)]
    # The editor marks what is kept of them.
    speeches = model.synthesize_batch([said] * count, [prompt] * count, seeds=seeds, marked=False)
    takes = []
    for speech in speeches:
        wav, rate = speech.wav.numpy(), speech.sample_rate
        if said != op.new and aligner is not None:
            ending = _end_of(aligner, resample(wav, rate, 16000), said, op.new)
            wav = wav if ending is None else wav[: max(1, round(ending * rate))]
        wav = trim(wav, rate, below_db=_BELOW_DB)
        if len(wav):
            takes.append(
                _take(
                    request,
                    op,
                    text,
                    mono,
                    voice,
                    resample(wav, rate, request.sample_rate),
                    speech.stop_reason,
                )
            )
    if not takes:
        raise UserError(
            f"the model made no sound for '{op.new}' in {count} takes; try another seed"
        )
    judge = request.parts.judge or _own_judge(request.parts, model)
    scores = [float(judge(take)) for take in takes]
    best = max(range(len(takes)), key=lambda n: scores[n] if np.isfinite(scores[n]) else -np.inf)
    judged = f"judged {scores[best]:.2f}"
    if isinstance(judge, ModelJudge):
        judged += f", of at most {judge.most:g}"
    note = f"'{op.new}': take {best + 1} of {len(takes)} kept ({judged})"
    doubts = []
    if isinstance(judge, ModelJudge) and not judge.understands(takes[best].excerpt_text):
        doubts.append(
            f"'{op.new}': nothing here recognises its language, so the take was chosen by voice "
            "and length alone; listen to it"
        )
    if takes[best].stop_reason != "stop":
        doubts.append(
            f"'{op.new}': the model did not end by itself ({takes[best].stop_reason}); listen to it"
        )
    made = _levelled(request, op.text_span, takes[best].wav)
    return Spoken(made, note, doubts)


def _own_judge(parts: Parts, model: UniAudio) -> ModelJudge:
    """A judge that listens with the model, or with the shipped one where the model only speaks."""
    listener = None
    if parts.transcriber is None:
        try:
            listener = parts.listener("takes are judged by what they say")
        except MissingPartError:
            listener = None
    return ModelJudge(model, parts.transcriber, listener)


def _voice(
    mono: np.ndarray, rate: int, words: Sequence[Word], span: tuple[int, int], text: Text
) -> _Voice:
    """What stands around the words [i, j), or they themselves where nothing does."""
    i, j = span
    first = i
    while first > 0 and words[i - 1].end - words[first - 1].start <= _LEFT_SECONDS:
        first -= 1
    left = words[i - 1].end - words[first].start if first < i else 0.0
    last = j
    while last < len(words) and words[last].end - words[j].start <= _VOICE_SECONDS - left:
        last += 1
    pieces = [(j, last), (first, i)]
    if first == i and last == j:
        pieces = [(i, j)] if i < j else [(max(0, i - 1), i)] if i else [(j, j + 1)]
    pieces = [(a, b) for a, b in pieces if a < b]
    wav = np.concatenate([_between(mono, rate, words, a, b) for a, b in pieces])
    said = [Word(text.slice(a, b), 0.0, 1.0) for a, b in pieces]
    units = sum(b - a for a, b in pieces)
    return _Voice(wav, words_to_text(said), units / max(len(wav) / rate, 1e-3))


def _between(mono: np.ndarray, rate: int, words: Sequence[Word], a: int, b: int) -> np.ndarray:
    """The samples of the words [a, b)."""
    return (
        mono[round(words[a].start * rate) : round(words[b - 1].end * rate)] if a < b else mono[:0]
    )


def _glued(left: str, right: str) -> str:
    return words_to_text([Word(left, 0.0, 1.0), Word(right, 0.0, 1.0)])


def _aligner(parts: Parts) -> Aligner | None:
    try:
        return parts.word_aligner()
    except MissingPartError:
        return None


def _end_of(aligner: Aligner, wav: np.ndarray, said: str, new: str) -> float | None:
    """Where in a take (T,) at 16 kHz `new`, the beginning of `said`, is over: seconds, in the
    pause after it. None where the aligner cannot tell."""
    try:
        found = aligner.align(wav, said, Text(said).language)
    except UserError:
        return None
    wanted, count = len(Text(new)), 0
    for n, word in enumerate(found):
        count += len(Text(word.text))
        if count >= wanted:
            after = found[n + 1].start if n + 1 < len(found) else word.end
            return (word.end + max(after, word.end)) / 2
    return None


def _take(  # noqa: PLR0917
    request: EditRequest,
    op: Operation,
    text: Text,
    mono: np.ndarray,
    voice: _Voice,
    wav: np.ndarray,
    reason: str,
) -> Take:
    words, rate = request.words, request.sample_rate
    assert words is not None and op.text_span is not None
    i, j = op.text_span
    first, last = i, j
    while first > 0 and words[i - 1].end - words[first - 1].start <= _EXCERPT_SECONDS:
        first -= 1
    while last < len(words) and words[last].end - words[j].start <= _EXCERPT_SECONDS:
        last += 1
    sides = [_between(mono, rate, words, a, b) for a, b in ((first, i), (j, last))]
    said = [text.slice(first, i), op.new, text.slice(j, last)]
    excerpt = np.concatenate([sides[0], wav, sides[1]])
    around = words_to_text([Word(piece, 0.0, 1.0) for piece in said if piece])
    expected = len(Text(op.new)) / max(voice.rate, 0.5)
    return Take(wav, rate, op.new, excerpt, around, voice.wav, reason, expected)


def _levelled(request: EditRequest, span: tuple[int, int], wav: np.ndarray) -> np.ndarray:
    """New words (T,) as (T, C), each channel as loud as the words around the place."""
    pcm, rate, words = to_float(request.pcm), request.sample_rate, request.words
    assert words is not None
    i, j = span
    start = words[i].start if i < len(words) else words[-1].end
    end = words[j - 1].end if j > i else start
    near = (
        [
            w
            for n, w in enumerate(words)
            if not i <= n < j and w.end > start - _LEVEL_SECONDS and w.start < end + _LEVEL_SECONDS
        ]
        or [words[n] for n in range(i, j)]
        or list(words)
    )
    around = np.concatenate([pcm[round(w.start * rate) : round(w.end * rate)] for w in near])
    target = _loudness(around, rate)
    own = _loudness(wav[:, None].astype(np.float64), rate)
    gain = np.minimum(target / max(float(own[0]), 1e-6), _MAX_GAIN)
    out = wav[:, None].astype(np.float64) * gain[None]
    peak = float(np.abs(out).max(initial=0.0))
    return out * min(1.0, 0.98 / peak) if peak else out


def _loudness(wav: np.ndarray, rate: int) -> np.ndarray:
    """Root mean square (C,) of the louder half of the frames of (T, C): speech, not its pauses."""
    frame = max(1, round(2 * _FRAME_SECONDS * rate))
    count = len(wav) // frame
    if count < 2:
        return np.sqrt(np.square(wav).mean(axis=0)) if len(wav) else np.zeros(wav.shape[1])
    power = np.square(wav[: count * frame]).reshape(count, frame, -1).mean(axis=1)
    loud = power.sum(axis=1)
    return np.sqrt(power[loud >= np.median(loud)].mean(axis=0))
