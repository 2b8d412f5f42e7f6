"""Peak memory and time of loading a model in the published layout, against its size on disk.

    python benchmarks/lm_loading.py [--megabytes 500]

A random model of that size in four shards, each way of loading in a process of its own. "peak" is
the most memory that the process held (VmHWM), less what it held after its imports, divided by the
size of the weights as they are kept: 1 is the weights and nothing else. "usual" reads the same
files with safetensors' own reader, which the same code did before.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from common import report

GOLDEN = Path(__file__).resolve().parents[1] / "tests/data/golden/unified"
MODES = ("usual", "float32", "bfloat16", "disk", "int8")


def make_model(folder: Path, megabytes: float) -> int:
    """The golden model with experts wide enough for that size; returns the bytes."""
    config = json.loads((GOLDEN / "config.json").read_text())
    tensors = load_file(GOLDEN / "model.safetensors")
    llm = config["llm_config"]
    routed, shared = llm["num_experts"], llm["num_shared_experts"]
    row = 4 * 3 * llm["num_hidden_layers"] * (routed + shared) * llm["hidden_size"]
    wide = int(megabytes * 1e6) // row
    llm["moe_intermediate_size"] = wide
    for name, tensor in tensors.items():
        if ".mlp." not in name or "experts" not in name or not name.startswith("model."):
            continue
        width = wide * (shared if "shared" in name else 1)
        rows, columns = tensor.shape
        shape = (rows, width) if "down_proj" in name else (width, columns)
        tensors[name] = 0.02 * torch.randn(shape)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_bytes((GOLDEN / "tokenizer.json").read_bytes())
    table: dict[str, str] = {}
    names = sorted(tensors)
    for i in range(4):
        shard = f"model-{i + 1:05d}-of-00004.safetensors"
        part = names[i * len(names) // 4 : (i + 1) * len(names) // 4]
        save_file({name: tensors[name] for name in part}, folder / shard)
        table |= dict.fromkeys(part, shard)
    index = {"metadata": {}, "weight_map": table}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return sum(tensor.nbytes for tensor in tensors.values())


def held(key: str) -> float:
    """MB from /proc: VmHWM is the most so far, VmRSS what is held now."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) / 1000
    raise SystemExit("this benchmark reads /proc, which is not here")


def child(mode: str, folder: str) -> None:
    """Load once and print what it took."""
    from mingtok_audio.core.models.hub import load_tensors
    from uniaudio_lm.checkpoint import load as loading
    from uniaudio_lm.checkpoint.quantise import quantised_bytes
    from uniaudio_lm.engine import UniAudio

    UniAudio.from_pretrained(GOLDEN)  # imports what loading imports
    options: dict[str, Any] = {"dtype": mode if mode == "bfloat16" else None}
    if mode == "usual":
        loading.read_tensors = load_tensors
    if mode == "disk":
        options["device_map"] = {"backbone": "disk"}
    if mode == "int8":
        options["quantize"] = "int8"
        UniAudio.from_pretrained(GOLDEN, **options)
    before, start = held("VmRSS"), time.perf_counter()
    model = UniAudio.from_pretrained(folder, **options).model
    seconds = time.perf_counter() - start
    kept = quantised_bytes(model) / 1e6
    kept -= sum(p.nbytes for p in model.parameters() if p.is_meta) / 1e6
    row = {"peak_mb": held("VmHWM") - before, "kept_mb": kept, "seconds": seconds}
    print(json.dumps(row))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--megabytes", type=float, default=500)
    parser.add_argument("--modes", default=",".join(MODES))
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        return child(*options.child)
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        results["file_mb"] = make_model(Path(folder), options.megabytes) / 1e6
        for mode in options.modes.split(","):
            command = [sys.executable, __file__, "--child", mode, folder]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                results[f"{mode}_error"] = done.stderr.strip().splitlines()[-1]
                continue
            row = json.loads(done.stdout.splitlines()[-1])
            results |= {f"{mode}_{key}": value for key, value in row.items()}
            results[f"{mode}_peak_to_kept"] = row["peak_mb"] / max(1.0, row["kept_mb"])
    report("lm_loading", results)
    return None


if __name__ == "__main__":
    main()
