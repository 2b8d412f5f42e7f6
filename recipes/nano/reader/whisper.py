"""Whisper tiny.en from a CTranslate2 folder: log-mel, encoder stem, a `Reader` with its weights.

The folder holds `model.bin` and `tokenizer.json` as faster-whisper uses them. As a script, it
chooses the pieces of the reader's vocabulary:

    python whisper.py WHISPER_FOLDER TEXTS.json OUTPUT.json [--count 8000]
"""

from __future__ import annotations

import argparse
import json
import struct
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional as F

from uniaudio_lm.parts.recognizers.network import Reader, ReaderConfig

SAMPLE_RATE, HOP, WINDOW = 16_000, 320, 1500
_KINDS = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}
_SPECIAL = ("<|startoftranscript|>", "<|notimestamps|>", "<|endoftext|>")


def read_weights(path: Path) -> dict[str, Tensor]:
    """Variables of a CTranslate2 `model.bin` (binary version 6) in float32."""
    data = memoryview(path.read_bytes())
    place = 0

    def take(code: str) -> int:
        nonlocal place
        (value,) = struct.unpack_from("<" + code, data, place)
        place += struct.calcsize("<" + code)
        return value

    def take_text() -> str:
        nonlocal place
        length = take("H")
        text = bytes(data[place : place + length]).rstrip(b"\0").decode()
        place += length
        return text

    take("I")
    take_text()
    take("I")
    arrays: dict[str, NDArray[np.generic]] = {}
    for _ in range(take("I")):
        name = take_text()
        shape = [take("I") for _ in range(take("B"))]
        kind, size = take("B"), take("I")
        arrays[name] = np.frombuffer(data[place : place + size], _KINDS[kind]).reshape(shape)
        place += size
    for _ in range(take("I")):
        alias, name = take_text(), take_text()
        arrays[alias] = arrays[name]
    return {
        name: torch.tensor(array.astype(np.float32))
        for name, array in arrays.items()
        if array.dtype in {np.dtype(np.float16), np.dtype(np.float32)}
    }


def _mel_filters(count: int = 80, fft: int = 400) -> Tensor:
    """Slaney's mel filters, (count, fft / 2 + 1)."""
    step = np.log(6.4) / 27

    def to_mel(hertz: NDArray[np.float64]) -> NDArray[np.float64]:
        high = 15 + np.log(np.maximum(hertz, 1e-9) / 1000) / step
        return np.where(hertz >= 1000, high, hertz * 3 / 200)

    def to_hertz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(mel >= 15, 1000 * np.exp(step * (mel - 15)), mel * 200 / 3)

    top = to_mel(np.asarray(SAMPLE_RATE / 2))
    edges = to_hertz(np.linspace(0, float(top), count + 2))
    bins = np.fft.rfftfreq(fft, 1 / SAMPLE_RATE)
    rising = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    height = 2 / (edges[2:] - edges[:-2])[:, None]
    return torch.tensor(np.maximum(0, np.minimum(rising, falling)) * height).float()


_FILTERS = _mel_filters()
_HANN = torch.hann_window(400)


def log_mel(samples: Tensor) -> Tensor:
    """Whisper's log-mel (80, 3000) of at most 30 s of audio at 16 kHz, zeros after its end."""
    samples = F.pad(samples, (0, WINDOW * HOP - len(samples)))
    spectrum = torch.stft(samples, 400, 160, window=_HANN, return_complex=True)[:, :-1]
    mel = (_FILTERS @ spectrum.abs().square()).clamp(min=1e-10).log10()
    return (torch.maximum(mel, mel.max() - 8) + 4) / 4


class Stem(nn.Module):
    """The two convolutions before Whisper's encoder layers: (B, 80, 2T) to (B, T, 384)."""

    def __init__(self, weights: dict[str, Tensor]) -> None:
        super().__init__()
        self.first = nn.Conv1d(80, 384, 3, padding=1)
        self.second = nn.Conv1d(384, 384, 3, stride=2, padding=1)
        for module, name in ((self.first, "encoder/conv1"), (self.second, "encoder/conv2")):
            module.weight.data = weights[name + "/weight"]
            module.bias.data = weights[name + "/bias"]  # pyright: ignore[reportOptionalMemberAccess]

    def forward(self, mel: Tensor) -> Tensor:
        return F.gelu(self.second(F.gelu(self.first(mel)))).transpose(1, 2)


def _put(module: Any, weights: dict[str, Tensor], name: str) -> None:
    norm = isinstance(module, nn.LayerNorm)
    weight = weights[name + ("/gamma" if norm else "/weight")]
    bias = weights.get(name + ("/beta" if norm else "/bias"))
    module.weight.data = weight.clone()
    module.bias.data = torch.zeros(weight.shape[0]) if bias is None else bias.clone()


def choose_pieces(folder: Path, texts: Iterable[str], count: int) -> Tokenizer:
    """Whisper's tokenizer cut to `count` pieces: all bytes, then those that `texts` use most, each
    with the pieces that it is merged from. Ids are new, in Whisper's order."""
    whole = Tokenizer.from_file(str(folder / "tokenizer.json"))
    content = json.loads((folder / "tokenizer.json").read_text())
    vocabulary, merges = content["model"]["vocab"], content["model"]["merges"]
    pairs = [tuple(merge.split(" ") if isinstance(merge, str) else merge) for merge in merges]
    parents = {a + b: (a, b) for a, b in reversed(pairs)}
    used: Counter[str] = Counter()
    for text in texts:
        used.update(whole.encode(" " + text.strip(), add_special_tokens=False).tokens)
    kept = {piece for piece, number in vocabulary.items() if number < 256}
    for piece, _ in used.most_common():
        tree, waiting = set(), [piece]
        while waiting:
            part = waiting.pop()
            if part not in kept and part in parents:
                tree.add(part)
                waiting += parents[part]
        if len(kept) + len(tree) > count:
            break
        kept |= tree
    order = sorted(kept, key=vocabulary.__getitem__)
    content["model"]["vocab"] = {piece: number for number, piece in enumerate(order)}
    content["model"]["merges"] = [
        merge for merge, (a, b) in zip(merges, pairs, strict=True) if {a, b, a + b} <= kept
    ]
    content["added_tokens"], content["post_processor"] = [], None
    return Tokenizer.from_str(json.dumps(content))


def reader_from_whisper(folder: Path, pieces: Tokenizer) -> Reader:
    """A `Reader` with Whisper's encoder layers, decoder layers and embeddings of `pieces` (see
    `choose_pieces`); its front is new."""
    weights = read_weights(folder / "model.bin")
    reader = Reader(ReaderConfig(vocab_size=pieces.get_vocab_size() + 3))
    reader.positions.copy_(weights["encoder/position_encodings/encodings"][:WINDOW])
    _put(reader.encoder_norm, weights, "encoder/layer_norm")
    _put(reader.decoder_norm, weights, "decoder/layer_norm")
    for number, layer in enumerate(reader.encoder):
        name = f"encoder/layer_{number}"
        _put(layer.norm_attention, weights, f"{name}/self_attention/layer_norm")
        _put(layer.query_key_value, weights, f"{name}/self_attention/linear_0")
        _put(layer.attention_out, weights, f"{name}/self_attention/linear_1")
        _put(layer.norm_mlp, weights, f"{name}/ffn/layer_norm")
        _put(layer.up, weights, f"{name}/ffn/linear_0")
        _put(layer.down, weights, f"{name}/ffn/linear_1")
    for number, layer in enumerate(reader.decoder):
        name = f"decoder/layer_{number}"
        _put(layer.norm_self, weights, f"{name}/self_attention/layer_norm")
        _put(layer.query_key_value, weights, f"{name}/self_attention/linear_0")
        _put(layer.self_out, weights, f"{name}/self_attention/linear_1")
        _put(layer.norm_cross, weights, f"{name}/attention/layer_norm")
        _put(layer.cross_query, weights, f"{name}/attention/linear_0")
        _put(layer.cross_key_value, weights, f"{name}/attention/linear_1")
        _put(layer.cross_out, weights, f"{name}/attention/linear_2")
        _put(layer.norm_mlp, weights, f"{name}/ffn/layer_norm")
        _put(layer.up, weights, f"{name}/ffn/linear_0")
        _put(layer.down, weights, f"{name}/ffn/linear_1")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    embeddings = weights["decoder/embeddings/weight"]
    special = [tokenizer.token_to_id(piece) for piece in _SPECIAL]
    known = tokenizer.get_vocab()
    ordered = sorted(pieces.get_vocab().items(), key=lambda item: item[1])
    chosen = [known[piece] for piece, _ in ordered]
    reader.pieces.weight.data = embeddings[chosen + special].clone()
    positions = weights["decoder/position_encodings/encodings"]
    reader.piece_positions.data = positions[: reader.config.max_pieces].clone()
    return reader


def encoder_from_whisper(folder: Path) -> Callable[[Tensor], Tensor]:
    """Whisper's encoder: log-mel (B, 80, 3000) to features (B, 1500, 384)."""
    weights = read_weights(folder / "model.bin")
    stem = Stem(weights).eval()
    layers = reader_from_whisper(folder, Tokenizer.from_file(str(folder / "tokenizer.json"))).eval()

    def encode(mel: Tensor) -> Tensor:
        x = stem(mel) + layers.positions
        for layer in layers.encoder:
            x, _ = layer(x, None, None)
        return layers.encoder_norm(x)

    return encode


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("whisper", type=Path)
    parser.add_argument("texts", type=Path, help="JSON: {source: [text, ...]}")
    parser.add_argument("output", type=Path)
    parser.add_argument("--count", type=int, default=8_000)
    given = parser.parse_args()
    texts = json.loads(given.texts.read_text())
    chosen = choose_pieces(given.whisper, (t for part in texts.values() for t in part), given.count)
    chosen.save(str(given.output), pretty=False)
    print(f"{given.output}: {chosen.get_vocab_size()} pieces")


if __name__ == "__main__":
    main()
