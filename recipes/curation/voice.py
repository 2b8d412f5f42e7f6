"""Make `mingtok_audio/curation/voice.npz`: the projection of the small speaker embedding.

    python recipes/curation/voice.py MANIFEST.jsonl -o voice.npz

MANIFEST holds `audio`, `seconds`, `speaker` a line. Speakers with few recordings are left out;
every tenth speaker is held out and gives the equal error rate that is printed.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path

import numpy as np

from mingtok_audio.core.audio import load_audio
from mingtok_audio.core.errors import UserError
from mingtok_audio.curation.voice import RATE, statistics

PIECE = 1.5  # seconds


def pieces(manifest: Path, most: int, least: int) -> dict[str, np.ndarray]:
    """Statistics (n, D) of up to `most` pieces of each speaker."""
    files = defaultdict(list)
    for line in manifest.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row.get("speaker"):
            files[f"{row.get('corpus')}/{row['speaker']}"].append(row["audio"])
    found: dict[str, np.ndarray] = {}
    for speaker, names in sorted(files.items()):
        vectors = []
        rng = np.random.default_rng(0)
        order = rng.permutation(len(names))
        for i in order:
            try:
                wav, _ = load_audio(manifest.parent / names[i], sample_rate=RATE)
            except UserError:
                continue
            size = round(PIECE * RATE)
            for at in range(0, len(wav) - size // 2, size):
                part = wav[at : at + size]
                if np.abs(part).max() > 1e-3:
                    vectors += [statistics(part), statistics(elsewhere(part, rng))]
            if len(vectors) >= most:
                break
        if len(vectors) >= least:
            found[speaker] = np.stack(vectors[:most])
    return found


def elsewhere(wav: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The same voice (T,) by another microphone: tilted, and with noise."""
    tilt = rng.uniform(-0.6, 0.6)
    out = wav.copy()
    out[1:] += np.float32(tilt) * wav[:-1]
    level = float(np.sqrt(np.mean(np.square(out)))) * 10 ** (-rng.uniform(15, 40) / 20)
    return (out + rng.normal(0, level, len(out))).astype(np.float32)


def discriminant(
    groups: list[np.ndarray], corpora: list[str], size: int
) -> tuple[np.ndarray, np.ndarray]:
    """The mean (D,) and the map (size, D) under which the scatter within speakers is the unit.

    How corpora differ (rooms, microphones) counts as scatter within speakers.
    """
    everything = np.concatenate(groups)
    mean = everything.mean(axis=0)
    within = sum((g - g.mean(0)).T @ (g - g.mean(0)) for g in groups) / len(everything)
    centres = np.stack([g.mean(0) - mean for g in groups])
    rooms = np.stack([centres[[c == d for d in corpora]].mean(axis=0) for c in corpora])
    within += rooms.T @ rooms / len(rooms)
    between = (centres - rooms).T @ (centres - rooms) / len(centres)
    within += np.eye(len(within)) * 1e-3 * np.trace(within) / len(within)
    values, vectors = np.linalg.eigh(within)
    white = vectors / np.sqrt(values)
    values, vectors = np.linalg.eigh(white.T @ between @ white)
    # Directions count by how far they tell speakers apart.
    weight = np.sqrt(values[::-1][:size] / (1 + values[::-1][:size]))
    return mean, (white @ vectors[:, ::-1][:, :size] * weight).T


def error_rate(groups: list[np.ndarray], mean: np.ndarray, matrix: np.ndarray) -> float:
    """Where as many pairs of one speaker are refused as pairs of two are taken."""
    rng = np.random.default_rng(1)
    vectors = [(g - mean) @ matrix.T for g in groups]
    vectors = [v / np.linalg.norm(v, axis=1, keepdims=True) for v in vectors]
    same, other = [], []
    for i, v in enumerate(vectors):
        for _ in range(60):
            a, b = rng.choice(len(v), 2, replace=False)
            same.append(v[a] @ v[b])
            j = int(rng.integers(len(vectors)))
            if j != i:
                other.append(v[a] @ vectors[j][rng.integers(len(vectors[j]))])
    same, other = np.sort(same), np.sort(other)
    limits = np.linspace(-1, 1, 2001)
    missed = np.searchsorted(same, limits) / len(same)
    taken = 1 - np.searchsorted(other, limits) / len(other)
    place = int(np.abs(missed - taken).argmin())
    print(f"threshold {limits[place]:.3f}")
    return float((missed[place] + taken[place]) / 2)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("manifest", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--most", type=int, default=24)
    args = parser.parse_args()
    found = pieces(args.manifest, args.most, 8)
    names = sorted(found)
    held = set(names[::10])
    known = [n for n in names if n not in held]
    train = [found[n] for n in known]
    test = [found[n] for n in names if n in held]
    mean, matrix = discriminant(train, [n.rpartition("/")[0] for n in known], args.size)
    print(f"{len(train)} speakers, held out {len(test)}")
    print(f"equal error rate {100 * error_rate(test, mean, matrix):.1f} % on {PIECE} s")
    np.savez(args.output, mean=mean.astype(np.float32), map=matrix.astype(np.float16))


if __name__ == "__main__":
    main()
