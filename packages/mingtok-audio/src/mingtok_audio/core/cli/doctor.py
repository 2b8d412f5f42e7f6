"""`doctor`: versions, devices, weights and plugins of this installation, and what is wrong."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mingtok_audio.core.cli.app import EXIT_FAILED_ITEMS
from mingtok_audio.core.cli.output import emit_json
from mingtok_audio.core.errors import UserError, one_line
from mingtok_audio.core.plugins.specs import DISABLE_VARIABLE

if TYPE_CHECKING:
    from mingtok_audio.core.plugins import PluginHost

_LIBRARIES = (
    "torch",
    "numpy",
    "soundfile",
    "soxr",
    "safetensors",
    "huggingface-hub",
    "pluggy",
    "typer",
    "transformers",
    "torchaudio",
)
_VARIABLES = (
    DISABLE_VARIABLE,
    "HF_HUB_OFFLINE",
    "HF_HOME",
    "CUDA_VISIBLE_DEVICES",
    "OMP_NUM_THREADS",
)


def doctor_report(
    distributions: Sequence[str],
    hosts: Sequence[PluginHost] = (),
    weights: Mapping[str, Path] | None = None,
) -> dict[str, Any]:
    """What this installation is made of.

    Args:
        distributions: our packages of the script.
        hosts: whose plugins are counted.
        weights: shipped models by name; their SHA-256 is computed.

    Returns:
        `{ok, python, platform, packages, libraries, devices, audio, weights, plugins,
        environment, problems}`; `ok` is whether `problems` is empty.
    """
    problems: list[str] = []
    packages = {name: _version(name) for name in distributions}
    problems += [f"{name} is not installed" for name, v in packages.items() if v is None]
    shipped = {name: _weights(name, folder, problems) for name, folder in (weights or {}).items()}
    counts: dict[str, dict[str, int]] = {}
    for host in hosts:
        rows = host.specs()
        counts[host.group] = {
            status: sum(row.status == status for row in rows)
            for status in ("ok", "broken", "disabled")
        }
        problems += host.warnings()
    return {
        "ok": not problems,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": packages,
        "libraries": {name: _version(name) for name in _LIBRARIES},
        "devices": _devices(problems),
        "audio": _audio(problems),
        "weights": shipped,
        "plugins": counts,
        "environment": {name: os.environ[name] for name in _VARIABLES if name in os.environ},
        "problems": problems,
    }


def add_doctor(app: typer.Typer, report: Callable[[], dict[str, Any]]) -> None:
    """Give `app` the command `doctor`; `report` calls `doctor_report`."""

    @app.command()
    def doctor(
        as_json: bool = typer.Option(False, "--json", help="Print JSON on standard output."),
    ) -> None:
        """Show versions, devices, weights and plugins; exit code 1 if something is wrong."""
        print_report(report(), as_json)


def print_report(found: Mapping[str, Any], as_json: bool) -> None:
    """Show a report of `doctor_report`. Raises `typer.Exit` with code 1 where it has problems."""
    if as_json:
        emit_json(found)
    else:
        typer.echo("\n".join(_lines(found)))
    if not found["ok"]:
        raise typer.Exit(EXIT_FAILED_ITEMS)


def _lines(report: Mapping[str, Any]) -> list[str]:
    lines = []
    for key, value in report.items():
        if key in ("ok", "problems"):
            continue
        if isinstance(value, Mapping):
            lines.append(f"{key}:")
            for name, item in value.items():
                if isinstance(item, Mapping):
                    item = ", ".join(f"{k} {v}" for k, v in item.items())  # noqa: PLW2901
                lines.append(f"  {name}: {'not installed' if item is None else item}")
        else:
            lines.append(f"{key}: {', '.join(value) if isinstance(value, list) else value}")
    lines += [f"problem: {problem}" for problem in report["problems"]]
    lines.append("everything is fine" if report["ok"] else f"{len(report['problems'])} problem(s)")
    return lines


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _weights(name: str, folder: Path, problems: list[str]) -> dict[str, Any]:
    from mingtok_audio.core.models.weights import sha256_of_weights, weight_files

    try:
        size = sum(file.stat().st_size for file in weight_files(folder))
        return {"sha256": sha256_of_weights(folder), "megabytes": round(size / 1e6, 1)}
    except UserError as error:
        problems.append(f"the weights {name} are damaged: {error}")
        return {"sha256": None, "megabytes": None}


def _devices(problems: list[str]) -> list[str]:
    try:
        import torch
    except (ImportError, OSError) as error:
        problems.append(f"torch cannot be imported: {one_line(str(error), 200)}")
        return []
    from mingtok_audio.core.runtime import cpu_half_dtypes

    halves = ", ".join(sorted(cpu_half_dtypes())) or "no half precision"
    devices = [f"cpu ({torch.get_num_threads()} threads, {halves})"]
    if torch.cuda.is_available():
        devices += [
            f"cuda:{i} ({torch.cuda.get_device_name(i)})" for i in range(torch.cuda.device_count())
        ]
    if torch.backends.mps.is_available():
        devices.append("mps")
    return devices


def _audio(problems: list[str]) -> dict[str, str | None]:
    try:
        import soundfile
        import soxr
    except (ImportError, OSError) as error:
        problems.append(f"audio files cannot be read: {one_line(str(error), 200)}")
        return {"libsndfile": None, "libsoxr": None}
    return {
        "libsndfile": soundfile.__libsndfile_version__,
        "libsoxr": getattr(soxr, "__libsoxr_version__", soxr.__version__),
    }
