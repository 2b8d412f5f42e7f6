"""Edit training learns: a toy kind of deletion, learned from pairs, is right on held-out pairs.
After training on pairs with shuffled answers it is not.

A word of the toy language is a tone, a recording is two of them, and an edit deletes one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from mingtok_audio.config import MingTokConfig, TransformerConfig
from mingtok_audio.models.mingtok import MingTok
from mingtok_audio.trainer.loop import OptimConfig, TrainerConfig
from uniaudio_edit.data.cot import MASK, published_prompt
from uniaudio_edit.training.run import train
from uniaudio_edit.training.settings import EditConfig, EditData, EditLoss
from uniaudio_lm.checkpoint.load import load_model
from uniaudio_lm.checkpoint.save import save_model
from uniaudio_lm.config import PartConfig, Sampling, UniAudioConfig
from uniaudio_lm.model.speech_lm import SpeechLM
from uniaudio_lm.tasks.edit import NoSpeechError, edit, source_latents
from uniaudio_lm.training.initial import init_backbone, learn_tokenizer
from uniaudio_lm.training.settings import Latents

pytest.importorskip("accelerate")
RATE, EACH, HELD, STEPS = 16000, 3200, 8, 400
TONES = {"red": 200, "tan": 400, "sky": 700, "jet": 1200, "oak": 2000}
"""Hz: whole periods in a frame of 20 ms, so that all frames of a word are alike."""
Case = tuple[str, str, str]


def sound(words: Sequence[str]) -> np.ndarray:
    """(T,) float32: the words one after the other."""
    t = np.arange(EACH) / RATE
    return np.concatenate([0.3 * np.sin(2 * np.pi * TONES[w] * t) for w in words]).astype("float32")


def answer(case: Case) -> tuple[str, str]:
    """The word that stays, and the chain of thought."""
    first, second, gone = case
    return (second, f"{MASK}{MASK} {second}") if gone == first else (first, f"{first}{MASK}{MASK}")


def write_pairs(folder: Path, cases: Sequence[Case], answers: Sequence[tuple[str, str]]) -> Path:
    """Pairs as `uniaudio edit-data` lays them out."""
    folder.mkdir()
    rows = []
    for n, ((first, second, gone), (kept, cot)) in enumerate(zip(cases, answers, strict=True)):
        soundfile.write(folder / f"{n}-source.wav", sound((first, second)), RATE)
        soundfile.write(folder / f"{n}-target.wav", sound((kept,)), RATE)
        rows.append({
            "id": str(n), "source": f"{n}-source.wav", "target": f"{n}-target.wav",
            "source_seconds": 2 * EACH / RATE, "seconds": EACH / RATE,
            "instruction": f"delete '{gone}'", "cot": cot, "use_cot": True, "target_spans": [],
        })  # fmt: skip
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model of random weights, with [MASK] as one token."""
    torch.manual_seed(0)
    part = TransformerConfig(dim=32, num_layers=1, num_heads=2, mlp_dim=48, window=8)
    tokenizer = MingTok(MingTokConfig(encoder=part, decoder=part, semantic=part, latent_dim=8))
    said = [published_prompt(f"delete '{word}'") for word in TONES] + list(TONES) * 4
    text = learn_tokenizer(said, 60)
    with torch.no_grad():
        latents = torch.cat([tokenizer.encode_posterior(sound([w]), RATE).mean[0] for w in TONES])
    width = {"dim": 64, "num_layers": 2, "num_heads": 4, "mlp_dim": 128}
    config = UniAudioConfig(
        backbone=PartConfig("dense", {"vocab_size": text.vocab_size, **width}),
        generation_head=PartConfig("mlp", {"width": 64, "depth": 2}),
        stop_detector=PartConfig("linear"),
        compressor=PartConfig("linear_pooling", {"out_dim": 24}),
        latent_mean=latents.mean(0).tolist(),
        latent_std=latents.std(0).clamp_min(1e-3).tolist(),
        sampling=Sampling(num_steps=5, cfg_scale=0.0),
    )
    lm = SpeechLM(config, tokenizer.config, text)
    lm.tokenizer.load_state_dict(tokenizer.state_dict())
    init_backbone(lm.backbone)
    return save_model(lm.eval(), tmp_path_factory.mktemp("start") / "model")


Trained = tuple[int, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def learned(start: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[bool], Trained]:
    """`learned(shuffled)`: held-out edits that the trained model makes right, and the log."""

    def run(shuffled: bool) -> Trained:
        folder = tmp_path_factory.mktemp("learned")
        cases = [(a, b, x) for a in TONES for b in TONES if a != b for x in (a, b)]
        order = np.random.default_rng(0).permutation(len(cases))
        held, shown = [cases[i] for i in order[:HELD]], [cases[i] for i in order[HELD:]]
        answers = [answer(case) for case in shown]
        if shuffled:
            rng, own = np.random.default_rng(1), answers
            while any(a == b for a, b in zip(answers, own, strict=True)):
                answers = [own[i] for i in rng.permutation(len(own))]
        write_pairs(folder / "train", shown, answers)
        write_pairs(folder / "valid", held, [answer(case) for case in held])
        config = EditConfig(
            data=EditData(
                [str(folder / "train")],
                [str(folder / "valid")],
                max_tokens=1200,
                latents=Latents(str(folder / "latents"), draw="mean"),
            ),
            init=str(start),
            loss=EditLoss(draws=4),
            optim=OptimConfig(lr=0.002, beta1=0.9, schedule="constant", warmup_steps=10),
            trainer=TrainerConfig(
                max_steps=STEPS, log_every=10, evaluate_every=STEPS, device="cpu", ema_decay=0.0
            ),
        )
        train(config, folder / "run")
        log = [json.loads(line) for line in (folder / "run/log.jsonl").read_text().splitlines()]
        return count_right(folder / "run" / "model", held), log

    return run


def count_right(model: Path, cases: Sequence[Case]) -> int:
    """Edits with the right chain of thought, whose speech is nearest to the right word's."""
    lm = load_model(model)
    words = {word: source_latents(lm, sound([word]), RATE)[0].mean(0) for word in TONES}
    right = 0
    for case in cases:
        kept, cot = answer(case)
        sentence = published_prompt(f"delete '{case[2]}'")
        try:
            made = edit(
                lm, sound(case[:2]), RATE, sentence, use_cot=True, sampling=lm.config.sampling
            )
        except NoSpeechError:
            continue
        assert made.run.latents is not None
        spoken = made.run.latents[0].mean(0)
        distance = {word: float((spoken - value).norm()) for word, value in words.items()}
        right += made.answer == cot and min(distance, key=distance.__getitem__) == kept
    return right


def test_edit_training_learns_a_kind_of_edit(learned: Callable[[bool], Trained]) -> None:
    right, log = learned(False)
    first, last = log[0], [row for row in log if "text" in row][-1]
    assert last["text"] < 0.05 * first["text"]
    assert last["flow"] < 0.3 * first["flow"]
    held = [row for row in log if "eval/text" in row][-1]
    assert held["eval/text"] < 0.15 * first["text"]
    assert held["eval/flow"] < 0.3 * first["flow"]
    assert right >= 5


def test_shuffled_answers_teach_no_edit(learned: Callable[[bool], Trained]) -> None:
    """The same recordings, instructions and answers, but no answer belongs to its instruction."""
    right, log = learned(True)
    held = [row for row in log if "eval/text" in row][-1]
    assert held["eval/text"] > 0.15 * log[0]["text"]
    assert right <= 3
