"""`uniaudio doctor --model`: what is in a model's folder, and whether its encoder gives speech.

The published code of Ming-omni-tts runs 4 or all layers of its tokenizer's encoder, depending on a
library's version, and nothing in the files tells which the weights were trained with. A round trip
does: speech that is encoded and decoded again is that speech with one setting, and not with the
other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mingtok_audio.core.audio import load_audio
from mingtok_audio.core.errors import UserError
from mingtok_audio.core.models.hub import CONFIG_NAME, resolve
from uniaudio_lm.weights import MODEL_FILES, SPEAKER_MODEL, shipped_weights

if TYPE_CHECKING:
    from torch import Tensor

    from mingtok_audio.models.reference import EncoderLayers

SECONDS = 10.0  # of the recording, at most
ALIKE, APART = 0.5, 0.1
"""The least likeness of speech that came back, and by how much one setting has to be better."""


def examine(name: str, recording: str | None = None) -> dict[str, Any]:
    """What is known of a model without running its language model.

    Returns:
        `{id, kind, parameters, speaker_model, round_trip, finding, problems}`; `round_trip` has
        the likeness of speech to what came back (1 is the same) for each reading of the encoder,
        and `chance`, that of the same speech half a recording later.

    Raises:
        UserError: no model there.
    """
    from mingtok_audio.core.config import load_json
    from uniaudio_lm.checkpoint.describe import describe
    from uniaudio_lm.checkpoint.omni import is_omni

    source = resolve(name, kind="model", builtin=shipped_weights, files=MODEL_FILES)
    config = load_json(source.path / CONFIG_NAME)
    about = describe([str(source.path)])[0]
    found: dict[str, Any] = {
        "id": source.id,
        "kind": about.get("kind", "model"),
        "parameters": about.get("parameters"),
        "problems": [],
    }
    if is_omni(config):
        section, speaks = config["audio_tokenizer_config"], True
    elif isinstance(config, dict) and "enc_kwargs" in config and config.get("patch_size", -1) > 1:
        section, speaks = config, False
    else:
        return found | {"finding": "its encoder has one reading: nothing to tell apart"}
    if speaks:
        there = (source.path / SPEAKER_MODEL).is_file()
        found["speaker_model"] = SPEAKER_MODEL if there else "missing (voices need a transcript)"
    layers = section["enc_kwargs"]["backbone"]["num_hidden_layers"]
    wav, rate = _speech(recording)
    trip: dict[str, float] = {}
    readings: list[EncoderLayers] = ["all", "published"] if layers > 4 else ["all"]
    for reading in readings:
        trip[reading] = _likeness(str(source.path), reading, wav, rate)
    trip["chance"] = _chance(wav, rate)
    finding, problem = judge(trip, layers)
    if problem:
        found["problems"].append(problem)
    return found | {"encoder_layers": layers, "round_trip": trip, "finding": finding}


def judge(trip: dict[str, float], layers: int) -> tuple[str, str]:
    """What a round trip tells: the finding, and the problem ("" for none).

    Args:
        trip: likeness by reading.
        layers: of the encoder.
    """
    ranked = sorted((value, name) for name, value in trip.items() if name != "chance")
    best, name = ranked[-1]
    if best < max(ALIKE, trip["chance"] + APART):
        return (
            "neither reading gives the speech back",
            "the round trip gives no speech with any reading of the encoder: the weights are "
            "untrained or damaged, or the tokenizer's config is of another model",
        )
    if len(ranked) == 1:
        return f"the encoder's {layers} layers give the speech back", ""
    if best - ranked[0][0] < APART:
        return "both readings give the speech back: keep all layers", ""
    which = f"all {layers} layers" if name == "all" else "the first 4 layers"
    how = "the default" if name == "all" else "give --encoder-layers published"
    return f"{which} give the speech back, the other reading does not: {how}", ""


def _speech(recording: str | None) -> tuple[Tensor, int]:
    """Speech (T,) and its rate: a recording, or what the shipped voice says."""
    import torch

    if recording is not None:
        wav, rate = load_audio(recording)
        return torch.as_tensor(wav)[: round(SECONDS * rate)], rate
    from safetensors.torch import load_file

    from mingtok_audio.models.mingtok import MingTok
    from uniaudio_lm.speaker_file import speakers_of

    folder = shipped_weights("nano")
    voices = speakers_of(folder)
    if voices is None or not voices.speakers:
        raise UserError("the shipped model has no voice for the round trip: give --recording FILE")
    tokenizer = MingTok.from_pretrained("nano")
    latents = load_file(str(voices.path))[next(iter(voices.speakers))]
    wav = tokenizer.decode(latents[None])[0]
    rate = tokenizer.config.sample_rate
    return wav[: round(SECONDS * rate)], rate


def _likeness(folder: str, reading: EncoderLayers, wav: Tensor, rate: int) -> float:
    """Correlation of the spectra of speech and of what came back."""
    from mingtok_audio.models.mingtok import MingTok
    from uniaudio_lm.parts.speaker_features import resample_sinc

    model = MingTok.from_pretrained(folder, encoder_layers=reading)
    own = model.config.sample_rate
    given = resample_sinc(wav[None], rate, own)[0]
    back = model.decode(model.encode(given, own).values)[0, : len(given)].float()
    return _correlation(_spectrum(given, own), _spectrum(back, own))


def _chance(wav: Tensor, rate: int) -> float:
    spectrum = _spectrum(wav, rate)
    return _correlation(spectrum, spectrum.roll(len(spectrum) // 2, 0))


def _spectrum(wav: Tensor, rate: int) -> Tensor:
    """Log mel energies (F, 80), each bin without its mean."""
    from uniaudio_lm.parts.speaker_features import SPEAKER_RATE, kaldi_fbank, resample_sinc

    bank = kaldi_fbank(resample_sinc(wav[None], rate, SPEAKER_RATE)[0])
    return bank - bank.mean(dim=0)


def _correlation(one: Tensor, other: Tensor) -> float:
    import torch
    from torch.nn import functional as F

    size = min(len(one), len(other))
    likeness = F.cosine_similarity(one[:size].flatten(), other[:size].flatten(), dim=0)
    return round(float(torch.nan_to_num(likeness)), 3)
