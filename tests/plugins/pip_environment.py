"""Environments of their own for the plugins that tests install with pip."""

from __future__ import annotations

import os
import shutil
import site
import subprocess
import venv
from pathlib import Path


class PipEnvironment:
    """A virtual environment that also sees the packages of the one the tests run in."""

    def __init__(self, folder: Path) -> None:
        venv.create(folder, with_pip=False, symlinks=True)
        scripts = "Scripts" if os.name == "nt" else "bin"
        self.python = folder / scripts / ("python.exe" if os.name == "nt" else "python")
        where = self.run("-c", "import sysconfig; print(sysconfig.get_path('purelib'))")
        self.packages = Path(where.stdout.strip())
        ours = [path for path in site.getsitepackages() if Path(path).is_dir()]
        lines = [f"import site; site.addsitedir({path!r})" for path in ours]
        (self.packages / "zz_parent.pth").write_text("\n".join(lines) + "\n")

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        left_out = ("PYTHONPATH", "VIRTUAL_ENV", "UNIAUDIO_DISABLE_PLUGINS")
        environment = {k: v for k, v in os.environ.items() if k not in left_out}
        # A module that a test changes twice within a second would be read from its bytecode.
        environment["PYTHONDONTWRITEBYTECODE"] = "1"
        return subprocess.run(
            [str(self.python), *arguments],
            capture_output=True,
            text=True,
            check=False,
            env={**environment, "OMP_NUM_THREADS": "1", **variables},
        )

    def pip(self, *arguments: str) -> None:
        done = self.run("-m", "pip", *arguments, "--disable-pip-version-check", PIP_NO_INPUT="1")
        assert done.returncode == 0, done.stdout + done.stderr

    def pip_install_copy(self, example: Path, copy: Path) -> None:
        """Install an example from a copy, so that a build leaves nothing in the repository.

        Offline: no dependencies are asked for, and the build backend is the one that is here.
        """
        shutil.copytree(example, copy)
        self.pip("install", "--no-deps", "--no-build-isolation", "--no-index", str(copy))
