"""--compat ming reproduces the published figures; each known defect shows there, and only there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from audio_eval.interfaces import Item
from audio_eval.scoring.transcripts import read_cases, score_transcripts
from audio_eval.text.ming import MicroTotal, macro_tokens, micro_tokens
from mingtok_audio.core.errors import UserError

GOLDEN = Path(__file__).parent / "data" / "edit_scores.json"


@pytest.fixture(scope="module")
def golden() -> dict[str, Any]:
    return json.loads(GOLDEN.read_text("utf-8"))


def _wer(line: str | None) -> float | None:
    return None if line is None else float(line.split(",")[0].removeprefix("WER = "))


def test_every_golden_figure_to_the_last_digit(golden):
    found = score_transcripts(GOLDEN, compat="ming", per_item=True)
    assert set(found) == set(golden["expected"])
    for key, expected in golden["expected"].items():
        row = found[key]
        assert row["n"] == expected["n"]
        assert row["wer_macro_percent"] == expected["wer_macro_percent"], key
        assert row["wer_micro_percent"] == _wer(expected["wer_micro_line"]), key
        assert row["acc_percent"] == expected["acc_percent"], key
        assert row["no_edit_wer_percent"] == _wer(expected["no_edit_wer_line"]), key
        assert row["per_utterance_wer"] == expected["per_utterance_wer"], key


def test_the_printed_lines_too(golden):
    for key, items in read_cases(GOLDEN).items():
        total = MicroTotal()
        for item in items:
            total.add(item.text or "", item.hypothesis or "")
        line = golden["expected"][key]["wer_micro_line"]
        assert line is None or total.line() == line


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("He said, it's ONE.", ["HE", "SAID,", "IT'S", "ONE."]),
        (", hello ?world", ["HELLO", "WORLD"]),
        ("<noise>yes a<b>c", ["YES", "AC"]),
        ("我的 朋友，abc好。", ["我", "的", "朋", "友", "ABC", "好"]),
        ("", []),
        ("<unfinished tag", ["TAG"]),
    ],
)
def test_tokens_of_the_micro_rate(text, tokens):
    assert micro_tokens(text) == tokens


@pytest.mark.parametrize(
    ("text", "language", "tokens"),
    [
        ("It's “fine” - really.", "en", ["it's", "fine", "really"]),
        ("你好，世界。 abc", "zh", ["你", "好", "世", "界", "a", "b", "c"]),
        ("a\tb", "en", ["a\tb"]),
        ("Ａ·Ｂ…", "zh", ["Ａ", "Ｂ"]),
        ("...", "en", []),
    ],
)
def test_tokens_of_the_macro_rate(text, language, tokens):
    assert macro_tokens(text, language) == tokens


def _edit(task: str, original: str, edited: str, heard: str | None, **more: Any) -> Item:
    return Item(
        id=more.pop("id", "x"),
        text=edited,
        original_text=original,
        hypothesis=heard,
        language=more.pop("language", "en"),
        task=task,
        mode="full",
        **more,
    )


def _score(item: Item, compat: str) -> dict[str, Any]:
    return score_transcripts({"group": [item]}, compat=compat)["group"]


DEFECTS = {
    # name: (item, published accuracy, ours)
    "empty output passes every deletion": (
        _edit("deletion", "he left early today", "he left today", ""),
        100.0,
        0.0,
    ),
    "garbage passes every deletion": (
        _edit("deletion", "he left early today", "he left today", "bla bli blo blu"),
        100.0,
        0.0,
    ),
    "a full stop costs the word": (
        _edit("substitution", "he left early", "he left late", "He left late."),
        0.0,
        100.0,
    ),
    "a perfect edit that difflib labels differently": (
        # The rewording both inserts and replaces: the first opcode is an insertion.
        _edit("substitution", "b c d", "a b x d", "a b x d"),
        0.0,
        100.0,
    ),
    "one early slip shifts the index": (
        _edit("insertion", "we saw the old house", "we saw the very old house",
              "and we saw the very old house"),
        0.0,
        100.0,
    ),
    "only the first site is looked at": (
        _edit("substitution", "a cat and a dog ran", "a cow and a pig ran",
              "a cow and a dog ran"),
        100.0,
        0.0,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DEFECTS)
def test_defect_of_accuracy_is_reproduced_and_mended(name):
    item, published, ours = DEFECTS[name]
    assert _score(item, "ming")["acc_percent"] == published
    assert _score(item, "none")["acc_percent"] == ours


def test_defect_skipped_outputs_raise_the_score():
    good = _edit("insertion", "a b c", "a b x c", "a b x c", id="good")
    gone = _edit("insertion", "a b c", "a b x c", None, id="gone")
    published = score_transcripts({"g": [good, gone]}, compat="ming")["g"]
    assert (published["n"], published["acc_percent"], published["wer_macro_percent"]) == (1, 100, 0)
    ours = score_transcripts({"g": [good, gone]})["g"]
    assert (ours["n"], ours["failed"], ours["acc_percent"]) == (2, 1, 50)
    assert ours["wer_macro_percent"] == 50
    assert ours["no_edit_wer_percent"] == 50


def test_defect_full_stop_costs_words():
    item = _edit("insertion", "we are one", "we are now one", "We are now one.")
    assert _score(item, "ming")["wer_micro_percent"] == 25.0
    assert _score(item, "none")["wer_micro_percent"] == 0.0


def test_defect_failures_leak_into_the_no_edit_rate():
    item = _edit("insertion", "a b c d", "a b new words c d", "a b c d")
    assert _score(item, "ming")["no_edit_wer_percent"] == pytest.approx(33.33)
    assert _score(item, "none")["no_edit_wer_percent"] == 0.0


def test_a_perfect_system_scores_perfect_and_silence_fails_everywhere(golden):
    cases = read_cases(GOLDEN)
    perfect = {k: [i.replace(hypothesis=i.text) for i in v] for k, v in cases.items()}
    for row in score_transcripts(perfect).values():
        assert (row["acc_percent"], row["wer_micro_percent"], row["no_edit_wer_percent"]) == (
            100.0, 0.0, 0.0,
        )  # fmt: skip
    for heard in ("", None):
        silent = {k: [i.replace(hypothesis=heard) for i in v] for k, v in cases.items()}
        for row in score_transcripts(silent).values():
            assert (row["acc_percent"], row["wer_micro_percent"], row["no_edit_wer_percent"]) == (
                0.0, 100.0, 100.0,
            )  # fmt: skip


def test_source_unchanged_fails_every_edit():
    cases = read_cases(GOLDEN)
    same = {k: [i.replace(hypothesis=i.original_text) for i in v] for k, v in cases.items()}
    for row in score_transcripts(same).values():
        assert row["acc_percent"] == 0.0
        assert row["no_edit_wer_percent"] == 0.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no cases"),
        ('{"uid": "a"}', "case 1 (a): 'original_text' must be a string"),
        ("{]", "line 1 is not JSON"),
        ('{"uid":"a","lang":"en","task":"zap","original_text":"","edited_text":""}', "task 'zap'"),
    ],
)
def test_bad_cases_are_refused_in_one_line(tmp_path, text, message):
    path = tmp_path / "cases.jsonl"
    path.write_text(text)
    with pytest.raises(UserError) as refused:
        score_transcripts(path)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_ids_used_twice_are_refused(tmp_path):
    row = {"uid": "a", "lang": "en", "task": "del", "mode": "open", "original_text": "x y",
           "edited_text": "x", "hypothesis": "x"}  # fmt: skip
    path = tmp_path / "cases.jsonl"
    path.write_text("\n".join([json.dumps(row)] * 2))
    with pytest.raises(UserError, match="'a' is used twice"):
        score_transcripts(path)
