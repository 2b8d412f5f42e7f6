"""The example head: installed by pip, trained, loaded by a model and a command, broken, switched
off, uninstalled, all in an environment of its own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from pip_environment import PipEnvironment

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "custom_head"
DISTRIBUTION = "uniaudio-conv-head"


class Environment(PipEnvironment):
    """One with the `uniaudio` command."""

    def uniaudio(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return self.run("-c", "from uniaudio_lm.cli import main; main()", *arguments, **variables)

    def heads(self, **variables: str) -> dict[str, dict[str, object]]:
        """The rows of `plugins list` that are heads, and those of this example."""
        done = self.uniaudio("plugins", "list", "--json", **variables)
        assert done.returncode == 0, done.stderr
        rows = json.loads(done.stdout)
        mine = [r for r in rows if r["distribution"] == DISTRIBUTION]
        return {r["name"]: r for r in rows if r["slot"] == "generation_head" or r in mine}


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    root = tmp_path_factory.mktemp("head")
    made = Environment(root / "env")
    made.pip_install_copy(EXAMPLE, root / "source")
    return made


@pytest.fixture(scope="module")
def trained(environment: Environment, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `model` and `head`, made by the example's own command."""
    folder = tmp_path_factory.mktemp("trained")
    manifest = ROOT / "examples" / "data" / "manifest.jsonl"
    arguments = ("--manifest", str(manifest), "-o", str(folder), "--debug")
    done = environment.run("-m", "conv_head.train", *arguments)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["loss_after"] < 0.95 * report["loss_before"]
    return folder


@pytest.fixture
def package(environment: Environment) -> Iterator[Path]:
    """The installed package's folder; what a test breaks in it is mended afterwards."""
    folder = environment.packages / "conv_head"
    kept = {path: path.read_bytes() for path in folder.glob("*.py")}
    yield folder
    for path, content in kept.items():
        path.write_bytes(content)


def test_it_is_listed_and_conforms(environment: Environment) -> None:
    heads = environment.heads()
    assert {"dit", "mlp", "conv"} <= heads.keys()
    row = heads["conv"]
    assert (row["distribution"], row["status"], row["version"]) == (DISTRIBUTION, "ok", "0.1.0")
    done = environment.uniaudio("plugins", "validate", "conv", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report["ok"] and len(report["checks"]) == 6


def test_trained_it_speaks(environment: Environment, trained: Path, tmp_path: Path) -> None:
    config = json.loads((trained / "head" / "config.json").read_text())
    assert (config["slot"], config["name"]) == ("generation_head", "conv")
    code = """
import sys
import torch
from uniaudio_lm import UniAudio
own = UniAudio.from_pretrained(sys.argv[1] + "/model")
swapped = UniAudio.from_pretrained(sys.argv[1] + "/model", generation_head=sys.argv[1] + "/head")
assert type(swapped.model.generation_head).__module__ == "conv_head.head"
made = [m.synthesize("hi", seed=1, num_steps=2) for m in (own, swapped, swapped)]
assert made[1].patches and made[1].stop_reason
assert torch.equal(made[1].wav, made[2].wav)
assert made[0].wav.shape != made[1].wav.shape or not torch.equal(made[0].wav, made[1].wav)
"""
    done = environment.run("-c", code, str(trained))
    assert done.returncode == 0, done.stderr
    wav = tmp_path / "hi.wav"
    said = environment.uniaudio(
        "tts", "hi", "-o", str(wav), "--model", str(trained / "model"), "--head",
        str(trained / "head"), "--steps", "2", "--seed", "1", "--json",
    )  # fmt: skip
    assert said.returncode == 0, said.stderr
    assert json.loads(said.stdout)["patches"] > 0 and wav.stat().st_size > 1000


def test_training_gives_the_same_weights_again(
    environment: Environment, trained: Path, tmp_path: Path
) -> None:
    done = environment.run(
        "-m", "conv_head.train", "--manifest", str(ROOT / "examples" / "data" / "manifest.jsonl"),
        "-o", str(tmp_path), "--debug", "--model", str(trained / "model"),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    one, two = (folder / "head" / "model.safetensors" for folder in (trained, tmp_path))
    assert one.read_bytes() == two.read_bytes()


def test_where_it_is_not_installed_its_weights_are_refused(trained: Path) -> None:
    from mingtok_audio.core.errors import PluginError
    from uniaudio_lm import UniAudio

    with pytest.raises(PluginError, match=r"no generation_head 'conv'"):
        UniAudio.from_pretrained(trained / "model", generation_head=trained / "head")


def test_broken_it_stops_no_command(
    environment: Environment, package: Path, trained: Path, tmp_path: Path
) -> None:
    (package / "__init__.py").write_text("import a_module_that_is_not_there\n")
    row = environment.heads()["conv_head"]
    assert row["status"] == "broken" and "a_module_that_is_not_there" in str(row["error"])
    wav = tmp_path / "own.wav"
    own = ("tts", "hi", "-o", str(wav), "--model", str(trained / "model"), "--steps", "1")
    said = environment.uniaudio(*own)
    assert said.returncode == 0 and wav.is_file(), said.stderr
    assert said.stderr.count(DISTRIBUTION) == 1  # warned once
    with_it = environment.uniaudio(*own, "--head", str(trained / "head"))
    assert with_it.returncode == 2 and "Traceback" not in with_it.stderr
    assert with_it.stderr.splitlines()[-1].startswith("error: ")
    doctor = environment.uniaudio("plugins", "doctor")
    assert doctor.returncode == 1 and f"pip uninstall {DISTRIBUTION}" in doctor.stdout


def test_a_rule_it_breaks_is_named(environment: Environment, package: Path) -> None:
    module = package / "head.py"
    # Normalised over the batch, an item depends on its neighbours.
    rule = "h = self.norm(x) * (1 + scale) + shift"
    assert rule in module.read_text()
    module.write_text(module.read_text().replace(rule, f"{rule} + x.mean(dim=0)"))
    done = environment.uniaudio("plugins", "validate", "conv", "--json")
    assert done.returncode == 1, done.stdout + done.stderr
    failed = [c["check"] for c in json.loads(done.stdout)["checks"] if not c["ok"]]
    assert "batch equals single" in failed and "shapes, steps and guidance" not in failed


def test_switched_off_it_is_not_imported(
    environment: Environment, package: Path, tmp_path: Path
) -> None:
    marker = tmp_path / "imported"
    init = package / "__init__.py"
    init.write_text(f"{init.read_text()}\nopen({str(marker)!r}, 'w').close()\n")
    heads = environment.heads(UNIAUDIO_DISABLE_PLUGINS=DISTRIBUTION)
    assert heads["conv_head"]["status"] == "disabled" and "conv" not in heads
    assert heads["dit"]["status"] == "ok" and not marker.exists()


def test_uninstalled_it_is_gone(environment: Environment) -> None:
    """Last in this file: it ends the life of the shared environment's plugin."""
    environment.pip("uninstall", "--yes", DISTRIBUTION)
    assert "conv" not in environment.heads()
    assert not (environment.packages / "conv_head" / "__init__.py").exists()
