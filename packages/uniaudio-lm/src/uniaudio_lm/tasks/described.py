"""Dialogues, sounds and music: what Ming-omni-tts makes of a text beside speech in one voice."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mingtok_audio.core.errors import UserError
from mingtok_audio.core.runtime import seeded_generator
from uniaudio_lm.checks import check_text
from uniaudio_lm.config import Sampling
from uniaudio_lm.interfaces import TextNormalizer
from uniaudio_lm.model import omni_prompts
from uniaudio_lm.model.generation import SeededNoise
from uniaudio_lm.tasks.tts import Job, spoken_pieces
from uniaudio_lm.tasks.voice import Voice, VoicePrompt, prepare_voices
from uniaudio_lm.text.length import speech_seconds
from uniaudio_lm.text.markup import plain_text
from uniaudio_lm.watermarking import Watermark

if TYPE_CHECKING:
    from uniaudio_lm.model.speech_lm import SpeechLM

MAX_SECONDS = 600.0
_DIALOGUE_SECONDS = 30.0  # about how much of a dialogue is generated at once
# The published example has sigma 0.3 and temperature 2.5; our sigma is 0.25.
SOUND_SAMPLING = Sampling(num_steps=10, cfg_scale=4.5, temperature=2.5 * (0.3 / 0.25) ** 2)
"""How the published example makes sounds."""


def dialogue_job(
    model: SpeechLM,
    turns: Sequence[tuple[str, str]],
    voices: Mapping[str, VoicePrompt],
    seed: int,
    *,
    normalizer: TextNormalizer | None = None,
    watermark: Watermark | None = None,
) -> Job:
    """A dialogue that is checked and ready for `tts.run_jobs`; see `UniAudio.dialogue`. Long ones
    are cut between turns, and each piece has the same voices.

    Raises:
        UserError: see `UniAudio.dialogue`.
    """
    if model.config.prompt_format == "uniaudio":
        raise UserError(
            f"model {model.model_id} speaks with one voice (Ming-omni-tts with several)"
        )
    names = list(dict.fromkeys(name for name, _ in turns))
    if len(names) < 2:
        raise UserError("a dialogue needs two speakers or more; one speaks with tts")
    unknown = [name for name in voices if name not in names]
    if unknown:
        raise UserError(
            f"{unknown[0]!r} has a voice and says nothing (speakers: {', '.join(names)})"
        )
    missing = [name for name in names if name not in voices]
    if voices and missing:
        raise UserError(f"{missing[0]!r} has no voice: give each speaker one, or none")
    said: list[tuple[int, str]] = []
    for name, text in turns:
        check_text(text, None, (), model.model_id)
        number = names.index(name) + 1
        if normalizer is None:
            pieces = [" ".join(plain_text(text).split())]
        else:
            pieces = spoken_pieces(text, normalizer, _DIALOGUE_SECONDS)
        said += [(number, piece) for piece in pieces]
    voice = prepare_voices(model, [voices[name] for name in names]) if voices else Voice()
    parts: list[list[tuple[int, str]]] = []
    lengths: list[float | None] = []
    for turn in said:
        seconds = speech_seconds(turn[1], voice.rate)
        if parts and (lengths[-1] or 0.0) + seconds <= _DIALOGUE_SECONDS:
            parts[-1].append(turn)
            lengths[-1] = (lengths[-1] or 0.0) + seconds
        else:
            parts.append([turn])
            lengths.append(seconds)
    texts = [omni_prompts.dialogue_text(part) for part in parts]
    noise = SeededNoise(seeded_generator(seed))
    rate = model.tokenizer.config.sample_rate
    marker = None if watermark is None else watermark.new_marker(rate)
    return Job(texts, voice, noise, seconds=lengths, marker=marker)


def sound_job(model: SpeechLM, description: str, seconds: float | None, seed: int) -> Job:
    """A sound that is checked and ready for `tts.run_jobs`; see `UniAudio.sound`."""
    _check_describes(model)
    check_text(description, None, (), model.model_id)
    _check_seconds(seconds)
    noise = SeededNoise(seeded_generator(seed))
    text = " ".join(description.split())
    return Job([text], Voice(), noise, task=omni_prompts.SOUND, seconds=[seconds])


def music_job(  # noqa: PLR0917
    model: SpeechLM, genre: str, mood: str, instrument: str, theme: str, seconds: float, seed: int
) -> Job:
    """Music that is checked and ready for `tts.run_jobs`; see `UniAudio.music`."""
    _check_describes(model)
    for name, value in (
        ("genre", genre), ("mood", mood), ("instrument", instrument), ("theme", theme),
    ):  # fmt: skip
        if not value.strip():
            raise UserError(f"the {name} of the music is empty")
    _check_seconds(seconds)
    text = omni_prompts.music_text(genre, mood, instrument, theme, seconds)
    noise = SeededNoise(seeded_generator(seed))
    return Job([text], Voice(), noise, task=omni_prompts.MUSIC, seconds=[seconds])


def _check_describes(model: SpeechLM) -> None:
    if model.config.prompt_format not in ("omni_chatml", "omni_role"):
        raise UserError(
            f"model {model.model_id} makes speech only (Ming-omni-tts makes sounds too)"
        )


def _check_seconds(seconds: float | None) -> None:
    if seconds is not None and not (math.isfinite(seconds) and 0 < seconds <= MAX_SECONDS):
        raise UserError(f"the length is above 0 and at most {MAX_SECONDS:g} seconds")
