"""`python -m uniaudio_edit`: the same commands as `uniaudio edit`."""

from __future__ import annotations

from uniaudio_edit.cli import main

if __name__ == "__main__":
    main()
