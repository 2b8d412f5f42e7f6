"""Built-in phonemizers."""
