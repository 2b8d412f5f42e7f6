"""What is kept, in the forms that others read.

- `jsonl`: JSON lines with spans of the files where they lie, as our training configs read them.
- `lhotse`: a CutSet (`cuts.jsonl.gz`) of MonoCuts, audio in place too.
- `shards`: FLAC in tar files, each with its row in JSON (WebDataset), standardised.
- `datasets`: Parquet files with FLAC inside, in the layout of Hugging Face `datasets`.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mingtok_audio.core.audio import load_audio
from mingtok_audio.core.config.schema import near
from mingtok_audio.core.errors import UserError
from mingtok_audio.core.files import atomic_write, atomic_write_text, os_reason
from mingtok_audio.core.jobs import Advance, Job, Result, Work, done, run_jobs
from mingtok_audio.curation.interfaces import Row
from mingtok_audio.curation.manifest import Manifest

FORMATS = ("datasets", "jsonl", "lhotse", "shards")
_FIELDS = (
    "id", "text", "speaker", "language", "split", "snr", "dnsmos", "cross_wer", "align_score",
    "bandwidth", "words", "licence", "origin",
)  # fmt: skip
_WITH_AUDIO = (*_FIELDS, "path", "start", "end", "seconds", "offset", "gain_db")
_IN_SHARD = 500  # segments
_EPOCH = 0  # of members and headers: the same rows give the same bytes


@dataclass
class Exported:
    """What was written.

    Attributes:
        segments, hours: that are kept.
        files: that were written, or were there already.
        failed: files whose audio could no longer be read, and why.
    """

    output: str
    format: str
    segments: int = 0
    hours: float = 0.0
    files: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self)


def export(
    source: str | Path,
    output: Path,
    form: str,
    *,
    split: str | None = None,
    workers: int | None = None,
    ray: str | None = None,
    force: bool = False,
) -> Exported:
    """Write what a manifest keeps.

    Args:
        output: a file for `jsonl` and `lhotse`, a folder for the others.
        split: only this one.

    Raises:
        UserError: an unknown format, nothing to write, or an output that cannot be written.
    """
    if form not in FORMATS:
        raise UserError(f"--format {form} is unknown{near(form, FORMATS)}")
    manifest = Manifest(source)
    result = Exported(str(output), form)
    rows = _kept(manifest, split, result)
    if form == "jsonl":
        _write_lines(output, (_line(row, output.parent) for row in rows))
        result.files.append(str(output))
    elif form == "lhotse":
        _write_lines(output, (_cut(row, output.parent) for row in rows))
        result.files.append(str(output))
    else:
        _write_chunks(manifest, rows, output, form, result, workers=workers, ray=ray, force=force)
    result.hours = round(result.hours / 3600, 6)
    return result


def _kept(manifest: Manifest, split: str | None, result: Exported) -> Iterator[Row]:
    for row in manifest.rows():
        if row["kept"] and (split is None or row.get("split") == split):
            result.segments += 1
            result.hours += row["seconds"]
            yield row
    if not result.segments:  # here, where nothing is in its place yet
        which = "" if split is None else f" in the split {split}"
        raise UserError(f"{manifest.path} keeps no segment{which}")


def _write_lines(output: Path, lines: Iterator[dict[str, Any]]) -> None:
    with atomic_write(output) as temporary, temporary.open("wb") as raw:
        stream: Any = raw
        if output.suffix == ".gz":
            stream = gzip.GzipFile("", "wb", fileobj=raw, mtime=_EPOCH)
        for line in lines:
            stream.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
        if stream is not raw:
            stream.close()


def _place(row: Row, folder: Path) -> str:
    """The audio file as seen from a folder."""
    path, base = Path(row["path"]), folder.resolve()
    if path.is_relative_to(base) or path.resolve().is_relative_to(base):
        return os.path.relpath(path.resolve(), base)
    return str(path)


def _fields(row: Row) -> dict[str, Any]:
    return {name: row[name] for name in _FIELDS if row.get(name) is not None}


def _line(row: Row, folder: Path) -> dict[str, Any]:
    span = {"audio": _place(row, folder), "start": row["start"], "seconds": row["seconds"]}
    return {**span, **_fields(row)}


def _cut(row: Row, folder: Path) -> dict[str, Any]:
    rate, channels = row["source_rate"], list(range(row["source_channels"]))
    name = row["source"]
    supervision: dict[str, Any] = {
        "id": row["id"], "recording_id": name, "start": 0.0, "duration": row["seconds"],
        "channel": 0,
    }  # fmt: skip
    for key in ("text", "language", "speaker"):
        if row.get(key) is not None:
            supervision[key] = row[key]
    apart = {"id", "text", "language", "speaker"}
    return {
        "id": row["id"],
        "start": row["start"],
        "duration": row["seconds"],
        "channel": 0,
        "supervisions": [supervision],
        "recording": {
            "id": name,
            "sources": [{"type": "file", "channels": channels, "source": _place(row, folder)}],
            "sampling_rate": rate,
            "num_samples": round(row["source_seconds"] * rate),
            "duration": row["source_seconds"],
            "channel_ids": channels,
        },
        "custom": {k: v for k, v in _fields(row).items() if k not in apart},
        "type": "MonoCut",
    }


# --- with audio -----------------------------------------------------------------------------------


class _Chunks(Work):
    """Some segments become one file."""

    record_name = ".export.jsonl"

    def __init__(self, form: str, rate: int) -> None:
        self._form, self._rate = form, rate

    def load(self) -> None:
        """Nothing is needed."""

    def identity(self) -> dict[str, Any]:
        """The form, and the rate of the samples."""
        return {"export": 1, "format": self._form, "rate": self._rate}

    def run(self, model: None, jobs: Sequence[Job], advance: Advance) -> list[Result]:
        """A file for each job."""
        return [self._one(job) for job in jobs]

    def _one(self, job: Job) -> Result:
        assert job.output is not None
        rows: list[Row] = job.extra
        with atomic_write(job.output) as temporary:
            if self._form == "shards":
                self._shard(temporary, rows)
            else:
                self._parquet(temporary, rows)
        return done(job, {"segments": len(rows)})

    def _flac(self, row: Row) -> bytes:
        import soundfile

        wav, _ = load_audio(
            row["path"], sample_rate=self._rate, start=row["start"] or None, end=row["end"]
        )
        gain = 10 ** ((row.get("gain_db") or 0.0) / 20)
        wav = np.clip((wav - (row.get("offset") or 0.0)) * gain, -1.0, 1.0)
        buffer = io.BytesIO()
        soundfile.write(buffer, wav, self._rate, format="FLAC", subtype="PCM_16")
        return buffer.getvalue()

    def _shard(self, path: Path, rows: Sequence[Row]) -> None:
        with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
            for row in rows:
                said = json.dumps({"seconds": row["seconds"], **_fields(row)}, ensure_ascii=False)
                for suffix, data in ((".flac", self._flac(row)), (".json", said.encode())):
                    member = tarfile.TarInfo(row["id"] + suffix)
                    member.size, member.mtime = len(data), _EPOCH
                    archive.addfile(member, io.BytesIO(data))

    def _parquet(self, path: Path, rows: Sequence[Row]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        types = {
            "audio": pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
            **{name: pa.string() for name in ("id", "text", "speaker", "language")},
            **{name: pa.float64() for name in ("seconds", "snr", "dnsmos")},
            **{name: pa.string() for name in ("licence", "origin")},
        }
        features = {
            name: {"sampling_rate": self._rate, "_type": "Audio"}
            if name == "audio"
            else {"dtype": str(kind).replace("double", "float64"), "_type": "Value"}
            for name, kind in types.items()
        }
        held = json.dumps({"info": {"features": features}})
        schema = pa.schema(list(types.items()), {b"huggingface": held.encode()})
        with pq.ParquetWriter(path, schema, compression="zstd") as out:
            for first in range(0, len(rows), 50):
                some = [
                    {name: row.get(name) for name in types}
                    | {"audio": {"bytes": self._flac(row), "path": row["id"] + ".flac"}}
                    for row in rows[first : first + 50]
                ]
                out.write_table(pa.Table.from_pylist(some, schema=schema))


def _write_chunks(
    manifest: Manifest,
    rows: Iterator[Row],
    output: Path,
    form: str,
    result: Exported,
    *,
    workers: int | None,
    ray: str | None,
    force: bool,
) -> None:
    by_split: dict[str, list[Row]] = {}
    for row in rows:
        by_split.setdefault(row.get("split") or "train", []).append(
            {name: row[name] for name in _WITH_AUDIO if name in row}
        )
    folder = output / "data" if form == "datasets" else output
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the folder {folder}: {os_reason(error)}") from error
    jobs: list[Job] = []
    for split, some in sorted(by_split.items()):
        count = -(-len(some) // _IN_SHARD)
        for k in range(count):
            chunk = some[k * _IN_SHARD : (k + 1) * _IN_SHARD]
            name = f"{split}-{k:05d}-of-{count:05d}.parquet"
            name = f"{split}-{k:06d}.tar" if form == "shards" else name
            text = json.dumps(chunk, sort_keys=True)
            jobs.append(Job(name=str(folder / name), text=text, output=folder / name, extra=chunk))
    wanted = {job.output for job in jobs}
    suffix = ".tar" if form == "shards" else ".parquet"
    for path in folder.glob(f"[!.]*{suffix}"):
        if path not in wanted:
            path.unlink()  # of an export with other rows
    rate = _rate(manifest.pipeline)
    work = _Chunks(form, rate)
    for made in run_jobs(work, jobs, workers=workers, ray=ray, force=force, bar="export"):
        if made["status"] == "failed":
            result.failed[made["input"]] = made["error"]
        else:
            result.files.append(made["input"])
    if form == "datasets":
        atomic_write_text(output / "README.md", _card(by_split, result))


def _rate(pipeline: Mapping[str, Any]) -> int:
    for stage in pipeline.get("stages", ()):
        if stage["name"] == "standardise":
            return int(stage["options"].get("rate", 16000))
    return 16000


def _card(by_split: Mapping[str, Sequence[Row]], result: Exported) -> str:
    """The dataset card: which files are which split, and whose they are."""
    lines = ["---", "configs:", "- config_name: default", "  data_files:"]
    for split in sorted(by_split):
        lines += [f"  - split: {split}", f"    path: data/{split}-*.parquet"]
    rows = [row for some in by_split.values() for row in some]
    licences = sorted({str(row.get("licence") or "not stated") for row in rows})
    lines += ["---", "", "# Curated speech", ""]
    lines += [f"{result.segments} segments, {result.hours / 3600:.2f} h; made by `mingtok curate`."]
    return "\n".join([*lines, "", f"Licences: {', '.join(licences)}.", ""])
