"""Edit backends: `splice` (cuts), `dsp` (sound)."""
