"""Audio files in and out, and the resampler."""

from mingtok_audio.core.audio.read import (
    AUDIO_SUFFIXES,
    AudioInfo,
    AudioSource,
    Channel,
    audio_info,
    find_audio_files,
    iter_audio_blocks,
    load_audio,
)
from mingtok_audio.core.audio.resampler import (
    MAX_SAMPLE_RATE,
    MIN_SAMPLE_RATE,
    StreamResampler,
    check_sample_rate,
    resample,
    resampled_length,
)
from mingtok_audio.core.audio.write import (
    WRITABLE_SUFFIXES,
    AudioWriter,
    save_audio,
    wav_bytes,
    wav_header,
)

__all__ = [
    "AUDIO_SUFFIXES",
    "MAX_SAMPLE_RATE",
    "MIN_SAMPLE_RATE",
    "WRITABLE_SUFFIXES",
    "AudioInfo",
    "AudioSource",
    "AudioWriter",
    "Channel",
    "StreamResampler",
    "audio_info",
    "check_sample_rate",
    "find_audio_files",
    "iter_audio_blocks",
    "load_audio",
    "resample",
    "resampled_length",
    "save_audio",
    "wav_bytes",
    "wav_header",
]
