"""The nano language model of phonemes as the frozen guide of stage 3, for transformers.

    python recipes/nano/tools/guide.py .runs/lm-symbols/model -o .runs/nano-guide \\
        --compressor .runs/lm-hearing/model

Its dense backbone is a Llama by another name: the weights are renamed, and the logits of both are
compared. `--compressor` names the model that learned recognition: this guide reads what its
compressor makes of features instead of phonemes, and the compressor is kept beside it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from mingtok_audio.core.models.components import save_component
from uniaudio_lm.checkpoint.load import load_model
from uniaudio_lm.model.prompts import END_OF_TEXT, encode, recognition
from uniaudio_lm.parts.backbones.dense import DenseTransformer

_TOLERANCE = 1e-4


def llama(backbone: DenseTransformer, end: int) -> LlamaForCausalLM:
    """A Llama with the backbone's weights."""
    first = backbone.blocks[0]
    if backbone.lm_head is not None:
        raise SystemExit("this backbone has an output weight of its own: only tied ones are read")
    config = LlamaConfig(
        vocab_size=backbone.vocab_size,
        hidden_size=backbone.dim,
        intermediate_size=first.mlp.down.in_features,
        num_hidden_layers=len(backbone.blocks),
        num_attention_heads=first.attn.heads,
        num_key_value_heads=first.attn.kv_heads,
        rms_norm_eps=first.attn_norm.eps,
        rope_parameters={"rope_type": "default", "rope_theta": backbone.rope_base},
        max_position_embeddings=4096,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=end,
    )
    model = LlamaForCausalLM(config).eval()
    model.load_state_dict(renamed(backbone), strict=False)  # the tied output weight is not named
    return model


def renamed(backbone: DenseTransformer) -> dict[str, Tensor]:
    """The weights by a Llama's names: joined products are parted."""
    out = {
        "model.embed_tokens.weight": backbone.embeddings.weight,
        "model.norm.weight": backbone.norm.weight,
    }
    for i, block in enumerate(backbone.blocks):
        attn, mlp = block.attn, block.mlp
        sizes = [attn.heads * attn.head_dim, *2 * [attn.kv_heads * attn.head_dim]]
        parts = dict(zip("qkv", attn.qkv.weight.split(sizes), strict=True))
        gate, up = mlp.gate_up.weight.chunk(2)
        names = {
            **{f"self_attn.{name}_proj": part for name, part in parts.items()},
            "self_attn.o_proj": attn.out.weight,
            "mlp.gate_proj": gate,
            "mlp.up_proj": up,
            "mlp.down_proj": mlp.down.weight,
            "input_layernorm": block.attn_norm.weight,
            "post_attention_layernorm": block.mlp_norm.weight,
        }
        out |= {f"model.layers.{i}.{name}.weight": value for name, value in names.items()}
    return {name: value.detach().clone() for name, value in out.items()}


@torch.no_grad()
def difference(ours: DenseTransformer, theirs: LlamaForCausalLM) -> float:
    """The largest, of the logits of random embeddings at the level of the tokens'."""
    draw = torch.Generator().manual_seed(0)
    level = ours.embeddings.weight.std()
    embeds = level * torch.randn(2, 100, ours.dim, generator=draw)
    found = theirs(inputs_embeds=embeds).logits
    return float((ours.logits(ours(embeds)) - found).abs().max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, help="a language model with a dense backbone")
    parser.add_argument("--compressor", type=Path, help="a model folder whose compressor is kept")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    model = load_model(options.model)
    backbone = model.backbone
    if not isinstance(backbone, DenseTransformer):
        raise SystemExit(f"{options.model} has no dense backbone")
    guide = llama(backbone, model.text_tokenizer.special(END_OF_TEXT))
    error = difference(backbone, guide)
    if error > _TOLERANCE:
        raise SystemExit(f"the logits differ by {error:.1e}")
    guide.save_pretrained(options.output)
    fast = PreTrainedTokenizerFast(
        tokenizer_file=str(options.model / "tokenizer.json"), eos_token=END_OF_TEXT
    )
    fast.save_pretrained(options.output)
    if options.compressor is not None:
        trained = load_model(options.compressor)
        part = trained.config.compressor
        save_component(
            options.output / "compressor",
            trained.compressor,
            slot="compressor",
            name=part.name,
        )
    asked = fast.decode(encode(model.text_tokenizer, recognition(1)).ids)
    print(f"{options.output}: logits within {error:.1e}; it is asked by {asked!r}")


if __name__ == "__main__":
    main()
