"""CAM++ from an ONNX file: against onnxruntime, and what is refused."""

from __future__ import annotations

import shutil
import struct
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from campplus_reference import TINY, write_campplus
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mingtok_audio.core.errors import AudioError, FormatError, UserError
from uniaudio_lm import UniAudio, VoicePrompt
from uniaudio_lm.parts.campplus import CampPlus
from uniaudio_lm.parts.campplus_file import load_campplus
from uniaudio_lm.parts.onnx_file import read_onnx

GOLDEN = Path(__file__).resolve().parents[3] / "tests" / "data" / "golden"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    pytest.importorskip("onnx")
    folder = tmp_path_factory.mktemp("campplus")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {
            "published size": write_campplus(folder / "full.onnx"),
            "tiny": write_campplus(folder / "tiny.onnx", seed=1, **TINY),
            "nothing folded": write_campplus(folder / "plain.onnx", seed=1, fold=False, **TINY),
            "other sizes": write_campplus(
                folder / "other.onnx", seed=2, layers=(1, 2), dilations=(2, 3), front=3,
                channels=10, growth=6, dim=7,
            ),
        }  # fmt: skip


@pytest.mark.parametrize("kind", ["published size", "tiny", "nothing folded", "other sizes"])
def test_equals_onnxruntime(files: dict[str, Path], kind: str) -> None:
    ort = pytest.importorskip("onnxruntime")
    session = ort.InferenceSession(str(files[kind]))
    model = load_campplus(files[kind])
    generator = torch.Generator().manual_seed(0)
    for frames in (57, 200, 343):  # below, at and past the segments of the context
        x = 3 * torch.randn(2, frames, 80, generator=generator)
        expected = torch.from_numpy(session.run(None, {"input": x.numpy()})[0])
        scale = float(expected.abs().max())
        torch.testing.assert_close(model(x) / scale, expected / scale, rtol=0, atol=1e-5)
        assert float((expected[0] - expected[1]).abs().max()) > 0.01 * scale


def test_the_default_is_the_published_size(files: dict[str, Path]) -> None:
    found = load_campplus(files["published size"])
    assert found.config == CampPlus().config
    assert sum(p.numel() for p in found.parameters()) == 6_843_488


def test_an_embedding_of_samples(files: dict[str, Path]) -> None:
    model = load_campplus(files["tiny"])
    wav = 0.1 * torch.randn(16000, generator=torch.Generator().manual_seed(1))
    found = model.embed(wav)
    assert found.shape == (192,) and torch.equal(found, model.embed(wav))
    with pytest.raises(AudioError, match="45 ms"):
        model.embed(wav[:700])


# --- files that are something else ---------------------------------------------------------------


def test_refused_files(tmp_path: Path, files: dict[str, Path]) -> None:
    onnx = pytest.importorskip("onnx")
    broken = tmp_path / "broken.onnx"
    with pytest.raises(FormatError, match="cannot read"):
        load_campplus(broken)
    broken.write_bytes(files["tiny"].read_bytes()[:-5000])
    with pytest.raises(FormatError, match="damaged"):
        load_campplus(broken)
    broken.write_bytes(b"")
    with pytest.raises(FormatError, match="no graph"):
        load_campplus(broken)
    model = onnx.load(str(files["nothing folded"]))
    for tensor in model.graph.initializer:
        if "conv1.weight" in tensor.name:
            tensor.raw_data = struct.pack("<f", float("nan")) + tensor.raw_data[4:]
            break
    onnx.save(model, str(broken))
    with pytest.raises(FormatError, match="not finite"):
        load_campplus(broken)
    model = onnx.load(str(files["nothing folded"]))
    dense = next(t for t in model.graph.initializer if t.name == "dense.weight")
    array = onnx.numpy_helper.to_array(dense)[:, :-1].copy()
    dense.CopyFrom(onnx.numpy_helper.from_array(array, dense.name))
    onnx.save(model, str(broken))
    with pytest.raises(FormatError, match="not the CAM"):
        load_campplus(broken)
    node = onnx.helper.make_node("Relu", ["x"], ["y"])
    value = onnx.helper.make_tensor_value_info("x", 1, [1])
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph([node], "g", [value], [])), str(broken))
    with pytest.raises(FormatError, match="0 convolutions"):
        load_campplus(broken)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_a_damaged_file_is_refused_in_one_line(
    files: dict[str, Path], tmp_path: Path, data: st.DataObject
) -> None:
    good = bytearray(files["tiny"].read_bytes())
    cut = data.draw(st.integers(0, len(good)))
    for _ in range(data.draw(st.integers(0, 4))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "damaged.onnx"
    path.write_bytes(good[:cut])
    try:
        load_campplus(path)
    except FormatError as error:
        assert "\n" not in str(error)


def test_constants_of_every_kind_are_read(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    whole = np.array([3, -4], dtype=np.int64)
    half = np.array([[0.5, -2]], dtype=np.float16)
    spread = onnx.helper.make_tensor("spread", 1, [2, 1], [1.5, 2.5])
    constant = onnx.helper.make_node("Constant", [], ["told"], value=spread)
    conv = onnx.helper.make_node("Conv", ["x", "w"], ["y"], dilations=[2], kernel_shape=[3])
    norm = onnx.helper.make_node("BatchNormalization", list("yabcd"), ["z"], epsilon=1e-3)
    graph = onnx.helper.make_graph(
        [constant, conv, norm], "g", [], [],
        [onnx.numpy_helper.from_array(whole, "whole"), onnx.numpy_helper.from_array(half, "half")],
    )  # fmt: skip
    path = tmp_path / "a.onnx"
    onnx.save(onnx.helper.make_model(graph), str(path))
    found = read_onnx(path)
    assert [node.op for node in found.nodes] == ["Conv", "BatchNormalization"]
    assert found.nodes[0].attributes == {"dilations": [2], "kernel_shape": [3]}
    assert found.nodes[1].floats == {"epsilon": pytest.approx(1e-3)}
    np.testing.assert_array_equal(found.constants["whole"], whole)
    np.testing.assert_array_equal(found.constants["half"], half)
    np.testing.assert_array_equal(found.constants["told"], [[1.5], [2.5]])


# --- speech in the voice of a clip ---------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, files: dict[str, Path]) -> Path:
    made = Path(shutil.copytree(GOLDEN / "omni_lm", tmp_path / "omni"))
    shutil.copy(files["tiny"], made / "campplus.onnx")
    return made


def _clip(seed: int, rate: int = 24000) -> torch.Tensor:
    time = torch.arange(rate) / rate
    tone = torch.sin(2 * torch.pi * (120 + 80 * seed) * time) * torch.rand(
        rate, generator=torch.Generator().manual_seed(seed)
    )
    return 0.3 * tone


def test_speech_in_the_voice_of_a_clip(folder: Path) -> None:
    model = UniAudio.from_pretrained(folder)
    with torch.no_grad():
        stop = model.model.stop_detector.get_submodule("stop_head")
        stop.get_parameter("bias").copy_(torch.tensor([-9.0, 9.0]))
    first = model.prepare_voice(VoicePrompt(_clip(1), 24000))
    assert first.latents is None and first.speaker is not None and first.speaker.shape == (192,)
    second = model.prepare_voice(VoicePrompt(_clip(2), 24000))
    assert second.speaker is not None
    assert float((first.speaker - second.speaker).abs().max()) > 1e-4
    said = model.synthesize("good morning", first, seed=1)
    other = model.synthesize("good morning", second, seed=1)
    alone = model.synthesize("good morning", seed=1)
    assert said.stop_reason == "stop" and len(said.wav) == len(alone.wav)
    assert not torch.equal(said.wav, alone.wav) and not torch.equal(said.wav, other.wav)
    # With its transcript, a clip gives its latents too; an embedding that is given is taken.
    both = model.prepare_voice(VoicePrompt(_clip(1), 24000, "hello"))
    assert both.latents is not None and both.speaker is not None
    torch.testing.assert_close(both.speaker, first.speaker)
    given_one = model.prepare_voice(VoicePrompt(_clip(1), 24000, speaker=torch.ones(192)))
    assert torch.equal(given_one.speaker, torch.ones(192))  # type: ignore[arg-type]


def test_the_speaker_model_travels_with_the_model(folder: Path, tmp_path: Path) -> None:
    saved = UniAudio.from_pretrained(folder).save_pretrained(tmp_path / "saved")
    assert (saved / "campplus.onnx").read_bytes() == (folder / "campplus.onnx").read_bytes()
    assert (
        UniAudio.from_pretrained(saved).prepare_voice(VoicePrompt(_clip(1), 24000)).speaker
        is not None
    )


def test_a_missing_or_foreign_speaker_model_is_refused(
    folder: Path, files: dict[str, Path]
) -> None:
    shutil.copy(files["other sizes"], folder / "campplus.onnx")
    model = UniAudio.from_pretrained(folder)
    with pytest.raises(FormatError, match="gives 7 numbers, and the language model takes 192"):
        model.prepare_voice(VoicePrompt(_clip(1), 24000))
    (folder / "campplus.onnx").unlink()
    with pytest.raises(UserError, match=r"no speaker model: put campplus\.onnx") as error:
        model.prepare_voice(VoicePrompt(_clip(1), 24000))
    assert "\n" not in str(error.value)
    # Its transcript makes do.
    assert model.prepare_voice(VoicePrompt(_clip(1), 24000, "hello")).latents is not None
