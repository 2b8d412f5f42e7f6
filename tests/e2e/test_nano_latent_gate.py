"""The latent gate's small speaker: what it is told, and what its table says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

DIMS, PATCHES = 3, 7


@pytest.fixture
def gate(script: Callable[[str], ModuleType]) -> ModuleType:
    return script("latent_gate")


@torch.no_grad()
def test_a_patch_is_told_the_past_and_the_next_phonemes(gate: ModuleType) -> None:
    torch.manual_seed(0)
    speaker = gate.Speaker(DIMS).eval()
    history = torch.randn(1, PATCHES, gate.PATCH, DIMS)
    phonemes = torch.randint(1, 30, (1, PATCHES, gate.PATCH))
    before = speaker(history, phonemes)
    for place in range(PATCHES):
        heard, told = history.clone(), phonemes.clone()
        heard[:, place] += 1
        told[:, place] = 31
        changed = (speaker(heard, phonemes) - before).abs().amax(dim=(0, 2)) > 1e-6
        assert changed.tolist() == [i >= place for i in range(PATCHES)]
        changed = (speaker(history, told) - before).abs().amax(dim=(0, 2)) > 1e-6
        assert changed.tolist() == [i >= place - 1 for i in range(PATCHES)]


def sentence(gate: ModuleType, patches: int, seed: int) -> Any:
    draw = torch.Generator().manual_seed(seed)
    phonemes = torch.randint(1, 30, (patches, gate.PATCH), generator=draw)
    latents = torch.randn(patches, gate.PATCH, DIMS, generator=draw)
    return gate.Sentence(f"{seed}", "so it is", latents, phonemes)


def test_each_sentence_is_said_to_its_end_as_if_alone(gate: ModuleType) -> None:
    torch.manual_seed(0)
    speaker = gate.Speaker(DIMS).eval()
    torch.nn.init.normal_(speaker.head.final.weight, std=0.1)
    both = [sentence(gate, 4, 1), sentence(gate, 6, 2)]
    said = speaker.say(both, seed=5)
    assert [len(s) for s in said] == [4, 6]
    alone = speaker.say(both[:1], seed=5)[0]
    # The last patch is told that nothing follows, or the padding, which is the same.
    assert torch.allclose(said[0], alone, atol=1e-5)
    assert not torch.allclose(alone, speaker.say(both[:1], seed=6)[0], atol=0.1)


def test_the_speaker_learns(gate: ModuleType) -> None:
    torch.manual_seed(0)
    speaker = gate.Speaker(DIMS)
    batch = [sentence(gate, 5, 3)]
    optimizer = torch.optim.AdamW(speaker.parameters(), lr=1e-3)
    losses = []
    for _ in range(60):
        loss = speaker.loss(batch, draws=8)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-5:]) < 0.5 * sum(losses[:5])


def test_the_table(gate: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, rate in (("all", 90.0), ("few", 20.0)):
        folder = tmp_path / name
        for kind in ("copied", "said"):
            (folder / f"{kind}-score").mkdir(parents=True)
            value = 2.0 if kind == "copied" else rate
            found = {"metrics": {"wer": {"value": value, "ci95": [value - 1, value + 1]}}}
            (folder / f"{kind}-score" / "results.json").write_text(json.dumps(found))
        known = {"candidate": name, "dims": 26, "flow_loss": 0.5}
        (folder / "gate.json").write_text(json.dumps(known))
    gate.table(tmp_path)
    assert capsys.readouterr().out.splitlines()[2:] == [
        "| all | 26 | 0.50 | 2.0 % [1.0, 3.0] | 90.0 % [89.0, 91.0] |",
        "| few | 26 | 0.50 | 2.0 % [1.0, 3.0] | 20.0 % [19.0, 21.0] |",
    ]
