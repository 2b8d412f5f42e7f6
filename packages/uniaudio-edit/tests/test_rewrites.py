"""Roundabout wordings mean what the plain ones mean; words about editing are never inserted."""

from __future__ import annotations

import pytest

from uniaudio_edit.errors import InstructionError
from uniaudio_edit.grammar.engine import GrammarParser

EN = "we went down to the old harbour and watched the boats"
ZH = "今天天气很好我们去公园玩"


@pytest.mark.parametrize(
    ("instruction", "edited"),
    [
        (
            "Have the speaker drop words from index three to index four",
            "we went the old harbour and watched the boats",
        ),
        (
            "Have the speaker drop the words or characters from index three to index four.",
            "we went the old harbour and watched the boats",
        ),
        (
            "Have the speaker skip the word in position three.",
            "we went to the old harbour and watched the boats",
        ),
        (
            "Have the speaker leave out 'old'",
            "we went down to the harbour and watched the boats",
        ),
        (
            "There is no need for 'old', cut it",
            "we went down to the harbour and watched the boats",
        ),
        (
            "delete the 2 words at the beginning",
            "down to the old harbour and watched the boats",
        ),
        (
            "delete the two words that follow 'the old'",
            "we went down to the old watched the boats",
        ),
        (
            "remove the word that precedes 'harbour'",
            "we went down to the harbour and watched the boats",
        ),
        (
            "squeeze 'big' in between 'the' and 'old'",
            "we went down to the big old harbour and watched the boats",
        ),
        (
            "Make the speaker say 'very' before 'old'",
            "we went down to the very old harbour and watched the boats",
        ),
        (
            "I'd like 'very' added right before word 6",
            "we went down to the very old harbour and watched the boats",
        ),
        (
            "We want to hear 'new' in place of 'old'.",
            "we went down to the new harbour and watched the boats",
        ),
        (
            "Have the speaker say 'new' rather than 'old'",
            "we went down to the new harbour and watched the boats",
        ),
    ],
)
def test_english(instruction: str, edited: str) -> None:
    assert GrammarParser().parse(instruction, EN).edited_text == edited


@pytest.mark.parametrize(
    ("instruction", "edited"),
    [
        ("删除句子里的“公园”", "今天天气很好我们去玩"),
        ("删除紧跟在“天气”后面的一个字", "今天天气好我们去公园玩"),
        ("把从“今天”到“很好”(包括“很好”在内)的部分删掉", "我们去公园玩"),
        ("删掉从“今天”一直到“很好”（含“很好”）的内容", "我们去公园玩"),
        ("“我们”后面应该有“一起”", "今天天气很好我们一起去公园玩"),
        ("用“昨天说”作为开头", "昨天说今天天气很好我们去公园玩"),
        ("把“一起”放在“我们”后面", "今天天气很好我们一起去公园玩"),
    ],
)
def test_chinese(instruction: str, edited: str) -> None:
    assert GrammarParser().parse(instruction, ZH).edited_text == edited


@pytest.mark.parametrize(
    "instruction",
    [
        "add the speaker skip the word in position three",
        "insert drop words from index three to index four after 'old'",
        "say the sentence without the recording before 'old'",
    ],
)
def test_unquoted_words_about_editing_are_refused(instruction: str) -> None:
    with pytest.raises(InstructionError):
        GrammarParser().parse(instruction, EN)


def test_quoted_words_about_editing_are_just_words() -> None:
    plan = GrammarParser().parse("insert 'delete the word' after 'old'", EN)
    assert "old delete the word harbour" in plan.edited_text
