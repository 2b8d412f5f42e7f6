"""Inputs that cannot be used: exit code 2, one clear line, no traceback, nothing left behind.

A case is a function from a folder with good files to the arguments of `mingtok`, and the words
that its message must have.
"""

from __future__ import annotations

import json
import os
import pickle
import shutil
import struct
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from cli_helpers import Cli, Done, environment, script, tree, write_wav
from tiny_tokenizer import tiny_model

from mingtok_audio import Latents


@dataclass
class Place:
    """A folder with a recording, its latents, a model, and room for what is wrong."""

    root: Path
    model: Path

    @property
    def wav(self) -> Path:
        return self.root / "good.wav"

    @property
    def mtok(self) -> Path:
        return self.root / "good.mtok"

    def file(self, name: str, data: bytes | str = b"") -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return path

    def copy_model(self) -> Path:
        return Path(shutil.copytree(self.model, self.root / "broken"))

    def config(self, **changes: object) -> Path:
        """A copy of the model whose config has changes (None: left out)."""
        folder = self.copy_model()
        data = json.loads((folder / "config.json").read_text()) | changes
        kept = {key: value for key, value in data.items() if value is not None}
        (folder / "config.json").write_text(json.dumps(kept))
        return folder

    def tensors(self, change: Callable[[dict[str, torch.Tensor]], object]) -> Path:
        """A copy of the model whose weights were changed."""
        from safetensors.torch import load_file, save_file

        folder = self.copy_model()
        held = load_file(folder / "model.safetensors")
        change(held)
        save_file(held, folder / "model.safetensors")
        return folder

    def shards(self, shard: str) -> Path:
        """A copy of the model with an index that puts every tensor into `shard`."""
        from safetensors.torch import load_file

        folder = self.copy_model()
        names = load_file(folder / "model.safetensors")
        (folder / "model.safetensors").rename(folder / "real.safetensors")
        index = {"weight_map": dict.fromkeys(names, shard)}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
        return folder

    def mtok_with(self, **meta: str) -> Path:
        """The latents with another header."""
        raw = self.mtok.read_bytes()
        size = struct.unpack("<Q", raw[:8])[0]
        header = json.loads(raw[8 : 8 + size])
        header["__metadata__"] |= meta
        text = json.dumps(header).encode()
        return self.file("bad.mtok", struct.pack("<Q", len(text)) + text + raw[8 + size :])

    def sound(self, samples: np.ndarray, rate: int = 16000, **options: str) -> Path:
        soundfile.write(self.root / "bad.wav", samples, rate, **options)
        return self.root / "bad.wav"

    def wav_at(self, rate: int) -> Path:
        """A wav file whose header claims a sample rate."""
        raw = bytearray(self.wav.read_bytes())
        raw[24:28] = struct.pack("<I", rate)
        return self.file("bad.wav", bytes(raw))

    def encode(self, source: object, *more: object) -> list[object]:
        return ["encode", source, "-o", self.root / "out.mtok", "-m", self.model, *more]

    def decode(self, source: object, *more: object) -> list[object]:
        return ["decode", source, "-o", self.root / "out.wav", "-m", self.model, *more]

    def with_model(self, model: object) -> list[object]:
        return ["encode", self.wav, "-o", self.root / "out.mtok", "-m", model]


Case = tuple[Callable[[Place], list[object]], str]

AUDIO: dict[str, Case] = {
    "missing file": (lambda p: p.encode(p.root / "nothing.wav"), "nothing.wav"),
    "missing folder": (lambda p: p.encode(p.root / "nowhere/"), "nowhere"),
    "empty name": (lambda p: p.encode(""), "no file or folder"),
    "name with a zero byte": (lambda p: p.encode("a\0b.wav"), "a b.wav"),
    "folder without audio": (
        lambda p: p.encode(p.file("texts/a.txt", "hello").parent),
        "holds no files",
    ),
    "text called wav": (lambda p: p.encode(p.file("bad.wav", "hello")), "not readable audio"),
    "text called mp3": (lambda p: p.encode(p.file("bad.mp3", "hello")), "not readable audio"),
    "picture": (lambda p: p.encode(p.file("a.png", b"\x89PNG\r\n\x1a\n" * 9)), "not readable"),
    "m4a": (lambda p: p.encode(p.file("a.m4a", b"\0\0\0\x18ftypM4A ")), "convert it to wav"),
    "latents given as audio": (lambda p: p.encode(p.mtok), "not readable audio"),
    "zero bytes": (lambda p: p.encode(p.file("bad.wav")), "empty (0 bytes)"),
    "zero samples": (lambda p: p.encode(p.sound(np.zeros(0))), "no samples"),
    "wav cut in its data": (
        lambda p: p.encode(p.file("bad.wav", p.wav.read_bytes()[:5000])),
        "truncated",
    ),
    "wav cut in its header": (
        lambda p: p.encode(p.file("bad.wav", p.wav.read_bytes()[:30])),
        "bad.wav",
    ),
    "flac cut short": (
        lambda p: p.encode(p.file("bad.flac", flac(p)[: len(flac(p)) // 2])),
        "bad.flac",
    ),
    "NaN": (
        lambda p: p.encode(p.sound(np.array([0.1, np.nan, 0.1]), subtype="FLOAT")),
        "NaN",
    ),
    "infinity": (
        lambda p: p.encode(p.sound(np.array([0.1, np.inf, 0.1]), subtype="FLOAT")),
        "infin",
    ),
    "NaN late in a long file": (
        lambda p: p.encode(p.sound(late_nan(), 8000, subtype="FLOAT")),
        "NaN",
    ),
    "0 Hz": (lambda p: p.encode(p.wav_at(0)), "bad.wav"),
    "1 Hz": (lambda p: p.encode(p.wav_at(1)), "sample rate"),
    "4 GHz": (lambda p: p.encode(p.wav_at(2**32 - 1)), "bad.wav"),
    "a device": (lambda p: p.encode("/dev/null"), "/dev/null"),
}

LATENTS: dict[str, Case] = {
    "audio given as latents": (lambda p: p.decode(p.wav), "not a .mtok file"),
    "missing latents": (lambda p: p.decode(p.root / "no.mtok"), "no.mtok"),
    "folder without latents": (
        lambda p: p.decode(p.file("audio/a.wav", p.wav.read_bytes()).parent),
        "holds no files of the kind .mtok",
    ),
    "mtok cut short": (
        lambda p: p.decode(p.file("bad.mtok", p.mtok.read_bytes()[:-9])),
        "truncated",
    ),
    "mtok cut in its header": (
        lambda p: p.decode(p.file("bad.mtok", p.mtok.read_bytes()[:99])),
        "truncated inside its header",
    ),
    "mtok of zero bytes": (lambda p: p.decode(p.file("bad.mtok")), "empty (0 bytes)"),
    "mtok with a flipped bit": (lambda p: p.decode(flipped(p)), "checksum"),
    "mtok of the future": (
        lambda p: p.decode(p.mtok_with(format_version="7")),
        "format_version 7",
    ),
    "mtok with another format": (lambda p: p.decode(p.mtok_with(format="x")), "no latents"),
    "mtok with a tampered rate": (
        lambda p: p.decode(p.mtok_with(sample_rate="8000")),
        "do not go together",
    ),
    "mtok with a tampered storage": (
        lambda p: p.decode(p.mtok_with(storage="int8")),
        "damaged header",
    ),
    "weights given as latents": (
        lambda p: p.decode(p.model / "model.safetensors"),
        "holds no latents",
    ),
    "pickle called mtok": (
        lambda p: p.decode(p.file("bad.mtok", pickle.dumps({"values": [1]}))),
        "not a .mtok file",
    ),
    "latents of another width": (lambda p: p.decode(wide(p)), "give --model"),
    "a batch of clips": (lambda p: p.decode(batch(p)), "batch of 2 clips"),
    "negative start": (lambda p: p.decode(p.mtok, "--start", -1), "--start must be 0 or more"),
    "negative end": (lambda p: p.decode(p.mtok, "--end", -1), "--end must be 0 or more"),
    "end before start": (
        lambda p: p.decode(p.mtok, "--start", 0.3, "--end", 0.2),
        "--end 0.2 must be after --start 0.3",
    ),
    "start that is no number": (lambda p: p.decode(p.mtok, "--start", "nan"), "--start"),
    "start that is a word": (lambda p: p.decode(p.mtok, "--start", "soon"), "--start"),
    "start behind the end": (
        lambda p: p.decode(p.mtok, "--start", 7.5),
        "after the end of the clip (0.500 s)",
    ),
}

OUTPUTS: dict[str, Case] = {
    "output equals input": (
        lambda p: ["reconstruct", p.wav, "-o", p.wav, "-m", p.model],
        "overwrite",
    ),
    "output folder equals input folder": (
        lambda p: ["reconstruct", p.root, "-o", p.root, "-m", p.model],
        "overwrite",
    ),
    "output equals input by another name": (
        lambda p: ["reconstruct", p.wav, "-o", p.root / "x" / ".." / "good.wav", "-m", p.model],
        "",
    ),
    "two inputs, one output": (
        lambda p: [
            *("encode", p.file("pair/a.flac", flac(p)).parent),
            *("-o", p.file("pair/a.wav", p.wav.read_bytes()).parent / "o", "-m", p.model),
        ],
        "would both be written to",
    ),
    "many inputs, one file": (
        lambda p: ["encode", p.wav, p.file("b.wav", p.wav.read_bytes()), "-o", p.mtok],
        "must be a folder",
    ),
    "output in a missing folder": (
        lambda p: ["encode", p.wav, "-o", p.root / "no" / "x.mtok", "-m", p.model],
        "does not exist",
    ),
    "output below a file": (
        lambda p: ["encode", p.wav, "-o", p.mtok / "x.mtok", "-m", p.model],
        "good.mtok",
    ),
    "output folder below a file": (
        lambda p: ["encode", p.wav, "-o", f"{p.mtok}/new/", "-m", p.model],
        "good.mtok",
    ),
    "output is a folder": (
        lambda p: [
            "encode",
            p.wav,
            "-o",
            p.file("d.mtok/good.mtok/x").parent.parent,
            "-m",
            p.model,
        ],
        "it is a folder",
    ),
    "output where nothing can be written": (
        lambda p: ["encode", p.wav, "-o", "/proc/x.mtok", "-m", p.model],
        "cannot write /proc/x.mtok",
    ),
    "output folder where nothing can be made": (
        lambda p: ["encode", p.wav, "-o", "/proc/new/", "-m", p.model],
        "cannot make the folder /proc/new",
    ),
    "output of another kind": (
        lambda p: ["encode", p.wav, "-o", p.root / "x.wav", "-m", p.model],
        "must end in .mtok",
    ),
    "audio of an unknown kind": (
        lambda p: ["decode", p.mtok, "-o", p.root / "x.aac", "-m", p.model],
        "must end in .wav or .flac",
    ),
    "empty output": (lambda p: ["encode", p.wav, "-o", "", "-m", p.model], "empty name"),
    "no output for decode": (lambda p: ["decode", p.mtok, "-m", p.model], "--output"),
    "no output for standard input": (lambda p: ["encode", "-", "-m", p.model], "give -o"),
    "two results on standard output": (
        lambda p: ["encode", p.root, "-o", "-", "-m", p.model],
        "takes one result",
    ),
    "JSON and a result on standard output": (
        lambda p: ["encode", p.wav, "-o", "-", "--json", "-m", p.model],
        "both want standard output",
    ),
    "standard input beside others": (
        lambda p: ["encode", "-", p.wav, "-o", p.root / "o", "-m", p.model],
        "must be the only input",
    ),
}

OPTIONS: dict[str, Case] = {
    "unknown storage": (lambda p: p.encode(p.wav, "--storage", "int4"), "unknown storage 'int4'"),
    "unknown device": (lambda p: p.encode(p.wav, "--device", "tpu"), "unknown device 'tpu'"),
    "device that is not there": (lambda p: p.encode(p.wav, "--device", "cuda:99"), "cuda:99"),
    "unknown dtype": (lambda p: p.encode(p.wav, "--dtype", "int3"), "unknown dtype 'int3'"),
    "seed without sample": (lambda p: p.encode(p.wav, "--seed", 3), "without --sample"),
    "negative seed": (lambda p: p.encode(p.wav, "--sample", "--seed", -3), "--seed"),
    "huge seed": (lambda p: p.encode(p.wav, "--sample", "--seed", 2**64), "--seed"),
    "seed that is a word": (lambda p: p.encode(p.wav, "--sample", "--seed", "x"), "--seed"),
    "channel that is a word": (lambda p: p.encode(p.wav, "--channel", "left"), "not 'left'"),
    "negative channel": (lambda p: p.encode(p.wav, "--channel", -1), "not '-1'"),
    "channel that is not there": (lambda p: p.encode(p.wav, "--channel", 5), "channel"),
    "no workers": (lambda p: p.encode(p.wav, "--workers", 0), "--workers must be at least 1"),
    "workers that are a word": (lambda p: p.encode(p.wav, "--workers", "all"), "--workers"),
    "unknown option": (lambda p: p.encode(p.wav, "--speed", 2), "--speed"),
    "unknown command": (lambda p: ["encod", p.wav], "encod"),
    "no input": (lambda p: ["encode", "-m", p.model], "IN"),
}

MODELS: dict[str, Case] = {
    "unknown model": (lambda p: p.with_model("micro"), "no tokenizer 'micro'"),
    "model that is a file": (lambda p: p.with_model(p.wav), "is a file"),
    "empty folder": (lambda p: p.with_model(p.file("empty/x").parent), "config.json"),
    "hub name while offline": (lambda p: p.with_model("org/name"), "offline mode is on"),
    "hub name with a revision": (lambda p: p.with_model("hf://org/name@v1"), "offline mode is on"),
    "hub name that is none": (lambda p: p.with_model("hf://../etc"), "not a repository"),
    "no weights": (lambda p: p.with_model(without_weights(p)), "holds no weights"),
    "pickle weights": (lambda p: p.with_model(pickled(p)), "only safetensors"),
    "config that is no JSON": (lambda p: p.with_model(broken_config(p, "{,")), "config.json"),
    "config that is a list": (lambda p: p.with_model(broken_config(p, "[]")), "config.json"),
    "config with an unknown key": (lambda p: p.with_model(p.config(latent_dims=8)), "latent_dims"),
    "config without a key": (lambda p: p.with_model(p.config(encoder=None)), "encoder"),
    "config with a wrong type": (lambda p: p.with_model(p.config(latent_dim="8")), "latent_dim"),
    "config of the future": (lambda p: p.with_model(p.config(format_version=9)), "format_version"),
    "config of a component": (lambda p: p.with_model(p.config(slot="compressor")), "component"),
    "config of another size": (lambda p: p.with_model(p.config(latent_dim=9)), "do not fit"),
    "missing tensor": (
        lambda p: p.with_model(p.tensors(lambda t: t.pop("latent_proj.weight"))),
        "missing: latent_proj.weight",
    ),
    "surplus tensor": (
        lambda p: p.with_model(p.tensors(lambda t: t.update(extra=torch.zeros(1)))),
        "not part of this model: extra",
    ),
    "tensor of another shape": (
        lambda p: p.with_model(p.tensors(lambda t: t.update({"latent_proj.bias": torch.zeros(3)}))),
        "latent_proj.bias is [3]",
    ),
    "weights cut short": (lambda p: p.with_model(cut_weights(p)), "truncated"),
    "weights that are a pickle": (lambda p: p.with_model(disguised(p)), "safetensors"),
    "shard outside its folder": (
        lambda p: p.with_model(p.shards("../real.safetensors")),
        "plain .safetensors file name",
    ),
    "shard by absolute path": (
        lambda p: p.with_model(p.shards("/etc/real.safetensors")),
        "plain .safetensors file name",
    ),
    "shard that is not there": (
        lambda p: p.with_model(p.shards("gone.safetensors")),
        "gone.safetensors",
    ),
    "weights that are a link": (lambda p: p.with_model(linked(p)), "link"),
    "convert of our own layout": (
        lambda p: ["convert", p.model, p.root / "new"],
        "not in the published layout",
    ),
    "convert over files": (lambda p: ["convert", published(p), p.model], "exists already"),
    "convert of half a config": (
        lambda p: ["convert", published(p), p.root / "new"],
        "enc_kwargs.input_dim is missing",
    ),
    "convert of nothing": (lambda p: ["convert", p.root / "no", p.root / "new"], "no tokenizer"),
    "info of nothing": (lambda p: ["info", p.root / "no.wav"], "no.wav"),
    "info of a text": (lambda p: ["info", p.file("x.wav", "text")], "not readable audio"),
    "info of damaged latents": (lambda p: ["info", p.file("x.mtok", "text")], "not a .mtok"),
    "info of a weights file": (
        lambda p: ["info", p.model / "model.safetensors"],
        "give the folder",
    ),
}

CASES = {**AUDIO, **LATENTS, **OUTPUTS, **OPTIONS, **MODELS}


def flac(place: Place) -> bytes:
    path = place.root / "made.flac"
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, 30000), 16000)
    data = path.read_bytes()
    path.unlink()
    return data


def late_nan() -> np.ndarray:
    """More than one block of sound, then NaN."""
    samples = np.zeros(8000 * 25)
    samples[-1] = np.nan
    return samples


def flipped(place: Place) -> Path:
    raw = bytearray(place.mtok.read_bytes())
    raw[-50] ^= 4
    return place.file("bad.mtok", bytes(raw))


def wide(place: Place) -> Path:
    Latents(torch.zeros(1, 5, 9), model_id="wide-one").save(place.root / "wide.mtok")
    return place.root / "wide.mtok"


def batch(place: Place) -> Path:
    Latents(torch.zeros(2, 5, 8)).save(place.root / "batch.mtok")
    return place.root / "batch.mtok"


def without_weights(place: Place) -> Path:
    folder = place.copy_model()
    (folder / "model.safetensors").unlink()
    return folder


def pickled(place: Place) -> Path:
    folder = without_weights(place)
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"a": 1}))
    return folder


def disguised(place: Place) -> Path:
    folder = place.copy_model()
    (folder / "model.safetensors").write_bytes(pickle.dumps({"a": [1.0] * 100}))
    return folder


def cut_weights(place: Place) -> Path:
    folder = place.copy_model()
    os.truncate(folder / "model.safetensors", 100_000)
    return folder


def broken_config(place: Place, text: str) -> Path:
    folder = place.copy_model()
    (folder / "config.json").write_text(text)
    return folder


def linked(place: Place) -> Path:
    folder = without_weights(place)
    (folder / "model.safetensors").symlink_to(place.model / "model.safetensors")
    return folder


def published(place: Place) -> Path:
    config = {"enc_kwargs": {}, "dec_kwargs": {}}
    return place.file("published/config.json", json.dumps(config)).parent


@pytest.fixture(scope="session")
def good(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The good files, made once."""
    root = tmp_path_factory.mktemp("good")
    model = tiny_model()
    folder = model.save_pretrained(tmp_path_factory.mktemp("model") / "tiny")
    wav = write_wav(root / "good.wav")
    samples, rate = soundfile.read(wav, dtype="float32")
    model.encode(samples, rate).save(root / "good.mtok")
    return Place(root, folder)


@pytest.fixture
def place(good: Place, tmp_path: Path) -> Place:
    return Place(Path(shutil.copytree(good.root, tmp_path / "place")), good.model)


def check(done: Done, words: str) -> None:
    assert done.code == 2, done
    assert len(done.lines) == 1, done.err
    assert done.err.startswith("error: ")
    assert "Traceback" not in done.err
    assert "internal error" not in done.err
    assert words in done.err
    assert len(done.err) < 1000


def test_there_are_at_least_forty() -> None:
    assert len(CASES) == sum(len(group) for group in (AUDIO, LATENTS, OUTPUTS, OPTIONS, MODELS))
    assert len(CASES) >= 40


@pytest.mark.parametrize("name", CASES)
def test_refused_in_one_line(
    cli: Cli, place: Place, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    make, words = CASES[name]
    arguments = make(place)
    before = tree(place.root)
    folders = sorted(path for path in place.root.rglob("*") if path.is_dir())
    done = cli(*arguments, stdin=b"")
    check(done, words)
    assert done.raw == b"", "nothing is printed on standard output"
    assert tree(place.root) == before, "no file is left behind, hidden ones included"
    assert sorted(path for path in place.root.rglob("*") if path.is_dir()) == folders


@pytest.mark.parametrize(
    ("command", "data", "words"),
    [
        ("encode", b"", "standard input is empty (0 bytes)"),
        ("encode", b"hello", "standard input is not readable audio"),
        ("reconstruct", b"RIFF\x24\0\0\0WAVE", "standard input"),
        ("decode", b"", "standard input is empty"),
        ("decode", b"hello hello", "standard input is not a .mtok file"),
    ],
)
def test_bad_pipes(cli: Cli, place: Place, command: str, data: bytes, words: str) -> None:
    done = cli(command, "-", "-o", "-", "-m", place.model, stdin=data)
    check(done, words)
    assert done.raw == b""


def test_json_names_the_failure_too(cli: Cli, place: Place) -> None:
    done = cli(*place.encode(place.file("bad.wav", "text")), "--json")
    check(done, "not readable audio")
    assert done.json["status"] == "failed"
    assert f"error: {done.json['error']}\n" == done.err


def test_each_bad_file_of_a_folder_is_named(cli: Cli, place: Place) -> None:
    folder = place.root / "many"
    for name, data in {
        "a.wav": place.wav.read_bytes(),
        "b.wav": b"",
        "c.wav": b"text",
        "d.flac": flac(place)[:500],
        "e.wav": place.wav.read_bytes()[:2000],
        "f.wav": place.wav.read_bytes(),
    }.items():
        place.file(f"many/{name}", data)
    done = cli("encode", folder, "-o", place.root / "out", "-m", place.model)
    assert done.code == 1
    assert [line.split(":")[0] for line in done.lines] == ["error"] * 4
    for name, line in zip(("b.wav", "c.wav", "d.flac", "e.wav"), done.lines, strict=True):
        assert str(folder / name) in line
    assert [n for n in tree(place.root / "out") if not n.startswith(".")] == ["a.mtok", "f.mtok"]
    assert done.out.splitlines()[-1] == "2 written, 0 skipped, 4 failed"


@pytest.mark.parametrize("command", ["encode", "decode", "reconstruct"])
def test_a_full_disk(cli: Cli, place: Place, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    source = place.mtok if command == "decode" else place.wav
    suffix = "mtok" if command == "encode" else "wav"
    before = tree(place.root)
    done = cli(command, source, "-o", place.root / f"out.{suffix}", "-m", place.model)
    check(done, "no space left on device")
    assert tree(place.root) == before


def test_an_old_result_survives_a_failure(cli: Cli, place: Place) -> None:
    place.file("out.mtok", b"precious")
    check(cli(*place.encode(place.sound(late_nan(), 8000, subtype="FLOAT"))), "NaN")
    assert (place.root / "out.mtok").read_bytes() == b"precious"


def in_process_limit(place: Place, args: list[object], shell: str) -> subprocess.CompletedProcess:
    words = " ".join(f"'{word}'" for word in script(args))
    return subprocess.run(
        ["bash", "-c", shell.format(words)], capture_output=True, env=environment(), text=True
    )


@pytest.mark.parametrize(
    ("shell", "words"),
    [
        ("{} > /dev/full", "cannot write to standard output: no space left on device"),
        ("ulimit -f 1; {0}", "cannot write"),
    ],
)
def test_a_really_full_device(place: Place, shell: str, words: str) -> None:
    long = write_wav(place.root / "long.wav", 5.0)
    output = "-" if "/dev/full" in shell else place.root / "out.mtok"
    before = tree(place.root)
    done = in_process_limit(place, ["encode", long, "-o", output, "-m", place.model], shell)
    check(Done(done.returncode, done.stdout.encode(), done.stderr), words)
    assert tree(place.root) == before


def test_debug_shows_the_traceback(cli: Cli, place: Place) -> None:
    with pytest.raises(Exception, match="not readable audio"):
        cli(*place.encode(place.file("bad.wav", "text")), "--debug")
