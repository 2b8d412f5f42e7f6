"""The tokenizer's posteriors of whole recordings, computed once and kept in files.

Mean and standard deviation are kept, so every use can draw a sample of its own. The files belong
to one encoder: another one's are in another folder.
"""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

import numpy as np
import torch

from mingtok_audio.core.errors import UserError
from mingtok_audio.core.files import atomic_write
from mingtok_audio.models.mingtok import MingTok
from mingtok_audio.training.data import Augmentation, augmented
from mingtok_audio.training.description import Description
from mingtok_audio.training.manifests import Recording
from uniaudio_lm.training.settings import Latents


class LatentStore:
    """Posteriors by recording and variant.

    Args:
        folder: of the cache; made when it is needed.
        tokenizer: whose encoder makes them.
        augmentation: of the variants from 1 on; variant 0 is the recording as it is.
        memory_gb: how much is kept in memory.
        description: file of the components that the first latents are taught; given, the latents
            are what the encoder would give if it had learned them to perfection, and no others.
        dims: how many of the latents are kept; None keeps all.
        precision: of the encoder's products, "fp32" or "bf16".
    """

    def __init__(
        self,
        folder: str | Path,
        tokenizer: MingTok,
        augmentation: Augmentation | None = None,
        memory_gb: float = 2.0,
        *,
        description: str | None = None,
        dims: int | None = None,
        precision: str = "fp32",
    ) -> None:
        self._tokenizer, self._dims, self._rounded = tokenizer, dims, precision == "bf16"
        self._described = None if description is None else Description.load(description)
        if description is None:
            name = encoder_hash(tokenizer) + ("-bf16" if self._rounded else "")
        else:
            name = hashlib.sha256(Path(description).read_bytes()).hexdigest()[:16]
        self._folder = Path(folder) / (name if dims is None else f"{name}-{dims}")
        self._augmentation = augmentation
        self._memory: dict[str, np.ndarray] = {}
        self._room = memory_gb * 1e9
        self._lock = threading.Lock()
        self.skipped: dict[str, str] = {}

    def get(self, recording: Recording, variant: int = 0) -> np.ndarray | None:
        """(2, L, d) float16, mean and deviation; None, and a note in `skipped`, if the recording
        cannot be read."""
        key = self._key(recording, variant)
        found = self._memory.get(key)
        if found is not None:
            return found
        if recording.name in self.skipped:
            return None
        path = self._folder / key[:2] / f"{key}.npy"
        if path.is_file():
            found = np.load(path)
        else:
            try:
                found = self._encode(recording, variant, key)
            except (UserError, OSError) as error:
                with self._lock:
                    self.skipped[recording.name] = " ".join(str(error).split())
                return None
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(path) as temporary, temporary.open("wb") as file:
                np.save(file, found)
        with self._lock:
            if key not in self._memory and self._room >= found.nbytes:
                self._memory[key] = found
                self._room -= found.nbytes
        return found

    def _key(self, recording: Recording, variant: int) -> str:
        size = recording.size or (recording.path.stat().st_size if recording.path.is_file() else 0)
        parts = [
            recording.name,
            recording.start,
            None if recording.whole else recording.seconds,
            recording.channel,
            size,
            variant,
            repr(self._augmentation) if variant else "",
        ]
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]

    @torch.no_grad()
    def _encode(self, recording: Recording, variant: int, key: str) -> np.ndarray:
        rate = self._tokenizer.config.sample_rate
        wav = recording.load(rate)
        if variant and self._augmentation is not None:
            rng = np.random.default_rng(int(key, 16))
            # Nobody else is at hand to mix in: the recording itself, turned around.
            whole, turned = wav, wav[::-1]
            wav = augmented(
                self._augmentation,
                rng,
                None,
                lambda size: np.resize(turned, size) if size else whole,
            )
        if self._described is not None:
            mean = self._described(torch.as_tensor(wav, dtype=torch.float32)[None])[0]
            both = torch.stack((mean, torch.zeros_like(mean)))
        else:
            device = self._tokenizer.device.type
            with torch.autocast(device, torch.bfloat16, enabled=self._rounded):
                posterior = self._tokenizer.encode_posterior(wav, rate)
            both = torch.stack((posterior.mean[0], posterior.std[0]))
        return both[..., : self._dims].float().cpu().numpy().astype(np.float16)


def store_of(
    plan: Latents, tokenizer: MingTok, dims: int | None, augmentation: Augmentation | None = None
) -> LatentStore:
    """The store that a configuration asks for, of the first `dims` latents."""
    return LatentStore(
        plan.cache,
        tokenizer,
        augmentation,
        plan.memory_gb,
        description=plan.description,
        dims=dims,
        precision=plan.precision,
    )


def encoder_hash(tokenizer: MingTok) -> str:
    """Names an encoder by its weights."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tokenizer.encoder.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
