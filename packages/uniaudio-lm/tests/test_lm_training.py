"""Joint training: exact resume, a batch learned by heart, gradients, frozen parts, bad input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from lm_training_data import make_config

from mingtok_audio.core.errors import ConfigError, UserError
from mingtok_audio.trainer.loop import Trainer
from uniaudio_lm.checkpoint.load import load_model
from uniaudio_lm.tasks.tts import make_job
from uniaudio_lm.training.joint import JointTask
from uniaudio_lm.training.run import load_config, shipped_config, train
from uniaudio_lm.training.settings import JointConfig


def trained(config: JointConfig, folder: Path, steps: int) -> Trainer:
    trainer = Trainer(JointTask(config), config.optim, config.trainer, folder)
    trainer.run(lambda: trainer.step == steps)
    return trainer


def test_resumed_run_equals_an_uninterrupted_one(data: Path, tmp_path: Path) -> None:
    config = make_config(
        data, "trainer.max_steps=8", "trainer.evaluate_every=3", "data.workers=1",
        "loss.draws=2", "loss.history_noise=0.2", "data.understanding.hotwords=0.5",
        "data.generation.continued=0.5", "evaluation.batches=1",
    )  # fmt: skip
    whole = trained(config, tmp_path / "whole", 8)
    cut = trained(config, tmp_path / "cut", 4)
    assert cut.step == 4
    torch.manual_seed(99)  # a new process has another global state
    again = Trainer(JointTask(config), config.optim, config.trainer, tmp_path / "cut")
    assert again.resume()
    again.run()
    for trainer in (whole, cut, again):
        trainer.task.batches.close()  # type: ignore[attr-defined]
    assert again.step == whole.step == 8
    for name, value in whole.task.model.state_dict().items():
        assert torch.equal(again.task.model.state_dict()[name], value), name
    assert again.ema.keys() == whole.ema.keys()
    assert all(torch.equal(again.ema[name], value) for name, value in whole.ema.items())
    rows = [
        [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in lines]
        for lines in (
            (tmp_path / name / "log.jsonl").read_text().splitlines() for name in ("whole", "cut")
        )
    ]
    assert rows[0] == rows[1]


def test_one_batch_is_learned_by_heart(data: Path, tmp_path: Path) -> None:
    config = make_config(
        data, "data.understanding.max_tokens=400", "data.generation.max_tokens=400",
        "data.ratio=[1,1]", "data.latents.draw=mean", "loss.draws=8", "optim.lr=0.01",
        "optim.schedule=cosine", "trainer.max_steps=160", "model.generation_head.options.width=96",
        "loss.cond_dropout=0.0", "trainer.seed=1",
    )  # fmt: skip
    trainer = trained(config, tmp_path / "run", 160)
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    flow = [row["flow"] for row in log if "flow" in row]
    text = [row["text"] for row in log if "text" in row]
    right = [row["text_accuracy"] for row in log if "text_accuracy" in row]
    assert len({row["tokens"] for row in log if "tokens" in row}) <= 2  # one batch of each task
    assert text[-1] < 0.05 * text[0] and right[-1] == 1.0
    assert sum(flow[-5:]) < 0.6 * sum(flow[:5])
    assert trainer.skipped_in_a_row == 0


TERMS = {
    # term: what it must move, and what it must leave alone
    "text": ({"backbone", "adapter"}, {"generation_head", "stop_detector", "phoneme_head"}),
    "flow": ({"backbone", "adapter", "generation_head"}, {"stop_detector", "phoneme_head"}),
    "stop": ({"backbone", "adapter", "stop_detector"}, {"generation_head", "phoneme_head"}),
    "attention": ({"backbone"}, {"generation_head", "stop_detector", "phoneme_head"}),
    "phoneme": ({"backbone", "adapter", "phoneme_head"}, {"generation_head", "stop_detector"}),
    "balance": ({"backbone"}, {"generation_head", "stop_detector", "phoneme_head"}),
}


@pytest.mark.parametrize("term", TERMS)
def test_each_loss_reaches_what_it_should(data: Path, term: str) -> None:
    weights = dict.fromkeys(TERMS, 0.0) | {term: 1.0}
    guide = weights.pop("attention")
    # The aids exist, but with no weight they say nothing.
    weights["phoneme"] = weights["phoneme"] or 1e-30
    config = make_config(
        data, *(f"loss.{name}={value}" for name, value in weights.items()),
        f"loss.attention={{weight: {guide}, layer: 1, heads: [0], hold: 100, until: 200}}",
        f"data.ratio={'[1,0]' if term == 'text' else '[0,1]'}",
        *(["model.backbone={name: bailing_moe, options: {dim: 24, num_layers: 2, num_heads: 2, "
           "num_kv_heads: 1, head_dim: 16, num_experts: 4, experts_per_token: 2, moe_dim: 16}}"]
          if term == "balance" else []),
    )  # fmt: skip
    task = JointTask(config)
    for parameter in task.model.lm.generation_head.parameters():
        torch.nn.init.normal_(parameter, std=0.1)  # it begins with zeros, which let nothing through
    total, parts = task.loss(0, torch.Generator().manual_seed(0))
    assert term in parts and torch.isfinite(total)
    total.backward()
    moved = {
        part
        for name, p in task.model.named_parameters()
        for part in [name.removeprefix("lm.").partition(".")[0]]
        if p.grad is not None and float(p.grad.abs().max()) > 1e-20
    }
    wanted, left = TERMS[term]
    assert wanted <= moved and not moved & left
    assert "tokenizer" not in moved
    if term == "balance":
        names = {n for n, p in task.model.named_parameters() if p.grad is not None}
        assert all(f"lm.backbone.blocks.{i}.mlp.router.weight" in names for i in (0, 1))


def test_what_does_not_learn_stays_bit_equal(data: Path, tmp_path: Path) -> None:
    cases = ((["generation_head"], False, "[0,1]"), (["adapter", "stop_detector"], True, "[1,1]"))
    for learn, semantic, ratio in cases:
        config = make_config(
            data, f"learn={learn}", f"semantic={str(semantic).lower()}", "trainer.max_steps=3",
            f"data.ratio={ratio}",
        )  # fmt: skip
        before = JointTask(config).model.lm.state_dict()
        trainer = trained(config, tmp_path / learn[0], 3)
        after = trainer.task.model.lm.state_dict()  # type: ignore[attr-defined]
        changed = {name for name in before if not torch.equal(before[name], after[name])}
        prefixes = {name.partition(".")[0] for name in changed}
        assert prefixes == {*learn, *(["tokenizer"] if semantic else [])}
        assert all(n.startswith("tokenizer.semantic.") for n in changed if "tokenizer" in n)
        # What stays is in no checkpoint either.
        assert {name.split(".")[1] for name in trainer.ema} == prefixes


def test_speech_is_trained_as_it_is_said(data: Path) -> None:
    """The state in front of the first patch is the one that generation begins with."""
    from uniaudio_lm.tasks.tts import _item

    config = make_config(data, "data.ratio=[0,1]", "data.generation.max_tokens=400")
    task = JointTask(config)
    lm = task.model.lm
    corpus = task.corpora.train["generation"]
    batch = corpus.batch(0)
    embeds, _, _ = task._embed(batch, batch.mean, torch.Generator())
    hidden = lm.backbone(embeds)
    texts = {
        lm.text_tokenizer.decode(batch.ids[row, :].tolist()): row for row in range(len(hidden))
    }
    checked = 0
    for utterance in corpus.items:
        row = next((r for text, r in texts.items() if f"\n{utterance.text}A" in text), None)
        if row is None:
            continue
        item = _item(lm, make_job(lm, utterance.text, None, 0), 0, None)
        first = lm.backbone(item.embeds[None])[0, -1]
        assert torch.allclose(hidden[row, batch.starts[row] - 1], first, atol=1e-5)
        checked += 1
    assert checked >= 2


def test_a_run_leaves_a_model_and_what_it_said(data: Path, tmp_path: Path) -> None:
    config = make_config(
        data, "trainer.max_steps=4", "evaluation.sentences=[hello]", "trainer.evaluate_every=4",
        f"evaluation.recordings=[{data / '0.wav'}, missing.wav]", "evaluation.batches=1",
    )  # fmt: skip
    summary = train(config, tmp_path / "run")
    assert summary.steps == 4 and summary.skipped_files.keys() == {str(data / "broken.wav")}
    model = load_model(tmp_path / "run" / "model")
    assert model.config.latent_mean is not None
    assert model.text_tokenizer.special("<audioPatch>") >= 0
    said = (tmp_path / "run" / "samples" / "transcripts.tsv").read_text()
    assert "hello" in said and "missing.wav\terror" in said
    rows = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert {"eval/flow", "eval/text", "eval/stop"} <= rows[-1].keys() | rows[-2].keys()
    with pytest.raises(UserError, match="--resume"):
        train(config, tmp_path / "run")
    # The next stage starts from it, with the head of another run and another compressor.
    later = make_config(
        data, "model=null", f"init={tmp_path / 'run' / 'model'}",
        f"head_init={tmp_path / 'run' / 'model'}", "parts={compressor: cross_attention}",
    )  # fmt: skip
    assert train(later, tmp_path / "dry", dry_run=True).steps == 0
    assert not (tmp_path / "dry").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"durations": [0.1]}, "item 1: 3 phonemes but 1 durations"),
        ({"durations": [5.0, 1.0, 1.0]}, "durations of 7.00 s in all for a recording of"),
        ({"phonemes": "abc"}, "item 1: phonemes must be a list of strings"),
        ({"text": 5}, "item 1: text must be a string"),
        ({"seconds": "long"}, "manifest.jsonl:2"),
    ],
)
def test_bad_manifests_are_named_in_a_line(
    data: Path, tmp_path: Path, change: dict, words: str
) -> None:
    rows = [json.loads(line) for line in (data / "manifest.jsonl").read_text().splitlines()]
    rows[1] |= change
    (tmp_path / "manifest.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    source = f"[{{manifest: {json.dumps(str(tmp_path / 'manifest.jsonl'))}, split: null}}]"
    config = make_config(data, f"data.generation.train={source}", "data.ratio=[0,1]")
    with pytest.raises(ConfigError, match=words) as found:
        JointTask(config)
    assert "\n" not in str(found.value)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["data.ratio=[0,0]"], "ratio needs two whole numbers"),
        (["data.generation.train=[]"], r"generation\.train names no manifest"),
        (["learn=[backbones]"], "'backbones' is not a part"),
        (["learn=[generation_head]"], "no step of understanding reaches"),
        (["init=x"], "text language model as `init`, and not both"),
        (["data.generation.max_token=5"], "did you mean 'max_tokens'"),
        (["data.generation.max_tokens=3"], "no item fits into a batch of 3 tokens"),
        (["lora.targets=[nothing]"], "no linear layer's name matches"),
        (["loss.attention.weight=1.0", "loss.attention.layer=7"], "there is no layer 7 of 2"),
        (["model.audio_input=latent", "semantic=true"], "does not read a semantic module"),
        (["data.generation.curriculum=[{batches: 3, longest: 0.01}]"], "as short as"),
    ],
)  # fmt: skip
def test_wrong_settings_are_refused_in_words(data: Path, overrides: list, words: str) -> None:
    with pytest.raises(UserError, match=words) as found:
        JointTask(make_config(data, *overrides))
    assert "\n" not in str(found.value)


def test_shipped_configurations_are_the_papers() -> None:
    folder = shipped_config("stage1").parent
    found = {p.stem: load_config(p) for p in sorted(folder.glob("*.yaml"))}
    ratios = {name: config.data.ratio for name, config in found.items() if name.startswith("stage")}
    assert ratios["stage1"] == ratios["stage2"] == (1, 3) and ratios["stage3"] == (1, 6)
    for name, lr, eps, warmup in (
        ("stage1", 1e-4, 1e-5, 3000), ("stage2", 1e-5, 1e-5, 0), ("stage3", 1e-5, 1e-8, 0),
    ):  # fmt: skip
        optim, tasks = found[name].optim, found[name].data
        assert (optim.lr, optim.eps, optim.warmup_steps) == (lr, eps, warmup)
        assert optim.schedule == "constant"
        assert (tasks.understanding.max_tokens, tasks.generation.max_tokens) == (5500, 2000)
    assert [found[f"stage{i}"].semantic for i in (1, 2, 3)] == [False, False, True]
    assert found["stage1"].head_init and not found["stage0"].data.understanding.train
