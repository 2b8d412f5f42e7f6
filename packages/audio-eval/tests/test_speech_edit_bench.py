"""SpeechEditBench: its rows, its two measures of edits of words, and its suite."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from audio_eval.scoring.manifest import read_manifest
from audio_eval.scoring.score import score_suite
from audio_eval.text.speech_edit import TYPES, NamedEdit, edit_done, normalized
from mingtok_audio.core.errors import UserError


def row(name: str, task: str, anchor: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "sample_id": name, "task": task, "audio_path": f"data/{task}/audio/{name}.wav",
        "instruction": "do it", "transcript": "we go home now", "anchor": anchor,
        "language": "en", "source_dataset": "s", "benchmark_version": "v1.1", **more,
    }  # fmt: skip


SWAP = {"edit_type": "replace", "transcript_target": "We go away now.", "edit_original": "home",
        "edit_target": "away", "insert_after": None}  # fmt: skip
GAP = {"edit_type": "delete", "transcript_target": "we go now", "edit_original": "home"}
MORE = {"edit_type": "insert", "transcript_target": "we all go home now", "edit_target": "all",
        "insert_after": "we"}  # fmt: skip


def write(folder: Path, rows: list[dict[str, Any]]) -> Path:
    """The layout of the release: paths count from the folder above `data`."""
    path = folder / "data" / "content_editing" / "samples.jsonl"
    for item in rows:
        wav = folder / item["audio_path"]
        wav.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(wav, 0.1 * np.random.default_rng(0).standard_normal(8000), 16000)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return path


def test_rows_are_items(tmp_path: Path) -> None:
    rows = [
        row("a", "content_editing", SWAP),
        row("b", "content_editing", GAP),
        row("c", "content_editing", MORE),
        row("d", "emotion_editing", {"source_emotion": "neutral", "target_emotion": "happy"}),
        row("e", "speaker_editing", {"reference_wav": "x.wav"}, reference_audio_path="x.wav"),
        row("f", "compositional_editing", {}, components=[{"task": "emotion_editing"}]),
    ]
    items = read_manifest(write(tmp_path, rows))
    assert [i.task for i in items] == [
        "substitution", "deletion", "insertion", "emotion", "speaker", "compositional",
    ]  # fmt: skip
    assert all(i.source is not None and i.source.is_file() for i in items)
    assert items[0].text == "We go away now." and items[0].original_text == "we go home now"
    assert items[3].parameters["label"] == "happy" and items[3].text == "we go home now"
    assert "insert_after" not in items[0].parameters


@pytest.mark.parametrize(
    ("anchor", "heard", "done"),
    [
        (SWAP, "We go AWAY, now!", True),
        (SWAP, "we go home away now", False),
        (SWAP, "we go now", False),
        (SWAP, "entirely other words, away", True),
        (GAP, "we go now", True),
        (GAP, "we go home", False),
        (MORE, "we all go home now", True),
        (MORE, "all we go home now", False),
        (MORE, "we go home now", False),
        (MORE, "all of it", False),
    ],
)
def test_an_edit_is_done_by_the_pieces_it_names(
    anchor: dict[str, Any], heard: str, done: bool
) -> None:
    keys = ("edit_type", "edit_original", "edit_target", "insert_after")
    assert edit_done(NamedEdit(*(anchor.get(k) or "" for k in keys)), heard, "en") == done


def test_texts_are_compared_as_the_benchmark_does() -> None:
    assert normalized("  Don't  STOP—now, 3 times ", "en") == "don t stop now 3 times"
    assert normalized("今天, 天气 GOOD!", "zh") == "今天天气GOOD"
    assert edit_done(NamedEdit("replace", "天气", "心情"), "今天 心情很好。", "zh")


_SAID = ["we", "go", "home", "now", "all", "away"]
_WORDS = st.lists(st.sampled_from(_SAID), min_size=1, max_size=6)


@given(_WORDS, st.data())
def test_what_is_asked_for_is_a_success(words: list[str], data: st.DataObject) -> None:
    """Edits of a word that occurs once: the asked text is a success, the old one is none."""
    at = data.draw(st.integers(0, len(words) - 1))
    text = " ".join(words)
    new = "zebra"
    swapped = " ".join([*words[:at], new, *words[at + 1 :]])
    if words.count(words[at]) == 1:
        swap = NamedEdit("replace", words[at], new)
        assert edit_done(swap, swapped, "en") and not edit_done(swap, text, "en")
        gap = NamedEdit("delete", words[at])
        left = " ".join([*words[:at], *words[at + 1 :]])
        assert edit_done(gap, left, "en") and not edit_done(gap, text, "en")
    more = NamedEdit("insert", "", new, words[at])
    longer = " ".join([*words[: at + 1], new, *words[at + 1 :]])
    assert edit_done(more, longer, "en") and not edit_done(more, text, "en")


def test_the_suite_scores_texts(tmp_path: Path) -> None:
    rows = [row(n, "content_editing", a) for n, a in zip("abc", (SWAP, GAP, MORE), strict=True)]
    path = write(tmp_path, rows)
    said = {"a": "we go away now", "b": "we go home now", "c": "we all go now"}
    hyps = tmp_path / "texts.jsonl"
    hyps.write_text("".join(json.dumps({"id": k, "text": v}) + "\n" for k, v in said.items()))
    found = score_suite(
        "speech_edit_bench", path, hyps, tmp_path / "out", metrics=["edit_success", "exact_match"],
        baselines=[],
    )  # fmt: skip
    values = {name: summary["value"] for name, summary in found["metrics"].items()}
    assert values == {
        "edit_success": pytest.approx(200 / 3),
        "exact_match": pytest.approx(100 / 3),
    }


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"anchor": {**SWAP, "edit_type": "swap"}}, "edit_type is one of"),
        ({"anchor": {**SWAP, "edit_target": ""}}, "a replace needs 'edit_target'"),
        ({"anchor": {**GAP, "edit_original": None}}, "a delete needs 'edit_original'"),
        ({"anchor": {**SWAP, "transcript_target": 3}}, "no 'transcript_target'"),
        ({"anchor": [1]}, "'anchor' must be an object"),
        ({"transcript": 3}, "'transcript' a string"),
        ({"instruction": ""}, "'instruction' must be a string"),
        ({"audio_path": None}, "'audio_path' must be a string"),
        ({"task": "music_editing"}, "has no task 'music_editing'"),
        ({"task": "emotion_editing", "anchor": {}}, "no 'target_emotion'"),
    ],
)
def test_wrong_rows(change: dict[str, Any], words: str, tmp_path: Path) -> None:
    path = write(tmp_path, [row("a", "content_editing", SWAP)])
    path.write_text(json.dumps({**row("a", "content_editing", SWAP), **change}) + "\n")
    with pytest.raises(UserError, match="line 1") as caught:
        read_manifest(path)
    assert words in str(caught.value) and "\n" not in str(caught.value)
    assert set(TYPES.values()) == {"substitution", "insertion", "deletion"}
