"""Edits of files: which there are, whether one is done already, and making it.

One file and a folder take the same road: a `Job` each, an `EditWork`, and `core.jobs.run_jobs`. A
result is done when its receipt is there, written for the same source, instruction and options, and
the output beside it has the receipt's checksum. The receipt is written last, so a run that is
killed loses only what it was working on.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mingtok_audio.core.audio import AUDIO_SUFFIXES
from mingtok_audio.core.cli import collect_inputs
from mingtok_audio.core.config import parse_json, read_text
from mingtok_audio.core.errors import FormatError, UserError
from mingtok_audio.core.jobs import (
    Advance,
    Job,
    Records,
    Result,
    Work,
    done,
    failed,
    file_sha256,
    make_key,
)
from uniaudio_edit.errors import AmbiguousInstructionError
from uniaudio_edit.pcm import OUTPUT_SUFFIXES
from uniaudio_edit.receipt import Names, read_receipt
from uniaudio_lm.watermarking import DEFAULT_WATERMARK

if TYPE_CHECKING:
    from uniaudio_edit.editor import Editor

_MAX_META = 512 << 20


@dataclass(frozen=True)
class Settings:
    """What every edit of a run shares."""

    backend: str = "auto"
    parser: str = "grammar"
    model: str = "nano"
    aligner: str = ""
    recognizer: str = ""
    check: bool = False
    watermark: str | None = DEFAULT_WATERMARK
    which: str = "refuse"
    seed: int = 0
    force: bool = False
    options: dict[str, Any] = field(default_factory=dict)

    def editor(self) -> Editor:
        """The editor that they describe; those of a process share their models."""
        from uniaudio_edit.editor import Editor
        from uniaudio_edit.parts import shared_parts

        return Editor(
            parser=self.parser,
            backend=self.backend,
            watermark=self.watermark,
            parts=shared_parts(self.model, self.aligner, self.recognizer),
            check=self.check,
            seed=self.seed,
            options=self.options,
        )


@dataclass(frozen=True)
class Asked:
    """What is asked of one recording.

    Attributes:
        instruction: in words.
        text: what the recording says, where it is known.
        words: decoded JSON of word times, or None.
        receipt: where the receipt goes; None: beside the output.
        into_folder: whether the folder of the output is made where it is not there.
    """

    instruction: str
    text: str | None = None
    words: Any = None
    receipt: Path | None = None
    into_folder: bool = False

    def job(self, source: Path, output: Path) -> Job:
        """The edit of a file. Its text is all that the result depends on beside the source."""
        asked = json.dumps([self.instruction, self.text, self.words])
        return Job(str(source), source, asked, output, extra=self)


@dataclass
class EditWork(Work):
    """Edits of files."""

    settings: Settings

    def load(self) -> Editor:
        """See `Work.load`."""
        return self.settings.editor()

    def identity(self) -> dict[str, Any]:
        """See `Work.identity`."""
        from uniaudio_edit import __version__

        settings = asdict(self.settings)
        del settings["force"]
        sound = self.settings.options.get("sound")
        return {
            "version": __version__,
            "settings": settings,
            "sound": file_sha256(Path(sound)) if sound else None,
        }

    def run(self, model: Editor, jobs: Sequence[Job], advance: Advance) -> list[Result]:
        """See `Work.run`."""
        return [self._edited(model, job) for job in jobs]

    def _edited(self, editor: Editor, job: Job) -> Result:
        from uniaudio_edit.words import parse_words

        asked: Asked = job.extra
        assert job.source is not None and job.output is not None
        words = None
        if asked.words is not None:
            words = parse_words(asked.words, f"the word times of {job.source.name}")
        key = self.key(job)
        if not self.settings.force:
            _ask_before_overwriting(self._names(job), key)
        if asked.into_folder:
            job.output.parent.mkdir(parents=True, exist_ok=True)
        receipt = editor.edit_file(
            job.source,
            asked.instruction,
            job.output,
            text=asked.text,
            words=words,
            which=self.settings.which,
            receipt=asked.receipt,
            key=key,
        )
        return done(job, receipt.to_dict())

    def key(self, job: Job) -> str:
        """Everything that the output depends on, as a hash; it stands in the receipt."""
        return make_key(job.sha256(), job.text, self.identity())

    def targets(self, job: Job) -> list[Path]:
        """See `Work.targets`."""
        names = self._names(job)
        return [names.output, names.receipt, names.undo]

    def finished(self, job: Job, key: str, records: Records | None) -> Result | None:
        """The receipt of a result that is there already and whole, or None."""
        names = self._names(job)
        if not (names.receipt.is_file() and names.output.is_file() and names.undo.is_file()):
            return None
        try:
            receipt = read_receipt(names.receipt)
            whole = file_sha256(names.output) == receipt.output["sha256"]
        except (UserError, OSError):
            return None
        return receipt.to_dict() if whole and receipt.key == key else None

    def failed(self, job: Job, error: BaseException) -> Result:
        """See `Work.failed`; an ambiguous instruction lists its candidates."""
        result = failed(job, error)
        if isinstance(error, AmbiguousInstructionError):
            result |= {"candidates": error.candidates, "message": str(error)}
        return result

    @staticmethod
    def _names(job: Job) -> Names:
        assert job.output is not None
        return Names.of(job.output, job.extra.receipt)


def _ask_before_overwriting(names: Names, key: str) -> None:
    """Refuse to replace a file, but for what a killed run left and a damaged result of the edit."""
    there = [path for path in (names.output, names.receipt) if path.exists()]
    if not there or (names.undo.is_file() and not names.receipt.exists()):
        return
    try:
        if names.receipt.is_file() and read_receipt(names.receipt).key == key:
            return
    except UserError:
        pass
    raise UserError(f"{there[0]} is there already; give --force to replace it, or another name")


# --- which edits ----------------------------------------------------------------------------------


def folder_jobs(folder: Path, instruction: str, output: Path) -> list[Job]:
    """An edit for every recording of a folder. `NAME.txt` beside a recording is its text,
    `NAME.words.json` its word times."""
    items = collect_inputs([str(folder)], AUDIO_SUFFIXES)
    jobs: list[Job] = []
    inside = output.resolve()
    for item in items:
        assert item.path is not None
        if item.path.resolve().is_relative_to(inside) and inside != folder.resolve():
            continue  # results of an earlier run
        suffix = item.path.suffix.lower()
        target = (output / Path(item.relative)).with_suffix(
            suffix if suffix in OUTPUT_SUFFIXES else ".wav"
        )
        text, words = _beside(item.path)
        jobs.append(Asked(instruction, text, words, into_folder=True).job(item.path, target))
    if not jobs:
        raise UserError(f"{folder} holds no recordings")
    return _distinct(jobs)


def _beside(path: Path) -> tuple[str | None, Any]:
    text_file, words_file = path.with_suffix(".txt"), path.with_suffix(".words.json")
    text = read_text(text_file).strip() if text_file.is_file() else None
    words = None
    if words_file.is_file():
        words = parse_json(read_text(words_file, _MAX_META), str(words_file))
    return text, words


_AUDIO_KEYS = ("audio", "source", "wav", "source_audio", "input", "path")
_TEXT_KEYS = ("original_text", "text", "source_text", "transcript")


def meta_jobs(meta: Path, instruction: str, output: Path) -> list[Job]:
    """The edits of a JSON-lines file: `audio` (or `source`), `instruction`, and if known
    `original_text` (or `text`), `words`, `id`. Paths are relative to the file.

    Raises:
        UserError: names the line.
    """
    text = read_text(meta, _MAX_META)
    jobs: list[Job] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        where = f"{meta}, line {number}"
        row = parse_json(line, where)
        if not isinstance(row, dict):
            raise FormatError(f"{where} is not a JSON object")
        audio = next((row[k] for k in _AUDIO_KEYS if isinstance(row.get(k), str)), None)
        wanted = row.get("instruction") or instruction
        if audio is None or not isinstance(wanted, str):
            raise FormatError(f"{where} needs an audio path and an instruction")
        known = next((row[k] for k in _TEXT_KEYS if isinstance(row.get(k), str)), None)
        source = Path(audio) if Path(audio).is_absolute() else meta.parent / audio
        name = str(row.get("id") or Path(audio).stem)
        if not name or name.startswith(".") or any(c in name for c in "/\\\0"):
            raise FormatError(f"{where}: the id {name!r} is not a file name")
        suffix = source.suffix.lower() if source.suffix.lower() in OUTPUT_SUFFIXES else ".wav"
        asked = Asked(wanted, known, row.get("words"), into_folder=True)
        jobs.append(asked.job(source, output / f"{name}{suffix}"))
    if not jobs:
        raise UserError(f"{meta} has no lines")
    return _distinct(jobs)


def _distinct(jobs: list[Job]) -> list[Job]:
    seen: dict[Path, Job] = {}
    for job in jobs:
        assert job.output is not None
        first = seen.setdefault(Names.of(job.output).receipt.resolve(), job)
        if first is not job:
            raise UserError(
                f"{first.name} and {job.name} would both be written to {job.output}; give them "
                "different names"
            )
    return jobs
