"""The nano tokenizer before any training: a transform codec, and what describes speech.

    python recipes/nano/tools/start.py recipes/nano/configs/start.yaml -o DIR

Random weights take hours on a CPU to find what signal processing knows. So the encoder starts as a
modified discrete cosine transform of 40 ms windows (the free latents are its lowest coefficients),
the decoder as its inverse, and the transformers between them as nothing: they learn the rest. A few
constant channels hold the norms' scale still, so that the linear path stays linear. Beside the
tokenizer the components of the described latents (`description.safetensors`) are written: what
trains on the latents may begin before the encoder is trained.

K coefficients, N samples of a frame, C width, D latents, E of them described.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import torch
from torch import Tensor

from mingtok_audio import MingTok
from mingtok_audio.training.acoustic import AcousticTask
from mingtok_audio.training.description import Description, transform_basis
from mingtok_audio.training.run import load_config

CONSTANTS, LEVEL = 8, 40.0  # channels that stand still, and at what


def norm_of(width: int) -> float:
    """What the constants alone make a norm divide by."""
    return LEVEL * math.sqrt(CONSTANTS / width)


@torch.no_grad()
def transform_codec(model: MingTok, described: int, scale: Tensor) -> None:
    """Sets the linear maps; `scale` (N,) is the coefficients' standard deviation."""
    config, hop = model.config, model.config.hop_length
    free, dim = config.latent_dim - described, config.encoder.dim
    basis = transform_basis(hop)
    encoder, decoder = model.encoder, model.decoder
    seen = dim - CONSTANTS
    encoder.frame_proj.weight.zero_()
    encoder.frame_proj.weight[:seen] = (basis[:, :seen] / scale[:seen]).T.float()
    encoder.hidden_proj.weight.copy_(torch.eye(dim))
    encoder.hidden_proj.bias.zero_()
    encoder.hidden_proj.bias[seen:] = LEVEL
    posterior = encoder.posterior_proj
    posterior.weight.mul_(0.2)
    posterior.bias[: config.latent_dim].zero_()
    posterior.bias[config.latent_dim :] = -4.0
    rows = torch.arange(free)
    posterior.weight[described + rows] = 0.0
    posterior.weight[described + rows, rows] = 1.0
    width = config.decoder.dim
    into = model.latent_proj
    into.weight.zero_()
    into.bias.zero_()
    into.weight[rows, described + rows] = 1.0
    said = torch.arange(described)
    # Both signs: the semantic module reads this through an activation.
    into.weight[free + said, said] = 1.0
    into.weight[free + described + said, said] = -1.0
    # Negative, so that the activation in front of the semantic module makes nothing of it. That
    # module reads the described latents alone: what it says of speech, a generated one has too.
    into.bias[width - CONSTANTS :] = -LEVEL
    if model.semantic is not None:
        reads = model.semantic.input_proj.weight
        reads[:, :free] = 0.0
        reads[:, free + 2 * described :] = 0.0
    head = decoder.head
    window = torch.hann_window(head.n_fft, dtype=torch.float64)
    inside = slice(head.pad, head.pad + 2 * hop)
    frame = torch.zeros(head.n_fft, free, dtype=torch.float64)
    total = window.square().sum() / hop
    frame[inside] = basis[:, :free] * scale[:free] * 2 / hop * total / window[inside, None]
    spectrum = torch.fft.rfft(frame, dim=0)
    bins = head.n_fft // 2 + 1
    head.out.weight.mul_(0.1)
    head.out.weight[bins:, :free] = torch.cat((spectrum.real, spectrum.imag)).float()
    head.out.bias.zero_()
    for transformer in (encoder.transformer, decoder.transformer):
        width = transformer.config.dim
        for block in transformer.blocks:
            for part in (block.attn.out, block.mlp.down):
                part.weight.mul_(0.2)
        for name, norm in transformer.named_modules():
            if name.endswith("norm"):
                norm.weight.fill_(0.1)
                norm.weight[: width - CONSTANTS] = norm_of(width)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    config = load_config(options.config)
    plan = config.description
    assert plan is not None
    task = AcousticTask(config)
    model, described = task.model, task.description
    assert isinstance(described, Description)
    transform_codec(model, plan.dims, described.scale.double())
    model.save_pretrained(options.output)
    described.save(options.output / "description.safetensors", model.config.sample_rate)
    print(options.output)


if __name__ == "__main__":
    main()
