"""Our edit scoring: spans found in the alignment, errors outside them."""

from __future__ import annotations

import random

import pytest

from audio_eval.text.align import align, count_errors, counts_of, distances
from audio_eval.text.edit_align import edit_spans, score_edit


def words(text: str) -> list[str]:
    return text.split()


def _plain_distance(a: list[str], b: list[str]) -> int:
    table = [[i + j if 0 in (i, j) else 0 for j in range(len(b) + 1)] for i in range(len(a) + 1)]
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            table[i][j] = min(
                table[i - 1][j] + 1,
                table[i][j - 1] + 1,
                table[i - 1][j - 1] + (a[i - 1] != b[j - 1]),
            )
    return table[-1][-1]


def test_distance_and_alignment_agree_with_the_textbook():
    draw = random.Random(0)
    for _ in range(200):
        a = draw.choices("abcd", k=draw.randrange(9))
        b = draw.choices("abcd", k=draw.randrange(9))
        pairs = align(a, b)
        assert distances(a, b)[-1, -1] == _plain_distance(a, b)
        assert counts_of(pairs, a, b).errors == _plain_distance(a, b)
        assert [i for i, _ in pairs if i is not None] == list(range(len(a)))
        assert [j for _, j in pairs if j is not None] == list(range(len(b)))


def test_counts():
    counts = count_errors(words("a b c d"), words("a x c d e"))
    assert counts.to_dict() == {"S": 1, "D": 0, "I": 1, "N": 4}
    assert count_errors([], words("a b")).rate == 2.0
    assert count_errors([], []).rate == 0.0


def test_spans():
    found = edit_spans(words("a b c d e f"), words("a x c d f g"))
    assert [(s.start, s.end, s.old) for s in found] == [
        (1, 2, ("b",)), (4, 4, ("e",)), (5, 6, ()),
    ]  # fmt: skip
    assert edit_spans(words("a b"), words("a b")) == []


@pytest.mark.parametrize(
    ("original", "edited", "heard", "passed"),
    [
        # a word still there, wherever the alignment puts it
        ("the the cat sat", "the cat sat", "the the cat sat", False),
        ("the the cat sat", "the cat sat", "the cat sat", True),
        # half of it deleted
        ("we saw the old red house", "we saw the house", "we saw the red house", False),
        # the neighbour lost, the deleted word taking its place
        ("we saw the old house", "we saw the house", "we saw old house", False),
        # said twice
        ("we saw house", "we saw my house", "we saw my my house", False),
        # the old word kept beside the new one
        ("i am happy today", "i am sad today", "i am happy sad today", False),
        ("i am happy today", "i am sad today", "i am sad today", True),
        # slips elsewhere do not matter
        ("i am happy today", "i am sad today", "hi am sad to day", True),
        # what is left of a deletion is heard as other words (both from real recordings)
        (
            "one participant in no longer muted the conference",
            "one participant in the conference",
            "one participant to no longer mute it in the conference",
            False,
        ),
        (
            "i attempt to connect you message is with your party",
            "i attempt to connect you with your party",
            "i attempt to connect you messages with your party",
            False,
        ),
        # a slip at the place itself, or a word lost beside it, is no word left behind
        ("we saw the old red house", "we saw the house", "we saw a house", True),
        ("we saw the old red house", "we saw the house", "we saw house", True),
        # at the ends
        ("i am here", "i am here now", "i am here now", True),
        ("i am here", "now i am here", "i am here", False),
        ("i am here", "am here", "am here", True),
        ("i am here", "i am", "i am here", False),
        # two sites, one missed
        ("a b c d e", "a x c y e", "a x c d e", False),
        ("a b c d e", "a x c y e", "a x c y e", True),
    ],
)
def test_accuracy(original, edited, heard, passed):
    assert score_edit(words(original), words(edited), words(heard)).passed is passed


def test_a_perfect_output_always_passes_and_the_source_never():
    draw = random.Random(1)
    for _ in range(300):
        original = draw.choices("abcdefgh", k=draw.randrange(2, 10))
        edited = list(original)
        for _ in range(draw.randrange(1, 3)):
            at = draw.randrange(len(edited) + 1)
            edited[at : at + draw.randrange(3)] = draw.choices("xyz", k=draw.randrange(3))
        if edited == original or not edited:
            continue
        found = score_edit(original, edited, edited)
        assert found.passed
        assert found.outside.errors == 0
        assert not score_edit(original, edited, original).passed
        assert not score_edit(original, edited, []).passed


def test_errors_outside_are_counted_once_and_those_inside_not():
    found = score_edit(words("a b c d e f"), words("a b x d e f"), words("a q c d e f g"))
    assert found.outside.to_dict() == {"S": 1, "D": 0, "I": 1, "N": 5}
    # A failed deletion leaves its words in the gap: they are the edit's failure.
    kept = score_edit(words("a b c d e"), words("a b e"), words("a b c d e"))
    assert not kept.passed
    assert kept.outside.to_dict() == {"S": 0, "D": 0, "I": 0, "N": 3}
    silent = score_edit(words("a b c"), words("a x c"), [])
    assert silent.outside.to_dict() == {"S": 0, "D": 2, "I": 0, "N": 2}
