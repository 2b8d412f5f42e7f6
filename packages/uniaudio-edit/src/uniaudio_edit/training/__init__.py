"""Training of edit models on pairs, on the trainer that the other packages use."""
