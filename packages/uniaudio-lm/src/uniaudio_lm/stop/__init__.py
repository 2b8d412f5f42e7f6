"""Built-in stop detectors."""
