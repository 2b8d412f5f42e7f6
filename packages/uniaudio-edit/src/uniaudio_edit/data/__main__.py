"""`python -m uniaudio_edit.data`."""

from uniaudio_edit.data.cli import main

if __name__ == "__main__":
    main()
