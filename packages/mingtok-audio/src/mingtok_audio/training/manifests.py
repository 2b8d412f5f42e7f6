"""What is trained on: plain JSONL manifests, lhotse CutSets and tar shards, read as recordings.

- `manifest.jsonl`: a line holds `audio` (relative to the manifest), `seconds`, and as it pleases
  `text`, `split`, `speaker`, `language`, `id`, and `start` where `seconds` from there are meant.
- `cuts.jsonl` or `cuts.jsonl.gz`: lhotse MonoCuts whose recordings are files.
- `shard-000.tar` (or a pattern): members `name.flac` (any audio suffix) beside `name.json` with
  the fields above, or `name.txt` with the transcript alone.
"""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mingtok_audio.core.audio import audio_info, load_audio
from mingtok_audio.core.errors import ConfigError, UserError

_AUDIO = {".wav", ".flac", ".ogg", ".mp3", ".opus"}


@dataclass(frozen=True)
class Source:
    """One manifest, CutSet or pattern of tar shards (see the module)."""

    manifest: str
    weight: float = 1.0
    """Hours of this source count this much when crops are drawn."""
    split: str | None = "train"
    """Only items with this `split`; None takes all. Items of CutSets and shards without a split
    are always taken."""


@dataclass(frozen=True)
class Recording:
    """One stretch of audio, and where its samples are."""

    path: Path
    seconds: float
    weight: float
    id: str
    text: str | None = None
    start: float = 0.0
    """Seconds into the file."""
    whole: bool = True
    """False if only `seconds` from `start` belong to it (a cut)."""
    channel: int | None = None
    offset: int | None = None
    """Bytes before the audio in a tar shard; None for a file of its own."""
    size: int = 0
    fields: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """The manifest's own fields (`speaker`, `language`, `phonemes`, ...), as they are there."""

    @property
    def name(self) -> str:
        """For messages."""
        return str(self.path) if self.offset is None else f"{self.path}#{self.id}"

    def load(self, sample_rate: int) -> np.ndarray:
        """Samples (T,) at `sample_rate`. Raises `UserError` or OSError if they cannot be read."""
        source: Any = self.path
        if self.offset is not None:
            with self.path.open("rb") as file:
                file.seek(self.offset)
                source = io.BytesIO(file.read(self.size))
        wav, _ = load_audio(
            source,
            sample_rate=sample_rate,
            channel="mix" if self.channel is None else self.channel,
            start=self.start or None,
            end=None if self.whole else self.start + self.seconds,
        )
        return wav


def read_source(source: Source) -> list[Recording]:
    """The recordings of one source. Raises `ConfigError` naming the line that is wrong."""
    if source.manifest.endswith(".tar"):
        shards = _shards(source.manifest)
        if not shards:
            raise ConfigError(f"no shard matches {source.manifest}")
        return [r for shard in shards for r in _read_shard(shard, source)]
    path = Path(source.manifest)
    if not path.is_file():
        raise ConfigError(f"manifest {path} does not exist (see recipes/nano/README.md)")
    recordings = []
    for number, row in _rows(path):
        try:
            recording = _cut(row, path, source) if "recording" in row else _row(row, path, source)
        except ConfigError as error:
            raise ConfigError(f"{path}:{number}: {error}") from error
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise ConfigError(f"{path}:{number}: {error!r}") from error
        if recording is not None:
            recordings.append(recording)
    return recordings


def _shards(pattern: str) -> list[Path]:
    path = Path(pattern)
    return sorted(path.parent.glob(path.name))


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    opener = gzip.open if path.suffix == ".gz" else open
    number = 0
    try:
        with opener(path, "rt", encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    row = json.loads(line)
                    if not isinstance(row, dict):
                        raise ValueError("expected an object a line")
                    yield number, row
    except (OSError, EOFError, ValueError) as error:
        raise ConfigError(f"{path}:{number or 1}: {error}") from error


def _row(row: dict[str, Any], path: Path, source: Source) -> Recording | None:
    audio, seconds = row["audio"], float(row["seconds"])
    if source.split is not None and row.get("split") != source.split:
        return None
    return Recording(
        path.parent / audio,
        seconds,
        source.weight * seconds,
        id=str(row.get("id", audio)),
        text=row.get("text"),
        start=float(row.get("start", 0.0)),
        whole="start" not in row,
        fields=row,
    )


def _cut(row: dict[str, Any], path: Path, source: Source) -> Recording | None:
    """A lhotse MonoCut."""
    split = (row.get("custom") or {}).get("split")
    if source.split is not None and split not in (None, source.split):
        return None
    if row.get("type", "MonoCut") != "MonoCut" or row["recording"].get("transforms"):
        raise ConfigError("only plain MonoCuts are read: save mixed or transformed cuts as audio")
    kinds = [s for s in row["recording"]["sources"] if s["type"] == "file"]
    if len(kinds) != 1:
        raise ConfigError("a cut's recording must have one source of type 'file'")
    seconds, start = float(row["duration"]), float(row.get("start", 0.0))
    said = row.get("supervisions") or []
    texts = [s["text"] for s in said if s.get("text")]
    channel = row.get("channel", 0)
    return Recording(
        path.parent / kinds[0]["source"],
        seconds,
        source.weight * seconds,
        id=str(row["id"]),
        text=" ".join(texts) or None,
        start=start,
        whole=False,
        channel=int(kinds[0].get("channels", [0]).index(channel)),
        fields={**(said[0] if said else {}), **(row.get("custom") or {})},
    )


def _read_shard(path: Path, source: Source) -> list[Recording]:
    """Index one tar shard: only headers and texts are read, audio stays where it is."""
    audio: dict[str, tarfile.TarInfo] = {}
    fields: dict[str, dict[str, Any]] = {}
    try:
        with tarfile.open(path, "r:") as archive:
            for member in archive:
                stem, suffix = str(Path(member.name).with_suffix("")), Path(member.name).suffix
                if not member.isfile():
                    continue
                if suffix in _AUDIO:
                    audio[stem] = member
                elif suffix in (".json", ".txt"):
                    stream = archive.extractfile(member)
                    text = "" if stream is None else stream.read().decode("utf-8")
                    fields[stem] = json.loads(text) if suffix == ".json" else {"text": text.strip()}
    except (tarfile.TarError, OSError, ValueError) as error:
        raise ConfigError(f"{path}: not a readable tar shard ({error})") from error
    recordings = []
    for stem, member in audio.items():
        row = fields.get(stem, {})
        if source.split is not None and row.get("split", source.split) != source.split:
            continue
        seconds = row.get("seconds")
        if seconds is None:
            seconds = _seconds_of(path, member)
        recordings.append(
            Recording(
                path,
                float(seconds),
                source.weight * float(seconds),
                id=stem,
                text=row.get("text"),
                offset=member.offset_data,
                size=member.size,
                fields=row,
            )
        )
    return recordings


def _seconds_of(path: Path, member: tarfile.TarInfo) -> float:
    """Length of a member by its header; 1 s if it cannot be read: reading it will say why."""
    with path.open("rb") as file:
        file.seek(member.offset_data)
        data = io.BytesIO(file.read(member.size))
    try:
        return audio_info(data).seconds
    except (UserError, OSError):
        return 1.0
