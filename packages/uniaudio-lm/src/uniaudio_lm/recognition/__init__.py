"""What recognition chooses a text by: the language model, hints, known words, and coverage."""
