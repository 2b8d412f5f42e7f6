"""Write the model folder that the nano language model's training begins with.

    python recipes/nano/tools/initial_lm.py --config recipes/nano/configs/lm-symbols.yaml \
        --weights .runs/lm-symbols/model -o .runs/lm-initial

Mean and deviation of the latents are measured on the training manifests' recordings. `--weights`
names the model that learned from phonemes: its `tokenizer.json`, backbone and stop detector are
taken over. Without it the tokenizer is learned from the manifests' texts, and all weights are
random (the configuration's seed). `--semantic` names a model whose tokenizer with its semantic
module, compressor and adapter are taken over; nothing is measured then.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from mingtok_audio import MingTok
from mingtok_audio.core.errors import UserError
from uniaudio_lm.checkpoint.load import load_model
from uniaudio_lm.checkpoint.save import save_model
from uniaudio_lm.training.initial import init_folder
from uniaudio_lm.training.run import load_config


def give_tokenizer(own: MingTok, trained: MingTok) -> None:
    """Encoder and decoder of a trained tokenizer, around the semantic module that is there."""
    for part in ("encoder", "latent_proj", "decoder"):
        own.get_submodule(part).load_state_dict(trained.get_submodule(part).state_dict())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--config", type=Path, default=Path(__file__).parents[1] / "configs" / "lm-symbols.yaml"
    )
    parser.add_argument("--weights", type=Path, help="a model folder")
    parser.add_argument("--semantic", type=Path, help="a model folder; needs --weights")
    parser.add_argument("--tokenizer", help="whose encoder and decoder it gets; needs --semantic")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--set", dest="changes", action="append", default=[], metavar="KEY=VALUE")
    options = parser.parse_args()
    if options.semantic is not None and options.weights is None:
        parser.error("--semantic needs --weights")
    if options.tokenizer is not None and options.semantic is None:
        parser.error("--tokenizer needs --semantic")
    changes = list(options.changes)
    if options.weights is not None:
        changes.append(f"model.text_tokenizer={options.weights / 'tokenizer.json'}")
    try:
        folder = options.semantic
        if folder is None:
            folder = init_folder(load_config(options.config, changes), options.output)
        model = load_model(folder)
        if options.weights is not None:
            taught = load_model(options.weights)
            for part in ("backbone", "stop_detector"):
                state = taught.get_submodule(part).state_dict()
                model.get_submodule(part).load_state_dict(state)
            if options.tokenizer is not None:
                give_tokenizer(model.tokenizer, MingTok.from_pretrained(options.tokenizer))
            folder = save_model(model, options.output)
    except UserError as error:
        raise SystemExit(f"error: {error}") from error
    for name, part in model.named_children():
        print(f"{name:18} {sum(p.numel() for p in part.parameters()):>12,}")
    print(f"{folder}: {model.text_tokenizer.vocab_size} text tokens")


if __name__ == "__main__":
    main()
