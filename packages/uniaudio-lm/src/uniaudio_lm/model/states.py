"""Rows of the tokenizer's stream states: taking some out, putting several together.

A batch of generations goes through the tokenizer's modules together; when an item ends, its rows
leave. The tokenizer's own classes know streams, not batches that shrink.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from mingtok_audio.models.decoder import DecoderState
from mingtok_audio.modules.istft import IstftState
from mingtok_audio.modules.kv_cache import FullCache, LayerCache, WindowCache
from mingtok_audio.modules.transformer import TransformerState
from mingtok_audio.modules.upsample import UpsamplerState
from mingtok_audio.streaming import DecodingState


def select_rows(state: TransformerState, rows: Tensor) -> TransformerState:
    """Some rows of a state, as a new one."""
    padding = state.padding
    if padding is not None:
        padding = padding[rows.to(padding.device)]
        padding = padding if bool(padding.any()) else None
    return TransformerState(
        state.position, [_select(layer, rows) for layer in state.layers], padding
    )


def can_join(one: TransformerState, other: TransformerState) -> bool:
    """Whether two streams can go on as one batch: they stand at the same position, and their layers
    hold as many frames, or all have the same window."""
    if one.position != other.position:
        return False
    if [_held(a) for a in one.layers] == [_held(b) for b in other.layers]:
        return True
    both = [*one.layers, *other.layers]
    sizes = {x.size if isinstance(x, WindowCache) else None for x in both}
    return len(sizes) == 1 and None not in sizes


def join_rows(states: Sequence[TransformerState]) -> TransformerState:
    """Streams that can go on together (`can_join`), as one batch.

    Raises:
        ValueError: they can't.
    """
    if not all(can_join(states[0], state) for state in states[1:]):
        raise ValueError("only streams at the same position can go on together")
    if len(states) == 1:
        return states[0]
    layers = [_join(list(column)) for column in zip(*(s.layers for s in states), strict=True)]
    key = layers[0].key if layers else None
    if key is None:
        return TransformerState(states[0].position, layers)
    longest = max(s.layers[0].held for s in states)
    parts = []
    for state in states:
        held = state.layers[0]
        batch = 1 if held.key is None else held.key.shape[0]
        before = torch.zeros(batch, dtype=torch.int64, device=key.device)
        parts.append((before if state.padding is None else state.padding) + longest - held.held)
    padding = torch.cat(parts)
    return TransformerState(states[0].position, layers, padding if bool(padding.any()) else None)


def join_decoding(one: DecodingState, other: DecodingState) -> DecodingState | None:
    """Two decoding streams as one batch; None where they can't go on together (yet)."""
    pairs = [(one.decoder.transformer, other.decoder.transformer)]
    if (one.semantic is None) != (other.semantic is None):
        return None
    if one.semantic is not None and other.semantic is not None:
        pairs.append((one.semantic, other.semantic))
    a, b = one.decoder.istft, other.decoder.istft
    if not all(can_join(*pair) for pair in pairs) or a.skip != b.skip:
        return None
    # A stream's first frames lie under fewer windows than all others.
    if len(a.window) != 1 or len(b.window) != 1 or not torch.equal(a.window, b.window):
        return None
    istft = IstftState(torch.cat((a.audio, b.audio)), a.window, a.skip)
    last = [one.decoder.upsampler.last, other.decoder.upsampler.last]
    held = [x for x in last if x is not None]
    if len(held) == 1:
        return None
    upsampler = UpsamplerState(torch.cat(held) if held else None)
    joined = [join_rows(pair) for pair in pairs]
    semantic = joined[1] if len(joined) > 1 else None
    return DecodingState(DecoderState(joined[0], istft, upsampler), semantic)


def select_decoding(state: DecodingState, rows: Tensor) -> DecodingState:
    """Some rows of a decoding stream, as a new one."""
    istft = state.decoder.istft
    window = istft.window if len(istft.window) == 1 else istft.window[rows]
    part = IstftState(istft.audio[rows], window, istft.skip)
    semantic = None if state.semantic is None else select_rows(state.semantic, rows)
    last = state.decoder.upsampler.last
    upsampler = UpsamplerState(None if last is None else last[rows.to(last.device)])
    transformer = select_rows(state.decoder.transformer, rows)
    return DecodingState(DecoderState(transformer, part, upsampler), semantic)


def _select(layer: LayerCache, rows: Tensor) -> LayerCache:
    out = _empty_like(layer)
    if layer.key is not None and layer.value is not None:
        rows = rows.to(layer.key.device)
        out.key, out.value = layer.key[rows], layer.value[rows]
    return out


def _held(layer: LayerCache) -> tuple[type, int]:
    """The kind of a cache, and how many frames it holds."""
    return type(layer), layer.held


def _join(layers: list[LayerCache]) -> LayerCache:
    """One cache of all rows; zeros stand before what is shorter."""
    out = _empty_like(layers[0])
    longest = max(layer.held for layer in layers)
    like = next((layer.key for layer in layers if layer.key is not None), None)
    if like is None:
        return out
    keys, values = [], []
    for layer in layers:
        if layer.key is None or layer.value is None:  # a stream that has not begun
            empty = like.new_zeros(1, like.shape[1], longest, like.shape[3])
            keys.append(empty)
            values.append(empty)
            continue
        pad = (0, 0, longest - layer.held, 0)
        keys.append(F.pad(layer.key[:, :, : layer.held], pad))
        values.append(F.pad(layer.value[:, :, : layer.held], pad))
    out.key, out.value = torch.cat(keys), torch.cat(values)
    return out


def _empty_like(layer: LayerCache) -> LayerCache:
    if isinstance(layer, WindowCache):
        return WindowCache(layer.size + 1)
    out = FullCache(layer.max_frames)
    out.length = layer.length
    return out
