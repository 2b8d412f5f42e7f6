"""Building blocks of the tokenizer: transformer, caches, posterior, inverse STFT."""
