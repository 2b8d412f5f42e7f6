"""Train one part of the language model, and show that nothing else changed.

python examples/07_train_part.py out/part [--set trainer.max_steps=2]

`out/part/model` is a whole model: `uniaudio tts "Hello." -m out/part/model -o hello.wav`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from uniaudio_lm import UniAudio
from uniaudio_lm.training.run import load_config, train


def main(folder: str, *changes: str) -> None:
    overrides = [change for change in changes if change != "--set"]
    config = load_config(Path(__file__).with_suffix(".yaml"), overrides)
    done = train(config, folder)
    before, after = (
        UniAudio.from_pretrained(name).model.state_dict() for name in ("nano", str(done.model))
    )
    changed = {name for name, value in before.items() if not torch.equal(value, after[name])}
    print(f"{done.steps} steps in {done.seconds:.0f} s; the part is in {done.model}")
    print("changed:", ", ".join(sorted({name.split(".")[0] for name in changed})))


if __name__ == "__main__":
    main(*sys.argv[1:])
