"""Component weights that travel alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from mingtok_audio.core.errors import ConfigError, FormatError, HubError, PluginError
from mingtok_audio.core.models.components import (
    PinnedModel,
    load_component,
    read_component_config,
    save_component,
)
from mingtok_audio.core.plugins import PluginHost, SlotDef
from mingtok_audio.plugins import create_compressor, get_host, load_compressor

HERE, OTHER = PinnedModel("nano-v1", "a" * 64), PinnedModel("nano-v2", "b" * 64)
OPTIONS = {"in_dim": 12, "out_dim": 6, "patch_size": 3, "num_heads": 2}


def save(folder: Path, name: str = "cross_attention", **options: Any) -> torch.nn.Module:
    compressor = create_compressor(name, **(options or OPTIONS))
    save_component(
        folder, compressor, slot="compressor", name=name, trained_with={"tokenizer": HERE}
    )
    return compressor


def change(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    data = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({k: v for k, v in data.items() if v != "DROP"}))


def test_saved_and_loaded(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    compressor = save(folder)
    assert sorted(p.name for p in folder.iterdir()) == ["config.json", "model.safetensors"]
    assert json.loads((folder / "config.json").read_text()) == {
        "format_version": 1,
        "slot": "compressor",
        "name": "cross_attention",
        "api_version": 1,
        "options": OPTIONS,
        "trained_with": {"tokenizer": {"id": "nano-v1", "sha256": "a" * 64}},
    }
    loaded = load_compressor(folder, expected={"tokenizer": HERE})
    assert not loaded.training and loaded.patch_size == 3
    features = torch.randn(2, 8, 12)
    assert torch.equal(loaded(features)[0], compressor(features)[0])
    assert read_component_config(folder).trained_with == {"tokenizer": HERE}


def test_a_component_without_parameters_needs_no_weights(tmp_path: Path) -> None:
    save(tmp_path, "pooling", in_dim=4)
    assert [p.name for p in tmp_path.iterdir()] == ["config.json"]
    assert load_compressor(tmp_path).out_dim == 4
    save_file({"x": torch.zeros(1)}, tmp_path / "model.safetensors")
    with pytest.raises(PluginError, match=r"unknown: x"):
        load_compressor(tmp_path)


def test_trained_with_another_model(tmp_path: Path) -> None:
    save(tmp_path)
    with pytest.raises(
        PluginError, match=r"trained with the tokenizer nano-v1 .*nano-v2"
    ) as caught:
        load_compressor(tmp_path, expected={"tokenizer": OTHER})
    assert "aaaaaaaaaaaa…" in str(caught.value) and "bbbbbbbbbbbb…" in str(caught.value)
    load_compressor(tmp_path, expected={"backbone": OTHER})
    load_compressor(tmp_path)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"slot": "generation_head"}, PluginError, "is a generation_head, not a compressor"),
        ({"name": "nothing"}, PluginError, "no compressor 'nothing'"),
        ({"name": "os:system"}, PluginError, "no compressor 'os:system'"),
        ({"api_version": 2}, PluginError, "version 2 of the compressor interface"),
        ({"format_version": 2}, FormatError, "component format 2; this version reads 1"),
        ({"format_version": "1"}, ConfigError, "format_version: expected a whole number"),
        ({"target": "os:system"}, ConfigError, "target: unknown key"),
        ({"name": "DROP"}, ConfigError, "name: missing"),
        ({"options": [1]}, ConfigError, "options: expected a table"),
        ({"options": {**OPTIONS, "depth": 3}}, PluginError, "no option 'depth'"),
        ({"options": {"in_dim": "x"}}, PluginError, "in_dim must be a whole number"),
        ({"options": {**OPTIONS, "num_layers": 3}}, PluginError, r"missing: blocks\.2\."),
        ({"options": {**OPTIONS, "num_layers": 1}}, PluginError, r"unknown: blocks\.1\."),
        (
            {"options": {**OPTIONS, "out_dim": 8}},
            PluginError,
            r"wrong shapes: .*\(6,.*expected \(8",
        ),
        (
            {"trained_with": {"tokenizer": {"id": "x", "sha256": "zz"}}},
            ConfigError,
            "64 hexadecimal",
        ),
        ({"trained_with": {"tokenizer": "nano"}}, ConfigError, "expected a table"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(
    tmp_path: Path, changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    save(tmp_path)
    change(tmp_path, **changes)
    with pytest.raises(error, match=message) as caught:
        load_compressor(tmp_path)
    assert "\n" not in str(caught.value)


def test_weights_that_do_not_fit(tmp_path: Path) -> None:
    save(tmp_path)
    weights = tmp_path / "model.safetensors"
    state = load_file(weights)
    save_file({k: v for k, v in state.items() if k != "cls"} | {"odd": torch.ones(1)}, weights)
    with pytest.raises(PluginError, match=r"missing: cls; unknown: odd"):
        load_compressor(tmp_path)
    weights.write_bytes(weights.read_bytes()[:-3])
    with pytest.raises(FormatError, match=r"truncated"):
        load_compressor(tmp_path)
    weights.rename(tmp_path / "model.bin")
    with pytest.raises(HubError, match=r"can run code"):
        load_compressor(tmp_path)


def test_sources_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(HubError, match=r"no compressor component"):
        load_compressor(tmp_path / "missing")
    with pytest.raises(ConfigError, match=r"config.json: no such file"):
        load_compressor(tmp_path)


def test_saving_needs_the_options(tmp_path: Path) -> None:
    from mingtok_audio.compressors.pooling import PoolingCompressor

    plain = PoolingCompressor(4)
    with pytest.raises(PluginError, match=r"say which options"):
        save_component(tmp_path, plain, slot="compressor", name="pooling")
    save_component(tmp_path, plain, slot="compressor", name="pooling", options={"in_dim": 4})
    assert load_compressor(tmp_path).in_dim == 4
    (tmp_path / "file").touch()
    with pytest.raises(PluginError, match=r"cannot make the folder"):
        save_component(tmp_path / "file" / "x", plain, slot="s", name="n", options={})


def test_another_hosts_slot(tmp_path: Path) -> None:
    save(tmp_path)
    host = PluginHost("x", {"judge": SlotDef("a:B")}, "mingtok_audio.hookspecs", (), "x")
    with pytest.raises(PluginError, match=r"is a compressor, not a judge"):
        load_component(host, "judge", tmp_path)
    assert load_component(get_host(), "compressor", tmp_path)
