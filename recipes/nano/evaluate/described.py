"""What the free latents of the language model's tokenizer are worth: decode with them and without.

    python recipes/nano/evaluate/described.py .data/lm-heldout/truth -o out/described
    for kind in whole described; do
        audio-eval score tts --refs .data/lm-heldout/tts.jsonl --hyps out/described/$kind \
            -o out/described-$kind --judges .judges --metrics wer --baselines none
    done

A language model with `latent_dims` says the first latents only, and the others are 0: the second
folder is the best that it can sound like.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from mingtok_audio import MingTok, load_audio, save_audio
from mingtok_audio.core.audio import find_audio_files
from uniaudio_lm.checkpoint.load import load_model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recordings", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--decoder", help="a tokenizer with the same encoder, to decode with")
    options = parser.parse_args()
    model = load_model(options.model)
    tokenizer, rate = model.tokenizer, model.tokenizer.config.sample_rate
    if options.decoder:
        tokenizer = MingTok.from_pretrained(options.decoder)
    for kind in ("whole", "described"):
        (options.output / kind).mkdir(parents=True, exist_ok=True)
    files = find_audio_files(options.recordings)
    for path in files:
        values = tokenizer.encode(*load_audio(path)).values
        said = values.clone()
        said[..., model.latent_dims :] = 0
        for kind, latents in (("whole", values), ("described", said)):
            target = (options.output / kind / path.name).with_suffix(".wav")
            save_audio(target, tokenizer.decode(latents)[0].numpy(), rate)
    print(f"{len(files)} recordings: {options.output}")


if __name__ == "__main__":
    main()
