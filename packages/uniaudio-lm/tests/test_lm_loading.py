"""Model folders: shards that are wrong, configs with gaps, conversion, memory, `info`."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from mingtok_audio.core.errors import ConfigError, FormatError, HubError, UserError
from mingtok_audio.core.models.components import PinnedModel, save_component
from mingtok_audio.core.models.hub import INDEX_NAME, sha256_of_weights
from uniaudio_lm import UniAudio
from uniaudio_lm.checkpoint.describe import describe
from uniaudio_lm.checkpoint.read import backbone_pin, read_tensors
from uniaudio_lm.commands.convert import convert

GOLDEN = Path(__file__).resolve().parents[3] / "tests" / "data" / "golden" / "unified"


def sharded(folder: Path, config: dict | None = None) -> Path:
    """The golden model in three shards, laid out as hubs have large models."""
    folder.mkdir()
    shutil.copy(GOLDEN / "tokenizer.json", folder)
    given = json.loads((GOLDEN / "config.json").read_text()) if config is None else config
    (folder / "config.json").write_text(json.dumps(given))
    tensors = load_file(GOLDEN / "model.safetensors")
    table = {}
    for i, part in enumerate((sorted(tensors)[k::3] for k in range(3)), 1):
        shard = f"model-{i:05d}-of-00003.safetensors"
        save_file({name: tensors[name] for name in part}, folder / shard)
        table |= dict.fromkeys(part, shard)
    (folder / INDEX_NAME).write_text(json.dumps({"metadata": {}, "weight_map": table}))
    return folder


def uniaudio(*args: object) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "uniaudio_lm.cli", *map(str, args)], capture_output=True, text=True
    )


def test_shards_in_any_order_give_the_same_model(tmp_path: Path) -> None:
    whole = UniAudio.from_pretrained(GOLDEN)
    parts = UniAudio.from_pretrained(sharded(tmp_path / "shards"))
    wanted, found = whole.model.state_dict(), parts.model.state_dict()
    assert wanted.keys() == found.keys()
    assert all(torch.equal(wanted[name], found[name]) for name in wanted)


def _lose(folder: Path) -> None:
    (folder / "model-00002-of-00003.safetensors").unlink()


def _cut(folder: Path) -> None:
    shard = folder / "model-00002-of-00003.safetensors"
    shard.write_bytes(shard.read_bytes()[:-100])


def _index(change):
    def apply(folder: Path) -> None:
        index = json.loads((folder / INDEX_NAME).read_text())
        name = sorted(index["weight_map"])[0]
        (folder / INDEX_NAME).write_text(change(json.dumps(index), name, index))

    return apply


def _moved(shard: str):
    def change(text: str, name: str, index: dict) -> str:
        index["weight_map"][name] = shard
        return json.dumps(index)

    return _index(change)


def _twice_in_files(folder: Path) -> None:
    first, second = (folder / f"model-0000{i}-of-00003.safetensors" for i in (1, 2))
    tensors = load_file(second)
    name = sorted(load_file(first))[0]
    save_file({**tensors, name: load_file(first)[name] + 1}, second)


def _link(folder: Path) -> None:
    shard = folder / "model-00002-of-00003.safetensors"
    outside = folder.parent / "outside.safetensors"
    shutil.move(shard, outside)
    shard.symlink_to(outside)


BROKEN = {
    "missing": (_lose, "model-00002-of-00003.safetensors, which is not in the folder"),
    "truncated": (_cut, "truncated"),
    "named twice": (
        _index(lambda text, name, _: text.replace("{", '{"weight_map": {},', 1)),
        "'weight_map' appears twice",
    ),
    "tensor named twice": (
        _index(
            lambda text, name, _: text.replace(f'"{name}"', f'"{name}": "x.safetensors", "{name}"')
        ),
        "appears twice",
    ),
    "in two shards": (_twice_in_files, "both have the tensor"),
    "outside": (_moved("../other.safetensors"), "plain .safetensors file name"),
    "absolute": (_moved("/etc/x.safetensors"), "plain .safetensors file name"),
    "wrong shard": (_moved("model-00003-of-00003.safetensors"), "that the index puts there"),
    "link": (_link, "is a link"),
    "no map": (_index(lambda *_: "{}"), "no weight_map"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_shards_are_one_line(tmp_path: Path, case: str) -> None:
    breaks, match = BROKEN[case]
    folder = sharded(tmp_path / "model")
    breaks(folder)
    with pytest.raises((HubError, FormatError, ConfigError), match=match) as caught:
        UniAudio.from_pretrained(folder)
    assert "\n" not in str(caught.value) and "model" in str(caught.value)


def test_broken_shards_end_a_command_with_2(tmp_path: Path) -> None:
    folder = sharded(tmp_path / "model")
    _lose(folder)
    for command in (
        ("tts", "hello", "-o", tmp_path / "out.wav", "-m", folder),
        ("info", folder),
    ):
        done = uniaudio(*command)
        assert done.returncode == 2 and not done.stdout
        assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
        assert "model-00002-of-00003.safetensors" in done.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model"]


def _without(section: str, *keys: str) -> dict:
    config = json.loads((GOLDEN / "config.json").read_text())
    for key in keys:
        del config[section][key]
    return config


def test_what_the_weights_show_need_not_be_said(tmp_path: Path) -> None:
    shown = (
        "vocab_size", "hidden_size", "num_hidden_layers", "num_experts", "moe_intermediate_size",
        "num_shared_experts", "multi_gate", "tie_word_embeddings", "use_qkv_bias", "head_dim",
    )  # fmt: skip
    config = _without("llm_config", *shown)
    config["ditar_config"] = {"num_heads": 4}
    loaded = UniAudio.from_pretrained(sharded(tmp_path / "model", config))
    assert loaded.config.backbone == UniAudio.from_pretrained(GOLDEN).config.backbone
    assert loaded.config.generation_head.options["depth"] == 3


@pytest.mark.parametrize(
    ("section", "key", "likely"),
    [
        ("llm_config", "num_attention_heads", "16"),
        ("llm_config", "num_key_value_heads", "4"),
        ("llm_config", "num_experts_per_tok", "6"),
        ("llm_config", "norm_topk_prob", "true"),
        ("ditar_config", "num_heads", "16"),
    ],
)
def test_what_the_weights_cannot_show_is_asked_for(
    tmp_path: Path, section: str, key: str, likely: str
) -> None:
    folder = sharded(tmp_path / "model", _without(section, key))
    with pytest.raises(ConfigError, match=rf"{section}\.{key}.*likely {likely} in the 16.8 B"):
        UniAudio.from_pretrained(folder)


@pytest.mark.parametrize(
    ("key", "assumed"),
    [("rope_theta", "600000.0"), ("rms_norm_eps", "1e-05"), ("norm_head", "false")],
)
def test_what_is_assumed_is_printed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, key: str, assumed: str
) -> None:
    folder = sharded(tmp_path / "model", _without("llm_config", key))
    with caplog.at_level(logging.WARNING):
        UniAudio.from_pretrained(folder)
    assert f"lacks llm_config.{key}, which the weights cannot show; assuming {assumed}" in (
        caplog.text
    )


def test_assumptions_reach_the_command_line(tmp_path: Path) -> None:
    folder = sharded(tmp_path / "model", _without("llm_config", "rope_theta"))
    done = uniaudio("convert", folder, "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "warning: config.json lacks llm_config.rope_theta" in done.stderr
    assert "assuming 600000.0" in done.stderr


@pytest.mark.parametrize("shard_size", ["5GB", "300KB"])
def test_a_converted_model_has_the_same_weights(tmp_path: Path, shard_size: str) -> None:
    target = tmp_path / "ours"
    found = convert(str(sharded(tmp_path / "shards")), str(target), shard_size=shard_size)
    assert (len(found["files"]) > 2) == (shard_size == "300KB")
    for file in found["files"]:
        assert (target / file).stat().st_size < 500_000 or shard_size == "5GB"
    before, after = UniAudio.from_pretrained(GOLDEN), UniAudio.from_pretrained(target)
    wanted, made = before.model.state_dict(), after.model.state_dict()
    assert wanted.keys() == made.keys()
    assert all(torch.equal(wanted[name], made[name]) for name in wanted)
    assert after.config.backbone == before.config.backbone
    assert after.config.sampling == before.config.sampling
    assert after.config.sampling.temperature == 1.5
    quick = {"num_steps": 1, "cfg_scale": 1.0}
    assert torch.equal(after.synthesize("ha", **quick).wav, before.synthesize("ha", **quick).wav)
    # Its tokenizer is pinned: another one is refused.
    assert after.config.tokenizer is not None
    assert after.config.tokenizer.sha256 == sha256_of_weights(target / "tokenizer")
    again = after.save_pretrained(tmp_path / "again")
    assert sha256_of_weights(again)
    assert not any(p.name.startswith(".") for p in [*tmp_path.iterdir(), *target.rglob("*")])


def test_conversion_refuses_and_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "out"
    convert(str(GOLDEN), str(target), dtype="bfloat16")
    assert UniAudio.from_pretrained(target, dtype=None).model.dtype == torch.bfloat16
    before = sha256_of_weights(target)
    with pytest.raises(UserError, match=r"exists already.*--force"):
        convert(str(GOLDEN), str(target))
    assert sha256_of_weights(target) == before
    convert(str(GOLDEN), str(target), force=True)
    assert UniAudio.from_pretrained(target, dtype=None).model.dtype == torch.float32
    with pytest.raises(UserError, match="not in the published layout"):
        convert(str(target), str(tmp_path / "other"))
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("x")
    with pytest.raises(UserError, match="is not a model folder"):
        convert(str(GOLDEN), str(precious), force=True)
    assert (precious / "thesis.txt").is_file()
    broken = sharded(tmp_path / "broken")
    _cut(broken)
    for options in ({"dtype": "int4"}, {"shard_size": "much"}, {}):
        source = broken if not options else GOLDEN
        with pytest.raises(UserError):
            convert(str(source), str(tmp_path / "none"), **options)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["broken", "out", "precious"]


def test_info_shows_parts_sizes_hash_and_plugins(tmp_path: Path) -> None:
    target = tmp_path / "ours"
    convert(str(GOLDEN), str(target))
    published, ours = describe([str(GOLDEN), str(target)])
    for shown, layout in ((published, "published"), (ours, "uniaudio")):
        assert (shown["kind"], shown["layout"]) == ("model", layout)
        assert shown["plugins"].items() >= {
            "backbone": "bailing_moe", "compressor": "linear_pooling", "generation_head": "dit",
            "stop_detector": "linear",
        }.items()  # fmt: skip
        assert {"backbone", "tokenizer", "generation_head"} <= shown["parts"].keys()
        assert shown["sha256"] == sha256_of_weights(shown["path"])
        assert shown["bytes"] == sum(part["bytes"] for part in shown["parts"].values())
    loaded = UniAudio.from_pretrained(target)
    assert ours["parameters"] == sum(p.numel() for p in loaded.model.parameters())
    assert ours["tokenizer"]["sha256"] == sha256_of_weights(target / "tokenizer")


def test_reading_handles_every_kind_of_tensor(tmp_path: Path) -> None:
    tensors = {
        "odd": torch.tensor([True, False, True]),  # what follows is not aligned
        "wide": torch.randn(3, 5, dtype=torch.float64),
        "half": torch.randn(7).bfloat16(),
        "none": torch.zeros(0, 4),
        "scalar": torch.tensor(2.5),
    }
    save_file(tensors, tmp_path / "model.safetensors")
    found = {name: tensor.clone() for name, tensor in read_tensors(tmp_path)}
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert found[name].dtype == tensor.dtype and torch.equal(found[name], tensor)


# --- parts that come with a model ----------------------------------------------------------------


def test_a_plugin_name_takes_the_part_that_comes_with_the_model(
    small_folder: Path, tmp_path: Path
) -> None:
    from mingtok_audio.core.models.components import save_component

    folder = tmp_path / "model"
    shutil.copytree(small_folder, folder)
    model = UniAudio.from_pretrained(folder)
    other = "mlp" if model.config.generation_head.name == "dit" else "dit"
    bare = UniAudio.from_pretrained(folder, generation_head=other)  # random weights, as before
    save_component(
        folder / "parts" / "generation_head" / other, bare.model.generation_head,
        slot="generation_head", name=other,
    )  # fmt: skip
    found = UniAudio.from_pretrained(folder, generation_head=other)
    wanted = bare.model.generation_head.state_dict()
    assert all(
        torch.equal(v, wanted[k]) for k, v in found.model.generation_head.state_dict().items()
    )
    assert found.config.generation_head.name == other
    (described,) = describe([str(folder)])
    assert described["alternatives"] == {"generation_head": [other]}
    # Its own part, by name, stays its own.
    same = UniAudio.from_pretrained(folder, generation_head=model.config.generation_head.name)
    own = model.model.generation_head.state_dict()
    assert all(torch.equal(v, own[k]) for k, v in same.model.generation_head.state_dict().items())


def test_a_name_without_weights_is_told_what_there_is(caplog: pytest.LogCaptureFixture) -> None:
    UniAudio.from_pretrained("nano", compressor="linear_pooling")
    assert "random weights" in caplog.text and "comes with this model: pooling" in caplog.text


def test_info_of_nano_is_of_the_language_model() -> None:
    (found,) = describe(["nano"])
    assert found["model_type"] == "uniaudio" and found["tokenizer"]["id"].startswith("nano")
    assert found["alternatives"] == {
        "compressor": ["pooling"],
        "generation_head": ["dit"],
        "recognizer": ["reader"],
        "speech_decoder": ["described"],
    }


def test_a_component_of_another_model_is_refused(small_folder: Path, tmp_path: Path) -> None:
    """What it was trained with is compared in full: the tokenizer and the backbone."""
    model = UniAudio.from_pretrained(small_folder)
    right = backbone_pin(small_folder, "small")
    wrong = PinnedModel("other", "0" * 64)
    own = {"backbone": right}
    if model.config.tokenizer is not None:
        own["tokenizer"] = model.config.tokenizer
    head = model.model.generation_head
    for pins, refused in (
        ({}, ""), (own, ""), ({"backbone": wrong}, "backbone"),
        ({**own, "backbone": wrong}, "back"),
    ):  # fmt: skip
        folder = tmp_path / f"head{len(list(tmp_path.iterdir()))}"
        save_component(folder, head, slot="generation_head", name="mlp", trained_with=pins)
        if refused:
            with pytest.raises(UserError, match=f"was trained with the {refused}"):
                UniAudio.from_pretrained(small_folder, generation_head=folder)
        else:
            UniAudio.from_pretrained(small_folder, generation_head=folder)
    again = model.save_pretrained(tmp_path / "again")
    assert backbone_pin(again, "small") == right, "the same numbers in another file"
    half = UniAudio.from_pretrained(again)
    with torch.no_grad():
        next(half.model.backbone.parameters()).add_(0.1)
    changed = half.save_pretrained(tmp_path / "changed")
    assert backbone_pin(changed, "small").sha256 != right.sha256
