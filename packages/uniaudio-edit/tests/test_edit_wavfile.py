"""What stands around the samples: undo of every wav byte for byte, tags, cue points, headers."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from mingtok_audio.core.errors import AudioError, UserError
from uniaudio_edit.editor import Editor
from uniaudio_edit.interfaces import Change
from uniaudio_edit.pcm import read_recording
from uniaudio_edit.receipt import apply_receipt, undo_receipt, write_undo
from uniaudio_edit.wavfile import moved_sample

RATE = 16000


def samples(seconds: float = 1.0, channels: int = 1) -> np.ndarray:
    rng = np.random.default_rng(0)
    return 0.1 * rng.standard_normal((round(seconds * RATE), channels))


@pytest.mark.parametrize(
    ("form", "subtype"),
    [
        *(("WAV", s) for s in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")),
        *(("WAV", s) for s in ("ULAW", "ALAW")),
        *(("RF64", s) for s in ("PCM_16", "PCM_24", "FLOAT")),
        *(("WAVEX", s) for s in ("PCM_16", "PCM_24", "FLOAT")),
    ],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_undo_gives_every_kind_of_wav_back_byte_for_byte(
    tmp_path: Path, form: str, subtype: str, channels: int
) -> None:
    source, output = tmp_path / "in.wav", tmp_path / "out.wav"
    soundfile.write(source, samples(0.5, channels), RATE, subtype=subtype, format=form)
    for instruction in ("cut the last 100 ms", "make it softer"):
        Editor().edit_file(source, instruction, output)
        found = undo_receipt(tmp_path / "out.receipt.json", None, tmp_path / "b.wav", force=True)
        assert found["same_file"]
        assert (tmp_path / "b.wav").read_bytes() == source.read_bytes()
        assert apply_receipt(tmp_path / "out.receipt.json", None, None)["same_file"]


def test_both_zeros_of_mu_law_come_back(tmp_path: Path) -> None:
    source = tmp_path / "in.wav"
    quiet = np.random.default_rng(0).choice([-1e-5, 0.0, 1e-5, 0.1], size=8000)
    soundfile.write(source, quiet, RATE, subtype="ULAW")
    assert {0x7F, 0xFF} <= set(source.read_bytes()[-8000:])
    Editor().edit_file(source, "cut the first 0.1 seconds", tmp_path / "out.wav")
    undo_receipt(tmp_path / "out.receipt.json", None, tmp_path / "b.wav")
    assert (tmp_path / "b.wav").read_bytes() == source.read_bytes()


def tagged(path: Path, cues: list[int]) -> Path:
    """A wav with the chunks that recorders and editors write."""
    pcm = (samples()[:, 0] * 32767).astype("<i2").tobytes()
    points = b"".join(
        struct.pack("<II4sIII", n, at, b"data", 0, 0, at) for n, at in enumerate(cues)
    )
    chunks = [
        (b"fmt ", struct.pack("<HHIIHH", 1, 1, RATE, 2 * RATE, 2, 16)),
        (b"bext", b"recorder".ljust(602, b"\0")),
        (b"data", pcm),
        (b"cue ", struct.pack("<I", len(cues)) + points),
        (b"LIST", b"INFOINAM" + struct.pack("<I", 6) + b"title\0"),
        (b"id3 ", b"ID3\x04odd"),
    ]
    body = b"".join(
        struct.pack("<4sI", name, len(data)) + data + b"\0" * (len(data) % 2)
        for name, data in chunks
    )
    path.write_bytes(struct.pack("<4sI4s", b"RIFF", 4 + len(body), b"WAVE") + body)
    return path


def cues_of(path: Path) -> list[int]:
    data = path.read_bytes()
    at = data.index(b"cue ") + 8
    (count,) = struct.unpack_from("<I", data, at)
    return [struct.unpack_from("<I", data, at + 4 + 24 * n + 20)[0] for n in range(count)]


def test_tags_are_kept_and_cue_points_follow_the_samples(tmp_path: Path) -> None:
    source, output = tagged(tmp_path / "in.wav", [1000, 5000, 12000]), tmp_path / "out.wav"
    receipt = Editor().edit_file(source, "remove 0.25 s to 0.5 s", output)
    data = output.read_bytes()
    for piece in (b"recorder", b"title", b"ID3\x04odd"):
        assert piece in data
    assert struct.unpack_from("<I", data, 4)[0] == len(data) - 8
    assert soundfile.info(output).frames == RATE - RATE // 4
    moved = cues_of(output)
    assert moved[0] == 1000
    assert abs(moved[1] - 4000) < 200
    assert moved[2] == 12000 - RATE // 4
    assert any("cue points moved" in note for note in receipt.warnings)
    assert undo_receipt(tmp_path / "out.receipt.json", None, tmp_path / "b.wav")["same_file"]
    assert apply_receipt(tmp_path / "out.receipt.json", None, None)["same_file"]
    Editor().edit_file(source, "make it softer", output)
    assert cues_of(output) == [1000, 5000, 12000]


def test_tags_between_formats_are_kept_or_named(tmp_path: Path) -> None:
    source = tagged(tmp_path / "in.wav", [1000])
    receipt = Editor().edit_file(source, "make it softer", tmp_path / "out.flac")
    with soundfile.SoundFile(tmp_path / "out.flac") as file:
        assert file.title == "title"
    assert any("bext" in note and "cue" in note for note in receipt.warnings)
    receipt = Editor().edit_file(tmp_path / "out.flac", "make it softer", tmp_path / "two.flac")
    with soundfile.SoundFile(tmp_path / "two.flac") as file:
        assert file.title == "title"
    assert apply_receipt(tmp_path / "two.receipt.json", None, None)["same_file"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50)), max_size=4))
def test_samples_outside_changes_are_where_they_were(rows: list[tuple[int, int, int]]) -> None:
    before, after, changes, kept = 0, 0, [], {}
    for gap, old, new in [*rows, (20, 0, 0)]:
        kept |= {before + n: after + n for n in range(gap)}
        before, after = before + gap, after + gap
        changes.append(Change((before, before + old), (after, after + new), 0))
        before, after = before + old, after + new
    assert all(moved_sample(old, changes) == new for old, new in kept.items())
    places = [moved_sample(n, changes) for n in range(before)]
    assert places == sorted(places)


def test_a_header_that_promises_the_world_allocates_nothing(tmp_path: Path) -> None:
    path = tmp_path / "in.flac"
    soundfile.write(path, samples(), RATE, subtype="PCM_16")
    data = bytearray(path.read_bytes())
    data[21] |= 0x0F  # total samples, 36 bits from the middle of byte 21 on
    data[22:26] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    with pytest.raises(AudioError):
        read_recording(path)


def test_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import safetensors.numpy

    def full(*_: object, **__: object) -> None:
        raise safetensors.SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(safetensors.numpy, "save_file", full)
    with pytest.raises(UserError, match="cannot write"):
        write_undo(tmp_path / "x.undo.safetensors", samples(), samples(), [], b"")
    assert not list(tmp_path.iterdir())


def test_compressed_recordings_become_sixteen_bits(tmp_path: Path) -> None:
    loud = np.clip(2.0 * samples(), -1, 1)
    soundfile.write(tmp_path / "in.ogg", loud, RATE, format="OGG", subtype="VORBIS")
    receipt = Editor().edit_file(tmp_path / "in.ogg", "make it softer", tmp_path / "out.wav")
    assert receipt.output["subtype"] == "PCM_16"
    assert soundfile.info(tmp_path / "out.wav").subtype == "PCM_16"
    recording = read_recording(tmp_path / "in.ogg")
    decoded, _ = soundfile.read(tmp_path / "in.ogg", dtype="float32", always_2d=True)
    assert np.abs(recording.pcm / 32768 - decoded).max() <= 0.5 / 32768 + 1e-6
