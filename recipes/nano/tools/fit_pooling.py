"""The nano's other compressor, the published one (table 4): a linear layer and the mean of a patch.

    python recipes/nano/tools/fit_pooling.py .runs/lm-full/model -o .runs/lm-pooling/model

It is linear after its norm, so what comes nearest to the trained compressor's output is a least
squares problem: solved on every n-th recording of the training manifests, nothing is iterated.
Prints the error on recordings that it was not fitted to, relative to their variance.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor

from mingtok_audio.compressors.linear_pooling import LinearPoolingCompressor
from mingtok_audio.interfaces import split_patches
from mingtok_audio.training.manifests import Recording, Source, read_source
from uniaudio_lm.checkpoint.load import load_model
from uniaudio_lm.checkpoint.save import save_model
from uniaudio_lm.model.speech_lm import SpeechLM

CORPORA = (("hibari", 200), ("kokoro", 300), ("asterisk-en", 150), ("flite", 100))
RIDGE = 1e-4  # of the mean square of what is weighted


def recordings(data: Path, split: str, share: float = 1.0) -> list[Recording]:
    found = []
    for name, most in CORPORA:
        source = Source(manifest=str(data / name / "manifest.jsonl"), split=split)
        items, count = list(read_source(source)), max(1, round(most * share))
        found += [items[i * len(items) // count] for i in range(min(count, len(items)))]
    return found


@torch.no_grad()
def seen(model: SpeechLM, part: LinearPoolingCompressor, items: list[Recording]) -> list[Tensor]:
    """What the linear layer gets, averaged over each patch (N, H + 1), and its answer (N, D)."""
    inputs, wanted = [], []
    for item in items:
        wav = item.load(model.tokenizer.config.sample_rate)
        values = model.tokenizer.encode(wav, model.tokenizer.config.sample_rate).values
        features = model.audio_features(values[..., : model.latent_dims])
        normed = part.final_layer.norm_final(features)
        frames, *_ = split_patches(normed, None, part.patch_size, True)
        patches = model.adapter(model.compressor(features)[0])[0, : frames.shape[1]]
        if frames.shape[1]:
            mean = frames[0].mean(dim=1)
            inputs.append(torch.cat((mean, torch.ones(len(mean), 1)), dim=1).double())
            wanted.append(patches.double())
    return [torch.cat(inputs), torch.cat(wanted)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--data", type=Path, default=Path(".data"))
    options = parser.parse_args()
    model = load_model(options.model)
    made = load_model(options.model, parts={"compressor": "linear_pooling"})
    part = made.compressor
    assert isinstance(part, LinearPoolingCompressor)
    x, y = seen(model, part, recordings(options.data, "train"))
    ridge = RIDGE * x.square().mean() * len(x) * torch.eye(x.shape[1], dtype=x.dtype)
    solved = torch.linalg.solve(x.T @ x + ridge, x.T @ y)
    linear = part.final_layer.linear
    with torch.no_grad():
        linear.weight.copy_(solved[:-1].T)
        linear.bias.copy_(solved[-1])
    x, y = seen(model, part, recordings(options.data, "valid", 0.1))
    error = float((x @ solved - y).square().sum() / (y - y.mean(dim=0)).square().sum())
    save_model(made, options.output)
    print(f"{options.output}: {error:.3f} of the variance is left on {len(y)} patches")


if __name__ == "__main__":
    main()
