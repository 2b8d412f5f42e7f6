"""Named entities in transcripts, after the rules of ContextASR-Bench (Wang et al. 2025)."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence

from audio_eval.text.align import Counts, count_errors, distances

VERSION = "1"

_CONTRACTIONS = (
    (r"\bwon't\b", "will not"),
    (r"\bcan't\b", "can not"),
    (r"\bshan't\b", "shall not"),
    (r"\b(\w+)n't\b", r"\1 not"),
    (r"\b(\w+)'re\b", r"\1 are"),
    (r"\b(\w+)'ve\b", r"\1 have"),
    (r"\b(\w+)'ll\b", r"\1 will"),
    (r"\b(i)'m\b", r"\1 am"),
    (r"\b(it|he|she|that|there|here|what|who|where|how)'s\b", r"\1 is"),
    (r"\b(let)'s\b", r"\1 us"),
    (r"\b(i|you|he|she|we|they)'d\b", r"\1 would"),
)
_TOKEN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]|[^\s\u3400-\u9fff\uf900-\ufaff]+")


def entity_tokens(text: str) -> list[str]:
    """Lower case, contractions expanded, punctuation (hyphen and apostrophe too) to spaces, Chinese
    characters apart, runs of single letters merged (``u s a`` and ``u.s.a.`` to ``usa``)."""
    text = unicodedata.normalize("NFKC", text).lower().replace("’", "'")
    for pattern, plain in _CONTRACTIONS:
        text = re.sub(pattern, plain, text)
    text = "".join(c if unicodedata.category(c)[0] in "LMN" else " " for c in text)
    out: list[str] = []
    letters = ""
    for token in [*_TOKEN.findall(text), ""]:
        if len(token) == 1 and token.isascii() and token.isalpha():
            letters += token
            continue
        if letters:
            out.append(letters)
        letters = ""
        if token:
            out.append(token)
    return out


def occurrences(tokens: Sequence[str], entity: Sequence[str]) -> list[int]:
    """Starts of exact, not overlapping occurrences."""
    found, i = [], 0
    while i + len(entity) <= len(tokens):
        if list(tokens[i : i + len(entity)]) == list(entity):
            found.append(i)
            i += len(entity)
        else:
            i += 1
    return found


def entity_errors(
    truth: Sequence[str], heard: Sequence[str], entities: Sequence[Sequence[str]]
) -> tuple[Counts, int, int]:
    """Errors over the entities, exact hits, and entities to be heard.

    An entity counts as often as ``truth`` says it (at least once). Each occurrence is looked for
    in ``heard``: an exact one, else the window of n-1 to n+1 tokens at the least edit distance, at
    most ``ceil(n / 2) - 1``; windows are not used twice. One that is not found is n deletions.
    """
    wanted = [entity for entity in entities for _ in range(max(1, len(occurrences(truth, entity))))]
    free = [True] * len(heard)
    found: dict[int, tuple[int, int]] = {}
    # Exact ones first, longest first, so that a fuzzy match never takes another's words.
    order = sorted(range(len(wanted)), key=lambda k: -len(wanted[k]))
    for exact in (True, False):
        for k in order:
            if k not in found:
                window = _window(wanted[k], heard, free, exact)
                if window is not None:
                    found[k] = window
                    free[window[0] : window[1]] = [False] * (window[1] - window[0])
    parts = [
        count_errors(entity, heard[slice(*found[k])] if k in found else [])
        for k, entity in enumerate(wanted)
    ]
    total = Counts(
        sum(p.substitutions for p in parts),
        sum(p.deletions for p in parts),
        sum(p.insertions for p in parts),
        sum(p.reference for p in parts),
    )
    return total, sum(p.errors == 0 for p in parts), len(wanted)


def _window(
    entity: Sequence[str], heard: Sequence[str], free: Sequence[bool], exact: bool
) -> tuple[int, int] | None:
    n = len(entity)
    limit = 0 if exact else math.ceil(n / 2) - 1
    if not exact and limit < 1:
        return None
    best: tuple[int, int, int] | None = None
    for size in (n,) if exact else (n, n - 1, n + 1):
        for i in range(len(heard) - size + 1):
            if not all(free[i : i + size]):
                continue
            cost = int(distances(entity, heard[i : i + size])[-1, -1])
            if cost <= limit and (best is None or cost < best[0]):
                best = (cost, i, i + size)
    return best[1:] if best else None
