"""Write the model folder that the nano language model's training begins with.

    python examples/nano/initial_lm.py -o .runs/lm-initial [--config examples/nano/lm.yaml]

Its `tokenizer.json` is learned from the texts of the training manifests, mean and deviation of the
latents are measured on their recordings, all other weights are random (the configuration's seed).
"""

from __future__ import annotations

import argparse
from pathlib import Path

from mingtok_audio.core.errors import UserError
from uniaudio_lm import UniAudio
from uniaudio_lm.training.initial import init_folder
from uniaudio_lm.training.run import load_config


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", type=Path, default=Path(__file__).with_name("lm.yaml"))
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--set", dest="changes", action="append", default=[], metavar="KEY=VALUE")
    options = parser.parse_args()
    try:
        folder = init_folder(load_config(options.config, options.changes), options.output)
    except UserError as error:
        raise SystemExit(f"error: {error}") from error
    model = UniAudio.from_pretrained(folder)
    for name, part in model.named_children():
        print(f"{name:18} {sum(p.numel() for p in part.parameters()):>12,}")
    print(f"{folder}: {model.text_tokenizer.vocab_size} text tokens")


if __name__ == "__main__":
    main()
