"""Conditions on the columns of a row: `snr > 20 and (language == "en" or language is null)`.

    condition := both ("or" both)*          both := one ("and" one)*
    one       := "not" one | comparison
    comparison := sum (("<" | "<=" | ">" | ">=" | "==" | "=" | "!=") sum
                       | ["not"] "in" "(" value ("," value)* ")" | "is" ["not"] "null")?
    sum       := product (("+" | "-") product)*      product := atom (("*" | "/") atom)*
    atom      := number | text in quotes | "true" | "false" | "null" | column | "(" condition ")"

Nothing else is understood, and nothing is ever executed. What is null is unknown, as in SQL: a
comparison with it is null, `null and false` is false, `null or true` is true.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mingtok_audio.core.config.schema import near
from mingtok_audio.core.errors import UserError

Evaluate = Callable[[Mapping[str, Any]], Any]
_MAX_LENGTH, _MAX_DEPTH = 10_000, 50
_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)"
    r"|(?P<text>\"[^\"]*\"|'[^']*')"
    r"|(?P<name>[^\W\d]\w*)"
    r"|(?P<sign><=|>=|==|!=|<>|[<>=()+\-*/,]))"
)
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "=": operator.eq,
    "!=": operator.ne,
    "<>": operator.ne,
}
_WORDS = frozenset({"and", "or", "not", "in", "is", "null", "true", "false"})


@dataclass(frozen=True)
class Expression:
    """A condition that was understood.

    Attributes:
        text: as it was written.
        columns: that it reads.
    """

    text: str
    columns: frozenset[str]
    evaluate: Evaluate = field(repr=False, compare=False)

    def __call__(self, row: Mapping[str, Any]) -> bool | None:
        """Whether it holds; None where that is unknown.

        Raises:
            TypeError: values that cannot be compared, in words.
        """
        value = self.evaluate(row)
        if value is None or isinstance(value, bool):
            return value
        raise TypeError(f"it gives {value!r}, which is neither true nor false")

    def check(self, known: Iterable[str], where: str) -> None:
        """Refuse columns that are not known (UserError, with the nearest one)."""
        names = set(known)
        for column in sorted(self.columns):
            if column not in names:
                raise UserError(f"{where}: there is no column '{column}'{near(column, names)}")


def parse(text: str, where: str = "--where") -> Expression:
    """A condition from its text.

    Raises:
        UserError: names the place that is not understood.
    """
    if len(text) > _MAX_LENGTH:
        raise UserError(f"{where}: the condition is longer than {_MAX_LENGTH} characters")
    return _Parser(text, where).whole()


class _Parser:
    def __init__(self, text: str, where: str) -> None:
        self._text, self._where = text, where
        self._columns: set[str] = set()
        self._depth = 0
        self._tokens: list[tuple[str, str, int]] = []
        place = 0
        end = len(text.rstrip())
        while place < end:
            match = _TOKEN.match(text, place)
            if match is None or match.lastgroup is None:
                start = place + len(text[place:]) - len(text[place:].lstrip())
                raise self._error(f"{text[start]!r} is not understood", start)
            start = match.start(match.lastgroup)
            self._tokens.append((match.lastgroup, match[match.lastgroup], start))
            place = match.end()
        self._at = 0

    def whole(self) -> Expression:
        if not self._tokens:
            raise UserError(f"{self._where}: the condition is empty")
        evaluate = self._or()
        if self._at < len(self._tokens):
            raise self._unexpected("the end")
        return Expression(self._text.strip(), frozenset(self._columns), evaluate)

    def _error(self, problem: str, place: int) -> UserError:
        return UserError(f"{self._where}: {problem} (character {place + 1} of '{self._text}')")

    def _unexpected(self, wanted: str) -> UserError:
        if self._at >= len(self._tokens):
            return self._error(f"it ends where {wanted} was expected", len(self._text))
        _, value, place = self._tokens[self._at]
        return self._error(f"'{value}' stands where {wanted} was expected", place)

    def _peek(self) -> str:
        """The next sign or word, in lower case; "" at the end, for numbers, texts and columns."""
        if self._at >= len(self._tokens):
            return ""
        kind, value, _ = self._tokens[self._at]
        if kind == "name" and value.lower() in _WORDS:
            return value.lower()
        return value if kind == "sign" else ""

    def _take(self, *wanted: str) -> str:
        found = self._peek()
        if found and found in wanted:
            self._at += 1
            return found
        return ""

    def _need(self, wanted: str) -> None:
        if not self._take(wanted):
            raise self._unexpected(f"'{wanted}'")

    def _or(self) -> Evaluate:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise UserError(f"{self._where}: the condition is nested too deeply")
        parts = [self._and()]
        while self._take("or"):
            parts.append(self._and())
        self._depth -= 1
        return parts[0] if len(parts) == 1 else _any(parts)

    def _and(self) -> Evaluate:
        parts = [self._not()]
        while self._take("and"):
            parts.append(self._not())
        return parts[0] if len(parts) == 1 else _all(parts)

    def _not(self) -> Evaluate:
        count = 0
        while self._take("not"):
            count += 1
        inner = self._comparison()
        if count:
            inner = _negated(inner)
        return _negated(inner) if count and count % 2 == 0 else inner

    def _comparison(self) -> Evaluate:
        left = self._sum()
        sign = self._take(*_COMPARE)
        if sign:
            return _compared(sign, left, self._sum())
        if self._take("is"):
            negative = bool(self._take("not"))
            self._need("null")
            return lambda row: (left(row) is None) != negative
        negative = self._peek() == "not"
        if negative:
            self._at += 1
            self._need("in")
        elif not self._take("in"):
            return left
        self._need("(")
        members = [self._sum()]
        while self._take(","):
            members.append(self._sum())
        self._need(")")
        inside = _any([_compared("==", left, member) for member in members])
        return _negated(inside) if negative else inside

    def _sum(self) -> Evaluate:
        left = self._product()
        while sign := self._take("+", "-"):
            left = _arithmetic(sign, left, self._product())
        return left

    def _product(self) -> Evaluate:
        left = self._atom()
        while sign := self._take("*", "/"):
            left = _arithmetic(sign, left, self._atom())
        return left

    def _atom(self) -> Evaluate:
        if self._take("("):
            inner = self._or()
            self._need(")")
            return inner
        if self._take("-"):
            self._depth += 1
            if self._depth > _MAX_DEPTH:
                raise UserError(f"{self._where}: the condition is nested too deeply")
            inner = self._atom()
            self._depth -= 1
            return _arithmetic("-", lambda row: 0, inner)
        constant = self._take("null", "true", "false")
        if constant:
            value = {"null": None, "true": True, "false": False}[constant]
            return lambda row: value
        if self._at >= len(self._tokens) or self._peek():
            raise self._unexpected("a column or a value")
        kind, text, _ = self._tokens[self._at]
        self._at += 1
        if kind == "number":
            number = float(text) if re.search(r"[.eE]", text) else int(text)
            return lambda row: number
        if kind == "text":
            return lambda row: text[1:-1]
        self._columns.add(text)
        return lambda row: row.get(text)


def _truth(value: Any) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    raise TypeError(f"{value!r} is neither true nor false")


def _all(parts: list[Evaluate]) -> Evaluate:
    def evaluate(row: Mapping[str, Any]) -> bool | None:
        unknown = False
        for part in parts:
            found = _truth(part(row))
            if found is False:
                return False
            unknown = unknown or found is None
        return None if unknown else True

    return evaluate


def _any(parts: list[Evaluate]) -> Evaluate:
    def evaluate(row: Mapping[str, Any]) -> bool | None:
        unknown = False
        for part in parts:
            found = _truth(part(row))
            if found is True:
                return True
            unknown = unknown or found is None
        return None if unknown else False

    return evaluate


def _negated(part: Evaluate) -> Evaluate:
    def evaluate(row: Mapping[str, Any]) -> bool | None:
        found = _truth(part(row))
        return None if found is None else not found

    return evaluate


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    return "a text" if isinstance(value, str) else type(value).__name__


def _compared(sign: str, left: Evaluate, right: Evaluate) -> Evaluate:
    compare = _COMPARE[sign]

    def evaluate(row: Mapping[str, Any]) -> bool | None:
        one, other = left(row), right(row)
        if one is None or other is None:
            return None
        if _kind(one) != _kind(other):
            raise TypeError(f"{_kind(one)} ({one!r}) {sign} {_kind(other)} ({other!r})")
        return bool(compare(one, other))

    return evaluate


def _arithmetic(sign: str, left: Evaluate, right: Evaluate) -> Evaluate:
    def evaluate(row: Mapping[str, Any]) -> float | None:
        one, other = left(row), right(row)
        if one is None or other is None:
            return None
        if _kind(one) != "a number" or _kind(other) != "a number":
            raise TypeError(f"{_kind(one)} ({one!r}) {sign} {_kind(other)} ({other!r})")
        if sign == "+":
            return one + other
        if sign == "-":
            return one - other
        if sign == "*":
            return one * other
        return None if other == 0 else one / other

    return evaluate
