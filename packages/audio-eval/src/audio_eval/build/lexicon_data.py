"""Small word classes: what may stand where another word of the class stood.

They make edits sensible on a small manifest, where few words are seen in the same place. Whatever
the manifest's own texts offer comes first (`lexicon.py`).
"""

from __future__ import annotations


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


EN_CLASSES: dict[str, tuple[str, ...]] = {
    "day": _words("monday tuesday wednesday thursday friday saturday sunday"),
    "month": _words("january february april june july august september october november december"),
    "number": _words("two three four five six seven eight nine ten eleven twelve twenty"),
    "ordinal": _words("first second third fourth fifth sixth seventh"),
    "when": _words("today tomorrow tonight now later soon yesterday"),
    "often": _words("always never often sometimes usually rarely"),
    "colour": _words("red green blue black white yellow brown grey"),
    "size": _words("small large big little tiny huge"),
    "quality": _words("good bad new old strong weak bright dark quiet loud"),
    "mood": _words("happy sad angry calm tired afraid glad"),
    "person": _words("man woman boy girl child teacher doctor farmer friend neighbour"),
    "family": _words("mother father brother sister son daughter uncle aunt"),
    "place": _words("house school office garden village city park market station"),
    "time": _words("morning afternoon evening night"),
    "span": _words("second minute hour day week month year"),
    "spans": _words("seconds minutes hours days weeks months years"),
    "season": _words("spring summer autumn winter"),
    "side": _words("left right"),
    "upward": _words("up down"),
    "open": _words("open closed"),
    "he": _words("he she"),
    "possessive": _words("my your his her our their"),
    "begin": _words("start stop begin finish"),
    "say": _words("said thought knew believed heard"),
    "go": _words("walked ran drove went rode"),
    "more": _words("more less fewer"),
    "manner": _words("quickly slowly quietly carefully suddenly gently"),
}
# Words that tie others together. An edit that ends on one, or leaves one without what it leads to,
# reads badly, so spans avoid them.
EN_OPENERS = frozenset(
    _words(
        "a about after almost am an and another any are as at be because been before between "
        "but by can could did do does during each even every for from had has have he her "
        "herself him himself his i if in into is it its itself just may me might more most "
        "must my myself no nor not of oh on one only onto or other our over please quite "
        "rather shall she should so some such than that the their them themselves there these "
        "they this those through to too under until upon us very was we well were what when "
        "where which while who whose will with within without would yes you your yourself"
    )
)
EN_DETERMINERS = frozenset(
    _words("a an any each every her his its my no our some that the their these this those your")
)
EN_SUBJECTS = frozenset(_words("he i it she they we who you"))
EN_AUXILIARIES = frozenset(
    _words(
        "am are can could did do does had has have is may might must not shall should to was "
        "were will would"
    )
)
EN_ADVERBS = _words("really simply always already still now also often never gladly")
EN_ADJECTIVES = _words("new old next small early first good whole nearest ordinary")
EN_STARTS = (
    "In practice,", "Today,", "Of course,", "As usual,", "For now,", "In fact,", "After all,",
    "Once again,", "By the way,", "At the moment,",
)  # fmt: skip
EN_ENDS = (
    "today", "right now", "as soon as possible", "once again", "after all", "as always",
    "for a while", "without delay", "this time", "with great care",
)  # fmt: skip

ZH_CLASSES: dict[str, tuple[str, ...]] = {
    "day": _words("今天 明天 昨天 后天 前天"),
    "part": _words("早上 上午 中午 下午 晚上 夜里"),
    "season": _words("春天 夏天 秋天 冬天"),
    "year": _words("今年 明年 去年 后年"),
    "pronoun": _words("我 你 他 她"),
    "pronouns": _words("我们 你们 他们 她们 大家"),
    "number": _words("两 三 四 五 六 七 八 九 十"),
    "family": _words("爸爸 妈妈 哥哥 姐姐 弟弟 妹妹 爷爷 奶奶"),
    "person": _words("老师 医生 朋友 同学 司机 学生 孩子们 工人"),
    "place": _words("学校 公园 医院 银行 图书馆 超市 车站 公司 餐厅 院子"),
    "city": _words("北京 上海 广州 成都 南京 杭州"),
    "size": _words("大 小"),
    "quality": _words("漂亮 干净 安静 热闹 舒服 方便"),
    "mood": _words("高兴 难过 生气 开心 伤心 着急"),
    "degree": _words("非常 特别 十分 比较 有点"),
    "often": _words("经常 常常 总是 有时 从来"),
    "colour": _words("红色 绿色 蓝色 白色 黑色 黄色"),
    "food": _words("牛奶 咖啡 茶 果汁 米饭 面条 水果 苹果"),
    "vehicle": _words("地铁 汽车 火车 飞机 自行车 公交车"),
    "like": _words("喜欢 讨厌 需要"),
    "can": _words("可以 能够 应该 必须"),
    "weather": _words("下雨 下雪 刮风"),
}
ZH_PRONOUNS = ("我们", "你们", "他们", "她们", "大家", "我", "你", "他", "她")
ZH_ADVERBS = ("其实", "一直", "已经", "真的", "也", "现在", "常常")
ZH_DEGREES = ("非常", "特别", "十分", "确实")
ZH_STARTS = ("其实", "事实上", "今天", "听说", "据我所知", "最近", "毫无疑问", "一般来说")
ZH_ENDS = ("大家都很感动", "这让人很高兴", "我很清楚", "大家都知道", "真是太好了", "你觉得呢")
# Characters that lean on what stands before them, or end a phrase only with what follows.
ZH_LEANING = frozenset("的地得了着过吗呢吧啊们")
ZH_OPENING = frozenset("在把被从向对和与跟比为给让是有不没很都也就还又再")
