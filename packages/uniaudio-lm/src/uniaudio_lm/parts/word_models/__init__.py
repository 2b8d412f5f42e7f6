"""Word models for recognition."""
