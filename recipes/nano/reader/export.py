"""Writes a checkpoint as the recogniser of a model folder, its matrices in 6 or 8 bits.

    python export.py CHECKPOINT WHISPER_FOLDER PIECES OUTPUT [--tokenizer nano] [--option beams=4]

OUTPUT becomes a component folder: config.json, model.safetensors, tokenizer.json. To try it:
`uniaudio asr --recognizer OUTPUT recording.wav`.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from whisper import reader_from_whisper

from mingtok_audio import MingTok
from mingtok_audio.core.models.compact import compacted
from mingtok_audio.core.models.hub import sha256_of_weights
from mingtok_audio.weights import shipped_weights


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("whisper", type=Path, help="Whisper tiny.en in CTranslate2's form")
    parser.add_argument("pieces", type=Path, help="tokenizer.json that it was trained with")
    parser.add_argument("output", type=Path)
    parser.add_argument("--tokenizer", default="nano", help="the speech tokenizer it reads")
    parser.add_argument(
        "--option", action="append", default=[], metavar="NAME=JSON", help="of the recogniser"
    )
    parser.add_argument("--bits", type=int, default=6, choices=(6, 8), help="of a weight")
    given = parser.parse_args()
    state = torch.load(given.checkpoint, weights_only=True)["reader"]
    pieces = Tokenizer.from_file(str(given.pieces))
    reader = reader_from_whisper(given.whisper, pieces)
    reader.load_state_dict(state)
    codec = MingTok.from_pretrained(given.tokenizer)
    folder = shipped_weights(given.tokenizer) or Path(given.tokenizer)
    options = dict(item.split("=", 1) for item in given.option)
    config = {
        "format_version": 1,
        "slot": "recognizer",
        "name": "reader",
        "api_version": 1,
        "options": {
            **asdict(reader.config),
            **{name: json.loads(value) for name, value in options.items()},
        },
        "trained_with": {"tokenizer": {"id": codec.model_id, "sha256": sha256_of_weights(folder)}},
    }
    given.output.mkdir(parents=True, exist_ok=True)
    tensors = ((f"network.{name}", tensor) for name, tensor in reader.state_dict().items())
    kept = {
        name: tensor.contiguous()
        for name, tensor in compacted(tensors, ("network.piece_positions",), given.bits)
    }
    save_file(kept, str(given.output / "model.safetensors"), metadata={"format": "pt"})
    pieces.save(str(given.output / "tokenizer.json"), pretty=False)
    (given.output / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    size = sum(path.stat().st_size for path in given.output.iterdir())
    print(f"{given.output}: {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
