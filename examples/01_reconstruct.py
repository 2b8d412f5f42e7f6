"""Encode a recording, look at its latents, and decode it again.

python examples/01_reconstruct.py examples/data/librivox_0880.wav copy.wav
"""

from __future__ import annotations

import sys

from mingtok_audio import MingTok, load_audio, save_audio


def main(source: str, target: str) -> None:
    tokenizer = MingTok.from_pretrained("nano")
    wav, sample_rate = load_audio(source)
    latents = tokenizer.encode(wav, sample_rate)
    print(latents)
    save_audio(target, tokenizer.decode(latents)[0], tokenizer.config.sample_rate)


if __name__ == "__main__":
    main(*sys.argv[1:3])
