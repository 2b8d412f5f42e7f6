"""The mid size against the published implementation's way of computing the same thing.

    python benchmarks/published.py [--seconds 10] [--frames 4000] [--threads 1]

The published tokenizer runs its encoder and decoder as transformers' Qwen2 on input embeddings,
attention by sdpa with a dense mask, and a cache that keeps every frame. That is rebuilt here from
`Qwen2Model` (transformers of this environment) and a plain inverse STFT, with random weights of
the mid size of the timing notes, and timed in turns with ours.
"""

from __future__ import annotations

import argparse

import torch
from torch import nn
from transformers import DynamicCache, Qwen2Config, Qwen2Model

from common import interleaved, mid_size_config, random_model, report
from mingtok_audio.core.runtime import cpu_half_dtypes


def qwen() -> Qwen2Model:
    config = Qwen2Config(
        vocab_size=8,
        hidden_size=768,
        intermediate_size=3072,
        num_hidden_layers=12,
        num_attention_heads=12,
        num_key_value_heads=4,
        use_sliding_window=True,
        sliding_window=32,
        max_window_layers=0,
    )
    config._attn_implementation = "sdpa"
    return Qwen2Model(config).eval()


class Published(nn.Module):
    """Encoder and decoder as the published code runs them."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(320, 768, bias=False), nn.Linear(768, 768)
        self.encoder, self.fc3 = qwen(), nn.Linear(768, 128)
        self.latent, self.decoder = nn.Linear(64, 768), qwen()
        self.out = nn.Linear(768, 1282)
        self.register_buffer("window", torch.hann_window(1280))

    def encode(self, wav: torch.Tensor) -> torch.Tensor:
        x = self.fc2(self.fc1(wav.unfold(-1, 320, 320)))
        return self.fc3(self.encoder(inputs_embeds=x, use_cache=False).last_hidden_state)

    def decode(self, latents: torch.Tensor, cache: DynamicCache | None = None) -> torch.Tensor:
        x = self.decoder(
            inputs_embeds=self.latent(latents), past_key_values=cache, use_cache=cache is not None
        ).last_hidden_state
        magnitude, phase = self.out(x).transpose(1, 2).chunk(2, dim=1)  # (B, F, L)
        magnitude = magnitude.exp().clamp(max=1e2)
        spectrum = magnitude * (torch.cos(phase) + 1j * torch.sin(phase))
        frames = torch.fft.irfft(spectrum, 1280, dim=1) * self.window[None, :, None]
        length = (x.shape[1] - 1) * 320 + 1280
        return torch.nn.functional.fold(frames, (1, length), (1, 1280), stride=(1, 320))


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--frames", type=int, default=4000, help="stream this far, then time")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    ours, theirs = random_model(mid_size_config()), Published().eval()
    wav = 0.1 * torch.randn(1, round(16000 * options.seconds))
    latents = torch.randn(1, round(50 * options.seconds), 64)

    calls = {
        "encode": lambda: ours.encode(wav, 16000),
        "published_encode": lambda: theirs.encode(wav),
        "decode": lambda: ours.decode(latents),
        "published_decode": lambda: theirs.decode(latents),
    }
    if "bfloat16" in cpu_half_dtypes():
        half = random_model(mid_size_config()).to(torch.bfloat16)
        calls["encode_bfloat16"] = lambda: half.encode(wav, 16000)
        calls["decode_bfloat16"] = lambda: half.decode(latents)
    results = interleaved(calls, options.repeats)

    chunk = torch.randn(1, 5, 64)
    for at in (25, options.frames):
        state, cache = ours.new_decoder_state(), DynamicCache()
        past = torch.randn(1, at, 64)
        for part in past.split(250, dim=1):
            ours.decode_step(part, state)
            theirs.decode(part, cache)
        streamed = interleaved(
            {
                f"chunk_after_{at}": lambda state=state: ours.decode_step(chunk, state),
                f"published_chunk_after_{at}": lambda cache=cache: theirs.decode(chunk, cache),
            },
            options.repeats,
        )
        results |= streamed
    ratios = {
        f"speedup_{name}": results[f"published_{name}"] / results[name]
        for name in list(results)
        if f"published_{name}" in results
    }
    report("published", {"seconds": options.seconds, **results, **ratios})


if __name__ == "__main__":
    main()
