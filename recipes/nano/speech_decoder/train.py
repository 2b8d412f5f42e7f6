"""Train a decoder that turns described latents into speech; it resumes from its last checkpoint.

    python train.py cache.npz --out RUN --minutes 60
    python train.py cache.npz --out RUN2 --start RUN/last.pt --adversary --minutes 40

The decoder has the shape of the nano's own and starts from its weights; the projection keeps the
columns of the described dimensions. Losses: log-mel and compressed magnitudes (no phase: it cannot
be predicted from the description), and with `--adversary` three discriminators of complex
spectrograms with a small weight. `--minutes` counts CPU time of this process.

Axes: B batch, L frames, T samples.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

from mingtok_audio import MingTok
from mingtok_audio.trainer.optim import build_optimizers
from mingtok_audio.training.losses import CompressedSpectralLoss, MultiScaleMelLoss

HOP, DESCRIBED, CROP = 320, 26, 60


class SpeechDecoder(nn.Module):
    """Described latents (B, L, 26) to the waveform (B, L * 320)."""

    def __init__(self) -> None:
        super().__init__()
        nano = MingTok.from_pretrained("nano")
        self.proj = nn.Linear(DESCRIBED, nano.config.decoder.dim)
        with torch.no_grad():
            self.proj.weight.copy_(nano.latent_proj.weight[:, :DESCRIBED])
            self.proj.bias.copy_(nano.latent_proj.bias)
        self.decoder = nano.decoder
        self.requires_grad_(True)

    def forward(self, described: Tensor) -> Tensor:
        return self.decoder(self.proj(described))


class SpectrogramDiscriminator(nn.Module):
    """Patch scores and inner maps of a power-compressed complex spectrogram."""

    def __init__(self, n_fft: int, channels: int) -> None:
        super().__init__()
        self.n_fft = n_fft
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)
        c = channels
        shapes = [(2, c, (7, 3)), (c, c, (5, 3)), (c, 2 * c, (5, 3)), (2 * c, 2 * c, (3, 3))]
        self.layers = nn.ModuleList(
            weight_norm(nn.Conv2d(i, o, k, (2, 1), (k[0] // 2, 1))) for i, o, k in shapes
        )
        self.last = weight_norm(nn.Conv2d(2 * c, 1, 3, 1, 1))

    def forward(self, wav: Tensor) -> tuple[Tensor, list[Tensor]]:
        n = self.n_fft
        spectrum = torch.stft(wav, n, n // 4, window=self.window, return_complex=True)
        y = torch.view_as_real(spectrum).movedim(-1, 1) * n**-0.5
        y = y * 2 * (y.square().sum(1, keepdim=True) + 1e-6).sqrt() ** (0.3 - 1)
        maps = []
        with torch.autocast("cpu", torch.bfloat16):
            for layer in self.layers:
                y = F.leaky_relu(layer(y), 0.1)
                maps.append(y)
            y = self.last(y)
        return y.float(), maps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cache", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--start", type=Path)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--batch", type=int, default=12)
    parser.add_argument("--lr", type=float, default=3e-4)
    parser.add_argument("--muon", type=float, default=2e-3)
    parser.add_argument("--decay", type=float, default=0.6, help="share of the run, at its end")
    parser.add_argument("--adversary", action="store_true")
    parser.add_argument("--adversarial-weight", type=float, default=0.1)
    parser.add_argument("--matching-weight", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    args.out.mkdir(parents=True, exist_ok=True)

    data = np.load(args.cache)
    lengths, wavs, latents = data["len"], data["wav"], data["lat"]
    starts = np.concatenate([[0], np.cumsum(lengths)])
    share = lengths / lengths.sum()

    model = SpeechDecoder()
    if args.start:
        model.load_state_dict(torch.load(args.start)["model"])
    optimizers = build_optimizers(model, lr=args.lr, muon_lr=args.muon, muon_block=64)
    mel = MultiScaleMelLoss(16000, (256, 512, 1024), (40, 64, 80), floor=1e-2)
    magnitude = CompressedSpectralLoss((320, 1024), power=0.4, phase=0.0)
    judges = nn.ModuleList(SpectrogramDiscriminator(n, 16) for n in (256, 512, 1024))
    judging = torch.optim.AdamW(judges.parameters(), 3e-4, betas=(0.8, 0.99))

    spent, step, begun = 0.0, 0, time.process_time()
    last = args.out / "last.pt"
    if last.exists():
        state = torch.load(last, weights_only=False)
        model.load_state_dict(state["model"])
        judges.load_state_dict(state["judges"])
        judging.load_state_dict(state["judging"])
        for o, s in zip(optimizers, state["optimizers"], strict=True):
            o.load_state_dict(s)
        spent, step, rng = state["spent"], state["step"], state["rng"]

    def save() -> None:
        torch.save(
            {
                "model": model.state_dict(),
                "judges": judges.state_dict(),
                "judging": judging.state_dict(),
                "optimizers": [o.state_dict() for o in optimizers],
                "spent": spent,
                "step": step,
                "rng": rng,
            },
            last.with_suffix(".tmp"),
        )
        last.with_suffix(".tmp").replace(last)

    log: dict[str, list[float]] = {}
    saved = spent
    while spent < args.minutes * 60:
        progress = spent / (args.minutes * 60)
        factor = min(1.0, (step + 1) / 30) * min(1.0, (1 - progress) / args.decay)
        for o in optimizers:
            for group in o.param_groups:
                group["lr"] = group["peak_lr"] * max(factor, 1e-3)
        chosen = rng.choice(len(lengths), args.batch, p=share)
        at = [starts[i] + rng.integers(0, lengths[i] - CROP) for i in chosen]
        wav = np.stack([wavs[s * HOP : (s + CROP) * HOP] for s in at]).astype(np.float32)
        described = np.stack([latents[s : s + CROP] for s in at]).astype(np.float32)
        target, x = torch.from_numpy(wav), torch.from_numpy(described)
        x = x + torch.randn_like(x) * 0.15 * torch.rand(args.batch, 1, 1)
        with torch.autocast("cpu", torch.bfloat16):
            y = model(x)
        y = y.float()
        parts = {"mel": mel(y, target), "magnitude": magnitude(y, target)}
        loss = 4 * parts["mel"] + 15 * parts["magnitude"]
        if args.adversary:
            cut = int(rng.integers(0, (CROP - 32) * HOP))
            fake, real = y[:8, cut : cut + 32 * HOP], target[:8, cut : cut + 32 * HOP]
            scored = [(d(real), d(fake.detach())) for d in judges]
            losses = [F.relu(1 - r[0]).mean() + F.relu(1 + f[0]).mean() for r, f in scored]
            parts["judges"] = torch.stack(losses).mean()
            judging.zero_grad()
            parts["judges"].backward()
            judging.step()
            weight = min(1.0, max(0.0, (progress - 0.05) / 0.1))
            if weight > 0:
                judges.requires_grad_(False)
                now = [d(fake) for d in judges]
                judges.requires_grad_(True)
                parts["fooling"] = torch.stack([F.relu(1 - s).mean() for s, _ in now]).mean()
                parts["matching"] = torch.stack(
                    [
                        F.l1_loss(q.float(), r.float()) / r.float().abs().mean()
                        for (real_pair, _), (_, maps) in zip(scored, now, strict=True)
                        for r, q in zip([m.detach() for m in real_pair[1]], maps, strict=True)
                    ]
                ).mean()
                loss = loss + weight * (
                    args.adversarial_weight * parts["fooling"]
                    + args.matching_weight * parts["matching"]
                )
        for o in optimizers:
            o.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 3.0)
        for o in optimizers:
            o.step()
        step += 1
        for name, value in parts.items():
            log.setdefault(name, []).append(float(value.detach()))
        now_spent = spent + time.process_time() - begun
        begun, spent = time.process_time(), now_spent
        if step % 100 == 0:
            means = {k: round(float(np.mean(v[-100:])), 4) for k, v in log.items()}
            print(json.dumps({"step": step, "minutes": round(spent / 60, 2), **means}), flush=True)
            if not all(map(math.isfinite, means.values())):
                raise SystemExit("the loss is not finite")
        if spent - saved > 300:
            saved = spent
            save()
    save()


if __name__ == "__main__":
    main()
