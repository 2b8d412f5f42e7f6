"""The language model at the mid size, against the published way of computing the same thing.

    python benchmarks/lm_published.py [--threads 1] [--repeats 3] [--only llm,head,step]
    python benchmarks/lm_published.py --dtype bfloat16

LLM prefill and step at short and long context, head per patch, a whole TTS step (language model,
head of 10 guided steps, stop detector, semantic module, compressor, decoder), one item and eight,
and the time to the first audio. The published way is rebuilt from plain modules
(`lm_published_parts`, `published`) with the same products in the same number and order, random
weights, and timed in turns with ours, always in float32. On one thread the numbers are CPU time:
they hold on a machine that others use too.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import DynamicCache

from common import mid_size_config, report
from lm_published_parts import PublishedDit, PublishedLlm, PublishedSemantic
from published import Published
from uniaudio_lm.config import PartConfig, UniAudioConfig
from uniaudio_lm.engine import UniAudio
from uniaudio_lm.model.speech_lm import SpeechLM
from uniaudio_lm.tasks import tts
from uniaudio_lm.text.tokenizer import TextTokenizer

TEXTS = Path(__file__).resolve().parents[1] / "tests/data/golden/unified/tokenizer.json"
DIM, LATENT, PATCH = 1024, 64, 5
TEXT = "The quick brown fox jumps over the lazy dog, and then it does so once again."


def in_turns(calls: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Median milliseconds of each call, of CPU time on one thread and of wall time on more."""
    clock = time.thread_time if torch.get_num_threads() == 1 else time.perf_counter
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(repeats + 1):
        for name, call in calls.items():
            start = clock()
            call()
            if turn:
                times[name].append(1e3 * (clock() - start))
    return {name: statistics.median(values) for name, values in times.items()}


def mid_size(dtype: torch.dtype) -> SpeechLM:
    """Random weights of the mid size, in the state that `from_pretrained` leaves them in."""
    torch.manual_seed(0)
    config = UniAudioConfig(
        backbone=PartConfig(
            "bailing_moe",
            {
                "vocab_size": 32000, "dim": DIM, "num_layers": 8, "num_heads": 8,
                "num_kv_heads": 2, "head_dim": 128, "num_experts": 16, "experts_per_token": 4,
                "moe_dim": 704,
            },
        ),
        generation_head=PartConfig("dit", {"hidden_size": 512, "depth": 8, "num_heads": 8}),
        stop_detector=PartConfig("linear", {"min_patches": 10**6}),
        compressor=PartConfig("linear_pooling"),
        temperature=1.5,
    )  # fmt: skip
    text = TextTokenizer.from_file(TEXTS)
    return random_weights(lambda: SpeechLM(config, mid_size_config(), text), dtype)


def random_weights(make: Callable[[], Any], dtype: torch.dtype = torch.float32) -> Any:
    """A module with small random weights, without the time that its own first values take."""
    with torch.device("meta"):
        made = make()
    made = made.to(dtype).to_empty(device="cpu")
    for name, parameter in made.named_parameters():
        if "norm" in name and name.endswith("weight"):
            parameter.data.fill_(1.0)
        else:
            parameter.data.uniform_(-0.03, 0.03)
    for buffer in made.buffers():
        buffer.fill_(1.0)
    return made.eval()


def language_model(ours: SpeechLM, theirs: PublishedLlm, repeats: int) -> dict[str, float]:
    """Prefills and steps."""
    llm, results = ours.backbone, {}
    for n in (64, 256):
        x = torch.randn(1, n, DIM)
        mine = x.to(ours.dtype)
        calls = {
            f"prefill_{n}": lambda x=mine, n=n: llm(x, llm.new_state(1, n + 64)),
            f"published_prefill_{n}": lambda x=x: theirs(x),
        }
        results |= in_turns(calls, repeats)
    calls = {}
    for context in (100, 1000):
        past = torch.randn(1, context, DIM)
        one = past[:, :1]
        state = llm.new_state(1, context + 64)
        mine = past.to(ours.dtype)
        llm(mine, state)
        _, cache = theirs(past)
        calls[f"step_{context}"] = lambda s=state, x=mine[:, :1]: llm(x, s)
        calls[f"published_step_{context}"] = lambda c=cache, x=one: theirs(x, c)
    eight = llm.new_state(8, 200)
    llm(torch.randn(8, 100, DIM, dtype=ours.dtype), eight)
    x8 = torch.randn(8, 1, DIM, dtype=ours.dtype)
    calls["step_100_batch8"] = lambda: llm(x8, eight)
    return results | in_turns(calls, 3 * repeats)


def head(ours: SpeechLM, theirs: PublishedDit, repeats: int) -> dict[str, float]:
    """Ten guided steps for one patch and for eight."""
    calls: dict[str, Callable[[], Any]] = {}
    for name, count in (("", 1), ("_batch8", 8)):
        cond, past = torch.randn(count, DIM), torch.randn(count, PATCH, LATENT)
        mine = (cond.to(ours.dtype), past.to(ours.dtype))
        calls[f"head{name}"] = lambda m=mine: ours.generation_head.sample(*m, temperature=1.5)
        calls[f"published_head{name}"] = lambda c=cond, p=past: theirs.sample(c, p, 10, 2.0)
    return in_turns(calls, repeats)


class PublishedStep:
    """One patch as the published loop makes it, one item, after `context` tokens."""

    def __init__(self, llm: PublishedLlm, dit: PublishedDit, context: int) -> None:
        self.llm, self.dit = llm, dit
        self.semantic = random_weights(lambda: PublishedSemantic(LATENT, 768, 768, 12, 12))
        self.codec = Published().eval()  # it has tables that only its constructor computes
        self.pool, self.stop = torch.nn.Linear(768, DIM), torch.nn.Linear(DIM, 2)
        _, self.cache = llm(torch.randn(1, context, DIM))
        _, self.frames = self.semantic(torch.randn(1, 25, LATENT))
        self.audio = DynamicCache()
        self.codec.decode(torch.randn(1, 25, LATENT), self.audio)
        self.x, self.history = torch.randn(1, 1, DIM), torch.zeros(1, PATCH, LATENT)

    def __call__(self) -> None:
        hidden, self.cache = self.llm(self.x, self.cache)
        self.history = self.dit.sample(hidden[:, -1], self.history, 10, 2.0)
        self.codec.decode(self.history, self.audio)
        float(self.stop(hidden).softmax(dim=-1)[0, 0, 1])
        features, self.frames = self.semantic(self.history, self.frames)
        self.x = self.pool(features).mean(dim=1, keepdim=True)


def whole_steps(ours: SpeechLM, theirs: PublishedStep, repeats: int) -> dict[str, float]:
    """Whole TTS steps, and what comes before the first piece of audio."""
    clock = time.thread_time if torch.get_num_threads() == 1 else time.perf_counter
    start = clock()
    stream = UniAudio(ours).synthesize_stream(TEXT)
    next(stream)
    results = {"first_audio": 1e3 * (clock() - start)}

    def jobs(count: int):
        made = [tts.make_job(ours, TEXT, None, seed) for seed in range(count)]
        pieces = tts.run_jobs(ours, made, ours.config.sampling)
        return lambda: [next(pieces) for _ in range(count)]

    calls: dict[str, Callable[[], Any]] = {"tts_step": jobs(1), "published_tts_step": theirs}
    calls["tts_step_batch8"] = jobs(8)
    results |= in_turns(calls, 2 * repeats)
    results["batch8_throughput"] = 8 * results["tts_step"] / results["tts_step_batch8"]
    return results


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", default="llm,head,step")
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    wanted = options.only.split(",")
    ours = mid_size(getattr(torch, options.dtype))
    llm = random_weights(lambda: PublishedLlm(32000, DIM, 8, 8, 2, 128, 16, 4, 704, 2))
    dit = random_weights(lambda: PublishedDit(DIM, LATENT, 512, 8, 8))
    results: dict[str, Any] = {}
    if "llm" in wanted:
        results |= language_model(ours, llm, options.repeats)
    if "head" in wanted:
        results |= head(ours, dit, options.repeats)
    if "step" in wanted:
        results |= whole_steps(ours, PublishedStep(llm, dit, 100), options.repeats)
    ratios = {
        f"speedup_{name}": results[f"published_{name}"] / results[name]
        for name in list(results)
        if f"published_{name}" in results
    }
    clock = "cpu" if options.threads == 1 else "wall"
    about = {"dtype": options.dtype, "milliseconds": clock}
    report("lm_published", {**about, **results, **ratios})


if __name__ == "__main__":
    main()
