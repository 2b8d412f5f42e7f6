"""Join the parts of the nano tokenizer that were trained apart, in 8 bits, ready to ship.

    python recipes/nano/tools/assemble.py --encoder .runs/nano-encoder/model \
        --decoder .runs/nano-decoder/model --semantic .runs/lm-hearing/model -o DIR

All three began at the same place and left the projection of the latents as it was: that is checked.
`--semantic` is a language model whose tokenizer has the semantic module, or a tokenizer with one.
With `--exact` weights stay as they are, for more training. `--aligner FOLDER` with `--trained-on
ENCODER` also pins an aligner that was trained on this encoder's latents to the new weights, if they
come out the same but for the rounding.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

from mingtok_audio import MingTok
from mingtok_audio.core.config import load_json
from mingtok_audio.core.models.compact import compacted
from mingtok_audio.core.models.hub import WEIGHTS_NAME, save_tensors, write_json
from uniaudio_lm import UniAudio

LINEAR = (
    "encoder.frame_proj", "encoder.hidden_proj", "encoder.posterior_proj", "latent_proj",
    "decoder.head",
)  # fmt: skip
"""What the waveform goes through on its straight way: 8 bits there would be heard."""
ROUNDING = 0.05
"""Of the latents' deviation: 8 bits move them by about 1 %."""


def tokenizer_of(folder: Path) -> MingTok:
    """The tokenizer of a language model, or the one that the folder holds."""
    if load_json(folder / "config.json").get("model_type") == "uniaudio":
        return UniAudio.from_pretrained(folder).tokenizer
    return MingTok.from_pretrained(folder)


def assemble(encoder: MingTok, decoder: MingTok, semantic: MingTok) -> MingTok:
    """One tokenizer of three that share the projection of the latents."""
    parts = {"encoder.": encoder, "decoder.": decoder, "semantic.": semantic}
    state = dict(encoder.state_dict())
    for prefix, source in parts.items():
        for name, value in source.state_dict().items():
            if name.startswith(prefix):
                state[name] = value
            elif name.startswith("latent_proj.") and not torch.equal(value, state[name]):
                raise SystemExit(f"{name} differs: the run of {prefix[:-1]} has moved it")
    made = MingTok(semantic.config)
    made.load_state_dict(state)
    return made.eval()


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
    named = {"id": tokenizer.config.name, "sha256": tokenizer.model_hash}
    config["trained_with"]["tokenizer"] = named
    config["options"]["tokenizer"] = "nano"
    write_json(folder / "config.json", config)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--encoder", required=True)
    parser.add_argument("--decoder", required=True)
    parser.add_argument("--semantic", type=Path, required=True)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--exact", action="store_true", help="keep float32")
    parser.add_argument("--aligner", type=Path, help="a component folder, changed in place")
    parser.add_argument("--trained-on", help="the tokenizer that the aligner was trained with")
    options = parser.parse_args()
    model = assemble(
        MingTok.from_pretrained(options.encoder),
        MingTok.from_pretrained(options.decoder),
        tokenizer_of(options.semantic),
    )
    model.save_pretrained(options.output)
    if not options.exact:
        write = dict(compacted(model.state_dict().items(), LINEAR))
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
