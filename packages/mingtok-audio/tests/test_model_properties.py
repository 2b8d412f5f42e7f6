"""Promises of the tokenizer: streaming equals offline, batch equals single, exact lengths."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_tokenizer import tiny_model

from mingtok_audio import config
from mingtok_audio.core.errors import AudioError, UserError
from mingtok_audio.latents import Latents
from mingtok_audio.models.mingtok import MingTok
from mingtok_audio.modules.transformer import Transformer, rotary_table

CLOSE = 1e-5
RELAXED = settings(deadline=None, max_examples=25)
# Half of the lengths short, with the edges of frames; a few up to 100 seconds.
LENGTHS = st.one_of(
    st.integers(1, 2000), st.sampled_from([1, 319, 320, 321, 640]), st.integers(1, 40_000)
)
CHUNKS = st.lists(st.one_of(st.integers(0, 5), st.integers(1, 4000)), max_size=30)


def noise(count: int, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(count) * 0.1).astype(np.float32)


def pieces(array, sizes):
    """Cut the first axis into chunks of these sizes, and the rest."""
    start = 0
    for size in sizes:
        yield array[start : start + size]
        start += size
    yield array[start:]


def distance(a: torch.Tensor, b: torch.Tensor) -> float:
    assert a.shape == b.shape
    return float((a - b).abs().max()) if a.numel() else 0.0


@RELAXED
@given(LENGTHS, CHUNKS, st.sampled_from([None, 3]))
def test_streamed_encoding_equals_offline(length, chunks, seed) -> None:
    model, wav = tiny_model(), noise(length)
    rng = [None if seed is None else torch.Generator().manual_seed(seed) for _ in range(2)]
    whole = model.encode(wav, 16000, generator=rng[0])
    stream = model.stream_encoder(16000, generator=rng[1])
    parts = [stream.push(chunk) for chunk in pieces(wav, chunks)] + [stream.finish()]
    assert distance(torch.cat([p.values for p in parts], dim=1), whole.values) <= CLOSE
    assert sum(int(p.num_samples[0]) for p in parts) == length == int(whole.num_samples[0])
    assert sum(int(p.source_num_samples[0]) for p in parts) == length
    assert whole.values.shape[1] == -(-length // 320) == int(whole.lengths[0])


@RELAXED
@given(st.integers(1, 30_000), CHUNKS, st.sampled_from([8000, 22050, 44100, 48000]))
def test_streamed_encoding_resamples_like_offline(length, chunks, rate) -> None:
    model, wav = tiny_model(), noise(length)
    whole = model.encode(wav, rate)
    stream = model.stream_encoder(rate)
    parts = [stream.push(chunk) for chunk in pieces(wav, chunks)] + [stream.finish()]
    assert distance(torch.cat([p.values for p in parts], dim=1), whole.values) <= CLOSE
    assert sum(int(p.num_samples[0]) for p in parts) == int(whole.num_samples[0])
    assert int(whole.source_num_samples[0]) == length


@RELAXED
@given(st.integers(1, 150), CHUNKS, st.sampled_from(["latent", "unified"]))
def test_streamed_decoding_and_features_equal_offline(frames, chunks, decoder_input) -> None:
    model = tiny_model(decoder_input=decoder_input)
    values = torch.randn(1, frames, 8, generator=torch.Generator().manual_seed(frames))
    whole, features = model.decode(values), model.features(values)
    sizes = [c % 40 for c in chunks]
    decoder, semantic = model.stream_decoder(), model.stream_features()
    waves = [decoder.push(p.unsqueeze(0)) for p in pieces(values[0], sizes)] + [decoder.finish()]
    parts = [semantic.push(p.unsqueeze(0)) for p in pieces(values[0], sizes)] + [semantic.finish()]
    assert whole.shape == (1, frames * 320)
    assert distance(torch.cat(waves, dim=1), whole) <= CLOSE * max(1, float(whole.abs().max()))
    assert distance(torch.cat(parts, dim=1), features) <= CLOSE * 10


@RELAXED
@given(st.lists(LENGTHS, min_size=1, max_size=5), st.integers(0, 99))
def test_batches_equal_singles(lengths, seed) -> None:
    model = tiny_model()
    rows = [noise(count, seed + i) for i, count in enumerate(lengths)]
    batch = np.full((len(rows), max(lengths) + 7), 0.7, dtype=np.float32)  # rubbish in the padding
    for i, row in enumerate(rows):
        batch[i, : len(row)] = row
    together = model.encode(batch, 16000, lengths=lengths)
    wav, features = model.decode(together), model.features(together)
    for i, row in enumerate(rows):
        alone = model.encode(row, 16000)
        frames, samples = int(alone.lengths[0]), len(row)
        assert (int(together.lengths[i]), int(together.num_samples[i])) == (frames, samples)
        assert distance(together.values[i, :frames], alone.values[0]) <= CLOSE
        assert distance(features[i, :frames], model.features(alone)[0]) <= CLOSE * 10
        assert not features[i, frames:].any() and not wav[i, samples:].any()
        single = model.decode(alone)
        assert single.shape == (1, samples)
        limit = CLOSE * max(1.0, float(single.abs().max()))
        assert distance(wav[i, :samples], single[0]) <= limit


def test_a_hundred_seconds_in_blocks_equals_one_block(monkeypatch) -> None:
    model, wav = tiny_model(), noise(1_600_000)
    latents = model.encode(wav, 16000)
    decoded = model.decode(latents)
    assert latents.values.shape[1] == 5000 and decoded.shape == (1, 1_600_000)
    monkeypatch.setattr(config, "BLOCK_FRAMES", 10**9)
    whole = model.encode(wav, 16000)
    assert distance(whole.values, latents.values) <= CLOSE
    assert distance(model.decode(whole), decoded) <= CLOSE * float(decoded.abs().max())


def test_seeds_and_modes(model: MingTok) -> None:
    wav = noise(9000)
    mean = model.encode(wav, 16000)
    assert torch.equal(mean.values, model.encode_posterior(wav, 16000).mean) and not mean.sampled
    draws = [
        model.encode(wav, 16000, generator=torch.Generator().manual_seed(s)) for s in (1, 1, 2)
    ]
    assert draws[0].sampled and torch.equal(draws[0].values, draws[1].values)
    assert not torch.equal(draws[0].values, draws[2].values)
    assert not torch.equal(draws[0].values, mean.values)


def test_full_attention_streams_are_bounded_in_words() -> None:
    from dataclasses import replace

    config = tiny_model().config
    semantic = replace(config.semantic, window=None)
    model = tiny_model(semantic=semantic, max_frames=20)
    stream = model.stream_features()
    values = torch.randn(1, 30, 8)
    expected = model.features(values)
    parts = [stream.push(values[:, i : i + 1]) for i in range(20)]
    assert distance(torch.cat(parts, dim=1), expected[:, :20]) <= CLOSE * 10
    with pytest.raises(UserError, match="max_frames=20"):
        stream.push(values[:, 20:21])


def test_streams_hold_no_more_as_they_grow(model: MingTok) -> None:
    state = model.new_decoder_state()
    sizes = []
    with torch.no_grad():
        for _ in range(60):
            model.decode_step(torch.zeros(1, 5, 8), state)
            layers = state.decoder.transformer.layers
            sizes.append([layer.key.shape[2] for layer in layers])
    assert sizes[-1] == sizes[5] == [4, 4]


def test_causality_and_window_by_gradient() -> None:
    config = tiny_model().config.encoder
    transformer = Transformer(config).eval()
    x = torch.randn(1, 40, 32, requires_grad=True)
    transformer(x)[0, 20].sum().backward()
    reached = x.grad[0].abs().sum(dim=-1).nonzero().flatten().tolist()
    assert max(reached) == 20
    assert min(reached) == 20 - config.context_frames


def test_rotary_angles_stay_right_after_hours() -> None:
    start = 50 * 3600 * 10
    cos, _ = rotary_table(start, 3, 8, 10000.0)
    exact = np.cos((start + np.arange(3))[:, None] * 10000.0 ** (-np.arange(0, 8, 2) / 8))
    assert np.abs(cos.numpy() - exact).max() < 1e-7


def test_gradient_reaches_all_that_decoding_uses() -> None:
    model = tiny_model(decoder_input="unified")
    model.wav_of(model.posterior_of(torch.randn(1, 3200)).mean).square().sum().backward()
    without = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


@pytest.mark.parametrize(
    ("wav", "rate", "lengths", "words"),
    [
        (np.zeros(0, np.float32), 16000, None, "positive sample count"),
        (np.array([0.0, np.nan], np.float32), 16000, None, "NaN"),
        (np.array([0.0, np.inf], np.float32), 16000, None, "NaN or infinite"),
        (np.zeros(10, np.int16), 16000, None, "divide by 32768"),
        (np.zeros((2, 3, 4), np.float32), 16000, None, "shape"),
        (np.zeros(10, np.float32), 0, None, "sample_rate"),
        (np.zeros((2, 10), np.float32), 16000, [5], "lengths"),
        (np.zeros((2, 10), np.float32), 16000, [5, 0], "lengths"),
        (np.zeros((2, 10), np.float32), 16000, [5, 11], "exceeds"),
    ],
)
def test_unusable_audio_is_refused_in_words(model: MingTok, wav, rate, lengths, words) -> None:
    with pytest.raises(AudioError, match=words):
        model.encode(wav, rate, lengths)


def test_latents_of_another_model_are_refused(model: MingTok) -> None:
    with pytest.raises(UserError, match="9 dimensions"):
        model.decode(Latents(torch.zeros(1, 4, 9)))
    with pytest.raises(UserError, match="no semantic module"):
        tiny_model(semantic=None).features(torch.zeros(1, 4, 8))
    stream = model.stream_decoder()
    stream.finish()
    with pytest.raises(UserError, match="finished"):
        stream.push(torch.zeros(1, 1, 8))
