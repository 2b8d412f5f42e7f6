"""The example plugin, really installed by pip: in the list of metrics, and in a score."""

from __future__ import annotations

import json
import os
import shutil
import site
import subprocess
import venv
from pathlib import Path

import numpy as np
import pytest

from mingtok_audio.core.audio import save_audio

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "custom_metric"


class Environment:
    """A virtual environment that also sees the packages of the one the tests run in."""

    def __init__(self, folder: Path) -> None:
        venv.create(folder, with_pip=False, symlinks=True)
        self.python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        where = self.run("-c", "import sysconfig; print(sysconfig.get_path('purelib'))")
        ours = [path for path in site.getsitepackages() if Path(path).is_dir()]
        lines = [f"import site; site.addsitedir({path!r})" for path in ours]
        (Path(where.stdout.strip()) / "zz_parent.pth").write_text("\n".join(lines) + "\n")

    def run(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        drop = ("PYTHONPATH", "VIRTUAL_ENV", "UNIAUDIO_DISABLE_PLUGINS", "AUDIO_EVAL_JUDGES")
        kept = {k: v for k, v in os.environ.items() if k not in drop}
        return subprocess.run(
            [str(self.python), *words],
            capture_output=True,
            text=True,
            check=False,
            env={**kept, **variables},
        )

    def audio_eval(self, *words: object, **variables: str) -> subprocess.CompletedProcess[str]:
        code = "from audio_eval.cli import main; main()"
        return self.run("-c", code, *map(str, words), **variables)


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    if not EXAMPLE.is_dir():
        pytest.skip("the examples are not in a source distribution")
    root = tmp_path_factory.mktemp("metric")
    shutil.copytree(EXAMPLE, root / "source")  # so that a build leaves nothing in the repository
    made = Environment(root / "env")
    names = {row["name"] for row in json.loads(made.audio_eval("metrics", "--json").stdout)}
    assert "level_difference" not in names
    # Offline: no dependencies are asked for, and the build backend is the one that is here.
    done = made.run(
        "-m", "pip", "install", "--no-deps", "--no-build-isolation", "--no-index",
        "--disable-pip-version-check", str(root / "source"),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return made


def test_it_is_listed_with_its_metadata(environment):
    rows = json.loads(environment.audio_eval("metrics", "--json").stdout)
    row = next(row for row in rows if row["name"] == "level_difference")
    assert row["distribution"] == "audio-eval-loudness"
    assert (row["unit"], row["needs_reference"], row["status"]) == ("dB", True, "ok")
    assert environment.audio_eval("plugins", "validate", "level_difference").returncode == 0


def test_it_scores_and_can_be_switched_off(environment, tmp_path):
    for folder, level in (("refs", 0.1), ("hyps", 0.2)):
        (tmp_path / folder).mkdir()
        save_audio(tmp_path / folder / "a.wav", np.full(8000, level, np.float32), 16000)
    words = ("score", "reconstruction", "--refs", tmp_path / "refs", "--hyps", tmp_path / "hyps",
             "-o", tmp_path / "out", "--metrics", "level_difference", "--json")  # fmt: skip
    done = environment.audio_eval(*words)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["metrics"]["level_difference"]
    assert found["value"] == pytest.approx(20 * np.log10(2), abs=1e-3)
    off = environment.audio_eval(*words, UNIAUDIO_DISABLE_PLUGINS="audio-eval-loudness")
    assert off.returncode == 2
    assert "level_difference" in off.stderr
