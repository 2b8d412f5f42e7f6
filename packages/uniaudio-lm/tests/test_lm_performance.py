"""What makes it fast changes no result: caches, layouts, experts by groups, 8-bit weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from mingtok_audio.modules.dit_block import DitAttention, rotary_turns
from mingtok_audio.modules.transformer import apply_rotary
from uniaudio_lm import UniAudio
from uniaudio_lm.checkpoint.load import load_model
from uniaudio_lm.model.layout import lay_out, matrices, pays
from uniaudio_lm.model.speech_lm import SpeechLM
from uniaudio_lm.parts.backbones.hf_causal_lm import HfCausalLm
from uniaudio_lm.parts.backbones.moe import SparseMoe

GOLDEN = Path(__file__).resolve().parents[3] / "tests" / "data" / "golden" / "unified"


def load(*source: Any, **options: Any) -> SpeechLM:
    return UniAudio.from_pretrained(*source, **options).model


QWEN = {
    "model_type": "qwen2", "vocab_size": 64, "hidden_size": 32, "intermediate_size": 48,
    "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2,
    "tie_word_embeddings": True, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip


def qwen(**changes) -> HfCausalLm:
    torch.manual_seed(0)
    return HfCausalLm({**QWEN, **changes}).eval()


def buffers(state) -> list[int]:
    return [layer.room[0].data_ptr() for layer in state.cache.layers]


@torch.no_grad()
def test_steps_of_a_transformers_model_equal_the_whole_and_copy_nothing() -> None:
    model = qwen()
    x = torch.randn(2, 40, model.dim)
    whole = model(x)
    state = model.new_state(2, 40)
    made = [model(x[:, :9], state)]
    where = buffers(state)
    made += [model(x[:, i : i + n], state) for i, n in ((9, 1), (10, 7), (17, 1))]
    made += [model(x[:, i : i + 1], state) for i in range(18, 40)]
    assert torch.allclose(torch.cat(made, dim=1), whole, atol=2e-6)
    assert buffers(state) == where and state.length == 40
    # Past what was reserved it grows, by doubling.
    small = model.new_state(2, 8)
    steps = [model(x[:, i : i + 1], small) for i in range(40)]
    assert torch.allclose(torch.cat(steps, dim=1), whole, atol=2e-6)
    assert small.cache.layers[0].room[0].shape[2] >= 40


@torch.no_grad()
def test_a_batch_of_lengths_equals_singles_in_a_transformers_model() -> None:
    model = qwen()
    lengths = [5, 12, 9]
    items = [torch.randn(n + 6, model.dim) for n in lengths]
    x = torch.zeros(3, 12, model.dim)
    valid = torch.zeros(3, 12, dtype=torch.bool)
    for row, (item, n) in enumerate(zip(items, lengths, strict=True)):
        x[row, 12 - n :] = item[:n]
        valid[row, 12 - n :] = True
    state = model.new_state(3, 32)
    last = [model(x, state, valid=valid)[:, -1]]
    for k in range(3):
        step = torch.stack([item[n + k] for item, n in zip(items, lengths, strict=True)])
        last.append(model(step[:, None], state)[:, -1])
    state = state.select(torch.tensor([2, 0]))  # the second ends, the others change places
    rows = [2, 0]
    for k in range(3, 6):
        step = torch.stack([items[i][lengths[i] + k] for i in rows])
        last.append(model(step[:, None], state)[:, -1])
    for i, (item, n) in enumerate(zip(items, lengths, strict=True)):
        alone = model(item[None])[0, n - 1 :]
        for k, made in enumerate(last):
            if k < 4:
                assert torch.allclose(made[i], alone[k], atol=2e-6)
            elif i in rows:
                assert torch.allclose(made[rows.index(i)], alone[k], atol=2e-6)


@torch.no_grad()
def test_windowed_layers_of_a_transformers_model_stream_too() -> None:
    model = qwen(use_sliding_window=True, sliding_window=6, max_window_layers=1)
    x = torch.randn(1, 20, model.dim)
    state = model.new_state(1, 20)
    made = torch.cat([model(x[:, i : i + 1], state) for i in range(20)], dim=1)
    assert torch.allclose(made, model(x), atol=2e-6)


@torch.no_grad()
def test_experts_of_several_tokens_are_read_once_on_a_cpu() -> None:
    torch.manual_seed(0)
    layer = SparseMoe(32, 16, 8, 3, 16, 1, True).eval()
    x = torch.randn(7, 1, 32)
    together = layer(x)
    alone = torch.cat([layer(x[i : i + 1]) for i in range(7)])
    assert torch.allclose(together, alone, atol=1e-5)
    for columns in (True, False):
        lay_out(layer, columns)
        assert torch.allclose(layer(x), together, atol=1e-5)


def test_weights_for_use_stand_in_columns_and_for_training_in_rows(tmp_path: Path) -> None:
    if not pays(torch.device("cpu"), torch.float32):
        pytest.skip("this torch multiplies without MKL")
    model = load(GOLDEN)
    assert not model.training
    names = [name for name, _ in matrices(model)]
    assert any("gate_up" in name for name in names) and any("tokenizer" in name for name in names)

    def turned() -> bool:
        found = {
            p.transpose(-1, -2).is_contiguous() for _, p in matrices(model) if min(p.shape) > 1
        }
        assert len(found) == 1
        return found.pop()

    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert turned()
    model.train()
    assert not turned()
    model.eval()
    assert turned()
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    saved = load(UniAudio(model).save_pretrained(tmp_path / "saved"))
    assert all(torch.equal(before[name], tensor) for name, tensor in saved.state_dict().items())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_rotations_as_complex_numbers_are_rotations(dtype: torch.dtype) -> None:
    attention = DitAttention(32, 4, 3, False)
    x = torch.randn(2, 5, 2, 4, 8).to(dtype)
    turns = rotary_turns(5, 8)
    found = attention._rotate(x, turns)
    wanted = apply_rotary(x, turns[..., 0], turns[..., 1], "interleaved")
    assert torch.allclose(found[..., :3, :], wanted[..., :3, :], atol=1e-6)
    assert torch.equal(found[..., 3, :], x[..., 3, :])  # this head is not turned


def test_training_works_in_either_layout() -> None:
    model = load(GOLDEN)
    assert not any(p.grad is not None for p in model.parameters())
    x = torch.randn(2, 6, model.dim)
    grads = []
    for mode in (False, True):
        model.train(mode)
        model.zero_grad()
        model.backbone(x).square().sum().backward()
        grads.append(
            [p.grad.clone() for p in model.backbone.blocks.parameters() if p.grad is not None]
        )
    for a, b in zip(*grads, strict=True):
        assert torch.allclose(a, b, atol=1e-3 * float(a.abs().max()))


@torch.no_grad()
def test_int8_weights_are_small_and_close() -> None:
    pytest.importorskip("torchao.quantization")
    from uniaudio_lm.checkpoint.quantise import quantised_bytes

    plain = load(GOLDEN)
    small = load(GOLDEN, quantize="int8")
    matrix = small.backbone.blocks[0].mlp.gate_up
    assert matrix.qdata.dtype == torch.int8
    assert quantised_bytes(small.backbone.blocks) < 0.35 * quantised_bytes(plain.backbone.blocks)
    for name in ("attn.qkv.weight", "mlp.down"):
        exact = plain.backbone.blocks[1].get_parameter(name)
        found = small.backbone.blocks[1].get_parameter(name).dequantize()
        assert 0 < (exact - found).norm() / exact.norm() < 0.01
    x = torch.randn(2, 9, plain.dim, generator=torch.Generator().manual_seed(0))
    a, b = plain.backbone(x), small.backbone(x)
    # Of random weights: where two experts are nearly alike, another may be chosen.
    assert 0 < (a - b).norm() / a.norm() < 0.15
    assert UniAudio(small).synthesize("ha", num_steps=1, cfg_scale=1.0).patches
    with pytest.raises(Exception, match=r"cannot be saved: .* is quantised"):
        UniAudio(small).save_pretrained("never")


def test_silence_is_encoded_once_and_again_after_training() -> None:
    model = load_model(GOLDEN)
    first = model.silence()
    assert model.silence() is first
    model.train()
    with torch.no_grad():
        model.tokenizer.encoder.posterior_proj.bias.add_(1.0)
    assert not torch.equal(model.silence(), first)
    model.eval()
    second = model.silence()
    assert model.silence() is second and not torch.equal(second, first)
