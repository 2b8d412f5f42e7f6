"""What one listens to and reads while a model learns."""

from __future__ import annotations

import zlib
from pathlib import Path

import torch

from mingtok_audio.core.audio import load_audio, save_audio
from mingtok_audio.core.errors import UserError
from mingtok_audio.core.files import atomic_write_text
from uniaudio_lm.model.speech_lm import SpeechLM
from uniaudio_lm.parts.normalizers import new_normalizer
from uniaudio_lm.tasks.asr import RecognitionOptions, transcribe_batch
from uniaudio_lm.tasks.tts import make_job, speak_batch
from uniaudio_lm.training.settings import Evaluation


@torch.no_grad()
def listen_and_speak(model: SpeechLM, plan: Evaluation, folder: Path) -> None:
    """Say the sentences into `NN.wav` and write `transcripts.tsv` of the recordings."""
    if plan.sentences or plan.recordings:
        folder.mkdir(parents=True, exist_ok=True)
    lines = []
    normalizer = new_normalizer(model.config.text_normalizer)
    for number, sentence in enumerate(plan.sentences):
        seed = zlib.crc32(sentence.encode())
        job = make_job(model, sentence, None, seed, normalizer=normalizer)
        speech = speak_batch(model, [job], model.config.sampling)[0]
        lines.append(f"{number:02d}.wav\t{speech.stop_reason}\t{sentence}\n")
        if len(speech.wav):
            save_audio(folder / f"{number:02d}.wav", speech.wav, speech.sample_rate)
    for name in plan.recordings:
        try:
            wav, rate = load_audio(name)
        except (UserError, OSError) as error:
            lines.append(f"{name}\terror\t{error}\n")
            continue
        found = transcribe_batch(model, [wav], [rate], RecognitionOptions())[0]
        lines.append(f"{name}\theard\t{found.text}\n")
    if lines:
        atomic_write_text(folder / "transcripts.tsv", "".join(lines))
