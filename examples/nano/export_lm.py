"""Make a trained language model ready to ship: in 8 bits, bound to the tokenizer that ships.

    python examples/nano/export_lm.py .runs/lm-joint/model -o DIR \
        --speaker hibari=.data/hibari/manifest.jsonl:hibari-wn-adv-00291477-0

The training run's copy of the tokenizer is left out: `config.json` names the shipped one by its
hash, after a check that both encode alike. A speaker is a name, a manifest and an item of it.
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
from mingtok_audio.core.weights import sha256_of_weights
from mingtok_audio.weights import NEWEST_NANO, shipped_folder
from uniaudio_lm import UniAudio, VoicePrompt
from uniaudio_lm.models.saving import write_config, write_text_tokenizer, write_weights
from uniaudio_lm.speakers import SPEAKERS_NAME, add_speaker


def check_alike(model: UniAudio, tokenizer: MingTok) -> None:
    """End with a message unless both tokenizers give the same latents."""
    wav = torch.randn(1, 32000, generator=torch.Generator().manual_seed(0)) * 0.1
    mine, shipped = (t.encode(wav, 16000).values for t in (model.tokenizer, tokenizer))
    error = float((mine - shipped).abs().max())
    if error > 1e-2:
        raise SystemExit(f"the model was trained on other latents (they differ by {error:.3g})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--speaker", action="append", default=[], metavar="NAME=MANIFEST:ID")
    parser.add_argument("--set", dest="changes", action="append", default=[], metavar="KEY=JSON")
    options = parser.parse_args()
    model = UniAudio.from_pretrained(options.model)
    check_alike(model, MingTok.from_pretrained("nano"))
    pinned = PinnedModel(NEWEST_NANO, sha256_of_weights(shipped_folder()))
    changes = {
        key: json.loads(value) for key, _, value in (c.partition("=") for c in options.changes)
    }
    config = replace(model.config, tokenizer=pinned, **changes)
    folder = options.output
    folder.mkdir(parents=True, exist_ok=True)
    state = model.state_dict()
    own = ((k, v) for k, v in state.items() if not k.startswith("tokenizer."))
    write_weights(folder, compacted(own))
    write_text_tokenizer(model, folder)
    write_config(folder, to_dict(config))
    shipped = UniAudio.from_pretrained(folder)
    (folder / SPEAKERS_NAME).unlink(missing_ok=True)
    for given in options.speaker:
        name, _, place = given.partition("=")
        manifest, _, wanted = place.rpartition(":")
        rows = map(json.loads, Path(manifest).read_text(encoding="utf-8").splitlines())
        row = next((row for row in rows if row["id"] == wanted), None)
        if row is None:
            raise SystemExit(f"{manifest} has no item {wanted}")
        wav, rate = load_audio(Path(manifest).parent / row["audio"])
        about = f"{row['speaker']}, {row['source']}, {row['licence']}"
        voice = VoicePrompt(wav, rate, row["text"])
        add_speaker(
            shipped,
            folder / SPEAKERS_NAME,
            name,
            voice,
            language=row["language"],
            description=about,
        )
    size = sum(file.stat().st_size for file in folder.iterdir()) / 1e6
    print(f"{folder}: {size:.1f} MB")


if __name__ == "__main__":
    main()
