"""Speakers of a model: voices that were encoded once and are spoken with by name.

A model folder may hold `speakers.safetensors`: one tensor (L, d) float32 of latents for each
speaker, under its name, and in the metadata

    format = "uniaudio-speakers", format_version = "1", tokenizer_sha256 (where it is pinned),
    speakers = {"name": {"text", "language", "description"}, ...} as JSON

The same file stands alone too: `--speaker FILE.safetensors` takes the only voice in it.
"""

from __future__ import annotations

import json
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

    from uniaudio_lm.models.uniaudio import UniAudio
    from uniaudio_lm.tasks.voice import Voice, VoicePrompt

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
        raise FormatError(f"{file}: its list of speakers is no JSON") from error
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
    return Speaker(name, info.shape[0], info.shape[1], **fields)


def speakers_of(folder: str | Path | None) -> SpeakerFile | None:
    """The voices of a model folder; None where it has none."""
    if folder is None or not (Path(folder) / SPEAKERS_NAME).is_file():
        return None
    return read_speakers(Path(folder) / SPEAKERS_NAME)


def copy_speakers(source: Path | None, target: Path) -> None:
    """Take the voices of a model folder along to another one."""
    found = speakers_of(source)
    if found is not None and found.path.resolve() != (target / SPEAKERS_NAME).resolve():
        atomic_write_bytes(target / SPEAKERS_NAME, found.path.read_bytes())


def find_speaker(model: UniAudio, name: str) -> Voice:
    """A speaker of the model by name, or the only voice of a file.

    Raises:
        UserError: no such speaker (and which there are), or one of another tokenizer.
    """
    import torch
    from safetensors.torch import load_file

    from uniaudio_lm.tasks.voice import Voice, speaking_rate

    if name.endswith(".safetensors"):
        if not Path(name).is_file():
            raise UserError(f"there is no file of speakers '{name}'")
        found = read_speakers(name)
        if len(found.speakers) != 1:
            raise UserError(f"{name} holds {len(found.speakers)} voices; one is needed")
        name = next(iter(found.speakers))
    else:
        own = speakers_of(model.folder)
        if own is None:
            raise UserError(
                f"model {model.model_id} has no speakers: give a recording as the voice, or add "
                "one (uniaudio voices add)"
            )
        if name not in own.speakers:
            known = ", ".join(own.speakers)
            raise UserError(
                f"model {model.model_id} has no speaker '{name}'{near(name, own.speakers)} "
                f"(it has {known})"
            )
        found = own
    speaker = found.speakers[name]
    pinned = model.config.tokenizer
    other = pinned is not None and found.tokenizer_sha256 not in ("", pinned.sha256)
    if other or speaker.latent_dim != model.tokenizer.config.latent_dim:
        raise UserError(f"{found.path}: speaker '{name}' was encoded by another tokenizer")
    latents = load_file(str(found.path))[name]
    size = model.config.patch_size
    latents = latents[: len(latents) // size * size]
    if not len(latents) or not bool(torch.isfinite(latents).all()):
        raise FormatError(f"{found.path}: speaker '{name}' is empty or not finite")
    seconds = len(latents) / model.tokenizer.frame_rate
    return Voice(
        latents[None].to(model.device, model.dtype), speaker.text,
        speaking_rate(speaker.text, seconds),
    )  # fmt: skip


def add_speaker(
    model: UniAudio,
    path: str | Path,
    name: str,
    voice: VoicePrompt,
    *,
    language: str = "",
    description: str = "",
    replace: bool = False,
) -> Speaker:
    """Encode a recording and add it to a file of speakers (made where there is none).

    Raises:
        UserError: a name that is taken or no name, or a recording that cannot be used.
    """
    from safetensors.torch import load_file

    from uniaudio_lm.tasks.voice import prepare_voice

    if not _NAME.fullmatch(name):
        raise UserError(
            f"'{name}' is no name for a speaker: letters, digits, '_', '-' and '.' (at most 64)"
        )
    file = Path(path)
    known: dict[str, Speaker] = {}
    tensors: dict[str, Tensor] = {}
    if file.exists():
        known = dict(read_speakers(file).speakers)
        tensors = load_file(str(file))
    if name in known and not replace:
        raise UserError(f"{file} has a speaker '{name}' already (--replace replaces it)")
    made = prepare_voice(model, voice)
    assert made.latents is not None
    latents = made.latents[0].float().cpu()
    speaker = Speaker(name, len(latents), latents.shape[1], made.text, language, description)
    known[name] = speaker
    details = {
        n: {"text": s.text, "language": s.language, "description": s.description}
        for n, s in known.items()
    }
    about = {
        "format": FORMAT, "format_version": FORMAT_VERSION,
        "speakers": json.dumps(details, ensure_ascii=False),
    }  # fmt: skip
    if model.config.tokenizer is not None:
        about["tokenizer_sha256"] = model.config.tokenizer.sha256
    save_tensors(file, {**tensors, name: latents}, about)
    return speaker
