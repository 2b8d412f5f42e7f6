"""What the `edit` command does with its options."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mingtok_audio.core.cli import (
    EXIT_FAILED_ITEMS,
    EXIT_USAGE,
    emit_json,
    fail,
    get_console,
    progress,
)
from mingtok_audio.core.config import load_json, read_text
from mingtok_audio.core.errors import UserError
from uniaudio_edit.batch import (
    Settings,
    Task,
    editor_of,
    folder_tasks,
    key_of,
    meta_tasks,
    run_all,
)
from uniaudio_edit.errors import AmbiguousInstructionError

if TYPE_CHECKING:
    from uniaudio_edit.plan import Plan

_META_SUFFIXES = (".jsonl", ".ndjson")


@dataclass(frozen=True)
class Options:
    """The options of `uniaudio edit`, as given."""

    output: str | None = None
    text: str | None = None
    words: str | None = None
    receipt: str | None = None
    apply: str | None = None
    undo: str | None = None
    dry_run: bool = False
    workers: int = 1
    force: bool = False
    as_json: bool = False
    settings: Settings = field(default_factory=Settings)


def run(given: list[str], options: Options) -> None:
    """The whole command. Raises `UserError`, or `typer.Exit` where not everything was done."""
    if options.workers < 1:
        raise UserError(f"--workers must be at least 1, not {options.workers}")
    if options.apply is not None or options.undo is not None:
        _replay(given, options)
        return
    if not given:
        raise UserError(
            'give a recording and an instruction: uniaudio edit IN.wav "..." -o OUT.wav'
        )
    source = Path(given[0])
    if source.is_dir() or source.suffix.lower() in _META_SUFFIXES:
        _many(source, given[1:], options)
        return
    if len(given) != 2:
        raise UserError(
            "give one recording (or folder) and one instruction in quotes; "
            f"{len(given)} arguments were given"
        )
    try:
        _one(source, given[1], options)
    except AmbiguousInstructionError as error:
        emit_json({"error": "ambiguous", "candidates": error.candidates, "message": str(error)})
        fail(str(error))
        raise typer.Exit(EXIT_USAGE) from error


def _text(option: str | None) -> str | None:
    if option is None:
        return None
    text = read_text(option[1:]) if option.startswith("@") else option
    if not text.strip():
        raise UserError("--text is empty; leave it out, or give what the recording says")
    return text.strip()


def _one(source: Path, instruction: str, options: Options) -> None:
    from uniaudio_edit.editor import write_result
    from uniaudio_edit.pcm import check_output, read_recording
    from uniaudio_edit.receipt import Names
    from uniaudio_edit.words import parse_words

    settings = options.settings
    editor = editor_of(settings)
    recording = read_recording(source)
    text = _text(options.text)
    raw = load_json(options.words, 64 << 20) if options.words is not None else None
    words = parse_words(raw, str(options.words)) if raw is not None else None
    plan = editor.plan_recording(
        recording, instruction, text=text, words=words, which=settings.which
    )
    if options.dry_run:
        emit_json(plan.to_dict())
        show_plan(plan)
        return
    output = _output(source, options)
    check_output(output, recording)
    names = Names.of(output, options.receipt)
    if source.resolve() in (names.output.resolve(), names.receipt.resolve()):
        raise UserError(f"the output {output} would overwrite the input; give another name")
    key = key_of(Task(source, output, instruction, text, raw), settings)
    edited = editor.apply_recording(recording, plan, words)
    receipt = write_result(source, recording, edited, names, key)
    if options.as_json:
        emit_json(receipt.to_dict())
        return
    _tell(source, names.output, receipt.to_dict())


def _output(source: Path, options: Options) -> Path:
    if options.output is None or not options.output.strip():
        raise UserError("give the output with -o OUT.wav (or look first with --dry-run)")
    output = Path(options.output)
    if output.is_dir() or options.output.endswith("/"):
        suffix = source.suffix.lower() if source.suffix.lower() in (".wav", ".flac") else ".wav"
        return output / f"{source.stem}{suffix}"
    return output


def _tell(source: Path, output: Path, receipt: dict[str, Any]) -> None:
    total = max(1, receipt["source"]["num_samples"])
    share = sum(b - a for a, b in (c["source"] for c in receipt["changed"])) / total
    seconds = receipt["output"]["num_samples"] / receipt["output"]["sample_rate"]
    for note in receipt["warnings"]:
        get_console().print(f"note: {note}", markup=False)
    typer.echo(f"{source} -> {output} ({seconds:.2f} s, {share:.1%} of the source changed)")


def show_plan(plan: Plan) -> None:
    """The plan on stderr: a coloured diff of the text, the operations, what was assumed."""
    from rich.text import Text

    console = get_console()
    if plan.semantic:
        line = Text()
        for kind, piece in text_diff(plan.original_text, plan.edited_text):
            if kind == "-":
                line.append(f"[-{piece}-]", style="red strike")
            elif kind == "+":
                line.append(f"{{+{piece}+}}", style="green bold")
            else:
                line.append(piece)
        console.print(line)
    for op in plan.operations:
        when = f" ({op.time_span[0]:.2f} to {op.time_span[1]:.2f} s)" if op.time_span else ""
        how = f" [{op.backend}]" if op.backend else " [no backend that can do this is installed]"
        console.print(f"- {op.describe()}{when}{how}", markup=False)
    for note in plan.assumptions:
        console.print(f"assumed: {note}", markup=False)


def text_diff(before: str, after: str) -> list[tuple[str, str]]:
    """Pieces of ("=", same), ("-", gone) and ("+", new) text, cut at words or characters."""
    import difflib
    import re

    cut = re.compile(r"\s+|[A-Za-z0-9'’-]+|.", re.DOTALL)
    a, b = cut.findall(before), cut.findall(after)
    out: list[tuple[str, str]] = []
    for tag, i, j, k, m in difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        if tag == "equal":
            out.append(("=", "".join(a[i:j])))
            continue
        if i < j:
            out.append(("-", "".join(a[i:j])))
        if k < m:
            out.append(("+", "".join(b[k:m])))
    return out


def _replay(given: list[str], options: Options) -> None:
    from uniaudio_edit.receipt import apply_receipt, undo_receipt

    if options.apply is not None and options.undo is not None:
        raise UserError("--apply and --undo are opposites; give one of them")
    if len(given) > 1:
        raise UserError("with --apply and --undo, at most one recording can be given")
    source = Path(given[0]) if given else None
    output = Path(options.output) if options.output is not None else None
    if options.apply is not None:
        found = apply_receipt(Path(options.apply), source, output)
    else:
        found = undo_receipt(Path(str(options.undo)), source, output)
    if options.as_json:
        emit_json(found)
    else:
        exact = "the same file" if found["same_file"] else "the same samples"
        typer.echo(f"{found['input']} -> {found['output']} ({found['status']}, {exact})")


def _many(source: Path, rest: list[str], options: Options) -> None:
    if len(rest) > 1:
        raise UserError("give one folder (or .jsonl file) and at most one instruction in quotes")
    if options.text is not None or options.words is not None or options.receipt is not None:
        raise UserError(
            "--text, --words and --receipt are for one recording; in a folder NAME.txt and "
            "NAME.words.json beside NAME.wav are read, in a .jsonl file 'text' and 'words'"
        )
    if options.output is None and not options.dry_run:
        raise UserError("give a folder for the results with -o DIR")
    output = Path(options.output or source.parent / "unused")
    if output.exists() and not output.is_dir():
        raise UserError(f"the output {output} must be a folder, and is a file")
    instruction = rest[0] if rest else ""
    if source.is_dir():
        if not instruction:
            raise UserError("give an instruction for the recordings of the folder")
        tasks = folder_tasks(source, instruction, output, options.force)
    else:
        tasks = meta_tasks(source, instruction, output, options.force)
    if options.dry_run:
        _plans(tasks, options)
        return
    results: list[dict[str, Any]] = [{} for _ in tasks]
    with progress("edit", len(tasks), "files") as bar:
        for index, result in run_all(tasks, options.settings, options.workers, bar.advance):
            results[index] = result
            if result["status"] == "failed":
                fail(result["error"])
    _finish(results, options)


def _plans(tasks: list[Task], options: Options) -> None:
    """`--dry-run` of many: the plans, and what is wrong with the others."""
    from uniaudio_edit.pcm import read_recording
    from uniaudio_edit.words import parse_words

    editor = editor_of(options.settings)
    out: list[dict[str, Any]] = []
    failed = 0
    for task in tasks:
        try:
            words = parse_words(task.words, str(task.source)) if task.words is not None else None
            plan = editor.plan_recording(
                read_recording(task.source), task.instruction,
                text=task.text, words=words, which=options.settings.which,
            )  # fmt: skip
            out.append({"input": str(task.source), **plan.to_dict()})
            show_plan(plan)
        except UserError as error:
            failed += 1
            fail(f"{task.source}: {error}")
            out.append({"input": str(task.source), "error": str(error)})
            if isinstance(error, AmbiguousInstructionError):
                out[-1] |= {"error": "ambiguous", "candidates": error.candidates}
    emit_json(out)
    if failed:
        raise typer.Exit(EXIT_USAGE if failed == len(tasks) else EXIT_FAILED_ITEMS)


def _finish(results: list[dict[str, Any]], options: Options) -> None:
    counts = {s: sum(r["status"] == s for r in results) for s in ("ok", "skipped", "failed")}
    if options.as_json:
        emit_json(results)
    else:
        typer.echo(
            f"{counts['ok']} written, {counts['skipped']} skipped, {counts['failed']} failed"
        )
    if counts["failed"]:
        everything = counts["failed"] == len(results)
        raise typer.Exit(EXIT_USAGE if everything else EXIT_FAILED_ITEMS)


def with_options(settings: Settings, **values: Any) -> Settings:
    """`settings` with backend options that were given."""
    return replace(settings, options={k: v for k, v in values.items() if v is not None})
