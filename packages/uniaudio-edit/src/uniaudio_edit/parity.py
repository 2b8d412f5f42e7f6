"""Compare the `lm` backend with recorded edits of the published implementation:
`python -m uniaudio_edit.parity DIR [-o OUT.safetensors] [--check]`.

A folder is laid out like those of `uniaudio_lm.parity` (kind: unified). Every edit run goes the
whole way: plan, editor, backend, samples; prompts, ids, hidden states, latents and the waveform are
compared with the recorded ones.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from mingtok_audio.core.config import load_json
from mingtok_audio.core.errors import UserError
from mingtok_audio.parity import Compute, Tensors, run
from uniaudio_edit.backends.lm import Draws, LmBackend
from uniaudio_edit.editor import Editor
from uniaudio_edit.grammar.engine import GrammarParser
from uniaudio_edit.lm_parser import READ_BY
from uniaudio_edit.parts import Parts
from uniaudio_edit.plan import Operation, Plan
from uniaudio_lm import UniAudio
from uniaudio_lm.checkpoint.describe import is_published
from uniaudio_lm.model.speech_lm import SpeechLM
from uniaudio_lm.parity_unified import EditCase, unified_outputs
from uniaudio_lm.tasks.edit import EditedSpeech


class _Watched(LmBackend):
    """The backend, with the passes that it made."""

    def __init__(self, draws: Draws) -> None:
        super().__init__(lambda n: draws)
        self.made: list[EditedSpeech] = []

    def make(self, *args, **kwargs) -> EditedSpeech:
        self.made.append(super().make(*args, **kwargs))
        return self.made[-1]


def edit_case(model: SpeechLM, case: EditCase) -> EditedSpeech:
    """A recorded edit through the editor and its `lm` backend."""
    backend = _Watched(Draws(noise=case.noise, posterior_noise=case.posterior_noise))
    parts = Parts(UniAudio(model))
    editor = Editor(backend="lm", watermark=None, parts=parts, backends={"lm": backend})
    rate = model.tokenizer.config.sample_rate
    edited = editor.apply(case.wav.numpy(), rate, plan_of(case.instruction, case.use_cot))
    made = backend.made[-1]
    if len(backend.made) != 1 or not np.array_equal(edited.wav, made.wav.numpy()):
        raise UserError("the editor changed what the model spoke")
    return made


def plan_of(instruction: str, use_cot: bool) -> Plan:
    """The plan of a published instruction. What the recording says is not recorded, so an edit of
    words goes to the model as it is written."""
    if not use_cot:
        plan = GrammarParser().parse(instruction, "")
        named = [Operation(op.type, params=op.params, backend="lm") for op in plan.operations]
        return plan.with_operations(named)
    op = Operation("substitution", text_span=(0, 0), params=dict(READ_BY), backend="lm")
    return Plan(instruction, "", "", "", [op])


def edit_outputs(folder: Path, io: Tensors, options: argparse.Namespace) -> Tensors:
    """The edit runs of a folder."""
    runs = load_json(folder / "layout.json")["runs"]
    edits = {k for k, r in runs.items() if isinstance(r, Mapping) and "use_cot" in r}
    mine = {k: v for k, v in io.items() if k.partition(".")[0] in edits or "." not in k}
    with torch.no_grad():
        return unified_outputs(folder, mine, options, edit_case)


def kind_of(folder: Path) -> Compute | None:
    """What a folder holds, by its config."""
    config = load_json(folder / "config.json")
    return edit_outputs if isinstance(config, Mapping) and is_published(config) else None


def main(argv: Sequence[str] | None = None) -> int:
    """Entry of `python -m uniaudio_edit.parity`."""
    return run(kind_of, argv, __doc__ or "")


if __name__ == "__main__":
    sys.exit(main())
