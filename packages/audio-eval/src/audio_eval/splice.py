"""The oracle baseline of deletions: cut the words out where the ASR judge finds them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from audio_eval.interfaces import Item, ItemFailedError, ScoringContext
from mingtok_audio.core.errors import UserError


def splice_deletion(item: Item, context: ScoringContext, target: Path) -> list[list[list[int]]]:
    """Write ``item.source`` without the deleted words to ``target``.

    Returns:
        The changed spans, as ``parameters["changed"]`` has them.

    Raises:
        ItemFailedError: not a deletion of a part, or the words are not found in the recording.
        JudgeUnavailableError: no ASR judge with word times.
    """
    from audio_eval.build.align import Word, unit_times
    from audio_eval.build.baselines import deleted_spans
    from audio_eval.build.splice import cut_points
    from audio_eval.build.units import TextRejectedError, parse_text
    from mingtok_audio.core.audio import save_audio
    from mingtok_audio.core.speech import cut_out

    if item.source is None or not item.original_text or item.text is None:
        raise ItemFailedError("no source or texts")
    wav, rate = context.audio(item.source)
    heard = context.judge("asr", item.source, language=item.language, words=True)
    words = [Word(w["text"].strip(), w["start"], w["end"]) for w in heard.get("words") or []]
    try:
        text = parse_text(item.original_text, "zh" if item.language == "zh" else "en")
        times = unit_times(text.cores(), words, len(wav) / rate, text.language)
        cuts = [
            cut_points(wav, rate, times, start, stop) for start, stop in deleted_spans(item, text)
        ]
    except (UserError, TextRejectedError) as error:
        raise ItemFailedError(str(error)) from None
    out = cut_out(wav, rate, cuts)
    if not len(out):
        raise ItemFailedError("nothing would be left")
    target.parent.mkdir(parents=True, exist_ok=True)
    save_audio(target, out, rate)
    # Read back: what was rounded to 16 bit is what counts as unchanged.
    return _changed(wav, context.audio(target)[0])


def _changed(source: np.ndarray, output: np.ndarray) -> list[list[list[int]]]:
    """One span: from the first sample that differs to the last."""
    length = min(len(source), len(output))
    head = np.flatnonzero(source[:length] != output[:length])
    first = int(head[0]) if len(head) else length
    tail = np.flatnonzero(source[::-1][: length - first] != output[::-1][: length - first])
    same = int(tail[0]) if len(tail) else length - first
    return [[[first, len(source) - same], [first, len(output) - same]]]
