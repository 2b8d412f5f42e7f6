"""Builds what the phonemizer `english` ships: the pronunciation table, the letter-to-sound weights.

    python examples/english_phonemizer/build.py table --dictionary index.js
    python examples/english_phonemizer/build.py letters [--epochs 10] [--resume]
    python examples/english_phonemizer/build.py measure

`letters` leaves every 20th word (by a hash) out of training; `measure` reads those.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import re
import time
from itertools import pairwise
from pathlib import Path

import torch
from torch.nn import functional as F

from mingtok_audio.core.models.weights import save_tensors
from uniaudio_lm.parts.phonemizers.letters import (
    PHONEMES,
    SLOTS,
    LetterToSound,
    quantized,
    spell,
)
from uniaudio_lm.parts.phonemizers.table import (
    LETTERS_PATH,
    TABLE_PATH,
    load_letters,
    load_table,
    pack_table,
)

_ENTRY = re.compile(r'^\s+"?([a-z\']+)"?: "([^"#]+)', re.MULTILINE)


def read_dictionary(path: Path) -> dict[str, list[str]]:
    """Words of letters and apostrophes with their first pronunciation, from the npm package
    cmu-pronouncing-dictionary (index.js) or from a cmudict.dict."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".js":
        found = _ENTRY.findall(text)
    else:
        lines = (line.partition("#")[0].split(maxsplit=1) for line in text.splitlines())
        found = [(line[0], line[1]) for line in lines if len(line) == 2]
    out = {}
    for word, phonemes in found:
        if re.fullmatch(r"[a-z']*[a-z][a-z']*", word):
            symbols = phonemes.split()
            unknown = set(symbols) - set(PHONEMES)
            if unknown:
                raise SystemExit(f"{path}: {word} has the unknown phonemes {sorted(unknown)}")
            out.setdefault(word, symbols)
    if not out:
        raise SystemExit(f"{path} holds no entries of the pronouncing dictionary")
    return out


def is_held_out(word: str) -> bool:
    """Whether a word is kept from training: one of 20, whoever builds."""
    return hashlib.sha256(word.encode()).digest()[0] % 20 == 0


def train_letters(epochs: int, resume: bool, seed: int = 0) -> None:
    """Train the network on the table's words, and write its weights after every epoch.

    `resume` goes on from the shipped weights, at half the rate.
    """
    torch.manual_seed(seed)
    table = load_table()
    index = {symbol: i + 1 for i, symbol in enumerate(PHONEMES)}
    items = [
        (word, [index[p] for p in phonemes])
        for word, phonemes in table.items()
        if not is_held_out(word) and _fits(word, phonemes)
    ]
    items.sort(key=lambda item: len(item[0]))
    batches = [items[i : i + 256] for i in range(0, len(items), 256)]
    model = LetterToSound(dropout=0.1).train()
    if resume:
        model.load_state_dict(load_letters().state_dict())
    peak = 2e-3 if resume else 4e-3
    optimizer = torch.optim.AdamW(model.parameters(), lr=peak, weight_decay=0.01)
    total, step, started = epochs * len(batches), 0, time.monotonic()
    for epoch in range(epochs):
        summed = 0.0
        for number in torch.randperm(len(batches)).tolist():
            batch = batches[number]
            rate = min(1.0, (step + 1) / 300) * 0.5 * (1 + math.cos(math.pi * step / total))
            for group in optimizer.param_groups:
                group["lr"] = peak * rate
            words = [word for word, _ in batch]
            targets = torch.cat([torch.tensor(symbols) for _, symbols in batch])
            loss = F.ctc_loss(
                model(spell(words)).transpose(0, 1),  # (T, B, V)
                targets,
                torch.tensor([SLOTS * len(word) for word in words]),
                torch.tensor([len(symbols) for _, symbols in batch]),
                zero_infinity=True,
            )
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            summed += float(loss.detach())
            step += 1
        seconds = time.monotonic() - started
        print(f"epoch {epoch + 1}: loss {summed / len(batches):.4f}, {seconds:.0f} s", flush=True)
        save_tensors(LETTERS_PATH, quantized(model.state_dict()), {"format": "pt"})
    measure()


def _fits(word: str, phonemes: list[str]) -> bool:
    repeats = sum(a == b for a, b in pairwise(phonemes))
    return len(phonemes) + repeats <= SLOTS * len(word)


def measure() -> None:
    """Print the error rates on the words that were held out, by the shipped weights."""
    model = load_letters()
    words = {w: p for w, p in load_table().items() if is_held_out(w)}
    names = sorted(words)
    read: list[list[str]] = []
    for first in range(0, len(names), 512):
        read += model.read(names[first : first + 512])
    errors = plain_errors = count = right = plain_right = 0
    for name, found in zip(names, read, strict=True):
        wanted = words[name]
        distance = edit_distance(found, wanted)
        plain = edit_distance([p.rstrip("012") for p in found], [p.rstrip("012") for p in wanted])
        errors, plain_errors, count = errors + distance, plain_errors + plain, count + len(wanted)
        right, plain_right = right + (distance == 0), plain_right + (plain == 0)
    print(
        json.dumps(
            {
                "held_out_words": len(names),
                "phoneme_error_percent": round(100 * plain_errors / count, 2),
                "words_wrong_percent": round(100 * (1 - plain_right / len(names)), 2),
                "with_stress": {
                    "phoneme_error_percent": round(100 * errors / count, 2),
                    "words_wrong_percent": round(100 * (1 - right / len(names)), 2),
                },
                "bytes": {
                    "table": TABLE_PATH.stat().st_size,
                    "letters": LETTERS_PATH.stat().st_size,
                },
            }
        )
    )


def edit_distance(a: list[str], b: list[str]) -> int:
    """Insertions, deletions and substitutions from `a` to `b`."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (x != y))
    return row[-1]


def main() -> None:
    """Run one of the three commands."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=["table", "letters", "measure"])
    parser.add_argument("--dictionary", type=Path)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--resume", action="store_true")
    options = parser.parse_args()
    if options.command == "table":
        if options.dictionary is None:
            parser.error("table needs --dictionary")
        table = read_dictionary(options.dictionary)
        TABLE_PATH.write_bytes(pack_table(table))
        print(f"{len(table)} words, {TABLE_PATH.stat().st_size} bytes: {TABLE_PATH}")
    elif options.command == "letters":
        train_letters(options.epochs, options.resume)
    else:
        measure()


if __name__ == "__main__":
    main()
