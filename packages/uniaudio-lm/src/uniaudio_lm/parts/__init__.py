"""The swappable parts: each folder holds the built-in plugins of a slot."""
