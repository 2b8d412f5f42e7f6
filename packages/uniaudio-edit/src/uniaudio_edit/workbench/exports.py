"""Recordings in other formats, and an edit with everything that undoes it."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np

from mingtok_audio.core.audio.resampler import resample
from mingtok_audio.core.errors import AudioError
from uniaudio_edit.pcm import check_output, read_recording, to_float, write_pcm
from uniaudio_edit.receipt import Names

CONTENT_TYPES = {
    ".wav": "audio/wav",
    ".flac": "audio/flac",
    ".mp3": "audio/mpeg",
    ".ogg": "audio/ogg",
    ".opus": "audio/ogg",
    ".aiff": "audio/aiff",
    ".au": "audio/basic",
}
PLAYABLE = frozenset({".wav", ".flac", ".mp3", ".ogg", ".opus"})
_LOSSY = {"mp3": ("MP3", "MPEG_LAYER_III"), "opus": ("OGG", "OPUS")}
_RATES = {
    "mp3": (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000),
    "opus": (8000, 12000, 16000, 24000, 48000),
}
_OPUS_TAIL_SECONDS = 0.1  # libsndfile loses the last milliseconds


def export(path: Path, kind: str, folder: Path) -> bytes:
    """The recording `path` as wav, flac (sample for sample), mp3 or opus.

    Raises:
        AudioError: a format that cannot hold it.
    """
    import soundfile

    recording = read_recording(path)
    if kind in ("wav", "flac"):
        target = folder / f"export-{path.stem}.{kind}"
        check_output(target.name, recording)
        try:
            write_pcm(target, recording.pcm, recording)
            return target.read_bytes()
        finally:
            target.unlink(missing_ok=True)
    wav, rate = to_float(recording.pcm).astype(np.float32), recording.sample_rate
    if wav.shape[1] > 2:
        raise AudioError(f"{kind} holds two channels at most; take wav")
    if rate not in _RATES[kind]:
        rate = min((r for r in _RATES[kind] if r >= rate), default=48000)
        wav = resample(wav.T, recording.sample_rate, rate).T
    if kind == "opus":
        wav = np.pad(wav, ((0, round(_OPUS_TAIL_SECONDS * rate)), (0, 0)))
    container, subtype = _LOSSY[kind]
    buffer = io.BytesIO()
    soundfile.write(buffer, np.clip(wav, -1, 1), rate, subtype=subtype, format=container)
    return buffer.getvalue()


def bundle(path: Path) -> bytes:
    """A zip of an edit, its receipt and its sidecar: `uniaudio edit-undo` restores the source."""
    names = Names.of(path)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for part in (names.output, names.receipt, names.undo):
            archive.write(part, part.name)
    return buffer.getvalue()
