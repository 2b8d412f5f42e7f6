"""Text from speech. Deterministic: latents are the posterior's mean, tokens the likeliest.

Axes: T samples, P patches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from mingtok_audio.core.audio import resample
from mingtok_audio.core.errors import AudioError, UserError
from uniaudio_lm import prompts
from uniaudio_lm.generation import Item, Sampling, generate
from uniaudio_lm.text.length import is_cjk

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from uniaudio_lm.models.uniaudio import UniAudio

SEGMENT_SECONDS = 30.0
_SEARCH_SECONDS = 10.0  # of a segment's end, where the quietest place is looked for
_TOKENS_PER_SECOND, _MIN_TOKENS, _MAX_TOKENS = 16, 32, 512
_BATCH = 8


@dataclass(frozen=True)
class TranscriptSegment:
    """What was said from `start` to `end` (seconds). `truncated`: the token limit ended it."""

    start: float
    end: float
    text: str
    truncated: bool = False


@dataclass(frozen=True)
class Transcript:
    """Attributes: text; language as the model names it ("" where it does not); segments."""

    text: str
    language: str
    segments: list[TranscriptSegment]

    @property
    def truncated(self) -> bool:
        """Whether a segment was ended by the token limit."""
        return any(segment.truncated for segment in self.segments)


@torch.no_grad()
def transcribe(
    model: UniAudio,
    wav: ArrayLike | Tensor,
    sample_rate: int,
    language: str | None = None,
    hotwords: Sequence[str] = (),
) -> Transcript:
    """See `UniAudio.transcribe`."""
    array = wav.detach().cpu().numpy() if isinstance(wav, Tensor) else wav
    array = np.asarray(array, dtype=np.float32)
    if array.ndim != 1:
        raise AudioError(f"recognition takes samples (T,), not of shape {array.shape}")
    if not len(array):
        raise AudioError("the recording holds no samples")
    if not np.isfinite(array).all():
        raise AudioError("the recording holds NaN or infinite samples")
    if language is not None and (not language.strip() or "\t" in language):
        raise UserError(f"the language hint {language!r} is empty or holds a tab")
    rate = model.tokenizer.config.sample_rate
    array = resample(array, sample_rate, rate)
    spans = split_at_silence(array, rate)
    parts = [array[start:end] for start, end in spans]
    found: list[tuple[str, bool]] = []
    for first in range(0, len(parts), _BATCH):
        found += _recognize(model, parts[first : first + _BATCH], language, hotwords)
    segments, names = [], []
    for (start, end), (text, truncated) in zip(spans, found, strict=True):
        name, tab, rest = text.partition("\t")
        names.append(name.strip() if tab else "")
        said = (rest if tab else text).strip()
        segments.append(TranscriptSegment(start / rate, end / rate, said, truncated))
    told = language or next((name for name in names if name), "")
    return Transcript(_joined([s.text for s in segments]), told, segments)


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


def _recognize(
    model: UniAudio, parts: Sequence[np.ndarray], language: str | None, hotwords: Sequence[str]
) -> list[tuple[str, bool]]:
    """The answer for each part, and whether the token limit ended it."""
    text = model.text_tokenizer
    hint = prompts.language_hint(text, language)
    end = frozenset([text.special(prompts.END_OF_TEXT)])
    rate = model.tokenizer.config.sample_rate
    shortest = model.config.patch_size * model.tokenizer.config.hop_length
    items = []
    for part in parts:
        # Less than a patch would vanish where partial patches are dropped.
        padded = np.pad(part, (0, max(0, shortest - len(part))))
        latents = model.tokenizer.encode(padded, rate).values
        patches = model.embed_audio(latents)[0]
        prompt = prompts.encode(text, prompts.recognition(len(patches), hotwords))
        prompt.ids += hint
        embeds, mask = model.embed_prompt(prompt, [patches])
        limit = int(len(part) / rate * _TOKENS_PER_SECOND) + _MIN_TOKENS
        items.append(
            Item(
                embeds[0], "text", audio_mask=mask[0], max_steps=min(limit, _MAX_TOKENS),
                end_tokens=end,
            )
        )  # fmt: skip
    tokens: list[list[int]] = [[] for _ in items]
    reasons = [""] * len(items)
    for step in generate(model, items, Sampling()):
        for i, token in step.tokens.items():
            tokens[i].append(token)
        for i, reason in step.finished.items():
            reasons[i] = reason
    lead = "" if language is None else f"{language}\t"
    return [
        (lead + text.decode(ids), reason == "max_length")
        for ids, reason in zip(tokens, reasons, strict=True)
    ]


def _joined(texts: Sequence[str]) -> str:
    out = ""
    for text in texts:
        if out and text and not (is_cjk(out[-1]) and is_cjk(text[0])):
            out += " "
        out += text
    return out
