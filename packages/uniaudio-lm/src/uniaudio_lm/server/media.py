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


class _Sent(io.BytesIO):
    """What libsndfile writes, kept until it is taken; what was taken can't be written again."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self._taken = 0  # bytes before `_kept`
        self._place = 0

    def seekable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self.end}
        self._place = start[whence] + offset
        return self._place

    def write(self, data: Any) -> int:
        data = bytes(data)
        # libsndfile corrects the first frame of an mp3 when it closes it: that one is not sent.
        late = max(0, self._taken - self._place)
        at = self._place + late - self._taken
        if late < len(data):
            self._kept[at : at + len(data) - late] = data[late:]
        self._place += len(data)
        return len(data)

    @property
    def end(self) -> int:
        """Bytes written in all."""
        return self._taken + len(self._kept)

    def take(self) -> bytes:
        """What was written since the last call."""
        data = bytes(self._kept)
        self._taken += len(data)
        self._kept.clear()
        return data


class Encoder:
    """Samples in, bytes of a format out, as soon as they are complete; only what is not complete is
    kept.

    Args:
        format: a key of `CONTENT_TYPES`. `flac` gives all of its bytes at the end, since its
            header holds the length and a checksum.
        sample_rate: Hz.
    """

    def __init__(self, format: str, sample_rate: int) -> None:
        self.format, self.sample_rate = format, sample_rate
        self._begun = False
        self._written = _Sent()
        self._file: Any = None
        if format in _CODECS:
            import soundfile

            name, subtype = _CODECS[format]
            # Frames of one length: a stream has no table from which its duration could be read.
            even = {"bitrate_mode": "CONSTANT", "compression_level": 0.3} if format == "mp3" else {}
            self._file = soundfile.SoundFile(
                self._written, "w", sample_rate, 1, subtype=subtype, format=name, **even
            )

    def push(self, wav: np.ndarray) -> bytes:
        """Add samples (T,); the bytes that are complete."""
        wav = np.clip(wav, -1.0, 1.0)
        if self._file is None:
            head, self._begun = self._head(), True
            return head + np.clip(np.round(wav * 32768), -32768, 32767).astype("<i2").tobytes()
        if len(wav):
            self._file.write(wav.astype(np.float32))
        return b"" if self.format == "flac" else self._new()

    def finish(self) -> bytes:
        """The last bytes."""
        if self._file is None:
            return self._head()
        if self.format == "opus":
            self._file.write(np.zeros(round(_OPUS_TAIL_SECONDS * self.sample_rate), np.float32))
        self._file.close()
        return self._new()

    def _head(self) -> bytes:
        """The header of a wav, once."""
        return wav_header(self.sample_rate) if self.format == "wav" and not self._begun else b""

    def _new(self) -> bytes:
        data = self._written.take()
        if self.format == "mp3" and not self._begun and data:
            # libsndfile's first frame will count the others, which nobody knows yet.
            self._begun = True
            return data[frame_bytes(data[:4]) :]
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
