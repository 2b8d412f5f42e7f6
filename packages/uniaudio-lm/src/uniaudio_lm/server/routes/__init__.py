"""The routes of the interface: `audio` (speech, transcripts, tokens, voices) and `state`."""
