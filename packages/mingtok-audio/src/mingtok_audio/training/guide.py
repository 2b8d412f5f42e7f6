"""The frozen causal language model of stage 3, from transformers.

Axes: B batch, P patches, N tokens of all transcripts with their ends, V vocabulary, W width of the
model.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mingtok_audio.core.errors import UserError

_IGNORED = -100


class Guide(nn.Module):
    """Any causal language model that takes `inputs_embeds`; its weights never move.

    Args:
        name: Hub id or folder.
        before, after: what it reads on either side of the audio (a model that was taught by
            prompts transcribes only where it is asked to); special tokens in them count as such.
    """

    def __init__(self, name: str, before: str = "", after: str = "") -> None:
        super().__init__()
        try:
            from transformers import AutoModelForCausalLM, AutoTokenizer
        except ImportError as error:
            raise UserError(
                "the unified stage needs transformers: pip install transformers"
            ) from error
        try:
            self.model: Any = AutoModelForCausalLM.from_pretrained(name)
            self._tokenizer: Any = AutoTokenizer.from_pretrained(name)
        except (OSError, ValueError) as error:
            reason = " ".join(str(error).split())[:160]
            raise UserError(f"cannot load the guide {name!r}: {reason}") from error
        self.model.eval().requires_grad_(False)
        self._letters: dict[str, int] = {}
        self._before, self._after = self._ids(before), self._ids(after)

    def _ids(self, text: str) -> list[int]:
        return self._tokenizer(text, add_special_tokens=False)["input_ids"] if text else []

    def train(self, mode: bool = True) -> Guide:
        """A frozen guide has no dropout: it stays in evaluation mode."""
        return super().train(False)

    @property
    def width(self) -> int:
        """W."""
        return int(self.model.get_input_embeddings().embedding_dim)

    @property
    def num_characters(self) -> int:
        """Characters that `learn_characters` has seen; CTC adds a blank, number 0."""
        return len(self._letters)

    def learn_characters(self, texts: Iterable[str]) -> None:
        """The alphabet of the CTC term, in sorted order."""
        letters = sorted({c for text in texts for c in text.lower()})
        self._letters = {c: i + 1 for i, c in enumerate(letters)}

    def characters(self, text: str) -> Tensor:
        """Labels from 1."""
        return torch.tensor([self._letters[c] for c in text.lower() if c in self._letters])

    def loss(self, patches: Tensor, counts: Tensor, texts: Sequence[str]) -> Tensor:
        """Next-token loss of the transcripts after the audio (equation 3) -> scalar.

        Args:
            patches: (B, P, W); counts: (B,) patches that each item has.
        """
        return F.cross_entropy(*self.predicted(patches, counts, texts))

    def predicted(
        self, patches: Tensor, counts: Tensor, texts: Sequence[str]
    ) -> tuple[Tensor, Tensor]:
        """What it expects for every token of the transcripts, and what is there.

        Args:
            patches, counts, texts: as in `loss`.

        Returns:
            Logits (N, V) and ids (N,), item after item.
        """
        rows, labels = self._rows(patches, counts, texts)
        length = max(len(row) for row in rows)
        embeds = torch.stack([F.pad(row, (0, 0, 0, length - len(row))) for row in rows])
        targets = torch.stack(
            [F.pad(label, (0, length - len(label)), value=_IGNORED) for label in labels]
        )[:, 1:]
        sizes = torch.tensor([len(row) for row in rows], device=embeds.device)
        mask = torch.arange(length, device=embeds.device) < sizes[:, None]
        logits = self.model(inputs_embeds=embeds, attention_mask=mask.long()).logits[:, :-1]
        asked = targets != _IGNORED
        return logits[asked].float(), targets[asked]

    def _rows(
        self, patches: Tensor, counts: Tensor, texts: Sequence[str]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Each item's prompt with its audio, transcript and end as embeddings (n, W), and its
        labels (n,)."""
        embed = self.model.get_input_embeddings()
        before, after = (
            embed(torch.tensor(ids, dtype=torch.long, device=patches.device))
            for ids in (self._before, self._after)
        )
        end = self._tokenizer.eos_token_id
        rows, labels = [], []
        for patch, count, text in zip(patches, counts.tolist(), texts, strict=True):
            ids = [*self._ids(text), *([] if end is None else [end])]
            ids = torch.tensor(ids, dtype=torch.long, device=patches.device)
            audio = patch[:count].to(embed.weight.dtype)
            rows.append(torch.cat((before, audio, after, embed(ids))))
            asked = len(before) + len(audio) + len(after)
            labels.append(F.pad(ids, (asked, 0), value=_IGNORED))
        return rows, labels
