"""What one listens to and reads while a model learns."""

from __future__ import annotations

import zlib
from pathlib import Path

import torch

from mingtok_audio.core.audio import load_audio, save_audio
from mingtok_audio.core.errors import UserError
from mingtok_audio.core.files import atomic_write_text
from uniaudio_lm.models.uniaudio import UniAudio
from uniaudio_lm.training.settings import Evaluation


@torch.no_grad()
def listen_and_speak(model: UniAudio, plan: Evaluation, folder: Path) -> None:
    """Say the sentences into `NN.wav` and write `transcripts.tsv` of the recordings."""
    if plan.sentences or plan.recordings:
        folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for number, sentence in enumerate(plan.sentences):
        seed = zlib.crc32(sentence.encode())
        speech = model.synthesize(sentence, seed=seed)
        lines.append(f"{number:02d}.wav\t{speech.stop_reason}\t{sentence}\n")
        if len(speech.wav):
            save_audio(folder / f"{number:02d}.wav", speech.wav, speech.sample_rate)
    for name in plan.recordings:
        try:
            wav, rate = load_audio(name)
        except (UserError, OSError) as error:
            lines.append(f"{name}\terror\t{error}\n")
            continue
        lines.append(f"{name}\theard\t{model.transcribe(wav, rate).text}\n")
    if lines:
        atomic_write_text(folder / "transcripts.tsv", "".join(lines))
