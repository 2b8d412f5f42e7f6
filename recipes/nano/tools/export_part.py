"""Ship a part that was trained for the nano language model beside its own, in 8 bits.

    python recipes/nano/tools/export_part.py .runs/lm-dit/model generation_head dit \
        -o packages/uniaudio-lm/src/uniaudio_lm/weights/nano

writes `parts/generation_head/dit` into the model's folder, which is what `--head dit` takes then.
The run's other parts must be those of the model that ships, but for rounding: that is checked.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from mingtok_audio.core.models.compact import compacted
from mingtok_audio.core.models.components import save_component
from mingtok_audio.core.models.hub import WEIGHTS_NAME, save_tensors
from uniaudio_lm.checkpoint.load import load_model
from uniaudio_lm.checkpoint.read import backbone_pin
from uniaudio_lm.model.speech_lm import SpeechLM
from uniaudio_lm.weights import PARTS_FOLDER

ROUNDING = 0.03
"""Of a matrix's deviation, that 8 bits may move it."""


def check_rest(trained: SpeechLM, shipped: SpeechLM, slot: str) -> None:
    """End with a message unless all parts but one are those that ship."""
    wanted = shipped.state_dict()
    for name, value in trained.state_dict().items():
        if name.startswith((f"{slot}.", "tokenizer.", "adapter.")):
            continue
        error = (value.float() - wanted[name].float()).square().mean().sqrt()
        if float(error) > ROUNDING * float(wanted[name].float().square().mean().sqrt()):
            raise SystemExit(f"{name} is not what ships: train {slot} for the model that ships")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("slot", choices=("generation_head", "compressor"))
    parser.add_argument("name", help="a plugin's name, by which the part is asked for")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the model that ships")
    options = parser.parse_args()
    with torch.no_grad():
        trained = load_model(options.model)
        shipped = load_model(options.output)
        check_rest(trained, shipped, options.slot)
    part = trained.get_submodule(options.slot)
    config = getattr(trained.config, options.slot)
    folder = options.output / PARTS_FOLDER / options.slot / options.name
    pins = {"backbone": backbone_pin(options.output, shipped.config.name)}
    if shipped.config.tokenizer is not None:
        pins["tokenizer"] = shipped.config.tokenizer
    save_component(folder, part, slot=options.slot, name=config.name, trained_with=pins)
    save_tensors(
        folder / WEIGHTS_NAME, dict(compacted(part.state_dict().items())), {"format": "pt"}
    )
    load_model(options.output, parts={options.slot: options.name})
    size = sum(file.stat().st_size for file in folder.iterdir()) / 1e6
    print(f"{folder}: {size:.2f} MB")


if __name__ == "__main__":
    main()
