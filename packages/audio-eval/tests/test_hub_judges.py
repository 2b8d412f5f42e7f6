"""The judges that load from a hub or folder, with tiny random weights saved as a hub has them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from audio_eval.interfaces import JudgeUnavailableError
from audio_eval.plugins import create_judge

transformers = pytest.importorskip("transformers")
torch = pytest.importorskip("torch")

NOISE = np.random.default_rng(0).normal(0, 0.1, 24000).astype(np.float32)


@pytest.fixture(scope="module")
def wavlm(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wavlm")
    torch.manual_seed(0)
    config = transformers.WavLMConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16,
        conv_dim=[8] * 7, num_conv_pos_embeddings=4, num_conv_pos_embedding_groups=2,
        tdnn_dim=[8] * 5, xvector_output_dim=12, feat_extract_norm="layer",
    )  # fmt: skip
    transformers.WavLMForXVector(config).save_pretrained(folder, safe_serialization=True)
    return folder


def test_wavlm_embedding(wavlm):
    judge = create_judge("wavlm_sv", model=str(wavlm), device="cpu")
    judge.check()
    found = np.array(judge.evaluate(NOISE, 16000)["embedding"])
    assert found.shape == (12,)
    assert np.linalg.norm(found) == pytest.approx(1.0, abs=1e-5)
    model = transformers.WavLMForXVector.from_pretrained(wavlm).eval()
    wav = torch.from_numpy((NOISE - NOISE.mean()) / np.sqrt(NOISE.var() + 1e-7))[None]
    with torch.no_grad():
        direct = torch.nn.functional.normalize(model(wav).embeddings[0], dim=0).numpy()
    assert found == pytest.approx(direct, abs=1e-4)
    # A clip that is shorter than the model's reach is taken too.
    assert len(judge.evaluate(NOISE[:300], 16000)["embedding"]) == 12
    assert wavlm.name in judge.identity()


@pytest.fixture(scope="module")
def whisper(tmp_path_factory) -> Path:
    """A Whisper of one layer with the tokens that forcing a language needs."""
    from tokenizers import Tokenizer, models

    folder = tmp_path_factory.mktemp("whisper")
    special = ["<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|zh|>", "<|translate|>",
               "<|transcribe|>", "<|startofprev|>", "<|startoflm|>", "<|nospeech|>",
               "<|notimestamps|>"]  # fmt: skip
    vocabulary = {chr(97 + k): k for k in range(26)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.add_special_tokens(special)
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=special[0], eos_token=special[0],
        pad_token=special[0],
    )  # fmt: skip
    fast.save_pretrained(folder)
    ids = {name: 26 + k for k, name in enumerate(special)}
    torch.manual_seed(0)
    config = transformers.WhisperConfig(
        vocab_size=26 + len(special), d_model=16, encoder_layers=1, decoder_layers=1,
        encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=16,
        decoder_ffn_dim=16, bos_token_id=26, eos_token_id=26, pad_token_id=26,
        decoder_start_token_id=27, max_target_positions=16,
    )  # fmt: skip
    model = transformers.WhisperForConditionalGeneration(config)
    more = {
        "is_multilingual": True,
        "lang_to_id": {"<|en|>": ids["<|en|>"], "<|zh|>": ids["<|zh|>"]},
        "task_to_id": {"transcribe": ids["<|transcribe|>"], "translate": ids["<|translate|>"]},
        "no_timestamps_token_id": ids["<|notimestamps|>"],
        "max_length": 12,
    }
    more |= {"decoder_start_token_id": 27, "eos_token_id": 26, "pad_token_id": 26}
    model.save_pretrained(folder, safe_serialization=True)
    (folder / "generation_config.json").write_text(json.dumps(more))
    transformers.WhisperFeatureExtractor().save_pretrained(folder)
    return folder


def test_whisper_reads_every_window(whisper, monkeypatch):
    judge = create_judge("whisper", model=str(whisper), device="cpu")
    judge.check()
    one = judge.evaluate(NOISE, 16000, language="en")
    assert set(one) == {"text"}
    assert judge.evaluate(NOISE, 16000, language="en") == one
    calls = []
    model = judge._load()[1]  # type: ignore[attr-defined]
    generate = model.generate
    monkeypatch.setattr(
        model, "generate", lambda *a, **k: calls.append(k.get("language")) or generate(*a, **k)
    )
    judge.evaluate(np.zeros(16000 * 61, np.float32), 16000, language="zh-CN")
    assert calls == ["zh"] * 3


def test_what_is_not_there_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for name in ("whisper", "wavlm_sv"):
        with pytest.raises(JudgeUnavailableError) as refused:
            create_judge(name, model="nobody/nothing-of-that-name").check()
        assert "nobody/nothing-of-that-name" in str(refused.value)
        assert "\n" not in str(refused.value)
    with pytest.raises(JudgeUnavailableError, match=r"no model\.bin"):
        create_judge("whisper_ct2", path=str(tmp_path)).check()
    labels = tmp_path / "labels.jsonl"
    labels.write_text(json.dumps({"id": "a", "text": "happy"}))
    judge = create_judge("label_files", path=str(labels))
    assert judge.evaluate(NOISE, 16000, id="a") == {"label": "happy"}
    with pytest.raises(JudgeUnavailableError, match="no label for 'b'"):
        judge.evaluate(NOISE, 16000, id="b")


@pytest.fixture(scope="module")
def classifier(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("classifier")
    torch.manual_seed(0)
    config = transformers.Wav2Vec2Config(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16,
        conv_dim=[8] * 7, num_conv_pos_embeddings=4, num_conv_pos_embedding_groups=2,
        classifier_proj_size=8, num_labels=3,
        id2label={0: "Happy", 1: "sad", 2: "angry"},
    )  # fmt: skip
    model = transformers.Wav2Vec2ForSequenceClassification(config)
    model.save_pretrained(folder, safe_serialization=True)
    transformers.Wav2Vec2FeatureExtractor().save_pretrained(folder)
    return folder


def test_audio_labels_are_the_models(classifier):
    judge = create_judge("audio_labels", model=str(classifier), device="cpu")
    judge.check()
    model = transformers.Wav2Vec2ForSequenceClassification.from_pretrained(classifier).eval()
    wav = torch.from_numpy((NOISE - NOISE.mean()) / np.sqrt(NOISE.var() + 1e-7))[None]
    with torch.no_grad():
        share = model(wav).logits[0].softmax(dim=0)
    names = ["Happy", "sad", "angry"]
    found = judge.evaluate(NOISE, 16000)
    assert found["label"] == names[int(share.argmax())]
    assert found["probability"] == pytest.approx(float(share.max()), abs=1e-4)
    for labels in (["happy"], ["SAD", "unknown"], ["happy", "angry"]):
        known = [i for i, name in enumerate(names) if name.lower() in {x.lower() for x in labels}]
        best = max(known, key=lambda i: float(share[i]))
        assert judge.evaluate(NOISE, 16000, labels=labels)["label"] == names[best]
    with pytest.raises(JudgeUnavailableError, match="Happy, sad, angry; none of calm"):
        judge.evaluate(NOISE, 16000, labels=["calm"])
    assert judge.evaluate(NOISE[:300], 16000)["label"] in names
    assert classifier.name in judge.identity()


def test_a_model_of_another_kind_is_no_label_judge(wavlm):
    judge = create_judge("audio_labels", model=str(wavlm), device="cpu")
    with pytest.raises(JudgeUnavailableError, match="no audio-classification model"):
        judge.evaluate(NOISE, 16000)
