"""Written forms of English, and what is said: a line each, "written | said"."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uniaudio_lm.parts.normalizers.rules import RulesNormalizer
from uniaudio_lm.parts.phonemizers.english import EnglishPhonemizer
from uniaudio_lm.tasks.tts import spoken_pieces
from uniaudio_lm.text.markup import plain_text

FORMS = """
The GPU is fast. | The G P U is fast.
Two GPUs and a CPU | Two G P U's and a CPU
the WTO and the WHO | the W T O and the W H O
NASA and NATO met. | NASA and NATO met.
CO2 and H2O | C O two and H two O
an MP3 file | an M P three file
IT works | I T works
I do NOT know. | I do NOT know.
THIS IS VERY LOUD | THIS IS VERY LOUD
AI in the US | A I in the U S
the EU and the UK | the E U and the U K
OK, fine | OK, fine
the FBI and CIA | the FBI and CIA
World War II | World War two
Henry VIII | Henry the eighth
Louis XIV | Louis the fourteenth
Chapter IV | Chapter four
Elizabeth I, queen | Elizabeth the first, queen
Pope John Paul II | Pope John Paul the second
Rocky III | Rocky three
Part X | Part ten
Henry I saw | Henry I saw
open 24/7 | open twenty-four seven
on 9/11 | on nine eleven
call 911 | call nine one one
9:05am | nine oh five A M
9:05 pm | nine oh five P M
at 12:00 | at twelve o'clock
at 0:30 | at zero thirty
5 a.m. sharp | five A M sharp
Dr Smith | Doctor Smith
Dr. Jones | Doctor Jones
St John | Saint John
St. Mary | Saint Mary
Main St. is closed | Main Street is closed
12 Park Ave | twelve Park Avenue
5th Ave. | fifth Avenue
Elm Dr, left | Elm Drive, left
10 Downing St | ten Downing Street
⅓ of it | one third of it
2⅔ cups | two and two thirds cups
¾ cup | three quarters cup
5'11" | five foot eleven
6' tall | six feet tall
50¢ | fifty cents
500₽ | five hundred rubles
₽500 | five hundred rubles
CHF 20 | twenty Swiss francs
C$5 | five Canadian dollars
A$10 | ten Australian dollars
20 CAD | twenty Canadian dollars
₩1000 | one thousand won
$5k | five thousand dollars
£2.50 | two pounds and fifty pence
€1 | one euro
$0.05 | five cents
$1,000,000 | one million dollars
1-800-555-1234 | one, eight zero zero, five five five, one two three four
555-0134 | five five five, zero one three four
(555) 123-4567 | five five five, one two three, four five six seven
+44 20 7946 0958 | plus four four, two zero, seven nine four six, zero nine five eight
Oct-Dec | October to December
Mon-Fri | Monday to Friday
Mon, 5 May | Monday, May fifth
Sat. morning | Saturday morning
Jan.–Mar. | January to March.
June 3 | June third
June 3rd, 2021 | June third, twenty twenty-one
3 June | June third
4 July 1776 | July fourth, seventeen seventy-six
in 2024 | in twenty twenty-four
1999-2003 | nineteen ninety-nine to two thousand and three
the 1960s | the nineteen sixties
the '90s | the nineties
2024-01-02 | January second, twenty twenty-four
12/31/1999 | December thirty-first, nineteen ninety-nine
re-entry | re-entry
co-op | co-op
don`t | don't
donʼt | don't
she‘s here | she's here
~5 minutes | about five minutes
≈10 km | about ten kilometers
±3 mm | plus or minus three millimeters
≥5 | at least five
≤ 10 | at most ten
x > 5 | x more than five
x < 5 | x less than five
10,000+ | ten thousand plus
5+ years | five plus years
3x faster | three times faster
2× bigger | two times bigger
#hashtag | hashtag hashtag
#5 | number five
No. 7 | number seven
p. 5 | page five
pp. 5-7 | pages five to seven
§ 12 | section twelve
5% | five percent
5.5 % | five point five percent
10–15% | ten to fifteen percent
-3 | minus three
−3°C | minus three degrees Celsius
100°F | one hundred degrees Fahrenheit
0.5 | zero point five
.5 | point five
1.50 | one point five zero
1,234,567 | one million two hundred and thirty-four thousand five hundred and sixty-seven
1000000 | one million
007 | zero zero seven
3.14159 | three point one four one five nine
1st | first
2nd | second
33rd | thirty-third
100th | one hundredth
1/2 | one half
3/4 | three quarters
5/8 | five eighths
1 1/2 | one and a half
7/8ths | seven eighths
3:2 | three to two
2:1 odds | two to one odds
10 km | ten kilometers
1 mi | one mile
5 ft | five feet
6 lbs | six pounds
100 mph | one hundred miles per hour
60 km/h | sixty kilometers per hour
3 m/s | three meters per second
5 GB | five gigabytes
16 GHz | sixteen gigahertz
2 kWh | two kilowatt hours
10 m² | ten square meters
5 m3 | five cubic meters
20 mL | twenty milliliters
1 L | one liter
30 s | thirty seconds
5 min | five minutes
2 hrs | two hours
a@b.com | a at b dot com
info@my-site.org | info at my dash site dot org
www.example.com | www dot example dot com
https://example.com/a-b | example dot com slash a dash b
example.com | example.com
v2.0 | v two point zero
v1.2.3 | version one point two point three
version 3.11 | version three point one one
10.0.0.1 | ten point zero point zero point one
A+ | A plus
C++ | C plus plus
C# | C sharp
B2B | B two B
3D | three D
4K | four K
5G | five G
iPhone 12 | iPhone twelve
F-16 | F-sixteen
COVID-19 | COVID-nineteen
Boeing 747 | Boeing seven hundred and forty-seven
Route 66 | Route sixty-six
Room 101 | Room one hundred and one
Flight 370 | Flight three hundred and seventy
rock & roll | rock and roll
AT&T | A T and T
R&D | R and D
Q&A | Q and A
1+1=2 | one plus one equals two
2*3 | two times three
5×5 | five times five
10/2 | ten over two
50/50 | fifty fifty
w/ milk | with milk
w/o sugar | without sugar
etc. | et cetera.
e.g. this | for example this
i.e. that | that is that
vs. them | versus them
Mr. and Mrs. Smith | Mister and Missus Smith
Ms Lee | Miz Lee
Prof. Li | Professor Li
Jr. High | Junior High
U.S.A. | U.S.A.
U.S. law | U.S. law
the U.K. | the U.K.
a.m. | a.m.
P.S. I love you | P S I love you
a.k.a. Bob | also known as Bob
Inc. and Ltd. | Incorporated and Limited
$3.5 billion | three point five billion dollars
€5m | five million euros
1.2M views | one point two million views
$10-20 | ten to twenty dollars
5-10 kg | five to ten kilograms
pages 5-10 | pages five to ten
score 3-2 | score three to two
20/20 vision | twenty twenty vision
half-past 5 | half-past five
25° | twenty-five degrees
N95 | N ninety-five
H1N1 | H one N one
2nd-hand | second-hand
21st century | twenty-first century
100% | one hundred percent
0% | zero percent
½ | one half
"""
MARKUP = {
    "**very** good": "very good",
    "*a* and _b_ and __c__": "a and b and c",
    "see [the page](https://x.org/y?z=1) now": "see the page now",
    "![a cat](cat.png)": "a cat",
    "run `make test` twice": "run make test twice",
    "~~no~~ yes": "no yes",
    "2 * 3 and snake_case and a*b": "2 * 3 and snake_case and a*b",
    "don\u2019t, don`t, don\u02bct, she\u2018s": "don't, don't, don't, she's",
    "soft\u00adhyphen, zero\u200bwidth, \ufeffmark": "softhyphen, zerowidth, mark",
    "> quoted": "quoted",
}
LIST = """# Shopping

Buy these:
- red apples
- two pears
3. a loaf

---
Then go home
and rest.
"""


def rows() -> list[tuple[str, str]]:
    return [tuple(row.split(" | ", 1)) for row in FORMS.strip().splitlines()]  # type: ignore[misc]


@pytest.mark.parametrize(("written", "said"), rows())
def test_written_forms_are_said(written: str, said: str) -> None:
    assert RulesNormalizer().normalize(written, "en") == said


def test_there_are_two_hundred_of_them() -> None:
    assert len(rows()) >= 190 and len({written for written, _ in rows()}) == len(rows())


@pytest.mark.parametrize("text", MARKUP)
def test_markdown_is_not_said(text: str) -> None:
    assert plain_text(text) == MARKUP[text]
    assert plain_text(plain_text(text)) == plain_text(text)


def test_items_and_headings_are_sentences() -> None:
    found = spoken_pieces(LIST, RulesNormalizer(), 1.0, "en")
    assert " ".join(found) == (
        "Shopping. Buy these: red apples. two pears. a loaf. Then go home and rest."
    )


def test_letters_have_their_names() -> None:
    phonemizer = EnglishPhonemizer()
    assert phonemizer.phonemize("nine A M")[1:] == [["EY1"], ["EH1", "M"]]
    assert phonemizer.phonemize("A cat")[0] != ["EY1"]
    assert phonemizer.phonemize("U.S.A.")[0][-1] == "EY1"
    assert phonemizer.phonemize("re-entry")[0][:2] == ["R", "IY1"]


@given(st.text(alphabet="aA1 29.,:/-+$%#*_`[]()'\"&@!?\n\t½Ⅳ€°×\u2019é中", max_size=80))
@settings(max_examples=400, deadline=None)
def test_any_text_is_normalised(text: str) -> None:
    said = RulesNormalizer().normalize(text, "en")
    assert not any(c.isdigit() and c.isascii() for c in said)


@pytest.mark.parametrize(
    "unit",
    ["It cost $3.50 on 3 May. ", "GPU ", "1-", "**a", "# a\n", "Henry V", "[a](b", "A", "1/2 "],
)
def test_a_hundred_kilobytes_take_seconds(unit: str) -> None:
    def seconds(size: int) -> float:
        text = unit * (size // len(unit))
        start = time.process_time()
        RulesNormalizer().normalize(text, "en")
        return time.process_time() - start

    small, large = seconds(20_000), seconds(100_000)
    assert large < 12 * small + 1.0, "linear time"
