"""The speech language model, its published layout, and how it is loaded."""
