"""The one autoregressive loop: recognition, speech, editing, and batches of them.

Every item is in one of two modes. In text mode a step takes the likeliest token; the token
`<gen_audio>` turns an item to audio mode, where a step samples a patch, asks the stop detector,
and feeds the patch back through the tokenizer's semantic module and the compressor. Items that end
leave the batch.

Axes: N items, S tokens, p frames of a patch, d latent dimensions, D width of the language model.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

import torch
from torch import Tensor

from mingtok_audio.core.errors import UserError
from mingtok_audio.modules.transformer import TransformerState
from uniaudio_lm.config import Sampling
from uniaudio_lm.interfaces import TextInfo
from uniaudio_lm.model.states import join_rows, select_rows

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

    def __init__(self, model: SpeechLM, items: list[int], all_items: Sequence[Item]) -> None:
        self.items = items
        self.count = 0
        infos = [all_items[i].info for i in items]
        self.stop = model.stop_detector.start(len(items), infos)
        shape = (model.history_latents, model.tokenizer.config.latent_dim)
        zeros = torch.zeros(shape, device=model.device, dtype=model.dtype)
        given = [all_items[i].history for i in items]
        self.history = torch.stack([zeros if h is None else _appended(zeros, h) for h in given])
        # Feature streams at the same position go on together.
        self.streams: list[tuple[list[int], TransformerState]] = []
        by_position: dict[int, list[int]] = {}
        states: dict[int, TransformerState] = {}
        for i in items:
            state = all_items[i].features
            states[i] = model.new_feature_state() if state is None else state
            by_position.setdefault(states[i].position, []).append(i)
        for members in by_position.values():
            self.streams.append((members, join_rows([states[i] for i in members])))

    def keep(self, model: SpeechLM, rows: list[int]) -> None:
        """Keep the items at `rows`."""
        if len(rows) == len(self.items):
            return
        self.stop = model.stop_detector.select(self.stop, rows)
        self.history = self.history[rows]
        self.items = [self.items[row] for row in rows]
        kept = set(self.items)
        streams = []
        for members, state in self.streams:
            stay = [k for k, i in enumerate(members) if i in kept]
            if len(stay) == len(members):
                streams.append((members, state))
            elif stay:
                chosen = select_rows(state, torch.tensor(stay))
                streams.append(([members[k] for k in stay], chosen))
        self.streams = streams

    def embed(self, model: SpeechLM, patches: dict[int, Tensor]) -> dict[int, Tensor]:
        """Patches (p, d) back into the language model: item -> (D,)."""
        out: dict[int, Tensor] = {}
        for members, state in self.streams:
            values = torch.stack([patches[i] for i in members])
            embeds = model.embed_audio(values, state)[:, 0]
            out |= dict(zip(members, embeds, strict=True))
        return out


def _appended(history: Tensor, latents: Tensor) -> Tensor:
    """The latest latents (..., h, d) of a history (..., h, d) and what follows it (..., n, d)."""
    joined = torch.cat((history, latents.to(history)), dim=-2)
    return joined[..., joined.shape[-2] - history.shape[-2] :, :]


@torch.no_grad()
def generate(model: SpeechLM, items: Sequence[Item], sampling: Sampling) -> Iterator[Step]:
    """Run all items to their ends, a `Step` at a time.

    An item gives the same whatever others are in the batch, to rounding. Its end is in
    `Step.finished` with its reason; nothing ends without one.
    """
    if not items:
        return
    hidden, state = _prefill(model, items)
    active = list(range(len(items)))
    modes = {i: items[i].mode for i in active}
    cohorts: list[_Cohort] = []
    starting = [i for i in active if modes[i] == "audio"]
    taken = dict.fromkeys(active, 0)
    while active:
        step = Step()
        rows = {i: row for row, i in enumerate(active)}
        if starting:
            cohorts.append(_Cohort(model, starting, items))
            starting = []
        texts = [i for i in active if modes[i] == "text"]
        if texts:
            starting = _text_step(model, items, step, texts, hidden[[rows[i] for i in texts]])
        spoken: list[tuple[_Cohort, dict[int, Tensor]]] = []
        for cohort in cohorts:
            at = hidden[[rows[i] for i in cohort.items]]
            spoken.append((cohort, _audio_step(model, items, step, cohort, at, sampling)))
        for i in active:
            taken[i] += 1
            limit = items[i].max_steps
            if i not in step.finished and limit is not None and taken[i] >= limit:
                step.finished[i] = "max_length"
        for i in starting:
            modes[i] = "audio"
        starting = [i for i in starting if i not in step.finished]
        stay = [i for i in active if i not in step.finished]
        for cohort, patches in spoken:
            cohort.keep(model, [r for r, i in enumerate(cohort.items) if i not in step.finished])
            if cohort.items:
                step.inputs |= cohort.embed(model, patches)
        cohorts = [cohort for cohort in cohorts if cohort.items]
        for i in stay:
            if i in step.tokens:
                token = torch.tensor([step.tokens[i]], device=model.device)
                step.inputs[i] = model.backbone.embed(token[None])[0, 0]
        yield step
        if stay and len(stay) < len(active):
            state = state.select(torch.tensor([rows[i] for i in stay]))
        active = stay
        if active:
            embeds = torch.stack([step.inputs[i] for i in active])[:, None]
            hidden = model.backbone(embeds, state)[:, -1]


def _prefill(model: SpeechLM, items: Sequence[Item]):
    """The prompts, padded on the left: the last hidden states (N, D), and the state."""
    lengths = [len(item.embeds) for item in items]
    longest = max(lengths)
    if min(lengths) == 0:
        raise UserError("a prompt is empty")
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


def _text_step(
    model: SpeechLM, items: Sequence[Item], step: Step, texts: list[int], hidden: Tensor
) -> list[int]:
    """The likeliest next tokens; returns the items that turn to audio."""
    ids = model.backbone.logits(hidden).argmax(dim=-1).tolist()
    turning = []
    for i, token in zip(texts, ids, strict=True):
        step.tokens[i] = token
        if token in items[i].end_tokens:
            step.finished[i] = "end_of_text"
        elif token == items[i].audio_token:
            turning.append(i)
    return turning


def _audio_step(  # noqa: PLR0917
    model: SpeechLM,
    items: Sequence[Item],
    step: Step,
    cohort: _Cohort,
    hidden: Tensor,
    sampling: Sampling,
) -> dict[int, Tensor]:
    """Sample a patch for each item of a cohort, and decide; item -> patch (p, d)."""
    stop = model.stop_detector
    if not stop.stop_after_patch:
        before = model.normalize(cohort.history[:, -model.config.patch_size :])
        decided = stop.update(cohort.stop, hidden, before, cohort.count)
        _record(step, cohort.items, decided)
        going = [r for r, end in enumerate(decided.stop.tolist()) if not end]
        cohort.keep(model, going)
        hidden = hidden[going]
        if not going:
            return {}
    shape = (model.config.patch_size, model.latent_dims)
    first, steps = [], []
    for i in cohort.items:
        noise = items[i].noise
        if noise is None:
            raise UserError("an item that speaks needs noise: give it a generator")
        initial, per_step = noise.draw(shape, sampling.num_steps, sampling.temperature)
        first.append(initial * sampling.noise_scale)
        if per_step is not None:
            steps.append(per_step)
    sampled = model.generation_head.sample(
        hidden,
        model.normalize(cohort.history),
        num_steps=sampling.num_steps,
        cfg_scale=sampling.cfg_scale,
        temperature=sampling.temperature,
        init_noise=torch.stack(first).to(hidden),
        step_noise=torch.stack(steps, dim=1).to(hidden) if steps else None,
    )
    cohort.count += 1
    patches = model.denormalize(sampled)
    cohort.history = _appended(cohort.history, patches)
    step.items += cohort.items
    step.patches = patches if step.patches is None else torch.cat((step.patches, patches))
    step.hidden = hidden if step.hidden is None else torch.cat((step.hidden, hidden))
    if stop.stop_after_patch:
        _record(step, cohort.items, stop.update(cohort.stop, hidden, sampled, cohort.count))
    return dict(zip(cohort.items, patches, strict=True))


def _record(step: Step, items: Sequence[int], decided) -> None:
    values = decided.probability.tolist()
    for i, reason, value in zip(items, decided.reason, values, strict=True):
        step.probability[i] = value
        if reason:
            step.finished[i] = reason
