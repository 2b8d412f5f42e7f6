"""AudioVAE of Ming-omni-tts: the published numbers, and the promises of every tokenizer."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from tiny_tokenizer import tiny_config

from mingtok_audio import parity
from mingtok_audio.config import TransformerConfig
from mingtok_audio.core.errors import ConfigError, FormatError, UserError
from mingtok_audio.latents import Latents
from mingtok_audio.models.loading import check_names
from mingtok_audio.models.mingtok import MingTok
from mingtok_audio.models.reference import published_config
from mingtok_audio.modules.upsample import LinearUpsampler, UpsamplerState

RELAXED = settings(deadline=None, max_examples=20)
HOP = 320
VARIANTS = {
    "io_fa2_window.safetensors": ["--window-keys", "9"],
    "io_full_attention.safetensors": ["--full-attention"],
    "io_encoder_all_layers.safetensors": ["--encoder-layers", "all"],
}


def tiny_vae(group: int = 4, **changes: object) -> MingTok:
    """Frames of 80 samples, `group` of them per latent, at 4 kHz."""
    part = TransformerConfig(dim=16, num_layers=2, num_heads=2, mlp_dim=24, window=5)
    torch.manual_seed(0)
    values: dict = {
        "encoder": part, "decoder": part, "aggregator": part, "semantic": None, "latent_dim": 6,
        "sample_rate": 4000, "hop_length": 80 * group, "frame_length": 80, "n_fft": 320,
        "frames_per_latent": group,
    }  # fmt: skip
    model = MingTok(tiny_config(**(values | changes))).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model


@pytest.fixture(scope="module")
def vae() -> MingTok:
    return tiny_vae()


def noise(count: int) -> np.ndarray:
    return (np.random.default_rng(count).standard_normal(count) * 0.3).astype(np.float32)


def pieces(array, sizes):
    start = 0
    for size in sizes:
        yield array[start : start + size]
        start += size
    yield array[start:]


def close(a: torch.Tensor, b: torch.Tensor) -> None:
    assert a.shape == b.shape
    assert torch.allclose(a, b, rtol=1e-5, atol=1e-5)


# --- the published numbers -----------------------------------------------------------------------


def test_published_numbers(golden: Path, tmp_path: Path) -> None:
    written = tmp_path / "out.safetensors"
    assert parity.main([str(golden / "omni_vae"), "--check", "-o", str(written)]) == 0
    computed = load_file(written)
    recorded = load_file(golden / "omni_vae" / "io.safetensors")
    inputs = ("waveform", "waveform_length", "noise_bdt", "chunk_frames")
    debug = ("audio_buffer", "window_buffer")
    outputs = {k for k in recorded if k.rpartition(".")[2] not in inputs + debug}
    assert outputs <= computed.keys()


@pytest.mark.parametrize("file", VARIANTS)
def test_published_variants(golden: Path, file: str) -> None:
    folder = golden / "omni_vae"
    assert parity.main([str(folder), "--check", "--io", str(folder / file), *VARIANTS[file]]) == 0
    assert parity.main([str(folder), "--check", "--io", str(folder / file)]) == 1


def test_how_many_encoder_layers_run_is_said(golden: Path, caplog) -> None:
    everything = MingTok.from_pretrained(golden / "omni_vae")
    assert "6 of the encoder's 6 layers" in caplog.text
    published = MingTok.from_pretrained(golden / "omni_vae", encoder_layers="published")
    assert [m.config.encoder.num_layers for m in (everything, published)] == [6, 4]
    with pytest.raises(UserError, match="encoder_layers"):
        MingTok.from_pretrained(golden / "omni_vae", encoder_layers="some")  # type: ignore[arg-type]


def test_full_size_names_and_shapes_fit(golden: Path) -> None:
    names = json.loads((golden / "names" / "omni_0.5b_names.json").read_text())["names"]
    assumed = json.loads((golden / "names" / "omni_0.5b_assumed_config.json").read_text())
    config = published_config(assumed["audio_tokenizer_config"])
    own = {k.removeprefix("audio."): v for k, v in names.items() if k.startswith("audio.")}
    assert (config.sample_rate, config.frame_rate, config.encoder.num_layers) == (44100, 12.5, 24)
    with torch.device("meta"):
        model = MingTok(config)
    check_names(model, config, own)
    with pytest.raises(FormatError, match=r"missing: encoder\.cls_embed"):
        check_names(model, config, {k: v for k, v in own.items() if k != "encoder.cls_embed"})


def test_a_whole_checkpoint_gives_its_tokenizer(golden: Path, tmp_path: Path) -> None:
    tensors = load_file(golden / "omni_vae" / "model.safetensors")
    tensors = {f"audio.{name}": tensor for name, tensor in tensors.items()}
    tensors["stop_head.weight"] = torch.zeros(2, 3)
    save_file(tensors, tmp_path / "model.safetensors")
    config = json.loads((golden / "omni_vae" / "config.json").read_text())
    whole = {"model_type": "dense", "audio_tokenizer_config": config}
    (tmp_path / "config.json").write_text(json.dumps(whole))
    alone, part = MingTok.from_pretrained(golden / "omni_vae"), MingTok.from_pretrained(tmp_path)
    for name, tensor in alone.state_dict().items():
        assert torch.equal(part.state_dict()[name], tensor)


def test_saving_keeps_everything(vae: MingTok, tmp_path: Path) -> None:
    loaded = MingTok.from_pretrained(vae.save_pretrained(tmp_path / "model"))
    assert loaded.config == vae.config
    assert torch.equal(loaded.encode(noise(900), 4000).values, vae.encode(noise(900), 4000).values)


BROKEN = {
    "no rate": (lambda c: c.pop("sample_rate"), "sample_rate is missing"),
    "rate of the speech tokenizer": (lambda c: c.update(sample_rate=16000), "no whole number"),
    "hop of the speech tokenizer": (lambda c: c["enc_kwargs"].pop("hop_size"), "output_dim 882"),
    "no width": (lambda c: c["enc_kwargs"]["backbone"].pop("hidden_size"), "hidden_size"),
    "a semantic module": (
        lambda c: c.update(
            semantic_module_kwargs={"whisper_encoder": {"n_state": 8, "n_layer": 1, "n_head": 2}}
        ),
        "one latent per frame",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_refused_configs(golden: Path, tmp_path: Path, case: str) -> None:
    change, message = BROKEN[case]
    shutil.copy(golden / "omni_vae" / "model.safetensors", tmp_path)
    config = json.loads((golden / "omni_vae" / "config.json").read_text())
    change(config)
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ConfigError, match=message) as error:
        MingTok.from_pretrained(tmp_path)
    assert "\n" not in str(error.value)


# --- the promises --------------------------------------------------------------------------------


@RELAXED
@given(st.integers(1, 6), st.integers(1, 9), st.lists(st.integers(1, 4), max_size=4))
def test_upsampling_is_linear_interpolation(factor, length, chunks) -> None:
    x = torch.randn(2, length, 3, generator=torch.Generator().manual_seed(length))
    upsample = LinearUpsampler(factor)
    expected = torch.nn.functional.interpolate(x.mT, scale_factor=factor, mode="linear").mT
    close(upsample(x), expected)
    state, parts = UpsamplerState(), []
    for piece in pieces(x.transpose(0, 1), chunks):
        if len(piece):
            parts.append(upsample.step(piece.transpose(0, 1), state))
            emitted = sum(part.shape[1] for part in parts)
            seen = emitted + upsample.held
            assert seen % factor == 0  # all frames that the inputs determine, and no others
    if factor > 1:
        parts.append(upsample.flush(state))
    close(torch.cat(parts, dim=1), expected)


@RELAXED
@given(
    st.integers(1, 4000),
    st.lists(st.integers(0, 900), max_size=9),
    st.sampled_from([None, 3]),
    st.sampled_from([4000, 11025]),
)
def test_streamed_encoding_equals_offline(length, chunks, seed, rate) -> None:
    model, wav = tiny_vae(), noise(length)
    rng = [None if seed is None else torch.Generator().manual_seed(seed) for _ in range(2)]
    whole = model.encode(wav, rate, generator=rng[0])
    stream = model.stream_encoder(rate, generator=rng[1])
    joined = Latents.cat([*(stream.push(c) for c in pieces(wav, chunks)), stream.finish()])
    close(joined.values, whole.values)
    assert joined.num_samples.tolist() == whole.num_samples.tolist()
    assert whole.values.shape[1] == -(-int(whole.num_samples) // HOP)


@RELAXED
@given(st.integers(1, 40), st.lists(st.integers(0, 6), max_size=9), st.sampled_from([2, 3, 4, 5]))
def test_streamed_decoding_equals_offline(count, chunks, group) -> None:
    model = tiny_vae(group)
    values = torch.randn(1, count, 6, generator=torch.Generator().manual_seed(count))
    whole = model.decode(values)
    decoder = model.stream_decoder()
    waves = [decoder.push(p[None]) for p in pieces(values[0], chunks)] + [decoder.finish()]
    assert whole.shape == (1, count * 80 * group)
    close(torch.cat(waves, dim=1), whole)


def test_latents_of_another_rate_are_refused(vae: MingTok) -> None:
    with pytest.raises(UserError, match="320 samples each at 16000 Hz"):
        vae.decode(Latents(torch.zeros(1, 3, 6)))


def test_a_stream_emits_all_but_seventy_milliseconds(vae: MingTok) -> None:
    decoder, latent = vae.stream_decoder(), torch.zeros(1, 1, 6)
    held = 2 * 80 + (320 - 80) // 2  # two frames of 20 ms, and the overlap of 30 ms
    emitted = 0
    for count in range(1, 5):
        emitted += decoder.push(latent).shape[1]
        assert emitted == count * HOP - held
    assert emitted + decoder.finish().shape[1] == 4 * HOP


@RELAXED
@given(st.lists(st.integers(1, 3000), min_size=1, max_size=4))
def test_batches_equal_singles(lengths) -> None:
    model = tiny_vae()
    batch = np.full((len(lengths), max(lengths) + 7), 0.7, dtype=np.float32)
    for row, count in enumerate(lengths):
        batch[row, :count] = noise(count)
    together = model.encode(batch, 4000, lengths=lengths)
    wav = model.decode(together)
    for row, count in enumerate(lengths):
        alone = model.encode(noise(count), 4000)
        frames = int(alone.lengths)
        close(together.values[row, :frames], alone.values[0])
        assert not together.values[row, frames:].any()
        single = model.decode(alone)
        assert single.shape == (1, count)
        close(wav[row, :count], single[0])
        assert not wav[row, count:].any()


def test_blocks_change_nothing(vae: MingTok, monkeypatch) -> None:
    from mingtok_audio import config

    wav = noise(6001)
    latents = vae.encode(wav, 4000)
    whole = vae.decode(latents)
    monkeypatch.setattr(config, "BLOCK_FRAMES", 12)
    assert vae.config.block_latents == 3
    close(vae.encode(wav, 4000).values, latents.values)
    close(vae.decode(latents), whole)


@RELAXED
@given(st.integers(0, 9000), st.integers(1, 3000))
def test_a_part_of_a_file_is_the_slice_of_the_whole(tmp_path_factory, start, count) -> None:
    model = tiny_vae()
    file = tmp_path_factory.mktemp("part") / "a.mtok"
    latents = model.encode(noise(12000), 4000)
    latents.save(file)
    whole = model.decode(latents)
    part = Latents.load(file, start=start / 4000, end=(start + count) / 4000)
    close(model.decode(part), whole[:, start : start + count])
    assert part.values.shape[1] < latents.values.shape[1]


def test_gradients_reach_every_parameter(vae: MingTok) -> None:
    vae.zero_grad()
    vae.wav_of(vae.posterior_of(torch.randn(1, 1000)).mean).square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in vae.parameters())
    vae.zero_grad()


def test_the_command_runs_either_reading_of_the_encoder(tmp_path: Path) -> None:
    import soundfile

    from mingtok_audio.cli import app
    from mingtok_audio.core.cli import run

    folder = Path(__file__).resolve().parents[3] / "tests" / "data" / "golden" / "omni_vae"
    soundfile.write(tmp_path / "in.wav", 0.1 * np.sin(np.arange(44100) * 0.03), 44100)
    found = {}
    for reading in ("all", "published", "4"):
        with pytest.raises(SystemExit) as left:
            run(app, ["encode", str(tmp_path / "in.wav"), "-m", str(folder), "-o",
                      str(tmp_path / f"{reading}.mtok"), "--encoder-layers", reading])  # fmt: skip
        assert left.value.code == (2 if reading == "4" else 0)
        if reading != "4":
            found[reading] = Latents.load(tmp_path / f"{reading}.mtok").values
    for reading, values in found.items():
        model = MingTok.from_pretrained(folder, encoder_layers=reading)  # type: ignore[arg-type]
        wav, rate = soundfile.read(tmp_path / "in.wav", dtype="float32")
        torch.testing.assert_close(values, model.encode(wav, rate).values, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(found["all"], found["published"], atol=1e-2)
