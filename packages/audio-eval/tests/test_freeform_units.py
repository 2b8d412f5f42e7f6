"""The unit path: texts as units, and the rule of what happens to punctuation and case."""

from __future__ import annotations

import pytest

from audio_eval.build.edits import Change, edited_text, locators
from audio_eval.build.units import TextRejectedError, parse_text

NONE: frozenset[str] = frozenset()

# Paper, appendix C: (language, original, change, edited).
PAPER = [
    (
        "en",
        "The second for no better reason than the first",
        Change("deletion", ((0, 3),)),
        "no better reason than the first",
    ),
    (
        "zh",
        "火精灵又出现了猴腿帕克挠挠头",
        Change("deletion", ((5, 10),)),
        "火精灵又出克挠挠头",
    ),
    (
        "en",
        "It does not comment on specific disputes",
        Change("insertion", (), 3, "publicly"),
        "It does not publicly comment on specific disputes",
    ),
    (
        "zh",
        "在他看来像这种用一排大炮来歼灭一只小虫",
        Change("insertion", (), 19, "的行为很可笑"),
        "在他看来像这种用一排大炮来歼灭一只小虫的行为很可笑",
    ),
    (
        "en",
        "A man wearing a jacket hat and jeans at a market",
        Change("substitution", ((9, 10),), None, "an outdoor"),
        "A man wearing a jacket hat and jeans at an outdoor market",
    ),
    (
        "zh",
        "夏天的酷热过去了冬天的寒冷还早呢",
        Change("substitution", ((0, 2),), None, "秋天"),
        "秋天的酷热过去了冬天的寒冷还早呢",
    ),
    (
        "en",
        "To turn this into an algorithm only finitely many frequencies are solved for",
        Change("insertion", (), 0, "In practice,", after=False),
        "In practice, to turn this into an algorithm only finitely many frequencies are solved for",
    ),
]


@pytest.mark.parametrize(("language", "original", "change", "edited"), PAPER)
def test_the_examples_of_the_paper(language, original, change, edited):
    assert edited_text(parse_text(original, language), change, NONE) == edited


@pytest.mark.parametrize(
    ("text", "spans", "left"),
    [
        ("To leave a message, press one.", ((4, 6),), "To leave a message."),
        ("To leave a message, press one.", ((0, 4),), "press one."),
        ("Goodbye. Press one now. Thanks!", ((1, 4),), "Goodbye. Thanks!"),
        ("One, two, three.", ((1, 2),), "One, three."),
        ("One two, three.", ((1, 2),), "One, three."),
        ("Ready? Press one.", ((1, 3),), "Ready?"),
        ("the cat and the dog", ((0, 1), (3, 4)), "cat and dog"),
    ],
)
def test_deleting_leaves_one_mark_the_stronger(text, spans, left):
    assert edited_text(parse_text(text, "en"), Change("deletion", spans), NONE) == left


def test_an_insertion_belongs_to_the_word_it_names():
    source = parse_text("Hello, John. Bye", "en")
    after = Change("insertion", (), 1, "again", after=True)
    before = Change("insertion", (), 1, "dear", after=False)
    at_end = Change("insertion", (), 2, "Smith", after=True)
    assert edited_text(source, after, NONE) == "Hello again, John. Bye"
    assert edited_text(source, before, NONE) == "Hello, dear John. Bye"
    assert edited_text(source, at_end, NONE) == "Hello, John Smith. Bye"


@pytest.mark.parametrize(
    ("first", "kept"), [("John is here", "John"), ("I am here", "I"), ("NASA is here", "NASA")]
)
def test_a_new_start_keeps_the_capital_of_names(first, kept):
    change = Change("insertion", (), 0, "Today", after=False)
    edited = edited_text(parse_text(first, "en"), change, frozenset({"john"}))
    assert edited.split()[1] == kept


def test_nothing_left_is_refused():
    with pytest.raises(TextRejectedError, match="empty_result"):
        edited_text(parse_text("one two", "en"), Change("deletion", ((0, 2),)), NONE)


@pytest.mark.parametrize(
    ("text", "language", "reason"),
    [
        ("  ", "en", "text_empty"),
        ("press * to stop", "en", "text_symbols"),
        ("he said (quietly) no", "en", "text_symbols"),
        ('say "yes" now', "en", "text_symbols"),
        ("... extension", "en", "text_symbols"),
        ("我用iPhone打电话", "zh", "text_mixed_script"),
        ("他说“好”", "zh", "text_symbols"),
        ("中文 in english", "en", "text_symbols"),
    ],
)
def test_texts_that_no_item_is_built_from(text, language, reason):
    with pytest.raises(TextRejectedError) as caught:
        parse_text(text, language)
    assert caught.value.reason == reason


def test_apostrophes_and_hyphens_are_inside_words():
    source = parse_text("Don't re-enter O’Neill's pin.", "en")
    assert source.cores() == ["Don't", "re-enter", "O’Neill's", "pin"]
    assert str(source) == "Don't re-enter O’Neill's pin."


def test_locators_point_at_one_place_only():
    source = parse_text("the cat and the dog and the bird", "en")
    names = {x.name: x for x in locators(source, Change("deletion", ((3, 4),)))}
    assert "quote" not in names  # "the" is there three times
    assert names["quote_nth"].numbers == (2,)
    assert names["range"].numbers == (4, 4)
    last = {x.name for x in locators(source, Change("deletion", ((6, 7),)))}
    assert "quote_last" in last
    twins = parse_text("哈哈哈笑了", "zh")
    overlapping = {x.name for x in locators(twins, Change("deletion", ((0, 2),)))}
    assert not {"quote", "quote_nth"} & overlapping  # 哈哈 overlaps with itself
