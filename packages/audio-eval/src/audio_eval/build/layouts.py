"""Other people's layouts around speech: DNS Challenge pairs (table 14), dialect corpora (table 11).

DNS Challenge test sets hold `noisy/` and, the synthetic ones, `clean/` beside it; a pair shares the
number after `fileid_`. Recognition sets are Kaldi folders: `wav.scp` (`id path`) and `text`
(`id transcript`), one folder per corpus or dialect.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from audio_eval.build.sources import Recording
from audio_eval.edit_tasks import ACOUSTIC, NOISE_REMOVAL
from audio_eval.interfaces import Item
from audio_eval.scoring.manifest import write_manifest
from mingtok_audio.core.audio import find_audio_files
from mingtok_audio.core.errors import UserError
from mingtok_audio.core.files import atomic_write_text

_FILE_ID = re.compile(r"fileid_(\d+)")
_SNR = re.compile(r"snr(-?\d+)")


def is_dns(folder: Path) -> bool:
    """True for a folder that holds a `noisy` folder somewhere below."""
    return folder.is_dir() and any(p.is_dir() for p in folder.rglob("noisy"))


def read_dns(folder: Path, language: str = "en") -> list[Item]:
    """Items of noise removal from a DNS Challenge folder, read in place.

    `source` is the noisy recording, `reference` the clean one where there is a `clean` folder.

    Raises:
        UserError: no noisy recordings; a clean folder that lacks the partner of one.
    """
    items: list[Item] = []
    for noisy in sorted(p for p in folder.rglob("noisy") if p.is_dir()):
        clean_folder = noisy.with_name("clean")
        clean: dict[str, Path] = {}
        if clean_folder.is_dir():
            for file in find_audio_files(clean_folder):
                clean[_file_id(file)] = file
        for file in find_audio_files(noisy):
            reference = clean.get(_file_id(file))
            if clean and reference is None:
                raise UserError(
                    f"{file}: has no partner 'fileid_{_file_id(file)}' in {clean_folder}"
                )
            snr = _SNR.search(file.stem)
            items.append(
                Item(
                    id=file.relative_to(folder).with_suffix("").as_posix().replace("/", "-"),
                    source=file,
                    reference=reference,
                    instruction=ACOUSTIC[NOISE_REMOVAL].basic,
                    language=language,
                    task=NOISE_REMOVAL,
                    parameters={"snr_db": int(snr[1])} if snr else {},
                )
            )
    if not items:
        raise UserError(f"{folder}: no recordings in a folder called 'noisy'")
    return items


def _file_id(file: Path) -> str:
    found = _FILE_ID.search(file.stem)
    return found[1] if found else file.stem


def dns_names(number: int, snr_db: float, noise: str) -> tuple[str, str]:
    """File names of a pair, as the DNS Challenge names them: (noisy, clean)."""
    label = re.sub(r"[^A-Za-z0-9]+", "-", noise) or "noise"
    return f"clnsp{number}_{label}_snr{snr_db:g}_fileid_{number}.wav", f"clean_fileid_{number}.wav"


def recognition_items(recordings: Sequence[Recording]) -> dict[str, list[Item]]:
    """Recognition items by dialect (or by language where no dialect is known)."""
    sets: dict[str, list[Item]] = {}
    for r in recordings:
        parameters = {"dialect": r.dialect} if r.dialect else {}
        item = Item(
            r.id, r.audio, text=r.text, language=r.language, task="asr", parameters=parameters
        )
        sets.setdefault(r.dialect or r.language or "all", []).append(item)
    return sets


def write_recognition(recordings: Sequence[Recording], out: Path) -> dict[str, Path]:
    """One folder per dialect with `wav.scp`, `text` and `items.jsonl`; the recordings stay put.

    Returns the manifest of each dialect.
    """
    manifests: dict[str, Path] = {}
    for name, items in sorted(recognition_items(recordings).items()):
        folder = out / re.sub(r"[^\w-]+", "_", name)
        folder.mkdir(parents=True, exist_ok=True)
        scp = "".join(f"{i.id} {i.audio.absolute() if i.audio else ''}\n" for i in items)
        atomic_write_text(folder / "wav.scp", scp)
        atomic_write_text(folder / "text", "".join(f"{i.id} {i.text}\n" for i in items))
        write_manifest(folder / "items.jsonl", items)
        manifests[name] = folder / "items.jsonl"
    return manifests
