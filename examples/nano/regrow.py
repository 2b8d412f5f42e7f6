"""Give the nano tokenizer fewer latents, of which the first describe the spectrum and the pitch.

    python examples/nano/regrow.py examples/nano/generatable.yaml -o DIR [--source nano]

The transformers stay; the two linear maps around the latents are solved for by least squares: the
described dimensions from the encoder's states, the free ones as the principal components of what
the old latents hold besides, and the decoder's input from both. Training goes on from there.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from mingtok_audio import MingTok
from mingtok_audio.training.acoustic import AcousticTask
from mingtok_audio.training.run import load_config

LATENTS, FLOOR, BATCHES = 32, 0.15, 60


def solve(inputs: Tensor, outputs: Tensor) -> tuple[Tensor, Tensor]:
    """Weight and bias of the linear map with the smallest squared error."""
    ones = torch.cat((inputs, inputs.new_ones(len(inputs), 1)), dim=1).double()
    gram = ones.T @ ones + 1e-3 * len(ones) * torch.eye(ones.shape[1], dtype=torch.float64)
    solution = torch.linalg.solve(gram, ones.T @ outputs.double()).float()
    return solution[:-1].T.contiguous(), solution[-1]


@torch.no_grad()
def regrow(old: MingTok, task: AcousticTask) -> MingTok:
    """A tokenizer with `LATENTS` dimensions whose decoder reads about what it read before."""
    described = task.description
    assert described is not None
    encoder, states, wanted = old.encoder, [], []
    for number in range(BATCHES):
        wav = task.sampler.batch(number)
        frames = encoder.frame(wav)
        hidden = encoder.hidden_proj(encoder.activation(encoder.frame_proj(frames)))
        states.append(encoder.transformer(hidden).flatten(0, 1))
        wanted.append(described(wav).flatten(0, 1))
    h, e = torch.cat(states), torch.cat(wanted)
    weight, bias = solve(h, e)
    found = h @ weight.T + bias
    print(
        f"described by a linear map: {1 - float((found - e).var() / e.var()):.2f} of the variance"
    )
    dims = old.config.latent_dim
    z = h @ encoder.posterior_proj.weight[:dims].T + encoder.posterior_proj.bias[:dims]
    again, _ = solve(found, z)
    rest = z - found @ again.T
    values, vectors = torch.linalg.eigh(torch.cov(rest.T))
    free = LATENTS - described.config.dims
    basis = vectors.flip(1)[:, :free] / values.flip(0)[:free].sqrt()
    r = (rest - rest.mean(dim=0)) @ basis
    new = MingTok(replace(old.config, latent_dim=LATENTS, posterior_min_std=FLOOR))
    solved = ("encoder.posterior_proj.", "latent_proj.")
    state = {k: v for k, v in old.state_dict().items() if not k.startswith(solved)}
    new.load_state_dict(state, strict=False)
    proj = new.encoder.posterior_proj
    proj.weight.zero_()
    proj.weight[: described.config.dims] = weight
    proj.bias[: described.config.dims] = bias
    exact, shift = solve(h, r)
    proj.weight[described.config.dims : LATENTS] = exact
    proj.bias[described.config.dims : LATENTS] = shift
    proj.bias[LATENTS:] = -4.0
    latents = torch.cat((found, r), dim=1)
    noisy = latents + FLOOR * torch.randn(latents.shape)
    into, offset = solve(noisy, z @ old.latent_proj.weight.T + old.latent_proj.bias)
    new.latent_proj.weight.copy_(into)
    new.latent_proj.bias.copy_(offset)
    return new


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("--source", default="nano")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    torch.manual_seed(0)
    config = replace(load_config(options.config), init=options.source)
    task = AcousticTask(config)
    regrow(MingTok.from_pretrained(options.source), task).save_pretrained(options.output)
    print(options.output)


if __name__ == "__main__":
    main()
