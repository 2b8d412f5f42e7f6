"""The commands `build`, `list-dialects`, `list-dns` and `baselines`, for `audio_eval.cli`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, cast

import typer


def register(app: typer.Typer) -> None:
    """Add the commands to an app."""
    app.command("build")(build_command)
    app.command("list-dialects")(list_dialects_command)
    app.command("list-dns")(list_dns_command)
    app.command("baselines")(baselines_command)


def build_command(
    manifest: Annotated[
        Path,
        typer.Argument(
            help="Recordings with transcripts: JSONL, Freeform meta, seed-tts list, a LibriSpeech "
            "or Kaldi folder."
        ),
    ],
    *,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the set to write.")],
    preset: Annotated[
        str | None,
        typer.Option(help="Counts of the paper: paper-basic, paper-full or paper-acoustic."),
    ] = None,
    items: Annotated[
        int | None, typer.Option(help="Number of items, balanced over tasks and wordings.", min=1)
    ] = None,
    count: Annotated[
        list[str] | None,
        typer.Option(
            help="Count of one group, for example en/deletion/full/index=10 or zh/speed=5."
        ),
    ] = None,
    task: Annotated[
        list[str] | None,
        typer.Option(help="With --items: tasks to spread over (default: the three text edits)."),
    ] = None,
    wording: Annotated[str, typer.Option(help="With --items: basic, full or both.")] = "both",
    scale: Annotated[float, typer.Option(help="Multiply the counts of a preset.")] = 1.0,
    language: Annotated[
        str | None,
        typer.Option(help="en or zh: build only this one; also of unlabelled recordings."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Everything random follows from it.")] = 0,
    per_recording: Annotated[
        int, typer.Option(help="Items from one recording at most.", min=1)
    ] = 1,
    targets: Annotated[
        str,
        typer.Option(
            help="recorded: text edits whose perfect result is the recording (--aligner)."
        ),
    ] = "none",
    aligner: Annotated[
        str | None, typer.Option(help="Whisper model (CTranslate2 folder) for word times.")
    ] = None,
    acoustic_wording: Annotated[
        str, typer.Option(help="Instructions of acoustic items: basic (published) or full.")
    ] = "basic",
    instruction_language: Annotated[
        str | None, typer.Option(help="en or zh for full wordings; default: the text's language.")
    ] = None,
    instruction_prefix: Annotated[
        str, typer.Option(help="Put before each text-edit instruction.")
    ] = "",
    writer: Annotated[
        str | None, typer.Option(help="Command that rewords an instruction (JSON in, text out).")
    ] = None,
    judge: Annotated[
        str | None, typer.Option(help="Command that says the edited text (JSON in, text out).")
    ] = None,
    noise: Annotated[
        Path | None, typer.Option(help="Folder of noise recordings; default: synthetic noise.")
    ] = None,
    sample_rate: Annotated[
        int | None, typer.Option(help="Hz of the written files; default: each recording's own.")
    ] = None,
    min_units: Annotated[int, typer.Option(help="Words or characters at least.", min=2)] = 4,
    max_seconds: Annotated[float, typer.Option(help="Seconds of a recording at most.")] = 30.0,
    dns: Annotated[
        bool, typer.Option("--dns", help="Write noise removal as DNS Challenge folders too.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a set built before.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Build an edit set in the published Freeform layout."""
    from audio_eval.build.acoustic import read_noises
    from audio_eval.build.align import whisper_words
    from audio_eval.build.builder import BuildOptions, build
    from audio_eval.build.layouts import is_dns
    from audio_eval.build.sources import read_recordings
    from audio_eval.build.writers import CommandSlot
    from mingtok_audio.core.cli import emit_json
    from mingtok_audio.core.errors import UserError

    _one_of("--wording", wording, ("basic", "full", "both"))
    _one_of("--targets", targets, ("none", "recorded"))
    _one_of("--acoustic-wording", acoustic_wording, ("basic", "full"))
    _one_of("--language", language, ("en", "zh", None))
    _one_of("--instruction-language", instruction_language, ("en", "zh", None))
    if is_dns(manifest):
        raise UserError(f"{manifest}: is a DNS Challenge folder: audio-eval list-dns reads it")
    chosen = [
        name for name, v in (("--preset", preset), ("--items", items), ("--count", count)) if v
    ]
    if len(chosen) != 1:
        raise UserError("give one of --preset, --items and --count")
    recordings = read_recordings(manifest, language or "")
    spoken = [x for x in ("en", "zh") if any(r.language == x for r in recordings)]
    counts = _counts(
        preset=preset,
        items=items,
        count=count,
        task=task,
        wording=wording,
        scale=scale,
        languages=[language] if language else spoken,
    )
    options = BuildOptions(
        manifest=manifest,
        out=out,
        counts=counts,
        seed=seed,
        per_recording=per_recording,
        language=language or "",
        targets="recorded" if targets == "recorded" else "none",
        hear=whisper_words(Path(aligner)) if aligner else None,
        acoustic_wording=acoustic_wording,
        instruction_language=cast("Any", instruction_language or ""),
        prefix=instruction_prefix,
        writer=CommandSlot(writer) if writer else None,
        judge=CommandSlot(judge) if judge else None,
        noises=read_noises(noise) if noise else {},
        min_units=min_units,
        max_seconds=max_seconds,
        sample_rate=sample_rate,
        dns=dns,
        force=force,
    )
    report = build(options, _progress("building"))
    if as_json:
        emit_json(report.to_dict())
    else:
        typer.echo(f"{sum(report.written.values())} items in {out}")
        for name, number in report.written.items():
            typer.echo(f"  {name}: {number} of {report.wanted[name]}")
        turned = report.rejections.counts
        if turned:
            said = ", ".join(f"{reason} {n}" for reason, n in turned.most_common())
            typer.echo(f"turned away: {said}; examples in {out / 'build_report.json'}")
    if report.missing:
        lacking = ", ".join(f"{cell} lacks {n}" for cell, n in report.missing.items())
        typer.echo(f"not enough usable recordings: {lacking}", err=True)
        raise typer.Exit(1)


def list_dialects_command(
    manifest: Annotated[
        Path, typer.Argument(help="Recordings with transcripts, as for audio-eval build.")
    ],
    *,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder: one folder per dialect in it.")],
    language: Annotated[str, typer.Option(help="Language of unlabelled recordings.")] = "",
    force: Annotated[bool, typer.Option("--force", help="Write into a folder with files.")] = False,
) -> None:
    """List recordings for recognition, one list per dialect; the recordings stay where they are."""
    from audio_eval.build import layouts
    from audio_eval.build.sources import read_recordings
    from mingtok_audio.core.cli import emit_json

    recordings = read_recordings(manifest, language)
    _ready(out, force)
    written = layouts.write_recognition(recordings, out)
    emit_json({"recognition": {name: str(path) for name, path in written.items()}})


def list_dns_command(
    folder: Annotated[
        Path, typer.Argument(help="DNS Challenge folder: noisy/ and, if there is one, clean/.")
    ],
    *,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for items.jsonl.")],
    language: Annotated[str, typer.Option(help="Language of the recordings.")] = "en",
    force: Annotated[bool, typer.Option("--force", help="Write into a folder with files.")] = False,
) -> None:
    """List the pairs of a DNS Challenge folder for scoring; the recordings stay where they are."""
    from audio_eval.build import layouts
    from audio_eval.edit_tasks import NOISE_REMOVAL
    from audio_eval.scoring.manifest import write_manifest
    from mingtok_audio.core.cli import emit_json

    items = layouts.read_dns(folder, language)
    _ready(out, force)
    write_manifest(out / "items.jsonl", items)
    emit_json({NOISE_REMOVAL: str(out / "items.jsonl"), "items": len(items)})


def _ready(out: Path, force: bool) -> None:
    from mingtok_audio.core.errors import UserError

    if out.exists() and any(out.iterdir()) and not force:
        raise UserError(f"{out}: is not empty; give another folder, or --force to write into it")
    out.mkdir(parents=True, exist_ok=True)


def baselines_command(
    manifest: Annotated[
        Path, typer.Argument(help="An edit set: its folder, items.jsonl or a meta.")
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder: one folder per baseline in it.")
    ],
    aligner: Annotated[
        str | None,
        typer.Option(help="Whisper model for the oracle's word times; without: no oracle."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print what was written as JSON.")
    ] = False,
) -> None:
    """Write the baselines of an edit set as folders of outputs."""
    from audio_eval.build import baselines
    from audio_eval.build.align import whisper_words
    from audio_eval.scoring.manifest import read_manifest
    from mingtok_audio.core.cli import emit_json
    from mingtok_audio.core.errors import UserError

    listing = manifest / "items.jsonl" if (manifest / "items.jsonl").is_file() else manifest
    items = read_manifest(listing)
    if out.exists() and any(out.iterdir()):
        raise UserError(f"{out}: is not empty; give another folder")
    folders = {
        "source_unchanged": baselines.source_unchanged(items, out / "source_unchanged"),
        "ground_truth": baselines.ground_truth(items, out / "ground_truth"),
    }
    if aligner:
        deletions = [item for item in items if item.task == "deletion"]
        folders["oracle_splice"] = baselines.oracle_splice(
            deletions, out / "oracle_splice", whisper_words(Path(aligner)), "cutting"
        )
    shown = {
        name: {"path": str(f.path), "written": len(f.written), "skipped": f.skipped}
        for name, f in folders.items()
    }
    if as_json:
        emit_json(shown)
        return
    for name, folder in folders.items():
        typer.echo(
            f"{name}: {len(folder.written)} written, {len(folder.skipped)} left out ({folder.path})"
        )


def _one_of(option: str, value: str | None, known: tuple[str | None, ...]) -> None:
    from mingtok_audio.core.errors import UserError

    if value not in known:
        named = ", ".join(k for k in known if k)
        raise UserError(f"{option} {value}: must be one of {named}")


def _counts(
    *,
    preset: str | None,
    items: int | None,
    count: list[str] | None,
    task: list[str] | None,
    wording: str,
    scale: float,
    languages: list[str],
) -> dict[Any, int]:
    from audio_eval.build import presets
    from mingtok_audio.core.errors import UserError

    if preset:
        return presets.scaled(presets.preset(preset, languages), scale)
    if count:
        return presets.parse_counts(count)
    assert items is not None
    if not languages:
        raise UserError("no recording is English or Chinese; say which with --language")
    known = (*presets.SEMANTIC, *presets.ACOUSTIC)
    for name in task or ():
        _one_of("--task", name, known)
    wordings: Any = ["basic", "full"] if wording == "both" else [wording]
    spoken: Any = languages
    return presets.balanced(items, spoken, wordings, task or presets.SEMANTIC)


def _progress(what: str) -> Any:
    """A line on stderr every so often; nothing where nobody reads it."""
    import sys
    import time

    last = [0.0]

    def show(done: int, total: int) -> None:
        now = time.monotonic()
        if done == total or now - last[0] > 2.0:
            last[0] = now
            print(f"{what}: {done}/{total}", file=sys.stderr)

    return show
