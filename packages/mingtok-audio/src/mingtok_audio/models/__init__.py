"""The tokenizer's models."""
