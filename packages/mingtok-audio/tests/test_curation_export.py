"""What is made of a manifest: other choices, exports that others read, the report."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from cli_helpers import environment, script, tree
from curation_audio import RATE, silence, speech, write

pytest.importorskip("pyarrow")
pytest.importorskip("datasketch")

from mingtok_audio.core.errors import UserError
from mingtok_audio.curation.export import FORMATS, export
from mingtok_audio.curation.manifest import Manifest
from mingtok_audio.curation.pipeline import load_config
from mingtok_audio.curation.report import write_report
from mingtok_audio.curation.run import curate
from mingtok_audio.curation.select import filter_manifest, rules_of
from mingtok_audio.curation.sources import find_sources
from mingtok_audio.training.manifests import Source, read_source

TEXT = "the quick brown fox jumps over the lazy dog"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest of four voices: two clean, one noisy, one in stereo with a gap."""
    folder = tmp_path_factory.mktemp("in")
    noise = np.random.default_rng(0).normal(0, 0.02, 6 * RATE).astype(np.float32)
    write(folder / "a.wav", silence(0.5), speech(5.0, 110.0, 1), silence(0.5))
    write(folder / "b.flac", silence(0.5), speech(6.0, 170.0, 2), silence(0.5))
    write(folder / "noisy.wav", speech(5.0, 140.0, 3) + noise[: 5 * RATE], noise[:RATE])
    both = np.concatenate([speech(4.0, 200.0, 4), silence(2.0), speech(4.0, 200.0, 5)])
    write(folder / "stereo.wav", np.stack([both, 0.5 * both], axis=1))
    lines = [
        {"audio": name, "text": TEXT, "language": "en", "speaker": name[0], "licence": "CC0",
         "origin": "made here"}
        for name in ("a.wav", "b.flac", "noisy.wav", "stereo.wav")
    ]  # fmt: skip
    (folder / "in.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    out = folder / "out"
    overrides = ["vad.engine=energy", "quality.dnsmos=off", "recognise.model=null"]
    curate(
        find_sources([str(folder / "in.jsonl")]),
        out,
        load_config(None, [*overrides, "splits.valid=0", "splits.test=0"]),
    )
    return out


def test_filters_choose_again_and_back(made: Path, tmp_path: Path) -> None:
    whole = made / "manifest.parquet"
    before = list(Manifest(whole).rows())
    target = tmp_path / "chosen.parquet"
    some, empty = filter_manifest(Manifest(whole), rules_of(None, ["snr >= 20"]), target)
    assert empty == []
    rows = list(Manifest(target).rows())
    assert len(rows) == len(before)
    assert {r["snr"] >= 20 for r in rows if r["kept"]} == {True}
    assert some.dropped["where"] == sum(r["reason"] == "where" for r in rows) > 0
    assert Manifest(target).pipeline["rules"][0][1] == "snr >= 20"
    # Without rules all comes back, but not what other stages dropped.
    filter_manifest(Manifest(target), [], target)
    assert list(Manifest(target).rows()) == before


def test_filter_is_the_same_as_the_stage(made: Path, tmp_path: Path) -> None:
    folder = made.parent / "in.jsonl"
    config = load_config(
        None,
        ["vad.engine=energy", "quality.dnsmos=off", "recognise.model=null", "splits.valid=0",
         "splits.test=0"],
        preset="generation",
    )  # fmt: skip
    at_once = curate(find_sources([str(folder)]), tmp_path / "out", config)
    later, empty = filter_manifest(Manifest(made), rules_of("generation", []), None)
    assert at_once.dropped == later.dropped
    assert at_once.kept == later.kept
    assert "dnsmos" in empty


def test_wrong_rules_are_refused_and_write_nothing(made: Path, tmp_path: Path) -> None:
    whole = (made / "manifest.parquet").read_bytes()
    for text, said in (
        ("dnsmoss > 3", "did you mean 'dnsmos'"),
        ("snr > 'loud'", "a number"),
        ("snr", "neither true nor false"),
    ):
        with pytest.raises(UserError, match=said):
            filter_manifest(Manifest(made), rules_of(None, [text]), made / "manifest.parquet")
    assert (made / "manifest.parquet").read_bytes() == whole
    assert sorted(p.name for p in made.iterdir()) == ["manifest.parquet", "parts"]


def test_filter_command_changes_the_manifest_only(made: Path, tmp_path: Path) -> None:
    target = tmp_path / "x.parquet"
    done = subprocess.run(
        script(["curate", "filter", str(made), "--where", "seconds > 4.5", "-o", str(target),
                "--json"]),
        env=environment(), capture_output=True, check=True,
    )  # fmt: skip
    summary = json.loads(done.stdout)
    assert summary["kept"] == sum(r["kept"] for r in Manifest(target).rows()) > 0
    dry = subprocess.run(
        script(["curate", "filter", str(target), "--where", "seconds > 99", "--dry-run", "--json"]),
        env=environment(), capture_output=True, check=True,
    )  # fmt: skip
    assert json.loads(dry.stdout)["kept"] == 0
    assert sum(r["kept"] for r in Manifest(target).rows()) == summary["kept"]


# --- exports --------------------------------------------------------------------------------------


def _same_sound(one: np.ndarray, other: np.ndarray) -> bool:
    count = min(len(one), len(other))
    return (
        abs(len(one) - len(other)) < 20
        and float(np.corrcoef(one[:count], other[:count])[0, 1]) > 0.99
    )


def _target(tmp_path: Path, form: str) -> Path:
    return tmp_path / {"jsonl": "x.jsonl", "lhotse": "cuts.jsonl.gz"}.get(form, form)


@pytest.mark.parametrize("form", ["jsonl", "lhotse", "shards"])
def test_training_reads_what_is_kept(made: Path, tmp_path: Path, form: str) -> None:
    target = _target(tmp_path, form)
    written = export(made, target, form)
    kept = {r["id"]: r for r in Manifest(made).rows() if r["kept"]}
    assert written.segments == len(kept) == len({r["source"] for r in kept.values()}) + 1
    manifest = str(target / "train-*.tar") if form == "shards" else str(target)
    found = read_source(Source(manifest))
    assert {r.id for r in found} == set(kept)
    for recording in found:
        row = kept[recording.id]
        assert recording.seconds == pytest.approx(row["seconds"])
        assert recording.fields["licence"] == "CC0"
        if row["text"]:
            assert recording.text == row["text"]
        source, rate = soundfile.read(row["path"], dtype="float32", always_2d=True)
        span = source[round(row["start"] * rate) : round(row["end"] * rate)].mean(axis=1)
        assert _same_sound(recording.load(RATE), span)


def test_datasets_layout(made: Path, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    written = export(made, tmp_path, "datasets")
    assert [Path(f).name for f in written.files] == ["train-00000-of-00001.parquet"]
    table = pq.read_table(written.files[0])
    features = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]
    assert features["audio"] == {"sampling_rate": RATE, "_type": "Audio"}
    assert set(features) == set(table.column_names)
    for row in table.to_pylist():
        wav, rate = soundfile.read(io.BytesIO(row["audio"]["bytes"]))
        assert rate == RATE
        assert len(wav) / rate == pytest.approx(row["seconds"], abs=0.001)
    card = (tmp_path / "README.md").read_text()
    assert "path: data/train-*.parquet" in card
    assert "CC0" in card


def test_lhotse_reads_the_cuts(made: Path, tmp_path: Path) -> None:
    lhotse = pytest.importorskip("lhotse")
    export(made, tmp_path / "cuts.jsonl.gz", "lhotse")
    cuts = lhotse.CutSet.from_file(tmp_path / "cuts.jsonl.gz")
    kept = [r for r in Manifest(made).rows() if r["kept"]]
    assert [cut.id for cut in cuts] == [r["id"] for r in kept]


@pytest.mark.parametrize("form", FORMATS)
def test_exports_give_the_same_bytes_again(made: Path, tmp_path: Path, form: str) -> None:
    trees = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        export(made, _target(folder, form), form)
        export(made, _target(folder, form), form)  # again in the same place
        trees.append({k: v for k, v in tree(folder).items() if ".export" not in k})
    assert trees[0] == trees[1]


def test_shards_are_plain_tar_files_in_order(made: Path, tmp_path: Path) -> None:
    export(made, tmp_path, "shards")
    with tarfile.open(tmp_path / "train-000000.tar") as archive:
        names = archive.getnames()
    assert names == [
        f"{r['id']}{s}" for r in Manifest(made).rows() if r["kept"] for s in (".flac", ".json")
    ]


def test_exports_that_cannot_be_made(made: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="did you mean 'jsonl'"):
        export(made, tmp_path / "x", "json")
    with pytest.raises(UserError, match="no segment in the split test"):
        export(made, tmp_path / "y", "shards", split="test")
    with pytest.raises(UserError, match="no segment"):
        export(made, tmp_path / "z.jsonl", "jsonl", split="test")
    assert list(tmp_path.iterdir()) == []


# --- report ---------------------------------------------------------------------------------------


def test_report_is_one_safe_page_with_players(made: Path, tmp_path: Path) -> None:
    pytest.importorskip("jinja2")
    page = tmp_path / "r.html"
    found = write_report(made, page, players=2)
    text = page.read_text(encoding="utf-8")
    rows = list(Manifest(made).rows())
    decisions = {r["reason"] or "kept" for r in rows}
    assert found["players"] == text.count("<audio") <= 2 * len(decisions)
    assert found["players"] >= len(decisions)
    assert text.count("src=") == found["players"]
    assert "http" not in text.replace("https://example", "")
    kept = sum(r["seconds"] for r in rows if r["kept"]) / 3600
    assert f"<strong>{kept:.3f} h</strong>" in text
    for reason in decisions - {"kept"}:
        assert f"Dropped: {reason}" in text
    write_report(made, tmp_path / "again.html", players=2)
    assert (tmp_path / "again.html").read_bytes() == page.read_bytes()
    assert write_report(made, tmp_path / "no.html", players=0)["players"] == 0
