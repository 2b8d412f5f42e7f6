"""English as data: fragments, politeness, references ("the last two words"), places, amounts.

The clauses themselves ("replace ... with ...") stand with their operations. How patterns are
written is told in `rules`.
"""

from __future__ import annotations

from uniaudio_edit.grammar.numbers import (
    EN_CARDINAL,
    EN_NUMBER,
    EN_ORDINAL,
    english_integer,
    english_number,
    english_position,
)
from uniaudio_edit.grammar.quoting import Q
from uniaudio_edit.grammar.rules import Language, rules

WORDS = {
    "Q": Q,
    "CARDINAL": EN_CARDINAL,
    "ORDINAL": EN_ORDINAL,
    "N": rf"(?P<n>{EN_NUMBER})",
    "PERCENT": r" ?%| per ?cent| percent",
    "NOUN": r"words?|characters?|chars?|phrases?|terms?|expressions?|parts?|bits?|texts?|strings?|clauses?|sections?|segments?|portions?|fragments?|names?|tokens?|verbs?|nouns?|adjectives?|adverbs?|pieces?|passages?|hanzi",
    "UNIT": r"words?|characters?|chars?|tokens?|terms?|hanzi|units?",
    "DET": r"(?:the |that |this |those |these |its |their |my |her |his )?",
    "VERY": r"(?:very |exact |single )?",
    "WHICH": r"(?:that |which )?(?:comes? |is |are |appears? |stands? |goes |occurs? |says? )?",
    "JUST": r"(?:right |just |directly |immediately |straight )?",
    "AFTER": r"after|following|behind|succeeding|to the right of",
    "BEFORE": r"before|preceding|in front of|ahead of|prior to|to the left of",
    "SIDE": r"(?P<after>{AFTER})|(?P<before>{BEFORE})",
    "LAST_ORDINAL": r"last|final|ending|closing|penultimate|antepenultimate|(?:next|second)[ -]to[ -]last|{ORDINAL}[ -](?:to[ -](?:the[ -])?)?last|{ORDINAL} from (?:the )?(?:last|end|back)",
    "ORD": r"{LAST_ORDINAL}|opening|initial|starting|beginning|leading|{ORDINAL}",
    "EVERY": r"all(?: of)?(?: the)?|every(?: single)?|each(?: of the)?|any|all (?:two|three|four|five)(?: of the)?",
    "TIMES": r"occurrences?|instances?|mentions?|appearances?|copies|uses?",
    "OCCURRENCE": r"(?:{TIMES} )?(?:of )?{DET}(?:{NOUN} )?(?:of )?",
    "TO": r" ?(?:to|through|thru|till|until|up to|-|–|—|~) ?(?:the |word |index |position )*",
    "INDEXED": r"(?:(?:at|in|with|of|from|on) )?(?:the )?(?:index(?:es)?|indices|positions?|places?|slot)?",
    "EVERYTHING": r"everything|anything|all(?: (?:of )?(?:the )?(?:\w+))?|the rest(?: of (?:it|the \w+))?|(?:the |that )?(?:whole )?(?:part|text|portion|section|words|bit)|whatever|what|every word",
    "STRETCH": r"(?:{EVERYTHING} )?{WHICH}",
    "WHERE": r"(?:(?:whole|entire|original|given|spoken|source|input|current|following|full|first|last)\s)?(?:sentence|audio|recording|speech|clip|text|utterance|transcript(?:ion)?|file|line|sample|phrase|statement|message|passage|content|voice ?over|track|paragraph|quote|wav)",
    "OF_TEXT": r"(?: of (?:it|(?:(?:the|this|that|my) )?(?:{WHERE}|everything|thing)))?",
    "THING": r"(?:the |this |my |that )?(?:audio|recording|sound|speech|clip|file|voice|track|it)",
    "START": r"(?:(?:to|at|in|on|onto|as|from|into) )?(?:the )?(?:very |absolute )?(?:start|beginning|front|head|opening|top)",
    "END": r"(?:(?:to|at|in|on|onto|as|into) )?(?:the )?(?:very |absolute )?(?:end|ending|back|tail|close|finish)",
    "GO": r"should|must|needs? to|has to|have to|ought to|can|shall|is to|are to",
    "DELETE": r"delete|remove|erase|drop|omit|get rid of|take (?:out|away|off)|cut(?: (?:out|off|away))?|strip(?: (?:out|off|away))?|eliminate|leave out|skip|discard|scrap|kill|lose|trim(?: off)?|clip(?: (?:out|off))?|snip(?: (?:out|off))?|edit out|exclude|wipe(?: out)?|clear|ditch|chop(?: (?:off|out))?|excise|throw (?:out|away)|do away with|rub out|crop(?: out)?|silence|deleting|removing|cutting|erasing|dropping|taking out|leave off|shave off",
    "INSERT": r"insert|add(?: in)?|put(?: in)?|place|say|append|prepend|include|stick(?: in)?|slip(?: in)?|throw(?: in)?|squeeze(?: in)?|attach|tack(?: on)?|drop in|introduce|speak|state|mention|inject|write(?: in)?|set|have|inserting|adding|position|embed|interject|supplement",
    "CHANGE": r"change|swap(?: out)?|switch(?: out)?|turn|make|exchange|convert|modify|alter|edit|correct|fix|rewrite|update|transform|rename|revise|amend|reword|rephrase|changing|swapping|adjust|trade|re-?record",
    "SUBSTITUTE": r"substitute|substituting",
    "REPLACE": r"replace|replacing",
    "RESAY": r"read|say|have|set|let|shift",
    "SAY": r"(?:(?:have|make|let) (?:it|her|him|them|the (?:speaker|voice|person|audio|recording)) say|say(?:s|ing)?|use|put|have|write|read|speak|insert|place|choose|make (?:it|that|this)(?: say)?|it (?:should|must) (?:say|be|read)|let it (?:be|say)|pick|give|go with|with|i want|(?:i|we|you|she|he|they|it|the (?:speaker|voice|audio|text|sentence)) (?:should|must|want to|needs? to|ought to)(?: say| be| read| use)?|change (?:it|that) to|it's|it is)",
    "INSTEAD": r"instead of|rather than|in place of|in lieu of",
    "GONE": r"gone|removed|deleted|cut(?: out)?|dropped|erased|omitted|taken out|left out|out|eliminated|disappear",
    "CHANGED": r"replaced|changed|swapped(?: out)?|substituted|switched|turned|converted|corrected|exchanged|modified",
    "BECOME": r"{GO} (?:be {CHANGED} (?:by|with|to|into|for)|be|become|say|read|sound like)|becomes|is {CHANGED} (?:by|with|to|into)|(?:to be )?{CHANGED} (?:by|with|to|into|for)|->|=>|→|⇒|-->|>",
    "SAME_PLACE": r"in(?:to)? (?:the|that|its) (?:same |exact )*(?:place|spot|position|stead)|there|instead",
    "STARTERS": r"{JUST}(?:{AFTER}|{BEFORE}|(?:in )?between)|(?:at|to|in|on|onto|into|as|so) (?:the|that|it|index|position|word|place|very)|to be|first|last|at|on|between",
    "WHOLE": r"(?: off| out)?(?: (?:it|things|the (?:whole )?\w+|this(?: \w+)?|my \w+|everything))?(?: off| out)?",
    "SPEAKER": r"(?:have|make|let|get)\s+(?:the\s+)?(?:speaker|voice|narrator|reader|person|man|woman)\s+(?:to\s+)?",
    "WANT": r"(?:i|we)\s*(?:'d|’d|\s+would)?\s*(?:want|like|need)\s+",
    "PLACED": r"(?=(?:right |just |directly |immediately )?(?:after|before|between|behind|at|in front of|following|preceding|as the)\b)",
    "SOME": r"\d{1,3}|one|two|three|four|five|six|seven|eight|nine|ten",
    "SECONDS": r"seconds?|secs?|s",
    "MILLISECONDS": r"milliseconds?|ms",
    "PEOPLE_SAY": r"um+|uh+|erm?|ah+|hmm+|mm+|uhm+",
}
_NOUNED = r"(?:{EVERYTHING}|{NOUN}|the {NOUN})"

LEAD = (
    r"^(?:(?:please|kindly|hey|hi|ok(?:ay)?|now|just|simply|also|and|so|then|next|finally|lastly|first(?:ly)?,|second(?:ly)?,|additionally|plus|afterwards|after that|i think|(?:can|could|would|will) (?:you|we)(?: (?:please|kindly|just|also|maybe))*|(?:i )?(?:want|need|would like|'d like|wish|ask) you to|i'd like you to|i (?:want|need|would like|'d like) to|i'd (?:like|love|prefer) (?:you )?to|we need to|you (?:should|need to|must|have to|can|could)|let's|let us|help me(?: to)?|go ahead and|try to|make sure (?:to|you)|be sure to|remember to|i would|would you mind|do|(?:\(?\d{1,2}[.)]|[-*•–—]+))[ ,:]+)+",
    r"^(?:modify|change|edit|fix|update|correct|alter|revise|rewrite)(?: (?:the|this|that|my))? (?:whole )?(?:sentence|audio|recording|speech|clip|text|utterance|transcript|line|it)(?: by| so that|:| and) (?=\S)",
)
TRAIL = (
    r"(?:[ ,]+(?:please|thanks|thank you|for me|if you (?:can|could|please|would)|will you|would you|okay|ok|as well|too|altogether|entirely|completely|instead|now|at once))+$",
    r"[ ,]+(?:from|in|(?<!out )of|within|on|inside|for|throughout)(?: (?:the|this|that|my|your|her|his|our|its))? {WHERE}$",
)
# Roundabout wordings, made plain. None decides what is meant.
REWRITES = (
    (r"\b{UNIT} ?(?:or|/) ?(?:words|characters|chars|tokens|terms|units)\b", "words"),
    (r"\b{UNIT} ?(?:or|/) ?{UNIT}\b", "word"),
    (r"\b{SPEAKER}(?:skip|drop|omit|leave\s+out|not\s+say)\b", "delete"),
    (r"\b{SPEAKER}say\s+({Q})\s+{PLACED}", r"insert \1 "),
    (r"\b{SPEAKER}say\b", "say"),
    (
        r"\bthere(?:'s|’s|\s+is)\s+no\s+need\s+for\s+([^,;.]+?)\s*(?:[,;.]|\band\b)+\s*(?:so\s+|please\s+)*(?:cut|delete|remove|drop|erase)\s+(?:it|them)(?:\s+out)?",
        r"delete \1",
    ),
    (
        r"\bthe\s+({SOME})\s+(words?|characters?)\s+at\s+the\s+(?:very\s+)?(?:beginning|start)\b",
        r"the first \1 \2",
    ),
    (r"\bthe\s+({SOME})\s+(words?|characters?)\s+at\s+the\s+(?:very\s+)?end\b", r"the last \1 \2"),
    (r"\b(words?|characters?)\s+that\s+(?:follows?|comes?\s+after)\s+({Q})", r"\1 after \2"),
    (r"\b(words?|characters?)\s+that\s+(?:precedes?|comes?\s+before)\s+({Q})", r"\1 before \2"),
    (
        r"\b{WANT}(?:to\s+have\s+)?({Q})\s+(?:to\s+be\s+)?(?:added|inserted|placed|put)\b",
        r"insert \1",
    ),
    (
        r"\b{WANT}(?:to\s+hear\s+)?({Q})\s+(?:in\s+place\s+of|instead\s+of|rather\s+than)\s+([^;.]+)",
        r"replace \2 with \1",
    ),
    (
        r"\b(?:squeeze|slip|tuck|drop|work)\s+({Q})\s+(?:in(?:to)?\s+)?(?:in\s+(?=between))?{PLACED}",
        r"insert \1 ",
    ),
    (
        r"({Q})\s+(?:up\s+|all\s+the\s+way\s+)?(?:through\s+)?to\s+and\s+including\s+({Q})",
        r"\1 to \2",
    ),
)

LITERAL = r"(?:(?:the|a|an|that|this|those|these|its|some|my|her|his) )?(?:following )?(?:(?:new )?{NOUN} |sentence |line |{CARDINAL} {NOUN} )?(?:of )?(?:called |reading |saying |that says |that reads |namely |: ?)?(?P<quote>{Q})(?: (?:{NOUN}|sentence|itself|there))?"
TRIMMED = (
    (r"^(?:the|that|this|a|an) (?:{NOUN} )?|^{NOUN} ", "", 2),
    (r" (?:{NOUN}|there)$", "", 2),
)
NEW = ((r"^(?:just |simply |only |be |say |read )(?=(?:the )?(?:{UNIT} )?\S)", ""),)

_PLURAL = {"singular": r"s$", "singular_rank": 2}
REFERENCES = (
    *rules(
        "position",
        r"{DET}{VERY}(?P<n>{ORD}) {UNIT}",
        stop=True,
    ),
    *rules(
        "backwards",
        r"{DET}{VERY}(?P<n>{ORDINAL}) {UNIT},? (?:count(?:ed|ing) )?(?:backwards? )?from (?:the )?(?:end|back|last)(?: one| word| of .+)?",
        r"{DET}{UNIT} {WHICH}(?:the )?(?P<n>{ORDINAL}) from (?:the )?(?:end|back)",
        stop=True,
    ),
    *rules(
        "position",
        r"{DET}{VERY}(?P<n>{ORDINAL}) {UNIT},? from (?:the )?(?:beginning|start)",
        stop=True,
    ),
    *rules(
        "position",
        r"{DET}{UNIT} (?:in |at )(?:the )?(?P<n>{ORD}) (?:position|place)",
    ),
    *rules(
        "head",
        r"{DET}(?:very )?(?:first|opening|initial|leading|beginning|starting) (?P<count>{CARDINAL}) {UNIT}",
    ),
    *rules(
        "tail",
        r"{DET}(?:very )?(?:last|final|closing|ending|trailing) (?P<count>{CARDINAL}) {UNIT}",
    ),
    *rules(
        "head",
        r"{DET}(?P<count>{CARDINAL}) (?:first|opening|initial) {UNIT}",
    ),
    *rules(
        "tail",
        r"{DET}(?P<count>{CARDINAL}) (?:last|final) {UNIT}",
    ),
    *rules(
        "span",
        r"(?=.*(?:{UNIT}|index|indices|position))(?:from )?{DET}(?:{UNIT} )?(?:number(?:ed|s)? |from )*{INDEXED} ?(?:the )?(?P<n>{CARDINAL}|{ORDINAL}){TO}(?P<m>{CARDINAL}|{ORDINAL})(?: {UNIT})?",
        r"from (?=.*(?:{UNIT}|index|indices|position)){DET}(?:{UNIT} )?(?:number(?:ed|s)? |from )*{INDEXED} ?(?:the )?(?P<n>{CARDINAL}|{ORDINAL}) ?and ?(?:the |word |index |position )*(?P<m>{CARDINAL}|{ORDINAL})(?: {UNIT})?",
        r"(?:from )?{DET}(?P<n>{ORD})(?: {UNIT})?{TO}(?P<m>{ORD}) {UNIT}",
        r"from {DET}(?P<n>{ORD}) {UNIT} (?:to|through|until|till) {DET}(?P<m>{ORD})",
    ),
    *rules(
        "position",
        r"{DET}(?:{UNIT} )?(?:that is )?(?:at |in |with |of )?(?:the )?(?:{UNIT}|index|position|place)(?: at| in)?(?: (?:index|position|place))?(?: ?(?:number|no\.?|#|=))? ?(?!an?\b|couple)(?P<n>{CARDINAL})",
    ),
    *rules(
        "sentence",
        r"{DET}{VERY}(?P<n>{ORD}) sentences?",
        r"sentence (?:number |no\.? ?)?(?P<n>{CARDINAL})",
    ),
    *rules(
        "sentences",
        r"(?:from )?sentences? (?P<n>{CARDINAL}) ?(?:to|through|until|-|–) ?(?:sentence )?(?P<m>{CARDINAL})",
    ),
    *rules("first_sentences", r"{DET}(?:very )?first (?P<count>{CARDINAL}) sentences"),
    *rules("last_sentences", r"{DET}(?:very )?(?:last|final) (?P<count>{CARDINAL}) sentences"),
    *rules(
        "sentence_with",
        r"{DET}(?:whole |entire )?sentence (?:(?:that|which) (?:contains|has|says|mentions|includes|reads)|with|containing|about) {content}(?: in it)?",
    ),
    *rules(
        "nth",
        r"{DET}{VERY}(?P<n>{ORD}) {OCCURRENCE}{content}",
        unquoted=1,
    ),
    *rules(
        "nth",
        r"{content},? (?:the |for the )(?P<n>{ORD}) (?:time|occurrence|one)",
        r"{content},? \(?(?P<n>{ORD}) {TIMES}\)?",
    ),
    *rules(
        "every",
        r"both(?: of)?(?: the)? (?:{CARDINAL} )?{OCCURRENCE}{content}",
        values={"count": 2, **_PLURAL},
    ),
    *rules(
        "every",
        r"{EVERY} (?:{CARDINAL} )?{OCCURRENCE}{content}",
        r"{content} (?:everywhere|throughout|each time|every time)",
        values=_PLURAL,
    ),
    *rules(
        "neighbours",
        r"(?:the |a )?(?:single )?(?:(?:next |previous )?(?P<count>{CARDINAL}) )?{UNIT} {WHICH}{JUST}{SIDE} {anchor}",
    ),
    *rules(
        "neighbours",
        r"the (?:next |previous )?(?P<count>(?!an?\b){CARDINAL}) {JUST}{SIDE} {anchor}",
        rank=2,
    ),
    *rules(
        "beyond",
        r"{EVERYTHING} {WHICH}{JUST}{SIDE} {anchor}",
    ),
    *rules(
        "onwards",
        r"{STRETCH}(?:starting )?from {anchor} (?:to|until|till|through|up to|all the way to|down to) (?:the )?(?:very )?(?:end|finish|close)(?: of .+)?",
        r"{STRETCH}(?:starting )?from {anchor} (?:on|onwards?|onward|forward|and after)",
    ),
    *rules(
        "until",
        r"{STRETCH}(?:from (?:the )?(?:very )?(?:beginning|start)(?: of .+?)? (?:to|until|till|through|up to)|up to(?: and including)?|until|through) {anchor}",
    ),
    *rules(
        "from_to",
        r"{STRETCH}(?:starting )?from {first} (?:to|through|until|till|up to|all the way to|and ending (?:with|at)) {last}",
    ),
    *rules(
        "between",
        _NOUNED + r" {WHICH}(?:in )?between {first} and {last}",
    ),
    *rules(
        "near",
        r"{content} {WHICH}{JUST}{SIDE} {anchor}",
        unquoted=1,
    ),
    *rules(
        "near_start",
        r"{content} at the (?:very )?(?:start|beginning|front)",
        rank=1,
    ),
    *rules(
        "near_end",
        r"{content} at the (?:very )?(?:end|back)",
        rank=1,
    ),
    *rules(
        "except",
        r"(?:{EVERYTHING}|the other {NOUN}),? (?:except(?: for)?|but|other than|apart from|aside from|besides|save) {anchor}",
    ),
    *rules(
        "whole",
        r"(?:it|them)? ?(?:all|everything|every word|all (?:of )?(?:it|(?:the )?words?|(?:the )?text)|(?:all of )?(?:the |this )?(?:whole|entire|complete|full) (?:\w+)|the (?:sentence|text|recording|audio|speech|transcript))",
    ),
)

PLACES = (
    *rules(
        "start",
        r"{START}{OF_TEXT}|first|up front|in front",
    ),
    *rules(
        "end",
        r"{END}{OF_TEXT}|last|on|afterwards",
    ),
    *rules(
        "become",
        r"(?:as |to be |so (?:that )?it (?:is|becomes) )(?:the )?(?P<n>{ORDINAL}|last|final|opening|closing)(?: {UNIT})?",
        r"(?:at|in|into|to) (?:the )?(?:{UNIT} )?(?:index|position|place|slot|spot)(?: number| no\.?)? (?P<n>{CARDINAL})",
        r"(?:at|in|into|to) (?:the )?(?P<n>{ORDINAL}|last) (?:{UNIT} )?(?:index|position|place|slot|spot)",
    ),
    *rules(
        "between_positions",
        r"{JUST}(?:in |right )?(?:in )?between (?:the )?(?:{UNIT} )?(?P<n>{ORDINAL}|{CARDINAL}) (?:and|&) (?:the )?(?:(?P<m>{ORDINAL}|{CARDINAL})) {UNIT}",
        r"{JUST}(?:in |right )?(?:in )?between (?:the )?(?:{UNIT} )?(?P<n>\d+) (?:and|&) (?:{UNIT} )?(?P<m>\d+)",
    ),
    *rules(
        "between",
        r"{JUST}(?:in |right )?(?:in )?between (?:the )?(?:{UNIT} )?{first} (?:and|&) {last}",
    ),
    *rules(
        "outside",
        r"{JUST}{SIDE} (?:the )?(?:whole |entire )?(?:sentence|text|speech|audio|recording|everything)(?: else)?",
    ),
    *rules(
        "beside",
        r"{JUST}{SIDE}(?: where (?:it|she|he) says)? {anchor}",
    ),
)

QUANTITIES = (
    ("to", r"\bto {N}{PERCENT}", 0.01),
    ("to", r"{N}{PERCENT} (?:of|as)\b", 0.01),
    ("percent", r"{N}{PERCENT}", 0.01),
    (
        "times",
        r"\b(?:twice|double|doubled|doubling|two times)\b|(?<![\d.,])2(?:x| times)\b",
        2.0,
    ),
    ("times", r"\b(?:triple|tripled|thrice)\b", 3.0),
    ("halve", r"\b(?:halve|halved|halving|in half|by half)\b", 0.5),
    ("halve", r"^(?!.*and (?:a )?half).*\bhalf\b(?! an)", 0.5),
    ("times", r"\b{N} ?(?:x|×|times)(?!\w)", None),
    ("times", r"(?:factor|multiplier|ratio|rate|speed) (?:of |= ?)?{N}", None),
    ("to", r"\b(?:to|at|of|=|by) {N}", None),
)
DEGREES = (
    (
        "slight",
        r"(?:a (?:little|tiny|wee|small|touch|tad|tiny)?\s?(?:bit|little|touch|tad|notch|shade)|slightly|somewhat|a little|marginally)",
    ),
    (
        "strong",
        r"\b(?:much|a lot|lots|way|significantly|considerably|far|very much|really|substantially)\b",
    ),
)
# Every word of a clause about speed, pitch, volume or fades has to be one of these: a clause with
# another word in it is about something else, or in another language.
_SOUND_WORDS = """
    a an the this that it its it's is be are to of at by in on for from with as and or so than
    then more less my her his their your our me him them she he they i you we s make makes set
    change changes adjust adjusts adjusting alter alters modify shift shifts shifting turn
    turns put bring bump crank dial have let get give go keep use apply do take move play
    plays talk talks speak speaks say read deliver run sound sounds speaking talking speech
    spoken speaker voice voices voiced audio recording sentence clip file whole entire track
    text utterance sample tone note wav person everything speed speeds sped tempo pace rate
    fast faster quick quicker quickly quicken speedier slow slower slowly slows slowed slowing
    up down accelerate accelerated decelerate decelerated hurry rush drag hasten rapidly rapid
    swiftly stretch compress playback pitch pitched pitches semitone semitones semi tones half
    step steps octave octaves cent cents key transpose raise raises raised raising lower
    lowers lowered lowering higher high low deeper deep deepen upward upwards downward
    downwards sharpen flatten lift drop st volume loudness loud louder loudly louden gain
    amplitude level levels decibel decibels db quiet quieter quietly quieten soft softer
    softly amplify attenuate boost increase increases increased increasing decrease decreases
    decreased reduce reduces reduced reducing cut double doubled doubling triple tripled halve
    halved twice thrice times time factor multiplier ratio percent per cent x original
    originally current normal previous present value amount should must move moves moved what
    was bit little tiny small touch tad notch shade slight slightly somewhat marginally much
    lot lots way significantly considerably far very really substantially quite rather just
    about around again over further overall fade fades fading out first last final seconds
    second sec secs ms milliseconds millisecond start beginning end opening ending during
    length long minus negative plus hundred zero one two three four five six seven eight nine
    ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty
    thirty forty fifty sixty seventy eighty ninety quarter quarters third thirds point
"""

ENGLISH = Language(
    code="en",
    words=WORDS,
    prepare=str.strip,
    lead=LEAD,
    trail=TRAIL,
    kept=r"{DELETE}|{INSERT}|{CHANGE}|{SUBSTITUTE}|{REPLACE}|{RESAY}|",
    rewrites=REWRITES,
    literal=LITERAL,
    trimmed=TRIMMED,
    new=NEW,
    references=REFERENCES,
    places=PLACES,
    listed=r"\s*,\s*(?:and |or )?(?:also )?|\s+and(?: also)?\s+|\s+as well as\s+|\s*&\s*|\s+plus\s+",
    items=(
        (r" sentences?$", r"(?:the )?(?P<o>{ORD}) one", r"the \g<o> sentence"),
        (r" {UNIT}$", r"(?:the )?(?P<o>{ORD}) one", r"the \g<o> word"),
        (r" sentences?$", r"(?:the )?(?:{ORD}|{CARDINAL})", r"\g<0> sentence"),
        (r" {UNIT}$", r"(?:the )?(?:{ORD}|{CARDINAL})", r"\g<0> word"),
        (
            r"^(?:the )?(?:{UNIT}|index(?:es)?|indices|positions?)(?: (?:at|in|number))?(?: (?:index(?:es)?|positions?))? (?:\d|{CARDINAL}$)",
            r"(?:the )?(?:{ORD}|{CARDINAL})",
            r"word \g<0>",
        ),
    ),
    before_list=r"^both (?:of )?",
    carried=(
        (r"({DELETE}) ", ""),
        (r"((?:insert|add|put|append|place)) ", ""),
        (
            r"((?:replace|substitute|change|swap(?: out)?|switch|turn|convert|exchange)) ",
            "",
        ),
    ),
    closed=r"^(?:only |just )?keep\b|^leave only\b|\b(?:except|but|other than|apart from|aside from)\b",
    join=" ",
    integer=english_integer,
    number=english_number,
    position=english_position,
    quantities=QUANTITIES,
    degrees=DEGREES,
    sound_words=frozenset(_SOUND_WORDS.split()),
)
