"""Frozen Whisper encoders at 50 Hz: the semantic teacher (paper section 4.1.2), with a cache.

Axes: T samples at 16 kHz, L = ceil(T / 320) frames, E width of the teacher.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from mingtok_audio.core.errors import UserError
from mingtok_audio.core.files import atomic_write

if TYPE_CHECKING:
    from mingtok_audio.models.semantic import SemanticModule

SAMPLE_RATE = 16000
_HOP = 320
_WINDOW_FRAMES = 1500  # Whisper reads windows of 30 s.


class Teacher(Protocol):
    """Samples to hidden states."""

    @property
    def dim(self) -> int: ...

    @property
    def identity(self) -> str:
        """What the cache is keyed by: another identity means other features."""
        ...

    def window(self, wav: np.ndarray) -> np.ndarray:
        """At most 30 s of samples (T,) -> (L, E) float32."""
        ...


def load_teacher(name: str, device: str = "cpu", threads: int = 1) -> Teacher:
    """A folder in CTranslate2 format (it holds `model.bin`), else a transformers folder or Hub id.

    Raises `UserError` if the package that it needs is missing.
    """
    if (Path(name) / "model.bin").is_file():
        return _CTranslate2Teacher(Path(name), threads)
    return _TransformersTeacher(name, device)


class _CTranslate2Teacher:
    def __init__(self, folder: Path, threads: int) -> None:
        try:
            from faster_whisper import WhisperModel
        except ImportError as error:
            raise UserError(
                f"{folder} is a CTranslate2 model: pip install faster-whisper to read it"
            ) from error
        self._model = WhisperModel(
            str(folder), device="cpu", compute_type="float32", cpu_threads=threads
        )
        stamp = (folder / "model.bin").stat().st_size
        self.identity = f"ctranslate2 {folder.name} {stamp}"
        self.dim = int(self.window(np.zeros(_HOP, np.float32)).shape[1])

    def window(self, wav: np.ndarray) -> np.ndarray:
        from faster_whisper.audio import pad_or_trim

        features = self._model.feature_extractor(wav)
        states = np.asarray(self._model.encode(pad_or_trim(features)))
        return states[0, : -(-len(wav) // _HOP)].astype(np.float32)


class _TransformersTeacher:
    def __init__(self, name: str, device: str) -> None:
        try:
            from transformers import WhisperFeatureExtractor, WhisperModel
        except ImportError as error:
            raise UserError(
                "a Whisper teacher from the Hub needs transformers: pip install transformers"
            ) from error
        try:
            model: Any = WhisperModel.from_pretrained(name)
            self._features: Any = WhisperFeatureExtractor.from_pretrained(name)
        except (OSError, ValueError) as error:
            reason = " ".join(str(error).split())[:160]
            raise UserError(f"cannot load the Whisper teacher {name!r}: {reason}") from error
        self.encoder = model.encoder.eval().requires_grad_(False).to(device)
        self.device = device
        self.dim = int(model.config.d_model)
        commit = getattr(model.config, "_commit_hash", None) or "local"
        self.identity = f"transformers {name} {commit}"

    @torch.no_grad()
    def window(self, wav: np.ndarray) -> np.ndarray:
        inputs = self._features(wav, sampling_rate=SAMPLE_RATE, return_tensors="pt")
        states = self.encoder(inputs["input_features"].to(self.device)).last_hidden_state
        return states[0, : -(-len(wav) // _HOP)].float().cpu().numpy()


def teacher_features(teacher: Teacher, wav: np.ndarray) -> np.ndarray:
    """Hidden states (L, E) of a recording of any length, window by window of 30 s."""
    size = _WINDOW_FRAMES * _HOP
    parts = [teacher.window(wav[i : i + size]) for i in range(0, len(wav), size)]
    return np.concatenate(parts)


class FeatureCache:
    """Teacher features of recordings as float16 .npy files, made once.

    The key is the sound itself and the teacher's identity, so moved files are found again and
    changed files are not mistaken for what they were.
    """

    def __init__(self, folder: str | Path, teacher: Teacher) -> None:
        self.folder, self.teacher = Path(folder), teacher

    def path(self, wav: np.ndarray) -> Path:
        """Where the features of wav (T,) are or will be."""
        digest = hashlib.sha256(json.dumps(self.teacher.identity).encode())
        digest.update(np.ascontiguousarray(wav, dtype=np.float32).tobytes())
        key = digest.hexdigest()[:32]
        return self.folder / key[:2] / f"{key}.npy"

    def get(self, wav: np.ndarray) -> np.ndarray:
        """Features (L, E) float16 of wav (T,), memory-mapped."""
        path = self.path(wav)
        if not path.is_file():
            self._write(path, teacher_features(self.teacher, wav))
        return np.load(path, mmap_mode="r")

    def fill(self, wavs: Iterable[np.ndarray], gap_seconds: float = 0.5) -> Iterator[int]:
        """Make the features of many short recordings, several to a window of the teacher.

        Whisper reads 30 s whatever it is given: one recording a window wastes most of it. Here
        recordings share a window, silence between them, so neighbours affect each other a little.
        Recordings that have features, and those too long to share a window, are left to `get`.

        Yields:
            the number of recordings of each window computed.
        """
        size, gap = _WINDOW_FRAMES * _HOP, round(gap_seconds * SAMPLE_RATE / _HOP) * _HOP
        held: list[tuple[int, np.ndarray]] = []
        used = 0
        for wav in wavs:
            room = -(-len(wav) // _HOP) * _HOP
            if not 0 < room <= size or self.path(wav).is_file():
                continue
            if used + room > size:
                yield self._fill_window(held)
                held, used = [], 0
            held.append((used, wav))
            used += room + gap
        if held:
            yield self._fill_window(held)

    def _fill_window(self, held: list[tuple[int, np.ndarray]]) -> int:
        last_start, last = held[-1]
        window = np.zeros(last_start + len(last), np.float32)
        for start, wav in held:
            window[start : start + len(wav)] = wav
        states = self.teacher.window(window)
        for start, wav in held:
            frames = -(-len(wav) // _HOP)
            self._write(self.path(wav), states[start // _HOP :][:frames])
        return len(held)

    def _write(self, path: Path, states: np.ndarray) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as temporary, Path(temporary).open("wb") as file:
            np.save(file, states.astype(np.float16))
            os.fsync(file.fileno())


def copy_whisper_layers(semantic: SemanticModule, teacher: Teacher) -> int:
    """Start the semantic module from Whisper's encoder layers, without its convolutions.

    Copies layer i into block i while shapes fit; the paper's module has the teacher's shape, so
    all of them do. Positions are rotary in the module and learned in Whisper: they are not copied.

    Returns:
        the number of layers copied.

    Raises:
        UserError: the teacher gives no weights (CTranslate2), or no layer fits.
    """
    encoder = getattr(teacher, "encoder", None)
    if encoder is None:
        raise UserError("only a teacher from transformers has weights to start from")
    copied = 0
    for block, layer in zip(semantic.transformer.blocks, encoder.layers, strict=False):
        names = _block_state(layer)
        own = block.state_dict()
        if {k: v.shape for k, v in names.items()} != {k: v.shape for k, v in own.items()}:
            break
        block.load_state_dict(names)
        copied += 1
    if not copied:
        raise UserError(
            "the semantic module has another shape than the teacher's layers: set its dim, "
            "num_heads, mlp_dim, norm: layer, mlp: gelu, linear_bias: true like the teacher's, "
            "or leave init_from_teacher off"
        )
    norm = semantic.transformer.norm
    if copied == len(encoder.layers) and isinstance(norm, nn.LayerNorm):
        norm.load_state_dict(encoder.layer_norm.state_dict())
    return copied


def _block_state(layer: Any) -> dict[str, Tensor]:
    """One Whisper encoder layer under the names of our block."""
    attn = layer.self_attn
    query, key, value = attn.q_proj, attn.k_proj, attn.v_proj
    zeros = torch.zeros_like(query.bias)  # Whisper's keys have no bias
    return {
        "attn_norm.weight": layer.self_attn_layer_norm.weight,
        "attn_norm.bias": layer.self_attn_layer_norm.bias,
        "attn.qkv.weight": torch.cat((query.weight, key.weight, value.weight)),
        "attn.qkv.bias": torch.cat((query.bias, zeros, value.bias)),
        "attn.out.weight": attn.out_proj.weight,
        "attn.out.bias": attn.out_proj.bias,
        "mlp_norm.weight": layer.final_layer_norm.weight,
        "mlp_norm.bias": layer.final_layer_norm.bias,
        "mlp.up.weight": layer.fc1.weight,
        "mlp.up.bias": layer.fc1.bias,
        "mlp.down.weight": layer.fc2.weight,
        "mlp.down.bias": layer.fc2.bias,
    }
