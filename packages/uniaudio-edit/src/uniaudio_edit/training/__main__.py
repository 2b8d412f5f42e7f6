"""`python -m uniaudio_edit.training`."""

from uniaudio_edit.training.cli import main

if __name__ == "__main__":
    main()
