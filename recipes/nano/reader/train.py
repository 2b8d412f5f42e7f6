"""Trains the reader in three stages, on windows that `windows.py` made. Resumable.

    python train.py CONFIG.yaml RUN [--resume]

Stages (key `stage`): `stem` fits the front to Whisper's convolution stem, `features` fits the
output of the (frozen) layers to Whisper's encoder output, `text` trains everything on texts.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional as F
from whisper import WINDOW, Stem, read_weights, reader_from_whisper

from mingtok_audio import MingTok
from uniaudio_lm.parts.recognizers.network import key_mask


@dataclass(frozen=True)
class Settings:
    """One stage. Lengths in frames of 20 ms."""

    stage: str
    minutes: float
    windows: str
    whisper: str
    start: str = ""
    pieces: str = ""
    padded: bool = False
    longest_text: int = 200
    rate_front: float = 1e-3
    rate_encoder: float = 0.0
    rate_decoder: float = 0.0
    batch_frames: int = 3000
    channel_weight: float = 0.3
    jitter: float = 0.05
    masks_per_second: float = 0.25
    mask_frames: int = 12
    whole: float = 0.5
    causal: float = 0.06
    chunks: tuple[int, int] = (15, 100)
    joined: float = 0.3
    smoothing: float = 0.05
    average: float = 0.998
    labels: str = ""
    floor: float = 0.03
    feature_share: float = 0.0
    feature_weight: float = 3.0
    real_share: float = 0.6
    seed: int = 0


class Windows:
    """The shards that are there; looks for new ones now and then."""

    def __init__(self, folder: Path, targets: bool, labels: dict[str, str]) -> None:
        self.folder, self.targets, self.labels = folder, targets, labels
        self.shards: dict[int, dict[str, NDArray[np.float16]]] = {}
        self.spans: list[tuple[int, int, float, float, str, str]] = []
        self.runs: dict[tuple[int, int], list[int]] = {}
        self.refresh()

    def refresh(self) -> None:
        for path in sorted(self.folder.glob("clips*.json")):
            number = int(path.stem[5:])
            has_targets = (self.folder / f"tgt{number}.npy").exists()
            if number in self.shards or (self.targets and not has_targets):
                continue
            self.shards[number] = {
                name: np.load(self.folder / f"{name}{number}.npy", mmap_mode="r")
                for name in ("lat", "tgt", "mel")
                if (self.folder / f"{name}{number}.npy").exists()
            }
            self.shards[number]["used"] = np.load(self.folder / f"used{number}.npy")
            for window, begin, end, text, source, name in json.loads(path.read_text()):
                said = self.labels.get(name, "\0") if text is None else text
                self.runs.setdefault((number, window), []).append(len(self.spans))
                self.spans.append((number, window, begin, end, said, source))


def checked_pieces(tokenizer: Tokenizer, text: str) -> list[int]:
    return tokenizer.encode(" " + text.strip()).ids if text.strip() else []


def silent_latents(tokenizer: str = "nano") -> Tensor:
    """A frame of the tokenizer's latents of digital silence, (latent_dim,)."""
    codec = MingTok.from_pretrained(tokenizer)
    with torch.no_grad():
        return codec.encode(np.zeros(3 * 16_000, np.float32), 16_000).values[0, 50:].mean(0)


class Trainer:
    def __init__(self, settings: Settings, folder: Path) -> None:
        torch.set_num_threads(1)
        torch.manual_seed(settings.seed)
        self.random = np.random.default_rng(settings.seed + 1)
        self.settings, self.folder = settings, folder
        whisper = Path(settings.whisper)
        self.tokenizer = Tokenizer.from_file(settings.pieces)
        self.reader = reader_from_whisper(whisper, self.tokenizer)
        labels = json.loads(Path(settings.labels).read_text()) if settings.labels else {}
        self.windows = Windows(Path(settings.windows), settings.stage != "text", labels)
        self.stem = Stem(read_weights(whisper / "model.bin")).eval()
        if settings.start:
            state = torch.load(settings.start)["reader"]
            if len(state["pieces.weight"]) != self.reader.config.vocab_size:  # another vocabulary
                state["pieces.weight"] = self.reader.pieces.weight.data
            state.setdefault("front.silence", silent_latents())
            self.reader.load_state_dict(state)
        else:
            self._start_front()
        groups = []
        for prefix, rate in (
            (("front.",), settings.rate_front),
            (("encoder",), settings.rate_encoder),
            (("decoder", "piece"), settings.rate_decoder),
        ):
            chosen = [p for n, p in self.reader.named_parameters() if n.startswith(prefix)]
            for parameter in chosen:
                parameter.requires_grad_(rate > 0)
            if rate > 0:
                for matrix in (True, False):
                    part = [p for p in chosen if (p.dim() > 1) == matrix]
                    groups.append({"params": part, "rate": rate, "weight_decay": 0.01 * matrix})
        self.parameters = [p for g in groups for p in g["params"]]
        self.optimizer = torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.98), foreach=True)
        self.mean = [p.detach().clone() for p in self.parameters]
        self.step, self.minutes, self.heard = 0, 0.0, 0.0

    def _start_front(self) -> None:
        shard = self.windows.shards[min(self.windows.shards)]
        latents = torch.from_numpy(shard["lat"][:, :1000].astype(np.float32)).flatten(0, 1)
        self.reader.front.mean.copy_(latents.mean(0))
        self.reader.front.std.copy_(latents.std(0) + 1e-4)
        self.reader.front.silence.copy_(silent_latents())
        with torch.no_grad():
            mel = torch.from_numpy(shard["mel"][:10].astype(np.float32))
            self.reader.front.out.bias.copy_(self.stem(mel).mean((0, 1)))

    # --- stages `stem` and `features` ---
    def _window_batches(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        while True:
            wanted = "mel" if self.settings.stage == "stem" else "tgt"
            shards = [s for s, arrays in self.windows.shards.items() if wanted in arrays]
            names = [(s, w) for s in shards for w in range(50) if (s, w) != (0, 0)]
            for group in self.random.permutation(len(names))[: len(names) // 2 * 2].reshape(-1, 2):
                pairs = [names[i] for i in group]

                def load(key: str, pairs=pairs) -> torch.Tensor:
                    rows = [self.windows.shards[s][key][w] for s, w in pairs]
                    return torch.from_numpy(np.stack(rows).astype(np.float32))

                used = torch.tensor([int(self.windows.shards[s]["used"][w]) for s, w in pairs])
                if self.settings.stage == "stem":
                    with torch.no_grad():
                        target = self.stem(load("mel"))
                else:
                    target = load("tgt")
                yield load("lat"), target, used
                if self.random.random() < 0.05:
                    self.windows.refresh()
                    break

    def _fit_loss(self, latents: Tensor, target: Tensor, used: Tensor) -> tuple[Tensor, float]:
        latents = self._jittered(latents)
        with torch.autocast("cpu", torch.bfloat16):
            if self.settings.stage == "stem":
                normal = self.reader.front.normalize(latents)
                past = normal.new_zeros(len(latents), self.reader.front.back, normal.shape[2])
                full = torch.full((len(latents),), WINDOW)
                guess = self.reader.front(normal, full, None, past)
            else:
                guess = self.reader.encode(latents, None, self._drawn_chunk())
        error = (guess.float() - target).square()
        weight = torch.where(torch.arange(WINDOW) < used[:, None] + 25, 1.0, 0.1)[..., None]
        per_channel = (error * weight).sum((0, 1)) / weight.sum()
        variance = target.flatten(0, 1).var(0)
        plain = per_channel.sum() / variance.sum()
        relative = (per_channel / (variance + 0.03 * variance.mean())).mean()
        c = self.settings.channel_weight
        self.heard += float(used.sum()) / 3000
        return (1 - c) * plain + c * relative, float(plain)

    # --- stage `text` ---
    def _text_batches(self) -> Iterator[list[tuple[NDArray[np.float16], list[int]]]]:
        settings = self.settings
        while True:
            self.windows.refresh()
            spans = self.windows.spans
            real = [i for i, s in enumerate(spans) if s[4] != "\0" and "/" in s[5]]
            other = [i for i, s in enumerate(spans) if s[4] != "\0" and "/" not in s[5]]
            pool: list[tuple[int, NDArray[np.float16], list[int]]] = []
            while len(pool) < 400:
                group = real if self.random.random() < settings.real_share else other
                first = group[int(self.random.integers(len(group)))]
                number, window = spans[first][:2]
                run = self.windows.runs[number, window]
                last = first
                if self.random.random() < settings.joined:
                    more = int(self.random.integers(1, 8))
                    while last < run[-1] and more and spans[last + 1][4] != "\0":
                        last, more = last + 1, more - 1
                before = spans[first - 1][3] if first > run[0] else 0.0
                after = spans[last + 1][2] if last < run[-1] else float(WINDOW)
                begin = spans[first][2] - self.random.random() * min(25.0, spans[first][2] - before)
                finish = spans[last][3] + self.random.random() * min(40.0, after - spans[last][3])
                a, b = max(0, int(begin)), min(WINDOW, math.ceil(finish) + 1)
                text = " ".join(spans[i][4] for i in range(first, last + 1) if spans[i][4])
                pieces = checked_pieces(self.tokenizer, text)
                if b - a > 5 and len(pieces) < settings.longest_text:
                    pool.append((b - a, self.windows.shards[number]["lat"][window, a:b], pieces))
            if settings.padded:
                pool = [(WINDOW, *item[1:]) for item in pool]
            pool.sort(key=lambda item: item[0])
            batches, current = [], []
            for length, latents, pieces in pool:
                if current and (len(current) + 1) * length > settings.batch_frames:
                    batches.append(current)
                    current = []
                current.append((latents, pieces))
            batches.append(current)
            for index in self.random.permutation(len(batches)):
                yield batches[index]

    def _text_loss(
        self, items: list[tuple[NDArray[np.float16], list[int]]]
    ) -> tuple[Tensor, float]:
        settings, config = self.settings, self.reader.config
        lengths = torch.tensor([len(latents) for latents, _ in items])
        total = WINDOW if settings.padded else int(lengths.max())
        latents = self.reader.front.silence.repeat(len(items), total, 1)
        texts = torch.full((len(items), max(len(p) for _, p in items) + 3), -100)
        for i, (values, pieces) in enumerate(items):
            latents[i, : len(values)] = torch.from_numpy(values.astype(np.float32))
            marked = [config.start, config.no_times, *pieces, config.end]
            texts[i, : len(marked)] = torch.tensor(marked)
        latents = self._masked(self._jittered(latents), lengths)
        self.heard += float(lengths.sum()) / 3000
        if settings.padded:
            lengths = torch.full_like(lengths, total)
        chunk = self._drawn_chunk()
        with torch.autocast("cpu", torch.bfloat16):
            encoded = self.reader.encode(latents, lengths, chunk)
            memory = self.reader.memory(encoded)
            inputs = texts[:, :-1].clamp(min=0)
            scores, _ = self.reader.decode(inputs, memory, key_mask(lengths, total))
        wanted = texts[:, 1:].clone()
        wanted[:, 0] = -100
        loss = F.cross_entropy(
            scores.float().flatten(0, 1),
            wanted.flatten(),
            ignore_index=-100,
            label_smoothing=settings.smoothing,
        )
        return loss, float(loss)

    def _drawn_chunk(self) -> int | None:
        """Kind of attention of a batch: whole segment, causal, or a chunk between the limits."""
        settings, draw = self.settings, self.random.random()
        if draw <= settings.whole:
            return None
        if draw > 1 - settings.causal:
            return 1
        return int(self.random.integers(settings.chunks[0], settings.chunks[1] + 1))

    def _jittered(self, latents: Tensor) -> Tensor:
        return latents + self.settings.jitter * self.reader.front.std * torch.randn_like(latents)

    def _masked(self, latents: Tensor, lengths: Tensor) -> Tensor:
        for i, length in enumerate(lengths.tolist()):
            for _ in range(int(self.random.poisson(self.settings.masks_per_second * length / 50))):
                width = int(self.random.integers(1, self.settings.mask_frames + 1))
                at = int(self.random.integers(0, max(1, length - width)))
                latents[i, at : at + width] = self.reader.front.mean
        return latents

    def _rates(self, part: float) -> None:
        scale = min(1.0, (self.step + 1) / 60)
        floor = self.settings.floor
        scale *= floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(part, 1.0)))
        for group in self.optimizer.param_groups:
            group["lr"] = group["rate"] * scale

    def run(self) -> None:
        settings = self.settings
        windows = self._window_batches()
        texts = self._text_batches() if settings.stage == "text" else None
        last, recent, saved = time.process_time(), [], self.minutes
        self.reader.train()
        while self.minutes < settings.minutes:
            self._rates(self.minutes / settings.minutes)
            if texts is None:
                loss, shown = self._fit_loss(*next(windows))
            elif self.random.random() < settings.feature_share:
                loss = settings.feature_weight * self._fit_loss(*next(windows))[0]
                shown = recent[-1] if recent else 0.0
            else:
                loss, shown = self._text_loss(next(texts))
            self.optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(self.parameters, 1.0)
            self.optimizer.step()
            self.step += 1
            decay = min(settings.average, (self.step + 1) / (self.step + 10))
            torch._foreach_lerp_(self.mean, [p.detach() for p in self.parameters], 1 - decay)
            recent.append(shown)
            now = time.process_time()
            self.minutes, last = self.minutes + (now - last) / 60, now
            if self.step % 25 == 0:
                loss = f"loss {np.mean(recent[-25:]):.4f}"
                at = f"{self.minutes:.2f} CPU min, step {self.step}, {self.heard / 60:.1f} h"
                print(f"{at}, {len(self.windows.shards)} shards, {loss}", flush=True)
            if self.minutes - saved > 4:
                saved = self.minutes
                self.save()
        self.save()

    def save(self) -> None:
        averaged = dict(self.reader.state_dict())
        names = {id(p): n for n, p in self.reader.named_parameters()}
        for parameter, mean in zip(self.parameters, self.mean, strict=True):
            averaged[names[id(parameter)]] = mean
        content = {
            "reader": averaged,
            "raw": self.reader.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "mean": self.mean,
            "step": self.step,
            "minutes": self.minutes,
            "heard": self.heard,
        }
        target = self.folder / "last.pt"
        torch.save(content, target.with_suffix(".tmp"))
        target.with_suffix(".tmp").replace(target)

    def resume(self) -> None:
        content = torch.load(self.folder / "last.pt")
        self.reader.load_state_dict(content["raw"])
        self.optimizer.load_state_dict(content["optimizer"])
        self.mean = content["mean"]
        self.step, self.minutes, self.heard = content["step"], content["minutes"], content["heard"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--resume", action="store_true")
    arguments = parser.parse_args()
    values = yaml.safe_load(arguments.config.read_text())
    if "chunks" in values:
        values["chunks"] = tuple(values["chunks"])
    arguments.run.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(Settings(**values), arguments.run)
    if arguments.resume:
        trainer.resume()
    trainer.run()


if __name__ == "__main__":
    main()
