"""Rows of the tokenizer's stream states: taking some out, putting several together.

A batch of generations goes through the tokenizer's modules together; when an item ends, its rows
leave. The tokenizer's own classes know streams, not batches that shrink.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mingtok_audio.models.decoder import DecoderState
from mingtok_audio.modules.istft import IstftState
from mingtok_audio.modules.kv_cache import FullCache, LayerCache, WindowCache
from mingtok_audio.modules.transformer import TransformerState
from mingtok_audio.modules.upsample import UpsamplerState
from mingtok_audio.streaming import DecodingState


def select_rows(state: TransformerState, rows: Tensor) -> TransformerState:
    """Some rows of a state, as a new one."""
    return TransformerState(state.position, [_select(layer, rows) for layer in state.layers])


def join_rows(states: Sequence[TransformerState]) -> TransformerState:
    """Streams that stand at the same position, as one batch.

    Raises:
        ValueError: they do not.
    """
    if len({state.position for state in states}) != 1:
        raise ValueError("only streams at the same position can go on together")
    if len(states) == 1:
        return states[0]
    layers = [_join(list(column)) for column in zip(*(s.layers for s in states), strict=True)]
    return TransformerState(states[0].position, layers)


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


def _join(layers: list[LayerCache]) -> LayerCache:
    out = _empty_like(layers[0])
    keys, values = [], []
    for layer in layers:
        if layer.key is None or layer.value is None:
            continue
        end = layer.length if isinstance(layer, FullCache) else layer.key.shape[2]
        keys.append(layer.key[:, :, :end])
        values.append(layer.value[:, :, :end])
    if keys:
        out.key, out.value = torch.cat(keys), torch.cat(values)
    return out


def _empty_like(layer: LayerCache) -> LayerCache:
    if isinstance(layer, WindowCache):
        return WindowCache(layer.size + 1)
    out = FullCache(layer.max_frames)
    out.length = layer.length
    return out
