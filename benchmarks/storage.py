"""What the storages of `.mtok` files cost and lose. The last line is one JSON object.

    python benchmarks/storage.py [--model nano] [AUDIO...]

Per storage: bytes per second of audio, the signal-to-noise ratio of the latents that come back, and
that of the waveform decoded from them against the waveform decoded from the exact latents. The mean
is over files, in dB (higher is better).
"""

from __future__ import annotations

import argparse
import math
import tempfile
from pathlib import Path

import torch

from common import report
from mingtok_audio import Latents, MingTok, load_audio
from mingtok_audio.mtok import STORAGES

EXAMPLES = Path(__file__).resolve().parents[1] / "examples" / "data"


def snr_db(exact: torch.Tensor, found: torch.Tensor) -> float:
    """10 log10(signal energy / error energy); infinite where there is no error."""
    error = (found - exact).double().square().sum().item()
    return math.inf if error == 0 else 10 * math.log10(exact.double().square().sum().item() / error)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("audio", nargs="*", type=Path)
    parser.add_argument("--model", default="nano")
    options = parser.parse_args()
    files = options.audio or sorted(p for p in EXAMPLES.iterdir() if p.suffix in (".wav", ".flac"))
    tokenizer = MingTok.from_pretrained(options.model)
    sizes = dict.fromkeys(STORAGES, 0)
    latent_snr: dict[str, list[float]] = {storage: [] for storage in STORAGES}
    wav_snr: dict[str, list[float]] = {storage: [] for storage in STORAGES}
    seconds = 0.0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.mtok"
        for file in files:
            exact = tokenizer.encode(*load_audio(file))
            wav = tokenizer.decode(exact)
            seconds += exact.seconds.sum().item()
            for storage in STORAGES:
                exact.save(path, storage)
                sizes[storage] += path.stat().st_size
                found = Latents.load(path)
                latent_snr[storage].append(snr_db(exact.values, found.values))
                wav_snr[storage].append(snr_db(wav, tokenizer.decode(found)))
    results: dict[str, object] = {
        "model": tokenizer.model_id,
        "latent_dim": tokenizer.config.latent_dim,
        "files": len(files),
        "audio_seconds": seconds,
    }
    for storage in STORAGES:
        results[f"{storage}_bytes_per_second"] = sizes[storage] / seconds
        if storage != "float32":
            results[f"{storage}_latent_snr_db"] = sum(latent_snr[storage]) / len(files)
            results[f"{storage}_wav_snr_db"] = sum(wav_snr[storage]) / len(files)
    report("storage", results)


if __name__ == "__main__":
    main()
