"""What a worker does for the routes: speech, transcripts, latents.

Each is a generator function of an `Engine` and plain values; see `worker`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from mingtok_audio.core.audio.stretching import stretch
from uniaudio_lm.server.media import read_upload
from uniaudio_lm.server.worker import Engine, Event


def speech(engine: Engine, params: dict[str, Any]) -> Iterator[Event]:
    """Say `text`: events {"wav": (m,) float32} and at the end {"end": {...}}.

    `params`: text, voice (a name or None), reference (bytes or None), reference_text, seed,
    language, max_seconds (of a reference), speed: other than 1, the sound is stretched and comes
    once it is whole.
    """
    from uniaudio_lm import VoicePrompt

    voice: Any = params["voice"]
    if params["reference"] is not None:
        wav, rate = read_upload(params["reference"], "ref_audio", params["max_seconds"])
        voice = VoicePrompt(wav, rate, params["reference_text"] or "")
        yield {"checked": True}
    speed = params["speed"]
    job = engine.lm.job(
        params["text"],
        voice,
        seed=params["seed"],
        language=params["language"],
        marked=speed == 1.0,  # else it is marked once it is stretched
    )
    rate = engine.lm.tokenizer.config.sample_rate
    yield {"sample_rate": rate}
    total, held = 0, []
    with engine.say(job) as ticket:
        while True:
            over = ticket.over
            wav = ticket.take()
            if wav is not None and speed == 1.0:
                total += len(wav)
                yield {"wav": wav}
            elif wav is not None:
                held.append(wav)
            if over:
                break
            yield {}
    if held:
        wav = stretch(np.concatenate(held)[:, None], rate, speed, 0.0)[:, 0].astype(np.float32)
        if engine.lm.watermark is not None:
            wav = engine.lm.watermark.mark(wav, rate)
        total = len(wav)
        yield {"wav": wav}
    yield {
        "end": {
            "stop_reason": job.stop_reason,
            "patches": job.patches,
            "seconds": round(total / rate, 3),
        }
    }


def transcribe(engine: Engine, params: dict[str, Any]) -> Iterator[Event]:
    """Recognise an upload: one event {"transcript": {...}, "seconds": s}.

    `params`: data, name, language, hotwords, max_seconds.
    """
    from uniaudio_lm.commands.asr import as_fields, subtitles

    wav, rate = read_upload(params["data"], params["name"], params["max_seconds"])
    yield {"seconds": len(wav) / rate}
    found = engine.lm.transcribe(
        torch.from_numpy(wav), rate, params["language"], tuple(params["hotwords"])
    )
    yield {
        "transcript": as_fields(found, engine.lm.model_id),
        "srt": subtitles(found, "srt"),
        "vtt": subtitles(found, "vtt"),
    }


def encode(engine: Engine, params: dict[str, Any]) -> Iterator[Event]:
    """An upload as the bytes of a `.mtok` file: one event {"mtok": bytes, "frames": n}."""
    import tempfile
    from pathlib import Path

    wav, rate = read_upload(params["data"], params["name"], params["max_seconds"])
    latents = engine.lm.tokenizer.encode(torch.from_numpy(wav), sample_rate=rate)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.mtok"
        latents.save(path)
        yield {"mtok": path.read_bytes(), "frames": int(latents.lengths[0])}


def decode(engine: Engine, params: dict[str, Any]) -> Iterator[Event]:
    """The bytes of a `.mtok` file as sound: {"sample_rate": r}, then {"wav": (T,)}."""
    import tempfile
    from pathlib import Path

    from mingtok_audio import Latents
    from mingtok_audio.core.errors import UserError

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "upload.mtok"
        path.write_bytes(params["data"])
        try:
            latents = Latents.load(path)
        except UserError as error:
            raise UserError(str(error).replace(str(path), "the upload")) from error
    frames = int(latents.lengths.max())
    if frames > params["max_seconds"] * latents.frame_rate:
        raise UserError(f"the latents are longer than {params['max_seconds']:g} s")
    tokenizer = engine.lm.tokenizer
    yield {"sample_rate": tokenizer.config.sample_rate}
    yield {"wav": tokenizer.decode(latents)[0].numpy()}


def voices(engine: Engine, params: dict[str, Any]) -> Iterator[Event]:
    """The names of the model's voices: one event {"voices": [...]}."""
    yield {"voices": [{"id": s.name, "language": s.language} for s in engine.lm.speakers()]}
