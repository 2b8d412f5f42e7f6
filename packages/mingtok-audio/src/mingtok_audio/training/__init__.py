"""Training of the tokenizer, and the trainer that the other packages train on too."""
