"""Build what would be released and try it: `make release-check`.

Every package's source distribution and wheel are built; `twine check` reads their metadata;
licences and contents are compared with the work tree, and a wheel built from the source
distribution with the one built from the tree. Then every package is installed from its wheel into
a fresh environment, with the wheels of the siblings it declares and its declared dependencies from
the package index, and nothing of this work tree.

    python tests/release_check.py [--no-install]
"""

from __future__ import annotations

import argparse
import email
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import venv
import zipfile
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
    """A source distribution and a wheel of every package, checked; returns the wheels.

    Without build isolation: hatchling is installed already.
    """
    wheels = {}
    for name in CHECKS:
        out = folder / name
        source = ROOT / "packages" / name
        run([sys.executable, "-m", "hatchling", "build", "-d", str(out)], cwd=source)
        (wheels[name],), (sdist,) = out.glob("*.whl"), out.glob("*.tar.gz")
        run([sys.executable, "-m", "twine", "check", "--strict", str(wheels[name]), str(sdist)])
        again = out / "again"
        command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
        run([*command, "-w", str(again), str(sdist)])
        (rebuilt,) = again.glob("*.whl")
        problems = check_contents(source, wheels[name], sdist)
        if payload(wheels[name]) != payload(rebuilt):
            problems.append("the wheel of the source distribution differs from the tree's")
        if problems:
            sys.exit(f"{name}: " + "; ".join(problems))
        for path in (wheels[name], sdist):
            print(f"  {path.name}: {path.stat().st_size / 1e6:.1f} MB")
    return wheels


def payload(wheel: Path) -> dict[str, int]:
    """Names and checksums of a wheel's files, without its record of them."""
    with zipfile.ZipFile(wheel) as archive:
        return {i.filename: i.CRC for i in archive.infolist() if not i.filename.endswith("RECORD")}


def check_contents(source: Path, wheel: Path, sdist: Path) -> list[str]:
    """What is wrong with the files and the metadata of a wheel and a source distribution."""
    with (source / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    module = source.name.replace("-", "_")
    tracked = subprocess.run(
        ["git", "ls-files", "."], cwd=source, check=True, capture_output=True, text=True
    ).stdout.split()
    problems = []
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
        about = f"{module}-{project['version']}.dist-info"
        metadata = email.message_from_bytes(archive.read(f"{about}/METADATA"))
        root = archive.read(f"{module}/__init__.py").decode()
        licence = archive.read(f"{about}/licenses/LICENSE")
    wanted = {p.removeprefix("src/") for p in tracked if p.startswith("src/")}
    extra = {p for p in held if not p.startswith(about)} - wanted
    for kind, names in (("lacks", wanted - held), ("holds besides", extra)):
        if names:
            problems.append(f"{wheel.name} {kind} {', '.join(sorted(names)[:5])}")
    if f'__version__ = "{project["version"]}"' not in root:
        problems.append("__version__ is not the version in pyproject.toml")
    if metadata["License-Expression"] != project["license"]:
        problems.append(f"the licence in the metadata is {metadata['License-Expression']}")
    for file in project["license-files"]:
        if f"{about}/licenses/{file}" not in held:
            problems.append(f"{wheel.name} lacks the licence {file}")
    if licence != (ROOT / "LICENSE").read_bytes():
        problems.append("LICENSE differs from the repository's")
    if not metadata.get_payload():
        problems.append("no long description")
    with tarfile.open(sdist) as archive:
        names = {n.partition("/")[2] for n in archive.getnames()}
    shipped = {p for p in tracked if p.startswith(("src/", "tests/"))}
    shipped |= {"LICENSE", "README.md", "CHANGELOG.md", "pyproject.toml"}
    if shipped - names:
        problems.append(f"{sdist.name} lacks {', '.join(sorted(shipped - names)[:5])}")
    return problems


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
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--no-install", action="store_true", help="only build and check files")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wheels = build(folder)
        for package in CHECKS if not chosen.no_install else ():
            print(f"== {package}")
            smoke(package, wheels, folder)
    print(f"{len(CHECKS)} passed, 0 failed")


if __name__ == "__main__":
    main()
