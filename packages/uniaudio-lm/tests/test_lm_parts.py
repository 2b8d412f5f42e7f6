"""Every built-in part passes its slot's kit, broken ones do not; the paper's losses."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mingtok_audio.core.errors import UserError
from mingtok_audio.core.plugins import import_target
from uniaudio_lm.conformance import check_generation_head, check_stop_detector
from uniaudio_lm.interfaces import TextInfo
from uniaudio_lm.parts.backbones import moe
from uniaudio_lm.parts.heads.flow_matching import solver_times
from uniaudio_lm.parts.heads.mlp import MlpHead
from uniaudio_lm.parts.stop.guarded import GuardedStop
from uniaudio_lm.parts.stop.linear import LinearStop, weakly_supervised_loss
from uniaudio_lm.plugins import SLOTS, get_host

BUILTINS = [
    ("generation_head", "dit"),
    ("generation_head", "mlp"),
    ("stop_detector", "linear"),
    ("stop_detector", "guarded"),
    ("backbone", "bailing_moe"),
    ("backbone", "hf_causal_lm"),
    ("backbone", "dense"),
    ("aligner", "ctc"),
    ("phonemizer", "english"),
]


@pytest.mark.parametrize(("slot", "name"), BUILTINS)
def test_built_in_parts_pass_their_kit(slot: str, name: str) -> None:
    results = import_target(SLOTS[slot].conformance)(get_host().resolve(slot, name))
    assert len(results) >= 6
    assert not [r for r in results if not r.ok]


def test_kits_find_broken_parts() -> None:
    class Careless(MlpHead):
        def sample(self, cond, history, **options):  # noises of its own, whatever it is given
            options["init_noise"] = torch.randn(history.shape)
            return super().sample(cond, history, **options)

    class Endless(LinearStop):
        def _reason(self, info, fired, step):
            return ""

    failed = {r.check for r in check_generation_head(Careless) if not r.ok}
    assert {"randomness", "batch equals single"} <= failed
    failed = {r.check for r in check_stop_detector(Endless) if not r.ok}
    assert {"minimum and maximum", "broken numbers"} <= failed


def test_experts_agree_however_they_are_computed() -> None:
    torch.manual_seed(0)
    layer = moe.SparseMoe(16, 8, 6, 3, 16, 3, True).eval()
    x = torch.randn(40, 16)
    ids, weight = layer.router(x, torch.arange(40) % 2 == 0)
    with torch.no_grad():
        reference = torch.zeros(40, 16)
        for token in range(40):
            for k in range(3):
                gate, up = F.linear(x[token], layer.gate_up[ids[token, k]]).chunk(2)
                reference[token] += weight[token, k] * F.linear(
                    F.silu(gate) * up, layer.down[ids[token, k]]
                )
        for compute in (layer._grouped, layer._chosen, layer._gathered):
            assert torch.allclose(compute(x, ids, weight), reference, atol=1e-5)
    with_gradient = layer._grouped(x, ids, weight)
    assert torch.allclose(with_gradient, reference, atol=1e-5)


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 6, 7, 10, 12, 16, 33])
def test_solver_times_cover_the_path(steps: int) -> None:
    times = solver_times(steps)
    assert len(times) == steps + 1 and times[0] == 0 and times[-1] == 1
    assert bool((times.diff() > 0).all())


@pytest.mark.parametrize("steps", [0, -1, 2.5, True])
def test_wrong_step_counts_are_refused(steps) -> None:
    with pytest.raises(UserError, match="solver steps"):
        solver_times(steps)


def test_a_trained_head_samples_what_it_was_trained_on() -> None:
    torch.manual_seed(0)
    head = MlpHead(cond_dim=2, latent_dim=2, patch_size=1, width=64, depth=2)
    optimizer = torch.optim.Adam(head.parameters(), lr=3e-3)
    history = torch.zeros(128, 1, 2)
    for _ in range(250):
        label = torch.randint(2, (128,))
        cond = F.one_hot(label, 2).float()
        target = (2.0 * label - 1)[:, None, None] * torch.tensor([3.0, -2.0])
        loss = head.loss(cond, target, history)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    head.eval()
    cond = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    noise = torch.randn(2, 1, 2)
    made = head.sample(cond, history[:2], cfg_scale=0.0, init_noise=noise)[:, 0]
    wanted = torch.tensor([[-3.0, 2.0], [3.0, -2.0]])
    assert (made - wanted).abs().max() < 0.6


def test_stop_loss_follows_the_paper() -> None:
    logits = torch.zeros(1, 8, 2)
    logits[0, 2, 1] = 3.0  # the hardest negative
    logits[0, 4:7, 1] = 9.0  # the three before the last: ignored
    logits[0, 7, 1] = -1.0  # the last: positive
    positive = -math.log(1 / (1 + math.exp(1.0)))
    negative = -math.log(1 / (1 + math.exp(3.0)))
    expected = 0.01 * (positive + negative) / 2
    assert weakly_supervised_loss(logits, torch.tensor([8])).item() == pytest.approx(expected)
    only_positive = weakly_supervised_loss(logits[:, -2:], torch.tensor([2]))
    assert only_positive.item() == pytest.approx(0.01 * positive)


def _run(detector: LinearStop, info: TextInfo, patches: torch.Tensor, fire_at: int = 10**9):
    with torch.no_grad():
        detector.stop_head.weight.zero_()
        state = detector.start(1, [info])
        for step in range(1, len(patches) + 1):
            sign = 5.0 if step >= fire_at else -5.0
            detector.stop_head.bias.copy_(torch.tensor([-sign, sign]))
            made = detector.update(state, torch.zeros(1, 4), patches[step - 1][None], step)
            if made.reason[0]:
                return step, made.reason[0]
    return None, ""


def test_guards_name_what_ended_speech() -> None:
    generator = torch.Generator().manual_seed(0)
    speech = torch.randn(400, 5, 8, generator=generator)
    quiet = 0.01 * torch.randn(400, 5, 8, generator=generator)
    info = TextInfo(expected_seconds=5.0, silence=torch.zeros(8))
    assert _run(GuardedStop(4), info, speech, fire_at=40) == (40, "stop")
    assert _run(GuardedStop(4), info, speech, fire_at=2) == (15, "stop")  # 0.3 of 5 s
    assert _run(GuardedStop(4), info, speech) == (145, "max_length")  # 2.5 * 5 s + 2 s
    assert _run(GuardedStop(4), info, torch.cat((speech[:30], quiet))) == (50, "silence")
    loop = speech[:7].repeat(60, 1, 1)
    step, reason = _run(GuardedStop(4), info, loop)
    assert reason == "loop" and 60 <= step < 80
    # A text that repeats itself may sound like it: no loop while its length is as expected.
    assert _run(GuardedStop(4), TextInfo(expected_seconds=30.0), loop[:290])[1] == ""
    nan = torch.full((400, 5, 8), torch.nan)
    assert _run(GuardedStop(4), info, nan)[1] == "max_length"


def test_heads_train_without_conditions_some_of_the_time() -> None:
    head = MlpHead(cond_dim=3, latent_dim=2, patch_size=1, width=8, depth=1, cond_dropout=0.5)
    seen: list[torch.Tensor] = []
    hook = head.cond_in.register_forward_hook(lambda m, x, y: seen.append(x[0]))
    inputs = torch.ones(400, 3), torch.ones(400, 1, 2), torch.zeros(400, 1, 2)
    head.train().loss(*inputs)
    head.eval().loss(*inputs)
    hook.remove()
    dropped = [float((c.abs().sum(dim=1) == 0).float().mean()) for c in seen]
    assert 0.4 < dropped[0] < 0.6 and dropped[1] == 0
    assert isinstance(head, nn.Module)
