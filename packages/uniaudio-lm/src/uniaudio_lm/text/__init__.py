"""Text on its way in and out: tokens, lengths, sentences, how it is said."""
