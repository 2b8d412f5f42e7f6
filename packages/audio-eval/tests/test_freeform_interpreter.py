"""The second path: instructions read as a listener would, without knowing how they were made."""

from __future__ import annotations

import pytest

from audio_eval.build.interpreter import interpret

MARKET = "A man wearing a jacket hat and jeans at a market"
ROAMING = "Roaming endlessly around the park she wants to go home"
MESSAGE = "To leave a message, press one."

ENGLISH = [
    # Paper, appendix C.
    (
        "delete ‘The second for’",
        "The second for no better reason than the first",
        "no better reason than the first",
    ),
    (
        "insert ‘publicly’ after the character or word at index 3",
        "It does not comment on specific disputes",
        "It does not publicly comment on specific disputes",
    ),
    ("Delete the first 4 words.", ROAMING, "park she wants to go home"),
    (
        "Start the sentence with 'In practice,'",
        "To turn this into an algorithm",
        "In practice, To turn this into an algorithm",
    ),
    (
        "Change the last two words to ‘accidentally’",
        "his friend had become separated from him by accident",
        "his friend had become separated from him accidentally",
    ),
    # Ours: written by hand, not by the builder's grammar.
    ("Could you please take out the last three words?", ROAMING, ROAMING[: -len(" to go home")]),
    ('Remove the second "a"', MARKET, "A man wearing jacket hat and jeans at a market"),
    ('remove every "a".', MARKET, "man wearing jacket hat and jeans at market"),
    ("Drop everything after “message”", MESSAGE, "To leave a message."),
    ("get rid of everything before 'press'", MESSAGE, "press one."),
    ("remove the word after 'park'", ROAMING, "Roaming endlessly around the park wants to go home"),
    (
        "Delete the two words before “home”",
        ROAMING,
        "Roaming endlessly around the park she wants home",
    ),
    ("delete words 2 through 3", ROAMING, "Roaming the park she wants to go home"),
    ("delete the second to fourth words", ROAMING, "Roaming park she wants to go home"),
    ("Cut the next word", ROAMING, None),
    (
        "erase the second to last word",
        ROAMING,
        "Roaming endlessly around the park she wants to home",
    ),
    (
        "Everything from 'around' up to and including 'park' should go",
        ROAMING,
        "Roaming endlessly she wants to go home",
    ),
    ("replace 'one' by «two»", MESSAGE, "To leave a message, press two."),
    ("Use ‘send’ instead of ‘leave’.", MESSAGE, "To send a message, press one."),
    ("swap 'one' for 'two'", MESSAGE, "To leave a message, press two."),
    ("substitute 'two' for 'one'", MESSAGE, "To leave a message, press two."),
    ("'one' should be 'nine'", MESSAGE, "To leave a message, press nine."),
    ("turn the twenty-first word into 'x'", MESSAGE, None),
    ("add 'please' right before 'press'", MESSAGE, "To leave a message, please press one."),
    ("put 'short' in front of the fourth word", MESSAGE, "To leave a short message, press one."),
    ("append 'now' to the sentence", MESSAGE, "To leave a message, press one now."),
    ("After ‘leave’, insert ‘us’", MESSAGE, "To leave us a message, press one."),
    ("insert 'x' between 'leave' and 'a'", MESSAGE, "To leave x a message, press one."),
    ("insert 'don't' at the end", "they know", "they know don't"),
]
CHINESE = [
    ("删除“当我们做体验时”", "当我们做体验时我们到底在做什么", "我们到底在做什么"),
    ("在句末添加“大家都很有感动”", "比如当有人包扎时", "比如当有人包扎时大家都很有感动"),
    ("把“不变应万变”换成“静观其变”", "采取以不变应万变的方法", "采取以静观其变的方法"),
    ("请把前三个字删掉", "今天下午我们去看书", "午我们去看书"),
    ("删除倒数第二个字", "今天下午我们去看书", "今天下午我们去书"),
    ("去掉第2到第4个字", "今天下午我们去看书", "今我们去看书"),
    ("在第十个字后面加上「很」", "一二三四五六七八九十百", "一二三四五六七八九十很百"),
    ("用『晚上』代替『下午』", "今天下午我们去看书", "今天晚上我们去看书"),
    ("在“我们”和“去”之间插入“一起”", "今天下午我们去看书", "今天下午我们一起去看书"),
    ("删除第二个“天”", "今天和明天", "今天和明"),
    ("删掉“我们”后面的所有内容", "今天下午我们去看书", "今天下午我们"),
    ("以“其实”开头", "今天下午我们去看书", "其实今天下午我们去看书"),
]


@pytest.mark.parametrize(("instruction", "original", "edited"), ENGLISH)
def test_english(instruction, original, edited):
    found = interpret(instruction, original, "en")
    assert found.readings == ((edited,) if edited is not None else ()), found.problems


@pytest.mark.parametrize(("instruction", "original", "edited"), CHINESE)
def test_chinese(instruction, original, edited):
    found = interpret(instruction, original, "zh")
    assert found.readings == (edited,), found.problems


@pytest.mark.parametrize(
    ("instruction", "original", "edited"),
    [
        (
            "delete the characters or words from index 6 to index 10",
            "火精灵又出现了猴腿帕克挠挠头",
            "火精灵又出克挠挠头",
        ),
        (
            "substitute the characters or words from index 1 to index 2 with '秋天'",
            "夏天的酷热过去了",
            "秋天的酷热过去了",
        ),
    ],
)
def test_english_instructions_for_chinese_speech(instruction, original, edited):
    assert interpret(instruction, original, "zh").readings == (edited,)


def test_a_prefix_is_no_part_of_the_instruction():
    prefix = "Please recognize the language of this speech and transcribe it. And "
    found = interpret(prefix + "delete 'a'.", "they have a car", "en", prefix)
    assert found.readings == ("they have car",)
    assert interpret(prefix + "delete 'a'.", "they have a car", "en").reason == "not_understood"


@pytest.mark.parametrize(
    ("instruction", "text", "reason"),
    [
        ("delete 'the'", "the cat and the dog", "ambiguous_match"),
        ("delete 'The'", "the cat and The dog", "ambiguous_match"),
        ("insert 'x' before 'a'", MARKET, "ambiguous_match"),
        ("delete 'fish'", "the cat and the dog", "not_in_text"),
        ("delete the third 'the'", "the cat and the dog", "index_out_of_range"),
        (
            "delete the characters or words from index 3 to index 9",
            "one two three",
            "index_out_of_range",
        ),
        (
            "delete the characters or words from index 3 to index 2",
            "one two three",
            "index_out_of_range",
        ),
        ("delete the first 3 words", "one two three", "empty_result"),
        ("delete everything from 'one' to 'three'", "zero one two three four", "two_readings"),
        ("insert 'x' between 'message' and 'press'", MESSAGE, "two_readings"),
        ("delete the happy bit", "one two three", "not_understood"),
        ("make it nicer", "one two three", "not_understood"),
        ("delete ''", "one two three", "empty_quote"),
        ("删除“天”", "今天和明天", "ambiguous_match"),
        ("删除“哈哈”", "哈哈哈笑了", "ambiguous_match"),
        ("删除第二个“哈哈”", "哈哈哈笑了", "ambiguous_match"),
        ("让它好听一点", "今天和明天", "not_understood"),
    ],
)
def test_what_is_not_one_reading_says_why(instruction, text, reason):
    language = "zh" if any(c >= "一" for c in text) else "en"
    assert interpret(instruction, text, language).reason == reason
