"""`Latents`: what the tokenizer makes of speech, with what is needed to turn it back.

Axes: B clips, L frames, D latent dimensions. torch is imported when the first object is made.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mingtok_audio.core.errors import FormatError
from mingtok_audio.mtok import MtokHeader, MtokReader, Storage
from mingtok_audio.mtok_writer import MtokWriter

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["Latents"]


@dataclass(init=False, repr=False, eq=False)
class Latents:
    """Acoustic latents of a batch of clips. `Latents(values)` is a batch of full clips.

    Attributes:
        values: (B, L, D) float32; what lies beyond a clip's length means nothing.
        lengths: (B,) int64, frames of each clip.
        num_samples: (B,) int64, samples of each clip at `sample_rate`: what `decode` returns.
        sample_rate: Hz of the decoded audio.
        frame_rate: Hz of the frames.
        source_sample_rate: Hz of the recording, None where there was none.
        source_num_samples: (B,) int64, samples of the recording at its own rate, or None.
        model_id: name of the model that made them, "" where unknown.
        model_hash: SHA-256 of its weights, "" where unknown.
        sampled: drawn from the posterior; else its mean.
        decoder_warmup_frames: frames that a decoder has to read before a point to decode from
            there; None where that is all of them, or unknown.
        context_samples: decoded samples to drop from the front. A partial `load` keeps the frames
            before its start that the decoder's attention looks back to; `decode` drops what they
            sound like.

    Raises:
        FormatError: shapes or types that do not go together, NaN or infinity.
    """

    values: Tensor
    lengths: Tensor
    num_samples: Tensor
    sample_rate: int
    frame_rate: float
    source_sample_rate: int | None
    source_num_samples: Tensor | None
    model_id: str
    model_hash: str
    sampled: bool
    decoder_warmup_frames: int | None
    context_samples: int

    def __init__(  # noqa: PLR0917 - a dataclass's fields, in its order
        self,
        values: Any,
        lengths: Any = None,
        num_samples: Any = None,
        sample_rate: int = 16000,
        frame_rate: float = 50.0,
        source_sample_rate: int | None = None,
        source_num_samples: Any = None,
        model_id: str = "",
        model_hash: str = "",
        sampled: bool = False,
        decoder_warmup_frames: int | None = None,
        context_samples: int = 0,
    ) -> None:
        self.values = _checked_values(values)
        batch, frames, _ = self.values.shape
        self.sample_rate = _natural(sample_rate, "sample_rate", least=1)
        self.frame_rate = float(frame_rate)
        self._check_rates()
        self.context_samples = _natural(context_samples, "context_samples")
        self.lengths = _counts([frames] * batch if lengths is None else lengths, batch, "lengths")
        room = (self.lengths * self.hop_length - self.context_samples).clamp(min=0)
        self.num_samples = _counts(
            room if num_samples is None else num_samples, batch, "num_samples"
        )
        if bool((self.lengths > frames).any()):
            raise FormatError(f"a length of {int(self.lengths.max())} exceeds {frames} frames")
        if bool((self.num_samples > room).any()):
            raise FormatError(
                f"num_samples {self.num_samples.tolist()} is more than {self.lengths.tolist()} "
                f"frames of {self.hop_length} samples give"
            )
        self.source_sample_rate = (
            None
            if source_sample_rate is None
            else _natural(source_sample_rate, "source_sample_rate", least=1)
        )
        self.source_num_samples = (
            None
            if source_num_samples is None
            else _counts(source_num_samples, batch, "source_num_samples")
        )
        self.model_id, self.model_hash = str(model_id), str(model_hash)
        self.sampled = bool(sampled)
        self.decoder_warmup_frames = (
            None
            if decoder_warmup_frames is None
            else _natural(decoder_warmup_frames, "decoder_warmup_frames")
        )

    def _check_rates(self) -> None:
        rate = self.frame_rate
        hop = self.sample_rate / rate if math.isfinite(rate) and rate > 0 else 0.0
        if round(hop) < 1 or abs(hop - round(hop)) > 1e-6 * hop:
            raise FormatError(
                f"sample_rate {self.sample_rate} and frame_rate {rate} give no whole number of "
                "samples per frame"
            )

    @property
    def hop_length(self) -> int:
        """Samples per frame."""
        return round(self.sample_rate / self.frame_rate)

    @property
    def latent_dim(self) -> int:
        return self.values.shape[-1]

    @property
    def seconds(self) -> Tensor:
        """(B,) float64, duration of each clip."""
        return self.num_samples.double() / self.sample_rate

    def __len__(self) -> int:
        """Number of clips, B."""
        return self.values.shape[0]

    def __repr__(self) -> str:
        batch, frames, dim = self.values.shape
        of = f" of {self.model_id}" if self.model_id else ""
        longest = max(self.num_samples.tolist(), default=0) / self.sample_rate
        return (
            f"Latents({batch} clip{'' if batch == 1 else 's'} x {frames} frames x {dim} at "
            f"{self.frame_rate:g} Hz, {longest:.2f} s, {'sampled' if self.sampled else 'mode'}{of})"
        )

    def to(self, device: str | torch.device) -> Latents:
        """The same latents with `values` on another device (the counts stay on the CPU)."""
        return replace(self, values=self.values.to(device))

    def item(self, index: int) -> Latents:
        """One clip alone, (1, L_i, D)."""
        size = len(self)
        if not -size <= index < size:
            raise IndexError(f"clip {index} of {size}")
        index %= size
        source = self.source_num_samples
        return replace(
            self,
            values=self.values[index : index + 1, : int(self.lengths[index])],
            lengths=self.lengths[index : index + 1],
            num_samples=self.num_samples[index : index + 1],
            source_num_samples=None if source is None else source[index : index + 1],
        )

    @classmethod
    def cat(cls, pieces: Iterable[Latents]) -> Latents:
        """Join the pieces of a stream in time.

        Every piece but the last one that holds frames must be whole frames, and all must be of
        one clip and one model.

        Raises:
            FormatError: pieces that do not go together, or none at all.
        """
        import torch

        parts = list(pieces)
        if not parts:
            raise FormatError("there are no pieces of latents to join")
        head = parts[0]
        for part in parts:
            if len(part) != 1:
                raise FormatError(f"only single clips can be joined, not a batch of {len(part)}")
            for name in ("latent_dim", "sample_rate", "frame_rate", "model_hash", "sampled"):
                if getattr(part, name) != getattr(head, name):
                    raise FormatError(
                        f"pieces with different {name} cannot be joined: {getattr(head, name)} "
                        f"and {getattr(part, name)}"
                    )
        filled = [part for part in parts if int(part.lengths)]
        for place, part in enumerate(filled):
            full = int(part.lengths) * part.hop_length - part.context_samples
            if place < len(filled) - 1 and int(part.num_samples) != full:
                raise FormatError("a piece that ends inside a frame can only be the last one")
            if place and part.context_samples:
                raise FormatError("a partial read can only be the first piece")
        sources = [part.source_num_samples for part in parts]
        return replace(
            head,
            values=torch.cat([part.values[:, : int(part.lengths)] for part in parts], dim=1),
            lengths=torch.stack([part.lengths for part in parts]).sum(0),
            num_samples=torch.stack([part.num_samples for part in parts]).sum(0),
            source_num_samples=(
                None
                if any(s is None for s in sources)
                else torch.stack([s for s in sources if s is not None]).sum(0)
            ),
            context_samples=filled[0].context_samples if filled else 0,
        )

    def trim(self, wav: Tensor) -> Tensor:
        """Decoded frames wav (B, L * hop) -> the clips (B, T), zero beyond each one's samples."""
        import torch

        wav = wav[:, self.context_samples :][:, : max(self.num_samples.tolist(), default=0)]
        position = torch.arange(wav.shape[1], device=wav.device)
        return wav * (position < self.num_samples.to(wav.device)[:, None])

    def save(self, path: str | os.PathLike[str], storage: Storage = "float32") -> None:
        """Write a `.mtok` file, atomically.

        Args:
            storage: "float32" keeps the values exactly; "float16" and "int8" (with a scale per
                dimension) are half and a quarter of the size and lose a little.

        Raises:
            FormatError: no frames, an unknown storage, or values that it cannot hold.
            UserError: the file system refuses.
        """
        source = self.source_num_samples
        header = MtokHeader(
            latent_dim=self.latent_dim,
            batch=len(self),
            sample_rate=self.sample_rate,
            frame_rate=self.frame_rate,
            source_sample_rate=self.source_sample_rate,
            source_num_samples=None if source is None else (),
            model_id=self.model_id,
            model_hash=self.model_hash,
            sampled=self.sampled,
            storage=storage,
            decoder_warmup_frames=self.decoder_warmup_frames,
            context_samples=self.context_samples,
        )
        values = self.values.detach().cpu()
        with MtokWriter(path, header) as writer:
            for clip, length in zip(values, self.lengths.tolist(), strict=True):
                kept = clip.clone()
                kept[length:] = 0  # the same latents give the same bytes, whatever the padding
                writer.append(kept.numpy())
            writer.finish(
                self.lengths.tolist(),
                self.num_samples.tolist(),
                None if source is None else source.tolist(),
            )

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        start: float | None = None,
        end: float | None = None,
    ) -> Latents:
        """Read a `.mtok` file, or of it the time from `start` to `end` in seconds.

        A part is read without the rest of the file; only the frames before it that the decoder
        looks back to come along, and `decode` gives the slice of the full decode. The whole file
        is compared with its checksum. An `end` after the last sample means the last sample.

        Raises:
            FormatError: in one line: not such a file, damaged, of an unknown version, or times
                that are not in it.
        """
        import numpy as np
        import torch

        with MtokReader(path) as reader:
            header = reader.header
            if start is None and end is None:
                reader.verify()
                frames, context = slice(0, header.frames), header.context_samples
                samples = slice(0, max(header.num_samples))
            else:
                frames, context, samples = header.span(start, end, header.decoder_warmup_frames)
            values = np.stack(
                [reader.read(frames.start, frames.stop, clip) for clip in range(header.batch)]
            )
        size = frames.stop - frames.start
        whole = size == header.frames and samples == slice(0, max(header.num_samples))
        source = header.source_num_samples if whole else None
        return cls(
            torch.from_numpy(values),
            lengths=_clipped(header.lengths, frames.start, frames.stop),
            num_samples=_clipped(header.num_samples, samples.start, samples.stop),
            sample_rate=header.sample_rate,
            frame_rate=header.frame_rate,
            source_sample_rate=header.source_sample_rate,
            source_num_samples=source,
            model_id=header.model_id,
            model_hash=header.model_hash,
            sampled=header.sampled,
            decoder_warmup_frames=header.decoder_warmup_frames,
            context_samples=context,
        )


def _clipped(counts: Sequence[int], start: int, stop: int) -> list[int]:
    """How much of each clip lies in [start, stop)."""
    return [min(count, stop) - min(count, start) for count in counts]


def _checked_values(values: Any) -> Tensor:
    import numpy as np
    import torch

    if isinstance(values, np.ndarray):
        try:
            values = torch.from_numpy(np.ascontiguousarray(values))
        except TypeError as error:
            raise FormatError(f"latents of type {values.dtype} are not numbers") from error
    if not isinstance(values, torch.Tensor):
        raise FormatError(f"latents are a tensor (B, L, D), not {type(values).__name__}")
    if values.ndim != 3 or values.shape[0] < 1 or values.shape[2] < 1:
        raise FormatError(f"latents have the shape (B, L, D), not {tuple(values.shape)}")
    if not values.is_floating_point():
        raise FormatError(f"latents are float32, not {str(values.dtype).removeprefix('torch.')}")
    values = values.float()
    if not values.is_meta and not bool(torch.isfinite(values).all()):
        raise FormatError("the latents hold NaN or infinity")
    return values


def _counts(value: Any, batch: int, name: str) -> Tensor:
    import numpy as np
    import torch

    if isinstance(value, torch.Tensor):
        counts = value.detach().cpu()
    else:
        try:
            counts = torch.from_numpy(np.array(value))
        except (TypeError, ValueError, OverflowError) as error:
            raise FormatError(f"{name} holds whole numbers (B,), not {value!r}") from error
    if counts.is_floating_point() or counts.is_complex() or counts.dtype == torch.bool:
        raise FormatError(f"{name} holds whole numbers (B,), not {counts.dtype}")
    if counts.shape != (batch,):
        raise FormatError(f"{name} has shape {tuple(counts.shape)}, expected ({batch},)")
    counts = counts.to(torch.int64)
    if bool((counts < 0).any()):
        raise FormatError(f"{name} cannot be negative: {counts.tolist()}")
    return counts


def _natural(value: Any, name: str, least: int = 0) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise FormatError(f"{name} must be a whole number, not {value!r}") from error
    if number != value or number < least:
        raise FormatError(f"{name} must be a whole number from {least} on, not {value}")
    return number
