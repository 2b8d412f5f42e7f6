"""Trains the head for a minute: a language model is frozen, its states over a few recordings are
computed once, and the head learns the patch that follows each of them.

    python -m conv_head.train --manifest examples/data/manifest.jsonl -o OUT [--model MODEL]

Writes OUT/head, a component folder. Without --model there is no trained language model to extend,
so OUT/model is made: a small one with random weights around the nano tokenizer. Its states still
tell texts and positions apart; what the head learns of them is real, what it says is not speech.
The same arguments give the same weights on the same machine.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor

from conv_head.head import ConvHead
from mingtok_audio import MingTok
from mingtok_audio.core.audio import load_audio
from mingtok_audio.core.models.components import save_component
from uniaudio_lm.checkpoint.load import load_model
from uniaudio_lm.checkpoint.save import save_model
from uniaudio_lm.config import PartConfig, UniAudioConfig
from uniaudio_lm.model import prompts
from uniaudio_lm.model.speech_lm import SpeechLM
from uniaudio_lm.text.tokenizer import TextTokenizer

SPECIALS = [
    prompts.END_OF_TEXT, prompts.GENERATE_AUDIO, "<role>", "</role>", "<audio>", "</audio>",
    "<audioPatch>", "<prompt>", "</prompt>", "<answer>", "</answer>",
]  # fmt: skip
_WIDTH = 64


def small_model(wavs: list[Any], tokenizer: MingTok) -> SpeechLM:
    """A language model with random weights around `tokenizer`, normalised for some recordings."""
    torch.manual_seed(0)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    library = Tokenizer(models.BPE({c: i for i, c in enumerate(alphabet)}, []))
    library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    library.decoder = decoders.ByteLevel()
    library.add_special_tokens(SPECIALS)
    text = TextTokenizer(library)
    latents = torch.cat([tokenizer.encode(wav, 16000).values[0] for wav in wavs])
    # The initial weights of transformers are so small that the states would hardly differ.
    sizes = {
        "model_type": "qwen2", "vocab_size": text.vocab_size, "hidden_size": _WIDTH,
        "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "max_position_embeddings": 4096, "pad_token_id": 0,
        "bos_token_id": 0, "eos_token_id": 0, "initializer_range": 0.2,
    }  # fmt: skip
    config = UniAudioConfig(
        backbone=PartConfig("hf_causal_lm", {"config": sizes}),
        generation_head=PartConfig("mlp", {"width": 32, "depth": 1}),
        stop_detector=PartConfig("guarded"),
        compressor=PartConfig("cross_attention"),
        audio_input="latent" if tokenizer.config.feature_dim is None else "unified",
        latent_mean=latents.mean(dim=0).tolist(),
        latent_std=latents.std(dim=0).clamp_min(1e-3).tolist(),
        name="conv-head-demo",
    )
    model = SpeechLM(config, tokenizer.config, text)
    model.tokenizer.load_state_dict(tokenizer.state_dict())
    return model.eval()


@torch.no_grad()
def states(model: SpeechLM, wav: Any, text: str) -> tuple[Tensor, Tensor, Tensor]:
    """A recording as training pairs: the states (N, D) that its patches follow, the patches
    (N, p, d) in the head's units, and the ones before them."""
    size = model.config.patch_size
    latents = model.tokenizer.encode(wav, 16000).values
    latents = latents[:, : latents.shape[1] // size * size]
    prompt = prompts.encode(model.text_tokenizer, prompts.speech(text, "", 0), join=False)
    embeds, _ = model.embed_prompt(prompt, [])
    audio = model.embed_audio(latents)
    whole = torch.cat((embeds, audio[:, :-1]), dim=1)
    routed = torch.arange(whole.shape[1])[None] >= embeds.shape[1]
    cond = model.backbone(whole, audio_mask=routed)[0, embeds.shape[1] - 1 :]
    target = model.normalize(latents[0]).unflatten(0, (-1, size))
    first = model.normalize(torch.zeros_like(latents[0, :size]))
    return cond, target, torch.cat((first[None], target[:-1]))


def train(head: ConvHead, pairs: tuple[Tensor, Tensor, Tensor], steps: int) -> tuple[float, float]:
    """Train on all pairs; returns the loss before and after, on the same draws."""
    cond, target, history = pairs

    def measured() -> float:
        with torch.no_grad():
            generator = torch.Generator().manual_seed(0)
            return float(head.eval().loss(*pairs, num_samples=4, generator=generator))

    before = measured()
    head.train()
    generator = torch.Generator().manual_seed(1)
    optimizer = torch.optim.AdamW(head.parameters(), lr=1e-3, weight_decay=0.01)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    for _ in range(steps):
        chosen = torch.randint(len(cond), (64,), generator=generator)
        loss = head.loss(cond[chosen], target[chosen], history[chosen], generator=generator)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(head.parameters(), 1.0)
        optimizer.step()
        rate.step()
    return before, measured()


def main() -> None:
    """Run the command; prints one JSON object."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--manifest", type=Path, required=True, help="JSONL with audio and text")
    parser.add_argument("--model", help="a uniaudio-lm model; by default a small random one")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--depth", type=int, default=6)
    parser.add_argument("--debug", action="store_true", help="a small head, 40 steps: seconds")
    options = parser.parse_args()
    if options.debug:
        options.steps, options.width, options.depth = 40, 64, 3
    torch.set_num_threads(1)  # sums in one order: the same weights every time
    started = time.monotonic()
    rows = [json.loads(line) for line in options.manifest.read_text().splitlines() if line.strip()]
    folder = options.manifest.parent
    wavs = [load_audio(folder / row["audio"], sample_rate=16000)[0] for row in rows]
    if options.model is None:
        model = small_model(wavs, MingTok.from_pretrained("nano"))
        save_model(model, options.output / "model")
    else:
        model = load_model(options.model)
    found = [states(model, wav, row["text"]) for wav, row in zip(wavs, rows, strict=True)]
    cond, target, history = (torch.cat(parts) for parts in zip(*found, strict=True))
    torch.manual_seed(0)
    shape = {
        "cond_dim": model.dim, "latent_dim": model.tokenizer.config.latent_dim,
        "patch_size": model.config.patch_size, "width": options.width, "depth": options.depth,
    }  # fmt: skip
    head = ConvHead(**shape)
    before, after = train(head, (cond, target, history), options.steps)
    pinned = model.config.tokenizer
    save_component(
        options.output / "head", head, slot="generation_head", name="conv", options=shape,
        trained_with={} if pinned is None else {"tokenizer": pinned},
    )  # fmt: skip
    print(
        json.dumps({
            "patches": len(cond), "loss_before": round(before, 4), "loss_after": round(after, 4),
            "seconds": round(time.monotonic() - started, 1), "head": str(options.output / "head"),
        })
    )  # fmt: skip


if __name__ == "__main__":
    main()
