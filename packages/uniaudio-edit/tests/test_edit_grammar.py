"""The grammar on instructions in free wording, and on what it must refuse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mingtok_audio.core.errors import UserError
from uniaudio_edit.errors import AmbiguousInstructionError, InstructionError
from uniaudio_edit.grammar.engine import GrammarParser
from uniaudio_edit.plan import Plan
from uniaudio_edit.plugins import make_host
from uniaudio_edit.text import Text

_LIST = Path(__file__).parent / "data" / "instructions.jsonl"
_ROWS = [json.loads(line) for line in _LIST.read_text(encoding="utf-8").splitlines()]
_FOX = "The quick brown fox jumps over the lazy dog"


def parse(instruction: str, text: str = _FOX, which: str = "refuse") -> Plan:
    return GrammarParser().parse(instruction, text, which=which)


def _right(row: dict[str, Any]) -> bool:
    try:
        plan = parse(row["instruction"], row["original_text"])
    except UserError as error:
        wanted = row.get("refused")
        ambiguous = isinstance(error, AmbiguousInstructionError)
        return wanted is not None and ambiguous == (wanted == "ambiguous")
    if "refused" in row or plan.edited_text != row["edited_text"]:
        return False
    if "operation" not in row:
        return bool(plan.operations)
    (operation,) = plan.operations
    wanted = row["operation"]
    values = {key: operation.params.get(key) for key in wanted["params"]}
    return operation.type == wanted["type"] and values == wanted["params"]


def test_list_of_instructions_in_free_wording() -> None:
    assert len(_ROWS) >= 300
    assert 0.4 < sum(row["language"] == "zh" for row in _ROWS) / len(_ROWS) < 0.6
    wrong = [row["instruction"] for row in _ROWS if not _right(row)]
    assert len(wrong) <= 0.02 * len(_ROWS), wrong


@pytest.mark.parametrize(
    ("instruction", "original", "edited"),
    [
        (
            "delete ‘The second for’",
            "The second for no better reason than the first",
            "no better reason than the first",
        ),
        (
            "delete the characters or words from index 6 to index 10",
            "火精灵又出现了猴腿帕克挠挠头",
            "火精灵又出克挠挠头",
        ),
        (
            "insert ‘publicly’ after the character or word at index 3",
            "It does not comment on specific disputes",
            "It does not publicly comment on specific disputes",
        ),
        (
            "insert '的行为很可笑' at the end",
            "在他看来像这种用一排大炮来歼灭一只小虫",
            "在他看来像这种用一排大炮来歼灭一只小虫的行为很可笑",
        ),
        (
            "substitute 'a' with 'an outdoor'",
            "A man wearing a jacket hat and jeans at a market",
            None,  # three words are 'a': the paper's annotator meant the last
        ),
        (
            "substitute the characters or words from index 1 to index 2 with '秋天'",
            "夏天的酷热过去了冬天的寒冷还早呢",
            "秋天的酷热过去了冬天的寒冷还早呢",
        ),
        (
            "Delete the first 4 words.",
            "Roaming endlessly around the park she wants to go home",
            "park she wants to go home",
        ),
        ("删除“当我们做体验时”", "当我们做体验时我们到底在做什么", "我们到底在做什么"),
        (
            "Start the sentence with 'In practice,'",
            "To turn this into an algorithm only finitely many frequencies are solved for",
            "In practice, to turn this into an algorithm only finitely many frequencies are solved"
            " for",
        ),
        (
            "在句末添加“大家都很有感动”",
            "比如当有人替受伤的小鸟包扎时",
            "比如当有人替受伤的小鸟包扎时大家都很有感动",
        ),
        (
            "Change the last two words to ‘accidentally’",
            "The boy wanted to believe that his friend had simply become separated from him by "
            "accident",
            "The boy wanted to believe that his friend had simply become separated from him "
            "accidentally",
        ),
        (
            "把“不变应万变”换成“静观其变”",
            "采取以不变应万变的不卖不赔方法",
            "采取以静观其变的不卖不赔方法",
        ),
    ],
)
def test_examples_of_the_paper(instruction: str, original: str, edited: str | None) -> None:
    if edited is None:
        with pytest.raises(AmbiguousInstructionError) as caught:
            parse(instruction, original)
        assert len(caught.value.candidates) == 3
        assert caught.value.candidates[-1].endswith("jeans at an outdoor market")
        assert parse(instruction, original, "3").edited_text.endswith("at an outdoor market")
    else:
        assert parse(instruction, original).edited_text == edited


def test_ambiguous_is_refused_with_candidates_or_resolved_by_an_option() -> None:
    with pytest.raises(AmbiguousInstructionError) as caught:
        parse("delete 'the'")
    assert len(caught.value.candidates) == 2
    assert (
        parse("delete 'the'", which="first").edited_text
        == "quick brown fox jumps over the lazy dog"
    )
    assert (
        parse("delete 'the'", which="last").edited_text == "The quick brown fox jumps over lazy dog"
    )
    assert parse("delete 'the'", which="all").edited_text == "quick brown fox jumps over lazy dog"
    assert (
        parse("delete 'the'", which="2").edited_text
        == parse("delete 'the'", which="last").edited_text
    )
    with pytest.raises(InstructionError, match="candidates"):
        parse("delete 'the'", which="3")


def test_half_an_instruction_is_never_carried_out() -> None:
    for instruction in (
        "replace dog with cat and delete elephant",
        "delete 'fox' and 'elephant'",
        "delete 'fox', frobnicate 'dog'",
        "把'fox'换成'cat'，删除'大象'",
    ):
        with pytest.raises(InstructionError):
            parse(instruction)


def test_sound_needs_no_text_and_words_do() -> None:
    assert parse("adjusts the speed to 1.3", "").operations[0].params == {"factor": 1.3}
    with pytest.raises(InstructionError, match="--text"):
        parse("delete 'fox'", "")


@pytest.mark.parametrize(
    ("instruction", "kind", "params"),
    [
        ("The volume should be 0.3 times the present one", "volume", {"factor": 0.3}),
        ("Set the volume to 1.2 times of what it was", "volume", {"factor": 1.2}),
        ("the pitch should move by -4 semitones", "pitch", {"semitones": -4.0}),
        ("Get the speech free of noise", "denoise", {}),
        ("Change the speed to 1.2x", "speed", {"factor": 1.2}),
    ],
)
def test_sound_in_roundabout_words(instruction: str, kind: str, params: dict[str, float]) -> None:
    (op,) = parse(instruction).operations
    assert (op.type, op.params) == (kind, params)


def test_spans_count_units_and_point_at_the_old_text() -> None:
    plan = parse("replace 'lazy dog' with 'cat', delete 'quick' and make it 10% louder")
    assert [(op.type, op.text_span) for op in plan.operations] == [
        ("deletion", (1, 2)),
        ("substitution", (7, 9)),
        ("volume", None),
    ]
    text = Text(_FOX)
    for op in plan.semantic:
        assert op.text_span is not None
        assert text.slice(*op.text_span) == op.old
    assert Plan.from_dict(json.loads(json.dumps(plan.to_dict()))) == plan


@pytest.mark.parametrize(
    "instruction",
    [
        "",
        "   ",
        '""',
        "<prompt></prompt>",
        "delete <audio>",
        "replace 'fox' with '<role>HUMAN</role>'",
        "insert '[MASK]' at the end",
        "\ue000",
        "delete 'fox'" * 400,
        "löschen Sie das letzte Wort",
        "поменяй слово",
        "削除してください",
        "set the speed to 0",
        "shift the pitch by 90 steps",
        "delete everything",
        "replace 'fox' with 'fox'",
        "make it faster and slower",
        "insert 'big' before 'fox' and delete 'brown fox jumps' and delete 'fox'",
    ],
)
def test_refused_in_one_line(instruction: str) -> None:
    with pytest.raises(InstructionError) as caught:
        parse(instruction)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


_WORDS = st.sampled_from(
    [
        "delete",
        "remove",
        "insert",
        "replace",
        "with",
        "the",
        "first",
        "last",
        "second",
        "word",
        "'fox'",
        "“dog”",
        "before",
        "after",
        "and",
        "then",
        "from",
        "to",
        "index",
        "3",
        "-1",
        "1.5",
        "%",
        "faster",
        "pitch",
        "dB",
        ",",
        ";",
        ".",
        "'",
        "“",
        "”",
        "把",
        "将",
        "换成",
        "删除",
        "在",
        "前面",
        "后面",
        "加",
        "第",
        "三",
        "个",
        "字",
        "到",
        "的",
        "“的”",
        "语速",
        "倍",
        "all",
        "both",
        "swap",
        "every",
        "between",
        "fox",
        "the",
        "zero",
        "0",
        "99999999999",
        "\n",
    ]
)


@settings(max_examples=250, deadline=None)
@given(
    st.one_of(st.lists(_WORDS, max_size=12).map(" ".join), st.text(max_size=40)),
    st.one_of(st.just(_FOX), st.just("我的家在北京的东边，the end"), st.text(max_size=30)),
    st.sampled_from(["refuse", "first", "all", "2"]),
)
def test_any_text_gives_a_plan_or_a_user_error(instruction: str, text: str, which: str) -> None:
    try:
        plan = parse(instruction, text, which)
    except UserError:
        return
    assert plan.operations
    assert Plan.from_dict(plan.to_dict()) == plan


def test_parser_is_a_plugin() -> None:
    assert make_host().resolve("instruction_parser", "grammar") is GrammarParser


@pytest.mark.parametrize(
    ("instruction", "edited"),
    [
        (
            "The word fox should be replaced with wolf",
            "The quick brown wolf jumps over the lazy dog",
        ),
        (
            "Have the speaker say 'wolf' instead of 'fox'",
            "The quick brown wolf jumps over the lazy dog",
        ),
        ("take the word 'brown' out of the sentence", "The quick fox jumps over the lazy dog"),
        (
            "Modify the sentence by replacing 'quick' with 'slow'",
            "The slow brown fox jumps over the lazy dog",
        ),
        ("Remove words two and three", "The fox jumps over the lazy dog"),
        ("leave the third word from the end out", "The quick brown fox jumps over lazy dog"),
        ("delete the second word counting from the back", "The quick brown fox jumps over the dog"),
        ("delete the word that is third from the end", "The quick brown fox jumps over lazy dog"),
        ("delete the third word from the beginning", "The quick fox jumps over the lazy dog"),
        ('I\'d prefer "leaps" to "jumps"', "The quick brown fox leaps over the lazy dog"),
    ],
)
def test_wordings_that_once_went_wrong(instruction: str, edited: str) -> None:
    assert parse(instruction).edited_text == edited


_STORY = "He came home at five. Then he made dinner. We ate it."
_DAY = "今天天气很好。我们去公园散步。然后回家。"


@pytest.mark.parametrize(
    ("instruction", "text", "edited"),
    [
        ("delete the second sentence", _STORY, "He came home at five. We ate it."),
        ("remove the last sentence", _STORY, "He came home at five. Then he made dinner."),
        ("remove the first two sentences", _STORY, "We ate it."),
        ("delete the second and third sentences", _STORY, "He came home at five."),
        ("delete the sentence that contains 'dinner'", _STORY, "He came home at five. We ate it."),
        (
            "delete everything after the second sentence",
            _STORY,
            "He came home at five. Then he made dinner.",
        ),
        ("删除第二句话", _DAY, "今天天气很好。然后回家。"),
        ("把最后一句删掉", _DAY, "今天天气很好。我们去公园散步。"),
        ("删除前两句话", _DAY, "然后回家。"),
        ("把第二句换成“我们回家”", _DAY, "今天天气很好。我们回家。然后回家。"),
        ("remove everything between quick and lazy", _FOX, "The quick lazy dog"),
        ("delete everything between the word quick and the word lazy", _FOX, "The quick lazy dog"),
        ("删除“今天”和“公园”之间的内容", _DAY, "今天公园散步。然后回家。"),
        ("delete the two after three", "one three four five six", "one three six"),
        ("delete 25", "I have twenty-five dogs", "I have dogs"),
        ("replace 25 with 26", "I have twenty five dogs", "I have 26 dogs"),
        ("delete 'twenty-five'", "I have 25 dogs", "I have dogs"),
        ("delete 'a hundred and five'", "I have 105 dogs and 5 cats", None),
        ("删除“25”", "我有二十五只狗", "我有只狗"),
        ("删除二十五", "我有25只狗", "我有只狗"),
        ("delete all words except fox and dog", _FOX, "fox dog"),
        ("delete everything but the first three words", _FOX, "The quick brown"),
        ("delete everything, except 'fox'", _FOX, "fox"),
        ("keep only the first two words", _FOX, "The quick"),
        ("删除除了“公园”以外的内容", _DAY, "公园。"),
        ("只保留第一句话", _DAY, "今天天气很好。"),
        ("除了“公园”以外都删掉", _DAY, "公园。"),
        ("- delete 'fox'", _FOX, "The quick brown jumps over the lazy dog"),
        ("* delete the last word", _FOX, "The quick brown fox jumps over the lazy"),
    ],
)
def test_sentences_rests_and_numbers(instruction: str, text: str, edited: str | None) -> None:
    if edited is None:
        with pytest.raises(InstructionError):
            parse(instruction, text)
        return
    assert parse(instruction, text).edited_text == edited


def test_what_stays_ambiguous_lists_its_candidates() -> None:
    with pytest.raises(AmbiguousInstructionError) as caught:
        parse("delete the two after three", "one two three four five two")
    assert [c.split(" -> ")[1] for c in caught.value.candidates] == [
        "one two three two",
        "one two three four five",
    ]


def test_an_instruction_that_is_not_understood_says_what_is_possible() -> None:
    with pytest.raises(InstructionError) as caught:
        parse("frobnicate the recording")
    for example in ("replace 'old' with 'new'", "reverb", "faster"):
        assert example in str(caught.value)


def test_a_close_match_is_offered() -> None:
    with pytest.raises(InstructionError, match="is 'jumps over' meant"):
        parse("delete 'jumbs over'")


@pytest.mark.parametrize(
    ("instruction", "confidence"),
    [
        ("delete 'two'", 1.0),
        ("set the speed to 1.5", 1.0),
        ("make it a bit faster", 0.5),
        ("delete 'two' and make it a bit faster", 0.6667),
    ],
)
def test_confidence_is_the_share_that_was_said(instruction: str, confidence: float) -> None:
    plan = parse(instruction, "one two three")
    assert plan.confidence == confidence, plan.assumptions
