"""How fast the small language model recognises and speaks, beside its own tokenizer's decoder.

    python benchmarks/nano_lm.py [--model nano] [--head FOLDER] [--repeats 3]

Times are CPU seconds of the process on one thread, because other work on the machine does not count
there; medians. `tts` is the CPU time of whole sentences over the seconds they last, `first_audio`
the wall time from the call to the first samples (the best of the repeats, as a loaded machine only
adds), `asr` CPU time over the seconds heard, `decode` the tokenizer alone on the same latents: what
of `tts` is not the language model and its head. The last line is JSON.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

from common import cpu_seconds, report
from mingtok_audio import load_audio
from uniaudio_lm import UniAudio

SENTENCES = (
    "The weather was good all day.",
    "She bought a loaf of bread and went home by the river.",
    "Nobody knew why the train had stopped before the station, and nobody asked.",
)
DATA = Path(__file__).resolve().parents[1] / "examples" / "data"


def first_audio(model: UniAudio, sentence: str, repeats: int) -> float:
    """Least wall seconds until the first samples of a stream."""
    found = []
    for _ in range(repeats + 1):
        began = time.perf_counter()
        for piece in model.synthesize_stream(sentence):
            if len(piece):
                found.append(time.perf_counter() - began)
                break
    return min(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--head", help="another generation head")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = UniAudio.from_pretrained(options.model, generation_head=options.head)
    spoken = seconds = 0.0
    for sentence in SENTENCES:
        speech = model.synthesize(sentence)
        seconds += len(speech.wav) / speech.sample_rate
        spoken += cpu_seconds(lambda text=sentence: model.synthesize(text), options.repeats)
    wav, rate = load_audio(DATA / "librispeech_1089-134686-0000.flac")
    heard = cpu_seconds(lambda: model.transcribe(wav, rate), options.repeats)
    latents = model.tokenizer.encode(wav, rate)
    decoded = cpu_seconds(lambda: model.tokenizer.decode(latents), options.repeats)
    length = len(wav) / rate
    figures = {
        "model": model.model_id,
        "tts": spoken / seconds,
        "first_audio": first_audio(model, SENTENCES[1], options.repeats),
        "asr": heard / length,
        "decode": decoded / length,
    }
    report("nano_lm", figures)


if __name__ == "__main__":
    main()
