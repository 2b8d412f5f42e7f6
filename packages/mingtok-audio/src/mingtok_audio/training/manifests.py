"""What is trained on: JSONL and Parquet manifests, lhotse CutSets and tar shards, as recordings.

- `manifest.jsonl`: a line holds `audio` (relative to the manifest), `seconds`, and as it pleases
  `text`, `split`, `speaker`, `language`, `id`, and `start` where `seconds` from there are meant.
- `manifest.parquet`: the same as columns; `path` may stand for `audio`, and rows whose `kept` is
  false are left out (a manifest of curation).
- `cuts.jsonl` or `cuts.jsonl.gz`: lhotse MonoCuts whose recordings are files.
- `shard-000.tar` (or a pattern): members `name.flac` (any audio suffix) beside `name.json` with
  the fields above, or `name.txt` with the transcript alone.

Rows of JSONL and Parquet files stay in their file: what is held of each is its place and its length
(16 bytes), and a row is parsed when it is asked for. CutSets and shards are held in memory.
"""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import threading
from abc import ABC, abstractmethod
from array import array
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, overload

import numpy as np

from mingtok_audio.core import expressions
from mingtok_audio.core.audio import audio_info, load_audio
from mingtok_audio.core.config import near
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
    where: str | None = None
    """Only rows of which this holds: a condition on their fields, as in `dnsmos > 3.4 and seconds >
    1 and language in ("en", "zh")` (`mingtok_audio.core.expressions`). A field that a row lacks is
    unknown, and a comparison with it does not hold."""

    def __post_init__(self) -> None:
        if self.where is not None:
            try:
                expressions.parse(self.where, "where")
            except UserError as error:
                raise ValueError(str(error)) from error


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


class Recordings(Sequence[Recording]):
    """The recordings of some sources, parsed when they are asked for.

    Attributes:
        seconds: of each.
        weights: of each, `Source.weight` included.
    """

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = [part for part in parts if len(part)]
        self._ends = list(np.cumsum([len(part) for part in self._parts], dtype=np.int64))

    @property
    def seconds(self) -> np.ndarray:
        return self._joined(lambda part: part.seconds)

    @property
    def weights(self) -> np.ndarray:
        return self._joined(lambda part: np.asarray(part.seconds) * part.weight)

    def _joined(self, values: Any) -> np.ndarray:
        found = [np.asarray(values(part), dtype=np.float64) for part in self._parts]
        return np.concatenate(found) if found else np.zeros(0)

    def __len__(self) -> int:
        return int(self._ends[-1]) if self._ends else 0

    @overload
    def __getitem__(self, index: int) -> Recording: ...

    @overload
    def __getitem__(self, index: slice) -> list[Recording]: ...

    def __getitem__(self, index: int | slice) -> Recording | list[Recording]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        index = index % len(self)
        which = bisect_right(self._ends, index)
        return self._parts[which].at(index - (int(self._ends[which - 1]) if which else 0))

    def __iter__(self) -> Iterator[Recording]:
        for part in self._parts:
            yield from part.all()


class Part(ABC):
    """The recordings of one file, in order. A subclass says where they are."""

    def __init__(self, weight: float) -> None:
        self.weight = weight
        self.seconds: Sequence[float] = array("d")

    def __len__(self) -> int:
        return len(self.seconds)

    @abstractmethod
    def at(self, index: int) -> Recording:
        """The recording at a place."""

    def all(self) -> Iterator[Recording]:
        """All of them, in order."""
        return (self.at(i) for i in range(len(self)))


class _Held(Part):
    """Recordings in memory."""

    def __init__(self, recordings: Sequence[Recording], weight: float) -> None:
        super().__init__(weight)
        self._recordings = recordings
        self.seconds = array("d", (r.seconds for r in recordings))

    def at(self, index: int) -> Recording:
        return self._recordings[index]


class _Lines(Part):
    """The lines of a JSONL file by their places in it."""

    def __init__(self, path: Path, source: Source) -> None:
        super().__init__(source.weight)
        self._path, self._source = path, source
        self._places, seconds = array("q"), array("d")
        chosen = _Chosen(source, path)
        number = 0
        try:
            with path.open("rb") as file:
                place = 0
                for number, raw in enumerate(file, 1):
                    length = self._length(raw, number, chosen)
                    if length is not None:
                        self._places.append(place)
                        seconds.append(length)
                    place += len(raw)
        except OSError as error:
            raise ConfigError(f"{path}:{number or 1}: {error}") from error
        chosen.finish()
        self.seconds = seconds

    def _row(self, raw: bytes, number: int) -> dict[str, Any] | None:
        if raw.isspace():
            return None
        try:
            row = json.loads(raw)
        except ValueError as error:
            raise ConfigError(f"{self._path}:{number}: {error}") from error
        if not isinstance(row, dict):
            raise ConfigError(f"{self._path}:{number}: expected an object a line")
        return row

    def _length(self, raw: bytes, number: int, chosen: _Chosen) -> float | None:
        """Seconds of a line that is taken, checked as far as its recording asks for."""
        row, split = self._row(raw, number), self._source.split
        if row is None or not chosen(row, number):
            return None
        if "recording" in row or not isinstance(row.get("audio"), str):
            found = _recording(row, self._path, self._source, number)
            return None if found is None else found.seconds
        try:
            seconds = float(row["seconds"])
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"{self._path}:{number}: {error!r}") from error
        return seconds if split is None or row.get("split") == split else None

    def _parsed(self, raw: bytes, index: int) -> Recording:
        row = self._row(raw, index + 1) if raw else None
        found = None if row is None else _recording(row, self._path, self._source, index + 1)
        if found is None:
            raise UserError(f"{self._path} has changed while it was read: start the run again")
        return found

    def at(self, index: int) -> Recording:
        with self._path.open("rb") as file:
            file.seek(self._places[index])
            return self._parsed(file.readline(), index)

    def all(self) -> Iterator[Recording]:
        with self._path.open("rb") as file:
            for index, place in enumerate(self._places):
                file.seek(place)
                yield self._parsed(file.readline(), index)


_GROUPS_KEPT = 8


class _Columns(Part):
    """The rows of a Parquet file by their numbers; some of its row groups are in memory."""

    def __init__(self, path: Path, source: Source) -> None:
        super().__init__(source.weight)
        try:
            from pyarrow import parquet
        except ImportError as error:
            raise ConfigError(f"{path}: Parquet needs pyarrow: pip install pyarrow") from error
        self._path, self._source = path, source
        self._lock = threading.Lock()
        self._groups: OrderedDict[int, Any] = OrderedDict()
        try:
            self._file = parquet.ParquetFile(path)
        except (OSError, ValueError) as error:
            raise ConfigError(f"{path}: not a Parquet file ({error})") from error
        self._places, seconds = array("q"), array("d")  # group << 32 | row
        chosen = _Chosen(source, path)
        for group in range(self._file.num_row_groups):
            for number, row in enumerate(self._rows(group)):
                if row.get("kept") is False or not chosen(row, number):
                    continue
                recording = _recording(row, path, source, number)
                if recording is not None:
                    self._places.append(group << 32 | number)
                    seconds.append(recording.seconds)
        chosen.finish()
        self.seconds = seconds

    def _rows(self, group: int) -> list[dict[str, Any]]:
        return [_plain(row) for row in self._file.read_row_group(group).to_pylist()]

    def at(self, index: int) -> Recording:
        group, number = divmod(self._places[index], 1 << 32)
        with self._lock:
            table = self._groups.pop(group, None)
            if table is None:
                table = self._file.read_row_group(group)
            self._groups[group] = table
            while len(self._groups) > _GROUPS_KEPT:
                self._groups.popitem(last=False)
        return self._made(_plain(table.slice(number, 1).to_pylist()[0]), number)

    def all(self) -> Iterator[Recording]:
        last, rows = -1, list[dict[str, Any]]()
        for place in self._places:
            group, number = divmod(place, 1 << 32)
            if group != last:
                last, rows = group, self._rows(group)
            yield self._made(rows[number], number)

    def _made(self, row: dict[str, Any], number: int) -> Recording:
        found = _recording(row, self._path, self._source, number)
        if found is None:
            raise UserError(f"{self._path} has changed while it was read: start the run again")
        return found


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """A row of a table as a line of JSONL has it: without what is null, `path` as `audio`."""
    named = "path" if "audio" not in row else ""
    return {("audio" if k == named else k): v for k, v in row.items() if v is not None}


class _Chosen:
    """Which rows `where` takes; afterwards, whether its columns were there at all."""

    def __init__(self, source: Source, path: Path) -> None:
        self._where = None if source.where is None else expressions.parse(source.where, "where")
        self._path, self._known, self._rows = path, set[str](), 0

    def __call__(self, row: Mapping[str, Any], number: int) -> bool:
        if self._where is None:
            return True
        self._rows += 1
        if not self._where.columns <= self._known:
            self._known.update(row)
        try:
            return self._where(row) is True
        except TypeError as error:
            raise ConfigError(f"{self._path}:{number}: where: {error}") from error

    def finish(self) -> None:
        """Raise `ConfigError` for a column that no row has."""
        missing = sorted(self._where.columns - self._known) if self._where is not None else []
        if missing and self._rows:
            raise ConfigError(
                f"{self._path}: where: no row has a field '{missing[0]}'"
                f"{near(missing[0], sorted(self._known))}"
            )


def read_sources(sources: Sequence[Source]) -> Recordings:
    """The recordings of some sources. Raises `ConfigError` naming the line that is wrong."""
    return Recordings([part for source in sources for part in _parts(source)])


def read_source(source: Source) -> Recordings:
    """The recordings of one source. Raises `ConfigError` naming the line that is wrong."""
    return read_sources([source])


def _parts(source: Source) -> list[Part]:
    path = Path(source.manifest)
    if source.manifest.endswith(".tar"):
        shards = _shards(source.manifest)
        if not shards:
            raise ConfigError(f"no shard matches {source.manifest}")
        chosen = _Chosen(source, path)
        held = [[r for r in _read_shard(shard, source) if chosen(r.fields, 0)] for shard in shards]
        chosen.finish()
        return [_Held(recordings, source.weight) for recordings in held]
    if not path.is_file():
        raise ConfigError(f"manifest {path} does not exist (see recipes/nano/README.md)")
    if path.suffix == ".parquet":
        return [_Columns(path, source)]
    if path.suffix != ".gz":
        return [_Lines(path, source)]
    chosen = _Chosen(source, path)
    found = [_recording(row, path, source, n) for n, row in _rows(path) if chosen(row, n)]
    chosen.finish()
    return [_Held([r for r in found if r is not None], source.weight)]


def _recording(row: dict[str, Any], path: Path, source: Source, number: int) -> Recording | None:
    """A row's recording; None where it is of another split."""
    try:
        return _cut(row, path, source) if "recording" in row else _row(row, path, source)
    except ConfigError as error:
        raise ConfigError(f"{path}:{number}: {error}") from error
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise ConfigError(f"{path}:{number}: {error!r}") from error


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
