"""The network of the speech language model, and how it generates."""
