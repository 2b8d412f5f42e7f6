"""Training of the speech language model, on the tokenizer's trainer."""
