"""The training loop that the stages of all packages run on; it knows no model and no data."""
