# ruff: noqa: E501  (patterns and word lists read better unbroken)
"""Sound in Chinese: 语速, 音调, 音量, 降噪, 淡入淡出, 背景声, 情绪, 方言."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from uniaudio_edit.parsers.labels import DIALECTS, EMOTIONS, SOUNDS, find_label
from uniaudio_edit.parsers.numbers import ZH_NUMBER, chinese_number
from uniaudio_edit.parsers.quoting import Quoted, has_quote
from uniaudio_edit.parsers.refs import Draft, Reading
from uniaudio_edit.parsers.scales import amount_reading

_N = rf"({ZH_NUMBER})"
_SLIGHT = r"(?:一点点?|一些|点儿?|些|稍微?|略微?|有点|稍稍|微微)"
_STRONG = r"(?:很多|许多|得多|非常|大幅|大大|特别|明显|多)"
_CARRIER = r"(?:(?:这|那|该|整)?(?:段|个|条|句)?(?:的)?(?:音频|录音|语音|话|人声|说话|朗读|句子|文件)(?:的|里的?|中的?)?)"
_AUDIO = r"(?:(?:这|那|该|整)?(?:段|个|条|句)?(?:的)?(?:音频|录音|语音|声音|话|音|人声|说话|朗读|句子|文件)(?:的|里的?|中的?)?)"


def acoustic_readings(text: str, quoted: Quoted) -> Iterator[Reading]:
    """Every way to read a clause as an edit of the sound."""
    if has_quote(text):
        for index, content in enumerate(quoted.quotes):  # 把情绪改成“开心”
            text = text.replace(chr(0xE000 + index), content)
        if not re.search("情绪|情感|语气|口音|方言|噪", text):
            return
    text = (
        re.sub(
            rf"^(?:把|将|对|给|让|使)(?:{_CARRIER}|声音的|声音(?=说|变?得?[快慢]))?(?:进行|做|加以)?|^{_CARRIER}(?=语速|音量|音调|音高|速度)",
            "",
            text,
        )
        or text
    )
    for maker in (_speed, _pitch, _volume, _denoise, _fade, _sound, _style):
        yield from maker(text)


def _quantity(text: str) -> tuple[str, float] | None:
    """As `acoustic_english._quantity`."""
    match = re.search(rf"{_N}[%％]|百分之{_N}", text)
    if match:
        n = chinese_number(match.group(1) or match.group(2))
        if n is not None:
            before = text[: match.start()]
            to = re.search("(?:到|至|为|成|原来的?|原速的?|是)$", before)
            return ("to", n / 100) if to else ("percent", abs(n) / 100)
    if re.search("减半|一半|二分之一|0\\.5倍|半倍|减少一半|放慢一半", text):
        return "halve", 0.5
    if match := re.search(
        rf"(快|提高|加快|增加|提升|调大|加大|增大|调快|大|提速|升高|放大|调高)了?{_N}倍", text
    ):
        n = chinese_number(match.group(2))
        return None if n is None else ("times", 1 + n)
    if re.search("翻倍|加倍|翻一番|翻番", text):
        return "times", 2.0
    if match := re.search(rf"{_N}倍", text):
        n = chinese_number(match.group(1))
        return None if n is None else ("to" if re.search("到|至|为|成", text) else "times", n)
    if match := re.search(rf"(?:到|至|为|成|是)(?:原来的?)?{_N}$", text):
        n = chinese_number(match.group(1))
        return None if n is None else ("to", n)
    return None


def _degree(text: str) -> str:
    if re.search(_SLIGHT, text):
        return "slight"
    return "strong" if re.search(_STRONG, text) else ""


def _speed(text: str) -> Iterator[Reading]:
    if re.search("音量|(?<!声)音调|音高|噪", text):
        return
    named = re.search("语速|速度|速率|节奏|倍速", text)
    up = re.search("快|提速|加速", text)
    down = re.search("慢|减速|降速|放缓", text)
    if not re.fullmatch(
        rf"(?:.*(?:语速|速度|速率|倍速|节奏).*|(?:请)?(?:说|讲|读|念|播放|播)?(?:得|的)?(?:再|稍微|更|稍|略微|大幅|非常)*(?:快|慢|加快|放慢|加速|减速|"
        rf"提速|降速|放缓|减慢|变快|变慢|调快|调慢)(?:了|到|至|为|成|{_SLIGHT}|{_STRONG}|{_N}|[%％]|百分之|倍|原来的?|说|一半|又|播放)*|又快又慢)",
        text,
    ):
        return
    if named and re.search("提高|增加|提升|升高|调高|增大|上调|加大", text):
        up = up or named
    if named and re.search("降低|减小|减少|下降|调低|下调|减", text):
        down = down or named
    if up and down and _quantity(text) is None:
        yield Reading(
            (Draft("speed", params={"factor": 1.1}), Draft("speed", params={"factor": 0.9}))
        )
        return
    yield from amount_reading("speed", _quantity(text), bool(up), bool(down), _degree(text))


def _pitch(text: str) -> Iterator[Reading]:
    named = re.search("(?<!声)音调|音高|半音|全音|八度|声调|调子|升调|降调|嗓音|音阶|变调", text)
    if not named or re.search("音量|语速", text):
        return
    up = re.search("升|高|提|上|尖|加", text.replace("音高", ""))
    down = re.search("降|低|下|沉|减", text)
    value: float | None = None
    notes: tuple[str, ...] = ()
    if match := re.search(rf"{_N}个?半音", text):
        value = chinese_number(match.group(1))
    elif match := re.search(rf"{_N}个?全音", text):
        n = chinese_number(match.group(1))
        value = None if n is None else 2 * n
    elif re.search("半个?八度", text):
        value = 6.0
    elif match := re.search(rf"{_N}个?八度", text):
        n = chinese_number(match.group(1))
        value = None if n is None else 12 * n
    elif match := re.search(rf"{_N}[%％]|百分之{_N}", text):
        n = chinese_number(match.group(1) or match.group(2))
        if n is not None and abs(n) < 100:
            share = abs(n) / 100
            value, down, up = (
                round(12 * math.log2(1 - share if down and not up else 1 + share), 4),
                None,
                match,
            )
    elif match := re.search(rf"{_N}(?:个)?(?:音|度|步|阶|调|key)?$", text):
        value = chinese_number(match.group(1))
        notes = ("the number counts semitones",)
    elif up or down:
        value = {"slight": 1.0, "strong": 4.0}.get(_degree(text), 2.0)
        notes = (f"no amount was given: {value:g} semitones",)
    if value is None:
        return
    if down and not up:
        value = -abs(value)
    yield Reading((Draft("pitch", params={"semitones": float(value)}, assumptions=notes),))


def _volume(text: str) -> Iterator[Reading]:
    named = re.search("音量|分贝|响度|响|dB|db|DB|声量", text)
    voice = re.search("声音|声", text) and re.search(r"大|小|响|轻|高|低", text)
    plain = re.fullmatch(rf"(?:调|变|放|再)?(?:大|小)(?:声)(?:{_SLIGHT})?", text)
    if not (named or voice or plain) or re.search(
        "语速|(?<!声)音调|音高|噪|雨|音乐|背景|半音|八度", text
    ):
        return
    up = re.search("大|响|提高|增|升|高|加", text)
    down = re.search("小|轻|降|低|减|弱", text)
    if match := re.search(rf"{_N}(?:个)?(?:分贝|dB|db|DB)", text):
        n = chinese_number(match.group(1))
        if n is not None and not re.search("(?:到|至|为)$", text[: match.start()]):
            yield Reading(
                (Draft("volume", params={"db": float(-abs(n) if down and not up else n)}),)
            )
        return
    yield from amount_reading("volume", _quantity(text), bool(up), bool(down), _degree(text))


def _denoise(text: str) -> Iterator[Reading]:
    noise = r"(?:(?:里面?|中)?的?)?(?:背景|环境|多余|所有|全部|一切)?的?(?:噪音|噪声|杂音|杂声|底噪|嗡嗡声|嘶嘶声|噪|电流声)"
    verb = (
        r"(?:去除|去掉|消除|降低|减少|清除|删除|删掉|抑制|过滤掉?|滤除|去|降|除掉|移除|消掉|减小)"
    )
    if re.fullmatch(
        rf"(?:对)?{_AUDIO}?(?:进行|做|来个|做个|执行|进行一下)?(?:降噪|去噪|除噪|消噪|噪声抑制)(?:处理|操作)?|{verb}{_AUDIO}?{noise}(?:干扰)?|"
        rf"(?:{noise}){verb}(?:掉|一些|一点)?|(?:让)?{_AUDIO}(?:变得?)?(?:更|干净)+(?:一点|一些)?|(?:清理|净化){_AUDIO}|{noise}(?:都|全部)?{verb}",
        text,
    ):
        yield Reading((Draft("denoise"),))


def _fade(text: str) -> Iterator[Reading]:
    params: dict[str, float] = {}
    notes: list[str] = []
    for name, word in (("in", "淡入|渐入|渐强"), ("out", "淡出|渐出|渐弱")):
        if not (found := re.search(word, text)):
            continue
        near = [(abs(m.start() - found.start()), m) for m in re.finditer(rf"{_N}(毫秒|秒|s)", text)]
        seconds: float | None = None
        if near:
            match = min(near, key=lambda pair: pair[0])[1]
            n = chinese_number(match.group(1))
            seconds = None if n is None else n / 1000 if match.group(2) == "毫秒" else n
        if seconds is None:
            seconds = 1.0
            notes.append(f"no length was given: fade {name} over 1 s")
        params[name] = float(seconds)
    if params:
        yield Reading((Draft("fade", params=dict(params), assumptions=tuple(notes)),))


def _sound(text: str) -> Iterator[Reading]:
    match = re.fullmatch(
        r"(?:给|为|在|往)?(?:.{0,6}?(?:背景|音频|录音|语音|声音|后面)(?:里|中|上)?)?(?:加入?|添加|加上|混入|混合|叠加|配上|放上?|加点|插入|配|来点|增加|播放|垫上?)"
        r"(?:一些|一点|点|一段|一个|上|些|轻柔的?|舒缓的?|淡淡的?)*(?P<what>.+?)(?:(?:作为|当作?|做)背景(?:音|声)?)?(?:[，,]?信噪比(?:为|是)?(?P<snr>-?\d+(?:\.\d+)?)(?:dB|db|分贝)?)?",
        text,
    )
    if match is None:
        return
    what = match.group("what")
    label = find_label(what, SOUNDS) or find_label(
        re.sub("^背景的?|的?(?:声音?|音效|效果|背景音?|背景声)$", "", what), SOUNDS
    )
    if label is None:
        return
    params: dict[str, object] = {"sound": label}
    if match.group("snr"):
        params["snr_db"] = float(match.group("snr"))
    yield Reading((Draft("add_sound", params=params),))


def _style(text: str) -> Iterator[Reading]:
    feeling = r"(?:情绪|情感|语气|口吻|语调|心情|感情|声音|感觉|腔调|情绪状态)"
    change = (
        r"(?:改成|改为|换成|变成|变为|调整为|调成|转为|换为|变得|转换成|转换为|设为|改变成|调为)"
    )
    for pattern in (
        rf"{feeling}?{change}(?P<l>.+?)(?:的)?(?:{feeling})?(?:来?(?:说|讲|读|念))?",
        rf"(?:用|以)(?:一种)?(?P<l>.+?)(?:的|地)?(?:{feeling})?(?:来)?(?:说|讲|读|念|朗读|表达|说话|说出来)?(?:一遍)?",
        r"(?:说|讲|读|念|听起来|听上去|表现|显得)(?:得|的)?(?:更|很|非常|再)?(?P<l>.+?)(?:一点|一些|些)?",
        r".*?(?:听起来|听上去|变得|显得)(?:更|很|非常)?(?P<l>.+?)(?:一点|一些|些)?",
        r"(?P<l>.+?)(?:地|的)(?:说|讲|读|念)(?:出来)?",
    ):
        if match := re.fullmatch(pattern, text):
            label = find_label(match.group("l"), EMOTIONS)
            if label:
                yield Reading((Draft("emotion", params={"label": label}),))
                return
    voice = r"(?:口音|方言|腔调|腔|话|语言|语音)"
    for pattern in (
        rf"(?:{voice})?{change}(?P<l>.+?)(?:的)?(?:{voice})?(?:来?(?:说|讲|读))?",
        rf"(?:用|以|说|讲|换|改用|带)(?P<l>.+?)(?:的)?(?:{voice})?(?:来)?(?:说|讲|读|念|朗读|表达)?(?:一遍)?",
        rf"(?:把|将)?(?:{_AUDIO}|它|{voice})?(?:翻译|转换|转|改|变|换)(?:成|为|到)(?P<l>.+?)(?:的)?(?:{voice})?",
    ):
        if match := re.fullmatch(pattern, text):
            label = find_label(match.group("l"), DIALECTS)
            if label:
                yield Reading((Draft("dialect", params={"label": label}),))
                return
