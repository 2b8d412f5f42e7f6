"""Manifests, CutSets, shards, batches by length, and files that cannot be read."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from mingtok_audio.core.audio import save_audio
from mingtok_audio.core.errors import ConfigError, UserError
from mingtok_audio.trainer.prefetch import Prefetcher
from mingtok_audio.training.data import CropSampler, Library, UtteranceSampler, pack
from mingtok_audio.training.manifests import Source, read_source

RATE = 16000


def noise(seconds: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (0.1 * rng.standard_normal(round(seconds * RATE))).astype(np.float32)


def cut(name: str, **changes: object) -> dict:
    return {
        "id": name,
        "start": 0.5,
        "duration": 1.0,
        "channel": 0,
        "supervisions": [{"id": name, "text": "hello there"}],
        "recording": {
            "id": "r",
            "sources": [{"type": "file", "channels": [0], "source": "long.flac"}],
            "sampling_rate": RATE,
            "num_samples": 3 * RATE,
            "duration": 3.0,
        },
        "type": "MonoCut",
        **changes,
    }


def test_lhotse_cuts_are_read_in_place(tmp_path: Path) -> None:
    wav = noise(3.0, 0)
    soundfile.write(tmp_path / "long.flac", wav, RATE)
    with gzip.open(tmp_path / "cuts.jsonl.gz", "wt") as file:
        file.write(json.dumps(cut("a")) + "\n" + json.dumps(cut("b", start=0.0)) + "\n")
    a, b = read_source(Source(str(tmp_path / "cuts.jsonl.gz")))
    assert (a.id, a.text, a.seconds) == ("a", "hello there", 1.0)
    stored = soundfile.read(tmp_path / "long.flac", dtype="float32")[0]
    assert np.array_equal(a.load(RATE), stored[8000:24000])
    assert np.array_equal(b.load(RATE), stored[:16000])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"type": "MixedCut"}, "plain MonoCuts"),
        ({"recording": {"sources": [{"type": "url", "source": "x"}]}}, "type 'file'"),
        ({"duration": None}, "cuts.jsonl:1"),
    ],
)
def test_cuts_that_cannot_be_read_are_refused(tmp_path: Path, change: dict, words: str) -> None:
    (tmp_path / "cuts.jsonl").write_text(json.dumps(cut("a", **change)) + "\n")
    with pytest.raises(ConfigError, match=words):
        read_source(Source(str(tmp_path / "cuts.jsonl")))


def add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    archive.addfile(member, io.BytesIO(data))


def test_tar_shards_are_streamed_from(tmp_path: Path) -> None:
    wavs = {}
    for shard in range(2):
        with tarfile.open(tmp_path / f"s-{shard}.tar", "w") as archive:
            for i in range(3):
                key = f"{shard}{i}"
                stream = io.BytesIO()
                wavs[key] = np.round(noise(0.5 + 0.1 * i, i) * 2**15) / 2**15
                soundfile.write(stream, wavs[key], RATE, format="FLAC")
                add(archive, f"{key}.flac", stream.getvalue())
                if i:
                    add(archive, f"{key}.json", json.dumps({"text": key, "seconds": 9}).encode())
                else:
                    add(archive, f"{key}.txt", b" plain text\n")
    recordings = read_source(Source(str(tmp_path / "s-*.tar")))
    assert [r.id for r in recordings] == ["00", "01", "02", "10", "11", "12"]
    assert recordings[0].text == "plain text" and recordings[1].text == "01"
    assert recordings[0].seconds == 0.5 and recordings[1].seconds == 9
    for recording in recordings:
        assert np.array_equal(recording.load(RATE), wavs[recording.id].astype(np.float32))
    with pytest.raises(ConfigError, match="no shard matches"):
        read_source(Source(str(tmp_path / "t-*.tar")))
    (tmp_path / "bad.tar").write_bytes(b"x" * 2000)
    with pytest.raises(ConfigError, match="not a readable tar shard"):
        read_source(Source(str(tmp_path / "bad.tar")))


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Forty recordings; two of them (5 %) are broken in different ways."""
    lines = []
    for i in range(40):
        seconds = 0.3 + 0.05 * i
        save_audio(tmp_path / f"{i}.wav", noise(seconds, i), RATE)
        lines.append({"audio": f"{i}.wav", "seconds": seconds, "text": f"n {i}", "split": "train"})
    (tmp_path / "7.wav").write_bytes(b"")
    whole = (tmp_path / "31.wav").read_bytes()
    (tmp_path / "31.wav").write_bytes(b"junk" + whole[4:])
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return tmp_path / "m.jsonl"


def test_broken_files_are_skipped_counted_and_named(corpus: Path) -> None:
    sampler = CropSampler(
        [Source(str(corpus))], crop_samples=1600, sample_rate=RATE, batch_size=8, seed=0
    )
    for step in range(60):
        assert float(sampler.batch(step).abs().amax(dim=1).min()) > 0
    assert {Path(name).name for name in sampler.skipped} == {"7.wav", "31.wav"}
    utterances = UtteranceSampler([Source(str(corpus))], sample_rate=RATE, max_seconds=6, seed=0)
    seen = [i for step in range(len(utterances.batches)) for i in utterances.batch(step).ids]
    assert sorted(seen) == sorted(f"{i}.wav" for i in range(40) if i not in (7, 31))
    assert len(utterances.skipped) == 2


def test_batches_keep_the_budget_and_epochs_differ(corpus: Path) -> None:
    sampler = UtteranceSampler([Source(str(corpus))], sample_rate=RATE, max_seconds=5, seed=3)
    count = len(sampler.batches)
    orders = []
    for epoch in range(2):
        batches = [sampler.batch(epoch * count + k) for k in range(count)]
        assert all(b.wav.numel() <= 5 * RATE + len(b.ids) for b in batches)
        assert all(
            float(b.wav[i, n:].abs().sum()) == 0 for b in batches for i, n in enumerate(b.lengths)
        )
        orders.append([b.ids for b in batches])
    assert orders[0] != orders[1]
    again = UtteranceSampler([Source(str(corpus))], sample_rate=RATE, max_seconds=5, seed=3)
    assert torch.equal(again.batch(count + 1).wav, sampler.batch(count + 1).wav)
    assert pack([(1.0, 0), (2.0, 1), (2.0, 2), (9.0, 3)], 5) == [[0, 1], [2], [3]]
    with pytest.raises(ConfigError, match="transcript"):
        UtteranceSampler([Source(str(corpus))], sample_rate=RATE, max_seconds=0.1, seed=0)


def test_crops_on_the_frame_grid_are_the_recording(corpus: Path) -> None:
    sampler = CropSampler(
        [Source(str(corpus))], crop_samples=3200, sample_rate=RATE, batch_size=4, seed=0
    )
    for crop in sampler.aligned(0, 320):
        samples = sampler.library.samples(crop.index)
        assert samples is not None and crop.start % 320 == 0
        assert np.array_equal(crop.wav, samples[crop.start : crop.start + 3200])


def test_the_memory_of_a_library_is_bounded(corpus: Path) -> None:
    library = Library([Source(str(corpus))], RATE, cache_seconds=1.0)
    first = library.samples(0)
    for i in range(len(library.recordings)):
        library.samples(i)
    assert sum(len(v) for v in library._cache.values()) <= RATE
    again = library.samples(0)
    assert first is not None and again is not None and np.array_equal(first, again)


def test_everything_unreadable_ends_in_words(tmp_path: Path) -> None:
    (tmp_path / "m.jsonl").write_text('{"audio": "none.wav", "seconds": 1, "split": "train"}\n')
    sampler = CropSampler(
        [Source(str(tmp_path / "m.jsonl"))], crop_samples=10, sample_rate=RATE, batch_size=1, seed=0
    )
    with pytest.raises(UserError, match="could not be read"):
        sampler.batch(0)


@pytest.mark.parametrize("workers", [0, 3])
def test_batches_made_ahead_are_the_same_batches(workers: int) -> None:
    made: list[int] = []
    threads = set()

    def make(step: int) -> int:
        made.append(step)
        threads.add(threading.current_thread().name)
        return step * step

    prefetcher = Prefetcher(make, workers)
    assert [prefetcher.get(k) for k in range(5)] == [0, 1, 4, 9, 16]
    assert prefetcher.get(100) == 10000  # a resumed run starts somewhere else
    prefetcher.close()
    assert (threads == {"MainThread"}) == (workers == 0)
    assert len(made) == len(set(made))
    with pytest.raises(ValueError, match="negative"):
        Prefetcher(make, -1)


def test_an_error_in_a_worker_reaches_the_caller() -> None:
    def make(step: int) -> int:
        raise UserError("no such batch")

    prefetcher = Prefetcher(make, 1)
    with pytest.raises(UserError, match="no such batch"):
        prefetcher.get(0)
    prefetcher.close()
