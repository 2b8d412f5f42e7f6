"""Task filters: which segments a task can use, by rules that are stated and cheap to change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mingtok_audio.core.errors import UserError
from mingtok_audio.curation.interfaces import CorpusStage, Row, drop_row
from mingtok_audio.curation.presets import Rule, load_preset

NAME = "filters"


class Filters(CorpusStage):
    """Drop what breaks a rule of a preset.

    Args:
        preset: "understanding", "generation", "edit", a YAML file, or None: no rules.
    """

    def __init__(self, preset: str | None = None) -> None:
        self.rules: tuple[Rule, ...] = () if preset is None else load_preset(preset).rules

    def identity(self) -> Mapping[str, Any]:
        """The rules."""
        return {"rules": [[rule.name, rule.keep] for rule in self.rules]}

    def needed(self) -> tuple[str, ...]:
        """The columns that the rules read."""
        return tuple(sorted({c for rule in self.rules for c in rule.expression.columns}))

    def run(self, rows: Sequence[Row]) -> None:
        """Apply the rules in their order: the first one broken is the reason."""
        for row in rows:
            apply_rules(self.rules, row)


def apply_rules(rules: Sequence[Rule], row: Row) -> None:
    """Drop a kept row by the first rule that it breaks."""
    if not row["kept"]:
        return
    for rule in rules:
        try:
            good = rule.expression(row)
        except TypeError as error:
            raise UserError(
                f"the rule {rule.name} ({rule.keep}) cannot be applied: {error}"
            ) from error
        if good is not True:
            drop_row(row, rule.name, f"not ({rule.keep})")
            return
