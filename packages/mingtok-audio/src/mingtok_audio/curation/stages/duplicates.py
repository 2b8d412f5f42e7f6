"""Near duplicates: the same sound again, and the same text again.

A sound's fingerprint is the set of pairs of its spectral peaks (two frequencies and the time
between them), which level, noise and coding change little; sets are compared by MinHash (Broder
1997), and candidates are found by locality-sensitive hashing.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from importlib import metadata, util
from typing import Any

import numpy as np

from mingtok_audio.core.audio import resample
from mingtok_audio.curation import text as texts
from mingtok_audio.curation.interfaces import CorpusStage, Row, SegmentStage, drop_row
from mingtok_audio.curation.recording import Recording, Segment

_RATE, _SIZE, _HOP = 8000, 512, 128
_PERMUTATIONS, _SCHEME = 128, "affine32"
# A peak is the largest of its neighbourhood (frames, bins) and within so much of the loudest one
# (nats); a frame has so many at the most, and each is paired with so many that follow it.
_FRAMES, _BINS, _BELOW, _PEAKS, _FAN = 10, 14, 3.0, 2, 6
_REACH = 64  # frames between the two of a pair
_LOW, _HIGH = 9, 217  # bins: 150 to 3400 Hz
_NEEDS = "datasketch is not installed: pip install 'datasketch>=2'"


class Fingerprint(SegmentStage):
    """A MinHash of a segment's peaks (`fingerprint`, 512 bytes)."""

    columns = {"fingerprint": "bytes"}

    def missing(self) -> str:
        """Whether datasketch is not installed."""
        return "" if util.find_spec("datasketch") else _NEEDS

    def identity(self) -> Mapping[str, Any]:
        """The version of datasketch."""
        return {"datasketch": metadata.version("datasketch")}

    def run(self, segment: Segment, wav: np.ndarray, recording: Recording) -> None:
        """Fill `fingerprint`."""
        samples = wav if recording.rate == _RATE else resample(wav, recording.rate, _RATE)
        marks = landmarks(samples)
        if len(marks):
            segment.values["fingerprint"] = _packed([m.tobytes() for m in marks])


class Duplicates(CorpusStage):
    """Groups of segments with one sound (`duplicate_group`), of which one is kept, and of segments
    with one text (`text_group`, `text_copies`).

    Args:
        similarity: of fingerprints (Jaccard) from which two are one sound.
        text_similarity: of texts (runs of three words) from which two are one text.
        max_copies: segments with one text that are kept; None keeps all.
    """

    columns = {
        "duplicate_group": "text",
        "duplicate_of": "text",
        "text_group": "text",
        "text_copies": "int",
    }
    needs = ("fingerprint", "text", "snr", "bandwidth")

    def __init__(
        self,
        similarity: float = 0.25,
        text_similarity: float = 0.8,
        max_copies: int | None = None,
    ) -> None:
        for value in (similarity, text_similarity):
            if not 0 < value < 1:
                raise ValueError(f"a similarity is between 0 and 1, not {value}")
        self.similarity, self.text_similarity = similarity, text_similarity
        self.max_copies = max_copies

    def missing(self) -> str:
        """Whether datasketch is not installed."""
        return "" if util.find_spec("datasketch") else _NEEDS

    def run(self, rows: Sequence[Row]) -> None:
        """Mark the groups; of each, drop all but the best."""
        kept = sorted((row for row in rows if row["kept"]), key=lambda row: row["id"])
        prints = {r["id"]: _unpacked(r["fingerprint"]) for r in kept if r.get("fingerprint")}
        by_id = {row["id"]: row for row in kept}
        for name, members in groups(prints, self.similarity).items():
            ranked = sorted((by_id[m] for m in members), key=_worth)
            for row in ranked:
                row["duplicate_group"] = name
            for row in ranked[1:]:
                row["duplicate_of"] = ranked[0]["id"]
                drop_row(row, "duplicate", f"sounds like {ranked[0]['id']}")
        said = {r["id"]: texts.shingles(r["text"]) for r in kept if r.get("text")}
        hashes = {
            i: _hashed([s.encode() for s in sorted(parts)]) for i, parts in said.items() if parts
        }
        for name, members in groups(hashes, self.text_similarity).items():
            copies = [by_id[m] for m in members if by_id[m]["kept"]]
            for m in members:
                by_id[m] |= {"text_group": name, "text_copies": len(copies)}
            for row in sorted(copies, key=_worth)[self.max_copies :] if self.max_copies else ():
                drop_row(row, "repeated_text", f"{len(copies)} segments say this")


def _worth(row: Row) -> tuple[float, float, float, str]:
    """The best first: the longest, then the widest, then the cleanest."""
    wide, clean = row.get("bandwidth") or 0.0, row.get("snr") or 0.0
    return (-round(row["seconds"]), -round(wide / 500.0), -round(clean, 1), row["id"])


def landmarks(wav: np.ndarray) -> np.ndarray:
    """Distinct pairs of peaks (n,) uint32 of samples (T,) at 8 kHz.

    Places are coarse (31 Hz, 64 ms), so that a shift of half a frame changes few pairs.
    """
    if len(wav) < 4 * _SIZE or not np.abs(wav).max() > 0:
        return np.zeros(0, np.uint32)
    frames = np.lib.stride_tricks.sliding_window_view(wav, _SIZE)[::_HOP]
    power = np.abs(np.fft.rfft(frames * np.hanning(_SIZE), axis=1))[:, _LOW:_HIGH]
    level = np.log(power + power.max() * 1e-4)
    around = _running_max(_running_max(level, _FRAMES, 0), _BINS, 1)
    times, places = np.nonzero((level >= around) & (level > level.max() - _BELOW))
    order = np.lexsort((places, -level[times, places], times))
    times, places = times[order], places[order]
    few = np.arange(len(times)) - np.searchsorted(times, times) < _PEAKS
    times, places = times[few], places[few]
    out: list[np.ndarray] = []
    for ahead in range(1, _FAN + 1):
        gap = times[ahead:] - times[:-ahead]
        pairs = (places[:-ahead] // 2 << 16) | (places[ahead:] // 2 << 8) | gap // 4
        out.append(pairs[(gap > 0) & (gap <= _REACH)].astype(np.uint32))
    return np.unique(np.concatenate(out))


def _running_max(level: np.ndarray, reach: int, axis: int) -> np.ndarray:
    """The largest value within `reach` places on either side."""
    width = [(reach, reach) if i == axis else (0, 0) for i in range(level.ndim)]
    padded = np.pad(level, width, constant_values=-np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis=axis)
    return windows.max(axis=-1)


def _hashed(items: Sequence[bytes]) -> np.ndarray:
    from datasketch import MinHash  # pyright: ignore[reportMissingImports]

    found = MinHash(num_perm=_PERMUTATIONS, seed=1, scheme=_SCHEME)
    found.update_batch(items)
    return np.asarray(found.hashvalues)


def _packed(items: Sequence[bytes]) -> bytes:
    return _hashed(items).astype("<u4").tobytes()


def _unpacked(held: bytes | str) -> np.ndarray:
    raw = base64.b64decode(held) if isinstance(held, str) else held
    return np.frombuffer(raw, "<u4")


def groups(hashes: Mapping[str, np.ndarray], similarity: float) -> dict[str, list[str]]:
    """Ids whose MinHashes are alike, directly or through others: the first id -> all, sorted."""
    from datasketch import MinHash, MinHashLSH  # pyright: ignore[reportMissingImports]

    index = MinHashLSH(threshold=similarity, num_perm=_PERMUTATIONS)
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for name in sorted(hashes):
        values = hashes[name]
        sketch = MinHash(_PERMUTATIONS, 1, hashvalues=values, scheme=_SCHEME)
        parent[name] = name
        for other in sorted(map(str, index.query(sketch))):
            if float(np.mean(values == hashes[other])) >= similarity:
                one, two = sorted((root(name), root(other)))
                parent[two] = one
        index.insert(name, sketch)
    found: dict[str, list[str]] = {}
    for name in sorted(hashes):
        found.setdefault(root(name), []).append(name)
    return {first: members for first, members in found.items() if len(members) > 1}
