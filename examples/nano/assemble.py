"""Join the decoder of one run with the semantic module of another, in 8 bits, ready to ship.

    python examples/nano/assemble.py --decoder .runs/nano-decoder/model \
        --semantic .runs/nano-semantic/model -o DIR

Both must have the same encoder and the same projection of its latents, bit for bit: stage 2 and a
decoder trained with `train_encoder: false` leave them alone, so they can be trained side by side.
`--aligner FOLDER` also pins an aligner that was trained on this encoder's latents to the new
weights.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

from mingtok_audio import MingTok
from mingtok_audio.core.compact import compacted
from mingtok_audio.core.hub import WEIGHTS_NAME, save_tensors, write_json

ROUNDING = 0.05
"""Of the latents' deviation: 8 bits move them by about 1 %."""


def assemble(decoder: MingTok, semantic: MingTok) -> MingTok:
    """The semantic module's model with everything else of the decoder's."""
    state, other = decoder.state_dict(), semantic.state_dict()
    for name, value in other.items():
        shared = name.startswith(("encoder.", "latent_proj."))
        if shared and not torch.equal(value, state[name]):
            raise SystemExit(f"{name} differs: one of the runs has moved it")
    kept = {k: v for k, v in other.items() if k.startswith("semantic.")}
    semantic.load_state_dict({**state, **kept})
    return semantic


def repin(folder: Path, tokenizer: MingTok, trained_on: MingTok) -> None:
    """Let a component name the new weights, if its latents come out the same but for rounding."""
    wav = torch.randn(1, 32000, generator=torch.Generator().manual_seed(0)) * 0.1
    before = trained_on.encode(wav, 16000).values
    error = (tokenizer.encode(wav, 16000).values - before).square().mean().sqrt() / before.std()
    if float(error) > ROUNDING:
        raise SystemExit(f"the aligner was trained on other latents (they differ by {error:.1%})")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    pinned = config["trained_with"]["tokenizer"]
    if pinned["sha256"] != trained_on.model_hash:
        raise SystemExit("the aligner was trained with another tokenizer than --trained-on")
    config["trained_with"]["tokenizer"] = {"id": "nano-v1", "sha256": tokenizer.model_hash}
    config["options"]["tokenizer"] = "nano"
    write_json(folder / "config.json", config)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--decoder", required=True)
    parser.add_argument("--semantic", required=True)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--aligner", type=Path, help="a component folder, changed in place")
    parser.add_argument("--trained-on", help="the tokenizer that the aligner was trained with")
    options = parser.parse_args()
    model = assemble(
        MingTok.from_pretrained(options.decoder), MingTok.from_pretrained(options.semantic)
    )
    model.save_pretrained(options.output)
    write = dict(compacted(model.state_dict().items()))
    save_tensors(options.output / WEIGHTS_NAME, write, {"format": "pt"})
    if options.aligner is not None:
        if options.trained_on is None:
            raise SystemExit("--aligner needs --trained-on")
        new = MingTok.from_pretrained(options.output)
        repin(options.aligner, new, MingTok.from_pretrained(options.trained_on))
    size = sum(file.stat().st_size for file in options.output.iterdir()) / 1e6
    print(f"{options.output}: {size:.1f} MB")


if __name__ == "__main__":
    main()
