"""The speaker judge of seed-tts-eval: WavLM-large with an ECAPA-TDNN head (UniSpeech).

The published checkpoint (`wavlm_large_finetune.pth`) is converted once, by torch's reader of plain
tensors, which runs no code of the file:

    python -m audio_eval.judges.wavlm_ecapa wavlm_large_finetune.pth -o wavlm-ecapa

The judge then loads the folder. WavLM is that of transformers; the head is written here.
Axes: N layers, B clips, T frames, C channels.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audio_eval.interfaces import ComponentInfo, Judge, JudgeUnavailableError
from audio_eval.judges.base import hub_folder, need, version, weights_id
from mingtok_audio.core.errors import FormatError, UserError

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

MODEL_TYPE = "wavlm_ecapa"
_SHORTEST = 6400  # samples that the convolutions and the pooling take
_WAVLM = "feature_extract.model."
_IGNORED = re.compile(
    r"loss_calculator\.|num_batches_tracked$|"
    r"feature_extract\.model\.(final_proj|label_embs_concat|project_q|quantizer)"
)
_POSITION = "encoder.pos_conv_embed.conv.parametrizations.weight"
# Names of the checkpoint to those of transformers, and to those of `make_head`.
_WAVLM_NAMES = (
    (r"^layer_norm\.", "feature_projection.layer_norm."),
    (r"^post_extract_proj\.", "feature_projection.projection."),
    (r"^mask_emb$", "masked_spec_embed"),
    (r"^feature_extractor\.conv_layers\.(\d+)\.0\.", r"feature_extractor.conv_layers.\1.conv."),
    (
        r"^feature_extractor\.conv_layers\.(\d+)\.2\.(?:1\.)?",
        r"feature_extractor.conv_layers.\1.layer_norm.",
    ),
    (r"^encoder\.pos_conv\.0\.weight_g$", f"{_POSITION}.original0"),
    (r"^encoder\.pos_conv\.0\.weight_v$", f"{_POSITION}.original1"),
    (r"^encoder\.pos_conv\.0\.", "encoder.pos_conv_embed.conv."),
    (r"\.self_attn\.grep_linear\.", ".attention.gru_rel_pos_linear."),
    (r"\.self_attn\.grep_a$", ".attention.gru_rel_pos_const"),
    (r"\.self_attn\.relative_attention_bias\.", ".attention.rel_attn_embed."),
    (r"\.self_attn\.", ".attention."),
    (r"\.self_attn_layer_norm\.", ".layer_norm."),
    (r"\.fc1\.", ".feed_forward.intermediate_dense."),
    (r"\.fc2\.", ".feed_forward.output_dense."),
)  # fmt: skip
_HEAD_NAMES = (
    (r"\.Conv1dReluBn1\.", ".before."),
    (r"\.Res2Conv1dReluBn\.convs\.", ".convs."),
    (r"\.Res2Conv1dReluBn\.bns\.", ".norms."),
    (r"\.Conv1dReluBn2\.", ".after."),
    (r"\.SE_Connect\.linear1\.", ".squeeze."),
    (r"\.SE_Connect\.linear2\.", ".excite."),
    (r"\.bn\.", ".norm."),
    (r"^bn\.", "norm."),
    (r"^pooling\.linear1\.", "attention."),
    (r"^pooling\.linear2\.", "scores."),
    (r"^linear\.", "out."),
)


def make_head(features: int, layers: int, embedding: int = 256) -> Any:
    """The ECAPA-TDNN head: hidden states of WavLM (N, B, T, C) to embeddings (B, E).

    The layers are weighted by a learned softmax, each channel is normalised over the clip; three
    blocks of Res2Net with dilations 2, 3 and 4 follow, and attentive mean and deviation.
    """
    import torch
    from torch import nn
    from torch.nn import functional as F

    channels, pooled, scale, bottleneck = 512, 1536, 8, 128

    class Convolution(nn.Module):
        def __init__(self, before: int, after: int, kernel: int = 1) -> None:
            super().__init__()
            self.conv = nn.Conv1d(before, after, kernel, padding=kernel // 2)
            self.norm = nn.BatchNorm1d(after)

        def forward(self, x: Tensor) -> Tensor:
            return self.norm(F.relu(self.conv(x)))

    class Block(nn.Module):
        def __init__(self, dilation: int) -> None:
            super().__init__()
            width = channels // scale
            self.before, self.after = (Convolution(channels, channels) for _ in range(2))
            self.convs = nn.ModuleList(
                nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation)
                for _ in range(scale - 1)
            )
            self.norms = nn.ModuleList(nn.BatchNorm1d(width) for _ in range(scale - 1))
            self.squeeze = nn.Linear(channels, bottleneck)
            self.excite = nn.Linear(bottleneck, channels)

        def forward(self, x: Tensor) -> Tensor:
            *parts, last = self.before(x).chunk(scale, dim=1)
            made: list[Tensor] = []
            for part, conv, norm in zip(parts, self.convs, self.norms, strict=True):
                made.append(norm(F.relu(conv(part + made[-1] if made else part))))
            y = self.after(torch.cat([*made, last], dim=1))
            gate = torch.sigmoid(self.excite(F.relu(self.squeeze(y.mean(dim=2)))))
            return x + y * gate[..., None]

    class Head(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.feature_weight = nn.Parameter(torch.zeros(layers))
            self.layer1 = Convolution(features, channels, 5)
            self.layer2, self.layer3, self.layer4 = (Block(d) for d in (2, 3, 4))
            self.conv = nn.Conv1d(3 * channels, pooled, 1)
            self.attention = nn.Conv1d(pooled, bottleneck, 1)
            self.scores = nn.Conv1d(bottleneck, pooled, 1)
            self.norm = nn.BatchNorm1d(2 * pooled)
            self.out = nn.Linear(2 * pooled, embedding)

        def forward(self, states: Tensor) -> Tensor:
            x = torch.einsum("n,nbtc->bct", self.feature_weight.softmax(dim=0), states)
            x = self.layer1(F.instance_norm(x + 1e-6))
            first = self.layer2(x)
            second = self.layer3(first)
            x = F.relu(self.conv(torch.cat([first, second, self.layer4(second)], dim=1)))
            share = self.scores(torch.tanh(self.attention(x))).softmax(dim=2)
            mean = (share * x).sum(dim=2)
            spread = (share * x.square()).sum(dim=2) - mean.square()
            return self.out(self.norm(torch.cat([mean, spread.clamp_min(1e-9).sqrt()], dim=1)))

    return Head()


class WavLMEcapa(Judge):
    """Embeddings of WavLM-large with the ECAPA head, as seed-tts-eval computes SIM.

    Args:
        model: folder or hub id of a converted checkpoint (`python -m
            audio_eval.judges.wavlm_ecapa`).
        device: ``auto`` ``cpu`` ``cuda`` ``mps``.
    """

    info = ComponentInfo(
        name="wavlm_ecapa",
        version="1",
        summary="WavLM-large with ECAPA-TDNN, the SIM of seed-tts-eval",
        needs_model=True,
        extra="speaker",
    )
    role = "speaker"
    sample_rate = 16000
    modules = ("transformers",)

    def __init__(self, model: str, device: str = "auto") -> None:
        self.model = model
        self.device = device
        self._loaded: Any = None

    def check(self) -> None:
        need("transformers", "speaker")
        hub_folder(self.model)

    def identity(self) -> str:
        weights = weights_id(hub_folder(self.model))
        library = f"transformers {version('transformers')}"
        return f"wavlm_ecapa/{self.info.version} {self.model} {weights} {library}"

    def evaluate(self, wav: np.ndarray, sample_rate: int, **request: Any) -> Mapping[str, Any]:
        """``{"embedding"}`` of unit length (256 values)."""
        import torch

        if self._loaded is None:
            from mingtok_audio.core.runtime import select_device

            self._loaded = _load(hub_folder(self.model), self.model, select_device(self.device))
        wavlm, head, device = self._loaded
        padded = torch.nn.functional.pad(torch.from_numpy(wav), (0, max(0, _SHORTEST - len(wav))))
        if wavlm.config.feat_extract_norm == "layer":
            padded = torch.nn.functional.layer_norm(padded, padded.shape)
        with torch.inference_mode():
            states = wavlm(padded[None].to(device), output_hidden_states=True).hidden_states
            found = head(torch.stack(states).float())[0]
        unit = torch.nn.functional.normalize(found, dim=0)
        return {"embedding": [round(x, 7) for x in unit.tolist()]}


def _load(folder: Path, name: str, device: Any) -> tuple[Any, Any, Any]:
    from safetensors.torch import load_file
    from transformers import WavLMConfig, WavLMModel

    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if not isinstance(config, dict) or config.get("model_type") != MODEL_TYPE:
        raise JudgeUnavailableError(
            f"{name} is not a converted checkpoint of WavLM with ECAPA (python -m "
            f"audio_eval.judges.wavlm_ecapa CHECKPOINT -o FOLDER makes one)"
        )
    wavlm = WavLMModel(WavLMConfig(**config["wavlm"])).eval()
    head = make_head(wavlm.config.hidden_size, wavlm.config.num_hidden_layers + 1).eval()
    tensors = load_file(folder / "model.safetensors")
    for part, module in (("wavlm", wavlm), ("head", head)):
        state = {
            key.removeprefix(f"{part}."): value
            for key, value in tensors.items()
            if key.startswith(f"{part}.")
        }
        wrong = module.load_state_dict(_complete(state, module), strict=False)
        if wrong.missing_keys or wrong.unexpected_keys:
            first = [*wrong.missing_keys, *wrong.unexpected_keys][0]
            raise JudgeUnavailableError(f"{name}: the weights do not fit the model ({first})")
    return wavlm.to(device), head.to(device), device


def _complete(state: dict[str, Any], module: Any) -> dict[str, Any]:
    """With the batch counters, which no inference reads and no converted file holds."""
    own = module.state_dict()
    return state | {k: v for k, v in own.items() if k.endswith("num_batches_tracked")}


# --- conversion ----------------------------------------------------------------------------------


def renamed(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A published state dict under the names that the judge loads: `wavlm.*` and `head.*`."""
    out = {}
    for name, value in tensors.items():
        if _IGNORED.search(name):
            continue
        part, table, new = "head", _HEAD_NAMES, name
        if name.startswith(_WAVLM):
            part, table, new = "wavlm", _WAVLM_NAMES, name.removeprefix(_WAVLM)
        for pattern, replacement in table:
            new = re.sub(pattern, replacement, new)
        out[f"{part}.{new}"] = value.detach().clone().contiguous()
    return out


def wavlm_config(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """The sizes of WavLM, from the shapes of its renamed tensors.

    Raises:
        FormatError: a tensor is missing.
    """
    try:
        hidden = tensors["wavlm.feature_projection.projection.weight"].shape[0]
        position = tensors[f"wavlm.{_POSITION}.original1"]
        bias = tensors["wavlm.encoder.layers.0.attention.rel_attn_embed.weight"]
        inner = tensors["wavlm.encoder.layers.0.feed_forward.intermediate_dense.weight"].shape[0]
        stem = "wavlm.feature_extractor.conv_layers"
        convs = [tensors[f"{stem}.{i}.conv.weight"] for i in range(7)]
    except (KeyError, ValueError) as error:
        raise FormatError(f"not a checkpoint of WavLM with ECAPA: {error} is missing") from error
    layers = {m.group(1) for k in tensors if (m := re.match(r"wavlm\.encoder\.layers\.(\d+)\.", k))}
    normed = f"{stem}.1.layer_norm.weight" in tensors
    return {
        "hidden_size": hidden,
        "num_hidden_layers": len(layers),
        "num_attention_heads": bias.shape[1],
        "num_buckets": bias.shape[0],
        "intermediate_size": inner,
        "conv_dim": [conv.shape[0] for conv in convs],
        "conv_kernel": [conv.shape[2] for conv in convs],
        "conv_bias": f"{stem}.0.conv.bias" in tensors,
        "feat_extract_norm": "layer" if normed else "group",
        "do_stable_layer_norm": normed,
        "num_conv_pos_embeddings": position.shape[2],
        "num_conv_pos_embedding_groups": hidden // position.shape[1],
    }


def convert(checkpoint: Path, folder: Path) -> Path:
    """Write a published checkpoint as a folder with `config.json` and `model.safetensors`.

    Raises:
        UserError: not there, not a file of plain tensors, or not this model.
    """
    import torch

    from mingtok_audio.core.models.weights import save_tensors, write_json

    if not checkpoint.is_file():
        raise UserError(f"{checkpoint}: no such file")
    try:
        found = torch.load(checkpoint, map_location="cpu", weights_only=True)
    except Exception as error:  # torch names no class for a file that holds more than tensors
        raise FormatError(
            f"{checkpoint} is not a file of plain tensors ({' '.join(str(error).split())[:120]})"
        ) from error
    state = found.get("model", found) if isinstance(found, dict) else None
    if not isinstance(state, dict) or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise FormatError(f"{checkpoint} holds no state dict (`model`) of tensors")
    tensors = renamed(state)
    try:
        config = wavlm_config(tensors)
    except FormatError as error:
        raise FormatError(f"{checkpoint}: {error}") from error
    if "head.feature_weight" not in tensors:
        raise FormatError(f"{checkpoint}: WavLM without the ECAPA head")
    folder.mkdir(parents=True, exist_ok=True)
    save_tensors(folder / "model.safetensors", tensors)
    write_json(folder / "config.json", {"model_type": MODEL_TYPE, "wavlm": config})
    return folder


def main() -> None:
    """See the module."""
    from mingtok_audio.core.cli import EXIT_USAGE, fail

    parser = argparse.ArgumentParser(description="Convert the checkpoint of seed-tts-eval's SIM.")
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    try:
        print(convert(options.checkpoint, options.output))
    except UserError as error:
        fail(str(error))
        raise SystemExit(EXIT_USAGE) from error


if __name__ == "__main__":
    main()
