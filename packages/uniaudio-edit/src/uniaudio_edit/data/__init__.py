"""Training pairs for edit models, made from recordings (paper sections 6.1 and 6.2, figure 7)."""
