"""What a worker does for the routes: speech, transcripts, latents.

Each is a generator function of an `Engine` and plain values; see `worker`.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mingtok_audio.core.audio.stretching import stretch
from uniaudio_lm.live import step
from uniaudio_lm.server.media import read_upload
from uniaudio_lm.server.worker import Engine, Event
from uniaudio_lm.text.length import is_spoken
from uniaudio_lm.text.sentences import split_sentences
from uniaudio_lm.text.ssml import without_marks

if TYPE_CHECKING:
    from uniaudio_lm.tasks.tts import Job


def speech(engine: Engine, params: dict[str, Any]) -> Iterator[Event]:
    """Say `text`: events {"wav": (m,) float32} and at the end {"end": {...}}.

    `params`: text, voice (a name or None), reference (bytes or None), reference_text, seed,
    language, max_seconds (of a reference), speed: other than 1, the sound is stretched and comes
    once it is whole; words: the end has the words and their times.
    """
    voice = yield from _voice(params)
    rate, speed = engine.lm.tokenizer.config.sample_rate, params["speed"]
    job = engine.lm.job(
        params["text"],
        voice,
        seed=params["seed"],
        language=params["language"],
        marked=speed == 1.0,  # else it is marked once it is stretched
    )
    yield {"sample_rate": rate}
    kept: list[np.ndarray] = []
    for wav in _said(engine, job):
        if wav is None:
            yield {}
            continue
        if speed != 1.0 or params["words"]:
            kept.append(wav)
        if speed == 1.0:
            yield {"wav": wav}
    total = job.samples
    if speed != 1.0 and kept:
        whole = np.concatenate(kept)[:, None]
        made = stretch(whole, rate, speed, 0.0)[:, 0].astype(np.float32)
        if engine.lm.watermark is not None:
            made = engine.lm.watermark.mark(made, rate)
        total = len(made)
        yield {"wav": made}
    end: dict[str, Any] = {
        "stop_reason": job.stop_reason,
        "patches": job.patches,
        "seconds": round(total / rate, 3),
    }
    if params["words"]:
        found = engine.lm.word_times(job, np.concatenate(kept)) if kept else []
        end["words"] = [
            {"word": w.text, "start": round(w.start / speed, 3), "end": round(w.end / speed, 3)}
            for w in found
        ]
    yield {"end": end}


def live_speech(engine: Engine, params: dict[str, Any]) -> Iterator[Event]:
    """Say texts as they come in (`params["inputs"]`: str; "" says what there is; None ends): events
    as `speech`, and {"said": text} after each part.

    Whole sentences are said at once, what follows the last one when it is whole. All parts have one
    voice and one line of random draws.
    """
    voice: Any = yield from _voice(params)
    noise, text, ended = None, "", False
    seconds, patches, reasons = 0.0, 0, list[str]()
    rate = engine.lm.tokenizer.config.sample_rate
    yield {"sample_rate": rate}
    while text or not ended:
        flush = False
        while params["inputs"] and not flush:
            given = params["inputs"].popleft()
            ended = ended or given is None
            flush = given is None or given == ""
            text += given or ""
        whole, text = (text, "") if flush else _whole_sentences(text)
        if not is_spoken(without_marks(whole)):
            yield {}
            continue
        job = engine.lm.job(whole, voice, seed=params["seed"], language=params["language"])
        job.noise = noise or job.noise
        for wav in _said(engine, job):
            yield {} if wav is None else {"wav": wav}
        voice, noise = job.voice, job.noise
        seconds, patches = seconds + job.samples / rate, patches + job.patches
        reasons.append(job.stop_reason)
        yield {"said": whole.strip()}
    reason = next((r for r in reasons if r != "stop"), "stop")
    yield {"end": {"stop_reason": reason, "patches": patches, "seconds": round(seconds, 3)}}


def _whole_sentences(text: str) -> tuple[str, str]:
    """What surely is whole of a text that goes on, and the rest."""
    if text.lstrip().startswith("<"):
        return "", text  # SSML is read when it is complete
    sentences = split_sentences(text)
    if len(sentences) < 2:
        return "", text
    at = text.rindex(sentences[-1])
    return text[:at], text[at:]


def _voice(params: dict[str, Any]) -> Generator[Event, None, Any]:
    """The voice that a request asks for."""
    from uniaudio_lm import VoicePrompt

    if params["reference"] is None:
        return params["voice"]
    wav, rate = read_upload(params["reference"], "ref_audio", params["max_seconds"])
    yield {}
    return VoicePrompt(wav, rate, params["reference_text"] or "")


def _said(engine: Engine, job: Job) -> Iterator[np.ndarray | None]:
    """The samples (m,) of a text, said together with all others; None: there are none yet."""
    with engine.say(job) as ticket:
        while True:
            over = ticket.over
            wav = ticket.take()
            if wav is not None:
                yield wav
            if over:
                return
            if wav is None:
                yield None


def transcribe(engine: Engine, params: dict[str, Any]) -> Iterator[Event]:
    """Recognise an upload: {"seconds": s}, {"text": t} of each segment, and {"transcript": {...}}.

    `params`: data, name, language, hotwords, max_seconds.
    """
    from uniaudio_lm.commands.asr import as_fields, subtitles
    from uniaudio_lm.tasks.asr import join_transcripts

    wav, rate = read_upload(params["data"], params["name"], params["max_seconds"])
    yield {"seconds": len(wav) / rate}
    parts = []
    for part in engine.lm.transcribe_stream(
        torch.from_numpy(wav), rate, params["language"], tuple(params["hotwords"])
    ):
        parts.append(part)
        yield {"text": part.text}
    found = join_transcripts(parts)
    yield {
        "transcript": as_fields(found, engine.lm.model_id),
        "srt": subtitles(found, "srt"),
        "vtt": subtitles(found, "vtt"),
    }


def live_transcribe(engine: Engine, params: dict[str, Any]) -> Iterator[Event]:
    """Recognise what is whole of sound that goes on: {"segment": {...}} of each segment that a
    pause ended, {"partial": {...}} of what follows it so far, then {"used": samples that are done
    with}.

    `params`: wav (T,), sample_rate, start (seconds before it), final: nothing follows, so that all
    of it is recognised; language, hotwords.
    """
    used = yield from _live_events(engine, params)
    yield {"used": used}


def _live_events(engine: Engine, params: dict[str, Any]) -> Generator[Event, None, int]:
    found = step(
        engine.lm,
        params["wav"],
        params["sample_rate"],
        start=params["start"],
        final=params["final"],
        language=params["language"],
        hotwords=params["hotwords"],
    )
    while True:
        try:
            heard = next(found)
        except StopIteration as end:
            return int(end.value)
        span: dict[str, Any] = {"start": heard.start, "end": heard.end, "text": heard.text}
        if heard.final:
            words = [{"word": w.text, "start": w.start, "end": w.end} for w in heard.words]
            yield {"segment": {**span, "words": words}}
        else:
            yield {"partial": span}


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
