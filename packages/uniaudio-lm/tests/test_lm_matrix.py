"""Every backbone with every head, compressor and stop detector, on tiny random weights: a batch of
mixed lengths says what its items say alone, and a stream what the whole says."""

from __future__ import annotations

import itertools
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mingtok_audio.core.runtime import seeded_generator
from uniaudio_lm import UniAudio
from uniaudio_lm.checkpoint.load import load_model
from uniaudio_lm.config import PartConfig, Sampling, UniAudioConfig
from uniaudio_lm.interfaces import TextInfo
from uniaudio_lm.model import prompts
from uniaudio_lm.model.generation import Item, SeededNoise, generate
from uniaudio_lm.model.speech_lm import SpeechLM
from uniaudio_lm.parts.backbones.moe import Router

GOLDEN = Path(__file__).resolve().parents[3] / "tests" / "data" / "golden" / "unified"
BACKBONES = {
    "bailing_moe": {
        "vocab_size": 304, "dim": 24, "num_layers": 2, "num_heads": 2, "num_kv_heads": 1,
        "head_dim": 16, "num_experts": 4, "experts_per_token": 2, "moe_dim": 16,
    },
    "hf_causal_lm": {
        "config": {
            "model_type": "qwen2", "vocab_size": 304, "hidden_size": 24, "intermediate_size": 32,
            "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1,
            "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "initializer_range": 0.3,
        }
    },
    "dense": {"vocab_size": 304, "dim": 24, "num_layers": 2, "num_heads": 2, "mlp_dim": 32},
}  # fmt: skip
HEADS = {
    "dit": {"hidden_size": 16, "depth": 2, "num_heads": 2},
    "mlp": {"width": 16, "depth": 2},
}
COMPRESSORS = ("pooling", "cross_attention", "linear_pooling")
STOPS = ("linear", "guarded")
MATRIX = list(itertools.product(BACKBONES, HEADS, COMPRESSORS, STOPS))
TEXTS = ["ha", "one two three four", "你好"]
PATCHES = [3, 8, 5]
_MARGIN = 1e-5
reasons: dict[tuple, list[str]] = {}


@cache
def golden() -> SpeechLM:
    return load_model(GOLDEN)


@cache
def tiny(names: tuple[str, str, str, str]) -> SpeechLM:
    backbone, head, compressor, stop = names
    base = golden()
    torch.manual_seed(0)
    size = base.tokenizer.config.latent_dim
    config = UniAudioConfig(
        backbone=PartConfig(backbone, BACKBONES[backbone]),
        generation_head=PartConfig(head, HEADS[head]),
        stop_detector=PartConfig(stop),
        compressor=PartConfig(compressor),
        latent_mean=[0.1] * size,
        latent_std=[1.5] * size,
        sampling=Sampling(num_steps=2),
    )
    made = SpeechLM(config, base.tokenizer.config, base.text)
    made.tokenizer.load_state_dict(base.tokenizer.state_dict())
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        # Layers that start at zero would hide what they are given, and the stop head is made to
        # fire now and then.
        for parameter in made.generation_head.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
        made.stop_detector.get_submodule("stop_head").bias.copy_(torch.tensor([0.6, -0.6]))
    return made.eval()


def assert_equal(found: Tensor, wanted: Tensor, what: str) -> None:
    """|a - b| <= 1e-5 + 1e-4 max|b|, the promise for batches."""
    assert found.shape == wanted.shape, what
    if wanted.numel():
        bound = 1e-5 + 1e-4 * float(wanted.abs().max())
        error = float((found - wanted).abs().max())
        assert error <= bound, f"{what}: {error:.2g} > {bound:.2g}"


def prompt_of(model: SpeechLM, text: str) -> Tensor:
    segments = prompts.speech(text, "", 0)
    return model.embed_prompt(prompts.encode(model.text_tokenizer, segments, join=False), [])[0][0]


class Margins:
    """Watches the routers: how far each token is from going to other experts."""

    def __init__(self, model: SpeechLM) -> None:
        self.smallest: Tensor | None = None
        routers = [m for m in model.modules() if isinstance(m, Router)]
        self._hooks = [router.register_forward_hook(self._look) for router in routers]

    def _look(self, router, inputs, output) -> None:
        best = router.logits(*inputs).softmax(dim=-1).sort(dim=-1, descending=True).values
        margin = best[:, router.top_k - 1] - best[:, router.top_k]
        self.smallest = margin if self.smallest is None else self.smallest.minimum(margin)

    def clear(self, count: int) -> Tensor:
        """(count,) True up to the first token that rounding could send elsewhere."""
        for hook in self._hooks:
            hook.remove()
        if self.smallest is None:
            return torch.ones(count, dtype=torch.bool)
        return (self.smallest >= _MARGIN).long().cumprod(0).bool()


@pytest.mark.parametrize("names", MATRIX, ids="-".join)
@torch.no_grad()
def test_a_batch_equals_singles_teacher_forced(names: tuple[str, str, str, str]) -> None:
    model = tiny(names)
    size, dim = model.config.patch_size, model.tokenizer.config.latent_dim
    generator = torch.Generator().manual_seed(2)
    latents = torch.randn(len(TEXTS), max(PATCHES) * size, dim, generator=generator)
    lengths = torch.tensor(PATCHES)
    together = model.embed_audio(latents, lengths=lengths * size)
    embeds, alone, audio = [], [], []
    for i, (text, count) in enumerate(zip(TEXTS, PATCHES, strict=True)):
        single = model.embed_audio(latents[i : i + 1, : count * size])[0]
        assert_equal(together[i, :count], single, "audio embeddings")
        prompt = prompt_of(model, text)
        embeds.append(torch.cat((prompt, single)))
        audio.append(torch.arange(len(embeds[i])) >= len(prompt))
        margins = Margins(model)
        hidden = model.backbone(embeds[i][None], audio_mask=audio[i][None])[0]
        alone.append((hidden, margins.clear(len(hidden))))
    longest = max(map(len, embeds))
    batch = torch.zeros(len(TEXTS), longest, model.dim)
    valid = torch.zeros(len(TEXTS), longest, dtype=torch.bool)
    mask = torch.zeros_like(valid)
    for i, row in enumerate(embeds):
        batch[i, longest - len(row) :] = row
        valid[i, longest - len(row) :] = True
        mask[i, longest - len(row) :] = audio[i]
    hidden = model.backbone(batch, valid=valid, audio_mask=mask)
    cond, history, noise = [], [], []
    for i, (single, clear) in enumerate(alone):
        assert int(clear.sum()) > len(single) // 2
        assert_equal(hidden[i, longest - len(single) :][clear], single[clear], "hidden states")
        cond.append(single[-1])
        history.append(model.normalize(latents[i, (PATCHES[i] - 1) * size : PATCHES[i] * size]))
        noise.append(torch.randn(size, dim, generator=generator))
    states, past, draws = torch.stack(cond), torch.stack(history), torch.stack(noise)
    options = {"num_steps": 2, "cfg_scale": 2.0}
    patches = model.generation_head.sample(states, past, init_noise=draws, **options)
    stop = model.stop_detector
    state = stop.start(len(TEXTS), [TextInfo()] * len(TEXTS))
    decided = stop.update(state, states, patches, 5)
    for i in range(len(TEXTS)):
        one = slice(i, i + 1)
        head = model.generation_head
        patch = head.sample(states[one], past[one], init_noise=draws[one], **options)
        assert_equal(patches[one], patch, "patches")
        made = stop.update(stop.start(1, [TextInfo()]), states[one], patch, 5)
        assert_equal(decided.probability[one], made.probability, "stop probability")
        assert decided.reason[i] == made.reason[0]


def speak(model: SpeechLM, chosen: list[int]) -> list[tuple[list[Tensor], str]]:
    """Some of the texts, together: patches and the reason of the end of each."""
    limits = [26, 7, 15]
    items = [
        Item(
            prompt_of(model, TEXTS[i]), "audio", noise=SeededNoise(seeded_generator(10 + i)),
            info=TextInfo(min_patches=5, max_patches=limits[i]), max_steps=40,
        )
        for i in chosen
    ]  # fmt: skip
    patches: list[list[Tensor]] = [[] for _ in chosen]
    ends = [""] * len(chosen)
    for step in generate(model, items, Sampling(2, 1.0, 0.5)):
        for row, i in enumerate(step.items):
            assert step.patches is not None
            patches[i].append(step.patches[row])
        for i, reason in step.finished.items():
            ends[i] = reason
    return list(zip(patches, ends, strict=True))


@pytest.mark.parametrize("names", MATRIX, ids="-".join)
@torch.no_grad()
def test_a_batch_equals_singles_running_free(names: tuple[str, str, str, str]) -> None:
    model = tiny(names)
    together = speak(model, [0, 1, 2])
    reasons[names] = [reason for _, reason in together]
    for i, (patches, reason) in enumerate(together):
        ((alone, end),) = speak(model, [i])
        assert (len(patches), reason) == (len(alone), end) and reason
        for one, other in itertools.islice(zip(patches, alone, strict=True), 20):
            assert (one - other).abs().max() <= 1e-3


@pytest.mark.parametrize("names", MATRIX, ids="-".join)
def test_a_stream_joins_to_the_whole(names: tuple[str, str, str, str]) -> None:
    model = tiny(names)
    options = {"seed": 3, "num_steps": 1, "cfg_scale": 0.0}
    stream = UniAudio(model).synthesize_stream("ha", **options)
    pieces = list(stream)
    whole = UniAudio(model).synthesize("ha", **options)
    assert torch.equal(torch.cat(pieces), whole.wav)
    assert (stream.patches, stream.stop_reason) == (whole.patches, whole.stop_reason)
    assert len(whole.wav) == round(whole.patches * model.patch_seconds * whole.sample_rate)


def test_the_matrix_saw_every_kind_of_end() -> None:
    if len(reasons) < len(MATRIX):
        pytest.skip("only a part of the matrix was run")
    seen = {reason for found in reasons.values() for reason in found}
    assert {"stop", "max_length"} <= seen
