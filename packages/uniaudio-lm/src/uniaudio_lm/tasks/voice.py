"""The voice to speak with: a recording of any length, or a speaker of the model.

Of a long recording a stretch is taken that begins where someone starts to speak and ends at a
pause, and the words that are likely said there; longer references make voices collapse.

Axes: T samples, F energy frames of 20 ms, L latent frames, d latent dimensions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from mingtok_audio.core.audio import resample
from mingtok_audio.core.errors import AudioError, FormatError, UserError
from uniaudio_lm.model.omni_prompts import dialogue_text, padded_clip
from uniaudio_lm.parts.campplus_file import has_speaker_model, speaker_model_of
from uniaudio_lm.parts.speaker_features import SPEAKER_RATE, resample_sinc
from uniaudio_lm.samples import as_samples
from uniaudio_lm.speaker_file import look_up_speaker
from uniaudio_lm.text.length import SYLLABLES_PER_SECOND, is_cjk, is_spoken, syllables

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from uniaudio_lm.model.speech_lm import SpeechLM

Recogniser = Callable[["ArrayLike | Tensor", int], str]
"""Samples (T,) and their rate in Hz to the text that is said there."""

MAX_VOICE_SECONDS, MIN_VOICE_SECONDS = 12.0, 0.3
_LEAST = 4.0  # seconds taken of a longer reference
_SEARCHED = 600.0  # seconds in which a stretch of a long reference is looked for
_FRAME = 0.02
_SILENT = 1e-4
_MARGIN, _PAUSE = 0.1, 0.16  # seconds kept around speech; that make a pause
_PUNCTUATION = re.compile(r"[,.;:!?，。；：！？、…][\"'”’」』）)]*$")


@dataclass(frozen=True)
class VoicePrompt:
    """A recording to take the voice from: samples (T,) at `sample_rate`, and what is said in it.

    Where `text` is None the model recognises it; one that cannot takes the voice from the speaker
    embedding alone. `speaker` (E,) is that embedding (CAM++), for a model that has a place for one;
    None leaves it to the model's own speaker model.
    """

    wav: ArrayLike | Tensor
    sample_rate: int
    text: str | None = None
    speaker: Tensor | None = None


@dataclass(frozen=True)
class Voice:
    """A voice as the model takes it: latents (1, L, d), what is said there, syllables a second,
    and the speaker embedding (E,) of a model that has a place for one, or those of several
    speakers (S, E). Without latents and embedding the voice is left to the model."""

    latents: Tensor | None = None
    text: str = ""
    rate: float = SYLLABLES_PER_SECOND
    speaker: Tensor | None = None


def prepare_voice(
    model: SpeechLM,
    voice: VoicePrompt | Voice | str | None,
    recognise: Recogniser | None = None,
) -> Voice:
    """A recording, or a speaker by name or file, as latents; what is a `Voice` already stays.

    Args:
        recognise: gives the text of a recording that comes without one; None refuses those.

    Raises:
        AudioError: silent, too short, NaN, of a wrong shape.
        UserError: no such speaker.
    """
    if voice is None:
        return Voice()
    if isinstance(voice, Voice):
        return voice
    if isinstance(voice, str):
        return find_speaker(model, voice)
    if model.config.prompt_format != "uniaudio":
        return _omni_voice(model, voice)
    wav, text = choose_reference(voice, model.tokenizer.config.sample_rate)
    rate = model.tokenizer.config.sample_rate
    latents = model.tokenizer.encode(wav, rate).values
    size = model.config.patch_size
    latents = latents[:, : latents.shape[1] // size * size]
    if latents.shape[1] == 0:
        raise AudioError("the voice is shorter than one patch of this model")
    if text is None:
        text = "" if recognise is None else recognise(wav, rate)
        if not is_spoken(text):
            raise AudioError("no words were recognised in the voice: say what is said there")
    return Voice(latents.to(model.device, model.dtype), text, speaking_rate(text, len(wav) / rate))


def _omni_voice(model: SpeechLM, voice: VoicePrompt) -> Voice:
    """A recording for Ming-omni-tts: its speaker embedding (given, or that of the model's own
    speaker model), and its latents where its text is known. The clip is completed with zeros to
    whole patches."""
    stretch, text = _chosen_stretch(voice)
    speaker = _embedding(model, voice, stretch)
    if text is None:
        return Voice(speaker=speaker)
    if not is_spoken(text):
        raise AudioError("the text of the voice holds no letter or digit")
    wav = resample(stretch, voice.sample_rate, model.tokenizer.config.sample_rate)
    latents, seconds = _clip_latents(model, wav)
    return Voice(latents, text, speaking_rate(text, seconds), speaker)


def prepare_voices(model: SpeechLM, voices: Sequence[VoicePrompt]) -> Voice:
    """The voices of a dialogue as one: an embedding each, and, where all their texts are known,
    the clips one after the other with the dialogue that they say.

    Raises:
        UserError: the text of some is known and of others not, (`AudioError`) a recording that
            cannot be used.
    """
    known = [voice.text is not None for voice in voices]
    if any(known) and not all(known):
        raise UserError(
            "say what each of the voices' recordings says, or of none: their clips go together"
        )
    made = [_chosen_stretch(voice) for voice in voices]
    found = [
        _embedding(model, voice, stretch) for voice, (stretch, _) in zip(voices, made, strict=True)
    ]
    rows = [row for row in found if row is not None]
    if rows and len(rows) < len(found):
        raise UserError("give the speaker embedding of each voice, or of none")
    speakers = torch.stack(rows) if rows else None
    if not all(known):
        return Voice(speaker=speakers)
    rate = model.tokenizer.config.sample_rate
    clips = [
        np.asarray(resample(stretch, voice.sample_rate, rate), dtype=np.float32)
        for voice, (stretch, _) in zip(voices, made, strict=True)
    ]
    said = [(number, str(text)) for number, (_, text) in enumerate(made, 1)]
    latents, seconds = _clip_latents(model, np.concatenate(clips))
    pace = speaking_rate(" ".join(text for _, text in said), seconds)
    return Voice(latents, dialogue_text(said), pace, speakers)


def _clip_latents(model: SpeechLM, wav: np.ndarray) -> tuple[Tensor, float]:
    """Latents (1, L, d) of a clip (T,) at the tokenizer's rate in whole patches, and its
    seconds."""
    config = model.tokenizer.config
    step = config.hop_length * model.config.patch_size
    samples = torch.as_tensor(np.asarray(wav, dtype=np.float32))[None]
    padded = padded_clip(samples, step, model.config.prompt_format)
    latents = model.tokenizer.encode(padded[0], config.sample_rate).values
    return latents.to(model.device, model.dtype), len(wav) / config.sample_rate


def _embedding(model: SpeechLM, voice: VoicePrompt, stretch: np.ndarray) -> Tensor | None:
    """The speaker embedding (E,) that is given, or that of the model's own speaker model; None
    where there is neither and the text is known.

    Raises:
        UserError: one of a wrong size, or a recording without text and no speaker model.
    """
    wanted, speaker = model.config.speaker_dim, voice.speaker
    if speaker is not None and (
        speaker.shape != (wanted,) or not bool(torch.isfinite(speaker).all())
    ):
        raise UserError(
            f"the speaker embedding is {wanted} finite numbers, not {tuple(speaker.shape)}"
        )
    needed = speaker is None and voice.text is None
    if wanted is not None and (needed or (speaker is None and has_speaker_model(model.folder))):
        encoder = speaker_model_of(model.folder, model.model_id)
        if encoder.config.dim != wanted:
            raise FormatError(
                f"{model.model_id}: the speaker model gives {encoder.config.dim} numbers, and the "
                f"language model takes {wanted}: it belongs to another model"
            )
        samples = torch.from_numpy(stretch)[None]
        speaker = encoder.embed(resample_sinc(samples, voice.sample_rate, SPEAKER_RATE)[0])
    return None if speaker is None else speaker.to(model.device, model.dtype)


def find_speaker(model: SpeechLM, name: str) -> Voice:
    """A speaker of the model by name, or the only voice of a file.

    Raises:
        UserError: no such speaker (and which there are), or one of another tokenizer.
    """
    found, speaker = look_up_speaker(name, model.folder, model.model_id)
    name = speaker.name
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
    embedding = torch.tensor(speaker.embedding) if speaker.embedding else None
    if embedding is not None and len(embedding) != model.config.speaker_dim:
        raise UserError(
            f"{found.path}: speaker '{name}' has an embedding of {len(embedding)} numbers, which "
            f"model {model.model_id} does not take"
        )
    return Voice(
        latents[None].to(model.device, model.dtype),
        speaker.text,
        speaking_rate(speaker.text, seconds),
        None if embedding is None else embedding.to(model.device, model.dtype),
    )


def speaking_rate(text: str, seconds: float) -> float:
    """Syllables a second, kept within what people do: a wrong text must not stretch speech."""
    if not is_spoken(text):
        return SYLLABLES_PER_SECOND
    usual = SYLLABLES_PER_SECOND
    return min(max(syllables(text) / seconds, usual / 2), usual * 2)


def choose_reference(voice: VoicePrompt, rate: int) -> tuple[np.ndarray, str | None]:
    """The stretch of a recording that is taken, at `rate`, and its text."""
    stretch, text = _chosen_stretch(voice)
    return resample(stretch, voice.sample_rate, rate), text


def _chosen_stretch(voice: VoicePrompt) -> tuple[np.ndarray, str | None]:
    """The stretch of a recording that is taken, at its own rate, and its text."""
    wav = as_samples(voice.wav, voice.sample_rate, "the voice")
    seconds = len(wav) / voice.sample_rate
    if seconds < MIN_VOICE_SECONDS:
        raise AudioError(
            f"the voice has {seconds:.2f} s; at least {MIN_VOICE_SECONDS} s are needed"
        )
    if float(np.abs(wav).max()) < _SILENT:
        raise AudioError("the voice is silent: give a recording of someone who speaks")
    speech = find_speech(wav, voice.sample_rate)
    first, stop = _stretch(speech)
    step = int(_FRAME * voice.sample_rate)
    margin = int(_MARGIN * voice.sample_rate)
    begin, end = max(0, first * step - margin), min(len(wav), stop * step + margin)
    text = voice.text
    whole = speech[:first].sum() == 0 and speech[stop:].sum() == 0
    if text is not None and not whole:
        said = np.concatenate(([0], speech.cumsum())) / speech.sum()
        text = _share_of(text, float(said[first]), float(said[stop]))
    return wav[begin:end], text


def find_speech(wav: np.ndarray, rate: int) -> np.ndarray:
    """Which frames (F,) of 20 ms are likely speech: those well above the recording's floor."""
    step = max(1, int(_FRAME * rate))
    frames = wav[: len(wav) // step * step].reshape(-1, step)
    level = 10 * np.log10(np.square(frames, dtype=np.float32).mean(axis=1) + 1e-12)
    sounding = level[level > 20 * np.log10(_SILENT)]
    if not len(sounding):
        return np.ones(len(level), dtype=bool)
    low, high = np.percentile(level, 10), np.percentile(sounding, 95)
    floor = high - 30.0
    if high - low > 12.0:
        floor = max(floor, low + 0.35 * (high - low))
    return level > floor


def _stretch(speech: np.ndarray) -> tuple[int, int]:
    """Frames [first, stop) from a beginning of speech to a pause, of at most the longest
    reference less the margins."""
    active = np.flatnonzero(speech)
    first, last = int(active[0]), int(active[-1]) + 1
    longest = int((MAX_VOICE_SECONDS - 2 * _MARGIN) / _FRAME)
    if last - first <= longest:
        return first, last
    pause = round(_PAUSE / _FRAME)
    # Frames after at least one pause where speech begins.
    quiet = np.convolve(~speech, np.ones(pause), mode="full")[: len(speech)] == pause
    begins = np.flatnonzero(speech[1:] & quiet[:-1]) + 1
    begins = [first, *begins[(begins > first) & (begins < _SEARCHED / _FRAME)].tolist()]
    said = np.concatenate(([0], speech.cumsum()))
    best, best_share = begins[0], -1.0
    for begin in begins:
        share = float(said[min(begin + longest, len(speech))] - said[begin]) / longest
        if share > best_share:
            best, best_share = begin, share
        if share >= 0.6:  # the earlier, the surer which words are said there
            break
    # The last pause that leaves enough, else the longest stretch.
    window = np.arange(best + int(_LEAST / _FRAME), min(best + longest, len(speech)))
    ends = window[quiet[window]]
    stop = int(ends[-1]) - pause + 1 if len(ends) else int(window[-1]) + 1
    return best, stop


def _share_of(text: str, start: float, end: float) -> str:
    """The words likely said between two shares of a recording's speech, cut at punctuation where
    some is near."""
    spaced = " " in text.strip()
    words = text.split() if spaced else list(text.strip())
    if not words:
        return text
    weights = np.array([max(syllables(word), 0.1) for word in words]).cumsum()
    edges = np.concatenate(([0.0], weights / weights[-1]))
    near = 1 if spaced else 2  # words that are not said there would be said again
    first = _edge(words, edges, start, near)
    stop = max(first + 1, _edge(words, edges, end, near))
    chosen = words[first:stop]
    joined = " ".join(chosen) if spaced else "".join(chosen)
    return joined if not is_cjk(joined[:1]) else joined.lstrip("，。、；：！？")


def _edge(words: list[str], edges: np.ndarray, share: float, near: int) -> int:
    """The boundary between words nearest to a share; one after punctuation goes first."""
    guess = int(np.abs(edges - share).argmin())
    if guess in (0, len(words)):
        return guess
    close = range(max(1, guess - near), min(len(words) - 1, guess + near) + 1)
    stops = [i for i in close if _PUNCTUATION.search(words[i - 1])]
    return min(stops, key=lambda i: abs(i - guess)) if stops else guess


def voice_of(latents: Tensor, text: str, patch_size: int, frame_rate: float) -> Voice:
    """What was just said, (L, d), as the voice of what comes next."""
    longest = int(MAX_VOICE_SECONDS * frame_rate)
    longest -= longest % patch_size
    kept = latents[:longest]
    if len(kept) < len(latents):
        text = _share_of(text, 0.0, len(kept) / len(latents))
    return Voice(kept[None], text, SYLLABLES_PER_SECOND)
