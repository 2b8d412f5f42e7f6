"""Shipped configurations of edit training."""
