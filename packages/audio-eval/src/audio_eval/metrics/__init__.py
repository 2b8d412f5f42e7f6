"""Built-in metrics, one module per kind. They are found by name through ``audio_eval.plugins``."""
