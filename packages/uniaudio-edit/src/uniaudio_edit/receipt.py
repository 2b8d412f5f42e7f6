"""Receipts: what was done to a recording, exactly enough to repeat it and to undo it.

A receipt is JSON beside the output (`out.receipt.json`); the samples that were taken away and the
ones that were put in are in a sidecar (`out.undo.safetensors`). Both together give the source back
bit for bit, and the output again from the source, on any machine.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mingtok_audio.core.audio import AUDIO_SUFFIXES
from mingtok_audio.core.config import from_dict, load_json
from mingtok_audio.core.errors import FormatError, UserError
from mingtok_audio.core.files import atomic_write, atomic_write_text
from uniaudio_edit.interfaces import Change
from uniaudio_edit.pcm import (
    OUTPUT_SUFFIXES,
    Recording,
    file_sha256,
    pcm_sha256,
    read_recording,
    write_pcm,
)
from uniaudio_edit.wavfile import read_tags, write_shelled

FORMAT_VERSION = 1
_MAX_RECEIPT = 64 << 20


@dataclass(frozen=True)
class Receipt:
    """The JSON object of `contract.md`, and what undoing needs to know.

    Attributes:
        plan: of the edit, with times and backends.
        source, output: `{path, sha256, pcm_sha256, sample_rate, channels, num_samples, subtype}`;
            `path` is relative to the receipt.
        changed: `[{source: [a, b], output: [c, d], operation}]` in samples; `operation` is the
            number of an operation of the plan, or a list of numbers.
        check: `{text, match}` of a recognition of the output; null where nobody listened.
        undo: the sidecar's name.
        watermark: `{name, marked}`: the watermark of new speech (null: switched off), and whether
            this edit holds speech that was marked.
        previous: `{receipt, sha256}` of the receipt of the source, where it has one.
        key: of everything that the output depends on; for runs that are resumed.
    """

    plan: dict[str, Any]
    source: dict[str, Any]
    output: dict[str, Any]
    changed: list[dict[str, Any]]
    check: dict[str, Any]
    seed: int
    models: dict[str, Any]
    warnings: list[str]
    undo: str
    watermark: dict[str, Any] | None = None
    previous: dict[str, Any] | None = None
    key: str = ""
    format_version: int = FORMAT_VERSION

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        data = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {"format_version": data.pop("format_version"), **data}


@dataclass(frozen=True)
class Names:
    """Where the parts of a result go."""

    output: Path
    receipt: Path = field(default_factory=Path)
    undo: Path = field(default_factory=Path)

    @classmethod
    def of(cls, output: str | Path, receipt: str | Path | None = None) -> Names:
        """The receipt beside the output, or where it is asked for; the sidecar beside it."""
        out = Path(output)
        place = Path(receipt) if receipt is not None else out.with_suffix(".receipt.json")
        stem = place.name.removesuffix(".json").removesuffix(".receipt")
        return cls(out, place, place.with_name(f"{stem}.undo.safetensors"))


def read_receipt(path: str | Path) -> Receipt:
    """A receipt from its file, of which nothing is believed before it is checked.

    Raises:
        ConfigError, FormatError: no receipt, damaged, or of an unknown version.
    """
    data = load_json(path, _MAX_RECEIPT)
    if not isinstance(data, dict) or "changed" not in data:
        raise FormatError(f"{path} is not a receipt of an edit")
    if data.get("format_version") != FORMAT_VERSION:
        raise FormatError(
            f"{path}: format_version {data.get('format_version')!r} is unknown; this package reads "
            f"{FORMAT_VERSION}"
        )
    receipt = from_dict(Receipt, data, str(path))
    for side in ("source", "output"):
        for name, kind in _FIELDS.items():
            value = getattr(receipt, side).get(name)
            if type(value) is not kind or (kind is int and value < 0):
                raise FormatError(f"{path}: '{name}' of the {side} is missing or damaged")
        if not _is_readable(getattr(receipt, side)["path"]):
            raise FormatError(f"{path}: the path of the {side} holds characters that no name has")
    if not _is_plain(receipt.undo):
        raise FormatError(f"{path}: the sidecar must lie beside the receipt, as a plain file name")
    _check_spans(receipt, path)
    return receipt


_FIELDS = {
    **dict.fromkeys(("pcm_sha256", "sha256", "subtype", "path"), str),
    **dict.fromkeys(("sample_rate", "channels", "num_samples"), int),
}


def _is_readable(name: str) -> bool:
    return bool(name) and name.isprintable()


def _is_plain(name: str) -> bool:
    """Whether a name is that of a file in the same folder."""
    return _is_readable(name) and not set(name) & set("/\\") and name not in (".", "..")


def _check_spans(receipt: Receipt, path: str | Path) -> None:
    place = [0, 0]
    for item in receipt.changed:
        for n, name in enumerate(("source", "output")):
            span = item.get(name)
            total = getattr(receipt, name)["num_samples"]
            if (
                not isinstance(span, list)
                or len(span) != 2
                or not all(type(x) is int for x in span)
                or not place[n] <= span[0] <= span[1] <= total
            ):
                raise FormatError(f"{path}: the changed spans of the {name} are damaged")
            place[n] = span[1]


def write_undo(
    path: Path, source: np.ndarray, output: np.ndarray, changes: Sequence[Change], shell: bytes
) -> None:
    """The sidecar: removed and added samples (T, C), and the source file's bytes around its
    samples (`shell`, see `file_shell`). The same edit gives the same bytes."""
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    tensors: dict[str, np.ndarray] = {}
    for n, change in enumerate(changes):
        tensors[f"removed.{n}"] = np.ascontiguousarray(source[slice(*change.source)])
        tensors[f"added.{n}"] = np.ascontiguousarray(output[slice(*change.output)])
    if shell:
        tensors["shell"] = np.frombuffer(shell, np.uint8)
    with atomic_write(path) as temporary:
        try:
            # One field: the library writes several in an order that differs between runs.
            save_file(tensors, temporary, {"format": "uniaudio-edit undo 1"})
        except SafetensorError as error:
            raise UserError(f"cannot write {path}: {error} (is the disk full?)") from error


def read_undo(path: Path) -> dict[str, np.ndarray]:
    """The tensors of a sidecar.

    Raises:
        UserError: missing or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    if not path.is_file():
        raise UserError(f"{path} is missing: without it this edit cannot be repeated or undone")
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise FormatError(f"{path} is damaged: {error}") from error


def save_receipt(path: Path, receipt: Receipt) -> None:
    """Write a receipt atomically."""
    atomic_write_text(path, json.dumps(receipt.to_dict(), ensure_ascii=False, indent=1) + "\n")


def _swapped(
    pcm: np.ndarray, receipt: Receipt, parts: dict[str, np.ndarray], *, back: bool
) -> np.ndarray:
    """`pcm` with the changed spans put in (`back`: taken back)."""
    here, kind = ("output", "removed") if back else ("source", "added")
    pieces, position = [], 0
    for n, item in enumerate(receipt.changed):
        part = parts.get(f"{kind}.{n}")
        if part is None or part.dtype != pcm.dtype or part.ndim != 2:
            raise FormatError(f"the sidecar {receipt.undo} does not fit its receipt")
        begin, end = item[here]
        pieces += [pcm[position:begin], part]
        position = end
    pieces.append(pcm[position:])
    if any(p.shape[1] != pcm.shape[1] for p in pieces):
        raise FormatError(f"the sidecar {receipt.undo} does not fit its receipt")
    return np.concatenate(pieces)


def _checked_input(path: Path, wanted: dict[str, Any], what: str) -> Recording:
    recording = read_recording(path)
    if pcm_sha256(recording.pcm) != wanted["pcm_sha256"]:
        raise UserError(f"{path} is not the {what} of this receipt: its samples are different")
    return recording


def _changes(receipt: Receipt) -> list[Change]:
    return [Change(tuple(c["source"]), tuple(c["output"]), 0) for c in receipt.changed]


def _origin(given: Path | None, receipt_path: Path, side: dict[str, Any], what: str) -> Path:
    """What is read: the file that is given, or the one that the receipt names, which must be a
    recording at a relative place."""
    if given is not None:
        return given
    named = Path(side["path"])
    path = receipt_path.parent / named
    if named.is_absolute() or named.suffix.lower() not in AUDIO_SUFFIXES or not path.is_file():
        raise UserError(
            f"{receipt_path}: its {what} is not where it was ({named}); give it: "
            f"RECEIPT {what.upper()}"
        )
    return path


def _target(given: Path | None, place: Path, sha256: str, *, force: bool) -> Path:
    """Where a result goes: where the user says, or beside the receipt; never over another file."""
    target = place if given is None else given
    if target.exists() and not force and not (target.is_file() and file_sha256(target) == sha256):
        raise UserError(f"{target} is there already; give --force to replace it, or -o OUT")
    return target


def apply_receipt(
    receipt_path: Path, source: Path | None, output: Path | None, *, force: bool = False
) -> dict[str, Any]:
    """Make the output of a receipt again from its source.

    Args:
        source: None takes the file that the receipt names.
        output: None writes under the output's name beside the receipt.
        force: replace a file that is there and is not the output itself.

    Raises:
        UserError: another source, a missing or damaged sidecar.
    """
    receipt = read_receipt(receipt_path)
    folder = receipt_path.parent
    origin = _origin(source, receipt_path, receipt.source, "source")
    place = folder / Path(receipt.output["path"]).name
    target = _target(output, place, receipt.output["sha256"], force=force)
    recording = _checked_input(origin, receipt.source, "source")
    pcm = _swapped(recording.pcm, receipt, read_undo(folder / receipt.undo), back=False)
    if pcm_sha256(pcm) != receipt.output["pcm_sha256"]:
        raise FormatError(f"{receipt_path}: the sidecar does not give the output of the receipt")
    tags, _ = read_tags(origin, target, _changes(receipt))
    sha256 = write_pcm(target, pcm, recording, tags)
    return {
        "input": str(origin),
        "output": str(target),
        "status": "applied",
        "sha256": sha256,
        "same_file": sha256 == receipt.output["sha256"],
    }


def undo_receipt(
    receipt_path: Path, edited: Path | None, output: Path | None, *, force: bool = False
) -> dict[str, Any]:
    """Make the source of a receipt again from its output.

    A wav comes back byte for byte (chunks around its samples too), other formats sample for sample.

    Args:
        edited: None takes the output that the receipt names.
        output: None writes `NAME.restored.wav` beside the receipt.
        force: replace a file that is there and is not the source itself.

    Raises:
        UserError: another recording, a missing or damaged sidecar.
    """
    receipt = read_receipt(receipt_path)
    folder = receipt_path.parent
    origin = _origin(edited, receipt_path, receipt.output, "output")
    name = Path(Path(receipt.source["path"]).name)
    target = output or receipt_path.with_name(f"{name.stem}.restored{name.suffix}")
    recording = _checked_input(origin, receipt.output, "output")
    parts = read_undo(folder / receipt.undo)
    pcm = _swapped(recording.pcm, receipt, parts, back=True)
    if pcm_sha256(pcm) != receipt.source["pcm_sha256"]:
        raise FormatError(f"{receipt_path}: the sidecar does not give the source of the receipt")
    shell = parts.get("shell")
    around = b"" if shell is None else shell.tobytes()
    if not around and target.suffix.lower() not in OUTPUT_SUFFIXES:
        target = target.with_suffix(".wav")
    wanted = receipt.source["sha256"]
    target = _target(target, target, wanted, force=force)
    if target.suffix.lower() == ".wav" and write_shelled(target, around, pcm, wanted):
        sha256 = wanted
    else:
        back = [Change(c.output, c.source, c.operation) for c in _changes(receipt)]
        tags, _ = read_tags(origin, target, back)
        sha256 = write_pcm(target, pcm, recording, tags)
    return {
        "input": str(origin),
        "output": str(target),
        "status": "undone",
        "sha256": sha256,
        "same_file": sha256 == receipt.source["sha256"],
    }


def previous_receipt(source: Path, sha256: str) -> dict[str, Any] | None:
    """The receipt that made `source`, where it lies beside it: edits chain."""
    place = Names.of(source).receipt
    if not place.is_file():
        return None
    try:
        earlier = read_receipt(place)
    except UserError:
        return None
    if earlier.output.get("sha256") != sha256:
        return None
    return {"receipt": place.name, "sha256": file_sha256(place)}
