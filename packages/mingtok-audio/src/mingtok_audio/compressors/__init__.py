"""Built-in compressors: unified features at 50 Hz to one vector per patch (paper, section 5.2)."""
