"""The conformance kit is a function: a plugin's own tests can call it."""

from __future__ import annotations

from conv_head.head import ConvHead

from uniaudio_lm.conformance import check_generation_head


def test_it_follows_the_rules_of_the_slot() -> None:
    assert [r for r in check_generation_head(ConvHead) if not r.ok] == []
