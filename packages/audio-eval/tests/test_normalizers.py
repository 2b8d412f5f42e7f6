"""One normaliser per language, the same for both texts."""

from __future__ import annotations

import pytest

from audio_eval.text.entities import entity_errors, entity_tokens
from audio_eval.text.normalize import characters, tokens
from audio_eval.text.numbers_zh import cardinal, read_numbers


@pytest.mark.parametrize(
    ("one", "other", "language"),
    [
        ("Mr. Brown's colour, twenty-one!", "mister brown's color 21", "en"),
        ("I'm here — okay?", "i am here okay", "en"),
        ("Wait... what… a-ha. . .", "wait what a ha", "en"),
        ("我有２個蘋果，3.5公斤。", "我有两个苹果三点五公斤", "zh"),
        ("2024年增长了15%", "二零二四年增长了百分之十五", "zh"),
        ("他说：“OK，Hello！”", "他说 ok hello", "zh"),
        ("Ça va, où ?", "ça va où", "fr"),
    ],
)
def test_ways_of_writing_the_same_thing(one, other, language):
    assert tokens(one, language) == tokens(other, language)


def test_chinese_is_counted_in_characters_and_latin_in_words():
    assert tokens("我用iPhone打電話", "zh") == ["我", "用", "iphone", "打", "电", "话"]
    assert characters("good day", "en") == list("goodday")
    assert tokens("", "zh") == tokens("。！", "zh") == []


@pytest.mark.parametrize(
    ("number", "words"),
    [(0, "零"), (10, "十"), (12, "十二"), (20, "二十"), (101, "一百零一"), (110, "一百一十"),
     (1001, "一千零一"), (10000, "一万"), (10010, "一万零一十"), (20003, "二万零三"),
     (105000, "十万五千"), (100000000, "一亿"), (100010000, "一亿零一万")],
)  # fmt: skip
def test_chinese_cardinals(number, words):
    assert cardinal(number) == words


@pytest.mark.parametrize(
    ("text", "words"),
    [("-5度", "负五度"), ("007", "零零七"), ("1,234", "一千二百三十四"), ("mp3", "mp3"),
     ("1999年", "一九九九年"), ("50年", "五十年")],
)  # fmt: skip
def test_numbers_in_chinese_text(text, words):
    assert read_numbers(text) == words


def test_entity_tokens():
    assert entity_tokens("I won't visit the U.S.A. re-opened 北京") == [
        "i", "will", "not", "visit", "the", "usa", "re", "opened", "北", "京",
    ]  # fmt: skip


def test_entities_hand_worked():
    truth = entity_tokens("we met Anna Maria Smith in New York and again New York")
    names = [entity_tokens("Anna Maria Smith"), entity_tokens("New York")]
    heard = entity_tokens("we met Anna Mary Smith in New York and again Newark")
    counts, hits, total = entity_errors(truth, heard, names)
    # Anna Mary Smith is one substitution (limit ceil(3/2)-1 = 1); one New York is lost: two words.
    assert counts.to_dict() == {"S": 1, "D": 2, "I": 0, "N": 7}
    assert (hits, total) == (1, 3)


@pytest.mark.parametrize(
    ("truth", "heard", "percent"),
    [
        ("I won't visit the U.S.A.", "i will not visit the usa", 0.0),
        ("Dr. Smith has twenty colours", "Doctor Smith has 20 colors", 60.0),
        ("re-opened 北京", "re opened 北", 25.0),
    ],
)
@pytest.mark.parametrize("compat", ["none", "ming"])
def test_context_wer_has_the_benchmarks_tokens(truth, heard, percent, compat):
    from audio_eval.interfaces import Item
    from audio_eval.plugins import create_metric
    from audio_eval.scoring.context import Context, JudgePool

    metric = create_metric("context_wer")
    item = Item(id="a", text=truth, hypothesis=heard, language="en")
    found = metric.score(item, Context(JudgePool({}), compat=compat))
    assert found.value == pytest.approx(percent)
    errors, total = metric.ratio(found)
    assert 100 * errors / total == pytest.approx(percent) and metric.quoted(compat) == "micro"
