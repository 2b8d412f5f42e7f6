"""Texts as they are said, and cut into pieces that can be said at once."""

from __future__ import annotations

import time

import pytest

from mingtok_audio.core.errors import PluginError, UserError
from uniaudio_lm.conformance import check_text_normalizer
from uniaudio_lm.interfaces import Phonemizer, TextNormalizer
from uniaudio_lm.parts.normalizers.rules import RulesNormalizer
from uniaudio_lm.plugins import get_host
from uniaudio_lm.tasks.tts import spoken_pieces
from uniaudio_lm.text.length import speech_seconds
from uniaudio_lm.text.sentences import split_sentences, split_text
from uniaudio_lm.text.words import split_words

ENGLISH = {
    "1,234 people and 0.5": "one thousand two hundred and thirty-four people and zero point five",
    "$3.50, £1,200 or $1.5 million": "three dollars and fifty cents, one thousand two hundred "
    "pounds or one point five million dollars",
    "$1, 20 USD, 5€, $2.01": "one dollar, twenty dollars, five euros, two dollars and one cent",
    "On 3 March 2024": "On March third, twenty twenty-four",
    "On the 21st of May, 1999": "On May twenty-first, nineteen ninety-nine",
    "Mar. 3, 2005": "March third, two thousand and five",
    "2024-03-15, 12/25/2024 and 25/12/2024": "March fifteenth, twenty twenty-four, December "
    "twenty-fifth, twenty twenty-four and December twenty-fifth, twenty twenty-four",
    "at 10:30 a.m. or 14:05": "at ten thirty A M or fourteen oh five",
    "at 5 p.m., at 3:00": "at five P M, at three o'clock",
    "5%, 10-15%, 0.3 %": "five percent, ten to fifteen percent, zero point three percent",
    "5.5 kg, 1 km and 60 km/h": "five point five kilograms, one kilometer and sixty kilometers "
    "per hour",
    "-5 °C at 30 cm": "minus five degrees Celsius at thirty centimeters",
    "the 1st, 22nd and 103rd": "the first, twenty-second and one hundred and third",
    "1/2, 3/4 and 1 1/2": "one half, three quarters and one and a half",
    "call 555-1234 or +1 (555) 123-4567": "call five five five, one two three four or plus one, "
    "five five five, one two three, four five six seven",
    "in 1984, the 1990s, the 80s": "in nineteen eighty-four, the nineteen nineties, the eighties",
    "Dr. Smith vs. Mr. Jones, e.g. here": "Doctor Smith versus Mister Jones, for example here",
    "No. 5 & #6": "number five and number six",
    "version 2.0.1": "version two point zero point one",
    "007 and 12345678901234": "zero zero seven and one two three four five six seven eight nine "
    "zero one two three four",
    "3:2 and 3+4=7": "three to two and three plus four equals seven",
    "B2 and 3D": "B two and three D",
    "mail a.b@c.org": "mail a dot b at c dot org",
    "no numbers, nothing to do.": "no numbers, nothing to do.",
}
CHINESE = {
    "共有1,234人，3.14": "共有一千二百三十四人，三点一四",
    "价格是¥12.50，或者$100万": "价格是十二点五元，或者一百万美元",
    "2024年3月15日上午10:30": "二零二四年三月十五日上午十点三十分",
    "2024-03-15和2024/3/5": "二零二四年三月十五日和二零二四年三月五日",
    "增长了5.6%，20%-30%": "增长了百分之五点六，百分之二十到百分之三十",
    "重5.5kg，长30cm，60km/h": "重五点五千克，长三十厘米，六十公里每小时",
    "气温-5℃，歼-20": "气温零下五摄氏度，歼-二十",
    "第21届，第2个": "第二十一届，第二个",
    "2个苹果，12个": "两个苹果，十二个",
    "电话13812345678": "电话幺三八幺二三四五六七八",
    "拨打110": "拨打幺幺零",
    "1/2和3:2": "二分之一和三比二",
    "20-30公里/小时": "每小时二十到三十公里",
    "１２３％": "百分之一百二十三",
    "5000年前，1990年代": "五千年前，一九九零年代",
    "没有数字。": "没有数字。",
}


@pytest.mark.parametrize("text", ENGLISH)
def test_english_is_written_as_it_is_said(text: str) -> None:
    assert RulesNormalizer().normalize(text, "en-US") == ENGLISH[text]


@pytest.mark.parametrize("text", CHINESE)
def test_chinese_is_written_as_it_is_said(text: str) -> None:
    assert RulesNormalizer().normalize(text, "zh") == CHINESE[text]


def test_other_languages_stay() -> None:
    assert RulesNormalizer().normalize("Il a 3 chats.", "fr") == "Il a 3 chats."


@pytest.mark.parametrize("name", ["rules", "wetext"])
def test_normalizers_pass_their_kit(name: str) -> None:
    if name == "wetext":
        pytest.importorskip("wetext")
    results = check_text_normalizer(get_host().resolve("text_normalizer", name))
    assert len(results) == 5
    assert not [r for r in results if not r.ok]


def test_the_kit_finds_broken_normalizers() -> None:
    class Shouting(TextNormalizer):
        def normalize(self, text: str, language: str) -> str:
            return text.upper()

    failed = {r.check for r in check_text_normalizer(Shouting) if not r.ok}
    assert failed == {"words stay", "numbers are said"}


def test_grammars_keep_thousands_together() -> None:
    pytest.importorskip("wetext")
    made = get_host().create("text_normalizer", "wetext")
    assert made.normalize("或者¥1,200。", "zh") == "或者一千二百元。"
    assert "two hundred" in made.normalize("It costs $1,200.", "en")


HOSTILE = [
    "1", "1,", "+1", "1/", "1:", "1-", "a@", "$", "May ", "(555", "http://", "。", "a.", '"',
    "\u0301", "电话", "1年", "5%-",
]  # fmt: skip


def test_no_text_takes_long() -> None:
    for unit in HOSTILE:
        text = "a" + unit * (10_000 // len(unit))
        start = time.process_time()
        for language in ("en", "zh"):
            RulesNormalizer().normalize(text, language)
        split_text(text)
        # A pattern that backtracks would need minutes.
        assert time.process_time() - start < 5, unit


SENTENCES = {
    "Dr. Smith met Mr. J. R. Jones at 3 p.m. They spoke.": [
        "Dr. Smith met Mr. J. R. Jones at 3 p.m.",
        "They spoke.",
    ],
    '"Is it so?" he asked. "Yes." It cost 3.5 dollars!': [
        '"Is it so?" he asked.',
        '"Yes."',
        "It cost 3.5 dollars!",
    ],
    "Wait... what? In the U.S. he is known, e.g. here. So am I. End": [
        "Wait... what?",
        "In the U.S. he is known, e.g. here.",
        "So am I.",
        "End",
    ],
    "他说：“你好。”然后走了。版本3.5很好！真的吗？是的……好": [
        "他说：“你好。”",
        "然后走了。",
        "版本3.5很好！",
        "真的吗？",
        "是的……",
        "好",
    ],
    "A title\n\nA paragraph\nof two lines.": ["A title", "A paragraph of two lines."],
}


@pytest.mark.parametrize("text", SENTENCES)
def test_sentences_end_where_a_reader_ends_them(text: str) -> None:
    assert split_sentences(text) == SENTENCES[text]


@pytest.mark.parametrize(
    "text",
    [
        "First sentence. Second, with a comma! " * 20 + "好的，没问题。" * 30 + "a" * 3000,
        "word " * 2000,
        "好" * 3000,
        "x" * 5000,
        "éa\u0301" * 1000,
    ],
    ids=lambda t: t[:8],
)
def test_pieces_fit_and_nothing_is_lost(text: str) -> None:
    pieces = split_text(text, 6.0, 300)
    assert "".join("".join(pieces).split()) == "".join(text.split())
    for piece in pieces:
        assert len(piece) <= 300
        assert speech_seconds(piece) <= 6.0 or len(piece) == 1
    assert not any(piece[0] == "\u0301" for piece in pieces)
    # Short sentences are said together: fewer pieces than sentences.
    assert len(split_text("Yes. No. Yes. No.", 6.0)) == 1


def pieces(model, text: str, language: str | None = None) -> list[str]:
    return spoken_pieces(text, model.normalizer, model.config.piece_seconds, language)


def test_a_model_says_normalised_pieces(small) -> None:
    text = "It is 5 km. 共有12人。 1990!"
    assert pieces(small, text) == ["It is five kilometers. 共有十二人。一千九百九十!"]
    assert pieces(small, "12", "en") == ["twelve"]
    assert pieces(small, "12", "zh") == ["十二"]
    small.use_text_normalizer("none")
    assert pieces(small, text) == ["It is 5 km. 共有12人。1990!"]
    with pytest.raises(PluginError, match="did you mean 'rules'"):
        small.use_text_normalizer("rule")

    class Wrong(TextNormalizer):
        def normalize(self, text: str, language: str):
            return None if "5" in text else ""

    small.use_text_normalizer(Wrong())
    with pytest.raises(PluginError, match="Wrong gave NoneType"):
        pieces(small, text)
    assert pieces(small, "twelve") == ["twelve"]


def test_wrong_languages_are_refused(small) -> None:
    with pytest.raises(UserError, match="not a code such as"):
        small.synthesize_stream("hello", language="klingon language")

    class Letters(Phonemizer):
        languages = ("en",)

        def phonemize(self, text: str, language: str) -> list[list[str]]:
            return [list(word) for word in split_words(text)]

    small.model.phonemizer = Letters()  # the model reads phonemes of English
    assert small.synthesize_stream("hello").stop_reason == ""
    for text, language in (("你好吗", None), ("hello", "zh")):
        with pytest.raises(UserError, match="speaks en; the text is in 'zh'"):
            small.synthesize_stream(text, language=language)
