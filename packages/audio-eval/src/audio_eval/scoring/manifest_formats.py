"""One reader per manifest format; ``audio_eval.scoring.manifest`` picks the one that fits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from audio_eval.interfaces import Item
from audio_eval.scoring.naming import (
    MODE_NAMES,
    SEMANTIC_TASKS,
    TASK_NAMES,
    infer_names,
    parse_parameters,
)
from audio_eval.scoring.textfiles import json_rows, read_lines
from audio_eval.text.speech_edit import TYPES, NamedEdit
from mingtok_audio.core.audio import AUDIO_SUFFIXES, find_audio_files
from mingtok_audio.core.errors import UserError
from mingtok_audio.core.names import as_stored

FREEFORM_COLUMNS = ("file_name", "path", "instruction", "original_text", "edited_text")


def read_folder(folder: Path, language: str) -> list[Item]:
    items = []
    for file in find_audio_files(folder):
        text_file = file.with_suffix(".txt")
        text = "\n".join(read_lines(text_file)).strip() if text_file.is_file() else None
        items.append(
            Item(
                id=file.relative_to(folder).with_suffix("").as_posix(),
                reference=file,
                text=text,
                language=language,
            )
        )
    if not items:
        raise UserError(f"{folder}: no audio files in it ({', '.join(sorted(AUDIO_SUFFIXES))})")
    return items


def read_freeform(path: Path, lines: list[str], root: Path | None, language: str) -> list[Item]:
    header = [name.strip().lower() for name in next(x for x in lines if x.strip()).split("|")]
    missing = [name for name in FREEFORM_COLUMNS[:3] if name not in header]
    if missing:
        raise UserError(
            f"{path}: the header lacks {', '.join(missing)}; it reads {'|'.join(header)}"
        )
    names = infer_names(path)
    if language:
        names["language"] = language
    items, seen_header = [], False
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        if not seen_header:
            seen_header = True
            continue
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) != len(header):
            raise UserError(
                f"{path}: line {number} has {len(cells)} columns, the header has {len(header)}"
            )
        row = dict(zip(header, cells, strict=True))
        items.append(_freeform_item(row, path, root, names))
    return items


def _freeform_item(
    row: Mapping[str, str], path: Path, root: Path | None, names: Mapping[str, str]
) -> Item:
    task = TASK_NAMES.get(row.get("task", "").lower()) or names.get("task", "")
    parameters: dict[str, Any] = parse_parameters(task, row["instruction"])
    known = {*FREEFORM_COLUMNS, "task", "language", "mode", "text"}
    parameters |= {key: _number(value) for key, value in row.items() if key not in known and value}
    original = row.get("original_text") or row.get("text") or None
    # What an acoustic edit should say is what was said before.
    text = row.get("edited_text") or (original if task not in SEMANTIC_TASKS else None)
    name = Path(row["file_name"])
    stem = name.with_suffix("") if name.suffix.lower() in AUDIO_SUFFIXES else name
    source = _resolve(row["path"], path, root)
    if source.is_dir():
        # Some sets give the folder in ``path`` and the file in ``file_name``.
        source = source / row["file_name"]
    return Item(
        id=stem.as_posix(),
        source=source,
        text=text,
        original_text=original,
        instruction=row["instruction"],
        language=row.get("language") or names.get("language", ""),
        task=task,
        mode=MODE_NAMES.get(row.get("mode", ""), names.get("mode", "")),
        parameters=parameters,
    )


def read_seed_tts(path: Path, lines: list[str], root: Path | None, language: str) -> list[Item]:
    language = language or infer_names(path).get("language", "")
    items = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) not in (4, 5) or not cells[0]:
            raise UserError(
                f"{path}: line {number} has {len(cells)} columns; "
                "expected 'id|prompt text|prompt wav|text' (and a ground-truth wav)"
            )
        name = Path(cells[0])
        items.append(
            Item(
                id=name.with_suffix("").as_posix()
                if name.suffix.lower() in AUDIO_SUFFIXES
                else cells[0],
                source=_resolve(cells[2], path, root),
                text=cells[3],
                reference=_resolve(cells[4], path, root) if len(cells) == 5 and cells[4] else None,
                language=language,
                task="tts",
                parameters={"prompt_text": cells[1]},
            )
        )
    return items


def read_transcripts(path: Path, lines: list[str], root: Path | None, language: str) -> list[Item]:
    names = find_outputs(path.parent)
    items = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        parts = line.split("\t", 1) if "\t" in line else line.split(None, 1)
        if len(parts) != 2:
            raise UserError(f"{path}: line {number} is not 'id text', a '|' table or a JSON object")
        key = Path(parts[0])
        stem = key.with_suffix("").as_posix() if key.suffix.lower() in AUDIO_SUFFIXES else parts[0]
        file = names.get(stem)
        if file is None and key.suffix.lower() in AUDIO_SUFFIXES:
            file = _resolve(parts[0], path, root)
        items.append(Item(id=stem, reference=file, text=parts[1].strip(), language=language))
    return items


_FIELD_ALIASES = {
    "uid": "id",
    "key": "id",
    "uniq_id": "id",
    "lang": "language",
    "edited_text": "text",
    "hyp": "hypothesis",
    "wav": "audio",
    "path": "audio",
    "audio_path": "audio",
    "entity_list": "entities",
}


def read_jsonl(path: Path, lines: list[str], root: Path | None, language: str) -> list[Item]:
    items = []
    for number, row in json_rows(path, lines):
        if "sample_id" in row and ("anchor" in row or "components" in row):
            items.append(_speech_edit_item(path, number, row, root, language))
            continue
        items.append(_json_item(path, number, row, root, language))
    return items


def _json_item(
    path: Path, number: int, row: dict[str, Any], root: Path | None, language: str
) -> Item:
    values: dict[str, Any] = {}
    given = row.get("parameters") or {}
    if not isinstance(given, Mapping):
        raise UserError(f"{path}: line {number}: 'parameters' must be an object")
    parameters: dict[str, Any] = dict(given)
    own = {f.name for f in fields(Item)}
    for key, value in row.items():
        name = _FIELD_ALIASES.get(key, key)
        if name == "parameters" or value is None:
            continue
        if name in own:
            values.setdefault(name, value)
        else:
            parameters[name] = value
    if "id" not in values:
        name = values.get("audio") or values.get("reference") or values.get("source")
        if not isinstance(name, str):
            raise UserError(f"{path}: line {number}: has no 'id' (nor a path to take one from)")
        values["id"] = Path(name).stem
    values["id"] = str(values["id"])
    for name in ("text", "original_text", "hypothesis", "instruction", "language", "task", "mode"):
        if name in values and not isinstance(values[name], str):
            raise UserError(f"{path}: line {number}: {name!r} must be a string")
    for name in ("audio", "reference", "source"):
        if name in values:
            if not isinstance(values[name], str):
                raise UserError(f"{path}: line {number}: {name!r} must be a path")
            if Path(values[name]).suffix.lower() not in AUDIO_SUFFIXES and name != "audio":
                # Data lists call the corpus a recording comes from its "source".
                parameters[name] = values.pop(name)
                continue
            values[name] = _resolve(values[name], path, root)
    if "audio" in values and "reference" not in values and "source" not in values:
        # A list of recordings: they are what outputs are compared with.
        values["reference"] = values.pop("audio")
    values["task"] = TASK_NAMES.get(values.get("task", ""), values.get("task", ""))
    if "entities" in parameters:
        entities = parameters["entities"]
        if not isinstance(entities, list) or not all(isinstance(e, str) for e in entities):
            raise UserError(f"{path}: line {number}: 'entities' must be a list of strings")
        values["task"] = values["task"] or "context_asr"
    values["mode"] = MODE_NAMES.get(values.get("mode", ""), values.get("mode", ""))
    values["language"] = values.get("language") or language
    for name, value in parse_parameters(
        str(values["task"]), values.get("instruction") or ""
    ).items():
        parameters.setdefault(name, value)
    return Item(**values, parameters=parameters)


_SPEECH_EDIT_TASKS = ("speaker", "emotion", "style", "prosody", "paralinguistic", "acoustic")


def _speech_edit_item(
    path: Path, number: int, row: Mapping[str, Any], root: Path | None, language: str
) -> Item:
    """A row of SpeechEditBench's `samples.jsonl` (v1.1): an anchor says what is asked for."""
    where = f"{path}: line {number}"
    for name in ("sample_id", "task", "audio_path", "instruction"):
        if not isinstance(row.get(name), str) or not row[name]:
            raise UserError(f"{where}: {name!r} must be a string")
    anchor, transcript = row.get("anchor") or {}, row.get("transcript")
    if not isinstance(anchor, Mapping) or not isinstance(transcript, str | None):
        raise UserError(f"{where}: 'anchor' must be an object, 'transcript' a string")
    task, text = row["task"].removesuffix("_editing"), transcript
    parameters = {key: value for key, value in anchor.items() if value is not None}
    if task == "content":
        kind, text = anchor.get("edit_type"), anchor.get("transcript_target")
        try:
            NamedEdit(
                *(
                    str(anchor.get(k) or "")
                    for k in ("edit_type", "edit_original", "edit_target", "insert_after")
                )
            )
        except ValueError as error:
            raise UserError(f"{where}: {error}") from error
        if not isinstance(text, str):
            raise UserError(f"{where}: the anchor has no 'transcript_target'")
        task = TYPES[str(kind)]
    elif task == "emotion":
        if not isinstance(anchor.get("target_emotion"), str):
            raise UserError(f"{where}: the anchor has no 'target_emotion'")
        parameters["label"] = anchor["target_emotion"]
    elif task == "compositional":
        parameters["components"] = row.get("components")
    elif task not in _SPEECH_EDIT_TASKS:
        raise UserError(f"{where}: SpeechEditBench has no task {row['task']!r}")
    return Item(
        id=row["sample_id"],
        source=_resolve(row["audio_path"], path, root),
        text=text,
        original_text=transcript,
        instruction=row["instruction"],
        language=str(row.get("language") or language),
        task=task,
        parameters=parameters,
    )


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _resolve(text: str, manifest: Path, root: Path | None) -> Path:
    """The file meant by a path in a manifest: the first place where it exists, else beside it."""
    given = Path(text.strip())
    if given.is_absolute():
        return as_stored(given)
    parents = list(manifest.absolute().parents)[:4]
    for base in ([root] if root else []) + parents:
        found = as_stored(base / given)
        if found.exists():
            return found
    return (root or manifest.parent) / given


def find_outputs(folder: Path) -> dict[str, Path]:
    """Audio files below ``folder`` by relative path without suffix, and by stem where unique."""
    if not folder.exists():
        raise UserError(f"{folder}: no such folder")
    if not folder.is_dir():
        raise UserError(f"{folder}: is a file; give the folder that holds the outputs")
    found = find_audio_files(folder)
    by_stem: dict[str, list[Path]] = {}
    out: dict[str, Path] = {}
    for file in found:
        key = file.relative_to(folder).with_suffix("").as_posix()
        if key in out:
            raise UserError(f"{folder}: both {out[key].name} and {file.name} would be item {key!r}")
        out[key] = file
        by_stem.setdefault(file.stem, []).append(file)
    for stem, files in by_stem.items():
        if len(files) == 1:
            out.setdefault(stem, files[0])
    return out
