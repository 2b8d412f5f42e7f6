"""Encode and decode a recording as a stream of 100 ms chunks, as a live source would come.

python examples/02_stream.py examples/data/librivox_0880.wav copy.wav
"""

from __future__ import annotations

import sys

from mingtok_audio import MingTok, load_audio
from mingtok_audio.core.audio import AudioWriter


def main(source: str, target: str) -> None:
    tokenizer = MingTok.from_pretrained("nano")
    wav, sample_rate = load_audio(source)
    encoder, decoder = tokenizer.stream_encoder(sample_rate), tokenizer.stream_decoder()
    size = sample_rate // 10
    with AudioWriter(target, tokenizer.config.sample_rate) as writer:
        for start in range(0, len(wav), size):
            writer.write(decoder.push(encoder.push(wav[start : start + size]))[0])
        writer.write(decoder.push(encoder.finish())[0])
        writer.write(decoder.finish()[0])


if __name__ == "__main__":
    main(*sys.argv[1:3])
