"""`uniaudio train` as a command."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from lm_training_data import make_config, make_corpus, make_tokenizer

from mingtok_audio.core.config import to_dict
from mingtok_audio.core.models.hub import write_json


def test_train_runs_resumes_and_refuses(tmp_path: Path, uniaudio: Callable[..., Any]) -> None:
    make_corpus(tmp_path)
    make_tokenizer(tmp_path / "tokenizer")
    config, run = tmp_path / "run.yaml", tmp_path / "run"
    # JSON is YAML.
    write_json(config, to_dict(make_config(tmp_path, "trainer.max_steps=2")))
    tried = uniaudio("train", config, "-o", run, "--dry-run")
    assert tried.code == 0 and "everything fits" in tried.out and not run.exists()
    done = uniaudio("train", config, "-o", run, "--json")
    assert done.code == 0 and done.json["steps"] == 2
    assert (run / "model" / "tokenizer.json").is_file()
    again = uniaudio("train", config, "-o", run)
    assert again.code == 2 and "--resume" in again.err
    longer = uniaudio("train", config, "-o", run, "--resume", "--set", "trainer.max_steps=3")
    assert longer.code == 0 and "3 steps" in longer.out
    for arguments, words in (
        ([config, "--set", "data.ratio=[0,0]"], "ratio"),
        ([config, "--set", "optim.lrr=1"], "did you mean 'lr'"),
        ([config, "--minutes", "0"], "--minutes must be positive"),
        ([tmp_path / "none.yaml"], "none.yaml"),
        ([config, "--set", f"model.tokenizer={tmp_path / 'none'}"], "none"),
    ):
        bad = uniaudio("train", *arguments, "-o", tmp_path / "bad")
        assert bad.code == 2 and words in bad.err
        assert bad.err.count("\n") == 1 and not (tmp_path / "bad").exists()
