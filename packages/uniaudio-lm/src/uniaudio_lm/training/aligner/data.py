"""What an aligner is trained on: a tokenizer's latents or features of whole recordings, computed
once and kept in a folder, with frame labels or symbols. Axes: L frames, D dimensions."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mingtok_audio.core.audio import load_audio, resample
from mingtok_audio.core.errors import ConfigError, UserError
from mingtok_audio.core.files import atomic_write
from uniaudio_lm.parts.aligners.units import WILDCARD, Speller
from uniaudio_lm.parts.aligners.viterbi import fewest_frames
from uniaudio_lm.training.aligner.references import Timed, frame_labels, read_timed

if TYPE_CHECKING:
    from mingtok_audio.models.mingtok import MingTok

logger = logging.getLogger(__name__)
_FORMAT = 1


@dataclass(frozen=True)
class AlignSource:
    """A JSONL manifest: a line holds `audio`, `text`, `seconds`, and where known `language`,
    `split`, `phonemes` and `durations`."""

    manifest: str
    split: str | None = "train"
    """Only items with this `split`; None takes all."""
    limit: int | None = None
    """At most this many items, from the beginning."""


@dataclass(frozen=True)
class AlignRow:
    """One line of a manifest."""

    path: Path
    seconds: float
    text: str
    language: str
    timed: list[Timed] | None


def read_rows(source: AlignSource, longest: float = 30.0) -> list[AlignRow]:
    """The items of a manifest with a text, up to `longest` seconds.

    Raises:
        ConfigError: names the line that is wrong.
    """
    path = Path(source.manifest)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the manifest {path} cannot be read: {error}") from error
    rows: list[AlignRow] = []
    for number, line in enumerate(lines, 1):
        if source.limit is not None and len(rows) >= source.limit:
            break
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            if source.split is not None and row.get("split") != source.split:
                continue
            if not row.get("text") or float(row["seconds"]) > longest:
                continue
            rows.append(_row(row, path.parent))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ConfigError(f"{path}:{number}: {error}") from error
    return rows


def _row(row: dict[str, Any], folder: Path) -> AlignRow:
    language = str(row.get("language", "en"))
    timed = None
    if row.get("phonemes"):
        timed = read_timed(row["phonemes"], row["durations"], language)
    return AlignRow(folder / row["audio"], float(row["seconds"]), str(row["text"]), language, timed)


@dataclass(frozen=True)
class AlignItem:
    """A recording ready for training.

    Attributes:
        inputs: (L, D) float16.
        labels: (L,) int64 where phoneme times are known, else None.
        symbols: of the text, for CTC.
    """

    inputs: np.ndarray
    labels: np.ndarray | None
    symbols: tuple[int, ...]


def prepare(
    source: AlignSource,
    tokenizer: MingTok,
    kind: str,
    cache: Path,
    *,
    longest: float = 30.0,
    rates: Sequence[float] = (1.0,),
) -> list[AlignItem]:
    """The items of a source, from the cache or computed into it.

    Args:
        kind: "latents" or "features".
        rates: the i-th item is played at the i-th of them, in turn: faster or slower, with
            another pitch, like another speaker.
    """
    rows = read_rows(source, longest)
    if not rows:
        return []
    inputs = _cached(rows, tokenizer, kind, cache, rates)
    speller = Speller()
    items = []
    for i, (row, found) in enumerate(zip(rows, inputs, strict=True)):
        if not len(found):
            continue
        labels = None
        if row.timed is not None:
            frame_rate = tokenizer.frame_rate / rates[i % len(rates)]
            labels = frame_labels(row.timed, len(found), frame_rate)
        symbols = tuple(s for w in speller.words(row.text, row.language) for s in w.symbols)
        if labels is None and (WILDCARD in symbols or fewest_frames(symbols) > len(found)):
            continue
        items.append(AlignItem(found, labels, symbols))
    return items


def _cached(
    rows: Sequence[AlignRow],
    tokenizer: MingTok,
    kind: str,
    cache: Path,
    rates: Sequence[float],
) -> list[np.ndarray]:
    """Inputs (L, D) float16 of each row; (0, D) where it cannot be read."""
    about = [_FORMAT, tokenizer.model_hash, tokenizer.model_id, kind, list(rates)]
    about.append([[str(row.path), row.seconds] for row in rows])
    key = hashlib.sha256(json.dumps(about).encode()).hexdigest()[:16]
    table, lengths_file = cache / f"{key}.npy", cache / f"{key}.json"
    if not (table.is_file() and lengths_file.is_file()):
        cache.mkdir(parents=True, exist_ok=True)
        parts = list(_computed(rows, tokenizer, kind, rates))
        with atomic_write(table) as temporary, temporary.open("wb") as file:
            np.save(file, np.concatenate(parts))
        with atomic_write(lengths_file) as temporary:
            temporary.write_text(json.dumps([len(part) for part in parts]))
    whole = np.load(table, mmap_mode="r")
    ends = np.cumsum(json.loads(lengths_file.read_text()))
    return [whole[begin:end] for begin, end in zip([0, *ends[:-1]], ends, strict=True)]


@torch.no_grad()
def _computed(
    rows: Sequence[AlignRow], tokenizer: MingTok, kind: str, rates: Sequence[float]
) -> Iterator[np.ndarray]:
    config = tokenizer.config
    width = config.latent_dim if kind == "latents" else config.feature_dim
    for number, row in enumerate(rows):
        if number % 500 == 0:
            logger.info("%s of item %d of %d", kind, number, len(rows))
        try:
            wav, _ = load_audio(row.path, sample_rate=config.sample_rate)
            rate = rates[number % len(rates)]
            if rate != 1.0:
                wav = resample(wav, round(config.sample_rate * rate), config.sample_rate)
            latents = tokenizer.encode(wav, config.sample_rate)
            found = latents.values if kind == "latents" else tokenizer.features(latents)
            yield found[0].cpu().numpy().astype(np.float16)
        except (UserError, OSError) as error:
            logger.warning("%s is left out: %s", row.path, error)
            yield np.zeros((0, width or 0), dtype=np.float16)
