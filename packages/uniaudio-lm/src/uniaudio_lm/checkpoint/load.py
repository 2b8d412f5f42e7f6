"""Loading a speech language model, ours or in the published layout, with parts replaced."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from mingtok_audio.config import MingTokConfig
from mingtok_audio.core.config import load_json
from mingtok_audio.core.errors import ConfigError, PluginError, UserError
from mingtok_audio.core.models.components import PinnedModel, load_component, read_component_config
from mingtok_audio.core.models.fit import Place
from mingtok_audio.core.models.hub import (
    CONFIG_NAME,
    WEIGHTS_NAME,
    ResolvedSource,
    resolve,
    sha256_of_weights,
)
from mingtok_audio.core.runtime import select_device, select_dtype
from mingtok_audio.models.loading import read_config as read_tokenizer_config
from mingtok_audio.models.loading import report_encoder_layers
from mingtok_audio.models.reference import (
    AGGREGATOR_LAYERS,
    PART_OF_MODEL,
    EncoderLayers,
    implied_zero_rows,
    is_dropped_layer,
)
from mingtok_audio.plugins import get_host as tokenizer_host
from mingtok_audio.weights import shipped_weights as shipped_tokenizer
from uniaudio_lm.checkpoint.describe import is_published
from uniaudio_lm.checkpoint.fit import Placer, fill
from uniaudio_lm.checkpoint.inferred import completed
from uniaudio_lm.checkpoint.omni import is_omni, omni_config, omni_place
from uniaudio_lm.checkpoint.place import Memory, Placement
from uniaudio_lm.checkpoint.published import model_place, published_config
from uniaudio_lm.checkpoint.quantise import Quantizer
from uniaudio_lm.checkpoint.read import TOKENIZER_FOLDER, backbone_pin, read_tensors, tensor_headers
from uniaudio_lm.checkpoint.shapes import without_weights
from uniaudio_lm.checkpoint.text_llm import is_text_llm
from uniaudio_lm.config import PartConfig, UniAudioConfig, parse_config
from uniaudio_lm.model.layout import Columns
from uniaudio_lm.model.speech_lm import SpeechLM
from uniaudio_lm.plugins import get_host
from uniaudio_lm.text.tokenizer import TOKENIZER_NAME, TextTokenizer
from uniaudio_lm.weights import MODEL_FILES, PARTS_FOLDER, shipped_weights

if TYPE_CHECKING:
    from mingtok_audio.core.plugins import PluginHost

logger = logging.getLogger("uniaudio_lm.loading")


@dataclasses.dataclass(frozen=True)
class Room:
    """How a model's weights are kept; see `UniAudio.from_pretrained`."""

    device: str | torch.device = "cpu"
    dtype: str | torch.dtype | None = "float32"
    device_map: str | Path | Mapping[str, str | int] | None = None
    max_memory: Memory | None = None
    offload_folder: str | Path | None = None
    quantize: str | None = None
    encoder_layers: EncoderLayers = "all"


def load_model(
    name_or_path: str | Path,
    room: Room | None = None,
    parts: Mapping[str, str | Path] | None = None,
) -> SpeechLM:
    """See `UniAudio.from_pretrained`. A `dtype` of None keeps that of the file."""
    room, parts = room or Room(), parts or {}
    files = (*MODEL_FILES, *_part_files(parts))
    source = resolve(name_or_path, kind="model", builtin=shipped_weights, files=files)
    main, dtype = select_device(str(room.device)), room.dtype
    if dtype is not None and not isinstance(dtype, torch.dtype):
        dtype = select_dtype(dtype, main)
    config, tokenizer, tensors, placer, zeros = read_source(source, room.encoder_layers)
    _fetch_rest(config, name_or_path, files)
    own = config
    config, components = _replace_parts(config, parts, source.path)
    text = TextTokenizer.from_file(source.path / TOKENIZER_NAME)
    with without_weights():
        model = SpeechLM(config, tokenizer, text)
        before = SpeechLM(own, tokenizer) if config != own else model
    given = _place_components(model, before, components, parts, source.path)
    _fill(model, tensors, placer, zeros, given, main, dtype, room)
    for slot in given:  # what came from elsewhere
        model.get_submodule(slot).to(device=main, dtype=dtype)
    _check_vocabulary(model)
    model.model_id, model.folder = source.id, source.path
    model.tokenizer.model_id = tokenizer.name
    if config.tokenizer is not None:  # checked above; an aligner may be bound to it
        model.tokenizer.model_hash = config.tokenizer.sha256
    return model.eval()


def _fetch_rest(config: UniAudioConfig, name_or_path: str | Path, files: Sequence[str]) -> None:
    """Which files a word model, a speech decoder and a recogniser have is known once the config is:
    fetch them from a hub too."""
    wanted: list[str] = []
    if config.recognition.word_model is not None:
        wanted += get_host().resolve("word_model", config.recognition.word_model.name).files
    if config.speech_decoder is not None:
        folder = f"{PARTS_FOLDER}/speech_decoder/{config.speech_decoder.name}"
        wanted += [f"{folder}/{name}" for name in (CONFIG_NAME, WEIGHTS_NAME)]
    if config.recognition.recognizer is not None:
        name = config.recognition.recognizer.name
        own = getattr(get_host().resolve("recognizer", name), "files", ())
        folder = f"{PARTS_FOLDER}/recognizer/{name}"
        wanted += [f"{folder}/{file}" for file in (CONFIG_NAME, WEIGHTS_NAME, *own)]
    if wanted:
        files = (*files, *(f"{name}?" for name in wanted))
        resolve(name_or_path, kind="model", builtin=shipped_weights, files=files)


def _fill(  # noqa: PLR0917
    model: SpeechLM,
    tensors: Iterator[tuple[str, Tensor]],
    placer: Placer,
    zeros: list[Place],
    given: list[str],
    main: torch.device,
    dtype: torch.dtype | None,
    room: Room,
) -> None:
    """Read the weights into place: each copied once, then put away or quantised."""
    if room.device_map is None and (room.max_memory is not None or room.offload_folder is not None):
        raise UserError("memory limits and an offload folder need a device map: --device-map auto")
    if "backbone" in given and (room.quantize is not None or room.device_map is not None):
        raise UserError("a backbone that is replaced is neither quantised nor spread over devices")
    quantizer = None if room.quantize is None else Quantizer(model, room.quantize)
    placement = None
    if room.device_map is not None:
        placement = Placement(
            model,
            room.device_map,
            room.max_memory,
            main,
            dtype or torch.float32,
            room.offload_folder,
        )
        if placement.offloads and quantizer is not None:
            raise UserError(
                "quantised weights cannot be offloaded: leave out --quantize, or give the model "
                "more memory"
            )
    keep = None if placement is None else placement.keep
    fill(
        model,
        tensors,
        placer,
        zeros=zeros,
        given=given,
        dtype=dtype,
        device=main if placement is None else placement.device_of,
        whole=keep if quantizer is None else quantizer,
        empty=Columns(model) if quantizer is None else None,
    )
    if placement is not None:
        placement.dispatch(model)


def read_source(
    source: ResolvedSource, encoder_layers: EncoderLayers = "all"
) -> tuple[UniAudioConfig, MingTokConfig, Iterator[tuple[str, Tensor]], Placer, list[Place]]:
    """Configs, tensors, where they go, and rows that no tensor holds."""
    path = source.path / "config.json"
    data = load_json(path)
    if not isinstance(data, Mapping):
        raise ConfigError(f"{path}: expected an object, got {type(data).__name__}")
    if is_omni(data):
        return _read_omni(source, data, encoder_layers)
    if is_published(data):
        shapes = {
            name: info.shape
            for infos in tensor_headers(source.path).values()
            for name, info in infos.items()
        }
        config, tokenizer = published_config(completed(data, shapes), source.id)
        zeros = tokenizer_zeros(tokenizer)
        return (
            config,
            tokenizer,
            read_tensors(source.path),
            lambda name: model_place(name, config, tokenizer),
            zeros,
        )
    if "slot" in data:
        raise ConfigError(
            f"{path}: this is a component for slot {data['slot']!r}, not a model: pass it to the "
            "option that takes that slot"
        )
    if data.get("model_type") == "mingtok" or "enc_kwargs" in data:
        raise ConfigError(f"{path}: this is a speech tokenizer, not a language model")
    if is_text_llm(data):
        raise ConfigError(
            f"{path}: this is a text language model ({data['model_type']}), which neither "
            "recognises nor speaks: train a speech model from it (`init` beside `model` in a "
            "training config)"
        )
    config = parse_config(data, where=str(path))
    folder = source.path / TOKENIZER_FOLDER
    if not folder.is_dir():
        pinned = config.tokenizer
        if pinned is None:
            raise ConfigError(
                f"{source.path} has no folder {TOKENIZER_FOLDER}/, and its config.json names no "
                "tokenizer"
            )
        folder = resolve(pinned.id, kind="tokenizer", builtin=shipped_tokenizer).path
        _check_pin(pinned, folder, source.id)
    elif config.tokenizer is not None:
        _check_pin(config.tokenizer, folder, source.id)
    tokenizer, layout_published = read_tokenizer_config(folder, folder.name)
    if layout_published:
        raise ConfigError(f"{folder}: convert this tokenizer first (mingtok convert)")

    def tensors() -> Iterator[tuple[str, Tensor]]:
        yield from read_tensors(source.path)
        for name, tensor in read_tensors(folder):
            yield f"tokenizer.{name}", tensor

    return config, tokenizer, tensors(), Place, []


def _read_omni(
    source: ResolvedSource, data: Mapping[str, Any], encoder_layers: EncoderLayers
) -> tuple[UniAudioConfig, MingTokConfig, Iterator[tuple[str, Tensor]], Placer, list[Place]]:
    config, tokenizer = omni_config(data, source.id, encoder_layers)
    layers = data["audio_tokenizer_config"]["enc_kwargs"]["backbone"]["num_hidden_layers"]
    if layers > AGGREGATOR_LAYERS:
        report_encoder_layers(tokenizer, layers)

    def place(name: str) -> Place | None:
        if is_dropped_layer(name.removeprefix(PART_OF_MODEL), tokenizer, layers):
            return None
        return omni_place(name, config, tokenizer)

    return config, tokenizer, read_tensors(source.path), place, []


def _check_pin(pinned: PinnedModel, folder: Path, model: str) -> None:
    found = sha256_of_weights(folder)
    if found != pinned.sha256:
        raise ConfigError(
            f"model {model} was trained with the tokenizer {pinned.id} (sha256 "
            f"{pinned.sha256[:12]}…), and {folder} has {found[:12]}…: its features would be wrong; "
            "use the matching one"
        )


def tokenizer_zeros(tokenizer: MingTokConfig) -> list[Place]:
    """Rows that the published tokenizer leaves out; see `mingtok_audio.models.reference`."""
    return [
        Place(f"tokenizer.{rows.name}", rows.start, rows.stop)
        for rows in implied_zero_rows(tokenizer).values()
    ]


def _part_files(parts: Mapping[str, str | Path]) -> list[str]:
    """What a hub repository may hold of the parts that are asked for by name."""
    named = [(slot, part) for slot, part in parts.items() if part in _host_of(slot).names(slot)]
    return [
        f"{PARTS_FOLDER}/{slot}/{name}/{file}?"
        for slot, name in named
        for file in (CONFIG_NAME, WEIGHTS_NAME)
    ]


def _replace_parts(
    config: UniAudioConfig, parts: Mapping[str, str | Path], folder: Path
) -> tuple[UniAudioConfig, dict[str, nn.Module]]:
    """The config with other parts, and those that bring their own weights."""
    components: dict[str, nn.Module] = {}
    changes: dict[str, Any] = {}
    expected = {} if config.tokenizer is None else {"tokenizer": config.tokenizer}
    for slot, given in parts.items():
        host, part = _host_of(slot), given
        if isinstance(part, str) and part in host.names(slot):
            old, own = getattr(config, slot), folder / PARTS_FOLDER / slot / part
            if part == old.name:
                continue
            if not (own / CONFIG_NAME).is_file():
                changes[slot] = PartConfig(part, _kept_options(host, slot, part, old))
                continue
            part = own
        source = resolve(part, kind=f"{slot} component", weights=False, known=host.names(slot))
        found = read_component_config(source.path)
        if "backbone" in found.trained_with and "backbone" not in expected:
            # Its numbers are hashed only where a component asks: that reads all of them.
            expected["backbone"] = backbone_pin(folder, config.name)
        components[slot] = load_component(host, slot, source.path, expected=expected)
        changes[slot] = PartConfig(found.name, dict(found.options))
    _own_speech_decoder(config, folder, components)
    if "backbone" in changes:  # other heads
        changes["recognition"] = dataclasses.replace(config.recognition, coverage=None)
    return dataclasses.replace(config, **changes), components


def _own_speech_decoder(
    config: UniAudioConfig, folder: Path, components: dict[str, nn.Module]
) -> None:
    """A speech decoder travels as a part of the folder, beside the model's own weights."""
    part = config.speech_decoder
    if part is None:
        return
    own = folder / PARTS_FOLDER / "speech_decoder" / part.name
    if (own / CONFIG_NAME).is_file():
        expected = {} if config.tokenizer is None else {"tokenizer": config.tokenizer}
        components["speech_decoder"] = load_component(
            get_host(), "speech_decoder", own, expected=expected
        )


def _kept_options(host: PluginHost, slot: str, name: str, old: PartConfig) -> dict[str, Any]:
    """Options of the old part that the class of another one in its slot says it shares."""
    shared = getattr(host.resolve(slot, name), "shared_options", ())
    return {k: v for k, v in old.options.items() if k in shared}


def _host_of(slot: str) -> PluginHost:
    return tokenizer_host() if slot == "compressor" else get_host()


def _place_components(
    model: SpeechLM,
    before: SpeechLM,
    components: Mapping[str, nn.Module],
    parts: Mapping[str, str | Path],
    folder: Path,
) -> list[str]:
    """Put parts with weights of their own in place. Returns the prefixes whose weights the model's
    files are not asked for."""
    given = []
    for slot in {**parts, **components}:
        built = model.get_submodule(slot)
        component = components.get(slot)
        if component is not None:
            if _shapes(component) != _shapes(built):
                raise PluginError(
                    f"the {slot} that was given does not fit this model: "
                    f"{_difference(component, built)}"
                )
            setattr(model, slot, component)
            given.append(slot)
        elif _shapes(before.get_submodule(slot)) != _shapes(built):
            # A plugin by name has no weights; the old part's fit only one of the same shapes.
            _materialize(built)
            given.append(slot)
            if next(built.parameters(), None) is not None:
                own = (folder / PARTS_FOLDER / slot).glob("*/config.json")
                there = ", ".join(sorted(path.parent.name for path in own))
                logger.warning(
                    "the %s '%s' has random weights: train it%s",
                    slot,
                    parts[slot],
                    f", or take what comes with this model: {there}" if there else "",
                )
    if "compressor" in given:
        given.append("adapter")
        if next(model.adapter.parameters(), None) is not None:
            _materialize(model.adapter)
            logger.warning("the adapter after the compressor has random weights: train it")
    return given


def _shapes(module: nn.Module) -> dict[str, tuple[int, ...]]:
    sizes: dict[str, Any] = {name: tuple(p.shape) for name, p in module.named_parameters()}
    for name in ("cond_dim", "latent_dim", "patch_size", "in_dim", "out_dim", "dim"):
        value = getattr(module, name, None)
        if isinstance(value, int):
            sizes[name] = (value,)
    return sizes


def _difference(component: nn.Module, built: nn.Module) -> str:
    ours, theirs = _shapes(built), _shapes(component)
    for name in ("cond_dim", "latent_dim", "patch_size", "in_dim", "out_dim", "dim", *ours):
        if name in ours and ours[name] != theirs.get(name):
            there = theirs.get(name)
            shown = "missing" if there is None else list(there)
            return f"its {name} is {shown}, the model needs {list(ours[name])}"
    return "it has parameters that the model has no place for"


def _materialize(module: nn.Module) -> None:
    """Random weights for a part made on the meta device: initialised by its own constructors."""
    options = getattr(module, "component_options", None)
    if options is not None:
        fresh = type(module)(**options)
    elif isinstance(module, nn.Linear):
        fresh = nn.Linear(module.in_features, module.out_features)
    else:
        raise PluginError(f"{type(module).__name__} cannot be built again without its options")
    for name, parameter in fresh.named_parameters():
        owner, _, leaf = name.rpartition(".")
        module.get_submodule(owner).register_parameter(leaf, nn.Parameter(parameter.detach()))


def _check_vocabulary(model: SpeechLM) -> None:
    if model.text is not None and model.text.vocab_size > model.backbone.vocab_size:
        raise ConfigError(
            f"the text tokenizer has {model.text.vocab_size} tokens, the backbone embeds "
            f"{model.backbone.vocab_size}: {TOKENIZER_NAME} belongs to another model"
        )
