"""Built-in judges, one module per model. Weights load on first use, packages are imported then."""
