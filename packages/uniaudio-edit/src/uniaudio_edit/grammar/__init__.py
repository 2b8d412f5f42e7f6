"""Instruction parsers: `grammar` (rules, English and Chinese)."""
