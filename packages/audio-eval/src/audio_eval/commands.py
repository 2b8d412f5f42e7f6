"""Bodies of the smaller commands; imported when they run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from audio_eval.interfaces import System
from audio_eval.scoring.context import JudgeChoice
from mingtok_audio.core.errors import UserError


def name_list(text: str, none: str = "") -> list[str]:
    """``"a, b"`` to names; the word ``none`` stands for no names."""
    return [n.strip() for n in text.split(",") if n.strip() and n.strip() != none]


def judge_choices(given: list[str]) -> dict[str, JudgeChoice]:
    """``ROLE=NAME,option=value`` texts to choices by role.

    Raises:
        UserError: a text that is not of that form.
    """
    out = {}
    for text in given:
        role, equals, rest = text.partition("=")
        name, *options = rest.split(",")
        if not equals or not role.strip() or not name.strip():
            raise UserError(f"--judge {text}: expected ROLE=NAME or ROLE=NAME,option=value")
        pairs: dict[str, Any] = {}
        for option in options:
            key, equals, value = option.partition("=")
            if not equals:
                raise UserError(f"--judge {text}: {option!r} is not option=value")
            pairs[key.strip()] = int(value) if value.lstrip("-").isdigit() else value
        out[role.strip()] = JudgeChoice(name.strip(), pairs)
    return out


_MAIN_OPTION = {"folder": "path", "command": "command", "python": "target"}


def make_system(text: str) -> System:
    """``NAME:VALUE`` (``folder:DIR``, ``command:LINE``, ``python:pkg.mod:func``) to a system; a
    third party's takes ``NAME`` alone or ``NAME:option=value,...``.

    Raises:
        UserError: not of that form, or what the system refuses.
    """
    from audio_eval.plugins import create_system

    name, colon, value = text.partition(":")
    if name in _MAIN_OPTION:
        if not value:
            raise UserError(f"--system {text}: expected {name}:{_MAIN_OPTION[name].upper()}")
        return create_system(name, **{_MAIN_OPTION[name]: value})
    options: dict[str, Any] = {}
    for part in value.split(",") if colon else []:
        key, equals, word = part.partition("=")
        if not equals:
            raise UserError(f"--system {text}: {part!r} is not option=value")
        options[key.strip()] = _typed(word)
    return create_system(name, **options)


def _typed(word: str) -> str | int | bool:
    """An option's value: true, false, a whole number, else the text."""
    if word in ("true", "false"):
        return word == "true"
    return int(word) if word.lstrip("-").isdigit() else word


def doctor() -> dict[str, Any]:
    """What this installation can measure: versions, plugins, extras, offline judges."""
    from audio_eval.catalog import EXTRA_MODULES, missing_modules
    from audio_eval.judges.offline import find_folder, offline_judges
    from audio_eval.plugins import get_host
    from mingtok_audio.core.cli.doctor import doctor_report

    report = doctor_report(["audio-eval", "mingtok-audio"], [get_host()])
    report["extras"] = {
        extra: {"missing": missing_modules(extra)} | {"ok": not missing_modules(extra)}
        for extra in EXTRA_MODULES
    }
    try:
        folder = find_folder()
        report["offline_judges"] = {
            "folder": str(folder) if folder else None,
            "roles": {role: choice.name for role, choice in offline_judges().items()},
        }
    except UserError as error:
        report["problems"] = [*report["problems"], str(error)]
        report["ok"] = False
    return report


def describe(what: str | None) -> dict[str, Any]:
    """``info``: the package, a suite, a scored run, a manifest, or a recording.

    Raises:
        UserError: none of these.
    """
    from audio_eval import __version__, suites
    from mingtok_audio.core.audio import AUDIO_SUFFIXES, audio_info
    from mingtok_audio.core.cli.output import jsonable
    from mingtok_audio.core.config import load_json, near

    if what is None:
        found = {name: suites.load_suite(name).summary for name in suites.names()}
        return {"kind": "package", "version": __version__, "suites": found}
    path = Path(what)
    if what in suites.names() or path.suffix in (".yaml", ".yml"):
        return {"kind": "suite", **jsonable(suites.load_suite(what))}
    results = path / "results.json" if path.is_dir() else path
    if results.suffix == ".json" and results.is_file():
        data = load_json(results, 1 << 28)
        if isinstance(data, dict) and "suite" in data:
            return {"kind": "results", **data}
    if path.suffix.lower() in AUDIO_SUFFIXES:
        return {"kind": "audio", **jsonable(audio_info(path))}
    if path.exists():
        from audio_eval.scoring.manifest import read_manifest

        items = read_manifest(path)
        groups: dict[str, int] = {}
        for item in items:
            groups[item.group] = groups.get(item.group, 0) + 1
        return {"kind": "manifest", "items": len(items), "groups": groups}
    raise UserError(f"{what}: no such file, and no suite of that name{near(what, suites.names())}")


def results_table(results: dict[str, Any]) -> str:
    """A scored run for people."""
    lines = [f"{results['suite']}: {results['items']} items, {results['failed']} failed"]
    columns = {"system": results["metrics"], **results["baselines"]}
    width = max((len(name) for name in results["metrics"]), default=0)
    for name in results["metrics"]:
        cells = [f"{column} {_cell(table.get(name))}" for column, table in columns.items()]
        lines.append(f"  {name.ljust(width)}  " + "   ".join(cells))
    for role, judge in results["judges"].items():
        lines.append(f"judge of {role}: {judge}")
    lines.append(f"details: {results['per_item']}")
    return "\n".join(lines)


def _cell(summary: dict[str, Any] | None) -> str:
    if summary is None:
        return "-"
    if summary["value"] is None:
        return f"unavailable ({summary['reason']})"
    interval = summary["ci95"]
    span = f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else ""
    note = f", {summary['reason']}" if summary["reason"] else ""
    unit = f" {summary['unit']}" if summary["unit"] else ""
    return f"{summary['value']:.3f}{unit}{span} n={summary['n']}{note}"
