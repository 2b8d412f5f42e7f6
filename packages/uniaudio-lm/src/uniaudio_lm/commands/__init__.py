"""The work behind the commands of `uniaudio`."""
