"""A pretrained text language model as the start of a speech model (paper, section 5).

Qwen2, Qwen2.5, Qwen3 and Llama folders become the `hf_causal_lm` backbone, Ling's (`bailing_moe`)
the backbone of that name. Their tokenizer is extended by the tokens of the prompts, their
embeddings by rows for these; every other number stays what it was, so that texts have the same
logits before and after.

How new rows start: the mean of the rows that the model was trained with, plus noise of a tenth of
their standard deviation per dimension, so that new tokens can be told apart. Where the output
weight is normalised per column (`norm_head`), a new row would change all logits: there new output
rows are 0, and rows that only pad the vocabulary stay as they are. A Ling model has one router a
layer; the routers for audio and images start as copies of it.

Axes: V vocabulary, D width, E experts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from mingtok_audio.core.config import load_json
from mingtok_audio.core.errors import ConfigError, FormatError
from mingtok_audio.core.models.fit import Place
from mingtok_audio.core.models.hub import CONFIG_NAME, ResolvedSource, resolve
from uniaudio_lm.checkpoint.describe import is_published
from uniaudio_lm.checkpoint.fit import fill
from uniaudio_lm.checkpoint.published import backbone_options, backbone_place
from uniaudio_lm.checkpoint.read import read_tensors, tensor_headers
from uniaudio_lm.config import PartConfig
from uniaudio_lm.interfaces import Backbone
from uniaudio_lm.plugins import get_host
from uniaudio_lm.text.tokenizer import TOKENIZER_NAME, TextTokenizer
from uniaudio_lm.weights import shipped_weights

FAMILIES = ("qwen2", "qwen3", "llama", "bailing_moe")
"""Values of `model_type` that are read; Qwen2.5 is a "qwen2"."""
NOISE = 0.1
"""Of the trained rows' standard deviation: noise on the rows of new tokens."""
_SIZES = {
    "vocab_size": 10_000_000,
    "hidden_size": 1_000_000,
    "num_hidden_layers": 1000,
    "num_attention_heads": 10_000,
}
# Of a config.json: about the file that it was saved as, not about the network.
_NOT_THE_NETWORK = (
    "architectures",
    "auto_map",
    "torch_dtype",
    "dtype",
    "transformers_version",
    "_name_or_path",
)


@dataclass(frozen=True)
class TextLlm:
    """A checked folder of a text language model, and what a speech model makes of it.

    Attributes:
        source: the folder, and where it is from.
        backbone: the part, with the options that its constructor takes.
        text: its tokenizer.
        rows: V of its files.
        known: ids of its own tokenizer; further rows only pad.
        new: ids of the tokens that `extended` added.
        copied_routers: the files have one router a layer, the part has several.
    """

    source: ResolvedSource
    backbone: PartConfig
    text: TextTokenizer
    rows: int
    known: int
    new: tuple[int, ...] = ()
    copied_routers: bool = False

    def extended(self, specials: Sequence[str], phrases: Sequence[str] = ()) -> TextLlm:
        """The same with one token for each of `specials` and `phrases`; those that it has already
        keep their ids. The vocabulary grows only where its padding has no room."""
        text, new = self.text.extended(specials, phrases)
        size = max([self.rows, *(token + 1 for token in new)])
        found = get_host().resolve("backbone", self.backbone.name)
        options = found.with_vocabulary(self.backbone.options, size)
        return replace(
            self, text=text, new=tuple(new), backbone=replace(self.backbone, options=options)
        )

    def load(self, seed: int = 0) -> Backbone:
        """The backbone in float32, new rows drawn by `seed`.

        Raises:
            FormatError, HubError: the weights are damaged, or do not fit the config.
            ConfigError: no such network can be built.
        """
        with torch.device("meta"):
            module = self._build()
        if self.backbone.name == "bailing_moe":
            names = _LING_ROWS
            tensors, place = read_tensors(self.source.path), self._ling_place
        else:
            names = _HF_ROWS
            model = module.get_submodule("model")
            tied = bool(model.config.tie_word_embeddings)  # type: ignore[union-attr]
            tensors, place = self._hf_tensors(tied), self._hf_place
        shapes = {name: tuple(value.shape) for name, value in module.state_dict().items()}
        zeros = [
            Place(name, self.rows, shapes[name][0])
            for name in names
            if name in shapes and shapes[name][0] > self.rows
        ]
        experts = int(self.backbone.options.get("num_experts", 0))
        routers = [n for n in shapes if n.endswith("mlp.router.weight") and self.copied_routers]
        zeros += [Place(name, experts, shapes[name][0]) for name in routers]
        try:
            fill(module, tensors, place, dtype=torch.float32, zeros=zeros)
        except FormatError as error:
            raise FormatError(f"{self.source.path}: {error}") from error
        for name in routers:
            _copy_router(module.get_parameter(name), shapes[name][0], experts)
        self._start_rows(module, [name for name in names if name in shapes], seed)
        return module

    def _build(self) -> Backbone:
        where = self.source.path / CONFIG_NAME
        try:
            made = get_host().create("backbone", self.backbone.name, **self.backbone.options)
        except ConfigError as error:
            raise ConfigError(f"{where}: {error}") from error
        except Exception as error:  # transformers raises what it likes
            reason = " ".join(str(error).split())[:160]
            raise ConfigError(f"{where}: no such network can be built ({reason})") from error
        return cast(Backbone, made)

    # --- where tensors go ------------------------------------------------------------------------

    def _hf_place(self, name: str) -> Place | None:
        if name.endswith("rotary_emb.inv_freq"):  # computed; old files hold it
            return None
        return self._rows_of(Place(f"model.{name}"), _HF_ROWS)

    def _hf_tensors(self, tied: bool) -> Iterator[tuple[str, Tensor]]:
        """The files' tensors; tied embeddings under both of their names."""
        for name, tensor in read_tensors(self.source.path):
            if not tied:
                yield name, tensor
            elif name != "lm_head.weight":
                yield name, tensor
                if name == "model.embed_tokens.weight":
                    yield "lm_head.weight", tensor

    def _ling_place(self, name: str) -> Place | None:
        place = backbone_place(name, self.backbone.options)
        return None if place is None else self._rows_of(place, _LING_ROWS)

    def _rows_of(self, place: Place, names: Sequence[str]) -> Place:
        """The embeddings' rows are the first of the extended ones."""
        return replace(place, stop=self.rows) if place.name in names else place

    # --- rows of new tokens ----------------------------------------------------------------------

    @torch.no_grad()
    def _start_rows(self, module: nn.Module, names: Sequence[str], seed: int) -> None:
        if not self.new:
            return
        ids, generator = torch.tensor(self.new), torch.Generator().manual_seed(seed)
        normalised = bool(self.backbone.options.get("norm_head"))
        done: set[int] = set()
        for name in names:
            weight = module.get_parameter(name)
            if id(weight) in done or (normalised and name == "lm_head.weight"):
                continue
            done.add(id(weight))
            trained = weight[: self.known]
            noise = torch.randn(len(ids), weight.shape[1], generator=generator)
            weight[ids] = trained.mean(dim=0) + NOISE * trained.std(dim=0) * noise


_HF_ROWS = ("model.model.embed_tokens.weight", "model.lm_head.weight")
_LING_ROWS = ("embeddings.weight", "lm_head.weight")


@torch.no_grad()
def _copy_router(weight: nn.Parameter, rows: int, experts: int) -> None:
    for start in range(experts, rows, experts):
        weight[start : start + experts] = weight[:experts]


def is_text_llm(config: Any) -> bool:
    """Whether a parsed `config.json` is a text language model's of a family that is read."""
    return (
        isinstance(config, Mapping)
        and config.get("model_type") in FAMILIES
        and not is_published(config)
    )


def read_text_llm(name_or_path: str | Path) -> TextLlm:
    """Find and check a text language model: all but its weights' numbers.

    Args:
        name_or_path: a folder or a Hub id.

    Raises:
        UserError: in one line: nothing there, another kind or family of model, sizes that are
            missing or of a wrong type, no `tokenizer.json`, one of another model.
    """
    source = resolve(
        name_or_path,
        kind="text language model",
        builtin=shipped_weights,  # to say what "nano" is
        files=(TOKENIZER_NAME,),
    )
    path = source.path / CONFIG_NAME
    if not path.is_file():
        raise ConfigError(
            f"{source.path} holds no {CONFIG_NAME}: it is not the folder of a language model"
        )
    config = load_json(path)
    _check_kind(config, path)
    _check_sizes(config, path)
    text = TextTokenizer.from_file(source.path / TOKENIZER_NAME)
    rows = int(config["vocab_size"])
    _check_tokenizer(config, text, source.path)
    _check_embeddings(config, source.path)
    copied = False
    if config["model_type"] == "bailing_moe":
        options = backbone_options(config, str(path))
        if options["tie_embeddings"] and options["norm_head"]:
            raise ConfigError(
                f"{path}: tie_word_embeddings and norm_head together leave no way to add tokens "
                "without changing all logits"
            )
        copied = not options["multi_gate"]
        backbone = PartConfig("bailing_moe", {**options, "multi_gate": True})
    else:
        plain = {k: v for k, v in config.items() if k not in _NOT_THE_NETWORK}
        backbone = PartConfig("hf_causal_lm", {"config": plain})
    known = text.next_id
    return TextLlm(source, backbone, text, rows, known, copied_routers=copied)


def _check_kind(config: Any, path: Path) -> None:
    if not isinstance(config, Mapping):
        raise ConfigError(f"{path}: expected an object, got {type(config).__name__}")
    kind = config.get("model_type")
    if kind == "uniaudio" or is_published(config):
        raise ConfigError(
            f"{path}: this is a speech language model: give it as `init`, without `model`"
        )
    if "slot" in config or kind == "mingtok" or "enc_kwargs" in config:
        raise ConfigError(f"{path}: this is not a language model")
    if kind not in FAMILIES:
        raise ConfigError(
            f"{path}: model_type {str(kind)[:60]!r} cannot be the start of a speech model; "
            "qwen2 (Qwen2 and Qwen2.5), qwen3, llama and bailing_moe can"
        )
    if config.get("quantization_config") is not None:
        raise ConfigError(f"{path}: the weights are quantised: give the model before quantisation")


def _check_sizes(config: Mapping[str, Any], path: Path) -> None:
    sizes = dict(_SIZES)
    if config["model_type"] != "bailing_moe":
        sizes["intermediate_size"] = 10_000_000
    for key, most in sizes.items():
        value = config.get(key)
        if type(value) is not int or not 1 <= value <= most:
            shown = "missing" if key not in config else repr(value)[:40]
            raise ConfigError(f"{path}: {key} must be a whole number from 1 to {most}, not {shown}")
    for key in ("tie_word_embeddings", "norm_head", "norm_topk_prob", "use_bias", "use_qkv_bias"):
        if key in config and type(config[key]) is not bool:
            raise ConfigError(f"{path}: {key} must be true or false, not {config[key]!r:.40}")
    for key in _COUNTS:
        value = config.get(key)
        if value is not None and (type(value) is not int or not 0 <= value <= 10_000_000):
            raise ConfigError(f"{path}: {key} must be a whole number, not {value!r:.40}")
    for key in ("rms_norm_eps", "rope_theta"):
        value = config.get(key)
        if value is not None and (type(value) not in (int, float) or not value > 0):
            raise ConfigError(f"{path}: {key} must be a number above 0, not {value!r:.40}")


_COUNTS = (
    "num_key_value_heads",
    "head_dim",
    "num_experts",
    "num_experts_per_tok",
    "moe_intermediate_size",
    "num_shared_experts",
    "first_k_dense_replace",
)


def _check_tokenizer(config: Mapping[str, Any], text: TextTokenizer, folder: Path) -> None:
    """Whether a tokenizer can be the model's: sizes, and the ids that the config names."""
    rows, ids = int(config["vocab_size"]), text.next_id
    wrong = None
    if ids > rows:
        wrong = f"it has {ids} ids, the model embeds {rows}"
    elif ids < rows // 2:
        wrong = f"it has {ids} ids of the {rows} that the model embeds"
    for key in ("bos_token_id", "eos_token_id"):
        value = config.get(key)
        for token in value if isinstance(value, list) else [value]:
            if token is not None and type(token) is not int:
                raise ConfigError(f"{folder / CONFIG_NAME}: {key} must be a whole number")
            if wrong is None and token is not None and not 0 <= token < rows:
                wrong = f"{key} is {token}, it has {ids} ids"
    if wrong is not None:
        raise ConfigError(f"{folder / TOKENIZER_NAME} belongs to another model: {wrong}")


def _check_embeddings(config: Mapping[str, Any], folder: Path) -> None:
    """The rows that the files hold, before anything is built."""
    names = ("model.embed_tokens.weight", "model.word_embeddings.weight")
    for infos in tensor_headers(folder).values():
        for name in names:
            expected = (int(config["vocab_size"]), int(config["hidden_size"]))
            if name in infos and infos[name].shape != expected:
                raise FormatError(
                    f"{folder}: {name} is {list(infos[name].shape)}, its config.json says "
                    f"vocab_size {expected[0]} and hidden_size {expected[1]}"
                )
