"""The pieces of training: plans, times, guided attention, the latent store, adapters."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lm_training_data import make_config

from mingtok_audio.core.errors import ConfigError, FormatError, UserError
from mingtok_audio.training.data import Augmentation
from mingtok_audio.training.manifests import Recording
from uniaudio_lm import UniAudio
from uniaudio_lm.checkpoint.load import load_model
from uniaudio_lm.checkpoint.save import save_model
from uniaudio_lm.model.attention import AttentionProbe
from uniaudio_lm.parts.backbones.dense import DenseTransformer
from uniaudio_lm.parts.backbones.hf_causal_lm import HfCausalLm
from uniaudio_lm.parts.backbones.moe import SparseMoe
from uniaudio_lm.parts.phonemizers.english import EnglishPhonemizer
from uniaudio_lm.text.phonemes import manifest_text, phoneme_text
from uniaudio_lm.training.batches import rare_words
from uniaudio_lm.training.initial import learn_tokenizer
from uniaudio_lm.training.joint import JointTask
from uniaudio_lm.training.lora import LoraLinear, add_lora, load_adapter, merge_lora
from uniaudio_lm.training.losses import RouterBalance, guided_attention_loss, misread
from uniaudio_lm.training.plan import Plan, place_of
from uniaudio_lm.training.run import train
from uniaudio_lm.training.settings import Latents, LoraConfig, Phase
from uniaudio_lm.training.store import LatentStore, store_of
from uniaudio_lm.training.times import (
    character_times,
    phonemes_in_patches,
    said_in_patches,
    token_times,
)
from uniaudio_lm.training.utterances import Utterance

GOLDEN = Path(__file__).resolve().parents[3] / "tests" / "data" / "golden" / "unified"


# --- which batch, which task ---------------------------------------------------------------------


def test_steps_take_turns_whatever_the_processes() -> None:
    for per_step in (1, 2, 6):
        places = [place_of(n, (1, 3), per_step) for n in range(8 * per_step)]
        tasks = [places[step * per_step][0] for step in range(8)]
        assert tasks == ["understanding", *["generation"] * 3] * 2
        for task in ("understanding", "generation"):
            numbers = [index for name, index in places if name == task]
            assert numbers == list(range(len(numbers)))  # every batch once, in order
    assert {place_of(n, (0, 2), 1)[0] for n in range(9)} == {"generation"}


def test_batches_stay_under_their_budget_and_hold_every_item() -> None:
    rng = np.random.default_rng(0)
    tokens = rng.integers(5, 90, 200)
    plan = Plan(tokens, [1.0] * 200, 300, seed=1)
    seen: list[int] = []
    number = 0
    while len(seen) < 200:
        batch = plan.batch(number)
        longest = max(tokens[i] for (i,) in batch)
        assert len(batch) * longest <= 300
        seen += [i for (i,) in batch]
        number += 1
    assert sorted(seen) == list(range(200))
    assert number < 200 * tokens.mean() / 300 * 1.5  # little padding
    later = plan.batch(3 * number)
    again = Plan(tokens, [1.0] * 200, 300, seed=1)
    assert again.batch(3 * number) == later and again.batch(0) == plan.batch(0)
    assert Plan(tokens, [1.0] * 200, 300, seed=2).batch(0) != plan.batch(0)


def test_weights_curriculum_and_voices() -> None:
    plan = Plan([10] * 4, [2.0, 0.5, 1.0, 0.0], 1000, seed=0)
    drawn = [i for n in range(200) for (i,) in plan.batch(n)]
    counts = np.bincount(drawn, minlength=4) / 200
    assert counts[3] == 0 and counts[0] == 2 and 0.4 < counts[1] < 0.6
    seconds = [1.0, 2.0, 9.0]
    plan = Plan([10] * 3, [1.0] * 3, 1000, 0, seconds=seconds, phases=[Phase(2, 1.5), Phase(3, 5)])
    sizes = [len(plan.batch(n)) for n in range(7)]
    assert sizes == [1, 1, 2, 2, 2, 3, 3]
    speakers = ["a", "a", "b", "a"]
    plan = Plan([10] * 4, [1.0] * 4, 40, 0, speakers=speakers, continued=0.7)
    items = [item for n in range(60) for item in plan.batch(n)]
    pairs = [item for item in items if len(item) == 2]
    assert 0.2 < len(pairs) / len(items) < 0.7
    assert all(speakers[a] == speakers[b] and a != b for a, b in pairs)


# --- times ---------------------------------------------------------------------------------------


def utterance(text: str, phonemes: str, step: float = 0.1) -> Utterance:
    symbols = tuple(phonemes)
    recording = Recording(Path("x"), step * len(symbols), 1.0, "x", text)
    return Utterance(recording, text, "en", "s", 1.0, symbols, (step,) * len(symbols))


def test_tokens_know_when_they_are_said() -> None:
    said = utterance("ab, cd", "_ab, cd._")
    symbols = manifest_text(said.phonemes)
    assert symbols == "⟨a⟩⟨b⟩, ⟨c⟩⟨d⟩."
    times = character_times(symbols, said)
    assert times is not None
    assert np.allclose(times[:3], (0.1, 0.2)) and np.allclose(times[symbols.index("c")], (0.5, 0.6))
    # By words where the phonemes are others: punctuation is time of the word before it.
    words = character_times("ab, cd", said)
    assert words is not None
    assert np.allclose((words[0, 0], words[2, 1], words[4, 0], words[5, 1]), (0.1, 0.4, 0.5, 0.8))
    assert character_times("ab cd ef", said) is None
    tokens = token_times([(0, 3), (3, 4), (4, 6)], words)
    assert np.allclose(tokens[0], (0.1, 0.4)) and np.allclose(tokens[2], (0.5, 0.8))
    inside = said_in_patches(tokens, 9, 0.1)
    assert inside.shape == (9, 3) and inside.any(axis=1).all()
    assert inside[2].tolist() == [True, False, False] and inside[6].tolist() == [False, False, True]
    assert inside[8].tolist() == [False, False, True]  # the pause at the end
    shares = phonemes_in_patches(said, {"a": 0, "b": 1, "d": 2}, 9, 0.15)
    assert np.allclose(shares[0], (1, 0, 0)) and np.allclose(shares[1], (1 / 3, 2 / 3, 0))
    assert np.allclose(shares[8], 0)


def test_phonemes_are_text_of_their_own() -> None:
    said = phoneme_text("Well, it's 你好!", EnglishPhonemizer(), "en")
    assert said == "⟨W⟩⟨EH1⟩⟨L⟩, ⟨IH1⟩⟨T⟩⟨S⟩ 你好!"
    tokenizer = learn_tokenizer(["well it is"], 10, EnglishPhonemizer().symbols)
    ids = tokenizer.encode("⟨W⟩⟨EH1⟩⟨L⟩, ⟨IH1⟩")
    assert len(ids) == 6 and tokenizer.decode(ids) == "⟨W⟩⟨EH1⟩⟨L⟩, ⟨IH1⟩"
    assert tokenizer.offsets("⟨W⟩⟨EH1⟩") == [(0, 3), (3, 8)]


def test_a_learned_tokenizer_knows_its_prompts() -> None:
    from uniaudio_lm.model import prompts

    tokenizer = learn_tokenizer(["the cat and the hat"] * 9, 8)
    ids = prompts.encode(tokenizer, prompts.recognition(3, ["hat"])).ids
    assert len(ids) < 25
    text = "ça va? \t 你好 <audio>"
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.special("<audio>") not in tokenizer.encode(text)
    assert rare_words("the Cat sat near Wellington") == ["Cat", "Wellington"]


# --- aids and balance ----------------------------------------------------------------------------


def small_hf() -> HfCausalLm:
    return HfCausalLm({
        "model_type": "qwen2", "vocab_size": 40, "hidden_size": 24, "intermediate_size": 32,
        "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1,
        "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
    })  # fmt: skip


@pytest.mark.parametrize("name", ["dense", "hf_causal_lm"])
def test_the_probe_sees_the_attention_that_the_layer_uses(name: str) -> None:
    torch.manual_seed(0)
    model = DenseTransformer(40, 24, 2, 2, 32, num_kv_heads=1) if name == "dense" else small_hf()
    embeds = torch.randn(2, 7, 24)
    probe = AttentionProbe(model, 1, (0, 1))
    outs: list[torch.Tensor] = []
    out = probe.module.out if name == "dense" else probe.module.o_proj
    hook = out.register_forward_pre_hook(lambda module, args: outs.append(args[0]))
    with probe.watch():
        model(embeds)
    hook.remove()
    assert probe._inputs is not None
    x = probe._inputs[0]
    attention = probe.attention(torch.tensor([[2, 6], [0, 5]]))
    assert attention.shape == (2, 2, 2, 7)
    assert torch.allclose(attention.sum(dim=-1), torch.ones(2, 2, 2))
    if name == "dense":
        value = probe.module.qkv(x).unflatten(-1, (-1, 12))[:, :, -1]
    else:
        value = probe.module.v_proj(x)
    mixed = attention @ value[:, None]  # (B, H, P, E); both heads share the values
    for row, places in enumerate(((2, 6), (0, 5))):
        for i, place in enumerate(places):
            expected = outs[0][row, place].unflatten(0, (2, 12))
            assert torch.allclose(mixed[row, :, i], expected, atol=1e-5)


def test_guided_attention_loss_is_the_mass_on_what_is_said() -> None:
    attention = torch.tensor([[[[0.2, 0.8], [0.5, 0.5]]]])
    said = torch.tensor([[[True, False], [False, False]]])
    loss, aligned = guided_attention_loss(attention, said)
    assert float(loss) == pytest.approx(-math.log(0.2)) and aligned == 0.0
    assert float(guided_attention_loss(attention, ~said)[0]) == pytest.approx(
        -(math.log(0.8) + math.log(1.0)) / 2, abs=1e-6
    )


def test_balance_is_least_where_experts_share_alike() -> None:
    torch.manual_seed(0)
    layer = SparseMoe(16, 8, 4, 1, 0, 1, False)
    balance = RouterBalance(layer)
    x = torch.randn(1, 400, 16)
    valid = torch.ones(1, 400, dtype=torch.bool)
    found = []
    for push in (0.0, 5.0):
        with torch.no_grad():
            layer.router.weight[0] = push * torch.ones(16)
        shifted = x + push / 5
        with balance.watch():
            layer(shifted)
        found.append(float(balance.loss(valid).detach()))
    assert 0.9 < found[0] < 2.0 < found[1]
    with balance.watch():
        layer(x)
    alone = float(balance.loss(valid).detach())
    with balance.watch():
        layer(torch.cat((x, 100 * torch.ones_like(x)), dim=1))
    padded = balance.loss(torch.cat((valid, ~valid), dim=1))
    assert float(padded.detach()) == pytest.approx(alone)  # padding does not count


# --- latents -------------------------------------------------------------------------------------


def test_the_store_keeps_posteriors_and_variants(data: Path, tmp_path: Path) -> None:
    from mingtok_audio.core.audio import load_audio
    from mingtok_audio.models.mingtok import MingTok

    tokenizer = MingTok.from_pretrained(data / "tokenizer")
    recording = Recording(data / "2.wav", 0.7, 1.0, "2")
    store = LatentStore(tmp_path, tokenizer, Augmentation(resample_probability=1.0))
    found = store.get(recording)
    assert found is not None and found.shape == (2, 35, 8)
    wav, rate = load_audio(data / "2.wav")
    posterior = tokenizer.encode_posterior(wav, rate)
    assert np.allclose(found[0], posterior.mean[0], atol=5e-3)
    assert np.allclose(found[1], posterior.std[0], atol=5e-3)
    variants = [store.get(recording, i) for i in (1, 2)]
    assert all(v is not None for v in variants)
    # Played at other rates: other frames, and mostly another number of them.
    assert len({v.tobytes() for v in (found, *variants) if v is not None}) == 3
    again = LatentStore(tmp_path, tokenizer, Augmentation(resample_probability=1.0))
    files = sorted(tmp_path.rglob("*.npy"))
    assert np.array_equal(again.get(recording, 2), variants[1])  # type: ignore[arg-type]
    assert sorted(tmp_path.rglob("*.npy")) == files and len(files) == 3
    assert store.get(Recording(data / "broken.wav", 1.0, 1.0, "b")) is None
    assert "broken.wav" in next(iter(store.skipped))


def test_the_store_takes_latents_from_a_description(data: Path, tmp_path: Path) -> None:
    from mingtok_audio.core.audio import load_audio
    from mingtok_audio.models.mingtok import MingTok
    from mingtok_audio.training.description import Description, DescriptionConfig

    tokenizer = MingTok.from_pretrained(data / "tokenizer")
    wav, rate = load_audio(data / "2.wav", sample_rate=16000)
    described = Description(DescriptionConfig(spectrum_dims=4, pitch_dims=2), rate, 320)
    described.fit([torch.from_numpy(wav)[None]])
    path = str(described.save(tmp_path / "description.safetensors", rate))
    recording = Recording(data / "2.wav", 0.7, 1.0, "2")
    for dims in (6, 5):
        plan = Latents(cache=str(tmp_path / "cache"), description=path)
        found = store_of(plan, tokenizer, dims).get(recording)
        assert found is not None and found.shape == (2, 35, dims)
        wanted = described(torch.from_numpy(wav)[None])[0, :, :dims]
        assert np.allclose(found[0], wanted, atol=5e-3) and not found[1].any()
    encoded = store_of(Latents(cache=str(tmp_path / "cache")), tokenizer, 5).get(recording)
    assert encoded is not None and encoded.shape == (2, 35, 5)
    assert not np.allclose(encoded[0], found[0], atol=5e-3)
    plan = Latents(cache=str(tmp_path / "cache"), precision="bf16")
    rounded = store_of(plan, tokenizer, 5).get(recording)
    assert rounded is not None and not np.array_equal(rounded, encoded)
    assert np.abs(rounded - encoded).mean() < 0.03 * np.abs(encoded).mean()
    plan = Latents(cache=str(tmp_path / "cache"), description=path, described=("generation",))
    for task, wanted in (("understanding", encoded), ("generation", found)):
        given = store_of(plan.only(task), tokenizer, 5).get(recording)
        assert given is not None and np.array_equal(given, wanted)


# --- adapters ------------------------------------------------------------------------------------


def test_a_merged_adapter_is_the_adapter() -> None:
    torch.manual_seed(0)
    model = DenseTransformer(40, 24, 2, 2, 32)
    x = torch.randn(1, 5, 24)
    before = model(x)
    names = add_lora(model, LoraConfig(rank=3, alpha=6, targets=[r"blocks\.\d\.attn\.(qkv|out)"]))
    assert len(names) == 4 and torch.equal(model(x), before)  # it begins as nothing
    for module in model.modules():
        if isinstance(module, LoraLinear):
            torch.nn.init.normal_(module.up, std=0.3)
    adapted = model(x)
    assert (adapted - before).abs().max() > 0.05
    assert merge_lora(model) == 4 and not any(isinstance(m, LoraLinear) for m in model.modules())
    assert torch.allclose(model(x), adapted, atol=1e-5)


def test_published_checkpoints_are_fine_tuned_with_adapters(data: Path, tmp_path: Path) -> None:
    config = make_config(
        data, "model=null", f"init={GOLDEN}", "learn=[stop_detector]", "lora={rank: 2}",
        "trainer.max_steps=2", "data.generation.max_tokens=200",
        "data.understanding.max_tokens=300",
    )  # fmt: skip
    train(config, tmp_path / "run")
    base = load_model(GOLDEN)
    merged = load_model(tmp_path / "run" / "model")
    before, after = base.state_dict(), merged.state_dict()
    changed = {n for n in before if not torch.equal(before[n], after[n])}
    assert any("attn.qkv" in n for n in changed) and any("stop_head" in n for n in changed)
    assert all(n.startswith(("backbone.blocks", "stop_detector")) for n in changed)
    adapter = tmp_path / "run" / "adapter"
    assert (adapter / "model.safetensors").stat().st_size < 0.2 * sum(
        t.numel() * 4 for t in before.values()
    )
    load_adapter(base, adapter)
    merge_lora(base)
    assert all(torch.allclose(base.state_dict()[n], after[n], atol=1e-6) for n in after)
    other = DenseTransformer(40, 24, 1, 2, 32)
    with pytest.raises(ConfigError, match="no linear layer"):
        load_adapter(other, adapter)
    (adapter / "adapter.json").write_text(json.dumps({"format_version": 9}))
    with pytest.raises(FormatError, match="format_version"):
        load_adapter(load_model(GOLDEN), adapter)


def test_latents_or_features_through_any_compressor(data: Path) -> None:
    for source, name in (("latent", "cross_attention"), ("unified", "pooling")):
        config = make_config(
            data, f"model.audio_input={source}", f"model.compressor={{name: {name}}}",
            "data.ratio=[1,1]",
        )  # fmt: skip
        task = JointTask(config)
        for number in (0, 1):
            loss, _ = task.loss(number, torch.Generator().manual_seed(0))
            loss.backward()
        lm = task.model.lm
        assert lm.compressor.in_dim == (8 if source == "latent" else 32)
        learned = [*lm.compressor.parameters(), *lm.adapter.parameters()]
        assert all(p.grad is not None for p in learned)
        lm.eval()
        stream = lm.new_feature_state()
        values = torch.randn(1, 20, 8)
        whole = lm.embed_audio(values)
        pieces = [lm.embed_audio(values[:, i : i + 5], stream) for i in range(0, 20, 5)]
        assert torch.allclose(torch.cat(pieces, dim=1), whole, atol=1e-5)
        assert UniAudio(lm).synthesize("one", seed=1).patches >= 0


@pytest.mark.parametrize("source", ["latent", "unified"])
def test_only_the_first_latents_are_read_and_said(data: Path, tmp_path: Path, source: str) -> None:
    config = make_config(
        data, f"model.audio_input={source}", "model.latent_dims=3", "data.ratio=[1,1]",
        "loss.history_noise=0.2", "loss.input_noise=0.2",
    )  # fmt: skip
    task = JointTask(config)
    for number in (0, 1):
        loss, _ = task.loss(number, torch.Generator().manual_seed(0))
        loss.backward()
    lm = load_model(save_model(task.model.lm.eval(), tmp_path / "model"))
    assert lm.generation_head.latent_dim == 3
    assert lm.compressor.in_dim == (3 if source == "latent" else 32)
    assert lm.config.latent_std is not None and len(lm.config.latent_std) == 3
    values = torch.randn(1, 10, 8)
    changed = torch.cat((values[..., :3], torch.randn(1, 10, 5)), dim=-1)
    assert torch.equal(lm.embed_audio(values), lm.embed_audio(changed))
    back = lm.denormalize(lm.normalize(values))
    assert torch.allclose(back[..., :3], values[..., :3], atol=1e-5)
    assert back.shape == values.shape and not bool(back[..., 3:].any())
    speech = UniAudio(lm).synthesize("one two three", seed=1)
    assert len(speech.wav) == round(speech.patches * lm.patch_seconds * speech.sample_rate)
    with pytest.raises(ConfigError, match="latent_dims"):
        JointTask(make_config(data, "model.latent_dims=0"))
    with pytest.raises(UserError, match="latent_dims is 9"):
        JointTask(make_config(data, "model.latent_dims=9"))


def test_part_of_an_answer_is_read_wrong_and_nothing_else() -> None:
    ids = torch.arange(400).view(4, 100)
    labels = torch.full_like(ids, -100)
    labels[:, 40:90] = ids[:, 40:90]
    read = misread(ids, labels, 0.3, torch.Generator().manual_seed(0))
    changed = read != ids
    assert not changed[:, :40].any() and not changed[:, 90:].any()
    assert 0.2 < float(changed[:, 40:90].float().mean()) < 0.4
    assert set(read[changed].tolist()) <= set(labels[labels != -100].tolist())
    assert torch.equal(misread(ids, labels, 0.0, torch.Generator()), ids)
    nothing = torch.full_like(ids, -100)
    assert torch.equal(misread(ids, nothing, 0.5, torch.Generator()), ids)


@given(sizes=st.lists(st.integers(1, 90), min_size=1, max_size=60), most=st.integers(90, 300))
def test_batches_are_packed_as_the_tokenizer_packs_them(sizes: list[int], most: int) -> None:
    from mingtok_audio.training.data import pack
    from uniaudio_lm.training.plan import _packed

    sizes = sorted(sizes)
    starts = _packed(np.array(sizes), most).tolist()
    expected = pack([(float(size), i) for i, size in enumerate(sizes)], most)
    assert starts == [batch[0] for batch in expected]
