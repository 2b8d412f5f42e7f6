"""Compare this implementation with recorded outputs of another: `python -m mingtok_audio.parity`.

A folder holds `config.json`, `model.safetensors` and the inputs in `io.safetensors` (keys
`run.tensor`). Every output that can be computed from them is written under the same key.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from mingtok_audio.config import MingTokConfig
from mingtok_audio.core.config import load_json
from mingtok_audio.core.errors import UserError
from mingtok_audio.core.files import atomic_write
from mingtok_audio.core.models.hub import load_tensors, read_safetensors_header
from mingtok_audio.models.mingtok import MingTok
from mingtok_audio.models.reference import is_published
from mingtok_audio.modules.merge import merge_patches
from mingtok_audio.modules.posterior import Posterior

HIDDEN_TOLERANCE = 2e-5
WAVE_TOLERANCE = 1e-5
# Sines of angles up to 1000: two steps of such a float32, for processors differ in the last digit.
ANGLE_TOLERANCE = 2**-13
RESAMPLED, RESAMPLED_TOLERANCE = ("wave16k", "wave44k"), 2e-6
# Logarithms of very small energies.
LOGARITHMS, LOGARITHM_TOLERANCE = ("fbank", "features"), 1e-3

Tensors = dict[str, Tensor]
Compute = Callable[[Path, Tensors, argparse.Namespace], Tensors]


def load_io(path: Path) -> Tensors:
    """All tensors of a safetensors file. Raises `FormatError` when it is damaged."""
    from safetensors.torch import load_file

    read_safetensors_header(path)
    return load_file(path)


def tokenizer_outputs(folder: Path, io: Tensors, options: argparse.Namespace) -> Tensors:
    """Encoder, latents, features and waveforms, whole and streamed, of every run."""
    model = MingTok.from_pretrained(
        folder,
        window_keys=options.window_keys,
        window_layers=options.window_layers,
        full_attention=options.full_attention,
        encoder_layers=options.encoder_layers,
    )
    out: Tensors = {}
    for key in sorted(io):
        if key.endswith(".waveform"):
            out.update(_tokenizer_run(model, io, key.removesuffix(".waveform")))
    return out


@torch.no_grad()
def _tokenizer_run(model: MingTok, io: Tensors, run: str) -> Tensors:
    config = model.config
    wav = io[f"{run}.waveform"]
    out: Tensors = {}
    frames = model.encoder.frame(wav)
    parameters = model.encoder.parameters_of(frames)
    out["enc_out"] = parameters
    aggregates = config.aggregator is not None
    if aggregates:
        out["enc_hidden"] = model.encoder.hidden_of(frames)
        out["agg_hidden"] = model.encoder.aggregate(out["enc_hidden"])
    if f"{run}.waveform_length" in io:
        # The published code divides by the frames' length, and AudioVAE's count is a float.
        count = -(-io[f"{run}.waveform_length"] // config.frame_length)
        count = -(-count // config.frames_per_latent)
        out["frame_num"] = count.float() if aggregates else count.to(torch.int32)
    posterior = Posterior.from_parameters(parameters, config.posterior_min_std)
    noise = io[f"{run}.noise_bdt"].transpose(1, 2)  # (B, D, L) -> (B, L, D)
    latent = out["latent"] = posterior.sample(noise=noise)
    upsampled = model.decoder.upsample(model.decoder_input_of(latent))
    if aggregates:
        out["upsampled"] = upsampled
    hidden = model.decoder.transformer(upsampled)
    out["dec_hidden"] = hidden
    out["head_out_first2"] = model.decoder.head.out(hidden[:, :2])
    out["decode_full"] = model.wav_of(latent)[:, None]
    if model.semantic is not None:
        out["unified"] = model.features(latent)
    prefix = f"{run}.stream_"
    for key in sorted(io):
        if not (key.startswith(prefix) and key.endswith(".chunk_frames")):
            continue
        name = key[len(prefix) :].removesuffix(".chunk_frames")
        chunks = latent.split(io[key].tolist(), dim=1)
        state = model.new_decoder_state(len(latent), max_frames=latent.shape[1])
        waves = [model.decode_step(chunk, state) for chunk in chunks]
        waves.append(model.decode_flush(state))
        out[f"stream_{name}.wave"] = torch.cat(waves, dim=-1)[:, None]
        if aggregates:
            sizes = [chunk.shape[1] for chunk in chunks]
            out[f"stream_{name}.chunk_samples"] = torch.tensor(published_emission(config, sizes))
        if model.semantic is not None:
            past = model.semantic.transformer.new_state(latent.shape[1])
            parts = [model.features_of(chunk, past) for chunk in chunks]
            out[f"unified_{name}"] = torch.cat(parts, dim=1)
    return {f"{run}.{name}": tensor for name, tensor in out.items()}


def published_emission(
    config: MingTokConfig, chunks: Sequence[int], *, flushed: bool = True
) -> list[int]:
    """Samples that each call of the published stream of AudioVAE emits, for chunks of latents.

    It holds the latest chunk back whole, and the last call flushes (if `flushed`); ours emits
    earlier.
    """
    overlap = (config.n_fft - config.frame_hop) // 2
    emitted, done = [], 0
    for i in range(len(chunks)):
        last = flushed and i == len(chunks) - 1
        latents = sum(chunks) if last else sum(chunks[:i])
        samples = latents * config.hop_length - (0 if last or not latents else overlap)
        emitted.append(samples - done)
        done = samples
    return emitted


@torch.no_grad()
def pooling_outputs(folder: Path, io: Tensors, options: argparse.Namespace) -> Tensors:
    """The published pooling, the stop head's logits, and the merging of patches into a prompt."""
    from mingtok_audio.plugins import create_compressor

    config = load_json(folder / "config.json")
    weights = dict(load_tensors(folder))
    prefix = "linear_proj_audio."
    pool = create_compressor(
        "linear_pooling",
        in_dim=config["hidden_size"],
        out_dim=config["llm_input_dim"],
        patch_size=config["patch_size"],
        eps=config.get("rms_norm_eps", 1e-6),
    )
    pool.load_state_dict(
        {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
    )
    out: Tensors = {}
    if "pool.x" in io:
        x = io["pool.x"]
        out["pool.out"], _ = pool(x, torch.full((len(x),), x.shape[1]))
    if "stop.h" in io:
        out["stop.logits"] = F.linear(
            io["stop.h"], weights["stop_head.weight"], weights["stop_head.bias"]
        )
    for key in sorted(io):
        run = key.removesuffix(".feats")
        if run == key:
            continue
        shared = {k: io.get(f"{run}.{k}", io.get(f"merge.{k}")) for k in ("emb", "loc_lens")}
        embeddings, spans = shared["emb"], shared["loc_lens"]
        if embeddings is None or spans is None:
            raise UserError(f"{folder}: run {run!r} lacks emb or loc_lens")
        lengths = io.get(f"{run}.feat_lens")
        if lengths is None or int(lengths.sum()) != io[key].shape[1]:
            # Not recorded: the later segments fit, the first one has the rest.
            lengths = spans[..., 1].clone()
            lengths[:, 0] += io[key].shape[1] - lengths.sum(dim=1)
        places = torch.arange(embeddings.shape[1])
        start, stop = spans[..., 0, None], spans.sum(dim=-1)[..., None]
        out[f"{run}.mask"] = ((places >= start) & (places < stop)).any(dim=1)
        if bool((lengths < spans[..., 1]).any()):
            continue  # no output exists: refused here, and a crash in the published code
        out[f"{run}.out"], out[f"{run}.mask"] = merge_patches(embeddings, io[key], lengths, spans)
    return out


def differences(computed: Tensors, expected: Tensors) -> list[tuple[str, float, float]]:
    """(key, largest absolute difference, tolerance) of every key that both have.

    Tolerances are relative to the largest expected value where that is above 1; integers and
    masks must be equal.
    """
    rows = []
    for key in sorted(computed.keys() & expected.keys()):
        ours, theirs = computed[key], expected[key]
        if ours.shape != theirs.shape:
            rows.append((key, float("inf"), 0.0))
            continue
        if not theirs.is_floating_point():
            rows.append((key, float((ours.long() - theirs.long()).abs().max()), 0.0))
            continue
        name = key.rpartition(".")[2]
        wave = name in ("wave", "wave_full", "decode_full")
        scale = max(1.0, float(theirs.abs().max())) if theirs.numel() else 1.0
        tolerance = (WAVE_TOLERANCE if wave else HIDDEN_TOLERANCE) * scale
        if name == "time_sin":
            tolerance = ANGLE_TOLERANCE
        elif name in RESAMPLED:
            tolerance = RESAMPLED_TOLERANCE * scale
        elif name in LOGARITHMS:
            tolerance = LOGARITHM_TOLERANCE
        difference = float((ours - theirs).abs().max()) if theirs.numel() else 0.0
        rows.append((key, difference, tolerance))
    return rows


def kind_of(folder: Path) -> Compute | None:
    """What a folder holds, by its config."""
    config = load_json(folder / "config.json")
    if is_published(config):
        return tokenizer_outputs
    if isinstance(config, dict) and {"llm_input_dim", "patch_size"} <= config.keys():
        return pooling_outputs
    return None


def parser(description: str | None) -> argparse.ArgumentParser:
    """The command line, shared with the parity commands of the other packages."""
    arguments = argparse.ArgumentParser(description=description)
    arguments.add_argument("folder", type=Path, help="config, weights and recorded inputs")
    arguments.add_argument("-o", "--output", type=Path, help="where to write what was computed")
    arguments.add_argument("--check", action="store_true", help="compare; exit 1 if out of bounds")
    arguments.add_argument(
        "--io", type=Path, help="recorded outputs to compare with (default: FOLDER/io.safetensors)"
    )
    arguments.add_argument(
        "--window-keys", type=int, help="keys that a query sees, itself included"
    )
    arguments.add_argument("--window-layers", type=int, help="first layer that has the window")
    arguments.add_argument("--full-attention", action="store_true", help="no window at all")
    arguments.add_argument(
        "--encoder-layers",
        choices=("published", "all"),
        default="published",
        help="of AudioVAE: the first 4, or all (default: %(default)s)",
    )
    return arguments


def run(kinds: Callable[[Path], Compute | None], argv: Sequence[str] | None, doc: str) -> int:
    """Parse, compute, write and check; the exit code."""
    options = parser(doc.partition("\n")[0]).parse_args(argv)
    try:
        return _run(kinds, options)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _run(kinds: Callable[[Path], Compute | None], options: argparse.Namespace) -> int:
    from safetensors.torch import save_file

    folder: Path = options.folder
    compute = kinds(folder)
    if compute is None:
        raise UserError(f"{folder}: config.json is of no kind that this command knows")
    torch.manual_seed(0)
    recorded = load_io(folder / "io.safetensors")
    computed = compute(folder, recorded, options)
    if options.output is not None:
        with atomic_write(options.output) as temporary:
            save_file({k: v.contiguous() for k, v in computed.items()}, temporary)
    if not options.check:
        return 0
    expected = recorded if options.io is None else load_io(options.io)
    rows = differences(computed, expected)
    if not rows:
        raise UserError(f"{folder}: nothing recorded there can be compared")
    for key, difference, tolerance in rows:
        verdict = "ok" if difference <= tolerance else "TOO FAR"
        print(f"{key:40s} {difference:.2e}  (at most {tolerance:.2e})  {verdict}")
    return int(any(difference > tolerance for _, difference, tolerance in rows))


def main(argv: Sequence[str] | None = None) -> Any:
    """Entry of `python -m mingtok_audio.parity`."""
    return run(kind_of, argv, __doc__ or "")


if __name__ == "__main__":
    sys.exit(main())
