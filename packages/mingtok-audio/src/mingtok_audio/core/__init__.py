"""What every package of this project needs: audio files, model sources, configs, plugins, CLI.

Nothing here imports torch, soundfile or rich when the module is imported, and nothing here
imports from above (`mingtok_audio.models`, `uniaudio_lm`, ...); both are tested.
"""
