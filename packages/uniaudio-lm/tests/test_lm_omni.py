"""Ming-omni-tts and Ming-3.0-tts: published numbers, full-size names, prompts, refusals."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from mingtok_audio.core.errors import ConfigError, FormatError, UserError
from mingtok_audio.core.models.fit import check_names
from uniaudio_lm import UniAudio, parity
from uniaudio_lm.checkpoint.omni import omni_config, omni_place
from uniaudio_lm.model import omni_prompts
from uniaudio_lm.model.speech_lm import SpeechLM

GOLDEN = Path(__file__).resolve().parents[3] / "tests" / "data" / "golden"
INPUTS = {
    "omni_head": (
        "z", "latent_history", "init_noise_bct", "step_noise", "x", "t", "c", "h", "mask", "x0",
        "x1", "cond", "history",
    ),
    "omni_lm": (
        "clip", "clip_lengths", "speaker", "enc_noise_bdt", "init_noise_bct", "step_noise",
    ),
    "omni_speaker": ("waveform", "sample_rate"),
}  # fmt: skip
INPUTS["omni_lm_p1"] = INPUTS["omni_lm"]


@pytest.mark.parametrize("kind", INPUTS)
def test_published_numbers(kind: str, tmp_path: Path) -> None:
    written = tmp_path / "out.safetensors"
    assert parity.main([str(GOLDEN / kind), "-o", str(written), "--check"]) == 0
    recorded = load_file(GOLDEN / kind / "io.safetensors")
    wanted = {key for key in recorded if key.rpartition(".")[2] not in INPUTS[kind]}
    assert wanted == load_file(written).keys()


def test_all_encoder_layers_give_other_numbers_where_there_is_a_clip(capsys) -> None:
    assert parity.main([str(GOLDEN / "omni_lm_p1"), "--check", "--encoder-layers", "all"]) == 1
    far = [line.split()[0] for line in capsys.readouterr().out.splitlines() if "TOO FAR" in line]
    assert {key.partition(".")[0] for key in far} == {"clone"}


# --- the full size -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def names() -> dict[str, list[int]]:
    return json.loads((GOLDEN / "names" / "omni_0.5b_names.json").read_text())["names"]


@pytest.fixture(scope="module")
def full_size() -> tuple[SpeechLM, Callable[[str], Any]]:
    assumed = json.loads((GOLDEN / "names" / "omni_0.5b_assumed_config.json").read_text())
    config, tokenizer = omni_config(assumed)
    with torch.device("meta"):
        model = SpeechLM(config, tokenizer)
    return model, lambda name: omni_place(name, config, tokenizer)


def test_full_size_model_accepts_every_published_name_and_shape(names, full_size) -> None:
    model, place = full_size
    assert len(names) == 1180
    check_names(model, names, place)
    count = sum(p.numel() for p in model.parameters())
    # The published total less its unused parameters: a norm, and three embeddings of one row.
    assert count == 1_479_451_276 - 2 * 896 - 3 * 896
    assert (model.tokenizer.frame_rate, model.patch_seconds) == (12.5, 0.32)


@pytest.mark.parametrize(
    "name", ["spk_head.bias", "linear_proj_audio.word_embedder.weight", "audio.encoder.cls_embed"]
)
def test_a_missing_tensor_is_named(names, full_size, name: str) -> None:
    model, place = full_size
    with pytest.raises(FormatError, match="missing"):
        check_names(model, {k: v for k, v in names.items() if k != name}, place)


# --- prompts and captions ------------------------------------------------------------------------


def test_captions_are_the_published_strings() -> None:
    for case in json.loads((GOLDEN / "omni_lm" / "layout.json").read_text())["captions"]:
        assert omni_prompts.caption(case["user"]) == case["json"]


def test_ming3_captions_have_english_keys_with_a_dialect() -> None:
    with_dialect = json.loads(omni_prompts.caption({"dialect": "川渝"}, "ming3"))
    item = with_dialect["audio_sequence"][0]
    assert (item["id"], item["speaker"], item["dialect"]) == (1, "speaker_1", "川渝")
    without = json.loads(omni_prompts.caption({"emotion": "高兴"}, "ming3"))
    assert without["audio_sequence"][0]["情感"] == "高兴"


def test_instructions_of_a_command_line() -> None:
    given = omni_prompts.instruction(["emotion=高兴", "语速=快速"])
    assert given == {"情感": "高兴", "语速": "快速"}
    with pytest.raises(UserError, match="did you mean 'emotion'"):
        omni_prompts.instruction(["emotoin=高兴"])
    with pytest.raises(UserError, match="key=value"):
        omni_prompts.instruction(["cheerful"])
    with pytest.raises(UserError, match="BGM"):
        omni_prompts.caption({"BGM": None})


def test_special_tokens_in_a_users_text_are_letters() -> None:
    model = UniAudio.from_pretrained(GOLDEN / "omni_lm").model
    tokens = ("<audio>", "<|vision_start|>", "<|im_end|>", "<audioPatch>")
    prompt = omni_prompts.OmniPrompt("say " + " ".join(tokens), speakers=1)
    row = torch.randn(192)
    made, embeds = omni_prompts.embed(model, prompt, [row])
    plain, expected = omni_prompts.embed(
        model, omni_prompts.OmniPrompt("say it", speakers=1), [row]
    )
    for token in tokens:
        found = model.text_tokenizer.special(token)
        assert made.ids.count(found) == plain.ids.count(found)
    slot = plain.ids.index(model.text_tokenizer.special("<|vision_start|>")) + 1
    assert torch.equal(embeds[0, slot], expected[0, slot])


# --- refusals ------------------------------------------------------------------------------------

Config = dict[str, Any]


def _set(section: str, **values: Any) -> Callable[[Config], None]:
    return lambda config: (config if section == "" else config[section]).update(values)


def _drop(section: str, key: str) -> Callable[[Config], None]:
    return lambda config: (config if section == "" else config[section]).pop(key) and None


REFUSED: dict[str, tuple[Callable[[Config], None], str]] = {
    "rate of another tokenizer": (
        _set("audio_tokenizer_config", sample_rate=16100), "no whole number of frames",
    ),
    "no rate": (_drop("audio_tokenizer_config", "sample_rate"), "sample_rate is missing"),
    "a tokenizer without the second stage": (
        _drop("audio_tokenizer_config", "patch_size"), "one latent per 4 frames",
    ),
    "no decoder": (_drop("audio_tokenizer_config", "dec_kwargs"), "dec_kwargs"),
    "no language model": (_set("", llm_config=None), "llm_config"),
    "no head": (_drop("", "ditar_config"), "ditar_config"),
    "unknown model type": (_set("", model_type="lingv3"), "'dense' or 'bailingmm'"),
    "no patch size": (_drop("ditar_config", "patch_size"), "patch_size"),
    "a patch size of text": (_set("ditar_config", patch_size="4"), "whole number"),
    "history in patches": (_set("ditar_config", history_patch_size=1), "counts latents"),
    "normed queries": (_set("ditar_config", qk_norm="rms_norm"), "no qk_norm"),
    "no heads": (_drop("llm_config", "num_attention_heads"), "num_attention_heads"),
    "no inner width": (_drop("llm_config", "intermediate_size"), "intermediate_size"),
    "another activation": (_set("llm_config", hidden_act="gelu"), "silu"),
    "a window": (_set("llm_config", use_sliding_window=True), "use_sliding_window"),
    "scaled rope": (_set("llm_config", rope_scaling={"type": "yarn"}), "rope_scaling"),
    "a 3.0 architecture in the omni layout": (
        _set("", architectures=["Ming3DenseTTSForConditionalGeneration"]), "other family",
    ),
    "aggregator without width": (_drop("aggregator_config", "hidden_size"), "hidden_size"),
    "aggregator of another width": (
        _set("aggregator_config", hidden_size=80), "do not fit the config",
    ),
    "an output weight that is not tied": (
        _set("llm_config", tie_word_embeddings=False), "missing: backbone.lm_head.weight",
    ),
    "a smaller vocabulary": (_set("llm_config", vocab_size=300), "embed_tokens"),
}  # fmt: skip


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    return Path(shutil.copytree(GOLDEN / "omni_lm", tmp_path / "omni"))


@pytest.mark.parametrize("case", REFUSED)
def test_refused_configs(copied: Path, case: str) -> None:
    change, message = REFUSED[case]
    config = json.loads((copied / "config.json").read_text())
    change(config)
    (copied / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match=message) as error:
        UniAudio.from_pretrained(copied)
    assert "\n" not in str(error.value)


def test_an_omni_architecture_in_the_layout_of_ming3_is_refused(tmp_path: Path) -> None:
    config = json.loads((GOLDEN / "omni_lm_p1" / "config.json").read_text())
    config["architectures"] = ["BailingMMNativeForConditionalGeneration"]
    with pytest.raises(ConfigError, match="other family"):
        omni_config(config)


def test_refused_weights(copied: Path) -> None:
    weights = copied / "model.safetensors"
    tensors = load_file(weights)
    del tensors["stop_head.weight"]
    save_file(tensors, weights)
    with pytest.raises(FormatError, match=r"missing: stop_detector\.stop_head\.weight"):
        UniAudio.from_pretrained(copied)
    weights.write_bytes((GOLDEN / "omni_lm" / "model.safetensors").read_bytes()[:-100])
    with pytest.raises(FormatError) as error:
        UniAudio.from_pretrained(copied)
    assert "\n" not in str(error.value)
    (copied / "tokenizer.json").unlink()
    with pytest.raises(FormatError, match=r"tokenizer\.json"):
        UniAudio.from_pretrained(copied)


def test_saving_in_our_layout_keeps_the_model(tmp_path: Path) -> None:
    model = UniAudio.from_pretrained(GOLDEN / "omni_lm")
    saved = UniAudio.from_pretrained(model.save_pretrained(tmp_path / "model"))
    assert saved.config == model.config
    ours, theirs = model.model.state_dict(), saved.model.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_info_names_the_parts(uniaudio) -> None:
    found = uniaudio("info", GOLDEN / "omni_lm", "--json").json
    found = found[0] if isinstance(found, list) else found
    plugins = found["plugins"]
    assert (plugins["backbone"], plugins["compressor"]) == ("dense", "aggregator")
    assert "unknown" not in found["parts"] and found["parts"]["speaker_proj"]["parameters"] == 7720
