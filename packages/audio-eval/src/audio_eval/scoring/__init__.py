"""Scoring outputs: manifests, systems, the run with its cache, summaries, comparisons."""
