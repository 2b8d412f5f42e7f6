"""The manifest: one row a segment, in Parquet.

`CORE` are the columns that every manifest has; those of the stages follow. `docs/curation.md` lists
them all. The file's metadata hold the pipeline (`mingtok.curation`, JSON).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mingtok_audio.core.errors import FormatError, UserError
from mingtok_audio.core.extras import install_line
from mingtok_audio.core.files import atomic_write, os_reason
from mingtok_audio.curation.interfaces import ColumnType, Row

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT_VERSION = 1
METADATA = b"mingtok.curation"
_GROUP = 10_000  # rows that are read, written and filtered together

CORE: dict[str, ColumnType] = {
    "id": "text",
    "source": "text",
    "path": "text",
    "start": "float",
    "end": "float",
    "seconds": "float",
    "speaker": "text",
    "language": "text",
    "text": "text",
    "snr": "float",
    "dnsmos": "float",
    "kept": "bool",
    "reason": "text",
    "detail": "text",
    "stage": "text",
    "licence": "text",
    "origin": "text",
}


def need_pyarrow() -> None:
    """Say what to install where pyarrow is missing (UserError)."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"curation needs pyarrow: {install_line('mingtok-audio', 'curate')}"
        ) from error


def schema_of(columns: Mapping[str, ColumnType], pipeline: Mapping[str, Any]) -> pa.Schema:
    """The Arrow schema of a manifest."""
    import pyarrow as pa

    words = pa.list_(
        pa.struct(
            [
                ("text", pa.string()),
                ("start", pa.float64()),
                ("end", pa.float64()),
                ("score", pa.float64()),
            ]
        )
    )
    types: dict[str, pa.DataType] = {
        "text": pa.string(),
        "float": pa.float64(),
        "int": pa.int64(),
        "bool": pa.bool_(),
        "floats": pa.list_(pa.float32()),
        "bytes": pa.binary(),
        "words": words,
    }
    return with_pipeline(pa.schema([(n, types[t]) for n, t in columns.items()]), pipeline)


def with_pipeline(schema: pa.Schema, pipeline: Mapping[str, Any]) -> pa.Schema:
    """A schema whose metadata say how the rows were made."""
    held = {"format_version": FORMAT_VERSION, **pipeline}
    text = json.dumps(held, sort_keys=True, ensure_ascii=False)
    return schema.with_metadata({METADATA: text.encode()})


def write_rows(path: Path, schema: pa.Schema, rows: Iterable[Row]) -> int:
    """Write a manifest, whole or not at all; how many rows it has. Same rows, same bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    count = 0
    with (
        atomic_write(path) as temporary,
        pq.ParquetWriter(temporary, schema, compression="zstd") as out,
    ):
        waiting: list[Row] = []
        for row in rows:
            waiting.append(row)
            if len(waiting) == _GROUP:
                out.write_table(pa.Table.from_pylist(waiting, schema=schema))
                count, waiting = count + len(waiting), []
        if waiting or not count:
            out.write_table(pa.Table.from_pylist(waiting, schema=schema))
            count += len(waiting)
    return count


class Manifest:
    """A manifest on disk. Reads in groups of rows: memory does not grow with its length.

    Args:
        source: the Parquet file, or the folder of a run.

    Raises:
        UserError: there is none. FormatError: it is something else, or of a newer version.
    """

    def __init__(self, source: str | Path) -> None:
        need_pyarrow()
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = Path(source)
        self.path = path / "manifest.parquet" if path.is_dir() else path
        if not self.path.is_file():
            raise UserError(f"there is no manifest {self.path}; mingtok curate makes one")
        try:
            self._file = pq.ParquetFile(self.path)
        except OSError as error:
            raise UserError(f"cannot read {self.path}: {os_reason(error)}") from error
        except pa.ArrowException as error:
            raise FormatError(f"{self.path} is no Parquet file: {error}") from error
        self.schema = self._file.schema_arrow
        try:
            self.pipeline: dict[str, Any] = json.loads((self.schema.metadata or {})[METADATA])
            version = self.pipeline.pop("format_version")
        except (KeyError, ValueError, AttributeError, TypeError) as error:
            raise FormatError(f"{self.path} is no manifest of mingtok curate") from error
        if version != FORMAT_VERSION:
            raise FormatError(f"{self.path} is a manifest of version {version}; this reads 1")
        lacking = [name for name in CORE if name not in self.schema.names]
        if lacking:
            raise FormatError(f"{self.path} lacks the column {lacking[0]}")

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return list(self.schema.names)

    def __len__(self) -> int:
        return self._file.metadata.num_rows

    def rows(self, columns: Sequence[str] | None = None) -> Iterator[Row]:
        """The rows, with some or all columns."""
        import pyarrow as pa

        try:
            for batch in self._file.iter_batches(_GROUP, columns=columns):
                yield from batch.to_pylist()
        except (OSError, pa.ArrowException) as error:
            raise FormatError(f"{self.path} is damaged: {error}") from error


def to_json(row: Row) -> str:
    """A row as a line; bytes as base64."""
    held = {k: base64.b64encode(v).decode() if isinstance(v, bytes) else v for k, v in row.items()}
    return json.dumps(held, ensure_ascii=True, allow_nan=False)


def from_json(line: str, columns: Mapping[str, ColumnType]) -> Row:
    """The row of a line that `to_json` made."""
    row: Row = json.loads(line)
    for name, value in row.items():
        if columns.get(name) == "bytes" and value is not None:
            row[name] = base64.b64decode(value)
    return row
