"""Text rules: the published ones (``ming``), ours (``normalize``), and alignment (``align``)."""
