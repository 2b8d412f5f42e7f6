"""Recordings with transcripts to build items from: any manifest, or a corpus folder as published.

=======================  ================================================================
a manifest               what `scoring.manifest` reads (JSONL, Freeform meta, seed-tts)
LibriSpeech              a folder with `*.trans.txt` files beside the recordings
Kaldi, AISHELL-2         a folder with `wav.scp` and `text` or `trans.txt`
=======================  ================================================================

The corpora of dialects that table 11 of the paper reports are laid out in the last two ways; a
folder with one such folder per dialect gives recordings that know their dialect.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from audio_eval.build.units import Language, is_han
from audio_eval.interfaces import Item
from audio_eval.scoring.manifest import infer_names, read_lines, read_manifest
from mingtok_audio.core.audio import find_audio_files
from mingtok_audio.core.errors import UserError


@dataclass(frozen=True)
class Recording:
    """A recording and what is said in it. `language` is "" where nobody said."""

    id: str
    audio: Path
    text: str
    language: str = ""
    speaker: str = ""
    dialect: str = ""


def read_recordings(path: Path, language: str = "") -> list[Recording]:
    """Recordings of a manifest or of a corpus folder.

    Languages that the manifest leaves open are told from the text (Han characters or not).

    Raises:
        UserError: what `read_manifest` refuses; a folder without transcripts; an id used twice.
    """
    recordings = _read_folder(path) if path.is_dir() else _from_items(read_manifest(path))
    if not recordings:
        raise UserError(f"{path}: no recording in it has a transcript")
    seen: set[str] = set()
    for recording in recordings:
        if recording.id in seen:
            raise UserError(f"{path}: the id {recording.id!r} is used twice; ids must be unique")
        seen.add(recording.id)
    named = [
        replace(r, language=language or r.language or guess_language(r.text)) for r in recordings
    ]
    return named


def guess_language(text: str) -> Language:
    """ "zh" where there are more Han characters than half the Latin letters, else "en"."""
    han = sum(map(is_han, text))
    return "zh" if 2 * han > sum(c.isascii() and c.isalpha() for c in text) else "en"


def _from_items(items: Iterable[Item]) -> list[Recording]:
    out = []
    for item in items:
        if item.task == "tts":
            audio, text = item.source, item.parameters.get("prompt_text")
        else:
            # Manifests of corpora also use "source" for where a recording comes from.
            paths = [p for p in (item.source, item.reference, item.audio) if p is not None]
            audio = next((p for p in paths if p.is_file()), paths[0] if paths else None)
            text = item.original_text if item.original_text is not None else item.text
        if audio is None or not text:
            continue
        known = {name: str(item.parameters.get(name) or "") for name in ("speaker", "dialect")}
        out.append(Recording(item.id, audio, str(text), item.language, **known))
    return out


def _read_folder(folder: Path) -> list[Recording]:
    scp = sorted(folder.rglob("wav.scp"))
    if scp:
        dialects = len(scp) > 1
        return [r for path in scp for r in _read_kaldi(path, folder, dialects)]
    transcripts = sorted(folder.rglob("*.trans.txt"))
    if transcripts:
        return [r for path in transcripts for r in _read_librispeech(path)]
    return _from_items(read_manifest(folder))


def _read_librispeech(path: Path) -> list[Recording]:
    files = {file.stem: file for file in find_audio_files(path.parent)}
    out = []
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip():
            continue
        name, _, text = line.strip().partition(" ")
        if name not in files:
            raise UserError(f"{path}: line {number}: there is no recording {name!r} beside it")
        # Capitals throughout say nothing about which words are names.
        shown = text.lower() if text.isupper() else text
        out.append(Recording(name, files[name], shown, "en", name.split("-")[0]))
    return out


def _read_kaldi(scp: Path, root: Path, dialects: bool) -> list[Recording]:
    """`wav.scp` lists `id path`; `text` (Kaldi) or `trans.txt` (AISHELL-2) `id transcript`."""
    listing = next((p for n in ("text", "trans.txt") if (p := scp.with_name(n)).is_file()), None)
    if listing is None:
        raise UserError(f"{scp.parent}: holds wav.scp but neither text nor trans.txt")
    paths = _two_columns(scp)
    dialect = scp.parent.relative_to(root).parts[0] if dialects else ""
    out = []
    for key, text in _two_columns(listing).items():
        if key not in paths:
            raise UserError(f"{listing}: {key!r} is not in {scp.name}")
        if paths[key].endswith("|"):
            raise UserError(f"{scp}: {key!r} is a command; only paths are read")
        given = Path(paths[key])
        audio = given if given.is_absolute() else _first_existing(scp.parent, root, given)
        name = f"{dialect}-{key}" if dialect else key
        language = infer_names(scp).get("language", "")
        out.append(Recording(name, audio, text, language, "", dialect))
    return out


def _first_existing(beside: Path, root: Path, given: Path) -> Path:
    return next(
        (base / given for base in (beside, root) if (base / given).exists()), beside / given
    )


def _two_columns(path: Path) -> dict[str, str]:
    out: dict[str, str] = {}
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip():
            continue
        parts = line.split(None, 1)
        if len(parts) != 2:
            raise UserError(f"{path}: line {number} has one column; expected 'id value'")
        if parts[0] in out:
            raise UserError(f"{path}: line {number}: the id {parts[0]!r} is used twice")
        out[parts[0]] = parts[1].strip()
    return out
