"""Chinese wordings; the places are those of `wording_en.py`, `{unit}` is 字 or 词."""

from __future__ import annotations

_POLITE = "(||||请|请|麻烦|帮我|请帮我|麻烦你)"
_LA = "(||||吧|一下)"

FULL: dict[str, tuple[str, ...]] = {
    "deletion": (
        _POLITE + "(删除|删掉|去掉|去除|移除|剪掉|拿掉){ref}",
        _POLITE + "把{ref}(删除|删掉|去掉|剪掉|拿掉|删了|去了)" + _LA,
        _POLITE + "将{ref}(删除|删去|去除|移除)",
        "{ref}(不要了|可以删掉|可以去掉|应该删掉)",
        "(不要说|别说){ref}",
        "(我想|我要)(删除|删掉|去掉){ref}",
    ),
    "substitution": (
        _POLITE + "把{ref}(换成|改成|改为|替换成|替换为|换为){new}(|||吧)",
        _POLITE + "将{ref}(替换为|替换成|改为|换成|更换为){new}",
        _POLITE + "用{new}(替换|代替|取代|换掉){ref}",
        "{ref}(应该是|要改成|应改为|换成){new}",
        "(我想|我要)把{ref}(换成|改成){new}",
    ),
    "insertion": (
        _POLITE + "在{place}(插入|加上|添加|加入|补上|增加){new}",
        _POLITE + "(在|){place}(插入|加上|添加|加入){new}(|||吧)",
        _POLITE + "把{new}(加到|放到|插入到|插到|放在|加在){place}",
        _POLITE + "将{new}(插入到|添加到|放到){place}",
        "{place}(加上|要加上|应该有){new}",
        "(我想|我要)在{place}(加上|加入|插入){new}",
    ),
}
FULL_WHOLE: dict[str, tuple[str, ...]] = {
    "at_start": ("以{new}开头", _POLITE + "用{new}(开头|作为开头)"),
    "at_end": ("以{new}结尾", _POLITE + "用{new}(结尾|作为结尾)"),
}
REFERENCES: dict[str, tuple[str, ...]] = {
    "range": (
        "从第{i}个{unit}到第{j}个{unit}",
        "第{i}到第{j}个{unit}",
        "第{i}个{unit}(到|至)第{j}个{unit}",
        "第{i}到{j}个{unit}",
    ),
    "single": ("第{i}个{unit}",),
    "nth": ("第{i}个{unit}",),
    "nth_last": ("倒数第{i}个{unit}",),
    "first_n": ("前{n}个{unit}", "开头的{n}个{unit}", "最前面的{n}个{unit}", "句首的{n}个{unit}"),
    "last_n": ("最后{n}个{unit}", "后{n}个{unit}", "末尾的{n}个{unit}", "句末的{n}个{unit}"),
    "first_1": ("第一个{unit}", "开头的{unit}", "句首的{unit}", "开头第一个{unit}"),
    "last_1": ("最后一个{unit}", "末尾的{unit}", "句末的{unit}"),
    "nth_range": ("第{i}到第{j}个{unit}", "第{i}个{unit}到第{j}个{unit}"),
    "nth_pair": ("第{i}个{unit}和第{j}个{unit}", "第{i}和第{j}个{unit}"),
    "quote": ("{x}", "{x}", "{x}", "{x}这{count_x}个{unit}", "其中的{x}", "句子里的{x}"),
    "quote_nth": ("第{i}个{x}", "第{i}次出现的{x}", "第{i}处{x}"),
    "quote_last": ("最后一个{x}", "最后出现的{x}", "最后一次出现的{x}"),
    "next_after_1": ("{x}(后面|之后)的(一|那)个{unit}", "紧跟在{x}后面的(一|那)个{unit}"),
    "next_before_1": ("{x}(前面|之前)的(一|那)个{unit}", "紧挨在{x}前面的(一|那)个{unit}"),
    "next_after": ("{x}(后面|之后)的{n}个{unit}",),
    "next_before": ("{x}(前面|之前)的{n}个{unit}",),
    "rest_after": ("{x}(后面|之后)的(所有|全部)内容", "{x}(后面|之后)的所有{unit}"),
    "rest_before": ("{x}(前面|之前)的(所有|全部)内容", "{x}(前面|之前)的所有{unit}"),
    "from_to": ("从{x}到{y}(包括{y}在内)的(内容|部分)", "从{x}一直到{y}(含{y})的内容"),
    "all": ("(所有的|全部的|每一个|每个){x}", "所有出现的{x}"),
}
PLACES: dict[str, tuple[str, ...]] = {
    "at_start": ("句首", "开头", "句子(开头|最前面)", "最前面", "第一个{unit}(前面|之前)"),
    "at_end": (
        "句末",
        "结尾",
        "末尾",
        "句子(结尾|末尾|最后面)",
        "最后面",
        "最后一个{unit}(后面|之后)",
    ),
    "after_index": ("第{i}个{unit}(后面|之后|后)",),
    "before_index": ("第{i}个{unit}(前面|之前|前)",),
    "after_nth": ("第{i}个{unit}(后面|之后|的后面)",),
    "before_nth": ("第{i}个{unit}(前面|之前|的前面)",),
    "before_last": ("最后一个{unit}(前面|之前)",),
    "between_nth": (
        "第{i}个{unit}(和|与)第{j}个{unit}之间",
        "第{i}(和|与)第{j}个{unit}(之间|中间)",
    ),
    "after_quote": ("{x}(后面|之后|后|的后面)", "{x}后边"),
    "before_quote": ("{x}(前面|之前|前|的前面)", "{x}前边"),
    "after_quote_nth": ("第{i}个{x}(后面|之后)", "第{i}次出现的{x}(后面|之后)"),
    "before_quote_nth": ("第{i}个{x}(前面|之前)", "第{i}次出现的{x}(前面|之前)"),
    "between_quotes": ("{x}(和|与){y}(之间|中间)",),
}

_DIGITS = "零一二三四五六七八九"


def cardinal(number: int) -> str:
    """1 to 99 in Chinese, as an index is read (二, not 两)."""
    tens, ones = divmod(number, 10)
    if not tens:
        return _DIGITS[ones]
    return ("" if tens == 1 else _DIGITS[tens]) + "十" + (_DIGITS[ones] if ones else "")


def counted(number: int) -> str:
    """A number of things: 两个 where an index says 二."""
    return "两" if number == 2 else cardinal(number)
