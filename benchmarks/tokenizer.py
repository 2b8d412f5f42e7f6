"""Encode, decode, features and streaming chunks, beside EnCodec and Mimi (random weights).

    python benchmarks/tokenizer.py [--size nano|mid] [--seconds 10] [--threads 1]

Times are medians in milliseconds; `rtf` is time over audio duration. EnCodec (24 kHz) and Mimi
come from transformers with random weights: the same work as with trained ones.
"""

from __future__ import annotations

import argparse

import torch

from common import interleaved, mid_size_config, random_model, report, with_semantic
from mingtok_audio import MingTok
from mingtok_audio.core.runtime import cpu_half_dtypes


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", choices=("nano", "mid"), default="nano")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--codecs", action="store_true", help="time EnCodec and Mimi too")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    nano = options.size == "nano"
    model = MingTok.from_pretrained("nano") if nano else random_model(mid_size_config())
    wav = 0.1 * torch.randn(round(16000 * options.seconds))
    latents = model.encode(wav, 16000)
    chunk = latents.values[:, :5]
    decoding = model.new_decoder_state()
    for _ in range(40):
        model.decode_step(chunk, decoding)
    calls = {
        "encode": lambda: model.encode(wav, 16000),
        "decode": lambda: model.decode(latents),
        "decode_chunk_100ms": lambda: model.decode_step(chunk, decoding),
    }
    semantic = model if model.semantic is not None else random_model(with_semantic(model.config))
    calls["features"] = lambda: semantic.features(latents)
    if "bfloat16" in cpu_half_dtypes():
        half = random_model(model.config).to(torch.bfloat16)
        calls["encode_bfloat16"] = lambda: half.encode(wav, 16000)
        calls["decode_bfloat16"] = lambda: half.decode(latents)
    if options.codecs:
        calls |= codec_calls(options.seconds)
    times = interleaved(calls, options.repeats)
    results = {f"{name}_ms": value for name, value in times.items()}
    results["rtf"] = (times["encode"] + times["decode"]) / 1e3 / options.seconds
    if options.codecs:
        for name in ("encodec", "mimi"):
            total = times[f"{name}_encode"] + times[f"{name}_decode"]
            results[f"{name}_rtf"] = total / 1e3 / options.seconds
    parameters = sum(p.numel() for p in model.parameters()) / 1e6
    report(
        "tokenizer",
        {"size": options.size, "seconds": options.seconds, "parameters_m": parameters, **results},
    )


def codec_calls(seconds: float) -> dict:
    """Encode and decode of the two codecs, at 24 kHz."""
    from transformers import EncodecConfig, EncodecModel, MimiConfig, MimiModel

    torch.manual_seed(0)
    wav = 0.1 * torch.randn(1, 1, round(24000 * seconds))
    encodec, mimi = EncodecModel(EncodecConfig()).eval(), MimiModel(MimiConfig()).eval()
    a, b = encodec.encode(wav, bandwidth=6.0), mimi.encode(wav)
    return {
        "encodec_encode": lambda: encodec.encode(wav, bandwidth=6.0),
        "encodec_decode": lambda: encodec.decode(a.audio_codes, a.audio_scales),
        "mimi_encode": lambda: mimi.encode(wav),
        "mimi_decode": lambda: mimi.decode(b.audio_codes),
    }


if __name__ == "__main__":
    main()
