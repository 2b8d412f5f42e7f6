"""The kit of backbones."""

from __future__ import annotations

import inspect
from typing import Any

import torch

from mingtok_audio.core.plugins import CheckResult
from mingtok_audio.core.plugins.conformance import require
from uniaudio_lm.conformance.common import (
    DIM,
    TOLERANCE,
    Kit,
    difference,
    random,
    run,
    save_and_load,
)
from uniaudio_lm.interfaces import Backbone


def check_backbone(backbone: type, **options: Any) -> list[CheckResult]:
    """Check a backbone class against the rules of `Backbone`; `options` build it."""
    kit = BackboneKit(backbone, options or _backbone_options(backbone))
    return run(
        [
            ("shapes", kit.shapes),
            ("causality", kit.causality),
            ("steps equal whole", kit.steps),
            ("batch equals single", kit.batch),
            ("selected rows", kit.selection),
            ("branching texts", kit.branches),
            ("joined states", kit.joins),
            ("gradient", kit.gradient),
            ("save and load", kit.save_load),
        ]
    )


def _backbone_options(found: type) -> dict[str, Any]:
    """Sizes for a quick check, by the names that the class takes."""
    names = set(inspect.signature(found).parameters)
    if names == {"config"}:
        return {
            "config": {
                "model_type": "qwen2",
                "vocab_size": 40,
                "hidden_size": DIM,
                "intermediate_size": 32,
                "num_hidden_layers": 2,
                "num_attention_heads": 2,
                "num_key_value_heads": 1,
                "max_position_embeddings": 128,
                "pad_token_id": 0,
                "bos_token_id": 1,
                "eos_token_id": 2,
            }
        }
    sizes = {
        "vocab_size": 40,
        "dim": DIM,
        "num_layers": 2,
        "num_heads": 2,
        "num_kv_heads": 1,
        "head_dim": 16,
        "num_experts": 5,
        "experts_per_token": 2,
        "moe_dim": 16,
        "mlp_dim": 32,
    }
    return {k: v for k, v in sizes.items() if k in names}


class BackboneKit(Kit):
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
        embeds = random(1, 9, model.dim)
        changed = embeds.clone()
        changed[:, 5:] = random(1, 4, model.dim, seed=1)
        error = difference(model(embeds)[:, :5], model(changed)[:, :5])
        require(error <= TOLERANCE, f"a position changes by {error:.2g} with what is behind it")

    @torch.no_grad()
    def steps(self) -> str:
        model = self._model()
        embeds = random(2, 100, model.dim)
        whole, worst = model(embeds), 0.0
        # More than was reserved: the state has to grow.
        state = model.new_state(2, 8)
        at = 0
        for count in (6, 1, 1, 3, 1, 60, 28):
            part = model(embeds[:, at : at + count], state)
            worst = max(worst, difference(part, whole[:, at : at + count]))
            at += count
            require(state.length == at, f"the state has {state.length} slots after {at} tokens")
        require(worst <= TOLERANCE, f"steps differ from the whole by {worst:.2g}")
        return f"largest difference {worst:.1g}"

    @torch.no_grad()
    def batch(self) -> str:
        model = self._model()
        lengths, worst = [9, 4, 1, 6], 0.0
        longest = max(lengths)
        items = [random(1, n + 3, model.dim, seed=n) for n in lengths]
        embeds = 5 * random(4, longest, model.dim, seed=50)
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
            worst = max(worst, difference(joined, alone))
        require(worst <= TOLERANCE, f"an item differs by {worst:.2g} in a padded batch")
        return f"largest difference {worst:.1g}"

    @torch.no_grad()
    def selection(self) -> None:
        model = self._model()
        embeds = random(3, 8, model.dim)
        valid = torch.ones(3, 5, dtype=torch.bool)
        valid[1, :2] = False
        state = model.new_state(3, 16)
        model(embeds[:, :5], state, valid=valid)
        rows = torch.tensor([2, 1])
        state = state.select(rows)
        found = torch.cat([model(embeds[rows, t : t + 1], state) for t in (5, 6, 7)], dim=1)
        wanted = torch.cat([model(embeds[2:3])[:, 5:], model(embeds[1:2, 2:])[:, 3:]])
        error = difference(found, wanted)
        require(error <= TOLERANCE, f"selected rows go on with a difference of {error:.2g}")

    @torch.no_grad()
    def branches(self) -> None:
        """One prompt, several texts, of which some go on twice and others not at all."""
        model = self._model()
        said = random(3, 8, model.dim)
        state = model.new_state(1, 16)
        model(said[:1, :4], state)
        state = state.select(torch.zeros(3, dtype=torch.long))
        texts = said[:1, :4].expand(3, -1, -1)
        for t, rows in ((4, [2, 1, 2]), (5, [1, 0, 0]), (6, [2, 1])):
            texts = torch.cat((texts, said[:, t : t + 1]), dim=1)[rows]
            model(said[:, t : t + 1], state)
            state = state.select(torch.tensor(rows))
        found = model(said[:2, 7:], state)
        error = difference(found, model(torch.cat((texts, said[:2, 7:]), dim=1))[:, -1:])
        require(error <= TOLERANCE, f"texts with one beginning go on {error:.2g} differently")

    @torch.no_grad()
    def joins(self) -> str:
        """Texts that began apart go on together, leave, and are joined by others."""
        model = self._model()
        said = random(5, 14, model.dim)
        model(said[:2, :6], first := model.new_state(2, 8))
        valid = torch.ones(2, 3, dtype=torch.bool)
        valid[0, :1] = False
        model(said[2:4, :3], second := model.new_state(2, 8), valid=valid)
        state = first.joined(second)
        if state is None:
            return "states of this backbone stay apart"
        places = [[6, 0], [6, 0], [3, 1], [3, 0], [2, 0]]  # next token, first token of each row
        rows, worst = [0, 1, 2, 3], 0.0

        def step() -> None:
            nonlocal worst
            tokens = torch.stack([said[r, places[r][0]] for r in rows])[:, None]
            found = model(tokens, state)
            for at, r in enumerate(rows):
                end, start = places[r]
                whole = model(said[r : r + 1, start : end + 1])[:, -1]
                worst = max(worst, difference(found[at : at + 1, -1], whole))
                places[r][0] += 1

        step()
        state = state.select(torch.tensor([2, 3]))  # the long ones leave
        rows = [2, 3]
        step()
        model(said[4:, :2], third := model.new_state(1, 8))
        state = state.joined(third)
        require(state is not None, "the state can be joined once only")
        assert state is not None
        rows = [2, 3, 4]
        for _ in range(3):
            step()
        require(worst <= TOLERANCE, f"joined texts go on with a difference of {worst:.2g}")
        return f"largest difference {worst:.1g}"

    def gradient(self) -> str:
        model = self._model().train()
        ids = torch.randint(model.vocab_size, (4, 12))
        mask = torch.zeros(4, 12, dtype=torch.bool)
        mask[:, 3:7] = True
        hidden = model(model.embed(ids), audio_mask=mask)
        loss = torch.nn.functional.cross_entropy(model.logits(hidden).flatten(0, 1), ids.flatten())
        loss.backward()
        return self.reached(model)

    @torch.no_grad()
    def save_load(self) -> None:
        module, again = save_and_load(self.make, "backbone")
        embeds = random(1, 6, module.dim)
        require(torch.equal(module(embeds), again(embeds)), "loaded weights give other states")
