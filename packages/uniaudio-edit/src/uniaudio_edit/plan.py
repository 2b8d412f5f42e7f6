"""A plan: what an instruction asks for, before any sample is touched.

Units are what an instruction counts: words, or characters where the text is Chinese. A span
`(i, j)` of units is half open and counts from 0; an insertion has i == j, the place before unit i.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from mingtok_audio.core.config import from_dict, to_dict
from mingtok_audio.core.errors import FormatError

FORMAT_VERSION = 1

SEMANTIC: tuple[str, ...] = ("deletion", "insertion", "substitution")


@dataclass(frozen=True)
class Change:
    """A span of the source, in samples, that became a span of the output."""

    source: tuple[int, int]
    output: tuple[int, int]
    operation: int


@dataclass(frozen=True)
class Operation:
    """One step of a plan.

    Attributes:
        type: what is done, the name of an `edit_operation`; `SEMANTIC` types change the text.
        old: the text that goes ("" for an insertion and for sound).
        new: the text that comes ("" for a deletion and for sound).
        text_span: [i, j) in units of the original text; None for sound.
        time_span: [start, end) in seconds of the source; None while it is not known, and for the
            whole recording.
        params: values by name, for example `{"factor": 1.5}`, `{"semitones": -3}`.
        backend: what carries it out; "" until one is chosen.
    """

    type: str
    old: str = ""
    new: str = ""
    text_span: tuple[int, int] | None = None
    time_span: tuple[float, float] | None = None
    params: dict[str, Any] = field(default_factory=dict)
    backend: str = ""

    @property
    def is_semantic(self) -> bool:
        """Whether it changes the text."""
        return self.type in SEMANTIC

    def describe(self) -> str:
        """A short line for people."""
        where = ""
        if self.text_span is not None:
            i, j = self.text_span
            where = f" at {i + 1}" if j <= i + 1 else f" at {i + 1} to {j}"
        if self.type == "deletion":
            return f"delete '{self.old}'{where}"
        if self.type == "insertion":
            return f"insert '{self.new}'{where}"
        if self.type == "substitution":
            return f"replace '{self.old}'{where} with '{self.new}'"
        values = ", ".join(f"{key} {value}" for key, value in self.params.items())
        return f"{self.type} {values}".strip()


@dataclass(frozen=True)
class Plan:
    """What an instruction means for one recording; see `contract.md`.

    Attributes:
        instruction: as given.
        language: of the original text, "en" or "zh".
        original_text, edited_text: of the recording, before and after.
        operations: in the order of the text, sounds last.
        assumptions: what was decided without being said ("a bit" is 10 %).
        confidence: of a grammar's reading, the share of it that the instruction said: operations
            among operations and assumptions (1.0: nothing was assumed). A model parser says how
            much of the recording's text it kept.
    """

    instruction: str
    language: str
    original_text: str
    edited_text: str
    operations: list[Operation] = field(default_factory=list)
    assumptions: list[str] = field(default_factory=list)
    confidence: float = 1.0
    format_version: int = FORMAT_VERSION

    @property
    def semantic(self) -> list[Operation]:
        """The operations that change the text, in its order."""
        return [op for op in self.operations if op.is_semantic]

    @property
    def acoustic(self) -> list[Operation]:
        """The operations that change the sound of the whole recording."""
        return [op for op in self.operations if not op.is_semantic]

    def with_operations(self, operations: list[Operation]) -> Plan:
        """A copy with other operations (times and backends filled in)."""
        return replace(self, operations=operations)

    def to_dict(self) -> dict[str, Any]:
        """As the JSON object of `contract.md`."""
        data = to_dict(self)
        for operation in data["operations"]:
            for key in ("text_span", "time_span"):
                if operation[key] is not None:
                    operation[key] = list(operation[key])
        return {"format_version": data.pop("format_version"), **data}

    @classmethod
    def from_dict(cls, data: Any, where: str = "plan") -> Plan:
        """Inverse of `to_dict`.

        Raises:
            ConfigError: unknown or missing keys, wrong types.
            FormatError: a version that this package does not know.
        """
        if isinstance(data, dict) and data.get("format_version") != FORMAT_VERSION:
            raise FormatError(
                f"{where}: format_version {data.get('format_version')!r} is unknown; this package "
                f"reads {FORMAT_VERSION}"
            )
        return from_dict(cls, data, where)
