"""Build each wheel and try it alone: `make wheels`.

Every package is installed from its wheel into a fresh environment, with the wheels of the siblings
it declares and its declared dependencies from the package index, and nothing of this work tree.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RECORDING = ROOT / "examples" / "data" / "librivox_0880.wav"
# package: (sibling wheels it needs, commands that must succeed)
CHECKS: dict[str, tuple[list[str], list[list[str]]]] = {
    "mingtok-audio": (
        [],
        [
            ["mingtok", "--help"],
            ["mingtok", "plugins", "list", "--json"],
            ["mingtok", "encode", str(RECORDING), "-o", "x.mtok"],
            ["mingtok", "decode", "x.mtok", "-o", "x.wav"],
            ["mingtok", "info", "x.mtok", "--json"],
        ],
    ),
    "audio-eval": (
        ["mingtok-audio"],
        [
            ["audio-eval", "--help"],
            ["audio-eval", "metrics"],
            ["python", "-c", "import audio_eval"],
            # A folder of recordings scored against itself, with what the base install has.
            [
                *("audio-eval", "score", "reconstruction", "--refs", str(RECORDING.parent)),
                *("--hyps", str(RECORDING.parent), "--metrics", "mel_distance,duration"),
                *("-o", "scores", "--json"),
            ],
        ],
    ),
    "uniaudio-lm": (
        ["mingtok-audio"],
        [
            ["uniaudio", "--help"],
            ["uniaudio", "plugins", "list", "--json"],
            ["uniaudio", "reconstruct", str(RECORDING), "-o", "y.wav"],
        ],
    ),
    "uniaudio-edit": (
        ["mingtok-audio", "uniaudio-lm"],
        [["uniaudio", "edit", "--help"], ["python", "-c", "import uniaudio_edit"]],
    ),
}
OURS = ("mingtok_audio", "uniaudio_lm", "uniaudio_edit", "audio_eval")


def run(command: list[str], **options: object) -> None:
    print("+", " ".join(command), flush=True)
    subprocess.run(command, check=True, **options)  # type: ignore[call-overload]


def build(folder: Path) -> dict[str, Path]:
    """A wheel of every package, without build isolation: hatchling is installed already."""
    wheels = {}
    for name in CHECKS:
        out = folder / name
        run(
            [
                sys.executable,
                "-m",
                "pip",
                "wheel",
                "-q",
                "--no-deps",
                "--no-build-isolation",
                "-w",
                str(out),
                str(ROOT / "packages" / name),
            ]
        )
        (wheels[name],) = out.glob("*.whl")
        print(f"  {wheels[name].name}: {wheels[name].stat().st_size / 1e6:.1f} MB")
    return wheels


def smoke(name: str, wheels: dict[str, Path], folder: Path) -> None:
    """Install one package in a fresh environment and run its commands away from the work tree."""
    siblings, commands = CHECKS[name]
    environment = folder / f"env-{name}"
    venv.create(environment, with_pip=True)
    python = environment / "bin" / "python"
    files = [str(wheels[s]) for s in [*siblings, name]]
    run([str(python), "-m", "pip", "install", "-q", "-c", str(ROOT / "constraints.txt"), *files])
    work = folder / f"work-{name}"
    work.mkdir()
    variables = os.environ | {"PATH": f"{environment / 'bin'}:{os.environ['PATH']}"}
    variables |= {"HF_HUB_OFFLINE": "1"}
    variables.pop("PYTHONPATH", None)
    for command in commands:
        run(command, cwd=work, env=variables, stdout=subprocess.DEVNULL)
    missing = [other for other in OURS if other not in installed(name)]
    check = f"import importlib.util as u; assert not [m for m in {missing!r} if u.find_spec(m)]"
    run([str(python), "-c", check], cwd=work, env=variables)
    shutil.rmtree(environment)


def installed(name: str) -> set[str]:
    return {package.replace("-", "_") for package in [*CHECKS[name][0], name]}


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wheels = build(folder)
        for package in CHECKS:
            print(f"== {package}")
            smoke(package, wheels, folder)
    print(f"{len(CHECKS)} passed, 0 failed")


if __name__ == "__main__":
    main()
