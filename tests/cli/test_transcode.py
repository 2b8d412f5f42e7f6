"""encode, decode and reconstruct: single files, pipes, parts, options."""

from __future__ import annotations

import io
import itertools
import subprocess
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
from cli_helpers import Cli, environment, script, write_wav

from mingtok_audio import Latents, MingTok, load_audio


def read(data: bytes | Path) -> np.ndarray:
    wav, rate = soundfile.read(
        io.BytesIO(data) if isinstance(data, bytes) else data, dtype="float32"
    )
    assert rate == 16000
    return wav


def test_encode_and_decode_are_the_api(cli: Cli, tiny: Path, tmp_path: Path) -> None:
    source = write_wav(tmp_path / "a.wav", 1.3, 44100, 2)
    done = cli("encode", source, "-o", tmp_path / "a.mtok", "-m", tiny, "--json")
    assert (done.code, done.err) == (0, "")
    row = done.json
    assert row["wall_seconds"] > 0
    del row["wall_seconds"]
    assert row == {
        "input": str(source),
        "output": str(tmp_path / "a.mtok"),
        "status": "ok",
        "error": None,
        "seconds": 1.3,
        "frames": 65,
        "num_samples": 20800,
        "source_sample_rate": 44100,
        "model": str(tiny),
        "bytes": (tmp_path / "a.mtok").stat().st_size,
    }
    model = MingTok.from_pretrained(tiny)
    latents = Latents.load(tmp_path / "a.mtok")
    expected = model.encode(*load_audio(source))
    torch.testing.assert_close(latents.values, expected.values, atol=1e-5, rtol=0)
    assert latents.source_num_samples is not None
    assert latents.source_num_samples.tolist() == [57330]
    assert latents.source_sample_rate == 44100
    assert latents.model_hash == model.model_hash != ""
    assert latents.decoder_warmup_frames == model.decoder_warmup_frames

    done = cli("decode", tmp_path / "a.mtok", "-o", tmp_path / "b.wav", "-m", tiny, "--json")
    assert (done.code, done.err) == (0, "")
    assert done.json["num_samples"] == 20800
    assert done.json["sample_rate"] == 16000
    # A 16-bit file holds steps of 2^-15, and clips.
    decoded = model.decode(expected)[0].clamp(-1, 1).numpy()
    np.testing.assert_allclose(read(tmp_path / "b.wav"), decoded, atol=2**-15)


def test_twice_gives_the_same_bytes_and_reconstruct_is_encode_then_decode(
    cli: Cli, tiny: Path, tmp_path: Path
) -> None:
    # Longer than one block, and at a rate that no block length divides.
    source = write_wav(tmp_path / "a.wav", 47.123, 11025)
    for name in ("a", "b"):
        assert cli("encode", source, "-o", tmp_path / f"{name}.mtok", "-m", tiny).code == 0
    assert (tmp_path / "a.mtok").read_bytes() == (tmp_path / "b.mtok").read_bytes()
    assert cli("decode", tmp_path / "a.mtok", "-o", tmp_path / "b.wav", "-m", tiny).code == 0
    assert cli("reconstruct", source, "-o", tmp_path / "c.wav", "-m", tiny).code == 0
    assert (tmp_path / "c.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()
    model = MingTok.from_pretrained(tiny)
    whole = model.decode(model.encode(*load_audio(source)))[0].clamp(-1, 1).numpy()
    np.testing.assert_allclose(read(tmp_path / "c.wav"), whole, atol=2**-15)


@pytest.mark.parametrize("read_size", [997, 1 << 16, 1 << 20])
def test_bytes_do_not_depend_on_how_the_file_is_read(
    cli: Cli, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read_size: int
) -> None:
    source = write_wav(tmp_path / "a.wav", 41.0, 8000)
    assert cli("encode", source, "-o", tmp_path / "a.mtok", "-m", tiny).code == 0
    monkeypatch.setattr("mingtok_audio.core.audio.read._BLOCK", read_size)
    assert cli("encode", source, "-o", tmp_path / "b.mtok", "-m", tiny).code == 0
    assert (tmp_path / "a.mtok").read_bytes() == (tmp_path / "b.mtok").read_bytes()


def test_another_block_length_gives_the_same_latents(
    cli: Cli, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_wav(tmp_path / "a.wav", 3.0, 22050)
    assert cli("encode", source, "-o", tmp_path / "a.mtok", "-m", tiny).code == 0
    monkeypatch.setattr("mingtok_audio.commands.transcode.BLOCK_SECONDS", 0.013)
    monkeypatch.setattr("mingtok_audio.commands.transcode.BLOCK_FRAMES", 7)
    assert cli("encode", source, "-o", tmp_path / "b.mtok", "-m", tiny).code == 0
    one, two = (Latents.load(tmp_path / name) for name in ("a.mtok", "b.mtok"))
    torch.testing.assert_close(one.values, two.values, atol=1e-5, rtol=0)
    assert one.num_samples.tolist() == two.num_samples.tolist() == [48000]
    assert cli("decode", tmp_path / "b.mtok", "-o", tmp_path / "b.wav", "-m", tiny).code == 0
    assert len(read(tmp_path / "b.wav")) == 48000


@pytest.mark.parametrize("times", [(0.0, 0.2), (0.31, 0.5), (1.0, None), (None, 0.01), (0.9, 9.0)])
def test_decode_of_a_part_is_the_slice_of_the_whole(
    cli: Cli, tiny: Path, tmp_path: Path, times: tuple[float | None, float | None]
) -> None:
    source = write_wav(tmp_path / "a.wav", 1.203)
    cli("encode", source, "-o", tmp_path / "a.mtok", "-m", tiny)
    cli("decode", tmp_path / "a.mtok", "-o", tmp_path / "whole.wav", "-m", tiny)
    options = [x for n, t in zip(("--start", "--end"), times, strict=True) if t is not None
               for x in (n, t)]  # fmt: skip
    done = cli(
        "decode", tmp_path / "a.mtok", "-o", tmp_path / "p.wav", "-m", tiny, *options, "--json"
    )
    assert done.code == 0
    first = round((times[0] or 0) * 16000)
    stop = None if times[1] is None else round(times[1] * 16000)
    expected = read(tmp_path / "whole.wav")[first:stop]
    assert done.json["num_samples"] == len(expected)
    np.testing.assert_allclose(read(tmp_path / "p.wav"), expected, atol=2**-15)


def test_pipes_carry_the_same_bytes(cli: Cli, tiny: Path, wav: Path, tmp_path: Path) -> None:
    cli("encode", wav, "-o", tmp_path / "a.mtok", "-m", tiny)
    encoded = cli("encode", "-", "-o", "-", "-m", tiny, stdin=wav.read_bytes())
    assert (encoded.code, encoded.err) == (0, "")
    assert encoded.raw == (tmp_path / "a.mtok").read_bytes()
    cli("decode", tmp_path / "a.mtok", "-o", tmp_path / "a.wav", "-m", tiny)
    decoded = cli("decode", "-", "-o", "-", "-m", tiny, stdin=encoded.raw)
    assert decoded.raw == (tmp_path / "a.wav").read_bytes()
    both = cli("reconstruct", "-", "-o", "-", "-m", tiny, stdin=wav.read_bytes())
    assert both.raw == decoded.raw
    named = cli("encode", "-", "-o", tmp_path / "out/", "-m", tiny, stdin=wav.read_bytes())
    assert named.code == 0
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["stdin.mtok"]


def test_a_real_pipeline(tiny: Path, wav: Path, tmp_path: Path) -> None:
    first = subprocess.run(
        script(["encode", "-", "-o", "-", "-m", tiny]),
        input=wav.read_bytes(), capture_output=True, env=environment(),
    )  # fmt: skip
    assert (first.returncode, first.stderr) == (0, b"")
    second = subprocess.run(
        script(["decode", "-", "-o", tmp_path / "x.wav", "-m", tiny, "--json"]),
        input=first.stdout, capture_output=True, env=environment(),
    )  # fmt: skip
    assert (second.returncode, second.stderr) == (0, b"")
    assert len(read(tmp_path / "x.wav")) == 8000


def test_sampling_needs_its_flag_and_follows_its_seed(
    cli: Cli, tiny: Path, wav: Path, tmp_path: Path
) -> None:
    options = {
        "mode": [],
        "zero": ["--sample"],
        "0": ["--sample", "--seed", 0],
        "1": ["--sample", "--seed", 1],
    }
    found = {}
    for name, extra in options.items():
        assert cli("encode", wav, "-o", tmp_path / f"{name}.mtok", "-m", tiny, *extra).code == 0
        found[name] = Latents.load(tmp_path / f"{name}.mtok")
    assert not found["mode"].sampled
    assert found["zero"].sampled
    assert torch.equal(found["zero"].values, found["0"].values)
    assert not torch.equal(found["0"].values, found["1"].values)
    model = MingTok.from_pretrained(tiny)
    generator = torch.Generator().manual_seed(1)
    expected = model.encode(*load_audio(wav), generator=generator)
    torch.testing.assert_close(found["1"].values, expected.values, atol=1e-5, rtol=0)
    cli("reconstruct", wav, "-o", tmp_path / "r.wav", "-m", tiny, "--sample", "--seed", 1)
    cli("decode", tmp_path / "1.mtok", "-o", tmp_path / "d.wav", "-m", tiny)
    assert (tmp_path / "r.wav").read_bytes() == (tmp_path / "d.wav").read_bytes()


@pytest.mark.parametrize("storage", ["float32", "float16", "int8"])
def test_storage(cli: Cli, tiny: Path, wav: Path, tmp_path: Path, storage: str) -> None:
    assert cli("encode", wav, "-o", tmp_path / "a.mtok", "-m", tiny, "--storage", storage).code == 0
    expected = MingTok.from_pretrained(tiny).encode(*load_audio(wav)).values
    tolerance = {"float32": 1e-5, "float16": 1e-2, "int8": 0.05}[storage]
    found = Latents.load(tmp_path / "a.mtok").values
    torch.testing.assert_close(found, expected, atol=tolerance, rtol=0)
    assert cli("info", tmp_path / "a.mtok", "--json").json["storage"] == storage


def test_channel(cli: Cli, tiny: Path, tmp_path: Path) -> None:
    source = write_wav(tmp_path / "a.wav", channels=3)
    found = []
    for channel in ("mix", 0, 2):
        done = cli("encode", source, "-o", tmp_path / "x.mtok", "-m", tiny, "--channel", channel)
        assert done.code == 0
        found.append(Latents.load(tmp_path / "x.mtok").values)
        wav, rate = load_audio(source, channel=channel)  # pyright: ignore[reportArgumentType]
        expected = MingTok.from_pretrained(tiny).encode(wav, rate).values
        torch.testing.assert_close(found[-1], expected, atol=1e-5, rtol=0)
    assert not torch.equal(found[1], found[2])


@pytest.mark.parametrize("suffix", ["flac", "ogg", "mp3"])
def test_other_audio_formats(cli: Cli, tiny: Path, wav: Path, tmp_path: Path, suffix: str) -> None:
    done = cli("reconstruct", wav, "-o", tmp_path / f"a.{suffix}", "-m", tiny)
    assert done.code == 0
    assert cli("encode", tmp_path / f"a.{suffix}", "-m", tiny).code == 0
    assert (tmp_path / "a.mtok").is_file()


def test_a_clip_shorter_than_a_frame(cli: Cli, tiny: Path, tmp_path: Path) -> None:
    source = write_wav(tmp_path / "a.wav", 1 / 16000)
    done = cli("reconstruct", source, "-o", tmp_path / "b.wav", "-m", tiny, "--json")
    assert done.code == 0
    assert (done.json["frames"], done.json["num_samples"]) == (1, 1)
    assert len(read(tmp_path / "b.wav")) == 1


def test_decode_warns_of_another_model(
    cli: Cli, tiny: Path, other: Path, wav: Path, tmp_path: Path
) -> None:
    cli("encode", wav, "-o", tmp_path / "a.mtok", "-m", tiny)
    done = cli("decode", tmp_path / "a.mtok", "-o", tmp_path / "a.wav", "-m", other, "--json")
    assert done.code == 0
    assert len(done.lines) == 1
    assert done.err.startswith(f"warning: {tmp_path / 'a.mtok'}: made by model '{tiny}'")
    assert len(done.json["warnings"]) == 1
    assert cli("decode", tmp_path / "a.mtok", "-o", tmp_path / "a.wav", "-m", tiny).err == ""


def test_where_a_single_result_goes(cli: Cli, tiny: Path, wav: Path, tmp_path: Path) -> None:
    assert cli("encode", wav, "-m", tiny).code == 0
    assert wav.with_suffix(".mtok").is_file()
    assert cli("encode", wav, "-o", f"{tmp_path}/new/", "-m", tiny).code == 0
    assert (tmp_path / "new" / "speech.mtok").is_file()
    assert cli("encode", wav, "-o", tmp_path / "bare", "-m", tiny).code == 0
    assert (tmp_path / "bare" / "speech.mtok").is_file()
    done = cli("encode", wav, "-o", tmp_path / "again.mtok", "-m", tiny)
    assert done.out == f"{wav} -> {tmp_path / 'again.mtok'} (0.50 s)\n"
    assert done.err == ""


def test_a_long_file_shows_progress_on_stderr_only(
    cli: Cli, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_wav(tmp_path / "a.wav", 61.0, 8000)
    clock = SimpleNamespace(monotonic=itertools.count(0, 20).__next__)
    monkeypatch.setattr("mingtok_audio.core.cli.output.time", clock)  # a line every ten seconds
    done = cli("encode", source, "-o", tmp_path / "a.mtok", "-m", tiny, "--json")
    assert done.code == 0
    assert done.json["frames"] == 3050
    assert done.lines[0] == "encode: 20/61 s"
