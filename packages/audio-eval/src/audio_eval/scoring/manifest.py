"""Reading lists of things to score, in the formats that people have.

======================  ==================================================================
Freeform meta           ``file_name|path|instruction|original_text|edited_text`` with that header;
                        acoustic sets may leave the two texts out
seed-tts-eval list      ``id|prompt text|prompt wav|text``, no header; a fifth column is the ground
                        truth recording
ContextASR-Bench JSONL  objects with ``uniq_id``, ``audio``, ``text``, ``entity_list``
generic JSONL           objects with the field names of ``Item``; ``audio`` may also be called
                        ``wav`` or ``path``
transcripts             LibriSpeech ``*.trans.txt``-like: ``id<space or tab>text``
a folder                its ``items.jsonl`` (a set of ``audio-eval build``), else every audio
                        file in it with texts from ``<name>.txt`` beside a file
======================  ==================================================================

Relative paths are looked up beside the manifest, then in up to three folders above it, then
under ``root``. What cannot be used is refused in one line that names the file and the line.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from audio_eval.interfaces import Item
from audio_eval.scoring.manifest_formats import (
    FREEFORM_COLUMNS,
    find_outputs,
    read_folder,
    read_freeform,
    read_jsonl,
    read_seed_tts,
    read_transcripts,
)
from audio_eval.scoring.naming import (
    ACOUSTIC_TASKS,
    MODE_NAMES,
    SEMANTIC_TASKS,
    TASK_NAMES,
    infer_names,
    parse_parameters,
)
from audio_eval.scoring.textfiles import json_rows, read_lines, read_texts
from mingtok_audio.core.audio import AUDIO_SUFFIXES
from mingtok_audio.core.config import read_text
from mingtok_audio.core.errors import UserError
from mingtok_audio.core.files import atomic_write_text
from mingtok_audio.core.names import same_name

_Value = TypeVar("_Value")

__all__ = [
    "ACOUSTIC_TASKS",
    "FREEFORM_COLUMNS",
    "MODE_NAMES",
    "SEMANTIC_TASKS",
    "TASK_NAMES",
    "attach_outputs",
    "check_unique",
    "find_outputs",
    "infer_names",
    "json_rows",
    "parse_parameters",
    "read_lines",
    "read_manifest",
    "read_texts",
    "write_manifest",
]


def read_manifest(path: str | Path, *, root: Path | None = None, language: str = "") -> list[Item]:
    """Items of a manifest or a folder; which format it is follows from its content.

    In lists of recordings (folder, transcripts, a JSONL with only ``audio``), the recording
    becomes the item's ``reference``; ``audio`` (the system's output) is left to
    ``attach_outputs``.

    Args:
        path: a manifest file or a folder.
        root: where else to look for relative paths.
        language: of items that do not say theirs.

    Raises:
        UserError: unreadable, empty, wrong columns, mixed encodings, ids used twice.
    """
    path = Path(path)
    if (path / "items.jsonl").is_file():
        path = path / "items.jsonl"
    if path.is_dir():
        items = read_folder(path, language)
    else:
        lines = read_lines(path)
        first = next((line for line in lines if line.strip()), "")
        if first.lstrip().startswith(("{", "[")):
            items = read_jsonl(path, lines, root, language)
        elif "file_name" in first.lower() and "|" in first:
            items = read_freeform(path, lines, root, language)
        elif first.count("|") >= 3:
            items = read_seed_tts(path, lines, root, language)
        elif "|" in first:
            raise UserError(
                f"{path}: line 1 has {first.count('|') + 1} columns; expected the header "
                f"'{'|'.join(FREEFORM_COLUMNS)}' or 'id|prompt text|prompt wav|text' (4 or 5)"
            )
        else:
            items = read_transcripts(path, lines, root, language)
    if not items:
        raise UserError(f"{path}: no items in it")
    check_unique(items, path)
    return items


def check_unique(items: Iterable[Item], where: Path | str) -> None:
    """Refuse ids that are used twice."""
    seen: set[str] = set()
    for item in items:
        if item.id in seen:
            raise UserError(f"{where}: the id {item.id!r} is used twice; ids must be unique")
        seen.add(item.id)


def attach_outputs(items: Sequence[Item], hyps: Path) -> list[Item]:
    """The items with ``audio`` set to the file in ``hyps`` of the same id (None where missing).

    ``hyps`` may be a folder of recordings, or a JSONL or TSV of ``id`` and ``text``, or a folder
    without recordings that holds ``<id>.txt`` files (then ``hypothesis`` is set).

    Raises:
        UserError: nothing in ``hyps`` matches any item.
    """
    if hyps.is_file():
        texts = _by_name(read_texts(hyps))
        out = [item.replace(hypothesis=texts.get(same_name(item.id))) for item in items]
        if not any(same_name(item.id) in texts for item in items):
            raise UserError(_no_overlap(items, hyps, list(texts)))
        return out
    files = _by_name(find_outputs(hyps))
    written = {} if files else _by_name({f.stem: f for f in sorted(hyps.glob("*.txt"))})
    if any(same_name(item.id) in written for item in items):
        texts = {name: " ".join(read_text(file).split()) for name, file in written.items()}
        return [item.replace(hypothesis=texts.get(same_name(item.id))) for item in items]
    out = []
    for item in items:
        name = same_name(item.id)
        file = files.get(name) or files.get(Path(name).name)
        if file is None and "." in name:
            # Published lists give file names, with or without the suffix.
            stem = Path(name)
            if stem.suffix.lower() in AUDIO_SUFFIXES:
                file = files.get(stem.with_suffix("").as_posix()) or files.get(stem.stem)
        out.append(item.replace(audio=file))
    if not any(item.audio for item in out):
        raise UserError(_no_overlap(items, hyps, list(files)))
    return out


def _by_name(found: Mapping[str, _Value]) -> dict[str, _Value]:
    """The values by names in one spelling of accents."""
    return {same_name(name): value for name, value in found.items()}


def _no_overlap(items: Sequence[Item], hyps: Path, names: list[str]) -> str:
    have = f"it holds {sorted(names)[0]!r}, ..." if names else "it holds no audio files"
    return (
        f"{hyps}: nothing in it matches the references: {have}, but the items are called "
        f"{items[0].id!r}, ...; outputs must be named <id>.wav"
    )


def write_manifest(path: Path, items: Iterable[Item]) -> None:
    """Write generic JSONL that ``read_manifest`` reads back; paths relative to ``path``'s folder
    where they lie below it."""
    base = path.absolute().parent
    lines = []
    for item in items:
        row = item.to_dict()
        for name in ("audio", "reference", "source"):
            if name in row:
                full = Path(row[name]).absolute()
                row[name] = (
                    full.relative_to(base).as_posix() if full.is_relative_to(base) else str(full)
                )
        lines.append(json.dumps(row, ensure_ascii=False))
    atomic_write_text(path, "\n".join(lines) + "\n")
