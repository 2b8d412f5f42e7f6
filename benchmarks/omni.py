"""Ming-omni-tts-0.5B at full size with random weights: time and memory of speech, as a JSON line.

    python benchmarks/omni.py [--dtype bfloat16] [--threads 1] [--patches 4] [--patch-size 4]

Random weights cost what trained ones do. It needs 3 GB in bfloat16. `--patch-size 1` is
Ming-3.0-tts.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from pathlib import Path

import torch

from mingtok_audio.core.runtime import seeded_generator, set_threads
from uniaudio_lm.checkpoint.omni import omni_config
from uniaudio_lm.interfaces import TextInfo
from uniaudio_lm.model import omni_prompts
from uniaudio_lm.model.generation import Item, SeededNoise, generate
from uniaudio_lm.model.speech_lm import SpeechLM
from uniaudio_lm.text.tokenizer import TextTokenizer

GOLDEN = Path(__file__).resolve().parents[1] / "tests" / "data" / "golden"


def full_size(dtype: torch.dtype, patch: int) -> SpeechLM:
    """The assumed published config with random weights."""
    path = GOLDEN / "names" / "omni_0.5b_assumed_config.json"
    published = json.loads(path.read_text())
    published["ditar_config"] |= {"patch_size": patch, "history_patch_size": 32 if patch > 1 else 1}
    config, tokenizer = omni_config(published)
    text = TextTokenizer.from_file(GOLDEN / "omni_lm" / "tokenizer.json")
    torch.set_default_dtype(dtype)
    with torch.device("meta"):
        model = SpeechLM(config, tokenizer, text)
    torch.set_default_dtype(torch.float32)
    model.to_empty(device="cpu")
    generator = seeded_generator(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.uniform_(-0.03, 0.03, generator=generator)
            else:
                parameter.fill_(1.0)
        for name, buffer in model.named_buffers():
            buffer.fill_(1.0 if "window" in name else 0.01)
    return model.eval()


@torch.no_grad()
def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--patches", type=int, default=4)
    parser.add_argument("--patch-size", type=int, default=4)
    options = parser.parse_args()
    set_threads(options.threads)
    started = time.perf_counter()
    model = full_size(getattr(torch, options.dtype), options.patch_size)
    made = time.perf_counter() - started
    started = time.perf_counter()
    asked = omni_prompts.OmniPrompt("Good morning, how are you today?")
    embeds = omni_prompts.embed(model, asked)[1]
    info = TextInfo(min_patches=options.patches + 1, max_patches=options.patches)
    item = Item(
        embeds[0],
        "audio",
        noise=SeededNoise(seeded_generator(1)),
        info=info,
        max_steps=options.patches,
    )
    state, marks = model.new_speech_state(1), []
    for step in generate(model, [item], model.config.sampling):
        if step.patches is not None:
            model.speech_step(step.patches, state)
            marks.append(time.perf_counter() - started)
    later = (marks[-1] - marks[0]) / max(1, len(marks) - 1)
    row = {
        "benchmark": "omni", "dtype": options.dtype, "threads": options.threads,
        "patch_size": options.patch_size,
        "parameters": sum(p.numel() for p in model.parameters()),
        "weights_gb": round(sum(p.nbytes for p in model.parameters()) / 1e9, 2),
        "make_seconds": round(made, 1), "first_audio_seconds": round(marks[0], 2),
        "seconds_per_second": round(later / model.patch_seconds, 2),
        "peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2),
    }  # fmt: skip
    print(json.dumps(row))


if __name__ == "__main__":
    main()
