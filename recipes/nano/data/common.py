"""What every source shares: audio files, manifests, splits.

A corpus is a folder `OUT/NAME` with `wavs/*.flac` (16 kHz, mono, 16 bit) and `manifest.jsonl`,
one JSON object a line. Nothing here leaves a half-written file: everything is written under a
temporary name in the same folder and renamed. A rerun keeps the items whose audio is there.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

SAMPLE_RATE = 16_000
SPLITS = ("train", "valid", "test")


class ManifestError(ValueError):
    """A manifest line that breaks a rule; the message says which line and why."""


@dataclass(frozen=True)
class Item:
    """One recording of a manifest; `audio` is relative to the manifest's folder.

    `phonemes` are the symbols that were spoken, `durations` their lengths in seconds (same
    length as `phonemes`, summing to `seconds`); both stay empty where no one knows them.
    """

    id: str
    audio: str
    text: str
    language: str
    speaker: str
    source: str
    licence: str
    split: str
    seconds: float
    sample_rate: int = SAMPLE_RATE
    document: str = ""
    phonemes: tuple[str, ...] = field(default=())
    durations: tuple[float, ...] = field(default=())

    def to_json(self) -> str:
        """One manifest line; empty optional fields are left out."""
        record = asdict(self)
        for name in ("document", "phonemes", "durations"):
            if not record[name]:
                del record[name]
        return json.dumps(record, ensure_ascii=False)


def parse_item(line: str, where: str) -> Item:
    """Reads and checks one manifest line.

    Raises:
        ManifestError: with `where` and what is wrong.
    """
    try:
        record: Any = json.loads(line)
    except json.JSONDecodeError as error:
        raise ManifestError(f"{where}: not a JSON object: {error}") from error
    if not isinstance(record, dict):
        raise ManifestError(f"{where}: not a JSON object")
    known = set(Item.__dataclass_fields__)
    required = known - {"document", "phonemes", "durations"}
    if missing := sorted(required - set(record)):
        raise ManifestError(f"{where}: missing {', '.join(missing)}")
    if unknown := sorted(set(record) - known):
        raise ManifestError(f"{where}: unknown field {', '.join(unknown)}")
    for name in ("id", "audio", "text", "language", "speaker", "source", "licence", "split"):
        if not isinstance(record[name], str):
            raise ManifestError(f"{where}: {name} must be a string")
    for name in ("phonemes", "durations"):
        if not isinstance(record.get(name, []), list):
            raise ManifestError(f"{where}: {name} must be a list")
        record[name] = tuple(record.get(name, ()))
    item = Item(**record)
    check_item(item, where)
    return item


def check_item(item: Item, where: str) -> None:
    """Raises `ManifestError` if a field of `item` makes no sense."""
    for name in ("id", "audio", "language", "speaker", "source", "licence"):
        if not getattr(item, name):
            raise ManifestError(f"{where}: {name} is empty")
    if item.split not in SPLITS:
        raise ManifestError(f"{where}: split must be one of {', '.join(SPLITS)}")
    if item.sample_rate != SAMPLE_RATE:
        raise ManifestError(f"{where}: sample_rate must be {SAMPLE_RATE}")
    if not isinstance(item.seconds, int | float) or not 0 < item.seconds < 3600:
        raise ManifestError(f"{where}: seconds must be between 0 and 3600")
    if Path(item.audio).is_absolute() or ".." in Path(item.audio).parts:
        raise ManifestError(f"{where}: audio must be a path inside the manifest's folder")
    if item.durations:
        if len(item.durations) != len(item.phonemes):
            raise ManifestError(f"{where}: phonemes and durations differ in length")
        if abs(sum(item.durations) - item.seconds) > 0.01:
            raise ManifestError(f"{where}: durations do not add up to seconds")


def read_manifest(path: Path) -> list[Item]:
    """All items of a manifest, in order; an empty list if the file does not exist."""
    if not path.exists():
        return []
    items = []
    seen: set[str] = set()
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            item = parse_item(line, f"{path.name} line {number}")
            if item.id in seen:
                raise ManifestError(f"{path.name} line {number}: id {item.id} appears twice")
            seen.add(item.id)
            items.append(item)
    return items


def write_manifest(path: Path, items: Iterable[Item]) -> None:
    """Replaces the manifest in one step, so that a reader always finds a whole one."""
    lines = []
    seen: set[str] = set()
    for number, item in enumerate(items, 1):
        check_item(item, f"{path.name} line {number}")
        if item.id in seen:
            raise ManifestError(f"{path.name} line {number}: id {item.id} appears twice")
        seen.add(item.id)
        lines.append(item.to_json() + "\n")
    with atomic_path(path) as temporary:
        temporary.write_text("".join(lines), encoding="utf-8")


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yields a temporary name beside `path`; renames it on success, removes it on failure."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def to_16k(wav: np.ndarray, sample_rate: int) -> np.ndarray:
    """Resamples mono `wav` (T,) to 16 kHz, float32 (T',), with soxr's HQ filter."""
    import numpy as np
    import soxr

    wav = np.ascontiguousarray(wav, dtype=np.float32)
    if sample_rate == SAMPLE_RATE:
        return wav
    return np.asarray(soxr.resample(wav, sample_rate, SAMPLE_RATE, quality="HQ"), dtype=np.float32)


def save_flac(path: Path, wav: np.ndarray) -> float:
    """Writes 16 kHz mono `wav` (T,) in [-1, 1] as 16-bit FLAC; returns its seconds."""
    import numpy as np
    import soundfile

    peak = float(np.abs(wav).max(initial=0.0))
    if peak > 0.999:
        wav = wav * (0.999 / peak)  # the resampler may overshoot full scale
    with atomic_path(path) as temporary:
        soundfile.write(temporary, wav, SAMPLE_RATE, subtype="PCM_16", format="FLAC")
    return len(wav) / SAMPLE_RATE


def stable_fraction(key: str) -> float:
    """A number in [0, 1) that depends on `key` alone: the same split on every machine."""
    digest = hashlib.sha256(key.encode("utf-8")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def assign_split(key: str, *, held_out: bool = False, valid_fraction: float = 0.05) -> str:
    """`test` for held-out speakers or documents, else `valid` for a stable share of the keys."""
    if held_out:
        return "test"
    return "valid" if stable_fraction(key) < valid_fraction else "train"


def fast_bfloat16(about: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether this CPU multiplies bfloat16 itself (AMX, AVX-512 BF16); False where nobody says."""
    try:
        flags = about.read_text(encoding="utf-8", errors="replace").split()
        return not {"amx_bf16", "avx512_bf16"}.isdisjoint(flags)
    except OSError:
        return False
