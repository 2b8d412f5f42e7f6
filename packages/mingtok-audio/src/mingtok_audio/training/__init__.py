"""The stages of the tokenizer's training, their losses and data; `trainer` has the loop."""
