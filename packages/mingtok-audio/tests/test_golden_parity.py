"""The published implementation's numbers, reproduced."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from mingtok_audio import parity
from mingtok_audio.core.errors import ConfigError, FormatError
from mingtok_audio.models.loading import check_names
from mingtok_audio.models.mingtok import MingTok
from mingtok_audio.models.reference import published_config

VARIANTS = {
    "io_fa2_window.safetensors": ["--window-keys", "9"],
    "io_fa2_window_layer2only.safetensors": ["--window-keys", "9", "--window-layers", "2"],
    "io_full_attention.safetensors": ["--full-attention"],
}


def check(folder: Path, *arguments: str) -> int:
    return parity.main([str(folder), "--check", *arguments])


def test_tokenizer_outputs_match(golden: Path, tmp_path: Path) -> None:
    folder, written = golden / "tokenizer", tmp_path / "out.safetensors"
    assert check(folder, "-o", str(written)) == 0
    computed, expected = load_file(written), load_file(folder / "io.safetensors")
    outputs = (
        "enc_out",
        "latent",
        "unified",
        "unified_five",
        "unified_odd",
        "dec_hidden",
        "decode_full",
        "wave",
        "frame_num",
        "head_out_first2",
    )
    wanted = {key for key in expected if key.rpartition(".")[2] in outputs}
    assert wanted <= computed.keys()


@pytest.mark.parametrize("file", VARIANTS)
def test_attention_windows_match(golden: Path, file: str) -> None:
    folder = golden / "tokenizer"
    assert check(folder, "--io", str(folder / file), *VARIANTS[file]) == 0


@pytest.mark.parametrize("file", VARIANTS)
def test_another_window_does_not_match(golden: Path, file: str) -> None:
    assert check(golden / "tokenizer", "--io", str(golden / "tokenizer" / file)) == 1


def test_pooling_outputs_match(golden: Path, tmp_path: Path) -> None:
    written = tmp_path / "out.safetensors"
    assert check(golden / "pooling", "-o", str(written)) == 0
    assert {"pool.out", "stop.logits", "merge2.out", "merge3.out", "merge.mask"} <= load_file(
        written
    ).keys()


def test_flash_attention_config_widens_the_window(golden: Path) -> None:
    config = json.loads((golden / "tokenizer" / "config.json").read_text())
    assert published_config(config).encoder.window == 8
    backbone = config["enc_kwargs"]["backbone"]
    backbone |= {"_attn_implementation": "flash_attention_2", "max_window_layers": 2}
    encoder = published_config(config).encoder
    assert (encoder.window, encoder.first_windowed_layer) == (9, 2)


def test_full_size_names_and_shapes_fit(golden: Path) -> None:
    names = json.loads((golden / "names" / "tokenizer_names.json").read_text())
    assumed = json.loads((golden / "names" / "assumed_config.json").read_text())
    config = published_config(assumed["audio_tokenizer_config"])
    with torch.device("meta"):
        model = MingTok(config)
    check_names(model, config, names)
    count = sum(p.numel() for p in model.parameters())
    # The published total less its unused parameters, plus our zero key biases.
    unused = 896 + 896 + 896 * 2 + 1280 * 896 + 896 + 1280
    assert count == 1_350_150_146 - unused + 32 * 1280 + 1280 - 1280

    with pytest.raises(FormatError, match=r"missing: encoder\.hidden_proj\.bias"):
        check_names(model, config, {k: v for k, v in names.items() if k != "encoder.fc2.bias"})
    with pytest.raises(FormatError, match="not part of this model: surplus"):
        check_names(model, config, {**names, "surplus.weight": [1]})
    with pytest.raises(FormatError, match=r"encoder\.fc1\.weight is \[3, 320\]"):
        check_names(model, config, {**names, "encoder.fc1.weight": [3, 320]})


def test_missing_config_value_is_asked_for_by_name(golden: Path) -> None:
    config = json.loads((golden / "tokenizer" / "config.json").read_text())
    del config["enc_kwargs"]["backbone"]["num_attention_heads"]
    with pytest.raises(ConfigError, match=r"enc_kwargs\.backbone\.num_attention_heads"):
        published_config(config)


def test_converted_and_sharded_models_compute_the_same(golden: Path, tmp_path: Path) -> None:
    published = MingTok.from_pretrained(golden / "tokenizer")
    converted = MingTok.from_pretrained(published.save_pretrained(tmp_path / "ours"))
    tensors = load_file(golden / "tokenizer" / "model.safetensors")
    sharded = tmp_path / "sharded"
    sharded.mkdir()
    names = sorted(tensors)
    shards = {
        "model-1-of-2.safetensors": names[: len(names) // 2],
        "model-2-of-2.safetensors": names[len(names) // 2 :],
    }
    for file, members in shards.items():
        save_file({name: tensors[name] for name in members}, sharded / file)
    index = {"weight_map": {name: file for file, members in shards.items() for name in members}}
    (sharded / "model.safetensors.index.json").write_text(json.dumps(index))
    (sharded / "config.json").write_text((golden / "tokenizer" / "config.json").read_text())
    wav = torch.randn(2, 5000, generator=torch.Generator().manual_seed(1)) * 0.1
    expected = published.encode(wav, 16000)
    for other in (converted, MingTok.from_pretrained(sharded)):
        assert torch.equal(other.encode(wav, 16000).values, expected.values)
        assert torch.equal(other.decode(expected), published.decode(expected))
        assert torch.equal(other.features(expected), published.features(expected))
