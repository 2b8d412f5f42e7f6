"""English wordings. Templates in the grammar of `expand.py`; places are filled by `wording.py`.

`{x}` `{y}` quoted words of the text, `{new}` the quoted new words, `{i}` `{j}` indices, `{n}` a
count, `{o}` `{p}` ordinals, `{unit}` / `{units}` what is counted, `{ref}` / `{place}` a phrase of
`REFERENCES` / `PLACES`.
"""

from __future__ import annotations

# The published basic set: few phrasings, for both languages (paper, appendix C.1).
BASIC: dict[str, tuple[str, ...]] = {
    "deletion": ("delete {ref}",),
    "insertion": ("insert {new} {place}",),
    "substitution": ("substitute {ref} with {new}",),
}
BASIC_PHRASES: dict[str, tuple[str, ...]] = {
    "range": ("the characters or words from index {i} to index {j}",),
    "quote": ("{x}",),
    "at_start": ("at the beginning",),
    "at_end": ("at the end",),
    "after_index": ("after the character or word at index {i}",),
    "before_index": ("before the character or word at index {i}",),
    "after_quote": ("after the character or word {x}",),
    "before_quote": ("before the character or word {x}",),
}

_POLITE = (
    "(||||please |Please, |could you |can you |could you please |I'd like you to |kindly |just |"
    "go ahead and )"
)
_FROM = "(|||| from the (sentence|recording|audio|clip)| in the (sentence|recording|audio|clip))"
_IN = "(|||| in the (sentence|recording|audio|clip))"
_FOR_ME = "(||||| for me|, please| please)"

FULL: dict[str, tuple[str, ...]] = {
    "deletion": (
        _POLITE
        + "(delete|remove|remove|cut|cut out|drop|erase|take out|leave out|strip out|get rid of)"
        + " {ref}"
        + _FROM
        + _FOR_ME,
        "(Delete|Remove|Drop|Erase) {ref}",
        "(Take|Cut|Leave) {ref} out" + _FROM,
        "{ref} (should|must|can) (go|be removed|be deleted|be cut)",
        "(I want|I'd like|We want) {ref} (removed|deleted|cut|taken out)" + _FROM,
        "(Skip|Leave out|Lose) {ref}" + _FOR_ME,
        "(Make|Have) the speaker (skip|leave out|drop) {ref}",
        "There is no need for {ref}, (delete|remove|cut) it",
    ),
    "substitution": (
        _POLITE + "(replace|substitute|swap|exchange) {ref} with {new}" + _FOR_ME,
        "(Replace|Substitute|Exchange) {ref} (with|by) {new}",
        _POLITE + "(change|turn|switch|alter) {ref} (to|into) {new}" + _FOR_ME,
        "(Change|Correct|Switch|Convert) {ref} to {new}" + _FROM,
        "(Swap|Exchange) {ref} for {new}",
        "(Use|Say|Put|Have) {new} (instead of|in place of|rather than) {ref}",
        "{ref} should (be|become|read|say) {new}",
        "(Let|Have) {ref} become {new}",
        "(I want|I'd like|We want) to hear {new} (instead of|in place of) {ref}",
        "Make the speaker say {new} (instead of|rather than) {ref}",
        "Substitute {new} for {ref}",
    ),
    "insertion": (
        _POLITE + "(insert|add|put|place|include) {new} {place}" + _FOR_ME,
        "(Insert|Add|Put) (the {newnoun} |){new} {place}" + _IN,
        "{place}, (insert|add|put|say|include) {new}",
        "Make the speaker say {new} {place}",
        "(I want|I'd like|We want) {new} (added|inserted|placed) {place}",
        "{new} should (come|go|be inserted|be added) {place}",
        "(Slip|Squeeze|Drop) {new} in {place}",
    ),
}
# Whole sentences that only the ends of a text allow.
FULL_WHOLE: dict[str, tuple[str, ...]] = {
    "at_start": (
        "(Start|Begin|Open) (the sentence|the recording|the clip|it) with {new}",
        _POLITE + "(prepend|put) {new} (in front of|before) the (whole |entire |)sentence",
        _POLITE + "(start|begin) the sentence with {new}",
    ),
    "at_end": (
        "(End|Finish|Close|Conclude) (the sentence|the recording|the clip|it) with {new}",
        _POLITE + "append {new} to the (sentence|recording|clip)",
        _POLITE + "(end|finish) the sentence with {new}",
    ),
}

REFERENCES: dict[str, tuple[str, ...]] = {
    "range": (
        "the ({units}|characters or words) from (index|position) {i} to (index|position) {j}",
        "{units} {i} (to|through) {j}",
        "everything from {unit} {i} to {unit} {j}",
        "{units} number {i} (to|through) {j}",
        "the {units} (at|in) positions {i} to {j}",
    ),
    "single": (
        "the {unit} at (index|position) {i}",
        "{unit} number {i}",
        "the {unit} in position {i}",
    ),
    "nth": ("the {o} {unit}", "the {o} {unit}", "{unit} number {i}"),
    "nth_last": (
        "the {o} to last {unit}",
        "the {o}-to-last {unit}",
        "the {o} {unit} from the end",
        "the {o} last {unit}",
    ),
    "first_n": (
        "the first {n} {units}",
        "the first {n} {units}",
        "the opening {n} {units}",
        "the {n} {units} at the (start|beginning)",
    ),
    "last_n": (
        "the last {n} {units}",
        "the last {n} {units}",
        "the final {n} {units}",
        "the {n} {units} at the (very |)end",
    ),
    "first_1": ("the first {unit}", "the opening {unit}", "the {unit} at the (start|beginning)"),
    "last_1": ("the last {unit}", "the final {unit}", "the {unit} at the (very |)end"),
    "nth_range": (
        "the {o} (to|through) the {p} {unit}",
        "the {o} (to|through) {p} {units}",
        "{units} {i} (to|through) {j}",
    ),
    "nth_pair": ("the {o} and (the |){p} {units}", "{units} {i} and {j}"),
    "quote": ("{x}", "{x}", "{x}", "the {noun} {x}", "the part (that says|saying) {x}"),
    "bare": ("the {unit} {raw}",),  # no quotation marks: people forget them
    "quote_nth": (
        "the {o} {x}",
        "the {o} (occurrence|instance) of {x}",
        "{x} the {o} time it (appears|is said|comes up|occurs)",
    ),
    "quote_last": ("the (last|final) {x}", "the last (occurrence|instance) of {x}"),
    "next_after_1": (
        "the {unit} (right |immediately |directly |that comes |)after {x}",
        "the {unit} (following|that follows) {x}",
    ),
    "next_before_1": (
        "the {unit} (right |immediately |directly |that comes |)before {x}",
        "the {unit} (preceding|that precedes) {x}",
    ),
    "next_after": (
        "the {n} {units} (right |immediately |directly |)after {x}",
        "the {n} {units} (following|that follow) {x}",
    ),
    "next_before": (
        "the {n} {units} (right |immediately |directly |)before {x}",
        "the {n} {units} (preceding|that precede) {x}",
    ),
    "rest_after": (
        "everything after {x}",
        "everything (that comes after|that follows|following) {x}",
        "all (the |){units} after {x}",
    ),
    "rest_before": (
        "everything before {x}",
        "everything (that comes before|that precedes|preceding) {x}",
        "all (the |){units} before {x}",
    ),
    "from_to": (
        "everything from {x} (up to and including|through to and including) {y}",
        "the part from {x} up to and including {y}",
    ),
    "all": (
        "every (occurrence of |instance of |){x}",
        "all (occurrences|instances) of {x}",
        "{x} (everywhere|wherever it (appears|occurs))",
    ),
}

PLACES: dict[str, tuple[str, ...]] = {
    "at_start": (
        "at the (very |)(beginning|start)",
        "at the (beginning|start) of the (sentence|recording|clip)",
        "before the first {unit}",
    ),
    "at_end": (
        "at the (very |)end",
        "at the end of the (sentence|recording|clip)",
        "after the last {unit}",
    ),
    "after_index": (
        "after the ({unit}|character or word) at (index|position) {i}",
        "(right |)after {unit} number {i}",
        "after {unit} {i}",
    ),
    "before_index": (
        "before the ({unit}|character or word) at (index|position) {i}",
        "(right |)before {unit} number {i}",
        "before {unit} {i}",
    ),
    "after_nth": ("(right |just |immediately |directly |)after the {o} {unit}",),
    "before_nth": ("(right |just |immediately |directly |)before the {o} {unit}",),
    "before_last": ("(right |just |)before the (last|final) {unit}",),
    "between_nth": (
        "between the {o} and (the |){p} {units}",
        "between {units} {i} and {j}",
        "in between the {o} and the {p} {unit}",
    ),
    "after_quote": (
        "(right |just |immediately |directly ||)after {x}",
        "after the {noun} {x}",
        "following {x}",
    ),
    "before_quote": (
        "(right |just |immediately |directly ||)before {x}",
        "before the {noun} {x}",
        "(in front of|ahead of) {x}",
    ),
    "after_quote_nth": (
        "(right |just |)after the {o} {x}",
        "after the {o} (occurrence|instance) of {x}",
    ),
    "before_quote_nth": (
        "(right |just |)before the {o} {x}",
        "before the {o} (occurrence|instance) of {x}",
    ),
    "between_quotes": ("(in |)between {x} and {y}", "between the {noun1} {x} and {y}"),
}


def _words(text: str) -> list[str]:
    return text.split()


_SMALL = _words(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen"
)
_TENS = _words("_ _ twenty thirty forty fifty sixty seventy eighty ninety")
_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}


def cardinal(number: int) -> str:
    """1 to 99 in words."""
    if number < len(_SMALL):
        return _SMALL[number]
    tens, ones = divmod(number, 10)
    return _TENS[tens] + (f"-{_SMALL[ones]}" if ones else "")


def ordinal(number: int) -> str:
    """1st to 99th in words."""
    head, dash, last = cardinal(number).rpartition("-")
    last = _ORDINALS.get(last) or (f"{last[:-1]}ieth" if last.endswith("y") else f"{last}th")
    return head + dash + last


def ordinal_digits(number: int) -> str:
    """1st, 2nd, 3rd, 4th, 11th, 21st, ..."""
    if number % 100 in {11, 12, 13}:
        return f"{number}th"
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th') }"
