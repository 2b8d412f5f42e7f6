"""The config of a model folder, and the migration of its first format."""

from __future__ import annotations

import dataclasses

import pytest

from mingtok_audio.core.config import to_dict
from mingtok_audio.core.errors import ConfigError
from uniaudio_lm.config import PartConfig, Sampling, UniAudioConfig, migrated, parse_config

PARTS = {
    slot: {"name": name, "options": {}}
    for slot, name in (
        ("backbone", "dense"), ("generation_head", "mlp"), ("stop_detector", "linear"),
        ("compressor", "pooling"),
    )
}  # fmt: skip
FIRST = {
    **PARTS, "piece_seconds": 12.0, "num_steps": 4, "cfg_scale": 1.5, "temperature": 0.5,
    "noise_scale": 0.9, "beams": 8, "hotword_boost": 1.5, "word_weight": 0.3, "word_bonus": 1.0,
    "coverage": {"layer": 2, "heads": [2, 3], "weight": 1.0}, "name": "old",
    "model_type": "uniaudio", "format_version": 1,
}  # fmt: skip


def test_the_first_format_is_migrated() -> None:
    found = parse_config(FIRST, "config.json")
    assert found.sampling == Sampling(4, 1.5, 0.5, 0.9)
    assert (found.recognition.beams, found.recognition.word_weight) == (8, 0.3)
    assert found.recognition.word_model == PartConfig("bigram")
    assert found.recognition.coverage is not None and found.recognition.coverage.heads == [2, 3]
    assert found.format_version == 2
    assert parse_config(to_dict(found), "config.json") == found, "written in the newest format"
    assert migrated(to_dict(found)) == to_dict(found)
    bare = parse_config({**PARTS, "format_version": 1}, "config.json")
    assert bare == parse_config(dict(PARTS), "config.json")
    assert bare.sampling == Sampling() and bare.recognition.word_model is None


def test_wrong_configs_are_refused() -> None:
    for data, words in (
        ({**FIRST, "format_version": 3}, "upgrade uniaudio-lm"),
        ({**FIRST, "format_version": 2}, "num_steps"),
        ({**FIRST, "noise_scale": 3.0}, "noise scale"),
        ({**FIRST, "beams": 0}, "beams"),
        ({**PARTS, "sampling": {"cfg": 1.0}}, "cfg"),
    ):
        with pytest.raises(ConfigError, match=words):
            parse_config(data, "config.json")
    for field, value in (("latent_std", [0.0]), ("latent_mean", None), ("piece_seconds", 0.0)):
        config = UniAudioConfig(
            *(PartConfig(n) for n in ("dense", "mlp", "linear", "pooling")),
            latent_mean=[0.0], latent_std=[1.0],
        )  # fmt: skip
        with pytest.raises(ValueError, match=field.partition("_")[0]):
            dataclasses.replace(config, **{field: value})
