"""Every way of pointing, in every wording: both paths must agree on what it means."""

from __future__ import annotations

import random
import re
from collections import Counter
from dataclasses import replace

import pytest

from audio_eval.build import wording_en, wording_zh
from audio_eval.build.edits import Change, edited_text, locators
from audio_eval.build.expand import expand
from audio_eval.build.interpreter import interpret
from audio_eval.build.units import TextRejectedError, fold, parse_text
from audio_eval.build.wording import write_instruction

TEXTS = {
    "en": [
        "The second for no better reason than the first",
        "To leave a message, press one.",
        "A man wearing a jacket hat and jeans at a market",
        "Please hold. The next person, who is new, doesn't know the way.",
        "all of the students finished their tests early today and the teacher went home",
    ],
    "zh": [
        "火精灵又出现了猴腿帕克挠挠头",
        "当我们做体验时，我们到底在做什么？",
        "采取以不变应万变的不卖不赔方法",
    ],
}
PAYLOADS = {"en": ("quite new", "don't"), "zh": ("非常", "秋天")}


def _random_change(rng, source):
    task = rng.choice(("deletion", "insertion", "substitution"))
    payload = rng.choice(PAYLOADS[source.language])
    if task == "insertion":
        return Change(task, (), rng.randint(0, len(source)), payload)
    start = rng.randrange(len(source))
    stop = min(len(source), start + rng.choice((1, 1, 2, 3, 4)))
    spans = ((start, stop),)
    places = source.occurrences(start, start + 1)
    if rng.random() < 0.2 and len(places) > 1:
        spans = tuple((place, place + 1) for place in places)
    return Change(task, spans, None, payload if task == "substitution" else "")


def _samples(count):
    rng = random.Random(11)
    while count:
        language = rng.choice(("en", "zh"))
        source = parse_text(rng.choice(TEXTS[language]), language)
        change = _random_change(rng, source)
        found = locators(source, change)
        if not found:
            continue
        locator = rng.choice(found)
        change = replace(change, after=locator.after)
        wording = rng.choice(("basic", "full", "full"))
        spoken = "en" if wording == "basic" else rng.choice(("en", "zh"))
        text = write_instruction(
            change,
            locator,
            wording=wording,
            text_language=language,
            instruction_language=spoken,
            rng=rng,
        )
        if text is None:
            assert wording == "basic", locator.name  # the full wording can say everything
            continue
        try:
            edited = edited_text(source, change, frozenset())
        except TextRejectedError:
            continue
        count -= 1
        yield source, locator, (wording, spoken), text, edited


def test_both_paths_agree_and_nothing_is_left_unsaid():
    seen: Counter[tuple[str, str, str]] = Counter()
    unread = 0
    for source, locator, (wording, spoken), text, edited in _samples(3000):
        assert "{" not in text and "}" not in text
        found = interpret(text, str(source), source.language)
        if not found.readings:
            unread += 1  # a quoted word that is also a word of the grammar, left bare
            continue
        assert [fold(r) for r in found.readings] == [fold(edited)], (text, str(source), edited)
        seen[wording, spoken, locator.name] += 1
    assert unread <= 4
    full_english = {name for wording, spoken, name in seen if (wording, spoken) == ("full", "en")}
    full_chinese = {name for wording, spoken, name in seen if (wording, spoken) == ("full", "zh")}
    everything = {
        *("range", "single", "nth", "nth_last", "first_n", "last_n", "nth_range"),
        *("quote", "quote_nth", "quote_last", "next_to", "rest_after", "rest_before", "from_to"),
        *("all", "at_start", "at_end", "after_index", "before_index", "after_nth", "before_nth"),
        *("before_last", "between_nth", "after_quote", "before_quote", "after_quote_nth"),
        *("before_quote_nth", "between_quotes"),
    }
    assert full_english == everything
    assert full_chinese == everything


def test_instructions_are_varied():
    skeletons: dict[str, set[str]] = {"en": set(), "zh": set()}
    marks: Counter[str] = Counter()
    digits = words = 0
    for _, locator, (wording, spoken), text, _ in _samples(2000):
        if wording != "full":
            continue
        marks.update(c for c in text if c in "'\"‘“«`「『")
        if spoken == "en" and locator.name == "nth":
            digits += bool(re.search(r"\d", text))
            words += bool(re.search(r"first|second|third|fourth|fifth|sixth|seventh|one|two", text))
        skeletons[spoken].add(re.sub(r"['\"‘“«`「『].*?['\"’”»`」』]|\d+", "_", text).lower())
    assert len(skeletons["en"]) > 450
    assert len(skeletons["zh"]) > 150
    assert set("'\"‘“«`「『") <= set(marks)
    assert digits and words


@pytest.mark.parametrize("grammar", [wording_en, wording_zh])
def test_every_template_expands(grammar):
    rng = random.Random(0)
    known = {"ref", "place", "new", "x", "y", "i", "j", "n", "o", "p", "unit", "units", "noun"}
    known |= {"noun1", "newnoun", "raw", "count_x"}
    for table in (grammar.FULL, grammar.FULL_WHOLE, grammar.REFERENCES, grammar.PLACES):
        for templates in table.values():
            for template in templates:
                text = expand(template, rng)
                assert not set("()|") & set(text)
                assert set(re.findall(r"{(\w+)}", text)) <= known


def test_unbalanced_templates_are_refused():
    for template in ("(a|b", "a)b"):
        with pytest.raises(ValueError, match="unbalanced"):
            expand(template, random.Random(0))


def test_numbers_in_words():
    assert [wording_en.cardinal(n) for n in (1, 12, 20, 45)] == [
        "one",
        "twelve",
        "twenty",
        "forty-five",
    ]
    ordinals = [wording_en.ordinal(n) for n in (1, 2, 3, 5, 8, 9, 12, 20, 21, 33)]
    assert ordinals[:7] == ["first", "second", "third", "fifth", "eighth", "ninth", "twelfth"]
    assert ordinals[7:] == ["twentieth", "twenty-first", "thirty-third"]
    digits = [wording_en.ordinal_digits(n) for n in (1, 2, 3, 4, 11, 12, 13, 21, 22)]
    assert digits == ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "22nd"]
    assert [wording_zh.cardinal(n) for n in (2, 10, 12, 20, 23)] == [
        "二",
        "十",
        "十二",
        "二十",
        "二十三",
    ]
    assert wording_zh.counted(2) == "两"
