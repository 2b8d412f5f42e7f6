"""Reading and writing audio files."""

from __future__ import annotations

import io
import os
import random
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from mingtok_audio.core.audio import (
    WRITABLE_SUFFIXES,
    AudioWriter,
    audio_info,
    find_audio_files,
    iter_audio_blocks,
    load_audio,
    resample,
    save_audio,
    wav_bytes,
    wav_header,
)
from mingtok_audio.core.errors import AudioError, UserError

RATE = 16_000


def tone(seconds: float = 0.5, rate: int = RATE, frequency: float = 220.0) -> np.ndarray:
    time = np.arange(round(seconds * rate)) / rate
    return (0.4 * np.sin(2 * np.pi * frequency * time)).astype(np.float32)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def refused(source: object, match: str, **options: object) -> str:
    """The message of the AudioError, which must be one line that names the file."""
    with pytest.raises(AudioError, match=match) as caught:
        load_audio(source, **options)  # type: ignore[arg-type]
    message = str(caught.value)
    assert "\n" not in message
    if isinstance(source, Path):
        assert str(source) in message
    return message


@pytest.mark.parametrize("suffix", WRITABLE_SUFFIXES)
def test_every_format_comes_back(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    wav = tone(1.0)
    assert save_audio(path, wav, RATE) == 0
    read, rate = load_audio(path)
    assert rate == RATE and read.dtype == np.float32 and len(read) == len(wav)
    assert np.abs(read - wav).max() < (1e-4 if suffix in (".wav", ".flac") else 0.1)
    info = audio_info(path)
    assert (info.sample_rate, info.channels, info.num_samples) == (RATE, 1, len(wav))
    assert info.seconds == len(wav) / RATE


@pytest.mark.parametrize(
    ("suffix", "subtype", "bits"),
    [
        (".wav", "PCM_U8", 8),
        (".wav", "PCM_16", 16),
        (".wav", "PCM_24", 24),
        (".wav", "PCM_32", 24),
        (".flac", "PCM_S8", 8),
        (".flac", "PCM_16", 16),
        (".flac", "PCM_24", 24),
    ],
)
def test_integers_survive_a_round_trip(
    tmp_path: Path, suffix: str, subtype: str, bits: int
) -> None:
    # Float32 holds 24 bits exactly, so 32-bit files are checked with 24-bit values.
    full = 1 << (bits - 1)
    rng = np.random.default_rng(0)
    integers = np.concatenate([rng.integers(-full, full, 500), [-full, full - 1, 0, 1, -1]])
    wav = (integers / full).astype(np.float32)
    path = tmp_path / f"a{suffix}"
    assert save_audio(path, wav, RATE, subtype) == 0
    read, _ = load_audio(path)
    assert np.array_equal(read, wav)
    again = tmp_path / f"b{suffix}"
    save_audio(again, read, RATE, subtype)
    assert again.read_bytes() == path.read_bytes()


def test_integer_arrays_and_tensors_are_written(tmp_path: Path) -> None:
    pcm = np.array([0, 16384, -32768, 32767], dtype=np.int16)
    save_audio(tmp_path / "a.wav", pcm, RATE)
    assert np.array_equal(soundfile.read(tmp_path / "a.wav", dtype="int16")[0], pcm)
    save_audio(tmp_path / "b.wav", torch.tensor([0.5, -0.5], requires_grad=True), RATE)
    assert load_audio(tmp_path / "b.wav")[0].tolist() == [0.5, -0.5]
    save_audio(tmp_path / "c.wav", torch.tensor([0.5, -0.5], dtype=torch.bfloat16), RATE)
    assert load_audio(tmp_path / "c.wav")[0].tolist() == [0.5, -0.5]


@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_float_files_keep_what_is_loud(tmp_path: Path, subtype: str) -> None:
    wav = np.array([0.25, 1.5, -2.0], dtype=np.float32)
    assert save_audio(tmp_path / "a.wav", wav, RATE, subtype) == 0
    assert np.array_equal(load_audio(tmp_path / "a.wav")[0], wav)


def test_clipping_is_counted(tmp_path: Path) -> None:
    wav = np.array([[0.0, 1.0, 1.01, -1.0, -3.0], [2.0, 0.0, 0.0, 0.0, 0.0]])
    assert save_audio(tmp_path / "a.wav", wav, RATE) == 3
    read = soundfile.read(tmp_path / "a.wav", dtype="int16")[0]
    assert read[:, 0].tolist() == [0, 32767, 32767, -32768, -32768]
    assert save_audio(tmp_path / "a.ogg", np.repeat(wav, 200, axis=1), RATE) == 600


def test_channels_are_mixed_or_picked(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    left, right = tone(), -0.5 * tone(frequency=330)
    save_audio(path, np.stack([left, right]), RATE, "FLOAT")
    assert np.allclose(load_audio(path)[0], (left + right) / 2, atol=1e-7)
    assert np.array_equal(load_audio(path, channel=0)[0], left)
    assert np.array_equal(load_audio(path, channel=1)[0], right)
    refused(path, r"no channel 2; it has 0 to 1", channel=2)
    refused(path, "no channel -1", channel=-1)
    with pytest.raises(AudioError, match=r"channel must be"):
        load_audio(path, channel="left")  # type: ignore[arg-type]
    save_audio(path, left, RATE)
    refused(path, "only 0", channel=1)


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 24_000, 44_100, 48_000, 96_000, 192_000])
def test_any_rate_becomes_the_wanted_one(tmp_path: Path, rate: int) -> None:
    path = tmp_path / "a.wav"
    save_audio(path, tone(0.3, rate), rate, "FLOAT")
    read, got = load_audio(path, sample_rate=RATE)
    assert got == RATE and len(read) == -(-round(0.3 * rate) * RATE // rate)
    middle = slice(400, -400)
    assert np.abs(read - tone(0.4, RATE)[: len(read)])[middle].max() < 1e-3


def test_a_part_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    wav = tone(2.0)
    save_audio(path, wav, RATE)
    whole, _ = load_audio(path)
    assert np.array_equal(load_audio(path, start=0.5, end=1.25)[0], whole[8000:20000])
    assert np.array_equal(load_audio(path, start=1.5, end=99)[0], whole[24000:])
    assert np.array_equal(load_audio(path, end=0.1)[0], whole[:1600])
    part, _ = load_audio(path, sample_rate=8000, start=0.5, end=1.0)
    assert np.array_equal(part, resample(whole[8000:16000], RATE, 8000))
    refused(path, "after the end", start=2.0)
    for bad in ({"start": -1.0}, {"end": float("nan")}, {"start": float("inf")}):
        with pytest.raises(AudioError, match=r"0 or more seconds"):
            load_audio(path, **bad)
    with pytest.raises(AudioError, match=r"after the start"):
        load_audio(path, start=1.0, end=1.0)


def test_silence_and_single_samples_are_audio(tmp_path: Path) -> None:
    save_audio(tmp_path / "silence.wav", np.zeros(100), RATE)
    assert not load_audio(tmp_path / "silence.wav")[0].any()
    save_audio(tmp_path / "one.wav", np.array([0.5]), RATE)
    assert load_audio(tmp_path / "one.wav")[0].tolist() == [0.5]
    assert len(load_audio(tmp_path / "one.wav", sample_rate=8000)[0]) == 1


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_are_refused(tmp_path: Path, bad: float) -> None:
    path = tmp_path / "a.wav"
    wav = tone(6.0)
    wav[70_000] = bad
    soundfile.write(path, wav, RATE, subtype="FLOAT")
    message = refused(path, "NaN" if np.isnan(bad) else "infinity")
    assert "sample 70000, 4.375 s" in message
    with pytest.raises(AudioError, match=r"NaN or infinity"):
        save_audio(tmp_path / "b.wav", wav, RATE)
    assert not (tmp_path / "b.wav").exists()


def test_a_double_too_large_for_float32_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.array([0.0, 1e300]), RATE, subtype="DOUBLE")
    refused(path, "infinity")


def test_what_is_not_audio_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.wav").touch()
    refused(tmp_path / "empty.wav", "empty")
    for suffix in (".wav", ".flac", ".ogg", ".mp3", ".raw", ".txt"):
        path = tmp_path / f"text{suffix}"
        path.write_text("This is a letter, not a recording.\n" * 50)
        refused(path, "not readable audio")
    (tmp_path / "a.m4a").write_bytes(b"\0\0\0\x20ftypM4A " + bytes(100))
    refused(tmp_path / "a.m4a", "convert it to wav or flac")
    refused(tmp_path / "missing.wav", "no such file")
    refused(tmp_path, "is a folder")
    with pytest.raises(AudioError, match=r"null"):
        load_audio("a\0b.wav")
    with pytest.raises(AudioError, match=r"not int"):
        load_audio(3)  # type: ignore[arg-type]


def test_zero_samples_are_refused(tmp_path: Path) -> None:
    for suffix in (".wav", ".flac"):
        path = tmp_path / f"a{suffix}"
        soundfile.write(path, np.zeros(0), RATE)
        refused(path, "no samples|is empty")  # an empty flac has 0 bytes
    with pytest.raises(AudioError, match=r"no samples"):
        save_audio(tmp_path / "b.wav", np.zeros(0), RATE)
    assert not (tmp_path / "b.wav").exists()


@pytest.mark.parametrize("rate", [0, 1, 999, 768_001, 2**31 - 1, 2**32 - 1])
def test_absurd_rates_in_a_header_are_refused(tmp_path: Path, rate: int) -> None:
    path = tmp_path / "a.wav"
    data = bytearray(wav_bytes(tone(0.1), RATE))
    data[24:28] = struct.pack("<I", rate)
    path.write_bytes(data)
    refused(path, "rate|not readable audio")


@pytest.mark.parametrize("rate", [0, -16000, 10**9, 16000.5, float("nan"), True, "16000", None])
def test_absurd_rates_asked_for_are_refused(tmp_path: Path, rate: object) -> None:
    path = tmp_path / "a.wav"
    save_audio(path, tone(0.1), RATE)
    if rate is not None:
        refused_message = pytest.raises(AudioError, match=r"sample rate")
        with refused_message:
            load_audio(path, sample_rate=rate)  # type: ignore[arg-type]
    with pytest.raises(AudioError, match=r"sample rate"):
        save_audio(tmp_path / "b.wav", tone(0.1), rate)  # type: ignore[arg-type]
    assert not (tmp_path / "b.wav").exists()


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".mp3"])
@pytest.mark.parametrize("keep", [0.999, 0.7, 0.3, 0.02])
def test_truncated_files_are_refused(tmp_path: Path, suffix: str, keep: float) -> None:
    path = tmp_path / f"a{suffix}"
    noise = np.random.default_rng(1).uniform(-0.3, 0.3, 40_000)
    save_audio(path, noise, RATE)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    refused(path, "truncated|damaged|not readable")
    with pytest.raises(AudioError):
        list(iter_audio_blocks(path, 0.5))


@pytest.mark.parametrize("kind", ["RF64", "AIFF", "AU", "WAVEX", "CAF"])
def test_truncated_files_of_other_kinds(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(1.0), RATE, format=kind, subtype="PCM_16")
    assert len(load_audio(path)[0]) == RATE
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    refused(path, "truncated")


def test_a_cut_wav_is_refused_even_for_its_first_second(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    data = wav_bytes(tone(3.0), RATE)
    path.write_bytes(data[:-2])
    refused(path, "promises 96000 bytes of audio, it holds 95998", end=1.0)
    with pytest.raises(AudioError, match=r"truncated"):
        audio_info(path)


def test_damage_inside_a_flac_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    noise = np.random.default_rng(1).uniform(-0.3, 0.3, 40_000)
    save_audio(path, noise, RATE)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 5000] = bytes(5000)
    path.write_bytes(data)
    refused(path, "damaged|truncated")


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFF000 + 36])
def test_wav_streams_without_a_length_are_read(size: int) -> None:
    """What ffmpeg and sox write into a pipe."""
    body = wav_bytes(tone(0.2), RATE)
    data = bytearray(body)
    data[4:8] = struct.pack("<I", size)
    data[40:44] = struct.pack("<I", size - (36 if size != 0xFFFFFFFF else 0))
    assert np.array_equal(load_audio(bytes(data))[0], load_audio(body)[0])
    assert np.array_equal(load_audio(wav_header(RATE) + body[44:])[0], load_audio(body)[0])


def test_wav_header_with_a_length_is_the_one_of_a_file() -> None:
    body = wav_bytes(tone(0.2), RATE)
    assert wav_header(RATE, num_samples=len(tone(0.2))) == body[:44]


def test_bytes_files_pipes_and_stdin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = wav_bytes(tone(), RATE)
    expected = load_audio(data)[0]
    assert np.array_equal(load_audio(io.BytesIO(data))[0], expected)
    (tmp_path / "a.wav").write_bytes(data)
    with (tmp_path / "a.wav").open("rb") as stream:
        assert np.array_equal(load_audio(stream)[0], expected)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert np.array_equal(load_audio("-")[0], expected)
    refused(b"", "empty")
    refused(b"RIFF", "not readable")
    read_end, write_end = os.pipe()
    os.write(write_end, wav_bytes(tone(0.05), RATE))
    os.close(write_end)
    with os.fdopen(read_end, "rb") as pipe:
        assert len(load_audio(pipe)[0]) == 800


@pytest.mark.parametrize("rate", [RATE, 8000, 44_100])
@pytest.mark.parametrize("block", [0.01, 0.37, 1.0, 60.0])
def test_blocks_are_the_whole(tmp_path: Path, rate: int, block: float) -> None:
    path = tmp_path / "a.flac"
    save_audio(path, np.random.default_rng(0).uniform(-0.5, 0.5, 3 * RATE + 7), RATE)
    blocks = list(iter_audio_blocks(path, block, sample_rate=rate))
    assert np.array_equal(np.concatenate(blocks), load_audio(path, sample_rate=rate)[0])
    size = max(1, round(block * rate))
    assert all(len(b) == size for b in blocks[:-1]) and 1 <= len(blocks[-1]) <= size


def test_find_audio_files_sorts_and_leaves_hidden_ones(tmp_path: Path) -> None:
    for name in ("b/2.FLAC", "a.wav", ".hidden.wav", ".cache/x.wav", "notes.txt", "b/1.mp3"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    found = [p.relative_to(tmp_path).as_posix() for p in find_audio_files(tmp_path)]
    assert found == ["a.wav", "b/1.mp3", "b/2.FLAC"]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    save_audio(path, tone(), RATE)
    before = path.read_bytes()
    with pytest.raises(RuntimeError, match=r"stop"), AudioWriter(path, RATE) as writer:
        writer.write(tone())
        raise RuntimeError("stop")
    with pytest.raises(AudioError, match=r"NaN"), AudioWriter(path, RATE) as writer:
        writer.write(tone())
        writer.write(np.array([np.nan]))
    assert path.read_bytes() == before
    assert names(tmp_path) == ["a.wav"]


def test_writing_in_pieces_equals_writing_at_once(tmp_path: Path) -> None:
    wav = np.random.default_rng(0).uniform(-1.2, 1.2, (2, 40_001))
    clipped = save_audio(tmp_path / "a.flac", wav, RATE, "PCM_24")
    with AudioWriter(tmp_path / "b.flac", RATE, channels=2, subtype="PCM_24") as writer:
        for begin in range(0, wav.shape[1], 997):
            writer.write(wav[:, begin : begin + 997])
    assert writer.clipped == clipped > 0 and writer.num_samples == 40_001
    first, second = (soundfile.read(tmp_path / n, dtype="int32")[0] for n in ("a.flac", "b.flac"))
    assert np.array_equal(first, second)


def test_long_vorbis_is_written_in_one_call(tmp_path: Path) -> None:
    save_audio(tmp_path / "a.ogg", np.zeros(3_000_000), 48_000)
    assert audio_info(tmp_path / "a.ogg").num_samples == 3_000_000


@pytest.mark.parametrize(
    ("name", "options", "match"),
    [
        ("a.txt", {}, "must end in .wav"),
        ("a", {}, "must end in .wav"),
        ("a.wav", {"subtype": "VORBIS"}, "no sample format VORBIS"),
        ("a.mp3", {"sample_rate": 96_000}, "cannot hold"),
        ("missing/a.wav", {}, "does not exist"),
        ("file/a.wav", {}, "is not a folder"),
        ("folder.wav", {}, "it is a folder"),
    ],
)
def test_outputs_that_cannot_be_written(
    tmp_path: Path, name: str, options: dict[str, object], match: str
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder.wav").mkdir()
    with pytest.raises(UserError, match=match):
        save_audio(tmp_path / name, tone(), **{"sample_rate": RATE, **options})  # type: ignore[arg-type]
    assert names(tmp_path) == ["file", "folder.wav"]


@pytest.mark.parametrize("wav", [np.zeros((2, 2, 2)), np.zeros(4, dtype=bool), np.array(0.5), "x"])
def test_arrays_that_are_no_audio(tmp_path: Path, wav: object) -> None:
    with pytest.raises(AudioError, match=r"cannot write"):
        save_audio(tmp_path / "a.wav", wav, RATE)
    assert not names(tmp_path)


FULL_DISK = """
import resource, signal, sys
import numpy as np
from mingtok_audio.core.audio import save_audio
from mingtok_audio.core.errors import UserError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    save_audio(sys.argv[1], np.random.default_rng(0).uniform(-1, 1, 200_000), 16_000)
except UserError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs file size limits of a Unix process")
@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".mp3"])
def test_a_full_disk_leaves_nothing(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert str(path) in done.stdout and "cannot write" in done.stdout
    assert not names(tmp_path)


def test_a_damaged_mp3_is_read_with_a_warning(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.mp3"
    save_audio(path, np.random.default_rng(0).uniform(-0.3, 0.3, 40_000), RATE)
    data = bytearray(path.read_bytes())
    for place in range(2000, 4000, 60):
        data[place] ^= 0xFF
    path.write_bytes(data)
    with pytest.warns(UserWarning, match=r"a\.mp3 is damaged in \d+ place"):
        load_audio(path)
    assert capfd.readouterr().err == ""


def test_mutated_files_are_read_or_refused(tmp_path: Path) -> None:
    rng = random.Random(0)
    originals = []
    for kind, subtype in (
        ("WAV", "PCM_16"), ("WAV", "FLOAT"), ("FLAC", "PCM_16"), ("OGG", "VORBIS"),
        ("AIFF", "PCM_16"), ("AU", "PCM_16"), ("WAV", "MS_ADPCM"),
    ):  # fmt: skip
        buffer = io.BytesIO()
        soundfile.write(buffer, tone(0.2), RATE, format=kind, subtype=subtype)
        originals.append(buffer.getvalue())
    path = tmp_path / "a.wav"
    read = 0
    for _ in range(400):
        data = bytearray(rng.choice(originals))
        reach = len(data) if rng.random() < 0.4 else min(len(data), 100)
        for _ in range(rng.randint(1, 6)):
            data[rng.randrange(reach)] = rng.randrange(256)
        if rng.random() < 0.2:
            del data[rng.randrange(len(data)) :]
        path.write_bytes(data)
        try:
            wav, _ = load_audio(path)
        except AudioError as error:
            assert "\n" not in str(error)
        else:
            read += 1
            assert len(wav) and np.isfinite(wav).all()
    assert 20 < read < 380


def test_damaged_mp3_is_one_message(tmp_path: Path) -> None:
    """libmpg123 writes its own complaints to descriptor 2, past Python."""
    path = tmp_path / "a.mp3"
    path.write_bytes(b"\xff\xfb\x90\x00" + bytes(3000))
    code = (
        "import sys\nfrom mingtok_audio.core.audio import load_audio\n"
        "from mingtok_audio.core.errors import AudioError\n"
        "try: load_audio(sys.argv[1])\nexcept AudioError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and done.stderr == "" and str(path) in done.stdout
