"""Training and measuring the forced aligner."""
