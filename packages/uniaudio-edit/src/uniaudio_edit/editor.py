"""Plans carried out: which backend does what, and what the receipt says."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from mingtok_audio.core.errors import UserError
from uniaudio_edit.errors import InstructionError, MissingPartError
from uniaudio_edit.interfaces import (
    Change,
    EditBackend,
    EditRequest,
    EditResult,
    InstructionParser,
    Watermark,
    Word,
)
from uniaudio_edit.parsers.units import Text
from uniaudio_edit.pcm import Recording, from_array, pcm_sha256, read_recording, write_pcm
from uniaudio_edit.plan import Operation, Plan
from uniaudio_edit.plugins import get_host
from uniaudio_edit.receipt import (
    Names,
    Receipt,
    file_shell,
    previous_receipt,
    save_receipt,
    write_undo,
)
from uniaudio_edit.words import align, unit_times, words_to_text

_ORDER = ("splice", "dsp")  # what "auto" tries first; other plugins after these, by name


@dataclass
class Edited:
    """An edit in memory.

    Attributes:
        recording: the result, in the source's own number type; its `pcm` is (T', C).
        receipt: as written beside a file; paths are empty.
    """

    recording: Recording
    receipt: Receipt
    changes: list[Change] = field(default_factory=list)

    @property
    def wav(self) -> np.ndarray:
        """(T',) or (C, T'), as given."""
        pcm = self.recording.pcm
        return pcm[:, 0] if pcm.shape[1] == 1 else pcm.T

    @property
    def sample_rate(self) -> int:
        """Hz."""
        return self.recording.sample_rate


class Editor:
    """Plans and makes edits.

    Args:
        parser: an `instruction_parser` by name.
        backend: "auto", or an `edit_backend` by name for everything.
        watermark: a `watermark` by name; "" leaves recordings as they are.
        aligner: an aligner of uniaudio-lm by name; "" takes one that is there.
        seed: of everything random.
        options: of the backends: `sound` (a file), `snr_db`.
    """

    def __init__(
        self,
        *,
        parser: str = "grammar",
        backend: str = "auto",
        watermark: str = "",
        aligner: str = "",
        seed: int = 0,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self._parser: InstructionParser = get_host().create("instruction_parser", parser)
        self._backend = backend
        self._watermark: Watermark | None = (
            get_host().create("watermark", watermark) if watermark else None
        )
        self._aligner = aligner
        self.seed = seed
        self.options = dict(options or {})
        self._backends: dict[str, EditBackend] = {}
        if backend != "auto":
            self._get(backend)

    def plan(
        self,
        wav: Any,
        sample_rate: int,
        instruction: str,
        *,
        text: str | None = None,
        words: Sequence[Word] | None = None,
        which: str = "refuse",
    ) -> Plan:
        """What `instruction` means for a recording (T,) or (C, T).

        Raises:
            AmbiguousInstructionError, InstructionError: see `InstructionParser.parse`.
        """
        return self.plan_recording(
            from_array(wav, sample_rate), instruction, text=text, words=words, which=which
        )

    def apply(
        self, wav: Any, sample_rate: int, plan: Plan, *, words: Sequence[Word] | None = None
    ) -> Edited:
        """Carry out `plan` on the recording that it was made for.

        Raises:
            MissingPartError: a model, an aligner or a sound is missing.
        """
        return self.apply_recording(from_array(wav, sample_rate), plan, words)

    def plan_recording(
        self,
        recording: Recording,
        instruction: str,
        *,
        text: str | None = None,
        words: Sequence[Word] | None = None,
        which: str = "refuse",
    ) -> Plan:
        """As `plan`, for a decoded file."""
        known = text if text is not None else words_to_text(words) if words else ""
        plan = self._parser.parse(instruction, known, which=which)
        times: list[Word] | None = None
        if words is not None and plan.semantic:
            times, _ = unit_times(words, Text(known), recording.seconds)
        operations = [self._placed(op, times) for op in plan.operations]
        return plan.with_operations(operations)

    def _placed(self, op: Operation, times: Sequence[Word] | None) -> Operation:
        """`op` with its backend, and its time where that is known."""
        span = None
        if times and op.text_span is not None:
            i, j = op.text_span
            start = times[i].start if i < j or i < len(times) else times[-1].end
            end = times[j - 1].end if i < j else start
            span = (round(start, 4), round(end, 4))
        name = self._choose(op)
        return replace(op, time_span=span, backend=name)

    def _get(self, name: str) -> EditBackend:
        if name not in self._backends:
            self._backends[name] = get_host().create("edit_backend", name)
        return self._backends[name]

    def _choose(self, op: Operation) -> str:
        """The backend for an operation, "" where there is none (a plan can still be shown)."""
        if self._backend != "auto":
            return self._backend if op.type in self._get(self._backend).operations else ""
        names = get_host().names("edit_backend")
        for name in [*(n for n in _ORDER if n in names), *(n for n in names if n not in _ORDER)]:
            if op.type in self._get(name).operations:
                return name
        return ""

    def apply_recording(
        self, recording: Recording, plan: Plan, words: Sequence[Word] | None = None
    ) -> Edited:
        """As `apply`, for a decoded file."""
        if not plan.operations:
            raise InstructionError("the plan has no operations")
        for op in plan.operations:
            if not op.backend:
                raise MissingPartError(_missing(op, self._backend))
        notes: list[str] = []
        names = list(dict.fromkeys(op.backend for op in plan.operations))
        names.sort(key=lambda name: self._get(name).is_global)
        times: list[Word] | None = None
        if any(self._get(name).needs_words for name in names):
            text = Text(plan.original_text)
            if words is not None:
                times, notes = unit_times(words, text, recording.seconds)
            else:
                times, notes = align(recording, text, self._aligner)
            plan = plan.with_operations(
                [self._placed(op, times) if op.is_semantic else op for op in plan.operations]
            )
        pcm, changes, models = recording.pcm, list[Change](), dict[str, str]()
        everything: list[int] = []
        for name in names:
            backend = self._get(name)
            mine = [op for op in plan.operations if op.backend == name]
            options = {**self.options, "bits": recording.bits}
            result = backend.apply(
                EditRequest(pcm, recording.sample_rate, mine, plan, times, self.seed, options)
            )
            _check_result(result, pcm, name, recording.bits)
            if backend.is_global:
                everything += [plan.operations.index(op) for op in mine]
                whole = [c.operation for c in changes] + everything
                everything = sorted(dict.fromkeys(whole))
            changes = result.changes
            pcm = result.pcm
            notes += result.warnings
            models |= result.models
        if everything:
            changes = [Change((0, len(recording.pcm)), (0, len(pcm)), everything[0])]
        pcm = self._marked(pcm, recording, changes)
        rows = [
            {"source": list(c.source), "output": list(c.output), "operation": c.operation}
            for c in changes
        ]
        if len(everything) > 1:
            rows[0]["operation"] = everything
        edited = replace(recording, pcm=pcm, sha256="")
        receipt = Receipt(
            plan=plan.to_dict(),
            source={"path": "", **recording.describe()},
            output={"path": "", **edited.describe()},
            changed=rows,
            check={"text": None, "match": None},
            seed=self.seed,
            models=models,
            warnings=[*plan.assumptions, *notes],
            undo="",
        )
        return Edited(edited, receipt, changes)

    def _marked(
        self, pcm: np.ndarray, recording: Recording, changes: Sequence[Change]
    ) -> np.ndarray:
        if self._watermark is None:
            return pcm
        marked = self._watermark.mark(pcm.copy(), recording.sample_rate, changes)
        if marked.shape != pcm.shape or marked.dtype != pcm.dtype:
            raise UserError("the watermark changed the shape or type of the samples; not written")
        keep = np.ones(len(pcm), bool)
        for change in changes:
            keep[slice(*change.output)] = False
        if not np.array_equal(marked[keep], pcm[keep]):
            raise UserError("the watermark touched samples outside the edit; not written")
        return marked

    def edit_file(
        self,
        source: str | Path,
        instruction: str,
        output: str | Path,
        *,
        text: str | None = None,
        words: Sequence[Word] | None = None,
        which: str = "refuse",
        receipt: str | Path | None = None,
        key: str = "",
    ) -> Receipt:
        """Edit a file: writes the sidecar, the output, and last the receipt.

        Raises:
            UserError: in one line; nothing half written is left.
        """
        path, names = Path(source), Names.of(output, receipt)
        recording = read_recording(path)
        if names.output.resolve() == path.resolve():
            raise UserError(f"the output {names.output} would overwrite the input")
        plan = self.plan_recording(recording, instruction, text=text, words=words, which=which)
        edited = self.apply_recording(recording, plan, words)
        return write_result(path, recording, edited, names, key)


def write_result(
    path: Path, recording: Recording, edited: Edited, names: Names, key: str = ""
) -> Receipt:
    """Write an edit of the file `path`: the sidecar, the output, and last the receipt."""
    from uniaudio_edit.pcm import check_output

    check_output(names.output, recording)
    shell = file_shell(path, recording)
    write_undo(names.undo, recording.pcm, edited.recording.pcm, edited.changes, shell)
    try:
        sha256 = write_pcm(names.output, edited.recording.pcm, recording)
    except BaseException:
        names.undo.unlink(missing_ok=True)
        raise
    folder = names.receipt.parent
    receipt = replace(
        edited.receipt,
        source={**edited.receipt.source, "path": _relative(path, folder)},
        output={
            **edited.receipt.output,
            "path": _relative(names.output, folder),
            "sha256": sha256,
            "pcm_sha256": pcm_sha256(edited.recording.pcm),
        },
        undo=names.undo.name,
        previous=previous_receipt(path, recording.sha256),
        key=key,
    )
    save_receipt(names.receipt, receipt)
    return receipt


def _relative(path: Path, folder: Path) -> str:
    try:
        return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
    except ValueError:  # another drive
        return path.resolve().as_posix()


def _missing(op: Operation, backend: str) -> str:
    if backend != "auto":
        return f"the backend {backend} cannot do {op.type}; use --backend auto"
    if op.type in ("insertion", "substitution"):
        return (
            f"{op.type} needs a voice for '{op.new}': a uniaudio-lm model that speaks, and no "
            "edit backend with one is installed (deletions and sound edits work without)"
        )
    return f"{op.type} needs an edit model, and no edit backend with one is installed"


def _check_result(result: EditResult, source: np.ndarray, name: str, bits: int) -> None:
    """A backend must tell the truth about what it changed."""
    pcm = result.pcm
    if pcm.dtype != source.dtype or pcm.ndim != 2 or pcm.shape[1] != source.shape[1]:
        raise UserError(f"the backend {name} changed the type or the channels of the samples")
    if pcm.dtype.kind == "i" and np.any(pcm & ((1 << (np.iinfo(pcm.dtype).bits - bits)) - 1)):
        raise UserError(f"the backend {name} made samples finer than {bits} bits")
    n, m = len(source), len(pcm)
    position_s = position_o = 0
    for change in [*result.changes, Change((n, n), (m, m), -1)]:
        (a, b), (c, d) = change.source, change.output
        kept, made = source[position_s:a], pcm[position_o:c]
        if not (position_s <= a <= b and position_o <= c <= d) or not np.array_equal(kept, made):
            raise UserError(f"the backend {name} changed samples that it did not declare")
        position_s, position_o = b, d
