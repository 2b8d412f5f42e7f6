"""The one autoregressive loop: recognition, speech, editing, and batches of them.

Every item is in one of two modes. In text mode a step takes the likeliest token; the token
`<gen_audio>` turns an item to audio mode, where a step samples a patch, asks the stop detector,
and feeds the patch back through the tokenizer's semantic module and the compressor. Items that end
leave the batch.

Axes: N items, S tokens, p frames of a patch, d latent dimensions, D width of the language model.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

import torch
from torch import Tensor

from mingtok_audio.core.errors import UserError
from mingtok_audio.modules.transformer import TransformerState
from uniaudio_lm.config import Sampling
from uniaudio_lm.interfaces import BackboneState, StopDecision, TextInfo
from uniaudio_lm.model.states import can_join, join_rows, select_rows

if TYPE_CHECKING:
    from uniaudio_lm.model.speech_lm import SpeechLM

EndReason = Literal["stop", "max_length", "silence", "loop", "end_of_text"]
_MARGIN = 64


class Noise(Protocol):
    """Where the random numbers of one item come from."""

    def draw(
        self, shape: tuple[int, int], num_steps: int, temperature: float
    ) -> tuple[Tensor, Tensor | None]:
        """For the next patch: the initial noise (p, d), and the step noise (num_steps, p, d),
        or None at temperature 0."""
        ...


class SeededNoise:
    """Draws from a generator on the CPU: the same on every device and in every batch."""

    def __init__(self, generator: torch.Generator) -> None:
        self._generator = generator

    def draw(
        self, shape: tuple[int, int], num_steps: int, temperature: float
    ) -> tuple[Tensor, Tensor | None]:
        """See `Noise.draw`."""
        first = torch.randn(shape, generator=self._generator, dtype=torch.float32)
        if temperature == 0:
            return first, None
        steps = (num_steps, *shape)
        return first, torch.randn(steps, generator=self._generator, dtype=torch.float32)


class RecordedNoise:
    """Draws that were recorded.

    Args:
        initial: (P, p, d), one for each patch.
        steps: (P, K, p, d).
    """

    def __init__(self, initial: Tensor, steps: Tensor) -> None:
        self._initial, self._steps = initial, steps
        self._next = 0

    def draw(
        self, shape: tuple[int, int], num_steps: int, temperature: float
    ) -> tuple[Tensor, Tensor | None]:
        """See `Noise.draw`. Raises `UserError` where the recording ends."""
        if self._next == len(self._initial):
            raise UserError(f"noise was recorded for {self._next} patches, and more are generated")
        at, self._next = self._next, self._next + 1
        return self._initial[at], self._steps[at] if temperature else None


@dataclass
class Item:
    """One generation.

    Attributes:
        embeds: (S, D) the prompt.
        mode: what the first step makes.
        audio_mask: (S,) for the routers; None routes every token as text.
        history: (n, d) the latents before the first patch, in the tokenizer's units; zeros stand
            for what is missing of the model's `history_latents`.
        features: the stream of unified features that the audio continues; None begins one.
        noise: of the generation head; needed once there is audio.
        info: for the stop detector.
        max_steps: language-model steps, of text and audio together.
        end_tokens: that end the text.
        audio_token: that turns text mode to audio mode; None never does.
    """

    embeds: Tensor
    mode: Literal["text", "audio"]
    audio_mask: Tensor | None = None
    history: Tensor | None = None
    features: TransformerState | None = None
    noise: Noise | None = None
    info: TextInfo = field(default_factory=TextInfo)
    max_steps: int | None = None
    end_tokens: frozenset[int] = frozenset()
    audio_token: int | None = None


@dataclass
class Step:
    """What one step made.

    Attributes:
        tokens: item -> token id, of the items in text mode.
        items: those that made a patch, in the order of `patches`.
        patches: (n, p, d) in the tokenizer's units.
        hidden: (n, D) the states that they were made from.
        probability: item -> of stopping.
        finished: item -> why it ended.
        inputs: item -> (D,) what the language model is given next.
    """

    tokens: dict[int, int] = field(default_factory=dict)
    items: list[int] = field(default_factory=list)
    patches: Tensor | None = None
    hidden: Tensor | None = None
    probability: dict[int, float] = field(default_factory=dict)
    finished: dict[int, EndReason] = field(default_factory=dict)
    inputs: dict[int, Tensor] = field(default_factory=dict)


class _Cohort:
    """Items that began to speak at the same step: they share a stop state and a patch count."""

    def __init__(self, model: SpeechLM, items: list[int], all_items: Mapping[int, Item]) -> None:
        self.items = items
        self.count = 0
        infos = [all_items[i].info for i in items]
        self.stop = model.stop_detector.start(len(items), infos)
        shape = (model.history_latents, model.tokenizer.config.latent_dim)
        zeros = torch.zeros(shape, device=model.device, dtype=model.dtype)
        given = [all_items[i].history for i in items]
        self.history = torch.stack([zeros if h is None else _appended(zeros, h) for h in given])

    def keep(self, model: SpeechLM, rows: list[int]) -> None:
        """Keep the items at `rows`."""
        if len(rows) == len(self.items):
            return
        self.stop = model.stop_detector.select(self.stop, rows)
        self.history = self.history[rows]
        self.items = [self.items[row] for row in rows]


@dataclass
class _Rows:
    """Items that go through the backbone together.

    Attributes:
        state: holds their past.
        hidden: (n, D) what the next step is made from; None until they are advanced.
    """

    items: list[int]
    state: BackboneState
    hidden: Tensor | None


@dataclass
class _Streams:
    """Items whose patches go through the tokenizer together."""

    items: list[int]
    state: TransformerState


def _appended(history: Tensor, latents: Tensor) -> Tensor:
    """The latest latents (..., h, d) of a history (..., h, d) and what follows it (..., n, d)."""
    joined = torch.cat((history, latents.to(history)), dim=-2)
    return joined[..., joined.shape[-2] - history.shape[-2] :, :]


class Generation:
    """Items that are generated together, and join and leave between two steps.

    An item gives the same whatever others are there, to rounding: each has its own noise, its own
    positions in the language model, and its own stop state. A step is one pass of the backbone, one
    of the generation head and one of the tokenizer's modules for all of them (of the latter, where
    their attention has windows; see `feature_position`).
    """

    def __init__(self, model: SpeechLM, sampling: Sampling) -> None:
        self._model, self._sampling = model, sampling
        self._items: dict[int, Item] = {}
        self._modes: dict[int, str] = {}
        self._taken: dict[int, int] = {}
        self._rows: list[_Rows] = []
        self._cohorts: list[_Cohort] = []
        self._streams: list[_Streams] = []
        self._starting: list[int] = []
        self._new: list[int] = []
        self._inputs: dict[int, Tensor] = {}
        self._next = 0

    def __len__(self) -> int:
        return len(self._items)

    @property
    def feature_position(self) -> int | None:
        """Where the feature stream of an item that joins now should stand, to go on together with
        those that are there: attention knows only how far apart frames are. None: anywhere."""
        if self._streams:
            return self._streams[0].state.position
        new = [self._items[i].features for i in self._new if self._modes[i] == "audio"]
        return next((state.position for state in new if state is not None), None)

    def join(self, items: Sequence[Item]) -> list[int]:
        """Add items before the next step; the numbers that `Step` names them by.

        Raises:
            UserError: a prompt is empty.
        """
        if any(len(item.embeds) == 0 for item in items):
            raise UserError("a prompt is empty")
        names = list(range(self._next, self._next + len(items)))
        self._next += len(items)
        for i, item in zip(names, items, strict=True):
            self._items[i], self._modes[i], self._taken[i] = item, item.mode, 0
        self._new += names
        return names

    def leave(self, names: Collection[int]) -> None:
        """Drop items before their end."""
        self._drop(set(names))

    @torch.no_grad()
    def step(self) -> Step:
        """One token or patch of every item. An end is in `Step.finished` with its reason; nothing
        ends without one."""
        step = Step()
        if not self._items:
            return step
        self._advance()
        rows, parts = {}, []
        for group in self._rows:
            assert group.hidden is not None
            rows |= {i: len(rows) + k for k, i in enumerate(group.items)}
            parts.append(group.hidden)
        hidden = parts[0] if len(parts) == 1 else torch.cat(parts)
        if self._starting:
            self._begin_audio(self._starting)
            self._starting = []
        texts = [i for i in rows if self._modes[i] == "text"]
        if texts:
            self._write(step, texts, hidden[[rows[i] for i in texts]])
        patches = self._speak(step, hidden, rows)
        for i, item in self._items.items():
            self._taken[i] += 1
            limit = math.inf if item.max_steps is None else item.max_steps
            if i not in step.finished and self._taken[i] >= limit:
                step.finished[i] = "max_length"
        self._drop(set(step.finished))
        for i in self._starting:
            self._modes[i] = "audio"
        self._embed(step, patches)
        self._inputs = dict(step.inputs)
        return step

    def _drop(self, gone: set[int]) -> None:
        """Forget items; the rows of the backbone go when it is next asked."""
        if not gone:
            return
        for i in gone:
            for kept in (self._items, self._modes, self._taken, self._inputs):
                kept.pop(i, None)
        self._starting = [i for i in self._starting if i not in gone]
        self._new = [i for i in self._new if i not in gone]
        for cohort in self._cohorts:
            stay = [r for r, i in enumerate(cohort.items) if i not in gone]
            if stay:
                cohort.keep(self._model, stay)
            else:
                cohort.items = []
        self._cohorts = [cohort for cohort in self._cohorts if cohort.items]
        for group in self._streams:
            stay = [k for k, i in enumerate(group.items) if i not in gone]
            if stay and len(stay) < len(group.items):
                group.state = select_rows(group.state, torch.tensor(stay))
            group.items = [group.items[k] for k in stay]
        self._streams = [group for group in self._streams if group.items]

    def _advance(self) -> None:
        """Give the language model what it made last, and the prompts of new items."""
        for group in self._rows:
            stay = [row for row, i in enumerate(group.items) if i in self._items]
            if stay and len(stay) < len(group.items):
                group.state = group.state.select(torch.tensor(stay))
            group.items = [group.items[row] for row in stay]
        self._rows = [group for group in self._rows if group.items]
        for group in self._rows:
            embeds = torch.stack([self._inputs[i] for i in group.items])[:, None]
            group.hidden = self._model.backbone(embeds, group.state)[:, -1]
        if self._new:
            hidden, state = _prefill(self._model, [self._items[i] for i in self._new])
            self._join_rows(_Rows(self._new, state, hidden))
            self._starting += [i for i in self._new if self._modes[i] == "audio"]
            self._new = []

    def _join_rows(self, new: _Rows) -> None:
        for group in self._rows:
            state = group.state.joined(new.state)
            if state is not None:
                assert group.hidden is not None and new.hidden is not None
                group.items, group.state = group.items + new.items, state
                group.hidden = torch.cat((group.hidden, new.hidden))
                return
        self._rows.append(new)

    def _begin_audio(self, names: list[int]) -> None:
        self._cohorts.append(_Cohort(self._model, names, self._items))
        # Feature streams at the same position go on together.
        for i in names:
            state = self._items[i].features
            if state is None:
                state = self._model.new_feature_state()
                if self._streams:
                    state.position = self._streams[0].state.position
            self._streams.append(_Streams([i], state))

    def _embed(self, step: Step, patches: dict[int, Tensor]) -> None:
        """What was made back into the language model: `step.inputs`."""
        self._join_streams()
        for group in self._streams:
            spoken = torch.stack([patches[i] for i in group.items])
            embeds = self._model.embed_audio(spoken, group.state)[:, 0]
            step.inputs |= dict(zip(group.items, embeds, strict=True))
        for i, token in step.tokens.items():
            if i in self._items:
                ids = torch.tensor([[token]], device=self._model.device)
                step.inputs[i] = self._model.backbone.embed(ids)[0, 0]

    def _join_streams(self) -> None:
        """One group of all streams that stand at the same place."""
        groups: list[list[_Streams]] = []
        for stream in self._streams:
            for group in groups:
                if can_join(group[0].state, stream.state):
                    group.append(stream)
                    break
            else:
                groups.append([stream])
        if len(groups) < len(self._streams):
            self._streams = [
                _Streams([i for s in group for i in s.items], join_rows([s.state for s in group]))
                for group in groups
            ]

    def _write(self, step: Step, texts: list[int], hidden: Tensor) -> None:
        """The likeliest next tokens; some turn their items to audio."""
        ids = self._model.backbone.logits(hidden).argmax(dim=-1).tolist()
        for i, token in zip(texts, ids, strict=True):
            step.tokens[i] = token
            if token in self._items[i].end_tokens:
                step.finished[i] = "end_of_text"
            elif token == self._items[i].audio_token:
                self._starting.append(i)

    def _speak(self, step: Step, hidden: Tensor, rows: Mapping[int, int]) -> dict[int, Tensor]:
        """Sample a patch for each item that speaks, and decide; item -> patch (p, d)."""
        model, sampling, stop = self._model, self._sampling, self._model.stop_detector
        if not stop.stop_after_patch:
            for cohort in self._cohorts:
                before = model.normalize(cohort.history[:, -model.config.patch_size :])
                at = hidden[[rows[i] for i in cohort.items]]
                _record(step, cohort.items, stop.update(cohort.stop, at, before, cohort.count))
        self._drop(set(step.finished))
        speaking = [i for cohort in self._cohorts for i in cohort.items]
        if not speaking:
            return {}
        hidden = hidden[[rows[i] for i in speaking]]
        history = torch.cat([cohort.history for cohort in self._cohorts])
        shape = (model.config.patch_size, model.latent_dims)
        first, steps = [], []
        for i in speaking:
            noise = self._items[i].noise
            if noise is None:
                raise UserError("an item that speaks needs noise: give it a generator")
            initial, per_step = noise.draw(shape, sampling.num_steps, sampling.temperature)
            first.append(initial * sampling.noise_scale)
            if per_step is not None:
                steps.append(per_step)
        sampled = model.generation_head.sample(
            hidden,
            model.normalize(history),
            num_steps=sampling.num_steps,
            cfg_scale=sampling.cfg_scale,
            temperature=sampling.temperature,
            init_noise=torch.stack(first).to(hidden),
            step_noise=torch.stack(steps, dim=1).to(hidden) if steps else None,
        )
        patches = model.denormalize(sampled)
        step.items, step.patches, step.hidden = speaking, patches, hidden
        history, at = _appended(history, patches), 0
        for cohort in self._cohorts:
            own = slice(at, at + len(cohort.items))
            at = own.stop
            cohort.count += 1
            cohort.history = history[own]
            if stop.stop_after_patch:
                decided = stop.update(cohort.stop, hidden[own], sampled[own], cohort.count)
                _record(step, cohort.items, decided)
        return dict(zip(speaking, patches, strict=True))


def generate(model: SpeechLM, items: Sequence[Item], sampling: Sampling) -> Iterator[Step]:
    """Run items from their beginning to their ends, a `Step` at a time; see `Generation`. Items are
    named by their places."""
    generation = Generation(model, sampling)
    generation.join(items)
    while len(generation):
        yield generation.step()


def _prefill(model: SpeechLM, items: Sequence[Item]) -> tuple[Tensor, BackboneState]:
    """The prompts, padded on the left: the last hidden states (N, D), and the state."""
    lengths = [len(item.embeds) for item in items]
    longest = max(lengths)
    dim = items[0].embeds.shape[-1]
    embeds = torch.zeros(len(items), longest, dim, device=model.device, dtype=model.dtype)
    valid = torch.zeros(len(items), longest, dtype=torch.bool, device=model.device)
    audio = torch.zeros_like(valid)
    for row, item in enumerate(items):
        start = longest - lengths[row]
        embeds[row, start:] = item.embeds
        valid[row, start:] = True
        if item.audio_mask is not None:
            audio[row, start:] = item.audio_mask
    routed = any(item.audio_mask is not None for item in items)
    bounds = [item.max_steps or 0 for item in items]
    state = model.backbone.new_state(len(items), longest + min(max(bounds), 1024) + _MARGIN)
    hidden = model.backbone(
        embeds,
        state,
        valid=None if min(lengths) == longest else valid,
        audio_mask=audio if routed else None,
    )
    return hidden[:, -1], state


def _record(step: Step, items: Sequence[int], decided: StopDecision) -> None:
    values = decided.probability.tolist()
    for i, reason, value in zip(items, decided.reason, values, strict=True):
        step.probability[i] = value
        if reason:
            step.finished[i] = reason
