"""Manifests in the formats people have, and one clear line for each way they can be wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from audio_eval.interfaces import Item, ItemResult, MetricResult
from audio_eval.scoring.manifest import (
    attach_outputs,
    infer_names,
    parse_parameters,
    read_manifest,
    write_manifest,
)
from mingtok_audio.core.audio import save_audio
from mingtok_audio.core.errors import UserError


def wav(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_audio(path, np.full(1600, 0.1, np.float32), 16000)
    return path


def test_freeform_meta_in_place(tmp_path):
    wav(tmp_path / "wavs" / "a_1.wav")
    meta = tmp_path / "meta" / "meta_en_deletion_basic_test.csv"
    meta.parent.mkdir()
    meta.write_text(
        "file_name|path|instruction|original_text|edited_text\n"
        "a_1.wav|wavs/a_1.wav|delete 'b'|a b c|a c\n"
    )
    (item,) = read_manifest(meta)
    assert (item.id, item.task, item.mode, item.language) == ("a_1", "deletion", "basic", "en")
    assert item.source == tmp_path / "wavs" / "a_1.wav"
    assert (item.original_text, item.text) == ("a b c", "a c")
    assert item.group == "en_deletion_basic"


def test_freeform_acoustic_without_texts(tmp_path):
    meta = tmp_path / "meta_zh_time_stretch.csv"
    meta.write_text("file_name|path|instruction\nx|x.wav|adjusts the speed to 1.5\n")
    (item,) = read_manifest(meta)
    assert (item.task, item.parameters, item.text, item.mode) == ("speed", {"speed": 1.5}, None, "")


def test_seed_tts_list(tmp_path):
    path = tmp_path / "en" / "meta.lst"
    path.parent.mkdir()
    path.write_text("u1|hello|p/1.wav|say this\nu2.wav|hi|p/2.wav|and this|gt/2.wav\n")
    first, second = read_manifest(path)
    assert (first.id, first.text, first.language, first.task) == ("u1", "say this", "en", "tts")
    assert first.parameters == {"prompt_text": "hello"}
    assert second.reference is not None and second.reference.name == "2.wav"


def test_context_asr_jsonl(tmp_path):
    path = tmp_path / "ContextASR-Speech_English.jsonl"
    row = {
        "uniq_id": "q1",
        "audio": "a.wav",
        "text": "Anna Bell spoke",
        "entity_list": ["Anna Bell"],
    }
    path.write_text(json.dumps(row))
    (item,) = read_manifest(path, language="en")
    assert (item.id, item.task, item.parameters["entities"]) == ("q1", "context_asr", ["Anna Bell"])
    assert item.reference is not None


def test_data_lists_name_their_corpus_source(tmp_path):
    path = tmp_path / "m.jsonl"
    path.write_text(json.dumps({"id": "a", "audio": "a.wav", "source": "LibriSpeech", "text": "x"}))
    (item,) = read_manifest(path)
    assert item.source is None
    assert item.parameters["source"] == "LibriSpeech"


def test_folder_and_transcript_list(tmp_path):
    wav(tmp_path / "x" / "a.wav")
    (tmp_path / "x" / "a.txt").write_text("hello there\n")
    (item,) = read_manifest(tmp_path)
    assert (item.id, item.text) == ("x/a", "hello there")
    (tmp_path / "x" / "text.trans.txt").write_text("a HELLO THERE\n")
    (listed,) = read_manifest(tmp_path / "x" / "text.trans.txt")
    assert listed.reference == tmp_path / "x" / "a.wav"


def test_round_trip(tmp_path):
    item = Item(
        id="a/b", source=wav(tmp_path / "s.wav"), text="x", hypothesis="", task="speed",
        language="en", parameters={"speed": 0.5, "changed": [[[0, 1], [0, 2]]]},
    )  # fmt: skip
    write_manifest(tmp_path / "m.jsonl", [item])
    assert "s.wav" in (tmp_path / "m.jsonl").read_text()
    assert str(tmp_path) not in (tmp_path / "m.jsonl").read_text()
    assert read_manifest(tmp_path / "m.jsonl") == [item]
    result = ItemResult(item, {"wer": MetricResult(1.0, details={"S": 1})}, "system", "")
    assert ItemResult.from_dict(json.loads(json.dumps(result.to_dict()))) == result


@pytest.mark.parametrize(
    ("task", "instruction", "found"),
    [
        ("speed", "adjusts the speed to 1.5", {"speed": 1.5}),
        ("pitch", "shifts the pitch by -3 steps", {"semitones": -3.0}),
        ("pitch", "lower the pitch by 2 semitones", {"semitones": -2.0}),
        ("pitch", "把音调降低3个半音", {"semitones": -3.0}),
        ("volume", "adjusts the volume to 0.5", {"volume": 0.5}),
        ("volume", "音量调整为原来的0.3倍", {"volume": 0.3}),
        ("speed", "speak faster", {}),
        ("emotion", "sound 3 times happier", {}),
    ],
)
def test_parameters(task, instruction, found):
    assert parse_parameters(task, instruction) == found


def test_names():
    assert infer_names(Path("meta_zh_substitution.csv")) == {
        "language": "zh", "task": "substitution", "mode": "full",
    }  # fmt: skip
    assert infer_names(Path("en/insertion/basic/meta.csv"), 3)["mode"] == "basic"


HEADER = "file_name|path|instruction|original_text|edited_text\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no items"),
        (HEADER.encode(), "no items"),
        (b"file_name|instruction\na|b\n", "lacks path"),
        ((HEADER + "a|b|c\n").encode(), "line 2 has 3 columns"),
        (b"a|b\n", "line 1 has 2 columns"),
        (b"u|t|p.wav|x\nu|t|p.wav\n", "line 2 has 3 columns"),
        (b"u|t|p.wav|x\nu|t|p.wav|y\n", "'u' is used twice"),
        (HEADER.encode() + "a|b|c|d|caf\u00e9\n".encode("latin-1"), "line 2 is not UTF-8"),
        ("u|t|p|x".encode("utf-16"), "UTF-16"),
        (b'{"id": "a"\n', "line 1 is not JSON"),
        (b'{"text": "a"}\n', "has no 'id'"),
        (b'{"id": "a", "text": 3}\n', "'text' must be a string"),
        (b'{"id": "a", "parameters": 3}\n', "'parameters' must be an object"),
        (b"justoneword\n", "is not 'id text'"),
        (b"a\0b c\n", "NUL"),
    ],
)
def test_bad_manifests_are_refused_in_one_line(tmp_path, content, message):
    path = tmp_path / "m.txt"
    path.write_bytes(content)
    with pytest.raises(UserError) as refused:
        read_manifest(path)
    assert message in str(refused.value)
    assert str(path) in str(refused.value)


def test_missing_manifest_and_empty_folder(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        read_manifest(tmp_path / "nope.csv")
    with pytest.raises(UserError, match="no audio files"):
        read_manifest(tmp_path)


def test_outputs_are_found_by_id(tmp_path):
    items = [Item(id="a/1"), Item(id="b"), Item(id="c.wav"), Item(id="gone")]
    for name in ("a/1.wav", "deep/b.flac", "c.wav"):
        wav(tmp_path / name)
    found = attach_outputs(items, tmp_path)
    assert [i.audio.name if i.audio else None for i in found] == ["1.wav", "b.flac", "c.wav", None]


def test_no_overlap_and_ambiguous_outputs(tmp_path):
    wav(tmp_path / "z.wav")
    with pytest.raises(UserError, match="nothing in it matches the references"):
        attach_outputs([Item(id="a")], tmp_path)
    wav(tmp_path / "z.flac")
    with pytest.raises(UserError, match="both"):
        attach_outputs([Item(id="z")], tmp_path)
    with pytest.raises(UserError, match="no such folder"):
        attach_outputs([Item(id="z")], tmp_path / "nope")


def test_texts_as_outputs(tmp_path):
    path = tmp_path / "hyp.jsonl"
    path.write_text('{"id": "a", "text": "hello"}\n')
    assert attach_outputs([Item(id="a"), Item(id="b")], path)[0].hypothesis == "hello"
    assert attach_outputs([Item(id="a"), Item(id="b")], path)[1].hypothesis is None
    path.write_text("a hello there\nb\tyes\nc\n")
    assert [i.hypothesis for i in attach_outputs([Item(id=x) for x in "abc"], path)] == [
        "hello there", "yes", "",
    ]  # fmt: skip


def test_a_folder_of_text_files_is_transcripts(tmp_path: Path) -> None:
    for name, text in (("a", "one  two\n"), ("b", "")):
        (tmp_path / f"{name}.txt").write_text(text, encoding="utf-8")
    found = attach_outputs([Item(id="a"), Item(id="b"), Item(id="c")], tmp_path)
    assert [item.hypothesis for item in found] == ["one two", "", None]
    (tmp_path / "a.wav").write_bytes(b"")
    assert attach_outputs([Item(id="a")], tmp_path)[0].hypothesis is None  # recordings come first
