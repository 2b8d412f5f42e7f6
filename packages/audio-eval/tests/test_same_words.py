"""The same words in another spelling score the same; other words never do (English, Chinese)."""

from __future__ import annotations

import pytest

from audio_eval.text.normalize import tokens

EN_SAME = """
i don't know | i don’t know | i donʼt know | i don`t know | i don´t know
and we're late | and we’re late, | And we're late!
she's here | she‘s here | she’s here
it's | it’s | it is
o'clock | o’clock
three o'clock | 3 o'clock | 3:00 | three o’clock | 3 o clock
ten thirty | 10:30
seven forty five | 7:45
ten thirty am | 10:30 am | 10:30 a.m. | 10:30 A.M. | 10:30am | ten thirty a m
ten am | 10 am | 10 a.m. | 10:00 am | 10am | ten a.m.
five pm | 5 pm | 5 p.m. | 5:00 p.m. | 5PM
minus five | -5 | −5 | –5
minus twenty degrees | -20 degrees | -20°
one and a half | 1½ | 1 1/2 | 1 ½
two and a half hours | 2½ hours | 2 1/2 hours
one half | ½ | 1/2
one quarter | ¼ | 1/4
three quarters | ¾ | 3/4
two thirds | ⅔ | 2/3
five and a quarter | 5¼ | 5 1/4
salt and pepper | salt & pepper | salt&pepper
June third | June 3 | June 3rd | June the third | the third of June | 3rd of June | Jun. 3
May 21 | May 21st | May twenty first | the 21st of May
January first | January 1 | Jan. 1 | Jan 1st
USA | U.S.A. | U.S.A | U S A
the UN said | the U.N. said | the U N said
NATO | N.A.T.O.
fifty percent | 50% | 50 percent | 50 %
five dollars | $5 | 5 dollars
twenty pounds | £20 | 20 pounds
five cents | 5¢ | 5 cents
one thousand | 1,000 | 1000
two million | 2,000,000 | 2 million
nineteen eighty four | 1984
twenty twenty four | 2024
three point one four | 3.14
thirty to forty | 30-40 | 30–40 | 30 to 40
number five | #5 | # 5 | number 5
five plus three | 5 + 3
doctor smith | Dr. Smith | Dr Smith | DR. SMITH
mister jones | Mr. Jones | Mr Jones
colour | color
organise | organize
can't | cannot | can not | can’t
won't | will not | won’t
I'm | I am | I’m
they've gone | they have gone | they’ve gone
you'll see | you will see | you’ll see
gonna | going to
okay | OK | ok | Okay.
email | e-mail | E-mail
first | 1st
twenty first | 21st
hello world | Hello, world! | HELLO WORLD | hello\u200b world | ﻿hello world | hel­lo world
naïve | naive
café | cafe
“quoted” words | "quoted" words | quoted words | «quoted» words
wait... what | wait what | wait … what
well-known | well known
um, yes | yes | uh yes
full width | ｆｕｌｌ ｗｉｄｔｈ
efficient | eﬃcient
two degrees celsius | 2°C | 2 °C
x equals two | x = 2
the sixties | the 60s
seven | 7
a cat | A cat.
"""

EN_OTHER = """
three o'clock | thirty clock | three clock
its | it's
were | we're
well | we'll
wont | won't
cant | can't
shell | she'll
hell | he'll
ill | I'll
id | I'd
minus five | five
-5 | 5
1.5 | 15
3.14 | 314
thirteen | thirty
fourteen | forty
fifteen | fifty
sixteen | sixty
seventeen | seventy
eighteen | eighty
nineteen | ninety
one half | one third
1½ | 1¼ | 1
10:30 | 10:13 | 11:30
10:30 am | 10:30 pm
ten am | ten pm
June 3 | June 13 | July 3 | June 30
the third | the three
first | one
second | two
USA | UAE
US | USA
five dollars | five pounds | five cents | five
fifty percent | fifty
1,000 | 10,000 | 100
two million | two billion
1984 | 1948
30-40 | 30 | 40
salt and pepper | salt or pepper
cat | cats
walk | walked
he | she
this | that
he can | he can't
do | don't
there | their
affect | effect
no | know
right | write
to go | two go
for | four
ate | eight
weather | whether
desert | dessert
hello world | hello word | world hello
doctor smith | mister smith
number five | number nine
a | the
yes | no
light | right
email | mail
bat | bad
advice | advise
quite | quiet
lose | loose
"""

ZH_SAME = """
三分之一 | 1/3 | 三分之一。
四分之三 | 3/4
三十到四十 | 30-40 | 30~40 | 三十至四十 | 30到40 | 30—40
百分之十到二十 | 百分之十至二十
十点三十 | 10:30 | 十点半 | 十点三十分 | 10点30 | 10点30分 | 10点半
十点 | 10:00 | 十点整 | 10点
八点零五 | 8:05 | 八点零五分
三点十五 | 3:15 | 三点一刻 | 三点十五分
一点二万 | 1.2万 | 一万二千 | 12000
三点五亿 | 3.5亿 | 三亿五千万
幺幺零 | 110 | 一一零
幺二零 | 120 | 一二零
负五 | -5
百分之五十 | 50%
二零二四年 | 2024年 | ２０２４年
三点一四 | 3.14
两百 | 二百 | 200
十二个 | 12个
一百一十个 | 110个
一千 | 1000 | 1,000 | １０００
五公斤 | 5kg | 5 kg | 5公斤
十公里 | 10km | 10 km
五元 | ¥5 | 5元 | ￥5
二十度 | 20度
第三 | 第3
你好世界 | 你好，世界！ | 你好 世界 | 你\u200b好世界 | ﻿你好世界 | 「你好」世界
国家 | 國家
台湾 | 臺灣
说话 | 說話
发展 | 發展
学习 | 學習
手机号幺三八零零一三八零零零 | 手机号13800138000 | 手机号一三八零零一三八零零零
零下五度 | 零下5度
mp3 | MP3 | ＭＰ３
我有两个苹果 | 我有2个苹果 | 我有二个苹果
第十二章 | 第12章
一百零一 | 101
一万零三 | 10003
二十万 | 20万
三亿 | 3亿
十五分钟 | 15分钟
两千零二十四 | 2024
"""

ZH_OTHER = """
三分之一 | 三分之二 | 四分之一 | 三一
三十到四十 | 三十四十 | 三十到五十
十点三十 | 十点十三 | 十一点三十
十点半 | 十点
一点二万 | 一点二 | 一点二亿 | 十二万
幺幺零 | 幺二零
负五 | 五
百分之五十 | 五十 | 百分之十五
二零二四年 | 二零四二年
三点一四 | 三点四一 | 三一四
二百 | 三百
十二个 | 二十个
一千 | 一万
公斤 | 公里
买 | 卖
他 | 她
国家 | 国王
你好 | 您好
是 | 事
在 | 再
做 | 作
的 | 地
手机 | 手表
第三 | 三
上海 | 海上
星期一 | 星期二
一百零一 | 一百一十
二十万 | 二万
零下五度 | 五度
四十 | 十四
十元 | 四元
三十分钟 | 十三分钟
妈妈 | 爸爸
"""


def groups(table: str) -> list[list[str]]:
    return [[t.strip(" ") for t in line.split("|")] for line in table.strip("\n").split("\n")]


def pairs(table: str) -> list[tuple[str, str]]:
    return [(row[0], other) for row in groups(table) for other in row[1:]]


def padded(text: str, language: str) -> str:
    """The text inside a sentence: rules must not depend on where it stands."""
    return f"they said {text} to us" if language == "en" else f"他说{text}了"


@pytest.mark.parametrize(("language", "table"), [("en", EN_SAME), ("zh", ZH_SAME)])
def test_the_same_words_are_the_same(language: str, table: str) -> None:
    wrong = [
        (a, b, tokens(a, language), tokens(b, language))
        for a, b in pairs(table)
        if tokens(a, language) != tokens(b, language)
    ]
    assert wrong == []


@pytest.mark.parametrize(("language", "table"), [("en", EN_OTHER), ("zh", ZH_OTHER)])
def test_other_words_are_other(language: str, table: str) -> None:
    wrong = []
    for row in groups(table):
        for i, a in enumerate(row):
            for b in row[:i]:
                if tokens(a, language) == tokens(b, language):
                    wrong.append((a, b))
                if tokens(padded(a, language), language) == tokens(padded(b, language), language):
                    wrong.append((padded(a, language), padded(b, language)))
    assert wrong == []


@pytest.mark.parametrize(("language", "table"), [("en", EN_SAME), ("zh", ZH_SAME)])
def test_groups_are_told_from_each_other(language: str, table: str) -> None:
    """Every pair of different rows is a pair of other words: thousands of them."""
    firsts = [row[0] for row in groups(table)]
    found = [tuple(tokens(text, language)) for text in firsts]
    twice = {firsts[i] for i, t in enumerate(found) if found.count(t) > 1}
    # Two numbers that are said alike: 10:30 is "ten thirty", the date's day is its number.
    assert twice == set()


def test_the_tables_are_large_enough() -> None:
    same = len(pairs(EN_SAME)) + len(pairs(ZH_SAME))
    other = sum(len(r) * (len(r) - 1) // 2 for t in (EN_OTHER, ZH_OTHER) for r in groups(t))
    assert same >= 200
    assert other >= 100
