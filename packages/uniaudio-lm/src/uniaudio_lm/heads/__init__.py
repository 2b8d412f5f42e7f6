"""Built-in generation heads."""
