"""Keeping the voice of a recording as a speaker, to be used by name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from safetensors.torch import load_file

from mingtok_audio.core.errors import UserError
from uniaudio_lm.speaker_file import Speaker, is_speaker_name, read_speakers, write_speakers
from uniaudio_lm.tasks.voice import Recogniser, VoicePrompt, prepare_voice

if TYPE_CHECKING:
    from torch import Tensor

    from uniaudio_lm.model.speech_lm import SpeechLM


def add_speaker(
    model: SpeechLM,
    path: str | Path,
    name: str,
    voice: VoicePrompt,
    *,
    language: str = "",
    description: str = "",
    replace: bool = False,
    recognise: Recogniser | None = None,
) -> Speaker:
    """Encode a recording and add it to a file of speakers (made where there is none).

    Raises:
        UserError: a name that is taken or no name, or a recording that cannot be used.
    """
    if not is_speaker_name(name):
        raise UserError(
            f"'{name}' is not a speaker's name: letters, digits, '_', '-' and '.' (at most 64)"
        )
    file = Path(path)
    known: dict[str, Speaker] = {}
    tensors: dict[str, Tensor] = {}
    if file.exists():
        known = dict(read_speakers(file).speakers)
        tensors = load_file(str(file))
    if name in known and not replace:
        raise UserError(f"{file} has a speaker '{name}' already (--replace replaces it)")
    made = prepare_voice(model, voice, recognise)
    if made.latents is None:
        raise UserError("say what the recording of the voice says (--text): it is kept with it")
    latents = made.latents[0].float().cpu()
    embedding = () if made.speaker is None else tuple(made.speaker.float().tolist())
    speaker = Speaker(
        name, len(latents), latents.shape[1], made.text, language, description, embedding
    )
    known[name] = speaker
    pinned = model.config.tokenizer
    sha256 = None if pinned is None else pinned.sha256
    write_speakers(file, known, {**tensors, name: latents}, sha256)
    return speaker
