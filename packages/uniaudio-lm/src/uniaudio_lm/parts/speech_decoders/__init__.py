"""What turns generated latents into sound, where that is not the tokenizer's own decoder."""
