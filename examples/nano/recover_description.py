"""Find the components of the described latents again, from the encoder that learned them.

    python examples/nano/recover_description.py -o examples/nano/description.safetensors

`start.py` computes them from the corpora of its day, and every later run needs the same ones. They
are linear in what `Description.measured` gives, so least squares on the encoder's latents of every
n-th training recording finds their directions. An encoder that cannot hit a component exactly says
less of it than there is; how much there is, the language model's config knows, which was written
from the components themselves: their mean and deviation on the bulk voice. Prints how much of each
latent's variance remains unexplained, on recordings that the fit did not see.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor

from mingtok_audio import MingTok
from mingtok_audio.training.description import Description, DescriptionConfig
from mingtok_audio.training.manifests import Recording, Source, read_source
from uniaudio_lm import UniAudio

CORPORA = (("hibari", 150), ("kokoro", 200), ("asterisk-en", 150), ("asterisk-fr", 100))
SPECTRUM, PITCH = 20, 6
BANDS = 40  # of the spectrum, in front of the pitch
BLOCKS = (
    (slice(0, BANDS), slice(0, SPECTRUM), 1e-6),
    (slice(BANDS, None), slice(SPECTRUM, None), 1e-2),  # lags beside each other say the same
)
"""Rows, columns, and the ridge as a share of the mean square."""
BULK = ("hibari", 150)


def recordings(
    data: Path, split: str, share: float = 1.0, corpora: tuple[tuple[str, int], ...] = CORPORA
) -> list[Recording]:
    found = []
    for name, most in corpora:
        items = list(read_source(Source(manifest=str(data / name / "manifest.jsonl"), split=split)))
        count = max(1, round(most * share))
        found += [items[i * len(items) // count] for i in range(min(count, len(items)))]
    return found


@torch.no_grad()
def heard(model: MingTok, described: Description, items: list[Recording]) -> tuple[Tensor, Tensor]:
    """What is measured (N, M + G) and what the encoder says of it (N, E), frame by frame."""
    measured, said = [], []
    rate = model.config.sample_rate
    for item in items:
        wav = torch.as_tensor(item.load(rate), dtype=torch.float32)
        values = model.encode_posterior(wav.numpy(), rate).mean[0]
        found = described.measured(wav[None])[0]
        count = min(len(values), len(found))
        measured.append(found[:count].double())
        said.append(values[:count, : described.config.dims].double())
    return torch.cat(measured), torch.cat(said)


def fit(described: Description, x: Tensor, y: Tensor) -> None:
    """Directions and centre by least squares, x (N, M + G) and y (N, E)."""
    middle, wanted = x.mean(dim=0), y.mean(dim=0)
    for rows, columns, ridge in BLOCKS:
        seen = x[:, rows] - middle[rows]
        weight = ridge * seen.square().mean() * len(seen) * torch.eye(seen.shape[1]).double()
        solved = torch.linalg.solve(seen.T @ seen + weight, seen.T @ (y - wanted)[:, columns])
        described.basis[rows, columns] = solved.float()
        centre(described, rows, columns, middle, wanted)


def centre(
    described: Description, rows: slice, columns: slice, measured: Tensor, said: Tensor
) -> None:
    """What is taken off, so that `measured` (M + G,) gives `said` (E,): the nearest such point."""
    basis = described.basis[rows, columns].double()
    shift = torch.linalg.lstsq(basis.T, said[columns, None]).solution[:, 0]
    described.centre[rows] = (measured[rows] - shift).float()


def scale(described: Description, x: Tensor, mean: Tensor, std: Tensor) -> None:
    """Give the components of x (N, M + G) a known mean and deviation (E,)."""
    found = (x.float() - described.centre) @ described.basis
    described.basis *= std / found.std(dim=0)
    for rows, columns, _ in BLOCKS:
        centre(described, rows, columns, x.mean(dim=0), mean.double())


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="nano", help="a language model")
    parser.add_argument("--data", type=Path, default=Path(".data"))
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    language_model = UniAudio.from_pretrained(options.model)
    model, config = language_model.tokenizer, language_model.config
    plan = DescriptionConfig(spectrum_dims=SPECTRUM, pitch_dims=PITCH)
    described = Description(plan, model.config.sample_rate, model.config.hop_length)
    fit(described, *heard(model, described, recordings(options.data, "train")))
    x, y = heard(model, described, recordings(options.data, "valid", 0.2))
    error = (x.float() - described.centre) @ described.basis - y.float()
    left = error.square().mean(dim=0) / y.float().var(dim=0)
    x, _ = heard(model, described, recordings(options.data, "train", corpora=(BULK,)))
    scale(described, x, torch.tensor(config.latent_mean), torch.tensor(config.latent_std))
    described.save(options.output, model.config.sample_rate)
    print(f"{options.output}: of each latent's variance unexplained on {len(y)} frames")
    print(" ".join(f"{value:.3f}" for value in left.tolist()))


if __name__ == "__main__":
    main()
