"""info, convert, doctor, plugins and the entry points."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import typer
from cli_helpers import Cli, environment, script, write_wav
from typer.testing import CliRunner

from mingtok_audio import Latents, MingTok
from mingtok_audio.cli import uniaudio_app
from mingtok_audio.core.models.weights import sha256_of_file

GOLDEN = Path(__file__).resolve().parents[1] / "data" / "golden" / "tokenizer"


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """A folder in the published layout."""
    if not (GOLDEN / "model.safetensors").is_file():
        pytest.skip("the golden tokenizer is not in tests/data")
    folder = tmp_path / "published"
    folder.mkdir()
    for name in ("config.json", "model.safetensors"):
        shutil.copy(GOLDEN / name, folder / name)
    return folder


def test_info_of_latents(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "a.mtok"
    Latents(
        torch.zeros(2, 10, 4), lengths=[10, 5], num_samples=[3200, 1600], model_id="m",
        model_hash="h", sampled=True, source_sample_rate=8000, decoder_warmup_frames=12,
    ).save(path, "float16")  # fmt: skip
    done = cli("info", path, "--json")
    assert (done.code, done.err) == (0, "")
    row = done.json
    assert len(row.pop("crc32")) == 8
    assert row == {
        "kind": "latents", "path": str(path), "bytes": path.stat().st_size, "seconds": 0.2,
        "hop_length": 320, "posterior": "sampled", "latent_dim": 4, "batch": 2, "frames": 10,
        "lengths": [10, 5], "num_samples": [3200, 1600], "sample_rate": 16000, "frame_rate": 50.0,
        "source_sample_rate": 8000, "source_num_samples": None, "model_id": "m",
        "model_hash": "h", "storage": "float16", "decoder_warmup_frames": 12,
        "context_samples": 0, "format_version": 1,
    }  # fmt: skip


def test_info_of_audio_and_of_a_folder_of_files(cli: Cli, wav: Path, tmp_path: Path) -> None:
    row = cli("info", wav, "--json").json
    assert (row["kind"], row["sample_rate"], row["num_samples"]) == ("audio", 16000, 8000)
    assert (row["seconds"], row["channels"], row["format"]) == (0.5, 1, "WAV")
    Latents(torch.zeros(1, 10, 4)).save(tmp_path / "x.mtok")
    rows = cli("info", tmp_path, "--json").json
    assert [row["kind"] for row in rows] == ["audio", "latents"]
    text = cli("info", tmp_path / "x.mtok").out
    assert text.startswith(f"{tmp_path / 'x.mtok'}: latents\n")
    assert "frames: 10" in text


def test_info_of_a_model(cli: Cli, tiny: Path, published: Path) -> None:
    row = cli("info", tiny, "--json").json
    model = MingTok.from_pretrained(tiny)
    assert (row["kind"], row["model_type"], row["layout"]) == ("model", "mingtok", "mingtok")
    assert row["parameters"] == sum(p.numel() for p in model.parameters())
    assert set(row["parts"]) == {"decoder", "encoder", "latent_proj", "semantic"}
    assert row["parts"]["encoder"]["parameters"] == sum(
        p.numel() for p in model.encoder.parameters()
    )
    assert row["sha256"] == model.model_hash == sha256_of_file(tiny / "model.safetensors")
    assert (row["latent_dim"], row["frame_rate"], row["config"]["hop_length"]) == (8, 50.0, 320)
    assert cli("info", published, "--json").json["layout"] == "published"


def test_info_of_a_component(cli: Cli, tmp_path: Path) -> None:
    from mingtok_audio.core.models.weights import save_tensors

    folder = tmp_path / "part"
    folder.mkdir()
    config = {
        "format_version": 1, "slot": "compressor", "name": "pooling", "api_version": 1,
        "options": {"in_dim": 8},
        "trained_with": {"tokenizer": {"id": "nano-v1", "sha256": "0" * 64}},
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    save_tensors(folder / "model.safetensors", {"a.weight": torch.zeros(3, 4)})
    row = cli("info", folder, "--json").json
    assert (row["kind"], row["slot"], row["name"]) == ("component", "compressor", "pooling")
    assert row["parameters"] == 12
    assert row["trained_with"]["tokenizer"]["id"] == "nano-v1"


def test_convert_gives_the_same_model(cli: Cli, published: Path, tmp_path: Path) -> None:
    done = cli("convert", published, tmp_path / "new" / "ours", "--json")
    assert (done.code, done.err) == (0, "")
    assert sorted(p.name for p in (tmp_path / "new").rglob("*")) == [
        "config.json", "model.safetensors", "ours",
    ]  # fmt: skip
    old, new = (
        MingTok.from_pretrained(published),
        MingTok.from_pretrained(tmp_path / "new" / "ours"),
    )
    wav = torch.randn(5000, generator=torch.Generator().manual_seed(0)) * 0.1
    assert torch.equal(old.encode(wav, 16000).values, new.encode(wav, 16000).values)
    assert torch.equal(old.decode(old.encode(wav, 16000)), new.decode(new.encode(wav, 16000)))
    assert done.json["parameters"] == sum(p.numel() for p in new.parameters())


def test_convert_keeps_the_window_that_was_asked_for(
    cli: Cli, published: Path, tmp_path: Path
) -> None:
    assert cli("convert", published, tmp_path / "w", "--window-keys", 9).code == 0
    assert MingTok.from_pretrained(tmp_path / "w").config.encoder.window == 9
    assert cli("convert", published, tmp_path / "f", "--full-attention").code == 0
    assert MingTok.from_pretrained(tmp_path / "f").config.decoder.window is None


def test_help_is_fast_and_imports_no_torch() -> None:
    code = (
        "import sys\nfrom mingtok_audio.cli import app\nfrom mingtok_audio.core.cli import run\n"
        "try:\n    run(app, sys.argv[1:])\n"
        "finally:\n    print([m for m in ('torch', 'numpy', 'transformers') if m in sys.modules])"
    )
    for args in (["--help"], ["encode", "--help"], ["plugins", "--help"]):
        done = subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True)
        assert done.returncode == 0
        assert done.stdout.endswith("[]\n"), done.stdout
        assert "Usage: mingtok" in done.stdout
    # Processor time, so that a busy machine does not count.
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(script(["--help"]), check=True, capture_output=True, env=environment())
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.5


def test_no_command_shows_the_help_and_fails(cli: Cli) -> None:
    done = cli()
    assert done.code == 2
    assert "Usage: mingtok" in done.err
    assert done.raw == b""


def test_version(cli: Cli) -> None:
    assert cli("--version").out.startswith("mingtok 0.")


def test_plugins_and_doctor_answer_in_json(cli: Cli) -> None:
    rows = cli("plugins", "list", "--json").json
    assert {"pooling", "cross_attention", "linear_pooling"} <= {row["name"] for row in rows}
    report = cli("doctor", "--json").json
    assert report["packages"]["mingtok-audio"] is not None
    assert "nano" in report["weights"]


def test_uniaudio_mounts_only_the_commands_that_turn_files_into_files(
    tiny: Path, wav: Path, tmp_path: Path
) -> None:
    host = typer.Typer()

    @host.command()
    def asr() -> None:
        """Another command."""

    host.add_typer(uniaudio_app)
    shown = CliRunner().invoke(host, ["--help"]).output
    assert all(name in shown for name in ("asr", "encode", "decode", "reconstruct"))
    assert "convert" not in shown
    done = CliRunner().invoke(host, ["encode", str(wav), "-o", str(tmp_path), "-m", str(tiny)])
    assert done.exit_code == 0
    assert (tmp_path / "speech.mtok").is_file()


def test_info_needs_no_torch(tiny: Path, wav: Path) -> None:
    code = (
        "import sys\nfrom mingtok_audio.commands.info import describe\n"
        "print([d['kind'] for d in describe(sys.argv[1:])], 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(wav), str(tiny)],
        capture_output=True, text=True, env=environment(),
    )  # fmt: skip
    assert done.stdout.strip() == "['audio', 'model'] False", done.stderr


def test_a_long_name_is_written_whole(cli: Cli, tiny: Path, tmp_path: Path) -> None:
    source = write_wav(tmp_path / f"{'ü' * 60} [1] $x.wav", 0.1)
    done = cli("encode", source, "-m", tiny, "--json")
    assert done.code == 0
    assert done.json["input"] == str(source)
    assert Path(done.json["output"]).is_file()
