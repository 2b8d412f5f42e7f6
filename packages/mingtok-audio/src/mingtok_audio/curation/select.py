"""Choosing again from a manifest, by other rules, without touching audio."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from mingtok_audio.curation.interfaces import Row
from mingtok_audio.curation.manifest import Manifest, with_pipeline, write_rows
from mingtok_audio.curation.presets import Rule, load_preset
from mingtok_audio.curation.run import Summary, Tally
from mingtok_audio.curation.stages.filters import NAME, apply_rules


def rules_of(preset: str | None, conditions: Sequence[str]) -> list[Rule]:
    """The rules of a preset, and one (`where`) for each condition.

    Raises:
        UserError: an unknown preset, or a condition that is not understood.
    """
    rules = [] if preset is None else list(load_preset(preset).rules)
    rules += [Rule("where", text, "asked for on the command line") for text in conditions]
    for rule in rules:
        _ = rule.expression  # a condition that is not understood is said now
    return rules


def filter_manifest(
    manifest: Manifest, rules: Sequence[Rule], output: Path | None
) -> tuple[Summary, list[str]]:
    """Apply rules in the place of those that were applied before.

    What other stages dropped stays dropped; what former rules dropped comes back.

    Args:
        output: where the manifest is written, the same file too; None writes nothing.

    Returns:
        What is kept now, and the columns that rules read and that are empty in every row.

    Raises:
        UserError: a rule with an unknown column, or with values that cannot be compared.
    """
    for rule in rules:
        rule.expression.check(manifest.columns, rule.place)
    read = {column for rule in rules for column in rule.expression.columns}
    filled: set[str] = set()
    tally = Tally()

    def chosen() -> Iterator[Row]:
        for row in manifest.rows():
            if row["stage"] == NAME:
                row |= {"kept": True, "reason": None, "detail": None, "stage": None}
            if row["kept"]:
                filled.update(column for column in read if row[column] is not None)
                apply_rules(rules, row)
                if not row["kept"]:
                    row["stage"] = NAME
            tally.add(row)
            yield row

    if output is None:
        for _ in chosen():
            pass
    else:
        held = {**manifest.pipeline, "rules": [[r.name, r.keep, r.why] for r in rules]}
        write_rows(output, with_pipeline(manifest.schema, held), chosen())
    return tally.summary(manifest.pipeline.get("skipped", {})), sorted(read - filled)
