"""The mean of a model's weights before and after it was trained on.

    python recipes/nano/tools/average.py BEFORE .runs/lm-more/model -o .runs/lm-average

Training on with other data gains what that data has and forgets some of what it lacks. Where one
model came from the other, the straight line between their weights is as good as its ends, and the
middle of it often keeps both (Wortsman et al., "Robust fine-tuning of zero-shot models", 2022).
Encoder and decoder of the tokenizer must be the same, but for rounding.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from uniaudio_lm.checkpoint.load import load_model
from uniaudio_lm.checkpoint.save import save_model
from uniaudio_lm.model.speech_lm import SpeechLM

ROUNDING = 0.02
"""Of a tensor's deviation."""
SHARED = ("tokenizer.encoder.", "tokenizer.decoder.", "tokenizer.latent_proj.")


@torch.no_grad()
def average(before: SpeechLM, after: SpeechLM, share: float) -> None:
    """Move `after` to (1 - share) before + share after."""
    old, new = before.state_dict(), after.state_dict()
    if old.keys() != new.keys() or any(old[name].shape != new[name].shape for name in new):
        raise SystemExit("the models are not built alike")
    for name, value in new.items():
        if not value.is_floating_point():
            continue
        if name.startswith(SHARED):
            error = (value.float() - old[name].float()).square().mean().sqrt()
            if float(error) > ROUNDING * float(old[name].float().square().mean().sqrt()):
                raise SystemExit(f"{name} differs: the tokenizers are two")
            continue
        value.lerp_(old[name].to(value), 1 - share)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("before", help="a model folder, or nano")
    parser.add_argument("after", type=Path)
    parser.add_argument("--share", type=float, default=0.5, help="of the second, 0 to 1")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    if not 0 <= options.share <= 1:
        parser.error("--share is from 0 to 1")
    before = load_model(options.before)
    after = load_model(options.after)
    average(before, after, options.share)
    print(save_model(after, options.output))


if __name__ == "__main__":
    main()
