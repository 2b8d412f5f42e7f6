"""Make a trained language model ready to ship: in 8 bits, pinned to the tokenizer that ships.

    python recipes/nano/tools/export_lm.py .runs/lm-joint/model -o DIR --tokenizer FOLDER \
        --speaker hibari=.data/hibari/manifest.jsonl:hibari-wn-adv-00291477-0

`--tokenizer` is the folder that `assemble.py` wrote, whose semantic module the model was trained
with; it ships with mingtok-audio, so the model's folder holds none. A speaker is a name, a manifest
and an item of it. `--set` changes values of `config.json`.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import torch
from torch.nn import functional as F

from mingtok_audio import MingTok
from mingtok_audio.core.audio import load_audio
from mingtok_audio.core.config import to_dict
from mingtok_audio.core.files import atomic_write_bytes
from mingtok_audio.core.models.compact import compacted
from mingtok_audio.core.models.components import PinnedModel
from mingtok_audio.core.models.weights import sha256_of_weights
from uniaudio_lm import VoicePrompt
from uniaudio_lm.checkpoint.load import load_model
from uniaudio_lm.checkpoint.save import write_config, write_text_tokenizer, write_weights
from uniaudio_lm.config import parse_config
from uniaudio_lm.model.speech_lm import SpeechLM
from uniaudio_lm.parts.word_models.bigram import FILE as WORDS_NAME
from uniaudio_lm.parts.word_models.bigram import BigramModel
from uniaudio_lm.speaker_file import SPEAKERS_NAME
from uniaudio_lm.tasks.speakers import add_speaker

ROUNDING = 0.05
"""Of the features' deviation, that 8 bits may move them."""


@torch.no_grad()
def check_semantic(model: SpeechLM, tokenizer: MingTok) -> None:
    """End with a message unless the tokenizer has the model's semantic module, but for rounding."""
    values = torch.randn(1, 50, model.latent_dims, generator=torch.Generator().manual_seed(0))
    own = model.audio_features(values)
    values = F.pad(values, (0, tokenizer.config.latent_dim - values.shape[-1]))
    error = float((tokenizer.features_of(values) - own).square().mean().sqrt() / own.std())
    if error > ROUNDING:
        raise SystemExit(f"the model was trained on other features (they differ by {error:.1%})")


def add_voice(model: SpeechLM, file: Path, given: str) -> None:
    """A speaker as `NAME=MANIFEST:ID` says it."""
    name, _, place = given.partition("=")
    manifest, _, wanted = place.rpartition(":")
    rows = map(json.loads, Path(manifest).read_text(encoding="utf-8").splitlines())
    row = next((row for row in rows if row["id"] == wanted), None)
    if row is None:
        raise SystemExit(f"{manifest} has no item {wanted}")
    wav, rate = load_audio(Path(manifest).parent / row["audio"])
    about = f"{row['speaker']}, {row['source']}, {row['licence']}"
    voice = VoicePrompt(wav, rate, row["text"])
    add_speaker(model, file, name, voice, language=row["language"], description=about)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, required=True, help="the one that ships")
    parser.add_argument("--speaker", action="append", default=[], metavar="NAME=MANIFEST:ID")
    parser.add_argument("--words", type=Path, metavar="FOLDER", help="words that recognition knows")
    parser.add_argument("--set", dest="changes", action="append", default=[], metavar="KEY=JSON")
    options = parser.parse_args()
    model = load_model(options.model)
    tokenizer = MingTok.from_pretrained(options.tokenizer)
    check_semantic(model, tokenizer)
    folder = options.output
    folder.mkdir(parents=True, exist_ok=True)
    pinned = PinnedModel(tokenizer.config.name, sha256_of_weights(options.tokenizer))
    pairs = [change.partition("=") for change in options.changes]
    known = to_dict(replace(model.config, tokenizer=pinned))
    for key, _, value in pairs:
        *sections, last = key.split(".")
        place = known
        for section in sections:
            place = place[section]
        place[last] = json.loads(value)
    config = parse_config(known, "--set")
    state = model.state_dict()
    write_weights(
        folder, compacted((k, v) for k, v in state.items() if not k.startswith("tokenizer."))
    )
    write_text_tokenizer(model, folder)
    write_config(folder, to_dict(config))
    (folder / SPEAKERS_NAME).unlink(missing_ok=True)
    if options.words is not None:
        BigramModel().load(options.words)
        atomic_write_bytes(folder / WORDS_NAME, (options.words / WORDS_NAME).read_bytes())
    shipped = load_model(folder)
    for given in options.speaker:
        add_voice(shipped, folder / SPEAKERS_NAME, given)
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6
    print(f"{folder}: {size:.1f} MB")


if __name__ == "__main__":
    main()
