"""The conformance kit is a function: a plugin's own tests can call it."""

from __future__ import annotations

from attentive_pooling.compressor import AttentiveStatsCompressor

from mingtok_audio.conformance import check_compressor


def test_it_follows_the_rules_of_the_slot() -> None:
    assert [r for r in check_compressor(AttentiveStatsCompressor) if not r.ok] == []
