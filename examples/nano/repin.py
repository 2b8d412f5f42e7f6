"""Pin a part that was trained for the model before to the tokenizer of a new one, to train it on.

    python examples/nano/repin.py \
        packages/uniaudio-lm/src/uniaudio_lm/weights/nano/parts/generation_head/dit \
        .runs/lm-average -o .runs/dit-before

Its weights are those of before: without training they do not fit the new model.
"""

from __future__ import annotations

import argparse
import shutil
from dataclasses import asdict
from pathlib import Path

from mingtok_audio.core.config import from_dict, load_json
from mingtok_audio.core.models.hub import CONFIG_NAME, WEIGHTS_NAME, write_json
from uniaudio_lm.config import UniAudioConfig


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", type=Path)
    parser.add_argument("model", type=Path, help="a folder with a config.json that names its pin")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    path = options.model / CONFIG_NAME
    pinned = from_dict(UniAudioConfig, load_json(path), str(path)).tokenizer
    if pinned is None:
        raise SystemExit(f"{options.model} is pinned to no tokenizer")
    options.output.mkdir(parents=True, exist_ok=True)
    config = load_json(options.part / CONFIG_NAME)
    config["trained_with"]["tokenizer"] = asdict(pinned)
    shutil.copyfile(options.part / WEIGHTS_NAME, options.output / WEIGHTS_NAME)
    write_json(options.output / CONFIG_NAME, config)


if __name__ == "__main__":
    main()
