"""Nothing of Ming-omni-tts depends on the sizes of the known folders."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from omni_random import GOLDEN, add_lm_io, published_shapes, random_sizes, vae_folder, write_omni
from safetensors.torch import load_file

from mingtok_audio import parity as tokenizer_parity
from uniaudio_lm import parity


def test_the_folders_have_the_published_names() -> None:
    names = GOLDEN / "names"
    config = json.loads((names / "omni_0.5b_assumed_config.json").read_text())
    config["aggregator_config"].setdefault("mlp_ratio", 4.0)
    published = json.loads((names / "omni_0.5b_names.json").read_text())["names"]
    assert {name: list(shape) for name, shape in published_shapes(config).items()} == published


@pytest.mark.parametrize("seed", [2, 13, 15, 24])
def test_any_sizes_stream_as_they_decode(tmp_path: Path, seed: int) -> None:
    folder = add_lm_io(write_omni(tmp_path / "model", seed, **random_sizes(seed)), seed)
    alone = vae_folder(folder, tmp_path / "vae", seed)
    written = tmp_path / "out.safetensors"
    assert tokenizer_parity.main([str(alone), "-o", str(written)]) == 0
    out = load_file(written)
    for name in ("one", "mixed", "whole"):
        torch.testing.assert_close(
            out[f"a.stream_{name}.wave"], out["a.decode_full"], rtol=0, atol=1e-6
        )
    # The recorded inputs are enough: no key of an output tells what to compute.
    assert parity.main([str(folder), "-o", str(written)]) == 0
    out = load_file(written)
    for run in ("plain", "clone", "noisy", "named", "two"):
        wave, whole = out[f"{run}.wave"], out[f"{run}.wave_full"]
        torch.testing.assert_close(wave, whole[:, : wave.shape[1]], rtol=0, atol=1e-6)
        assert int(out[f"{run}.chunk_samples"].sum()) == wave.shape[1]
    assert out["clone.wave"].shape == out["clone.wave_full"].shape  # it stopped
    assert out["rewrite.generated_ids"].shape == (3,)
    assert all(bool(torch.isfinite(v).all()) for v in out.values() if v.is_floating_point())


def test_outputs_are_computed_from_the_inputs_alone(tmp_path: Path) -> None:
    """A folder whose io file holds no output gives every output all the same."""
    for kind, inputs in {
        "omni_head": ("z", "latent_history", "init_noise_bct", "step_noise", "x", "t", "c", "h",
                      "mask", "x0", "x1", "cond", "history"),
        "omni_speaker": ("waveform", "sample_rate"),
    }.items():  # fmt: skip
        folder = tmp_path / kind
        folder.mkdir()
        for file in (GOLDEN / kind).iterdir():
            if file.name != "io.safetensors":
                (folder / file.name).write_bytes(file.read_bytes())
        recorded = load_file(GOLDEN / kind / "io.safetensors")
        given = {k: v for k, v in recorded.items() if k.rpartition(".")[2] in inputs}
        from safetensors.torch import save_file

        save_file(given, folder / "io.safetensors")
        written = tmp_path / "out.safetensors"
        assert parity.main([str(folder), "-o", str(written)]) == 0
        assert recorded.keys() - given.keys() <= load_file(written).keys()
