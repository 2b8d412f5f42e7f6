"""What the features know: a linear CTC probe on frozen representations of the same speech.

    python recipes/nano/evaluate/probe.py --model nano --data .data

One linear layer to characters, trained alike on unified features, raw latents and log-mel frames
(all at 50 Hz), and read greedily on sentences from documents that no training saw. Prints a table
and, as its last line, JSON. Issue 4 and the model card take their figures from here. A shorter
probe of features alone is enough to compare runs:

    python recipes/nano/evaluate/probe.py --model DIR --represent features \
        --corpora hibari asterisk-en --train 150 --test 60 --steps 300
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from audio_eval.text.align import count_errors
from mingtok_audio import MingTok
from mingtok_audio.core.runtime import set_threads
from mingtok_audio.training.losses import mel_filter_bank, stft
from mingtok_audio.training.manifests import Source, read_source

ALPHABET = " 'abcdefghijklmnopqrstuvwxyz"
_HOP, _N_FFT, _MELS = 320, 640, 80


@dataclass(frozen=True)
class Utterance:
    """Frames (L, D) and the characters said in them."""

    frames: Tensor
    labels: list[int]


def characters(text: str) -> list[int]:
    """Letters, apostrophes and single spaces, as classes from 1."""
    kept = "".join(c if c in ALPHABET else " " for c in text.lower().replace("\u2019", "'"))
    return [ALPHABET.index(c) + 1 for c in " ".join(kept.split())]


def log_mel(wav: Tensor) -> Tensor:
    """wav (T,) -> (L, M), a frame for each frame of the tokenizer."""
    power = stft(wav[None], _N_FFT, _HOP, torch.hann_window(_N_FFT)).abs() ** 2
    bank = mel_filter_bank(_MELS, _N_FFT, 16000)
    mel = (power[0].transpose(0, 1) @ bank).clamp_min(1e-8).log10()
    return mel[: -(-len(wav) // _HOP)]


def train_probe(
    train: Sequence[Utterance], steps: int, seed: int
) -> Callable[[Sequence[Utterance]], float]:
    """The best linear reading that `steps` updates find, as what gives its error rate."""
    torch.manual_seed(seed)
    stacked = torch.cat([u.frames for u in train])
    mean, std = stacked.mean(0), stacked.std(0).clamp_min(1e-5)
    layer = nn.Linear(stacked.shape[1], len(ALPHABET) + 1)
    optimizer = torch.optim.AdamW(layer.parameters(), lr=1e-2, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=steps)
    order = random.Random(seed)
    for _ in range(steps):
        batch = order.sample(train, 32)
        lengths = torch.tensor([len(u.frames) for u in batch])
        frames = nn.utils.rnn.pad_sequence([(u.frames - mean) / std for u in batch], True)
        logits = layer(frames).log_softmax(-1).transpose(0, 1)
        labels = torch.tensor([c for u in batch for c in u.labels])
        sizes = torch.tensor([len(u.labels) for u in batch])
        loss = F.ctc_loss(logits, labels, lengths, sizes, zero_infinity=True)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()

    @torch.no_grad()
    def error_rate(test: Sequence[Utterance]) -> float:
        errors = total = 0
        for u in test:
            path = layer((u.frames - mean) / std).argmax(-1).unique_consecutive()
            said = [str(c) for c in u.labels]
            errors += count_errors(said, [str(c) for c in path.tolist() if c]).errors
            total += len(said)
        return errors / total

    return error_rate


@torch.no_grad()
def utterances(
    sources: Sequence[Source], represent: dict[str, Callable[[Tensor], Tensor]], limit: int
) -> dict[str, list[Utterance]]:
    """The first `limit` English recordings of every source, in each representation."""
    out: dict[str, list[Utterance]] = {name: [] for name in represent}
    for source in sources:
        items = [r for r in read_source(source) if r.fields.get("language", "en")[:2] == "en"]
        random.Random(0).shuffle(items)
        for item in items[:limit]:
            labels = characters(item.text or "")
            wav = torch.from_numpy(item.load(16000))
            if not labels or 2 * len(labels) + 2 > len(wav) // _HOP:
                continue
            for name, function in represent.items():
                out[name].append(Utterance(function(wav), labels))
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--data", type=Path, default=Path(".data"))
    parser.add_argument("--represent", nargs="+", choices=("mel", "latents", "features"))
    parser.add_argument("--corpora", nargs="+", default=["hibari", "kokoro", "asterisk-en"])
    parser.add_argument("--train", type=int, default=1000, help="recordings of each source")
    parser.add_argument("--test", type=int, default=200, help="recordings of each source")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    set_threads(options.threads)
    tokenizer = MingTok.from_pretrained(options.model)
    represent: dict[str, Callable[[Tensor], Tensor]] = {
        "mel": log_mel,
        "latents": lambda wav: tokenizer.encode(wav, 16000).values[0],
    }
    if tokenizer.config.semantic is not None:
        represent["features"] = lambda wav: tokenizer.features(tokenizer.encode(wav, 16000))[0]
    represent = {k: v for k, v in represent.items() if k in (options.represent or represent)}
    if not represent:
        raise SystemExit(f"{options.model} has no semantic module, so it has no features")

    def sources(split: str, *names: str) -> list[Source]:
        return [Source(str(options.data / n / "manifest.jsonl"), split=split) for n in names]

    train = utterances(sources("train", *options.corpora), represent, options.train)
    tests = {
        "hibari, unseen texts": sources("test", "hibari"),
        "LibriVox and LibriSpeech": sources("test", "pocketsphinx", "librispeech"),
        "asterisk-en valid": sources("valid", "asterisk-en"),
    }
    found = {title: utterances(s, represent, options.test) for title, s in tests.items()}
    rows: dict[str, dict[str, float]] = {title: {} for title in tests}
    for name in represent:
        error_rate = train_probe(train[name], options.steps, 0)
        for title, test in found.items():
            rows[title][name] = round(100 * error_rate(test[name]), 1)
    any_of_them = next(iter(represent))
    for title, row in rows.items():
        count = len(found[title][any_of_them])
        print(f"{title} ({count} recordings): characters wrong, per cent: {row}")
    count = len(train[any_of_them])
    print(json.dumps({"model": options.model, "train": count, "cer_percent": rows}))


if __name__ == "__main__":
    main()
