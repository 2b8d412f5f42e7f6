"""Example of a third-party metric for audio-eval."""
