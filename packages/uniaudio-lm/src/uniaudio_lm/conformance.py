"""The conformance kits of the slots, run by `uniaudio plugins validate NAME`.

They are written for the interfaces: whoever writes a part can call them in a test of their own,
with the options that their class needs.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mingtok_audio.core.components import load_weights, save_component
from mingtok_audio.core.conformance import require, run_checks
from mingtok_audio.core.plugins import CheckResult
from uniaudio_lm.interfaces import Backbone, GenerationHead, StopDetector, TextInfo

_DIM, _LATENT, _PATCH = 24, 6, 3
_TOLERANCE = 1e-4
Checks = list[tuple[str, Callable[[], str | None]]]


def check_generation_head(head: type, **options: Any) -> list[CheckResult]:
    """Check a head class against the rules of `GenerationHead`; `options` build it."""
    kit = _HeadKit(head, _small(head, options, {"cond_dim": _DIM, "latent_dim": _LATENT,
                                                "patch_size": _PATCH}))  # fmt: skip
    return _run([
        ("shapes, steps and guidance", kit.shapes),
        ("guidance", kit.guidance),
        ("randomness", kit.randomness),
        ("batch equals single", kit.batch),
        ("gradient", kit.gradient),
        ("save and load", kit.save_load),
    ])  # fmt: skip


def check_stop_detector(detector: type, **options: Any) -> list[CheckResult]:
    """Check a detector class against the rules of `StopDetector`; `options` build it."""
    kit = _StopKit(detector, _small(detector, options, {"dim": _DIM}))
    return _run([
        ("decisions", kit.decisions),
        ("minimum and maximum", kit.bounds),
        ("batch equals single", kit.batch),
        ("broken numbers", kit.broken_numbers),
        ("gradient", kit.gradient),
        ("save and load", kit.save_load),
    ])  # fmt: skip


def check_backbone(backbone: type, **options: Any) -> list[CheckResult]:
    """Check a backbone class against the rules of `Backbone`; `options` build it."""
    kit = _BackboneKit(backbone, options or _backbone_options(backbone))
    return _run([
        ("shapes", kit.shapes),
        ("causality", kit.causality),
        ("steps equal whole", kit.steps),
        ("batch equals single", kit.batch),
        ("selected rows", kit.selection),
        ("gradient", kit.gradient),
        ("save and load", kit.save_load),
    ])  # fmt: skip


def _run(checks: Checks) -> list[CheckResult]:
    # A check must not change the randomness of whoever calls it.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return run_checks(checks)


_SMALL = {"hidden_size": 32, "depth": 2, "num_heads": 4, "width": 32, "dropout": 0.0}


def _small(found: type, options: dict[str, Any], needed: dict[str, Any]) -> dict[str, Any]:
    """Options for a quick check: small where the class has the usual names for sizes."""
    import inspect

    names = inspect.signature(found).parameters
    return {**needed, **{k: v for k, v in _SMALL.items() if k in names}, **options}


def _backbone_options(found: type) -> dict[str, Any]:
    """Sizes for a quick check, by the names that the class takes."""
    import inspect

    names = set(inspect.signature(found).parameters)
    if names == {"config"}:
        return {
            "config": {
                "model_type": "qwen2", "vocab_size": 40, "hidden_size": _DIM,
                "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
                "num_key_value_heads": 1, "max_position_embeddings": 128, "pad_token_id": 0,
                "bos_token_id": 1, "eos_token_id": 2,
            }
        }  # fmt: skip
    sizes = {
        "vocab_size": 40, "dim": _DIM, "num_layers": 2, "num_heads": 2, "num_kv_heads": 1,
        "head_dim": 16, "num_experts": 5, "experts_per_token": 2, "moe_dim": 16,
    }  # fmt: skip
    return {k: v for k, v in sizes.items() if k in names}


def _random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def _shaken(module: Any) -> Any:
    """Random weights of a usual size: zero-initialised layers would hide what they do."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in module.parameters():
            p.add_(torch.randn(p.shape, generator=generator) * 0.1)
    return module.eval()


def _difference(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max()) if a.numel() else 0.0


def _save_and_load(make: Callable[[], Any], slot: str) -> tuple[Any, Any]:
    module = _shaken(make())
    with tempfile.TemporaryDirectory() as name:
        save_component(Path(name), module, slot=slot, name="under_test", options={})
        again = make().eval()
        if module.state_dict():
            load_weights(again, Path(name), "the saved component")
    return module, again


class _Kit:
    interface: type = nn.Module

    def __init__(self, found: type, options: dict[str, Any]) -> None:
        self._class, self._options = found, options

    def make(self) -> Any:
        built = self._class(**self._options)
        require(isinstance(built, self.interface), f"it is not a {self.interface.__name__}")
        return built

    def _reached(self, module: nn.Module) -> str:
        missing = [n for n, p in module.named_parameters() if p.requires_grad and p.grad is None]
        require(not missing, f"no gradient reaches {', '.join(missing[:5])}")
        return f"{sum(p.numel() for p in module.parameters())} parameters"


class _HeadKit(_Kit):
    interface = GenerationHead

    def _inputs(self, count: int) -> tuple[Tensor, Tensor, Tensor]:
        shape = (count, _PATCH, _LATENT)
        return _random(count, _DIM), _random(*shape, seed=1), _random(*shape, seed=2)

    def shapes(self) -> str:
        head = _shaken(self.make())
        cond, history, noise = self._inputs(3)
        for steps in (1, 2, 5, 10):
            for scale in (0.0, 0.5, 1.0, 2.0):
                out = head.sample(cond, history, num_steps=steps, cfg_scale=scale, init_noise=noise)
                require(out.shape == noise.shape, f"a patch is {tuple(out.shape)}")
                require(bool(out.isfinite().all()), f"{steps} steps, guidance {scale}: not finite")
        return "1 to 10 steps, guidance 0 to 2"

    def guidance(self) -> None:
        head = _shaken(self.make())
        cond, history, noise = self._inputs(2)
        found = [
            head.sample(cond, history, num_steps=1, cfg_scale=s, init_noise=noise)
            for s in (0.0, 1.0, 2.0)
        ]
        # One Euler step is linear in the velocity, and that in the guidance.
        error = _difference(found[2] - found[1], found[1] - found[0])
        require(error <= _TOLERANCE, f"one step is not linear in the guidance: {error:.2g}")
        require(_difference(found[0], found[2]) > 0, "guidance changes nothing")

    def randomness(self) -> None:
        head = _shaken(self.make())
        cond, history, noise = self._inputs(2)

        def sample(seed: int) -> Tensor:
            torch.manual_seed(seed + 100)  # the global generator must not matter
            generators = [torch.Generator().manual_seed(seed + i) for i in range(2)]
            return head.sample(cond, history, num_steps=3, temperature=1.0, generators=generators)

        first = sample(0)
        require(torch.equal(first, sample(0)), "the same generators give other patches")
        require(_difference(first, sample(5)) > 0, "the generators change nothing")
        cold = [head.sample(cond, history, num_steps=3, init_noise=noise) for _ in range(2)]
        require(torch.equal(*cold), "temperature 0 with a given initial draw is not deterministic")

    def batch(self) -> str:
        head = _shaken(self.make())
        cond, history, noise = self._inputs(4)
        steps = _random(3, 4, _PATCH, _LATENT, seed=3)
        options: dict[str, Any] = {"num_steps": 3, "temperature": 1.5}
        whole = head.sample(cond, history, init_noise=noise, step_noise=steps, **options)
        worst = 0.0
        for i in range(4):
            one = slice(i, i + 1)
            alone = head.sample(
                cond[one], history[one], init_noise=noise[one], step_noise=steps[:, one], **options
            )
            worst = max(worst, _difference(alone, whole[one]))
        require(worst <= _TOLERANCE, f"an item differs by {worst:.2g} in a batch")
        return f"largest difference {worst:.1g}"

    def gradient(self) -> str:
        head = _shaken(self.make()).train()
        cond, history, target = self._inputs(6)
        cond.requires_grad_()
        generator = torch.Generator().manual_seed(0)
        loss = head.loss(cond, target, history, num_samples=2, generator=generator)
        require(loss.dim() == 0 and bool(loss.isfinite()), "the loss is no finite scalar")
        loss.backward()
        require(cond.grad is not None and bool(cond.grad.any()), "no gradient reaches cond")
        return self._reached(head)

    def save_load(self) -> None:
        module, again = _save_and_load(self.make, "generation_head")
        cond, history, noise = self._inputs(2)
        one, two = (m.sample(cond, history, num_steps=2, init_noise=noise) for m in (module, again))
        require(torch.equal(one, two), "loaded weights give other patches")


class _StopKit(_Kit):
    interface = StopDetector

    def decisions(self) -> None:
        detector = _shaken(self.make())
        state = detector.start(3, [TextInfo()] * 3)
        for step in range(1, 4):
            made = detector.update(state, _random(3, _DIM), _random(3, _PATCH, _LATENT), step)
            require(made.stop.shape == (3,) and made.stop.dtype == torch.bool, "stop is no (N,)")
            require(len(made.reason) == 3 and made.probability.shape == (3,), "not one per item")
            known = {"", "stop", "max_length", "silence", "loop"}
            require(set(made.reason) <= known, f"unknown reason in {made.reason}")
            agree = [bool(r) for r in made.reason] == made.stop.tolist()
            require(agree, "stop and reason disagree")

    def bounds(self) -> None:
        detector = _shaken(self.make())
        info = TextInfo(min_patches=4, max_patches=9, expected_seconds=0.6)
        for scale in (-50.0, 0.0, 50.0):
            state = detector.start(1, [info])
            for step in range(1, 10):
                hidden = scale * _random(1, _DIM)
                made = detector.update(state, hidden, _random(1, _PATCH, _LATENT, seed=step), step)
                early = step < 4 and made.reason[0] == "stop"
                require(not early, f"it stopped at patch {step}, before the minimum of 4")
                if made.reason[0]:
                    break
            require(bool(made.reason[0]), "it went past the maximum")

    def batch(self) -> None:
        detector = _shaken(self.make())
        hidden = 3 * _random(8, 4, _DIM)
        patches = _random(8, 4, _PATCH, _LATENT, seed=1)
        infos = [TextInfo(max_patches=n) for n in (3, 8, 5, 6)]
        alone = []
        for i in range(4):
            state = detector.start(1, [infos[i]])
            alone.append([
                detector.update(state, hidden[t, i : i + 1], patches[t, i : i + 1], t + 1).reason[0]
                for t in range(8)
            ])  # fmt: skip
        state, items = detector.start(4, infos), [0, 1, 2, 3]
        for t in range(8):
            if t == 2:
                items = [0, 3, 2]
                state = detector.select(state, items)
            made = detector.update(state, hidden[t, items], patches[t, items], t + 1)
            expected = [alone[i][t] for i in items]
            require(made.reason == expected, f"patch {t + 1}: {made.reason}, alone {expected}")

    def broken_numbers(self) -> None:
        detector = _shaken(self.make())
        state = detector.start(1, [TextInfo(max_patches=5)])
        nan = torch.full((1, _DIM), torch.nan)
        reason = ""
        for step in range(1, 6):
            made = detector.update(state, nan, torch.full((1, _PATCH, _LATENT), torch.nan), step)
            reason = made.reason[0]
            if reason:
                break
        require(reason == "max_length", f"NaN ended with {reason!r}")

    def gradient(self) -> str:
        detector = _shaken(self.make()).train()
        hidden = _random(2, 12, _DIM).requires_grad_()
        loss = detector.loss(hidden, torch.tensor([12, 7]))
        require(loss.dim() == 0 and bool(loss.isfinite()), "the loss is no finite scalar")
        loss.backward()
        require(hidden.grad is not None, "no gradient reaches the hidden states")
        assert hidden.grad is not None
        require(not bool(hidden.grad[1, 7:].any()), "a gradient reaches the padding")
        return self._reached(detector)

    def save_load(self) -> None:
        module, again = _save_and_load(self.make, "stop_detector")
        found = []
        for detector in (module, again):
            state = detector.start(2, [TextInfo()] * 2)
            made = detector.update(state, _random(2, _DIM), _random(2, _PATCH, _LATENT), 20)
            found.append(made.probability)
        require(torch.equal(*found), "loaded weights give other probabilities")


class _BackboneKit(_Kit):
    interface = Backbone

    def _model(self) -> Backbone:
        torch.manual_seed(0)
        return self.make().eval()

    @torch.no_grad()
    def shapes(self) -> str:
        model = self._model()
        ids = torch.randint(model.vocab_size, (2, 7))
        embeds = model.embed(ids)
        require(embeds.shape == (2, 7, model.dim), f"embeddings are {tuple(embeds.shape)}")
        hidden = model(embeds)
        require(hidden.shape == embeds.shape, f"hidden states are {tuple(hidden.shape)}")
        logits = model.logits(hidden)
        require(logits.shape == (2, 7, model.vocab_size), f"logits are {tuple(logits.shape)}")
        require(logits.dtype == torch.float32, f"logits are {logits.dtype}")
        return f"dim {model.dim}, vocabulary {model.vocab_size}"

    @torch.no_grad()
    def causality(self) -> None:
        model = self._model()
        embeds = _random(1, 9, model.dim)
        changed = embeds.clone()
        changed[:, 5:] = _random(1, 4, model.dim, seed=1)
        error = _difference(model(embeds)[:, :5], model(changed)[:, :5])
        require(error <= _TOLERANCE, f"a position changes by {error:.2g} with what is behind it")

    @torch.no_grad()
    def steps(self) -> str:
        model = self._model()
        embeds = _random(2, 100, model.dim)
        whole, worst = model(embeds), 0.0
        # More than was reserved: the state has to grow.
        state = model.new_state(2, 8)
        at = 0
        for count in (6, 1, 1, 3, 1, 60, 28):
            part = model(embeds[:, at : at + count], state)
            worst = max(worst, _difference(part, whole[:, at : at + count]))
            at += count
            require(state.length == at, f"the state has {state.length} slots after {at} tokens")
        require(worst <= _TOLERANCE, f"steps differ from the whole by {worst:.2g}")
        return f"largest difference {worst:.1g}"

    @torch.no_grad()
    def batch(self) -> str:
        model = self._model()
        lengths, worst = [9, 4, 1, 6], 0.0
        longest = max(lengths)
        items = [_random(1, n + 3, model.dim, seed=n) for n in lengths]
        embeds = 5 * _random(4, longest, model.dim, seed=50)
        valid = torch.zeros(4, longest, dtype=torch.bool)
        for i, n in enumerate(lengths):
            embeds[i, longest - n :] = items[i][0, :n]
            valid[i, longest - n :] = True
        state = model.new_state(4, 16)
        outs = [model(embeds, state, valid=valid)]
        for k in range(3):
            column = torch.cat(
                [item[:, n + k : n + k + 1] for item, n in zip(items, lengths, strict=True)]
            )
            outs.append(model(column, state))
        for i, n in enumerate(lengths):
            alone = model(items[i])
            joined = torch.cat(
                [outs[0][i : i + 1, longest - n :], *(o[i : i + 1] for o in outs[1:])], 1
            )
            worst = max(worst, _difference(joined, alone))
        require(worst <= _TOLERANCE, f"an item differs by {worst:.2g} in a padded batch")
        return f"largest difference {worst:.1g}"

    @torch.no_grad()
    def selection(self) -> None:
        model = self._model()
        embeds = _random(3, 8, model.dim)
        valid = torch.ones(3, 5, dtype=torch.bool)
        valid[1, :2] = False
        state = model.new_state(3, 16)
        model(embeds[:, :5], state, valid=valid)
        rows = torch.tensor([2, 1])
        state = state.select(rows)
        found = torch.cat([model(embeds[rows, t : t + 1], state) for t in (5, 6, 7)], dim=1)
        wanted = torch.cat([model(embeds[2:3])[:, 5:], model(embeds[1:2, 2:])[:, 3:]])
        error = _difference(found, wanted)
        require(error <= _TOLERANCE, f"selected rows go on with a difference of {error:.2g}")

    def gradient(self) -> str:
        model = self._model().train()
        ids = torch.randint(model.vocab_size, (4, 12))
        mask = torch.zeros(4, 12, dtype=torch.bool)
        mask[:, 3:7] = True
        hidden = model(model.embed(ids), audio_mask=mask)
        loss = torch.nn.functional.cross_entropy(model.logits(hidden).flatten(0, 1), ids.flatten())
        loss.backward()
        return self._reached(model)

    @torch.no_grad()
    def save_load(self) -> None:
        module, again = _save_and_load(self.make, "backbone")
        embeds = _random(1, 6, module.dim)
        require(torch.equal(module(embeds), again(embeds)), "loaded weights give other states")
