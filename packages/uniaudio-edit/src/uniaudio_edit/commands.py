"""What the `edit`, `edit-apply` and `edit-undo` commands do with their options."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mingtok_audio.core.cli import EXIT_FAILED_ITEMS, EXIT_USAGE, emit_json, fail, get_console
from mingtok_audio.core.config import load_json, read_text
from mingtok_audio.core.errors import UserError
from mingtok_audio.core.jobs import Job, Result, run_jobs
from uniaudio_edit.batch import Asked, EditWork, Settings, folder_jobs, meta_jobs

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
    dry_run: bool = False
    workers: int | None = None
    ray: str | None = None
    as_json: bool = False
    settings: Settings = field(default_factory=Settings)


def run(given: list[str], options: Options) -> None:
    """The whole command. Raises `UserError`, or `typer.Exit` where not everything was done."""
    if options.workers is not None and options.workers < 1:
        raise UserError(f"--workers must be at least 1, not {options.workers}")
    if not given:
        raise UserError(
            'give a recording and an instruction: uniaudio edit IN.wav "..." -o OUT.wav'
        )
    if options.settings.recognizer:
        from uniaudio_lm.parts.recognizers.loading import check_recognizer

        check_recognizer(options.settings.recognizer)
    source = Path(given[0])
    many = source.is_dir() or source.suffix.lower() in _META_SUFFIXES
    jobs = _many(source, given[1:], options) if many else [_one(source, given[1:], options)]
    if options.dry_run:
        _plans(jobs, options, many)
        return
    bar = "edit" if many else ""
    results: list[Result] = []
    work = EditWork(options.settings)
    force = options.settings.force
    for result in run_jobs(
        work, jobs, workers=options.workers, ray=options.ray, force=force, bar=bar
    ):
        results.append(result)
        if result["status"] == "failed":
            if not many and "candidates" in result:
                _emit_ambiguous(result["message"], result["candidates"])
            fail(result["error"])
        elif many:
            for note in result["warnings"] if result["status"] == "ok" else ():
                get_console().print(f"note: {result['input']}: {note}", markup=False)
        elif not options.as_json:
            _tell(result, jobs[0])
    _finish(results, options, many)


def _text(option: str | None) -> str | None:
    if option is None:
        return None
    text = read_text(option[1:]) if option.startswith("@") else option
    if not text.strip():
        raise UserError("--text is empty; leave it out, or give what the recording says")
    return text.strip()


def _one(source: Path, rest: list[str], options: Options) -> Job:
    if len(rest) != 1:
        raise UserError(
            "give one recording (or folder) and one instruction in quotes; "
            f"{len(rest) + 1} arguments were given"
        )
    from uniaudio_edit.receipt import Names

    words = load_json(options.words, 64 << 20) if options.words is not None else None
    receipt = Path(options.receipt) if options.receipt is not None else None
    output = Path("unused.wav") if options.dry_run else _output(source, options)
    names = Names.of(output, receipt)
    if source.resolve() in (names.output.resolve(), names.receipt.resolve()):
        raise UserError(f"the output {output} would overwrite the input; give another name")
    return Asked(rest[0], _text(options.text), words, receipt).job(source, output)


def _output(source: Path, options: Options) -> Path:
    if options.output is None or not options.output.strip():
        raise UserError("give the output with -o OUT.wav (or look first with --dry-run)")
    output = Path(options.output)
    if output.is_dir() or options.output.endswith("/"):
        suffix = source.suffix.lower() if source.suffix.lower() in (".wav", ".flac") else ".wav"
        return output / f"{source.stem}{suffix}"
    return output


def _many(source: Path, rest: list[str], options: Options) -> list[Job]:
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
    if source.is_dir() and not instruction:
        raise UserError("give an instruction for the recordings of the folder")
    return (folder_jobs if source.is_dir() else meta_jobs)(source, instruction, output)


def _plans(jobs: list[Job], options: Options, many: bool) -> None:
    """`--dry-run`: the plans, and what is wrong with the others."""
    from uniaudio_edit.errors import AmbiguousInstructionError
    from uniaudio_edit.pcm import read_recording
    from uniaudio_edit.words import parse_words

    editor = options.settings.editor()
    out: list[dict[str, Any]] = []
    failures = 0
    for job in jobs:
        asked: Asked = job.extra
        try:
            words = parse_words(asked.words, job.name) if asked.words is not None else None
            plan = editor.plan_recording(
                read_recording(Path(job.name)),
                asked.instruction,
                text=asked.text,
                words=words,
                which=options.settings.which,
            )
            out.append({"input": job.name, **plan.to_dict()} if many else plan.to_dict())
            show_plan(plan)
        except UserError as error:
            candidates = error.candidates if isinstance(error, AmbiguousInstructionError) else None
            if not many:
                if candidates is not None:
                    _emit_ambiguous(str(error), candidates)
                raise
            failures += 1
            fail(f"{job.name}: {error}")
            out.append({"input": job.name, "error": str(error)})
            if candidates is not None:
                out[-1] |= {"error": "ambiguous", "candidates": candidates}
    emit_json(out if many else out[0])
    _exit(failures, len(jobs))


def _emit_ambiguous(message: str, candidates: list[str]) -> None:
    emit_json({"error": "ambiguous", "candidates": candidates, "message": message})


def _finish(results: list[Result], options: Options, many: bool) -> None:
    failures = sum(result["status"] == "failed" for result in results)
    if many and options.as_json:
        emit_json(results)
    elif many:
        counts = {s: sum(r["status"] == s for r in results) for s in ("ok", "skipped")}
        typer.echo(f"{counts['ok']} written, {counts['skipped']} skipped, {failures} failed")
    elif options.as_json and not failures:
        own = ("input", "status", "error")
        emit_json({k: v for k, v in results[0].items() if k not in own})
    _exit(failures, len(results))


def _exit(failures: int, jobs: int) -> None:
    if failures:
        raise typer.Exit(EXIT_USAGE if failures == jobs else EXIT_FAILED_ITEMS)


def _tell(result: Result, job: Job) -> None:
    source, output = result["source"], result["output"]
    seconds = output["num_samples"] / output["sample_rate"]
    for note in result["warnings"]:
        get_console().print(f"note: {note}", markup=False)
    again = ", as it was already" if result["status"] == "skipped" else ""
    changed = _changed(result["changed"], source)
    typer.echo(f"{job.name} -> {job.output} ({seconds:.2f} s, {changed}{again})")


def _changed(changed: list[dict[str, Any]], source: dict[str, Any]) -> str:
    share = sum(b - a for a, b in (c["source"] for c in changed)) / max(1, source["num_samples"])
    return f"{share:.1%} of the source changed"


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


def replay(
    receipt: str, given: str | None, output: str | None, *, undo: bool, force: bool, as_json: bool
) -> None:
    """`edit-apply` and `edit-undo`."""
    from uniaudio_edit.receipt import apply_receipt, undo_receipt

    source = Path(given) if given is not None else None
    target = Path(output) if output is not None else None
    found = (undo_receipt if undo else apply_receipt)(Path(receipt), source, target, force=force)
    if as_json:
        emit_json(found)
    else:
        exact = "the same file" if found["same_file"] else "the same samples"
        typer.echo(f"{found['input']} -> {found['output']} ({found['status']}, {exact})")


def with_options(settings: Settings, **values: Any) -> Settings:
    """`settings` with backend options that were given."""
    return replace(settings, options={k: v for k, v in values.items() if v is not None})
