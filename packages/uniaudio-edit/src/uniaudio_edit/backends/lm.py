"""`lm`: the paper's way. The model reads the whole recording and the instruction, writes the new
text for edits of words, and speaks the whole edited recording (section 6.1).

Nothing of the source's samples is kept, so the whole recording is declared as changed; `splice`
keeps them. Axes: T samples, C channels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mingtok_audio.core.audio import resample
from mingtok_audio.core.errors import UserError
from uniaudio_edit.data.cot import published_prompt
from uniaudio_edit.grammar.quoting import clean
from uniaudio_edit.interfaces import Change, EditBackend, EditRequest, EditResult
from uniaudio_edit.lm_parser import READ_BY, read_answer
from uniaudio_edit.operations.base import EditOperation
from uniaudio_edit.pcm import from_float, to_float
from uniaudio_edit.plan import Operation, Plan
from uniaudio_edit.plugins import edit_operations
from uniaudio_edit.text import Text, TextEdit, apply_edits

if TYPE_CHECKING:
    from torch import Tensor

    from uniaudio_edit.parts import Parts
    from uniaudio_lm import UniAudio
    from uniaudio_lm.model.generation import Noise
    from uniaudio_lm.tasks.edit import EditedSpeech

_PURPOSE = "{} needs an edit model, one that speaks the edited recording"


@dataclass(frozen=True)
class Draws:
    """The random numbers of one pass.

    Attributes:
        seed: of the generation head, where no noise is given.
        noise: of the generation head.
        posterior_noise: (1, L, d) to sample the recording's latents with; None takes their mean.
    """

    seed: int = 0
    noise: Noise | None = None
    posterior_noise: Tensor | None = None


class LmBackend(EditBackend):
    """Every published edit, in the prompts that the Edit checkpoint was trained with.

    The checkpoint knows one edit at a time: several are made one after the other, those of words
    from the last to the first, so that positions stay right. An instruction that the `lm` parser
    read is given to the model as the user wrote it, in one pass.

    Args:
        draw: the random numbers of the n-th pass; by default recordings are encoded without any,
            and the speech draws from the request's seed, one more for each pass.
    """

    needs_words = False
    is_global = True

    def __init__(self, draw: Callable[[int], Draws] | None = None) -> None:
        self._draw = draw
        self.operations = frozenset(
            name
            for name, operation in edit_operations().items()
            if type(operation).published is not EditOperation.published
        )

    def check(self, operations: Sequence[Operation], parts: Parts) -> None:
        """See `EditBackend.check`."""
        parts.editing_lm(_PURPOSE.format(operations[0].type))

    def apply(self, request: EditRequest) -> EditResult:
        """See `EditBackend.apply`."""
        first = request.operations[0]
        if request.parts is None:
            raise UserError("the backend lm was given no model")
        model = request.parts.editing_lm(_PURPOSE.format(first.type))
        wav = to_float(request.pcm).mean(axis=1).astype(np.float32)
        rate = request.sample_rate
        notes: list[str] = []
        for n, (instruction, use_cot, wanted) in enumerate(passes(request)):
            draws = Draws(seed=request.seed + n) if self._draw is None else self._draw(n)
            made = self.make(model, wav, rate, instruction, use_cot, draws)
            notes += _doubts(made, instruction, wanted if use_cot else None)
            wav, rate = made.wav.numpy(), made.sample_rate
        if not len(wav):
            raise UserError("the model ended without a sound")
        channels = request.pcm.shape[1]
        if channels > 1:
            notes.append(f"the model speaks with one channel: all {channels} are now alike")
        if request.sample_rate > rate:
            notes.append(f"the model speaks at {rate} Hz: nothing above {rate // 2} Hz is left")
        wav = resample(wav, rate, request.sample_rate)
        bits = int(request.options.get("bits", 8 * request.pcm.dtype.itemsize))
        many = np.repeat(wav[:, None].astype(np.float64), channels, axis=1)
        pcm, clipped = from_float(many, request.pcm.dtype, bits)
        if clipped:
            notes.append(f"{clipped} samples clipped")
        index = request.plan.operations.index(first)
        change = Change((0, len(request.pcm)), (0, len(pcm)), index)
        return EditResult(pcm, [change], notes, {"lm": model.model_id}, [change.output])

    def make(  # noqa: PLR0917
        self,
        model: UniAudio,
        wav: np.ndarray,
        rate: int,
        instruction: str,
        use_cot: bool,
        draws: Draws,
    ) -> EditedSpeech:
        """One pass over a recording (T,)."""
        from uniaudio_lm.tasks.edit import edit

        return edit(
            model.model,
            wav,
            rate,
            published_prompt(instruction),
            use_cot=use_cot,
            seed=draws.seed,
            noise=draws.noise,
            posterior_noise=draws.posterior_noise,
            sampling=model.config.sampling,
        )


def _doubts(made: EditedSpeech, instruction: str, wanted: str | None) -> list[str]:
    """What went otherwise than asked; `wanted` is the text that the model should have written."""
    notes = []
    if made.stop_reason != "stop":
        notes.append(
            f"'{instruction}': the model did not end by itself ({made.stop_reason}); the end of "
            "the recording may be missing or go on"
        )
    if wanted is not None:
        understood = read_answer(made.answer).text
        if [u.key for u in Text(understood).units] != [u.key for u in Text(wanted).units]:
            notes.append(f"'{instruction}': the model meant to say '{understood}'")
    return notes


def passes(request: EditRequest) -> list[tuple[str, bool, str]]:
    """(instruction, whether it is about words, the text that should come out) of every pass."""
    plan, operations = request.plan, list(request.operations)
    words = [op for op in operations if op.is_semantic]
    out: list[tuple[str, bool, str]] = []
    if words and all(READ_BY.items() <= op.params.items() for op in words):
        out.append((clean(plan.instruction), True, plan.edited_text))
    else:
        out += _word_passes(plan, words)
    return out + [
        (wording(op, Text(plan.edited_text)), False, "") for op in operations if not op.is_semantic
    ]


def _word_passes(plan: Plan, words: Sequence[Operation]) -> list[tuple[str, bool, str]]:
    out: list[tuple[str, bool, str]] = []
    text = Text(plan.original_text)
    for op in reversed(words):
        assert op.text_span is not None
        asked = wording(op, text)
        edit = TextEdit(*op.text_span, op.new, str(op.params.get("leans", "after")))
        text = Text(apply_edits(text, [edit]))
        out.append((asked, True, text.raw))
    return out


def wording(op: Operation, text: Text) -> str:
    """An edit as the checkpoint's training data word it."""
    return edit_operations()[op.type].published(op, text)
