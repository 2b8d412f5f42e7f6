"""The built-in compressors, and the kit that checks anybody's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import Tensor, nn

from mingtok_audio.compressors.cross_attention import CrossAttentionCompressor
from mingtok_audio.compressors.linear_pooling import LinearPoolingCompressor
from mingtok_audio.compressors.pooling import PoolingCompressor
from mingtok_audio.conformance import check_compressor
from mingtok_audio.core.errors import UserError
from mingtok_audio.interfaces import Compressor, CompressorStream, PatchStream

BUILT_INS = [PoolingCompressor, CrossAttentionCompressor, LinearPoolingCompressor]
GOLDEN = Path(__file__).resolve().parents[3] / "tests" / "data" / "golden" / "pooling"


def test_linear_pooling_is_the_published_one() -> None:
    config = json.loads((GOLDEN / "config.json").read_text())
    weights = load_file(GOLDEN / "model.safetensors")
    io = load_file(GOLDEN / "io.safetensors")
    compressor = LinearPoolingCompressor(
        config["hidden_size"], config["llm_input_dim"], config["patch_size"], drop_last=True
    )
    prefix = "linear_proj_audio."
    compressor.load_state_dict(
        {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
    )
    N = len(io["pool.x"])
    patches, counts = compressor(io["pool.x"])  # seven clips of one patch
    assert counts.tolist() == [1] * N
    assert (patches - io["pool.out"]).abs().max() <= 2e-5
    joined = io["pool.x"].reshape(1, N * config["patch_size"], -1)  # one clip of seven patches
    assert (compressor(joined)[0][0] - io["pool.out"][:, 0]).abs().max() <= 2e-5


def test_pooling_is_equation_5() -> None:
    features = torch.arange(24.0).view(1, 12, 2)
    patches, counts = PoolingCompressor(2)(features)
    assert counts.tolist() == [3]
    assert torch.equal(patches[0, :2], features[0, :10].view(2, 5, 2).mean(1))
    assert torch.equal(patches[0, 2], features[0, 10:].mean(0))  # the frames that are there
    patches, counts = PoolingCompressor(2, drop_last=True)(features)
    assert counts.tolist() == [2] and patches.shape == (1, 2, 2)


@pytest.mark.parametrize("kind", BUILT_INS)
@pytest.mark.parametrize("drop_last", [False, True])
def test_built_ins_conform(kind: type[Compressor], drop_last: bool) -> None:
    results = check_compressor(kind, drop_last=drop_last)
    assert len(results) == 7 and [r for r in results if not r.ok] == []


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(BUILT_INS),
    lengths=st.lists(st.integers(0, 40), min_size=1, max_size=5),
    patch_size=st.integers(1, 7),
    extra=st.integers(0, 9),
    drop_last=st.booleans(),
    chunks=st.lists(st.integers(0, 13), min_size=1, max_size=20),
)
def test_batches_and_streams_equal_single(
    *,
    kind: type[Compressor],
    lengths: list[int],
    patch_size: int,
    extra: int,
    drop_last: bool,
    chunks: list[int],
) -> None:
    torch.manual_seed(0)
    compressor = kind(in_dim=6, patch_size=patch_size, drop_last=drop_last).eval()  # type: ignore[call-arg]
    padded = torch.full((len(lengths), max(lengths) + extra, 6), float("nan"))
    items = [torch.randn(1, n, 6) for n in lengths]
    for row, item in zip(padded, items, strict=True):
        row[: item.shape[1]] = item[0]
    with torch.no_grad():
        patches, counts = compressor(padded, torch.tensor(lengths))
        assert patches.shape == (len(lengths), compressor.num_patches(padded.shape[1]), 6)
        for i, item in enumerate(items):
            alone, count = compressor(item)
            assert count.tolist() == [counts[i]] == [compressor.num_patches(lengths[i])]
            assert torch.allclose(patches[i, : counts[i]], alone[0], atol=1e-5)
            assert not patches[i, counts[i] :].any()
            stream, pieces, position = compressor.stream(), [], 0
            while position < lengths[i]:
                for chunk in [*chunks, 1]:
                    pieces.append(stream.push(item[:, position : position + chunk]))
                    position += chunk
            pieces.append(stream.finish())
            assert torch.allclose(torch.cat(pieces, dim=1), alone, atol=1e-5)


def test_half_precision_goes_through() -> None:
    for kind in BUILT_INS:
        compressor = kind(in_dim=8).to(torch.bfloat16)  # type: ignore[call-arg]
        patches, _ = compressor(torch.randn(1, 7, 8, dtype=torch.bfloat16))
        assert patches.dtype == torch.bfloat16 and torch.isfinite(patches).all()


def test_a_stream_holds_less_than_a_patch() -> None:
    stream = PoolingCompressor(3, patch_size=5).stream()
    assert isinstance(stream, PatchStream)
    for _ in range(50):
        stream.push(torch.randn(1, 1003, 3))
        assert stream._held is not None and stream._held.shape[1] < 5
        assert stream._held.untyped_storage().nbytes() < 5 * 3 * 4
    stream.finish()
    for again in (lambda: stream.push(torch.randn(1, 1, 3)), stream.finish):
        with pytest.raises(UserError, match=r"finished"):
            again()


@pytest.mark.parametrize("kind", BUILT_INS)
def test_shapes_that_do_not_fit(kind: type[Compressor]) -> None:
    compressor = kind(in_dim=4)  # type: ignore[call-arg]
    for bad in (torch.zeros(5, 4), torch.zeros(1, 5, 3), torch.zeros(1, 1, 5, 4)):
        with pytest.raises(UserError, match=r"features must be"):
            compressor(bad)
        with pytest.raises(UserError, match=r"features must be"):
            compressor.stream().push(bad)
    with pytest.raises(UserError, match=r"lengths must be"):
        compressor(torch.zeros(2, 5, 4), torch.tensor([5]))
    for options in (
        {"in_dim": 0},
        {"in_dim": 4, "patch_size": 0},
        {"in_dim": 4, "patch_size": 2.5},
    ):
        with pytest.raises(ValueError, match=r"whole number from 1"):
            kind(**options)  # type: ignore[arg-type]


def test_gradients_stay_in_their_patch() -> None:
    for kind in BUILT_INS:
        torch.manual_seed(0)
        compressor = kind(in_dim=4, patch_size=3)  # type: ignore[call-arg]
        features = torch.randn(1, 9, 4, requires_grad=True)
        compressor(features)[0][0, 1].square().sum().backward()
        assert features.grad is not None
        reached = features.grad[0].abs().sum(-1) > 0
        assert reached.tolist() == [False] * 3 + [True] * 3 + [False] * 3


# ---------------------------------------------------------------------------------------------
# compressors that are wrong on purpose: each must be caught by the check that is there for it


class WrongShape(PoolingCompressor):
    def forward(self, features: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        patches, counts = super().forward(features, lengths)
        return patches[..., :-1], counts


class WrongCounts(PoolingCompressor):
    def forward(self, features: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        patches, counts = super().forward(features, lengths)
        return patches, counts.float()


class LooksAhead(PoolingCompressor):
    def forward(self, features: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        patches, counts = super().forward(features, lengths)
        return patches + torch.roll(patches, -1, dims=1) * 1e-3, counts


class RemembersInTheStream(PoolingCompressor):
    class Stream(PatchStream):
        def push(self, features: Tensor) -> Tensor:
            return super().push(features) * 1.01

    def stream(self) -> CompressorStream:
        return self.Stream(self)


class ForgetsTheEnd(PoolingCompressor):
    class Stream(PatchStream):
        def finish(self) -> Tensor:
            return super().finish()[:, :0]

    def stream(self) -> CompressorStream:
        return self.Stream(self)


class SeesThePadding(PoolingCompressor):
    def forward(self, features: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        _, counts = super().forward(features, lengths)
        return super().forward(features)[0], counts


class BatchStatistics(PoolingCompressor):
    def forward(self, features: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        patches, counts = super().forward(features, lengths)
        return patches - patches.mean(dim=0, keepdim=True), counts


class NoGradient(PoolingCompressor):
    def forward(self, features: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        patches, counts = super().forward(features.detach(), lengths)
        return patches.requires_grad_(), counts


class IdleParameter(PoolingCompressor):
    def __init__(self, in_dim: int, patch_size: int = 5) -> None:
        super().__init__(in_dim, patch_size)
        self.idle = nn.Linear(2, 2)


class Random(PoolingCompressor):
    def forward(self, features: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        patches, counts = super().forward(features, lengths)
        return patches * (1 + 1e-3 * torch.rand(())), counts


class HiddenWeights(PoolingCompressor):
    def __init__(self, in_dim: int, patch_size: int = 5) -> None:
        super().__init__(in_dim, patch_size)
        self.secret = [torch.randn(in_dim)]  # not in the state dict

    def forward(self, features: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        patches, counts = super().forward(features, lengths)
        return patches * self.secret[0], counts


class Crashes(PoolingCompressor):
    def forward(self, features: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        raise RuntimeError("two\nlines")


class TakesNoOptions(PoolingCompressor):
    def __init__(self) -> None:
        super().__init__(4)


@pytest.mark.parametrize(
    ("kind", "check"),
    [
        (WrongShape, "shapes"),
        (WrongCounts, "shapes"),
        (LooksAhead, "causality"),
        (RemembersInTheStream, "streaming equals offline"),
        (ForgetsTheEnd, "streaming equals offline"),
        (SeesThePadding, "batch equals single"),
        (BatchStatistics, "batch equals single"),
        (NoGradient, "gradient"),
        (IdleParameter, "gradient"),
        (Random, "same input, same output"),
        (HiddenWeights, "save and load"),
        (Crashes, "shapes"),
        (TakesNoOptions, "shapes"),
        (nn.Identity, "shapes"),
        (dict, "shapes"),
    ],
)
def test_what_is_wrong_is_caught(kind: type, check: str) -> None:
    results = {r.check: r for r in check_compressor(kind)}
    assert not results[check].ok and results[check].detail and "\n" not in results[check].detail


def test_checking_leaves_the_callers_randomness_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    check_compressor(CrossAttentionCompressor)
    assert torch.equal(torch.rand(3), expected)
