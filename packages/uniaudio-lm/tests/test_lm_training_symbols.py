"""Learning from phonemes in the place of audio, and what a compressor takes from it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from lm_training_data import make_config

from mingtok_audio.core.errors import ConfigError
from mingtok_audio.trainer.loop import Trainer
from mingtok_audio.training.manifests import Recording
from uniaudio_lm.checkpoint.load import load_model
from uniaudio_lm.parts.aligners.units import PHONES
from uniaudio_lm.training.joint import JointTask
from uniaudio_lm.training.losses import FrameHead
from uniaudio_lm.training.run import train
from uniaudio_lm.training.symbols import known_symbols, read_symbols, write_symbols
from uniaudio_lm.training.times import phonemes_in_frames
from uniaudio_lm.training.utterances import Utterance

SILENT = (
    "data.audio=phonemes", "loss.flow=0", "loss.phoneme=1.0", "learn=[backbone, stop_detector]",
    "loss.attention={weight: 0.2, layer: 1, heads: [0], answer_heads: [1], hold: 100, until: 200}",
)  # fmt: skip


@pytest.fixture(scope="module")
def silent_run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("silent")
    config = make_config(data, *SILENT, "trainer.max_steps=40", "optim.lr=0.01")
    train(config, folder)
    return folder


def test_no_recording_is_read(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = JointTask(make_config(data, *SILENT))
    for store in task.stores.values():
        monkeypatch.setattr(store, "get", lambda *_: pytest.fail("a recording was read"))
    for number in range(6):
        total, parts = task.loss(number, torch.Generator().manual_seed(number))
        assert torch.isfinite(total) and "flow" not in parts
    total.backward()
    assert task.model.symbols is not None and task.model.symbols.grad is not None
    assert float(task.model.symbols.grad.abs().max()) > 0


def test_embeddings_of_phonemes_are_written_and_taught(data: Path, silent_run: Path) -> None:
    table = read_symbols(silent_run / "symbols.safetensors")
    model = load_model(silent_run / "model")
    assert set(table) >= {"_", "o"} and all(len(row) == model.dim for row in table.values())
    config = make_config(
        data, "model=null", f"init={silent_run / 'model'}",
        f"symbols={silent_run / 'symbols.safetensors'}", "learn=[compressor, adapter]",
        "loss={flow: 0, text: 0, stop: 0, symbols: 1.0}", "optim.lr=0.02", "trainer.max_steps=80",
    )  # fmt: skip
    task = JointTask(config)
    before = {k: v.clone() for k, v in task.model.lm.backbone.state_dict().items()}
    errors = []
    trainer = Trainer(task, config.optim, config.trainer, silent_run / "taught")
    for number in (0, 1):
        errors.append(float(task.loss(number, torch.Generator().manual_seed(0))[0].detach()))
    trainer.run()
    after = [float(task.loss(n, torch.Generator().manual_seed(0))[0].detach()) for n in (0, 1)]
    assert max(after) < 0.5 * min(errors)
    assert all(torch.equal(v, before[k]) for k, v in task.model.lm.backbone.state_dict().items())


def test_embeddings_that_are_given_stay(data: Path, silent_run: Path, tmp_path: Path) -> None:
    file = silent_run / "symbols.safetensors"
    changes = ("model=null", f"init={silent_run / 'model'}", f"symbols={file}")
    config = make_config(data, *SILENT, *changes, "trainer.max_steps=3")
    train(config, tmp_path / "more")
    before, after = read_symbols(file), read_symbols(tmp_path / "more" / "symbols.safetensors")
    assert list(before) == list(after)
    assert all(torch.equal(row, after[name]) for name, row in before.items())
    old, new = (load_model(f / "model") for f in (silent_run, tmp_path / "more"))
    pairs = zip(old.backbone.parameters(), new.backbone.parameters(), strict=True)
    assert not all(torch.equal(a, b) for a, b in pairs)


def test_phonemes_without_an_embedding_are_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = write_symbols(tmp_path / "symbols.safetensors", ["a", "b"], torch.zeros(2, 4))
    assert known_symbols(file, ["a", "b"]) == ["a", "b"] and not caplog.text
    assert known_symbols(file, ["b", "x", "y"]) == ["b"]
    assert "no embedding of x y" in caplog.text
    with pytest.raises(ConfigError, match="none of the manifests' phonemes"):
        known_symbols(file, ["x"])


def test_a_semantic_module_learns_the_phonemes_of_frames(data: Path, tmp_path: Path) -> None:
    config = make_config(
        data, "data.ratio=[1,0]", "semantic=true", "learn=[compressor]", "trainer.max_steps=60",
        "loss={flow: 0, text: 0, stop: 0, frames: 1.0, frame_delays: [0, 2]}", "optim.lr=0.01",
    )  # fmt: skip
    task = JointTask(config)
    batch = task.corpora.train["understanding"].batch(0)
    assert batch.heard is not None and batch.heard.shape == batch.mean.shape[:2]
    rows = task.corpora.train["understanding"].items
    third = round(rows[0].recording.seconds * 50 / 3)
    assert batch.heard[0, :3].tolist() == [0, 0, 0]  # silence in front
    known = (batch.heard >= 0).sum(dim=1)
    assert bool((known <= batch.frames).all()) and int(known.max()) > third
    before = {k: v.clone() for k, v in task.model.lm.state_dict().items()}
    first = float(task.loss(0, torch.Generator().manual_seed(0))[0].detach())
    Trainer(task, config.optim, config.trainer, tmp_path / "run").run()
    last = float(task.loss(0, torch.Generator().manual_seed(0))[0].detach())
    assert last < 0.7 * first
    moved = {k for k, v in task.model.lm.state_dict().items() if not torch.equal(v, before[k])}
    assert {".".join(k.split(".")[:2]) for k in moved} == {"tokenizer.semantic"}
    saved = load_model(task.save_pretrained(task.model, tmp_path / "model"))
    name = "tokenizer.semantic.input_proj.weight"
    assert not torch.equal(saved.state_dict()[name], before[name])


def test_a_delay_asks_for_what_was_said_before() -> None:
    head = FrameHead(len(PHONES) + 1, 2)
    for layer in head.layers:
        torch.nn.init.eye_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    heard = torch.tensor([[3, 5, 7, -100]])
    shown = torch.nn.functional.one_hot(heard.clamp_min(0), len(PHONES) + 1).float() * 50
    late = torch.nn.functional.pad(shown, (0, 0, 1, 0))[:, :4]
    right, wrong = (float(head.loss(x, heard, (d, d)).detach()) for x, d in ((late, 1), (late, 0)))
    assert right < 1e-3 and wrong > 10
    assert float(head.loss(shown, heard, (0, 0)).detach()) < 1e-3
    nothing = head.loss(shown, torch.full_like(heard, -100), (0, 1))
    assert float(nothing.detach()) == 0.0
    short = head.loss(shown[:, :2], heard[:, :2], (4, 2))  # nothing is known so early
    assert float(short.detach()) == 0.0


def test_speech_has_phonemes_of_frames_too(data: Path) -> None:
    config = make_config(data, "data.ratio=[0,1]", "semantic=true", "loss.frames=1.0")
    task = JointTask(config)
    batch = task.corpora.train["generation"].batch(0)
    assert batch.heard is not None and batch.heard.shape == batch.mean.shape[:2]
    assert "frames" in task.loss(0, torch.Generator().manual_seed(0))[1]


def test_frames_of_items_without_times_and_of_unknown_phonemes() -> None:
    recording = Recording(Path("x"), 0.0, 1.0, "x", "a")
    said = Utterance(recording, "a", "en", "s", 1.0, ("a",))
    assert phonemes_in_frames(said, 3, 50.0).tolist() == [-100] * 3
    strange = Utterance(recording, "a", "en", "s", 1.0, ("ж",), (1.0,))
    with pytest.raises(ConfigError, match="item x: the phoneme 'ж'"):
        phonemes_in_frames(strange, 3, 50.0)


def test_times_of_an_answer(data: Path, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in (data / "manifest.jsonl").read_text().splitlines()]
    row = rows[0]
    row |= {"text": "ab cd", "phonemes": ["_", "a", "b", " ", "c", "d", "_"], "seconds": 1.1,
            "durations": [0.1, 0.2, 0.2, 0.1, 0.2, 0.2, 0.1],
            "audio": str(data / row["audio"])}  # fmt: skip
    (tmp_path / "manifest.jsonl").write_text(json.dumps(row) + "\n")
    config = make_config(
        data, *SILENT, "data.ratio=[1,0]",
        f"data.understanding.train=[{{manifest: {tmp_path / 'manifest.jsonl'}, split: null}}]",
        "data.understanding.valid=[]",
    )  # fmt: skip
    task = JointTask(config)
    batch = task.corpora.train["understanding"].batch(0)
    assert batch.said is not None
    text = task.model.lm.text_tokenizer
    start, count = int(batch.starts[0]), int(batch.counts[0])
    answer = int((batch.labels[0] != -100).sum())
    assert int(batch.queries[0]) == int(batch.lengths[0]) - answer - 1
    inside = batch.said[0, :answer, start : start + count]
    assert not bool(batch.said[0, :, :start].any())
    pieces = [text.decode([int(i)]) for i in batch.ids[0, int(batch.lengths[0]) - answer :]]
    for piece, patches in zip(pieces, inside, strict=True):
        middle = patches.nonzero().float().mean() * task.model.lm.patch_seconds
        if piece.strip() in ("a", "ab"):
            assert 0.1 <= float(middle) <= 0.45, piece
        if piece.strip() in ("d", "cd"):
            assert 0.6 <= float(middle) <= 1.0, piece
    assert not bool(inside[-1].any())  # the end is said nowhere


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (("data.audio=phonemes",), "set loss.flow to 0"),
        (("loss.symbols=1.0",), "needs the embeddings"),
        (("loss.frames=1.0",), "set semantic: true"),
        (("loss.frames=1.0", "semantic=true", "loss.frame_delays=[-1]"), "frame_delays"),
        (("loss.symbols=1.0", "symbols=none.safetensors"), "cannot be read"),
    ],
)
def test_wrong_settings_are_refused(data: Path, changes: tuple[str, ...], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        JointTask(make_config(data, *changes))
