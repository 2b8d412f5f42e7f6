"""One file through the tokenizer, in blocks: memory does not grow with its length.

The blocks are cut at fixed places, whatever sizes the decoder of the audio file or a pipe happens
to give, so the same audio always gives the same bytes, and `reconstruct` gives the bytes of
`encode` followed by `decode`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mingtok_audio.config import BLOCK_FRAMES
from mingtok_audio.core.audio import AudioWriter, audio_info, iter_audio_blocks
from mingtok_audio.core.errors import UserError
from mingtok_audio.mtok import MtokHeader, MtokReader, Storage
from mingtok_audio.mtok_writer import MtokWriter

if TYPE_CHECKING:
    import torch

    from mingtok_audio.core.audio import Channel
    from mingtok_audio.latents import Latents
    from mingtok_audio.models.mingtok import MingTok
    from mingtok_audio.models.reference import EncoderLayers
    from mingtok_audio.streaming import StreamEncoder

BLOCK_SECONDS = 20.0
SMALL_MODEL = 100_000_000  # parameters

Advance = Callable[[float], None]
"""Told how many more seconds of audio are done."""


@dataclass(frozen=True)
class Settings:
    """The options of a run that change its results; they travel to worker processes."""

    command: str
    model: str = "nano"
    device: str = "auto"
    dtype: str = "auto"
    seed: int | None = None
    """Draw the latents from the posterior with this seed; None takes its mean."""
    storage: Storage = "float32"
    channel: Channel = "mix"
    start: float | None = None
    end: float | None = None
    encoder_layers: EncoderLayers = "all"

    def identity(self) -> dict[str, Any]:
        """What has to be equal, beside source and weights, for a result to be the same."""
        options = asdict(self)
        del options["model"], options["device"]
        return options

    def load_model(self) -> MingTok:
        """The tokenizer, on its device. Raises `UserError` in one line."""
        from mingtok_audio.core.runtime import select_device, select_dtype, set_threads
        from mingtok_audio.models.mingtok import MingTok

        device = select_device(self.device)
        dtype = select_dtype(self.dtype, device)
        model = MingTok.from_pretrained(
            self.model, device=device, dtype=dtype, encoder_layers=self.encoder_layers
        )
        # Small products gain nothing from threads, and the number of threads shows in the last
        # bits: one process has to give the bytes of several, which have one thread each.
        if device.type == "cpu" and sum(p.numel() for p in model.parameters()) < SMALL_MODEL:
            set_threads(1)
        return model

    def generator(self) -> torch.Generator | None:
        """A fresh generator: every file is drawn as it would be alone."""
        if self.seed is None:
            return None
        from mingtok_audio.core.runtime import seeded_generator

        return seeded_generator(self.seed)


def encode_file(
    model: MingTok, source: Path, output: Path, settings: Settings, advance: Advance
) -> dict[str, Any]:
    """Audio to a `.mtok` file; returns the result's fields for JSON."""
    rate = audio_info(source).sample_rate
    encoder = model.stream_encoder(sample_rate=rate, generator=settings.generator())
    pieces = _encoded(encoder, source, rate, settings, advance)
    # The first piece is made before a file is: a file that is not audio leaves no output.
    first = next(pieces)
    header = MtokHeader(
        latent_dim=model.config.latent_dim,
        sample_rate=first.sample_rate,
        frame_rate=first.frame_rate,
        source_sample_rate=rate,
        source_num_samples=(),
        model_id=model.model_id,
        model_hash=model.model_hash,
        sampled=settings.seed is not None,
        storage=settings.storage,
        decoder_warmup_frames=model.decoder_warmup_frames,
    )
    samples = source_samples = 0
    with MtokWriter(output, header) as writer:
        for piece in _chain(first, pieces):
            writer.append(piece.values[0].cpu().numpy())
            samples += int(piece.num_samples)
            source_samples += (
                0 if piece.source_num_samples is None else int(piece.source_num_samples)
            )
        header = writer.finish([writer.rows], [samples], [source_samples])
    return {
        "seconds": header.seconds,
        "frames": header.frames,
        "num_samples": samples,
        "source_sample_rate": rate,
        "bytes": output.stat().st_size,
    }


def decode_file(
    model: MingTok, source: Path, output: Path, settings: Settings, advance: Advance
) -> dict[str, Any]:
    """A `.mtok` file, or the part of it that the settings name, to audio."""
    with MtokReader(source) as reader:
        header = reader.header
        _check_fit(header, model, source)
        if settings.start is None and settings.end is None:
            reader.verify()
        frames, skip, samples = header.span(
            settings.start, settings.end, model.decoder_warmup_frames
        )
        count = samples.stop - samples.start
        blocks = reader.blocks(frames, BLOCK_FRAMES)
        clipped = _decode(model, blocks, skip, lambda: count, output=output, advance=advance)
    rate = header.sample_rate
    notes = _notes(clipped)
    if header.model_hash and header.model_hash != model.model_hash:
        notes.append(
            f"made by model '{header.model_id}' (weights {header.model_hash[:12]}), "
            f"not by '{model.model_id}' ({model.model_hash[:12]}): it may not sound right"
        )
    return {
        "seconds": count / rate,
        "frames": -(-count // header.hop_length),
        "num_samples": count,
        "source_sample_rate": header.source_sample_rate,
        "sample_rate": rate,
        "clipped": clipped,
        "warnings": notes,
    }


def reconstruct_file(
    model: MingTok, source: Path, output: Path, settings: Settings, advance: Advance
) -> dict[str, Any]:
    """Audio through the latents and back."""
    rate = audio_info(source).sample_rate
    encoder = model.stream_encoder(sample_rate=rate, generator=settings.generator())
    count = math.inf  # until the last block has been read

    def values() -> Iterator[np.ndarray]:
        nonlocal count
        samples = 0
        for piece in _encoded(encoder, source, rate, settings, lambda _: None):
            samples += int(piece.num_samples)
            yield piece.values[0].cpu().numpy()
        count = samples

    clipped = _decode(model, _reblocked(values()), 0, lambda: count, output=output, advance=advance)
    count = int(count)
    return {
        "seconds": count / model.config.sample_rate,
        "frames": -(-count // model.config.hop_length),
        "num_samples": count,
        "source_sample_rate": rate,
        "sample_rate": model.config.sample_rate,
        "clipped": clipped,
        "warnings": _notes(clipped),
    }


TRANSCODERS = {"encode": encode_file, "decode": decode_file, "reconstruct": reconstruct_file}


def _encoded(
    encoder: StreamEncoder, source: Path, rate: int, settings: Settings, advance: Advance
) -> Iterator[Latents]:
    for block in iter_audio_blocks(source, BLOCK_SECONDS, channel=settings.channel):
        yield encoder.push(block)
        advance(len(block) / rate)
    yield encoder.finish()


def _decode(
    model: MingTok,
    blocks: Iterable[np.ndarray],
    skip: int,
    count: Callable[[], float],
    *,
    output: Path,
    advance: Advance,
) -> int:
    """Decode blocks (n, D), drop `skip` samples, write `count()`; returns how many clipped.

    `count` is asked after the next block has been read, so it may be infinite as long as it is not
    known.
    """
    import torch

    decoder = model.stream_decoder()
    rate = model.config.sample_rate
    stream = iter(blocks)
    following = next(stream, None)
    position = 0
    with AudioWriter(output, rate) as writer:
        while following is not None:
            block, following = following, next(stream, None)
            wav = decoder.push(torch.from_numpy(block)[None])[0]
            if following is None:
                wav = torch.cat((wav, decoder.finish()[0]))
            left = min(skip + count() - position, len(wav))
            part = wav[max(0, skip - position) : max(0, int(left))]
            position += len(wav)
            if len(part):
                writer.write(part)
                advance(len(part) / rate)
    return writer.clipped


def _reblocked(pieces: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """The same frames (n, D) in blocks of `BLOCK_FRAMES`, the last one shorter."""
    held: list[np.ndarray] = []
    count = 0
    for piece in pieces:
        held.append(piece)
        count += len(piece)
        while count >= BLOCK_FRAMES:
            joined = np.concatenate(held)
            yield joined[:BLOCK_FRAMES]
            held, count = [joined[BLOCK_FRAMES:]], count - BLOCK_FRAMES
    if count:
        yield np.concatenate(held)


def _chain(first: Latents, rest: Iterator[Latents]) -> Iterator[Latents]:
    yield first
    yield from rest


def _check_fit(header: MtokHeader, model: MingTok, source: Path) -> None:
    config = model.config
    if header.batch != 1:
        raise UserError(
            f"{source} holds a batch of {header.batch} clips; take them apart in Python "
            "(Latents.load(...).item(i).save(...))"
        )
    found = (header.latent_dim, header.sample_rate, header.hop_length)
    wanted = (config.latent_dim, config.sample_rate, config.hop_length)
    if found != wanted:
        raise UserError(
            f"{source} has {found[0]} dimensions at {found[1]} Hz with a hop of {found[2]}, model "
            f"'{model.model_id}' works with {wanted[0]} at {wanted[1]} Hz and {wanted[2]}: give "
            f"--model the one that made it ('{header.model_id or 'unknown'}')"
        )


def _notes(clipped: int) -> list[str]:
    return [f"{clipped} samples beyond full scale were clipped"] if clipped else []
