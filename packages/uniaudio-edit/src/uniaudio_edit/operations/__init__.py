"""The edit operations, one file each; see `base` for what they consist of."""
