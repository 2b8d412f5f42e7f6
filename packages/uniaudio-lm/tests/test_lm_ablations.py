"""The paper's ablations as a command: full-size files, small runs, the page."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lm_training_data import make_corpus, make_tokenizer

from uniaudio_lm.training.ablations import ABLATIONS, settings_of, summary
from uniaudio_lm.training.run import load_config

BACKBONE = 494_032_768  # of Qwen2.5-0.5B
TOKENIZER = 1_349_038_466 + 1280 * 896 + 896
HEADS = {"mlp": (1.1e9, 1.35e9), "dit": (0.09e9, 0.115e9)}


@pytest.mark.parametrize("name", list(ABLATIONS))
def test_full_size_files_build_on_meta_with_the_papers_counts(
    name: str, tmp_path: Path, uniaudio: Callable[..., Any]
) -> None:
    done = uniaudio("ablate", name, "--scale", "paper", "-o", tmp_path / "out", "--json")
    assert done.code == 0, done.err
    for row in done.json["variants"]:
        parts, config = row["parameters"], load_config(row["config"])
        assert (parts["tokenizer"], parts["backbone"]) == (TOKENIZER, BACKBONE)
        low, high = HEADS[config.model.generation_head.name]
        assert low < parts["generation_head"] < high
        assert config.init == "Qwen/Qwen2.5-0.5B" and config.trainer.max_steps == 200_000
        assert (config.data.understanding.max_tokens, config.data.generation.max_tokens) == (
            5500, 2000,
        )  # fmt: skip
        if config.model.compressor.name == "pooling":
            assert parts["compressor"] == 0  # table 4: parameter-free
    page = Path(done.json["page"]).read_text()
    for variant in ABLATIONS[name].variants:
        assert variant.name in page
        assert all(str(value) in page for value in variant.figures.values())


def flat(values: dict[str, Any]) -> dict[str, Any]:
    """Two levels of a configuration as one."""
    return {
        f"{section}.{key}": inner
        for section, value in values.items()
        for key, inner in (value.items() if isinstance(value, dict) else [("", value)])
    }


def test_variants_differ_from_the_baseline_in_one_thing() -> None:
    for ablation in ABLATIONS.values():
        first = flat(settings_of(ablation.variants[0], "nano", head="h"))
        for variant in ablation.variants[1:]:
            other = flat(settings_of(variant, "nano", head="h"))
            keys = {*first, *other}
            differing = [k for k in keys if first.get(k) != other.get(k)]
            assert len(differing) == 1, (variant.name, differing)


def test_small_runs_resume_and_make_a_page(tmp_path: Path, uniaudio: Callable[..., Any]) -> None:
    manifest = make_corpus(tmp_path)
    rows = [json.loads(line) for line in manifest.read_text().splitlines()]
    rows = [{**row, "split": split} for row in rows for split in ("train", "valid")]
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    make_tokenizer(tmp_path / "tokenizer")
    options = (
        "ablate", "figure8", "--data", manifest, "-o", tmp_path / "out", "--steps", "3", "--json",
        "--set", f"model.tokenizer={tmp_path / 'tokenizer'}", "--set", "model.latent_dims=null",
        "--set", f"data.latents.cache={tmp_path / 'latents'}", "--set", "evaluation.batches=1",
    )  # fmt: skip
    first = uniaudio(*options)
    assert first.code == 0, first.err
    unified, latent = first.json["variants"]
    assert unified["seeds"] == [0, 1] and len(unified["ours"]["flow"]) == 2
    assert unified["ours"] != latent["ours"] and unified["steps"] == 3
    page = Path(first.json["page"]).read_text()
    assert "figure8" in page and "polyline" in page and "latent-1" in page
    written = (tmp_path / "out" / "unified-0" / "result.json").stat().st_mtime_ns
    again = uniaudio(*options)
    assert again.json["variants"] == first.json["variants"]
    assert (tmp_path / "out" / "unified-0" / "result.json").stat().st_mtime_ns == written
    other = uniaudio(*options, "--set", "optim.lr=0.5")
    assert other.code == 2 and "other settings" in other.err and other.err.count("\n") == 1


def test_the_order_is_said_only_where_the_seeds_agree() -> None:
    def run(variant: str, seed: int, text: float) -> dict[str, Any]:
        return {
            "variant": variant, "seed": seed, "steps": 1, "cpu_hours": 0.1,
            "figures": {"text": text, "flow": 1.0}, "head_seconds_per_second": 0.1,
        }  # fmt: skip

    for pooled, crossed, said in (
        ((1.0, 1.1), (2.0, 2.1), "as in the paper"),
        ((2.0, 2.1), (1.0, 1.1), "reversed"),
        ((1.0, 2.0), (1.5, 2.5), "within the spread of the seeds"),
        ((1.0,), (2.0,), "one seed: not said"),
    ):
        results = [run("pooling", i, v) for i, v in enumerate(pooled)]
        results += [run("cross-attention", i, v) for i, v in enumerate(crossed)]
        rows = summary("table4", results)
        assert rows[1]["order"]["und WER"] == said


def test_wrong_calls_are_one_line(tmp_path: Path, uniaudio: Callable[..., Any]) -> None:
    for arguments, words in (
        (("table6",), "table4, table5"),
        (("table4", "--scale", "huge"), "nano or paper"),
        (("table4",), "--data"),
        (("table4", "--data", tmp_path / "none.jsonl"), "none.jsonl"),
        (("table4", "--data", "x", "--seeds", "0"), "at least 1"),
        (("table4", "--scale", "paper", "--data", "x"), "--data"),
        (("table4", "--scale", "paper", "--set", "optim.lrr=1"), "did you mean 'lr'"),
    ):
        bad = uniaudio("ablate", *arguments, "-o", tmp_path / "out")
        assert bad.code == 2 and words in bad.err and bad.err.count("\n") == 1, bad.err
        assert not (tmp_path / "out").exists()
