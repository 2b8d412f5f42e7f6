"""A third-party plugin, installed and uninstalled by pip in an environment of its own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from pip_environment import PipEnvironment

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "custom_compressor"
DISTRIBUTION = "mingtok-attentive-pooling"


class Environment(PipEnvironment):
    """One with the `mingtok` command."""

    def mingtok(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return self.run("-c", "from mingtok_audio.cli import main; main()", *arguments, **variables)

    def components(self, **variables: str) -> dict[str, dict[str, object]]:
        done = self.mingtok("plugins", "list", "--json", **variables)
        assert done.returncode == 0, done.stderr
        return {row["name"]: row for row in json.loads(done.stdout)}


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    root = tmp_path_factory.mktemp("plugin")
    made = Environment(root / "env")
    assert "attentive_stats" not in made.components()
    made.pip_install_copy(EXAMPLE, root / "source")
    return made


@pytest.fixture
def package(environment: Environment) -> Iterator[Path]:
    """The installed package's folder; what a test breaks in it is mended afterwards."""
    folder = environment.packages / "attentive_pooling"
    kept = {path: path.read_bytes() for path in folder.glob("*.py")}
    yield folder
    for path, content in kept.items():
        path.write_bytes(content)


def test_it_is_listed(environment: Environment) -> None:
    components = environment.components()
    assert {"pooling", "cross_attention", "linear_pooling"} <= components.keys()
    row = components["attentive_stats"]
    assert (row["slot"], row["distribution"], row["status"]) == ("compressor", DISTRIBUTION, "ok")
    assert row["version"] == "0.1.0" and row["api_version"] == 1 and row["error"] is None


def test_it_conforms(environment: Environment) -> None:
    done = environment.mingtok("plugins", "validate", "attentive_stats", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report["ok"] and len(report["checks"]) == 7
    tests = environment.run(
        "-m", "pytest", "-o", "addopts=", "-p", "no:cacheprovider", str(EXAMPLE / "tests")
    )
    assert tests.returncode == 0 and "1 passed" in tests.stdout, tests.stdout + tests.stderr


def test_its_weights_travel_alone(environment: Environment, tmp_path: Path) -> None:
    code = """
import sys, torch
from mingtok_audio.core.models.components import save_component
from mingtok_audio.plugins import create_compressor, load_compressor
made = create_compressor("attentive_stats", in_dim=8, patch_size=3).eval()
save_component(sys.argv[1], made, slot="compressor", name="attentive_stats")
x = torch.randn(1, 7, 8)
assert torch.equal(load_compressor(sys.argv[1])(x)[0], made(x)[0])
"""
    done = environment.run("-c", code, str(tmp_path / "component"))
    assert done.returncode == 0, done.stderr
    # Here, where the plugin is not installed, the folder is refused in words.
    from mingtok_audio.core.errors import PluginError
    from mingtok_audio.plugins import load_compressor

    with pytest.raises(PluginError, match=r"no compressor 'attentive_stats'"):
        load_compressor(tmp_path / "component")


@pytest.mark.parametrize("damage", ["raise RuntimeError('x')", "import sys; sys.exit(1)", "def ("])
def test_broken_it_is_listed(environment: Environment, package: Path, damage: str) -> None:
    init = package / "__init__.py"
    init.write_text(f"{init.read_text()}\n{damage}\n")
    components = environment.components()
    row = components["attentive_pooling"]
    assert row["status"] == "broken" and row["error"] and row["distribution"] == DISTRIBUTION
    assert components["pooling"]["status"] == "ok"
    missing = environment.mingtok("plugins", "validate", "attentive_stats")
    assert missing.returncode == 2 and missing.stderr.splitlines()[-1].startswith("error: ")
    assert "Traceback" not in missing.stderr


def test_broken_it_stops_no_command(environment: Environment, package: Path) -> None:
    (package / "__init__.py").write_text("raise SystemExit(1)")
    works = environment.mingtok("plugins", "validate", "pooling")
    assert works.returncode == 0 and works.stderr.count(DISTRIBUTION) == 1  # warned once
    doctor = environment.mingtok("plugins", "doctor")
    assert doctor.returncode == 1 and f"pip uninstall {DISTRIBUTION}" in doctor.stdout


def test_a_rule_it_breaks_is_named(environment: Environment, package: Path) -> None:
    module = package / "compressor.py"
    module.write_text(
        module.read_text().replace("mean = (weights * frames)", "mean = (weights * frames.flip(1))")
    )
    done = environment.mingtok("plugins", "validate", "attentive_stats")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "FAIL  causality" in done.stdout and "pass  shapes" in done.stdout


@pytest.mark.parametrize("value", [DISTRIBUTION, "Mingtok_Attentive.Pooling", "all"])
def test_switched_off_it_is_not_imported(
    environment: Environment, package: Path, tmp_path: Path, value: str
) -> None:
    marker = tmp_path / "imported"
    init = package / "__init__.py"
    init.write_text(f"{init.read_text()}\nopen({str(marker)!r}, 'w').close()\n")
    components = environment.components(UNIAUDIO_DISABLE_PLUGINS=value)
    assert components["attentive_pooling"]["status"] == "disabled" and not marker.exists()
    assert components["pooling"]["status"] == "ok"
    environment.components()
    assert marker.exists()


def test_uninstalled_it_is_gone(environment: Environment) -> None:
    """Last in this file: it ends the life of the shared environment's plugin."""
    before = environment.components().keys()
    environment.pip("uninstall", "--yes", DISTRIBUTION)
    assert before - environment.components().keys() == {"attentive_stats"}
    assert not (environment.packages / "attentive_pooling" / "__init__.py").exists()
