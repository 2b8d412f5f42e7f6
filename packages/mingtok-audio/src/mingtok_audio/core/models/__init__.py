"""Model folders and weights: Hub access, safetensors, component folders."""
