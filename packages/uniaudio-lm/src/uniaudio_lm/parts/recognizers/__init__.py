"""What recognises speech in the language model's place."""
