"""Put a trained speech decoder into a model folder, in 8 bits.

    python export.py RUN/last.pt packages/uniaudio-lm/src/uniaudio_lm/weights/nano

The model's config names it from then on; its own weights stay as they are.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

import torch
from train import DESCRIBED

from mingtok_audio import MingTok
from mingtok_audio.core.config import to_dict
from mingtok_audio.core.models.compact import compacted
from mingtok_audio.core.models.components import PinnedModel, save_component
from mingtok_audio.core.models.hub import CONFIG_NAME, WEIGHTS_NAME, save_tensors, write_json
from uniaudio_lm.checkpoint.load import load_model
from uniaudio_lm.parts.speech_decoders.described import DescribedDecoder
from uniaudio_lm.weights import PARTS_FOLDER

NAME = "described"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("model", type=Path)
    args = parser.parse_args()
    config = MingTok.from_pretrained("nano").config
    options = {
        "dims": DESCRIBED,
        "decoder": dataclasses.asdict(config.decoder),
        "n_fft": config.n_fft,
        "hop_length": config.hop_length,
        "head": config.head,
    }
    part = DescribedDecoder(latent_dim=config.latent_dim, **options)
    state = torch.load(args.checkpoint, weights_only=False)["model"]
    part.load_state_dict(state)
    pinned = json.loads((args.model / CONFIG_NAME).read_text(encoding="utf-8"))["tokenizer"]
    folder = args.model / PARTS_FOLDER / "speech_decoder" / NAME
    save_component(
        folder,
        part,
        slot="speech_decoder",
        name=NAME,
        options={"latent_dim": config.latent_dim, **options},
        trained_with={"tokenizer": PinnedModel(**pinned)},
    )
    small = dict(compacted(part.state_dict().items()))
    save_tensors(folder / WEIGHTS_NAME, small, {"format": "pt"})
    model = json.loads((args.model / CONFIG_NAME).read_text(encoding="utf-8"))
    model["speech_decoder"] = {"name": NAME, "options": options}
    write_json(args.model / CONFIG_NAME, model)
    loaded = load_model(args.model)
    assert loaded.speech_decoder is not None
    print(to_dict(loaded.config)["speech_decoder"]["name"], end=": ")
    print(f"{sum(f.stat().st_size for f in folder.iterdir()) / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
