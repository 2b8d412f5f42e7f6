"""What the commands of `uniaudio` do."""
