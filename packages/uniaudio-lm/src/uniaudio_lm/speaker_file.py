"""The file of a model's speakers: voices that were encoded once and are used by name.

A model folder may hold `speakers.safetensors`: one tensor (L, d) float32 of latents for each
speaker, under its name, and in the metadata

    format = "uniaudio-speakers", format_version = "1", tokenizer_sha256 (where it is pinned),
    speakers = {"name": {"text", "language", "description", "embedding"}, ...} as JSON

`embedding` is the list of numbers of the voice's speaker embedding, for models that take one.

The same file stands alone too: `--speaker FILE.safetensors` takes the only voice in it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mingtok_audio.core.config import near
from mingtok_audio.core.errors import FormatError, UserError
from mingtok_audio.core.files import atomic_write_bytes
from mingtok_audio.core.models.weights import TensorInfo, read_safetensors_header, save_tensors

if TYPE_CHECKING:
    from torch import Tensor

SPEAKERS_NAME = "speakers.safetensors"
FORMAT, FORMAT_VERSION = "uniaudio-speakers", "1"
MAX_BYTES = 64 << 20
_NAME = re.compile(r"[\w][\w.-]{0,63}")


@dataclass(frozen=True)
class Speaker:
    """What is known of a voice. `frames` of the tokenizer, `text` said in them."""

    name: str
    frames: int
    latent_dim: int
    text: str
    language: str = ""
    description: str = ""
    embedding: tuple[float, ...] = ()


@dataclass(frozen=True)
class SpeakerFile:
    """A file of voices."""

    path: Path
    speakers: dict[str, Speaker]
    tokenizer_sha256: str = ""


def read_speakers(path: str | Path) -> SpeakerFile:
    """The voices of a file, without their latents; no torch.

    Raises:
        FormatError: not such a file, damaged, or of a newer version.
    """
    file = Path(path)
    if file.is_file() and file.stat().st_size > MAX_BYTES:
        raise FormatError(f"{file} is over {MAX_BYTES} bytes: too large for a file of speakers")
    header = read_safetensors_header(file, max_header=4 << 20)
    about = header.pop("__metadata__", {})
    if about.get("format") != FORMAT:
        raise FormatError(f"{file} holds no speakers (its format is not {FORMAT!r})")
    if about.get("format_version") != FORMAT_VERSION:
        raise FormatError(
            f"{file} has speakers format {about.get('format_version')}; this release reads "
            f"{FORMAT_VERSION}: upgrade uniaudio-lm"
        )
    try:
        details: Any = json.loads(about.get("speakers", "{}"))
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{file}: its list of speakers is not JSON") from error
    if not isinstance(details, Mapping) or set(details) != set(header):
        raise FormatError(f"{file}: its list of speakers does not name the tensors it holds")
    speakers = {n: _speaker(file, n, header[n], details[n]) for n in sorted(header)}
    return SpeakerFile(file, speakers, about.get("tokenizer_sha256", ""))


def _speaker(file: Path, name: str, info: TensorInfo, details: Any) -> Speaker:
    fields = {"text": "", "language": "", "description": ""}
    if not isinstance(details, Mapping) or not _NAME.fullmatch(name):
        raise FormatError(f"{file}: speaker {name!r} is not described, or no name")
    fields |= {k: str(v) for k, v in details.items() if k in fields}
    if info.dtype != "F32" or len(info.shape) != 2 or 0 in info.shape:
        raise FormatError(
            f"{file}: speaker {name!r} is {info.dtype} {list(info.shape)}, not (L, d)"
        )
    return Speaker(name, info.shape[0], info.shape[1], **fields, embedding=_numbers(file, details))


def _numbers(file: Path, details: Mapping[str, Any]) -> tuple[float, ...]:
    given = details.get("embedding", [])
    if not isinstance(given, list) or not all(
        isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v) for v in given
    ):
        raise FormatError(f"{file}: the embedding of a speaker is a list of finite numbers")
    return tuple(float(v) for v in given)


def speakers_of(folder: str | Path | None) -> SpeakerFile | None:
    """The voices of a model folder; None where it has none."""
    if folder is None or not (Path(folder) / SPEAKERS_NAME).is_file():
        return None
    return read_speakers(Path(folder) / SPEAKERS_NAME)


def look_up_speaker(name: str, folder: Path | None, model: str) -> tuple[SpeakerFile, Speaker]:
    """A speaker of a model's folder by name, or the only voice of a file.

    Raises:
        UserError: no such speaker (and which there are).
    """
    if name.endswith(".safetensors"):
        if not Path(name).is_file():
            raise UserError(f"there is no file of speakers '{name}'")
        found = read_speakers(name)
        if len(found.speakers) != 1:
            raise UserError(f"{name} holds {len(found.speakers)} voices; one is needed")
        name = next(iter(found.speakers))
    else:
        own = speakers_of(folder)
        if own is None:
            raise UserError(
                f"model {model} has no speakers: give a recording as the voice, or add "
                "one (uniaudio voices add)"
            )
        if name not in own.speakers:
            known = ", ".join(own.speakers)
            raise UserError(
                f"model {model} has no speaker '{name}'{near(name, own.speakers)} (it has {known})"
            )
        found = own
    return found, found.speakers[name]


def copy_speakers(source: Path, target: Path, sha256: str | None = None) -> None:
    """Take the voices of a model folder along to another one.

    Args:
        sha256: of the tokenizer there, where it has the same numbers; None keeps what the file
            says.
    """
    found = speakers_of(source)
    if found is None:
        return
    if sha256 is None:
        atomic_write_bytes(target / SPEAKERS_NAME, found.path.read_bytes())
        return
    from safetensors.torch import load_file

    write_speakers(target / SPEAKERS_NAME, found.speakers, load_file(str(found.path)), sha256)


def write_speakers(
    path: Path, speakers: Mapping[str, Speaker], latents: Mapping[str, Tensor], sha256: str | None
) -> None:
    """Write a file of voices: latents (L, d) float32 of each speaker, and the SHA-256 of the
    tokenizer that they belong to, where it is known."""
    details = {
        n: {"text": s.text, "language": s.language, "description": s.description}
        | ({"embedding": list(s.embedding)} if s.embedding else {})
        for n, s in speakers.items()
    }
    about = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "speakers": json.dumps(details, ensure_ascii=False),
    }
    if sha256 is not None:
        about["tokenizer_sha256"] = sha256
    save_tensors(path, dict(latents), about)


def is_speaker_name(name: str) -> bool:
    """Whether a name can be a speaker's: letters, digits, "_", "-" and ".", at most 64."""
    return _NAME.fullmatch(name) is not None
