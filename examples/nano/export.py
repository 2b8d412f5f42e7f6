"""Write a run's averaged weights as a model folder to ship, in float16.

    python examples/nano/export.py .runs/nano-acoustic -o DIR

The run may still be going: what is exported is its last checkpoint.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from mingtok_audio.core.config import from_dict, load_json
from mingtok_audio.models.mingtok import MingTok
from mingtok_audio.training.acoustic import AcousticConfig
from mingtok_audio.training.checkpoint import Checkpoints


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    config = from_dict(AcousticConfig, load_json(options.run / "run.json"), where="run.json")
    tree = Checkpoints(options.run, keep=1).load()
    if tree is None or config.model is None:
        raise SystemExit(f"{options.run} holds no checkpoint of a run with a fresh model")
    model = MingTok(config.model)
    model.load_state_dict(tree["ema"])
    model.to(torch.float16).save_pretrained(options.output)
    size = sum(file.stat().st_size for file in options.output.iterdir()) / 1e6
    print(f"step {tree['step']}: {options.output}, {size:.1f} MB")


if __name__ == "__main__":
    main()
