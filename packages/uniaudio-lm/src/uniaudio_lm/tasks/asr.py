"""Text from speech. Deterministic: latents are the posterior's mean, tokens the likeliest.

Axes: T samples, P patches, D width of the language model.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from mingtok_audio.core.audio import resample
from mingtok_audio.core.errors import UserError
from uniaudio_lm.checks import check_hints, check_search
from uniaudio_lm.config import (
    RecognitionConfig,
    Sampling,
    known_language,
)
from uniaudio_lm.model import prompts
from uniaudio_lm.model.attention import AttentionProbe
from uniaudio_lm.model.generation import Item, generate
from uniaudio_lm.recognition.beam import Listening, beam_search
from uniaudio_lm.recognition.coverage import speech_patches
from uniaudio_lm.recognition.words import KnownWords
from uniaudio_lm.samples import as_samples
from uniaudio_lm.speech_activity import SILENT, Segment, at_level, centred, segments
from uniaudio_lm.text.hints import Hints
from uniaudio_lm.text.length import guess_language, is_spoken, joined, syllables

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from uniaudio_lm.interfaces import Aligner, Recognizer, Word, WordModel
    from uniaudio_lm.model.speech_lm import SpeechLM

SEGMENT_SECONDS = 30.0
_SEARCH_SECONDS = 10.0  # of a segment's end, where the quietest place is looked for
_TOKENS_PER_SECOND, _MIN_TOKENS, _MAX_TOKENS = 16, 32, 512
_BATCH = 8
_FASTEST, _SLOWEST = 9.0, 0.7  # syllables a second of speech
_LONG_SPEECH = 3.0  # seconds; a word may stand alone in less


@dataclass(frozen=True)
class TranscriptSegment:
    """What was said from `start` to `end`, in seconds.

    Attributes:
        truncated: the token limit ended it.
        first, last: seconds between which there is speech; None where it was not looked for.
    """

    start: float
    end: float
    text: str
    truncated: bool = False
    first: float | None = field(default=None, compare=False)
    last: float | None = field(default=None, compare=False)

    @property
    def doubtful(self) -> bool:
        """Whether nobody speaks so fast or so slowly: words are missing or made up."""
        seconds = (self.last or self.end) - (self.first or self.start)
        said = syllables(self.text)
        if seconds <= 0 or not said:
            return bool(self.text.strip()) and seconds <= 0
        return said / seconds > _FASTEST or (seconds > _LONG_SPEECH and said / seconds < _SLOWEST)


@dataclass(frozen=True)
class Transcript:
    """Attributes: text; language as the model names it ("" where it does not); segments, which
    cover the recording; words with times, None where no aligner is there."""

    text: str
    language: str
    segments: list[TranscriptSegment]
    words: list[Word] | None = None

    @property
    def truncated(self) -> bool:
        """Whether a segment was ended by the token limit."""
        return any(segment.truncated for segment in self.segments)


@dataclass(frozen=True)
class RecognitionOptions:
    """How to recognise; see `UniAudio.transcribe`. None takes the config's value."""

    language: str | None = None
    hotwords: tuple[str, ...] = ()
    beams: int | None = None
    word_weight: float | None = None

    def __post_init__(self) -> None:
        check_hints(self.language, self.hotwords)
        check_search(self.beams, self.word_weight)

    def completed(self, config: RecognitionConfig, model: str) -> RecognitionOptions:
        """With the config's values where none are given, and each hotword once.

        Raises:
            UserError: a language that the model was not trained on.
        """
        language = self.language
        if language is not None:
            language = known_language(language, config.languages, model)
        return RecognitionOptions(
            language,
            tuple(check_hints(self.language, self.hotwords)),
            config.beams if self.beams is None else self.beams,
            config.word_weight if self.word_weight is None else self.word_weight,
        )


@torch.no_grad()
def transcribe_batch(
    model: SpeechLM,
    wavs: Sequence[ArrayLike | Tensor],
    sample_rates: Sequence[int],
    options: RecognitionOptions,
    *,
    words: WordModel | None = None,
    aligner: Aligner | None = None,
    recognizer: Recognizer | None = None,
) -> list[Transcript]:
    """Text of recordings (T,); each the same as alone. See `UniAudio.transcribe`.

    Args:
        words: scores the words of hypotheses; None does without.
        aligner: gives words their times; None: they have none.
        recognizer: recognises in the language model's place.
    """
    options, rate = _settled(model, options, recognizer)
    if len(wavs) != len(sample_rates):
        raise UserError(f"{len(wavs)} recordings were given with {len(sample_rates)} sample rates")
    arrays = [prepare_wav(wav, r, rate) for wav, r in zip(wavs, sample_rates, strict=True)]
    spans = [_spans(model, array, rate, recognizer) for array in arrays]
    parts = [
        array[s.first : s.last] for array, found in zip(arrays, spans, strict=True) for s in found
    ]
    answers = _answers(model, parts, rate, options, words, recognizer)
    transcripts, at = [], 0
    for array, places in zip(arrays, spans, strict=True):
        said = answers[at : at + len(places)]
        at += len(places)
        transcript = _assemble(places, said, rate, options.language)
        if aligner is not None:
            timed = _align(aligner, array, rate, transcript)
            transcript = replace(transcript, words=timed)
        transcripts.append(transcript)
    return transcripts


@torch.no_grad()
def transcribe_segments(
    model: SpeechLM,
    wav: ArrayLike | Tensor,
    sample_rate: int,
    options: RecognitionOptions,
    *,
    words: WordModel | None = None,
    aligner: Aligner | None = None,
    recognizer: Recognizer | None = None,
) -> Iterator[Transcript]:
    """A transcript of each segment of a recording (T,), in order, as soon as it is recognised;
    `join_transcripts` makes of them what `transcribe_batch` gives."""
    options, rate = _settled(model, options, recognizer)
    array = prepare_wav(wav, sample_rate, rate)
    for span in _spans(model, array, rate, recognizer):
        part = array[span.first : span.last]
        answers = _answers(model, [part], rate, options, words, recognizer)
        found = _assemble([span], answers, rate, options.language)
        if aligner is not None:
            found = replace(found, words=_align(aligner, array, rate, found))
        yield found


_OPEN_SECONDS = 1.0


def whole_samples(
    model: SpeechLM, wav: np.ndarray, sample_rate: int, recognizer: Recognizer | None = None
) -> int:
    """How many samples of sound (T,) that goes on are in segments that a pause has ended; more
    sound does not change those. All but the last second of silence is."""
    rate = model.tokenizer.config.sample_rate if recognizer is None else recognizer.sample_rate
    array = prepare_wav(wav, sample_rate, rate)
    spans = _spans(model, array, rate, recognizer)
    if len(spans) > 1:
        return int(spans[-1].start * sample_rate / rate)
    if np.abs(array).max(initial=0.0) < SILENT:
        return max(0, len(wav) - int(_OPEN_SECONDS * sample_rate))
    return 0


def join_transcripts(parts: Sequence[Transcript]) -> Transcript:
    """Transcripts of the segments of a recording as one."""
    told = next((part.language for part in parts if part.language), "")
    found = [segment for part in parts for segment in part.segments]
    timed = [word for part in parts for word in part.words or ()]
    has_words = any(part.words is not None for part in parts)
    text = joined([part.text for part in parts])
    return Transcript(text, told, found, timed if has_words else None)


def _settled(
    model: SpeechLM, options: RecognitionOptions, recognizer: Recognizer | None
) -> tuple[RecognitionOptions, int]:
    """The options with nothing left open, and the sample rate of what recognises."""
    if recognizer is None:
        options = options.completed(model.config.recognition, model.model_id)
        return options, model.tokenizer.config.sample_rate
    return _for_recognizer(options, recognizer), recognizer.sample_rate


def _spans(
    model: SpeechLM, wav: np.ndarray, rate: int, recognizer: Recognizer | None
) -> list[Segment]:
    if recognizer is None:
        return split(model, wav, rate)
    return segments(wav, rate, recognizer.longest, recognizer.pause)


def _answers(  # noqa: PLR0917
    model: SpeechLM,
    parts: Sequence[np.ndarray],
    rate: int,
    options: RecognitionOptions,
    words: WordModel | None,
    recognizer: Recognizer | None,
) -> list[tuple[str, bool]]:
    """What is said in each part, and whether the token limit ended it."""
    parts = [
        conditioned(model, part, rate) if recognizer is None else at_level(part, rate)
        for part in parts
    ]
    # Silence is not recognised: models make words up for it.
    sounding = [i for i, part in enumerate(parts) if np.abs(part).max(initial=0.0) >= SILENT]
    answers: list[tuple[str, bool]] = [("", False)] * len(parts)
    for first in range(0, len(sounding), _BATCH):
        chosen = sounding[first : first + _BATCH]
        chosen_parts = [parts[i] for i in chosen]
        if recognizer is None:
            found = _recognize(model, chosen_parts, options, words)
        else:
            found = _by_recognizer(recognizer, chosen_parts, options)
        for i, answer in zip(chosen, found, strict=True):
            answers[i] = answer
    return answers


def _for_recognizer(options: RecognitionOptions, recognizer: Recognizer) -> RecognitionOptions:
    """The options, as far as they mean something to a recogniser.

    Raises:
        UserError: a language that it does not know, or a weight for the word model.
    """
    if options.word_weight is not None:
        raise UserError(
            "the word model belongs to the language model's own recognition: give no word weight, "
            "or choose that (--recognizer lm)"
        )
    language = options.language
    if language is not None:
        known = None if recognizer.languages is None else list(recognizer.languages)
        language = known_language(language, known, "recogniser")
    return replace(options, language=language, hotwords=tuple(check_hints(None, options.hotwords)))


def _by_recognizer(
    recognizer: Recognizer, parts: Sequence[np.ndarray], options: RecognitionOptions
) -> list[tuple[str, bool]]:
    """Answers in the form of `_recognize`."""
    found = recognizer.recognize(
        parts, language=options.language, hotwords=options.hotwords, beams=options.beams
    )
    return [(f"{r.language}\t{r.text}" if r.language else r.text, r.truncated) for r in found]


def prepare_wav(wav: ArrayLike | Tensor, sample_rate: int, rate: int) -> np.ndarray:
    """A recording (T,) at `rate`, checked.

    Raises:
        AudioError: see `samples.as_samples`.
    """
    samples = as_samples(wav, sample_rate)
    return centred(resample(samples, sample_rate, rate))


def split(model: SpeechLM, wav: np.ndarray, rate: int) -> list[Segment]:
    """The segments of a recording (T,) that are recognised one by one; they cover it."""
    config = model.config.recognition.segments
    if config is None:
        return [Segment(a, b, a, b) for a, b in split_at_silence(wav, rate)]
    return segments(wav, rate, config.longest, config.pause)


def conditioned(model: SpeechLM, wav: np.ndarray, rate: int) -> np.ndarray:
    """Speech (T,) at the level that the model recognises; as it is for models that state none."""
    return wav if model.config.recognition.segments is None else at_level(wav, rate)


def split_at_silence(wav: np.ndarray, rate: int) -> list[tuple[int, int]]:
    """[start, end) of segments of at most 30 s that cover the recording without overlap, cut at
    the quietest 0.2 s of each one's last 10 s."""
    spans = []
    start, longest = 0, int(SEGMENT_SECONDS * rate)
    window = max(1, rate // 5)
    while len(wav) - start > longest:
        begin = start + longest - int(_SEARCH_SECONDS * rate)
        power = np.square(wav[begin : start + longest].astype(np.float64)).cumsum()
        quiet = int((power[window:] - power[:-window]).argmin()) + window // 2
        spans.append((start, begin + quiet))
        start = begin + quiet
    return [*spans, (start, len(wav))]


def embed_recording(model: SpeechLM, wav: np.ndarray) -> Tensor:
    """A recording (T,) at the tokenizer's rate as inputs of the language model (P, D)."""
    config = model.tokenizer.config
    shortest = model.config.patch_size * config.hop_length
    # Less than a patch would vanish where partial patches are dropped.
    padded = np.pad(wav, (0, max(0, shortest - len(wav))))
    return model.embed_audio(model.tokenizer.encode(padded, config.sample_rate).values)[0]


def _recognize(
    model: SpeechLM,
    parts: Sequence[np.ndarray],
    options: RecognitionOptions,
    word_model: WordModel | None,
) -> list[tuple[str, bool]]:
    """The answer for each part, and whether the token limit ended it."""
    config, language, hotwords = model.config.recognition, options.language, options.hotwords
    beams = options.beams or 1
    text = model.text_tokenizer
    hint = prompts.language_hint(text, language)
    end = frozenset([text.special(prompts.END_OF_TEXT)])
    rate = model.tokenizer.config.sample_rate
    items = []
    for part in parts:
        patches = embed_recording(model, part)
        prompt = prompts.encode(text, prompts.recognition(len(patches), hotwords))
        prompt.ids += hint
        embeds, mask = model.embed_prompt(prompt, [patches])
        limit = int(len(part) / rate * _TOKENS_PER_SECOND) + _MIN_TOKENS
        items.append(
            Item(
                embeds[0],
                "text",
                audio_mask=mask[0],
                max_steps=min(limit, _MAX_TOKENS),
                end_tokens=end,
            )
        )
    lead = "" if language is None else f"{language}\t"
    hints = Hints(text, hotwords, config.hotword_boost)
    words = None
    if word_model is not None and options.word_weight:
        words = KnownWords(word_model, options.word_weight, config.word_bonus, hotwords)
    heads = _heads(model)
    if beams > 1 or hints or words is not None or heads is not None:
        found = [
            beam_search(
                model,
                item,
                beams,
                hints,
                led=bool(lead),
                words=words,
                listening=None if heads is None else _listening(model, heads, item, part),
            )
            for item, part in zip(items, parts, strict=True)
        ]
    else:
        found = _likeliest(model, items)
    return [(lead + text.decode(ids), cut) for ids, cut in found]


def _heads(model: SpeechLM) -> AttentionProbe | None:
    coverage = model.config.recognition.coverage
    if coverage is None or not coverage.weight:
        return None
    return AttentionProbe(model.backbone, coverage.layer, coverage.heads)


def _listening(model: SpeechLM, heads: AttentionProbe, item: Item, wav: np.ndarray) -> Listening:
    coverage = model.config.recognition.coverage
    assert item.audio_mask is not None and coverage is not None
    size = model.config.patch_size * model.tokenizer.config.hop_length
    speech = speech_patches(wav, int(item.audio_mask.sum()), size)
    return Listening(heads, coverage.weight, speech)


def _likeliest(model: SpeechLM, items: Sequence[Item]) -> list[tuple[list[int], bool]]:
    """The likeliest token at every step, for all items together; and whether the limit cut them."""
    tokens: list[list[int]] = [[] for _ in items]
    reasons = [""] * len(items)
    for step in generate(model, items, Sampling()):
        for i, token in step.tokens.items():
            tokens[i].append(token)
        for i, reason in step.finished.items():
            reasons[i] = reason
    return [(ids, r == "max_length") for ids, r in zip(tokens, reasons, strict=True)]


def _assemble(
    spans: Sequence[Segment],
    answers: Sequence[tuple[str, bool]],
    rate: int,
    language: str | None,
) -> Transcript:
    """The answers for the parts of one recording: "language TAB text" each."""
    found, names = list[TranscriptSegment](), []
    for span, (answer, truncated) in zip(spans, answers, strict=True):
        name, tab, rest = answer.partition("\t")
        names.append(name.strip() if tab else "")
        said = (rest if tab else answer).strip()
        said = said if is_spoken(said) else ""  # punctuation alone is not a word
        found.append(
            TranscriptSegment(
                span.start / rate,
                span.end / rate,
                said,
                truncated,
                span.first / rate,
                span.last / rate,
            )
        )
    told = language or next((name for name in names if name), "")
    return Transcript(joined([s.text for s in found]), told, found)


def _align(aligner: Aligner, wav: np.ndarray, rate: int, transcript: Transcript) -> list[Word]:
    """Words with times in the recording (at `rate`, the tokenizer's), segment by segment."""
    words: list[Word] = []
    for segment in transcript.segments:
        if segment.text:
            begin = segment.start if segment.first is None else segment.first
            end = segment.end if segment.last is None else segment.last
            part = wav[round(begin * rate) : round(end * rate)]
            found = aligner.align(part, segment.text, guess_language(segment.text))
            words += [replace(w, start=w.start + begin, end=w.end + begin) for w in found]
    return words
