"""What the commands of `mingtok` do, apart from their options (`mingtok_audio.cli`)."""
