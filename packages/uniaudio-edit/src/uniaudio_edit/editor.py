"""Plans carried out: which backend does what, and what the receipt says."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from mingtok_audio.core.errors import UserError
from uniaudio_edit.errors import InstructionError, MissingPartError, NotFoundError, TextNeededError
from uniaudio_edit.honesty import check_result
from uniaudio_edit.interfaces import (
    Change,
    EditBackend,
    EditRequest,
    InstructionParser,
    Word,
)
from uniaudio_edit.parts import DEFAULT_MODEL, Judge, Parts, Transcriber, mono_float
from uniaudio_edit.pcm import (
    Recording,
    check_output,
    from_array,
    from_float,
    pcm_sha256,
    read_recording,
    to_float,
    write_pcm,
)
from uniaudio_edit.plan import Operation, Plan
from uniaudio_edit.plugins import blamed, get_host
from uniaudio_edit.receipt import (
    Names,
    Receipt,
    previous_receipt,
    save_receipt,
    write_undo,
)
from uniaudio_edit.text import Text
from uniaudio_edit.wavfile import file_shell, read_tags
from uniaudio_edit.words import align, check_length, unit_times, words_to_text
from uniaudio_lm.watermarking import DEFAULT_WATERMARK

if TYPE_CHECKING:
    from uniaudio_lm import Aligner, UniAudio

_EXPECTED = 4  # phrases of an instruction that are listened for
_LONGEST = 100  # characters of one
_ORDER = ("splice", "dsp", "lm")  # what "auto" tries first; other plugins after these, by name


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
        watermark: a `watermark` of uniaudio-lm by name, for speech that a model made, and only
            there; None marks nothing.
        model: speaks and recognises: a `UniAudio`, or its name or folder, which is loaded when it
            is first needed.
        transcriber: samples (T,) and their rate to text; None asks the model.
        aligner: an aligner of uniaudio-lm, or its name; "" takes one that is there.
        judge: chooses among the takes of new words, see `parts.Take`; None makes one of the model.
        parts: all of these at once, for editors that share a model.
        backends: made `edit_backend`s by name, used instead of those that a name would make.
        check: let the output be recognised, and write the result into the receipt.
        seed: of everything random.
        options: of the backends: `sound` (a file), `snr_db`, `candidates` (takes of new words).
    """

    def __init__(
        self,
        *,
        parser: str = "grammar",
        backend: str = "auto",
        watermark: str | None = DEFAULT_WATERMARK,
        model: UniAudio | str | Path = DEFAULT_MODEL,
        transcriber: Transcriber | None = None,
        aligner: Aligner | str = "",
        judge: Judge | None = None,
        parts: Parts | None = None,
        backends: Mapping[str, EditBackend] | None = None,
        check: bool = False,
        seed: int = 0,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self._parser: InstructionParser = get_host().create("instruction_parser", parser)
        self._backend = backend
        self._watermark = watermark
        self._parts = Parts(model, transcriber, aligner, judge) if parts is None else parts
        self._check = check
        self.seed = seed
        self.options = dict(options or {})
        self._backends: dict[str, EditBackend] = dict(backends or {})
        if backend != "auto":
            self._get(backend)

    @classmethod
    def from_pretrained(
        cls, name_or_path: str | Path = DEFAULT_MODEL, *, device: str = "auto", **options: Any
    ) -> Self:
        """An editor with a uniaudio-lm model: a folder, "org/name", "hf://org/name@revision".

        "nano", the shipped one, is loaded when an edit first needs it; any other at once.
        `options` are those of the constructor.

        Raises:
            UserError: the model cannot be loaded; in one line.
        """
        given = {k: options.pop(k) for k in ("transcriber", "aligner", "judge") if k in options}
        parts = Parts(name_or_path, device=device, **given)
        if str(name_or_path) != DEFAULT_MODEL:
            parts.lm("this editor needs its model")
        return cls(parts=parts, **options)

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
        return self.placed(self._read(recording, instruction, known, which), recording, words)

    def placed(self, plan: Plan, recording: Recording, words: Sequence[Word] | None = None) -> Plan:
        """`plan` with a backend for each operation, and its times where `words` gives them."""
        known = plan.original_text
        times: list[Word] | None = None
        if words is not None and plan.semantic:
            times, _ = unit_times(words, Text(known), recording.seconds)
        operations = [self._placed(op, times) for op in plan.operations]
        return plan.with_operations(operations)

    def _read(self, recording: Recording, instruction: str, known: str, which: str) -> Plan:
        """The plan; where words are edited and nobody said which are there, they are recognised."""
        if known:
            plan = self._parse(recording, instruction, known, which)
            if plan.semantic:
                check_length(known, recording.seconds)
            return plan
        try:
            plan = self._parse(recording, instruction, "", which)
            if not plan.semantic:
                return plan
        except TextNeededError:
            pass
        plan, heard, expected = self._hear(recording, instruction, which)
        notes = [f"the recording says: {heard}"]
        if expected:
            notes.append(
                "heard only when these words were expected, because the instruction names them: "
                + ", ".join(expected)
            )
        return replace(plan, assumptions=[*plan.assumptions, *notes])

    def _hear(
        self, recording: Recording, instruction: str, which: str
    ) -> tuple[Plan, str, list[str]]:
        """The plan, what was heard, and the hotwords that were needed for it. Somebody who asks to
        change a word knows that it is there: where it was misheard, it is listened for."""
        heard = self._parts.transcribe(recording)
        first: NotFoundError | None = None
        text, expected = heard, list[str]()
        while True:
            try:
                return self._parse(recording, instruction, text, which), text, expected
            except NotFoundError as error:
                first = first or error
                new = 0 < len(error.wanted) <= _LONGEST and error.wanted not in expected
                if new and len(expected) < _EXPECTED and self._parts.transcriber is None:
                    expected.append(error.wanted)
                    text = self._parts.transcribe(recording, expected)
                    continue
            said = heard if len(heard) <= 200 else f"{heard[:199]}…"
            raise NotFoundError(
                f"{first}; this was heard: '{said}'; where that is wrong, give what the recording "
                'says with --text "..."',
            ) from first

    def _parse(self, recording: Recording, instruction: str, text: str, which: str) -> Plan:
        extra: dict[str, Any] = {}
        if self._parser.needs_recording:
            extra = {"recording": recording, "parts": self._parts}
        return self._parser.parse(instruction, text, which=which, **extra)

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
        for name in names:
            mine = [op for op in plan.operations if op.backend == name]
            self._get(name).check(mine, self._parts)
        times: list[Word] | None = None
        if plan.semantic and any(self._get(name).needs_words for name in names):
            text = Text(plan.original_text)
            if words is not None:
                times, notes = unit_times(words, text, recording.seconds)
            else:
                times, notes = align(recording, text, self._parts.word_aligner())
            plan = plan.with_operations(
                [self._placed(op, times) if op.is_semantic else op for op in plan.operations]
            )
        pcm, changes, models = recording.pcm, list[Change](), dict[str, str]()
        everything: list[int] = []
        passes = 0
        spoken: list[tuple[int, int]] = []
        for name in names:
            backend = self._get(name)
            mine = [op for op in plan.operations if op.backend == name]
            options = {**self.options, "bits": recording.bits}
            request = EditRequest(
                pcm, recording.sample_rate, mine, plan, times, self.seed, options, self._parts
            )
            with blamed("edit_backend", name):
                result = backend.apply(request)
            check_result(result, pcm, name, recording.bits)
            passes += 1
            if backend.is_global:
                everything += [plan.operations.index(op) for op in mine]
                whole = [c.operation for c in changes] + everything
                everything = sorted(dict.fromkeys(whole))
            changes = result.changes
            pcm = self._marked(result.pcm, recording, result.spoken)
            spoken += result.spoken
            notes += result.warnings
            models |= result.models
        if everything and passes > 1:
            changes = [Change((0, len(recording.pcm)), (0, len(pcm)), everything[0])]
        rows = [
            {"source": list(c.source), "output": list(c.output), "operation": c.operation}
            for c in changes
        ]
        if len(everything) > 1:
            for row in rows:
                row["operation"] = everything
        edited = replace(recording, pcm=pcm, sha256="")
        receipt = Receipt(
            plan=plan.to_dict(),
            source={"path": "", **recording.describe()},
            output={"path": "", **edited.describe()},
            changed=rows,
            check=self._heard(edited, plan),
            seed=self.seed,
            models=models,
            warnings=[*plan.assumptions, *notes],
            undo="",
            watermark={"name": self._watermark, "marked": bool(spoken and self._watermark)},
        )
        return Edited(edited, receipt, changes)

    def _heard(self, edited: Recording, plan: Plan) -> dict[str, Any]:
        """What a recognition of the output says, and whether that is what was asked for."""
        if not self._check:
            return {"text": None, "match": None}
        heard = self._parts.recognize(mono_float(edited), edited.sample_rate).strip()
        if not plan.edited_text:
            return {"text": heard, "match": None}
        keys = [[unit.key for unit in Text(text).units] for text in (heard, plan.edited_text)]
        return {"text": heard, "match": keys[0] == keys[1]}

    def _marked(
        self, pcm: np.ndarray, recording: Recording, spoken: Sequence[tuple[int, int]]
    ) -> np.ndarray:
        """`pcm` with the watermark in the spans that a model spoke; all else stays as it is."""
        if self._watermark is None or not spoken:
            return pcm
        from uniaudio_lm.parts.watermarks import new_watermark

        watermark, out = new_watermark(self._watermark), pcm.copy()
        for start, end in spoken:
            part = to_float(pcm[start:end])
            made = watermark.mark_spans(part, recording.sample_rate, [(0, end - start)])
            if made.shape != part.shape:
                raise UserError("the watermark changed the number of samples; not written")
            out[start:end] = from_float(made, pcm.dtype, recording.bits)[0]
        return out

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
        check_output(names.output, recording)
        plan = self.plan_recording(recording, instruction, text=text, words=words, which=which)
        edited = self.apply_recording(recording, plan, words)
        return write_result(path, recording, edited, names, key)


def write_result(
    path: Path, recording: Recording, edited: Edited, names: Names, key: str = ""
) -> Receipt:
    """Write an edit of the file `path`: the sidecar, the output, and last the receipt."""
    check_output(names.output, recording)
    shell = file_shell(path, recording.pcm)
    tags, notes = read_tags(path, names.output, edited.changes)
    write_undo(names.undo, recording.pcm, edited.recording.pcm, edited.changes, shell)
    try:
        sha256 = write_pcm(names.output, edited.recording.pcm, recording, tags)
    except BaseException:
        names.undo.unlink(missing_ok=True)
        raise
    folder = names.receipt.parent
    receipt = replace(
        edited.receipt,
        warnings=[*edited.receipt.warnings, *notes],
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
    return f"{op.type} needs a backend that can do it, and none is installed"
