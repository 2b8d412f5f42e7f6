"""The SIM judge of seed-tts-eval: its head against the published code, its checkpoint converted."""

from __future__ import annotations

import json
import re
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audio_eval.interfaces import JudgeUnavailableError
from audio_eval.judges import wavlm_ecapa
from audio_eval.judges.wavlm_ecapa import convert, make_head, renamed
from audio_eval.plugins import create_judge
from mingtok_audio.core.errors import UserError

transformers = pytest.importorskip("transformers")
torch = pytest.importorskip("torch")

GOLDEN = json.loads((Path(__file__).parent / "data" / "ecapa.json").read_text())
SHAPES = {
    name: tuple(json.loads(shape))
    for name, _, shape in (key.partition(" ") for key in GOLDEN["keys"])
}
NOISE = np.random.default_rng(0).normal(0, 0.1, 16000).astype(np.float32)


def value(name: str, shape: tuple[int, ...]) -> Any:
    """The golden run's weights, a function of their names."""
    drawn = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape)
    if name.endswith("running_var"):
        drawn = np.abs(drawn) + 0.5
    elif len(shape) > 1:
        drawn = drawn / np.sqrt(np.prod(shape[1:]))
    else:
        drawn = 0.3 * drawn
    return torch.from_numpy(np.asarray(drawn, dtype=np.float32))


def head_weights() -> dict[str, Any]:
    return {n: value(n, s) for n, s in SHAPES.items() if not n.endswith("num_batches_tracked")}


def test_the_head_gives_the_published_embedding() -> None:
    head = make_head(32, 4).eval()
    state = {k.removeprefix("head."): v for k, v in renamed(head_weights()).items()}
    wrong = head.load_state_dict(state, strict=False)
    assert not wrong.unexpected_keys
    assert all(key.endswith("num_batches_tracked") for key in wrong.missing_keys)
    states = [np.random.RandomState(i).standard_normal((1, 40, 32)) for i in range(4)]
    with torch.no_grad():
        found = head(torch.from_numpy(np.stack(states).astype(np.float32)))[0]
    np.testing.assert_allclose(found.numpy(), GOLDEN["embedding"], atol=2e-5)


def small_wavlm(stable: bool) -> Any:
    torch.manual_seed(0)
    norm = "layer" if stable else "group"
    config = transformers.WavLMConfig(
        hidden_size=32, num_hidden_layers=3, num_attention_heads=4, intermediate_size=24,
        conv_dim=[8] * 7, num_conv_pos_embeddings=8, num_conv_pos_embedding_groups=4,
        feat_extract_norm=norm, do_stable_layer_norm=stable, num_buckets=16,
    )  # fmt: skip
    model = transformers.WavLMModel(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.02 * torch.randn(parameter.shape))
    return model


def published(model: Any) -> dict[str, Any]:
    """WavLM's weights as the published file names them, and the golden head's."""
    layered = model.config.feat_extract_norm == "layer"
    names = (
        (r"^feature_projection\.layer_norm", "layer_norm"),
        (r"^feature_projection\.projection", "post_extract_proj"),
        (r"^masked_spec_embed$", "mask_emb"),
        (r"(conv_layers\.\d+)\.layer_norm", r"\1.2.1" if layered else r"\1.2"),
        (r"(conv_layers\.\d+)\.conv\.", r"\1.0."),
        (r"pos_conv_embed\.conv\.parametrizations\.weight\.original0", "pos_conv.0.weight_g"),
        (r"pos_conv_embed\.conv\.parametrizations\.weight\.original1", "pos_conv.0.weight_v"),
        (r"pos_conv_embed\.conv\.bias", "pos_conv.0.bias"),
        (r"(layers\.\d+)\.layer_norm", r"\1.self_attn_layer_norm"),
        (r"attention\.gru_rel_pos_linear", "self_attn.grep_linear"),
        (r"attention\.gru_rel_pos_const", "self_attn.grep_a"),
        (r"attention\.rel_attn_embed", "self_attn.relative_attention_bias"),
        (r"\.attention\.", ".self_attn."),
        (r"feed_forward\.intermediate_dense", "fc1"),
        (r"feed_forward\.output_dense", "fc2"),
    )  # fmt: skip
    out = {}
    for name, tensor in model.state_dict().items():
        for pattern, old in names:
            name = re.sub(pattern, old, name)  # noqa: PLW2901
        out[f"feature_extract.model.{name}"] = tensor
    return {**out, **head_weights(), "loss_calculator.weight": torch.zeros(3)}


@pytest.mark.parametrize("stable", [True, False], ids=["large", "base"])
def test_a_converted_checkpoint_is_the_same_model(stable: bool, tmp_path: Path) -> None:
    model = small_wavlm(stable)
    torch.save({"model": published(model)}, tmp_path / "finetune.pth")
    folder = convert(tmp_path / "finetune.pth", tmp_path / "judge")
    judge = create_judge("wavlm_ecapa", model=str(folder), device="cpu")
    judge.check()
    found = np.array(judge.evaluate(NOISE, 16000)["embedding"])
    wav = torch.from_numpy(NOISE)
    if stable:
        wav = torch.nn.functional.layer_norm(wav, wav.shape)
    head = make_head(32, 4).eval()
    state = {k.removeprefix("head."): v for k, v in renamed(head_weights()).items()}
    head.load_state_dict(state, strict=False)
    with torch.no_grad():
        states = torch.stack(model(wav[None], output_hidden_states=True).hidden_states)
        wanted = torch.nn.functional.normalize(head(states)[0], dim=0).numpy()
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    assert np.linalg.norm(found) == pytest.approx(1.0, abs=1e-5)
    assert len(judge.evaluate(NOISE[:300], 16000)["embedding"]) == 256
    assert judge.identity() == create_judge("wavlm_ecapa", model=str(folder)).identity()


class _Runs:
    """What a pickle can do when it is read."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path("read").touch, ())


@pytest.mark.parametrize("kind", ["code", "text", "list", "no head", "no wavlm", "missing"])
def test_other_files_are_refused_and_no_code_runs(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "x.pth"
    if kind == "code":
        torch.save({"model": {"a": _Runs()}}, path)
    elif kind == "text":
        path.write_text("not a checkpoint")
    elif kind == "list":
        torch.save({"model": [1, 2]}, path)
    elif kind == "no head":
        tensors = published(small_wavlm(True))
        torch.save({k: v for k, v in tensors.items() if k.startswith("feature_extract")}, path)
    elif kind == "no wavlm":
        torch.save({"model": head_weights()}, path)
    monkeypatch.setattr(sys, "argv", ["wavlm_ecapa", str(path), "-o", str(tmp_path / "out")])
    with pytest.raises(SystemExit) as left:
        wavlm_ecapa.main()
    error = capsys.readouterr().err
    assert left.value.code == 2 and str(path) in error and error.count("\n") == 1, error
    assert not (tmp_path / "out").exists() and not (tmp_path / "read").exists()
    with pytest.raises(UserError):
        convert(path, tmp_path / "out")


def test_another_folder_is_no_judge(tmp_path: Path) -> None:
    small_wavlm(True).save_pretrained(tmp_path / "wavlm")
    judge = create_judge("wavlm_ecapa", model=str(tmp_path / "wavlm"), device="cpu")
    with pytest.raises(JudgeUnavailableError, match="not a converted checkpoint"):
        judge.evaluate(NOISE, 16000)
