"""Any causal language model of transformers as a backbone, fed by `inputs_embeds`.

For the paper's studies on Qwen-0.5B (section 5.2), and for whoever has a favourite. The config is
data: only architectures that transformers itself knows are built, no remote code.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from mingtok_audio.core.errors import ConfigError
from uniaudio_lm.interfaces import Backbone, BackboneState


class HfState(BackboneState):
    """A transformers cache, which slots hold tokens, and where each item's next token stands."""

    def __init__(self, cache: Any) -> None:
        self.cache = cache
        self.valid: Tensor | None = None
        self.next_position: Tensor | None = None

    @property
    def length(self) -> int:
        """Slots filled in every row."""
        return int(self.cache.get_seq_length())

    def select(self, rows: Tensor) -> HfState:
        """See `BackboneState.select`."""
        self.cache.batch_select_indices(rows)
        if self.valid is not None:
            valid = self.valid[rows.to(self.valid.device)]
            self.valid = None if bool(valid.all()) else valid
        if self.next_position is not None:
            self.next_position = self.next_position[rows.to(self.next_position.device)]
        return self

    def joined(self, other: BackboneState) -> HfState | None:
        """See `BackboneState.joined`. Layers with a sliding window can't be joined."""
        from uniaudio_lm.parts.backbones.hf_cache import joined_cache

        if not isinstance(other, HfState):
            return None
        parts, longest = (self, other), max(self.length, other.length)
        cache = joined_cache(self.cache, other.cache, longest)
        if cache is None:
            return None
        out = HfState(cache)
        valid, positions = [], []
        for part in parts:
            batch, device = part.cache.layers[0].keys.shape[0], part.cache.layers[0].keys.device
            seen = part.valid
            if seen is None:
                seen = torch.ones(batch, part.length, dtype=torch.bool, device=device)
            valid.append(F.pad(seen, (longest - part.length, 0)))
            at = part.next_position
            if at is None:
                at = torch.full((batch,), part.length, device=device)
            positions.append(at)
        seen = torch.cat(valid)
        out.valid = None if bool(seen.all()) else seen
        out.next_position = torch.cat(positions)
        return out


class HfCausalLm(Backbone):
    """The `hf_causal_lm` backbone.

    Args:
        config: a transformers config as a dict with its `model_type` ("qwen2", "llama", ...).
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        from transformers import AutoConfig, AutoModelForCausalLM

        options = {k: v for k, v in config.items() if k != "model_type"}
        name = config.get("model_type")
        try:
            parsed = AutoConfig.for_model(str(name), **options)
        except ValueError as error:
            raise ConfigError(f"backbone hf_causal_lm: model_type {name!r} is unknown") from error
        parsed._attn_implementation = "sdpa"
        self.model = AutoModelForCausalLM.from_config(parsed)
        self.dim = int(parsed.hidden_size)
        self.vocab_size = int(parsed.vocab_size)

    @classmethod
    def with_vocabulary(cls, options: Mapping[str, Any], size: int) -> dict[str, Any]:
        """See `Backbone.with_vocabulary`: it is in transformers' config."""
        return {**options, "config": {**options["config"], "vocab_size": size}}

    def restore_unsaved(self, device: torch.device) -> None:
        """Compute the rotary tables again and share tied weights: a model made on the meta device
        has neither."""
        for name, module in list(self.model.named_modules()):
            if any(b.is_meta for b in module.buffers(recurse=False)):
                with device:
                    self.model.set_submodule(name, type(module)(self.model.config))
        self.model.tie_weights()

    def embed(self, ids: Tensor) -> Tensor:
        """See `Backbone.embed`."""
        return self.model.get_input_embeddings()(ids)

    def new_state(self, batch: int, capacity: int) -> HfState:
        """See `Backbone.new_state`."""
        from uniaudio_lm.parts.backbones.hf_cache import reserved_cache

        return HfState(reserved_cache(self.model.config, capacity))

    def forward(
        self,
        embeds: Tensor,
        state: BackboneState | None = None,
        *,
        valid: Tensor | None = None,
        positions: Tensor | None = None,
        audio_mask: Tensor | None = None,
    ) -> Tensor:
        """See `Backbone.forward`. Audio tokens are treated as all others."""
        if state is not None and not isinstance(state, HfState):
            raise TypeError(f"a transformers model goes on from its own states, not {type(state)}")
        b, n, _ = embeds.shape
        past = 0 if state is None else state.length
        seen = None if state is None else state.valid
        if valid is not None or seen is not None:
            ones = torch.ones(b, n, dtype=torch.bool, device=embeds.device)
            if seen is None:
                seen = torch.ones(b, past, dtype=torch.bool, device=embeds.device)
            seen = torch.cat((seen, ones if valid is None else valid), dim=1)
        start = None if state is None else state.next_position
        if start is None:
            start = torch.full((b,), past, device=embeds.device)
        new = torch.ones(b, n, device=embeds.device) if valid is None else valid
        if positions is None:
            positions = start[:, None] + (new.long().cumsum(dim=1) - 1).clamp_min(0)
        elif positions.dim() == 3:
            positions = positions[0]
        if state is not None:
            state.valid = seen
            state.next_position = start + new.long().sum(dim=1)
        out = self.model.base_model(
            inputs_embeds=embeds,
            attention_mask=None if seen is None else seen.long(),
            position_ids=positions,
            past_key_values=None if state is None else state.cache,
            use_cache=state is not None,
        )
        return out.last_hidden_state

    def logits(self, hidden: Tensor) -> Tensor:
        """See `Backbone.logits`."""
        return self.model.get_output_embeddings()(hidden).float()
