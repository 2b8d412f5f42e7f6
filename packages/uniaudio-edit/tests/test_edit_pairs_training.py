"""Training on pairs: what a batch holds, that it is what inference sees, weights, and a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from mingtok_audio.core.cli import run
from mingtok_audio.core.errors import ConfigError
from uniaudio_edit.data.build import build_pairs
from uniaudio_edit.data.cot import published_prompt
from uniaudio_edit.data.recipe import Recipe
from uniaudio_edit.training.cli import uniaudio_app
from uniaudio_edit.training.pairs import IGNORED, Pairs
from uniaudio_edit.training.run import load_config, shipped_config, train
from uniaudio_edit.training.settings import EditConfig, EditData, EditLoss
from uniaudio_edit.training.task import EditTask, weighted_flow
from uniaudio_lm.model import prompts
from uniaudio_lm.tasks.edit import source_latents
from uniaudio_lm.training.settings import Latents

pytest.importorskip("accelerate")
_ROOT = Path(__file__).resolve().parents[3]
_GOLDEN = _ROOT / "tests" / "data" / "golden" / "unified"


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight pairs of every task from noise with words."""
    folder = tmp_path_factory.mktemp("pairs")
    rows = []
    for n in range(2):
        rng = np.random.default_rng(n)
        soundfile.write(folder / f"{n}.wav", 0.1 * rng.standard_normal(22000 + 900 * n), 16000)
        said = ("one two six ten", "ann bob eve dan")[n].split()
        words = [
            {"text": t, "start": 0.1 + 0.3 * k, "end": 0.35 + 0.3 * k} for k, t in enumerate(said)
        ]
        rows.append(
            {
                "audio": f"{n}.wav",
                "text": " ".join(w["text"] for w in words),
                "words": words,
                "speaker": "s",
            }
        )
    manifest = folder / "manifest.jsonl"
    manifest.write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    tasks = dict.fromkeys(("insertion", "deletion", "substitution", "volume"), 1.0)
    build_pairs(manifest, folder / "out", Recipe(tasks=tasks, per_clip=4))
    return folder / "out"


def config(pairs: Path, cache: Path, **changes: Any) -> EditConfig:
    data = EditData(
        [str(pairs)], [str(pairs)], max_tokens=600, latents=Latents(str(cache), draw="mean")
    )
    return EditConfig(**{"data": data, "init": str(_GOLDEN), **changes})


@pytest.fixture(scope="module")
def task(pairs: Path, tmp_path_factory: pytest.TempPathFactory) -> EditTask:
    made = EditTask(config(pairs, tmp_path_factory.mktemp("latents")))
    made.model.eval()
    return made


def test_a_pair_is_what_the_model_reads_and_writes(task: EditTask) -> None:
    lm, corpus = task.model.lm, task.train_pairs
    text = lm.text_tokenizer
    for index in range(len(corpus.pairs)):
        folder, row = corpus.pairs.row(index)
        example = corpus.example(index)
        assert example is not None
        begin, end = example.answer
        wav, rate = soundfile.read(folder / row["source"])
        patches = source_latents(lm, wav, rate).shape[1] // lm.config.patch_size
        wanted = prompts.encode(
            text, prompts.edit(published_prompt(row["instruction"]), patches, row["use_cot"])
        )
        assert example.ids[:begin] == wanted.ids
        written = text.decode(example.ids[begin:end], specials=True)
        assert written == row["cot"] + prompts.GENERATE_AUDIO
        assert example.starts == (wanted.spans[0][0], end)
        # Frames that the edit made weigh more, and are where the manifest says.
        heavy = np.flatnonzero(example.weights.reshape(-1) > 1)
        if row["use_cot"]:
            ((a, b),) = row["target_spans"]
            assert heavy[0] == int(a * 50)
            assert heavy[-1] == min(int(np.ceil(b * 50)), example.weights.size) - 1
        else:
            assert not len(heavy)


def test_training_sees_what_inference_sees(task: EditTask) -> None:
    """The prompt is embedded as `run_edit` does it, and the target continues its stream."""
    lm, corpus = task.model.lm, task.train_pairs
    batch = corpus.batch(0)
    with torch.no_grad():
        embeds = task._embedded(batch, batch.mean)
    size = lm.config.patch_size
    item = 0
    heard, said = batch.counts[item].tolist()
    latents = batch.mean[item : item + 1, : heard * size]
    state = lm.new_feature_state()
    source = lm.embed_audio(latents, state)[0]
    target = lm.embed_audio(
        batch.mean[item : item + 1, heard * size : (heard + said) * size], state
    )[0]
    for (start, count), patches in zip(
        zip(batch.starts[item].tolist(), (heard, said), strict=True), (source, target), strict=True
    ):
        torch.testing.assert_close(embeds[item, start : start + count], patches, atol=2e-5, rtol=0)
    asked = lm.text_tokenizer.decode(batch.ids[item].tolist(), specials=True)
    sentence = asked.split("<prompt>")[1].split("\n</prompt>")[0]
    prompt = prompts.encode(lm.text_tokenizer, prompts.edit(sentence, heard, "<answer>" in asked))
    wanted, _ = lm.embed_prompt(prompt, [source])
    length = wanted.shape[1]
    torch.testing.assert_close(embeds[item, :length], wanted[0], atol=2e-5, rtol=0)
    # The first label is what is predicted behind the prompt.
    assert int((batch.labels[item] != IGNORED).nonzero()[0]) == length


def test_padding_changes_nothing(task: EditTask) -> None:
    from uniaudio_edit.training.pairs import collate

    corpus = task.train_pairs
    found = [corpus.example(i) for i in range(3)]
    examples = [e for e in found if e is not None]
    size = task.model.lm.config.patch_size
    whole = collate(examples, size)
    with torch.no_grad():
        together = task._text_loss(whole, task.model.lm.backbone(task._embedded(whole, whole.mean)))
        alone, count = 0.0, 0
        for example in examples:
            one = collate([example], size)
            hidden = task.model.lm.backbone(task._embedded(one, one.mean))
            labels = int((one.labels != IGNORED).sum())
            alone += float(task._text_loss(one, hidden)) * labels
            count += labels
    assert float(together) == pytest.approx(alone / count, abs=2e-5)


def test_weights_of_the_flow_loss(task: EditTask) -> None:
    head = task.model.lm.generation_head
    generator = torch.Generator().manual_seed(0)
    cond = torch.randn(6, head.cond_dim, generator=generator)
    shape = (6, head.patch_size, head.latent_dim)
    target, history = (torch.randn(shape, generator=generator) for _ in range(2))

    def loss(weights: torch.Tensor, rows: list[int]) -> float:
        parts = (cond[rows], target[rows], history[rows])
        with torch.no_grad():
            return float(
                weighted_flow(head, parts, weights, generator=torch.Generator().manual_seed(1))
            )

    everything = list(range(6))
    ones = torch.ones(6, head.patch_size)
    with torch.no_grad():
        plain = float(head.loss(cond, target, history, generator=torch.Generator().manual_seed(1)))
    assert loss(ones, everything) == pytest.approx(plain, rel=1e-6)
    assert loss(4 * ones, everything) == pytest.approx(plain, rel=1e-6)
    # A patch of weight 1000 is nearly all of the loss.
    heavy = ones.clone()
    heavy[5] = 1000.0
    target[5] += 30.0
    assert loss(heavy, everything) > 3 * loss(ones, everything)


def test_a_run_resumes_exactly(pairs: Path, tmp_path: Path) -> None:
    from mingtok_audio.trainer.loop import OptimConfig, TrainerConfig

    def made(steps: int) -> EditConfig:
        # The schedule ends where the whole run ends, so both parts have the same rates.
        return config(
            pairs,
            tmp_path / "latents",
            loss=EditLoss(edited_weight=5.0, history_noise=0.1),
            optim=OptimConfig(lr=1e-3, schedule="constant", warmup_steps=1),
            trainer=TrainerConfig(max_steps=steps, log_every=1, evaluate_every=9, device="cpu"),
        )

    train(made(2), tmp_path / "whole")
    train(made(1), tmp_path / "parts")
    summary = train(made(2), tmp_path / "parts", resume=True)
    assert summary.steps == 2
    one, two = ((tmp_path / n / "model/model.safetensors").read_bytes() for n in ("whole", "parts"))
    assert one == two
    log = [json.loads(line) for line in (tmp_path / "whole/log.jsonl").read_text().splitlines()]
    assert {"loss", "text", "flow", "stop"} <= set(log[0])
    assert "eval/flow" in log[-1]


def test_adapters_learn_and_nothing_else(pairs: Path, tmp_path: Path) -> None:
    from uniaudio_lm.training.settings import LoraConfig

    made = EditTask(config(pairs, tmp_path, learn=["stop_detector"], lora=LoraConfig(rank=2)))
    learning = {n for n, p in made.model.lm.named_parameters() if p.requires_grad}
    assert any("backbone" in n for n in learning)
    ends = ("down", "up", "down.weight", "up.weight")
    assert all(n.endswith(ends) or n.startswith("stop_detector") for n in learning)
    total, _ = made.loss(0, torch.Generator().manual_seed(0))
    total.backward()
    assert any(
        p.grad is not None and p.grad.abs().sum() > 0
        for n, p in made.model.lm.named_parameters()
        if "backbone" in n
    )
    with pytest.raises(ConfigError, match="learn"):
        EditTask(config(pairs, tmp_path, learn=[]))


def test_configurations(tmp_path: Path, pairs: Path) -> None:
    for name in ("debug", "edit"):
        assert load_config(shipped_config(name)).stage == "edit"
    with pytest.raises(ConfigError, match="edited_weight"):
        load_config(shipped_config("debug"), ["loss.edited_weight=0.5"])
    with pytest.raises(ConfigError, match=r"pairs\.jsonl"):
        Pairs([str(tmp_path)], 30.0)
    with pytest.raises(ConfigError, match=r"at most 0\.2 s"):
        Pairs([str(pairs)], 0.2)
    (tmp_path / "pairs.jsonl").write_text("{}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="line 1"):
        Pairs([str(tmp_path)], 30.0)


def test_command_says_what_is_missing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for arguments, words in (
        (["nothing", "-o", str(tmp_path / "x")], "nothing"),
        (["edit", "-o", str(tmp_path / "x"), "--set", f"init={tmp_path}"], "config.json"),
        (["edit", "-o", str(tmp_path / "x"), "--minutes", "0"], "positive"),
    ):
        with pytest.raises(SystemExit) as caught:
            run(uniaudio_app, arguments)
        assert caught.value.code == 2
        err = capfd.readouterr().err
        assert len(err.strip().splitlines()) == 1
        assert words in err
        assert not (tmp_path / "x").exists()
