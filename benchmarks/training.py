"""Seconds of audio that the acoustic stage trains on in a second, and where a step's time goes.

    python benchmarks/training.py [--config recipes/nano/configs/decoder.yaml] [--threads 1]

The shipped tokenizer is trained, encoder and decoder, on noise of the configuration's crop length,
so no corpus is needed. Each part is measured alone, in turns; Muon by blocks is compared with Muon
on whole matrices, the attention that learns with the fused one, bfloat16 with float32.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from common import interleaved
from mingtok_audio.core.audio import save_audio
from mingtok_audio.modules.attention import attend
from mingtok_audio.trainer.loop import Trainer
from mingtok_audio.trainer.memory import keep_freed_memory
from mingtok_audio.trainer.optim import build_optimizers
from mingtok_audio.training.acoustic import AcousticConfig, AcousticTask
from mingtok_audio.training.manifests import Source
from mingtok_audio.training.run import load_config


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="recipes/nano/configs/decoder.yaml")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(options.threads)
    config = load_config(options.config)
    if not isinstance(config, AcousticConfig):
        raise SystemExit("the acoustic stage is measured")
    with tempfile.TemporaryDirectory() as folder:
        wav = 0.1 * np.random.default_rng(0).standard_normal(30 * 16000)
        save_audio(Path(folder) / "noise.wav", wav.astype(np.float32), 16000)
        manifest = Path(folder) / "manifest.jsonl"
        manifest.write_text(json.dumps({"audio": "noise.wav", "seconds": 30.0}) + "\n")
        data = dataclasses.replace(config.data, train=[Source(str(manifest), split=None)])
        changes = {"init": "nano", "description": None, "latents": "encoded", "train_encoder": True}
        task = AcousticTask(dataclasses.replace(config, data=data, model=None, **changes))
        trainer = Trainer(task, config.optim, config.trainer, folder)
        whole = build_optimizers(task.model, lr=0.0, muon_lr=0.0, muon_block=None)
        target = task.sampler.batch(0)
        output = (target + 0.01 * torch.randn_like(target)).requires_grad_()

        def network() -> None:
            latents = task.model.posterior_of(target).sample(trainer.generator)
            task.model.wav_of(latents).sum().backward()

        def network_as_trained() -> None:
            with trainer.accelerator.autocast():
                network()

        shape = task.model.config.decoder
        frames = target.shape[1] // task.model.config.hop_length
        heads = (len(target), shape.num_heads, frames, shape.head_dim)
        q, k, v = (torch.randn(heads).bfloat16().requires_grad_() for _ in range(3))

        def attention(function: Callable[..., torch.Tensor], **options: bool) -> None:
            function(q, k, v, **options).float().sum().backward()

        trainer.train_step()
        times = interleaved(
            {
                "step": trainer.train_step,
                "batch": lambda: task.sampler.batch(1),
                "network": network_as_trained,
                "network in float32": network,
                "attention": lambda: attention(attend, causal=True),
                "attention, fused": lambda: attention(
                    F.scaled_dot_product_attention, is_causal=True
                ),
                "mel loss": lambda: task.mel(output, target).backward(),
                "spectral loss": lambda: task.spectral(output, target).backward(),
                "muon by blocks": trainer.optimizers[-1].step,
                "muon whole": whole[-1].step,
                "average": trainer._average,
            },
            options.repeats,
        )
    seconds = config.data.crop_seconds * config.data.batch_size
    print(
        json.dumps(
            {
                "benchmark": "training",
                "threads": options.threads,
                "parameters": sum(p.numel() for p in task.model.parameters()),
                "audio_seconds_per_second": round(1e3 * seconds / times["step"], 2),
                "milliseconds": {k: round(v, 1) for k, v in times.items()},
            }
        )
    )


if __name__ == "__main__":
    main()
