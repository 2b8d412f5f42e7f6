# ruff: noqa: E501  (patterns and word lists read better unbroken)
"""Sound in English: speed, pitch, volume, noise, fades, background, emotion, dialect."""

from __future__ import annotations

import re
from collections.abc import Iterator

from uniaudio_edit.parsers.labels import DIALECTS, EMOTIONS, SOUNDS, find_label
from uniaudio_edit.parsers.numbers import EN_NUMBER, english_number
from uniaudio_edit.parsers.quoting import Quoted, has_quote
from uniaudio_edit.parsers.refs import Draft, Reading
from uniaudio_edit.parsers.scales import (
    amount_reading,
    degree_factor,
)

_N = rf"(?P<n>{EN_NUMBER})"
_PERCENT = r"(?: ?%| per ?cent| percent)"
_SLIGHT = r"(?:a (?:little|tiny|wee|small|touch|tad|tiny)?\s?(?:bit|little|touch|tad|notch|shade)|slightly|somewhat|a little|marginally)"
_STRONG = r"(?:much|a lot|lots|way|significantly|considerably|far|very much|really|substantially)"
_FASTER = r"(?:faster|quicker|quickly|speedier|more (?:quickly|rapidly|swiftly)|up)"
_SLOWER = r"(?:slower|slowly|more slowly|down)"


# Every word of a clause about speed, pitch, volume or fades has to be one of these: a clause with
# another word in it is about something else, or in another language.
_KNOWN_WORDS = """
    a an the this that it its it's is be are to of at by in on for from with as and or so than then more less
    my her his their your our me him them she he they i you we s
    make makes set change changes adjust adjusts adjusting alter alters modify shift shifts shifting turn turns put
    bring bump crank dial have let get give go keep use apply do take move play plays talk talks speak speaks say read
    deliver run sound sounds speaking talking speech spoken speaker voice voices voiced audio recording sentence clip file
    whole entire track text utterance sample tone note wav person everything
    speed speeds sped tempo pace rate fast faster quick quicker quickly quicken speedier slow slower slowly slows slowed
    slowing up down accelerate accelerated decelerate decelerated hurry rush drag hasten rapidly rapid swiftly
    stretch compress playback
    pitch pitched pitches semitone semitones semi tones half step steps octave octaves cent cents key transpose raise
    raises raised raising lower lowers lowered lowering higher high low deeper deep deepen upward upwards downward
    downwards sharpen flatten lift drop st
    volume loudness loud louder loudly louden gain amplitude level levels decibel decibels db quiet quieter quietly
    quieten soft softer softly amplify attenuate boost
    increase increases increased increasing decrease decreases decreased reduce reduces reduced reducing cut double
    doubled doubling triple tripled halve halved twice thrice times time factor multiplier ratio percent per cent x
    original originally current normal previous present value amount should must move moves moved what was
    bit little tiny small touch tad notch shade slight slightly somewhat marginally much lot lots way significantly
    considerably far very really substantially quite rather just about around again over further overall
    fade fades fading out first last final seconds second sec secs ms milliseconds millisecond start beginning end
    opening ending during length long minus negative plus hundred
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
    eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety quarter quarters third thirds point
"""
_KNOWN = frozenset(_KNOWN_WORDS.split())


def acoustic_readings(text: str, quoted: Quoted) -> Iterator[Reading]:
    """Every way to read a clause as an edit of the sound."""
    del quoted
    if has_quote(text) and not re.search(r"emotion|accent|dialect|mood|tone|sound|noise", text):
        return
    low = re.sub(r"\s+", " ", text.lower()).strip(" .!?,")
    if set(re.findall(r"[^\W\d_]+(?:'[a-z]+)?", low)) <= _KNOWN:
        for maker in (_speed, _pitch, _volume, _fade):
            yield from maker(low)
    for maker in (_denoise, _sound, _style):
        yield from maker(low)


def _number(low: str, pattern: str) -> float | None:
    match = re.search(pattern, low)
    return english_number(match.group("n")) if match else None


def _degree(low: str) -> str:
    if re.search(_SLIGHT, low):
        return "slight"
    return "strong" if re.search(rf"\b{_STRONG}\b", low) else ""


def _quantity(low: str) -> tuple[str, float] | None:
    """What an instruction says about an amount: ("percent" | "times" | "to_percent" | "to", n)."""
    low = re.sub(r"^turn (?:it |the \w+ )?", "", low)
    if (n := _number(low, rf"\bto {_N}{_PERCENT}")) is not None:
        return "to", n / 100
    if (n := _number(low, rf"{_N}{_PERCENT} (?:of|as)\b")) is not None:
        return "to", n / 100
    if (n := _number(low, rf"{_N}{_PERCENT}")) is not None:
        return "percent", n / 100
    if re.search(
        r"\b(?:twice|double|doubled|doubling|two times)\b|(?<![\d.,])2(?:x| times)\b", low
    ):
        return "times", 2.0
    if re.search(r"\b(?:triple|tripled|thrice)\b", low):
        return "times", 3.0
    if re.search(r"\b(?:halve|halved|halving|in half|by half)\b", low):
        return "halve", 0.5
    if re.search(r"\bhalf\b(?! an)", low) and not re.search(r"and (?:a )?half", low):
        return "halve", 0.5
    if (n := _number(low, rf"\b{_N} ?(?:x|×|times)(?!\w)")) is not None:
        return "times", n
    if (n := _number(low, rf"(?:factor|multiplier|ratio|rate|speed) (?:of |= ?)?{_N}")) is not None:
        return "times", n
    if (n := _number(low, rf"\b(?:to|at|of|=|by) {_N}")) is not None:
        return "to", n
    return None


_PLAYED = r"(?:speak|talk|say it|read(?: it)?|play(?: it)?|go|make (?:it|this|the \w+)|it|run(?: it)?|deliver(?: it)?|have (?:it|her|him|them))"


def _speed(low: str) -> Iterator[Reading]:
    named = re.search(r"\b(?:speed|tempo|pace|speech rate|speaking rate|rate)\b", low)
    up = re.search(
        r"\b(?:speed (?:\w+ ){0,3}up|faster|quicker|accelerate|hurry|quicken|more quickly|hasten|rush|more rapidly)\b",
        low,
    )
    down = re.search(
        r"\b(?:slow(?:er|ly)?|slow (?:\w+ ){0,3}down|decelerate|more slowly|drag)\b", low
    )
    fast_as = re.search(r"\b(?:as (?:fast|quick(?:ly)?|slow(?:ly)?))\b", low)
    if not (named or up or down or fast_as):
        return
    if named and re.search(r"\b(?:increase|raise|boost|higher|bump up|up the)\b", low):
        up = up or named
    if named and re.search(r"\b(?:decrease|reduce|lower|drop|cut|lessen|bring down)\b", low):
        down = down or named
    if named and re.search(r"\b(?:double|twice|triple)\b", low):
        up = up or named
    if fast_as and "slow" in fast_as.group():
        down = down or fast_as
    known = (
        r"speed|tempo|pace|speech|speaking|rate|slow|fast|quick|accelerat|decelerat|play|adjust|"
        r"change|set|make|alter|modify|talk|read|say|speak|hurry|quicken|it|rush|drag|hasten|"
        r"increase|decrease|reduce|raise|lower|double|halve|triple|half|twice|boost|slower|turn|"
        r"bring|bump|have|stretch|compress|a |the |slightly|somewhat|run|drop|much|go|deliver|up|"
        + EN_NUMBER
    )
    if not re.match(rf"(?:{known})", low):
        return
    if re.search(r"\b(?:pitch|volume|loud)", low):
        return
    yield from amount_reading("speed", _quantity(low), bool(up), bool(down), _degree(low))


def _pitch(low: str) -> Iterator[Reading]:
    named = re.search(
        r"\b(?:pitch|semitones?|half[- ]?(?:tones?|steps?)|octaves?|cents|whole[- ]?tones?|whole[- ]?steps?|key|transpose)\b",
        low,
    )
    voice = re.search(r"\b(?:higher|lower|deeper|deepen|raise|lower)\b", low) and re.search(
        r"\b(?:voice|tone|note|sound)\b", low
    )
    if not (named or voice) or re.search(r"\b(?:volume|speed|louder|tempo)\b", low):
        return
    up = re.search(r"\b(?:up|raise|raised|higher|increase|sharpen|upwards?|lift|boost)\b", low)
    down = re.search(
        r"\b(?:down|lower|lowered|deeper|deepen|decrease|drop|reduce|downwards?|flatten)\b", low
    )
    unit = r"(?:semi-?tones?|half[- ]?(?:tones?|steps?)|steps?|st)\b"
    value: float | None = None
    assumptions: tuple[str, ...] = ()
    if (n := _number(low, rf"{_N}[ -]{{0,2}}{unit}")) is not None:
        value = n
    elif (n := _number(low, rf"{_N}[ -]{{0,2}}cents?\b")) is not None:
        value = n / 100
    elif re.search(r"\bhalf an? octave\b", low):
        value = 6.0
    elif (n := _number(low, rf"{_N} octaves?")) is not None:
        value = 12 * n
    elif (n := _number(low, rf"{_N} (?:whole[- ]?)?(?:tones?|steps?)")) is not None:
        value = 2 * n
    elif re.search(r"\b(?:an |one )?octave\b", low):
        value = 12.0
    elif (n := _number(low, rf"{_N}{_PERCENT}")) is not None:
        import math

        factor = 1 + n / 100 if not down else 1 - n / 100
        if factor <= 0:
            return
        value = 12 * math.log2(factor)
        value = round(value, 4)
        down = None
        up = re.search("", low)
    elif (n := _number(low, rf"(?:by|to|of) {_N}$")) is not None:
        value = n
        assumptions = (f"the number {n:g} counts semitones",)
    elif up or down:
        value = {"slight": 1.0, "strong": 4.0}.get(_degree(low), 2.0)
        assumptions = (f"no amount was given: {value:g} semitones",)
    if value is None:
        return
    if down and not up:
        value = -abs(value)
    yield Reading((Draft("pitch", params={"semitones": float(value)}, assumptions=assumptions),))


def _volume(low: str) -> Iterator[Reading]:
    named = re.search(
        r"\b(?:volume|loudness|gain|amplitude|level|decibels?|db|loud(?:er|ly)?|quiet(?:er|ly|en)?|softer|amplify|attenuate|turn (?:it |the \w+ )?(?:up|down))\b",
        low,
    ) or re.search(r"\ddb\b", low)
    if not named or re.search(r"\b(?:pitch|speed|noise|music|rain|snr)\b", low):
        return
    up = re.search(
        r"\b(?:up|louder|louden|increase|raise|boost|amplify|higher|double|triple|loud|twice)\b",
        low,
    )
    down = re.search(
        r"\b(?:down|quieter|quieten|quiet|softer|lower|decrease|reduce|attenuate|cut|drop|halve|less loud|lessen)\b",
        low,
    )
    if down and re.search(r"\bturn (?:\w+ ){0,2}down", low):
        up = None
    match = re.search(rf"([-−–] ?)?{_N} ?(?:db|decibels?)\b", low)
    if match:
        n = english_number(match.group("n"))
        if n is None:
            return
        n = -abs(n) if (match.group(1) or (down and not up)) else n
        if re.search(rf"\bto -? ?{re.escape(match.group('n'))}", low):
            return
        yield Reading((Draft("volume", params={"db": float(n)}),))
        return
    yield from amount_reading("volume", _quantity(low), bool(up), bool(down), _degree(low))


def _denoise(low: str) -> Iterator[Reading]:
    noise = r"(?:background |ambient |unwanted |static |white |all |any |the )*(?:noises?|hiss(?:ing)?|hum(?:ming)?|static|crackles?|crackling|interference|background (?:sounds?|noises?))"
    verb = r"(?:remove|reduce|suppress|clean(?: up| out)?|get rid of|eliminate|cancel|filter(?: out)?|take out|cut(?: out)?|delete|strip(?: out)?|kill|erase|clear(?: up)?|lower)"
    thing = r"(?:the |this |my |that )?(?:audio|recording|sound|speech|clip|file|voice|track|it)"
    if re.fullmatch(
        rf"(?:de-?noise|enhance)(?: {thing})?|{verb} {noise}(?: (?:from|in|of|out of) .+)?|"
        rf"(?:clean|clean up|tidy up) {thing}(?: up)?|(?:apply |perform |do |run )?(?:some )?"
        rf"(?:noise (?:reduction|removal|suppression|cancellation)|denoising)(?: (?:on|to|for) .+)?|"
        rf"(?:make|get) (?:it|{thing}) (?:noise[- ]free|free (?:of|from) {noise}|cleaner|clean|less noisy)|"
        rf"(?:de-?noise) .+|"
        rf"improve (?:the )?(?:sound |audio )?quality(?: of .+)?",
        low,
    ):
        yield Reading((Draft("denoise"),))


def _fade(low: str) -> Iterator[Reading]:
    if not re.search(r"\bfade", low):
        return
    params: dict[str, float] = {}
    assumptions: list[str] = []
    parts = re.split(r"\band (?=(?:a )?fade|out|in\b)|, ?", low)
    for part in parts:
        kind = re.search(r"\b(in|out)\b", re.sub(r"\bin (?=\d|half|one|two|a\b)", "", part))
        if kind is None:
            continue
        half = re.search(r"half a sec", part)
        n = 0.5 if half else _number(part, rf"{_N}[ -]?(?:s|secs?|seconds?)\b")
        milli = _number(part, rf"{_N}[ -]?(?:ms|milliseconds?)\b")
        if n is None and re.search(r"\b(?:last|first|final) second\b", part):
            n = 1.0
        if milli is not None:
            n = milli / 1000
        if n is None:
            n = 1.0
            assumptions.append(f"no length was given: fade {kind.group(1)} over 1 s")
        params[kind.group(1)] = float(n)
    if params:
        yield Reading((Draft("fade", params=dict(params), assumptions=tuple(assumptions)),))


def _sound(low: str) -> Iterator[Reading]:
    lead = r"(?:add|put|mix(?: in)?|insert|overlay|include|play|place|give (?:it|me|the \w+)|have|introduce|layer|lay)"
    match = re.fullmatch(
        rf"{lead} (?:in |some |a |an |the |a bit of |light |heavy |soft |gentle )*(?:background |ambient )?(?P<what>.+?)"
        r"(?P<where>(?: (?:to|in|into|on|behind|under|underneath|over|beneath) (?:the |this |my )?"
        r"(?:audio|background|speech|recording|voice|it|clip|sound|track|speaker|file))*)"
        r"(?:,? (?:at|with)(?: an?)? (?:snr (?:of )?)?(?P<snr>-?\d+(?:\.\d+)?) ?db(?: snr)?)?",
        low,
    )
    if match is None:
        return
    what = re.sub(
        r"\b(?:background|ambient|sounds?|noises?|effects?|of|the|some)\b", " ", match.group("what")
    )
    label = find_label(what.strip() or match.group("what"), SOUNDS)
    background = "background" in low
    if label is None and background and re.search(r"\bnoise\b", low):
        label = "white_noise"
    if label is None:
        return
    params: dict[str, object] = {"sound": label}
    if match.group("snr"):
        params["snr_db"] = float(match.group("snr"))
    yield Reading((Draft("add_sound", params=params),))


def _style(low: str) -> Iterator[Reading]:
    change = r"(?:change|convert|turn|switch|set|make|shift|alter|transform|adjust|modify)"
    if re.search(r"\b(?:emotion|mood|feeling|sentiment|tone|emotional)\b", low) or re.match(
        r"(?:make|have|let|say|speak|read|sound|deliver)\b", low
    ):
        match = (
            re.fullmatch(
                rf"(?:{change}|give|use|apply|render|deliver)\b.*?\b(?:to|into|as|be|a|an|in)? ?(?:more )?(?P<label>[a-z]+)"
                r"(?: (?:mood|emotion|tone|feeling|voice|style))?",
                low,
            )
            if re.search(r"\b(?:emotion|mood|feeling|sentiment|tone)\b", low)
            else None
        )
        match = match or re.fullmatch(
            r"(?:make|have|let) (?:it|her|him|them|me|the (?:speaker|voice|speech|audio|recording)|this)"
            r" (?:sound |be |speak |feel )?(?:more |very |really )?(?P<label>[a-z]+)",
            low,
        ) or re.fullmatch(
            r"(?:say|speak|read|sound|deliver)(?: it| this| that)? (?:in an? |with )?(?:more )?(?P<label>[a-z]+)"
            r"(?: (?:voice|tone|way|manner|mood|emotion))?",
            low,
        )  # fmt: skip
        label = find_label(match.group("label"), EMOTIONS) if match else None
        if label:
            yield Reading((Draft("emotion", params={"label": label}),))
            return
    if re.search(r"\b(?:accent|dialect)\b", low) or re.match(
        r"(?:say|speak|read|make|convert|turn|change|switch|have|translate|use)\b", low
    ):
        named = re.search(r"\b(?:accent|dialect)\b", low)
        match = re.search(
            r"\b(?:to|into|in|with|as|a|an|use|speak)\b (?:the |an? )?(?P<label>[a-z]+)(?: (?:accent|dialect|speech))?$",
            low,
        )
        label = find_label(match.group("label"), DIALECTS) if match else None
        if label and (named or re.search(r"\b(?:in|into|to|speak|use)\b", low)):
            yield Reading((Draft("dialect", params={"label": label}),))


__all__ = ["acoustic_readings", "degree_factor"]
