"""Samples to bytes and back: output formats, piece by piece, and bounded reading of uploads.

Axes: T samples.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from mingtok_audio.core.audio import iter_audio_blocks, wav_header
from mingtok_audio.core.errors import AudioError

CONTENT_TYPES = {
    "wav": "audio/wav",
    "pcm": "audio/pcm",
    "mp3": "audio/mpeg",
    "flac": "audio/flac",
    "opus": "audio/ogg",
}
_CODECS = {
    "mp3": ("MP3", "MPEG_LAYER_III"),
    "flac": ("FLAC", "PCM_16"),
    "opus": ("OGG", "OPUS"),
}
# libsndfile loses the last milliseconds of Opus when it closes a file: give it silence to lose.
_OPUS_TAIL_SECONDS = 0.1
_BLOCK_SECONDS = 5.0


class Encoder:
    """Samples in, bytes of a format out, as soon as they are complete.

    Args:
        format: a key of `CONTENT_TYPES`. `flac` gives all of its bytes at the end, since its
            header holds the length and a checksum.
        sample_rate: Hz.
    """

    def __init__(self, format: str, sample_rate: int) -> None:
        self.format, self.sample_rate = format, sample_rate
        self._taken = 0
        self._buffer = io.BytesIO()
        self._file: Any = None
        if format in _CODECS:
            import soundfile

            name, subtype = _CODECS[format]
            # Frames of one length: a stream has no table from which its duration could be read.
            even = {"bitrate_mode": "CONSTANT", "compression_level": 0.3} if format == "mp3" else {}
            self._file = soundfile.SoundFile(
                self._buffer, "w", sample_rate, 1, subtype=subtype, format=name, **even
            )
        elif format == "wav":
            self._buffer.write(wav_header(sample_rate))

    def push(self, wav: np.ndarray) -> bytes:
        """Add samples (T,); the bytes that are complete."""
        wav = np.clip(wav, -1.0, 1.0)
        if self._file is None:
            self._buffer.write(
                np.clip(np.round(wav * 32768), -32768, 32767).astype("<i2").tobytes()
            )
        elif len(wav):
            self._file.write(wav.astype(np.float32))
        return b"" if self.format == "flac" else self._new()

    def finish(self) -> bytes:
        """The last bytes."""
        if self._file is not None:
            if self.format == "opus":
                self._file.write(np.zeros(round(_OPUS_TAIL_SECONDS * self.sample_rate), np.float32))
            self._file.close()
        return self._new()

    def _new(self) -> bytes:
        if self.format == "mp3" and not self._taken:
            # libsndfile's first frame will count the others, which nobody knows yet.
            self._taken = frame_bytes(self._buffer.getbuffer()[:4].tobytes())
        data = self._buffer.getbuffer()[self._taken :].tobytes()
        self._taken += len(data)
        return data


_BITRATES_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_BITRATES_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}


def frame_bytes(data: bytes) -> int:
    """Length of the mp3 frame with the header `data` (4 bytes); 0 where it is none."""
    if len(data) < 4 or data[0] != 0xFF:
        return 0
    version, index, rate = data[1] >> 3 & 3, data[2] >> 4, data[2] >> 2 & 3
    if version not in _RATES or rate == 3 or index == 15:
        return 0
    bitrate = (_BITRATES_1 if version == 3 else _BITRATES_2)[index]
    samples = 144 if version == 3 else 72
    return samples * bitrate * 1000 // _RATES[version][rate] + (data[2] >> 1 & 1)


def read_upload(data: bytes, name: str, max_seconds: float) -> tuple[np.ndarray, int]:
    """An uploaded file: samples (T,) and their rate, in memory bounded by `max_seconds`.

    Raises:
        AudioError: not audio, or longer than `max_seconds`.
    """
    from mingtok_audio.core.audio import audio_info

    shown = "".join(c for c in name if c.isprintable())[-80:] or "upload"
    try:
        rate = audio_info(data).sample_rate
        blocks, total = [], 0
        for block in iter_audio_blocks(data, _BLOCK_SECONDS):
            blocks.append(block)
            total += len(block)
            if total > max_seconds * rate:
                raise AudioError(f"it is longer than {max_seconds:g} s, the most that is taken")
    except AudioError as error:
        raise AudioError(f"{shown}: {error}") from error
    return np.concatenate(blocks), rate
