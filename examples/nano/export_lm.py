"""Make a trained language model ready to ship: everything in 8 bits, its tokenizer included.

    python examples/nano/export_lm.py .runs/lm-joint/model -o DIR \
        --decoder .runs/nano-described-decoder/model \
        --speaker hibari=.data/hibari/manifest.jsonl:hibari-wn-adv-00291477-0

`--decoder` takes the decoder of a tokenizer that went on learning on the same encoder and the same
projection of its latents. A speaker is
a name, a manifest and an item of it. `--set` changes values of `config.json`.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import torch

from mingtok_audio import MingTok
from mingtok_audio.core.audio import load_audio
from mingtok_audio.core.compact import compacted
from mingtok_audio.core.components import PinnedModel
from mingtok_audio.core.config import to_dict
from mingtok_audio.core.hub import write_json
from mingtok_audio.core.weights import sha256_of_weights
from mingtok_audio.models.semantic import SemanticModule
from uniaudio_lm import UniAudio, VoicePrompt
from uniaudio_lm.models.loading import TOKENIZER_FOLDER
from uniaudio_lm.models.saving import write_config, write_text_tokenizer, write_weights
from uniaudio_lm.speakers import SPEAKERS_NAME, add_speaker

NAME = "nano-lm-v1"
"""Of the tokenizer inside."""


def check_alike(one: MingTok, other: MingTok) -> None:
    """End with a message unless both tokenizers give the same latents, and project them alike."""
    wav = torch.randn(1, 32000, generator=torch.Generator().manual_seed(0)) * 0.1
    first, second = (t.encode(wav, 16000).values for t in (one, other))
    error = float((first - second).abs().max())
    if error > 1e-5:
        raise SystemExit(f"the model was trained on other latents (they differ by {error:.3g})")
    if not torch.equal(one.latent_proj.weight, other.latent_proj.weight):
        raise SystemExit("the decoder was trained on a projection of its own (`latent_proj`)")


def save_tokenizer(
    tokenizer: MingTok, semantic: SemanticModule | None, folder: Path
) -> PinnedModel:
    """Encoder, decoder, and the semantic module that the language model reads, if it does."""
    shape = None if semantic is None else semantic.transformer.config
    config = replace(tokenizer.config, semantic=shape, name=NAME)
    state = {k: v for k, v in tokenizer.state_dict().items() if not k.startswith("semantic.")}
    if semantic is not None:
        state |= {f"semantic.{k}": v for k, v in semantic.state_dict().items()}
    MingTok(config).load_state_dict(state)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "config.json", to_dict(config))
    write_weights(folder, compacted(state.items()))
    return PinnedModel(NAME, sha256_of_weights(folder))


def add_voice(model: UniAudio, file: Path, given: str) -> None:
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
    parser.add_argument("--decoder", type=Path, help="a tokenizer with the same encoder")
    parser.add_argument("--speaker", action="append", default=[], metavar="NAME=MANIFEST:ID")
    parser.add_argument("--set", dest="changes", action="append", default=[], metavar="KEY=JSON")
    options = parser.parse_args()
    model = UniAudio.from_pretrained(options.model)
    tokenizer = model.tokenizer
    if options.decoder is not None:
        tokenizer = MingTok.from_pretrained(options.decoder)
        check_alike(tokenizer, model.tokenizer)
    folder = options.output
    folder.mkdir(parents=True, exist_ok=True)
    semantic = model.tokenizer.semantic if model.config.audio_input == "unified" else None
    pinned = save_tokenizer(tokenizer, semantic, folder / TOKENIZER_FOLDER)
    pairs = [change.partition("=") for change in options.changes]
    changes = {key: json.loads(value) for key, _, value in pairs}
    config = replace(model.config, tokenizer=pinned, **changes)
    state = model.state_dict()
    write_weights(
        folder, compacted((k, v) for k, v in state.items() if not k.startswith("tokenizer."))
    )
    write_text_tokenizer(model, folder)
    write_config(folder, to_dict(config))
    (folder / SPEAKERS_NAME).unlink(missing_ok=True)
    shipped = UniAudio.from_pretrained(folder)
    for given in options.speaker:
        add_voice(shipped, folder / SPEAKERS_NAME, given)
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6
    print(f"{folder}: {size:.1f} MB")


if __name__ == "__main__":
    main()
