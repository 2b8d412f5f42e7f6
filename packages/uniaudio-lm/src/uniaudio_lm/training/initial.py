"""Where a run starts: a fresh model around a trained tokenizer (and around a text language model),
or trained weights."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from mingtok_audio.core.config import load_json
from mingtok_audio.core.errors import ConfigError, UserError
from mingtok_audio.core.models.hub import CONFIG_NAME, resolve
from mingtok_audio.models.mingtok import MingTok
from mingtok_audio.training.initial import start_from, with_semantic
from mingtok_audio.training.manifests import Source
from mingtok_audio.weights import shipped_weights as shipped_tokenizer
from uniaudio_lm.checkpoint.load import Room, load_model
from uniaudio_lm.checkpoint.read import TOKENIZER_FOLDER
from uniaudio_lm.checkpoint.save import save_model
from uniaudio_lm.checkpoint.text_llm import TextLlm, read_text_llm
from uniaudio_lm.config import PartConfig, UniAudioConfig
from uniaudio_lm.model import prompts
from uniaudio_lm.model.speech_lm import PART_SLOTS, SpeechLM
from uniaudio_lm.plugins import get_host
from uniaudio_lm.text.phonemes import written
from uniaudio_lm.text.tokenizer import TOKENIZER_NAME, TextTokenizer
from uniaudio_lm.training.settings import FreshModel, JointConfig
from uniaudio_lm.training.store import LatentStore, store_of
from uniaudio_lm.training.utterances import Utterance, read_utterances

SPECIALS = (
    prompts.END_OF_TEXT,
    "<role>",
    "</role>",
    "<audio>",
    "<audioPatch>",
    "</audio>",
    "<prompt>",
    "</prompt>",
    "<answer>",
    "</answer>",
    prompts.GENERATE_AUDIO,
    "[MASK]",
)
"""Tokens of the prompts, and the mark of an edited region (paper, section 6.1): one token each."""
# Said in every prompt: one token each.
PHRASES = (
    prompts.RECOGNIZE,
    prompts.HOTWORDS,
    prompts.SPEAK,
    prompts.HUMAN,
    prompts.ASSISTANT,
)
ATTEMPTS = 3
"""Takes of a piece of speech that a fresh model's config asks for."""
_PIECES = 500  # of a learned text tokenizer
_MEASURED = 400  # recordings whose latents give mean and deviation


def start_model(config: JointConfig) -> SpeechLM:
    """The model that a run begins with.

    Raises:
        UserError: in one line, what is missing or does not fit.
    """
    if config.model is not None:
        model = fresh_model(config.model, config)
    else:
        assert config.init is not None
        for slot in config.parts:
            if slot not in PART_SLOTS:
                raise ConfigError(f"parts.{slot}: no such slot: {', '.join(PART_SLOTS)}")
        parts: dict[str, Any] = {k: v for k, v in config.parts.items() if isinstance(v, str)}
        llm = None
        if "backbone" in parts and _names_text_llm(parts["backbone"]):
            llm = read_text_llm(parts.pop("backbone")).extended(SPECIALS)
        model = load_model(config.init, Room(dtype=config.init_dtype), parts)
        if config.init_dtype != "float32":
            _widen_tokenizer(model)
        if llm is not None:
            model = with_text_llm(model, llm, config.trainer.seed)
        for slot, part in config.parts.items():
            if isinstance(part, PartConfig):
                model = with_part(model, slot, part)
    if config.head_init is not None:
        take_head(model, config.head_init)
    return model.train()


def _names_text_llm(part: str) -> bool:
    """Whether a backbone is a text language model rather than a plugin or a component."""
    names = get_host().names("backbone")
    if part in names:
        return False
    found = resolve(part, kind="backbone", files=(f"{TOKENIZER_NAME}?",), known=names)
    config = found.path / CONFIG_NAME
    data = load_json(config) if config.is_file() else None
    return isinstance(data, Mapping) and "slot" not in data


def with_text_llm(model: SpeechLM, llm: TextLlm, seed: int) -> SpeechLM:
    """The model with a text language model as backbone, and its text tokenizer.

    Raises:
        ConfigError: it has another width than the other parts.
    """
    backbone = llm.load(seed)
    if backbone.dim != model.dim:
        raise ConfigError(
            f"parts.backbone: its width is {backbone.dim}, the model's {model.dim}: give it as "
            "`init` with a `model` around it"
        )
    recognition = replace(model.config.recognition, coverage=None)  # other attention heads
    config = replace(model.config, backbone=llm.backbone, recognition=recognition)
    made = SpeechLM(config, model.tokenizer.config, llm.text, backbone=backbone)
    for name, child in model.named_children():
        if name != "backbone":
            setattr(made, name, child)
    made.model_id, made.folder = model.model_id, model.folder
    return made


def _widen_tokenizer(model: SpeechLM) -> None:
    """Read the tokenizer of a model that was loaded in bfloat16 again, in float32."""
    assert model.folder is not None
    folder, pinned = model.folder / TOKENIZER_FOLDER, model.config.tokenizer
    if not folder.is_dir():  # the published layout holds it inside
        folder = (
            model.folder
            if pinned is None
            else resolve(pinned.id, kind="tokenizer", builtin=shipped_tokenizer).path
        )
    model.tokenizer.float()
    model.tokenizer.load_state_dict(MingTok.from_pretrained(folder).state_dict())


def with_part(model: SpeechLM, slot: str, part: PartConfig) -> SpeechLM:
    """The model with a part of random weights in a slot; a new compressor has a new adapter.

    Raises:
        ConfigError: a backbone of another width than the other parts.
    """
    made = SpeechLM(
        replace(model.config, **{slot: part}),  # type: ignore[arg-type]
        model.tokenizer.config,
        model.text,
    )
    if made.dim != model.dim:
        raise ConfigError(f"parts.{slot}: its width is {made.dim}, the model's {model.dim}")
    new = {slot, "adapter"} if slot == "compressor" else {slot}
    for name, child in model.named_children():
        if name not in new:
            setattr(made, name, child)
    made.model_id, made.folder = model.model_id, model.folder
    return made


def take_head(model: SpeechLM, folder: str) -> None:
    """The generation head of another model (paper, table 5).

    Raises:
        ConfigError: it has other shapes.
    """
    other = load_model(folder)
    try:
        model.generation_head.load_state_dict(other.generation_head.state_dict())
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:160]
        raise ConfigError(
            f"head_init: the generation head of {folder} does not fit ({reason})"
        ) from error


def fresh_model(plan: FreshModel, config: JointConfig) -> SpeechLM:
    """Random weights around the tokenizer; its text tokenizer and units come from the data, or the
    backbone and the text tokenizer from a text language model."""
    pretrained = plan.backbone if isinstance(plan.backbone, str) else config.init
    llm = None if pretrained is None else read_text_llm(pretrained)
    tokenizer = with_semantic(start_from(plan.tokenizer, None), plan.semantic, None, None).eval()
    if plan.audio_input == "unified" and tokenizer.semantic is None:
        raise ConfigError(
            f"tokenizer {plan.tokenizer!r} has no semantic module: train it past the first stage, "
            "or set model.audio_input: latent"
        )
    data = config.data
    sources: list[Source] = [*data.understanding.train, *data.generation.train]
    longest = max(data.understanding.longest, data.generation.longest)
    items, _ = read_utterances(sources, longest)
    symbols: Sequence[str] = ()
    if data.generation.text == "phonemes":
        symbols = sorted({s for item in items for s in item.phonemes if len(s.strip("_ "))})
    elif plan.phonemizer is not None:
        made = get_host().create("phonemizer", plan.phonemizer.name, **plan.phonemizer.options)
        symbols = list(made.symbols)
    if llm is not None:
        llm = llm.extended(SPECIALS, [written([symbol]) for symbol in symbols])
        text = llm.text
    elif plan.text_tokenizer is not None:
        text = TextTokenizer.from_file(plan.text_tokenizer)
    else:
        pieces = _PIECES if plan.text_pieces is None else plan.text_pieces
        texts = (text for item in items for text in (item.text, item.question, item.answer) if text)
        text = learn_tokenizer(texts, pieces, symbols)
    torch.manual_seed(config.trainer.seed)
    mean, std = (None, None)
    if plan.normalize_latents:
        store = store_of(data.latents.only("generation"), tokenizer, plan.latent_dims)
        mean, std = (values[: plan.latent_dims] for values in measure(store, items))
    if llm is not None:
        part = llm.backbone
    else:
        assert isinstance(plan.backbone, PartConfig)
        part = with_vocabulary(plan.backbone, text.vocab_size)
    made_config = UniAudioConfig(
        backbone=part,
        generation_head=plan.generation_head,
        stop_detector=plan.stop_detector,
        compressor=plan.compressor,
        patch_size=plan.patch_size,
        audio_input=plan.audio_input,
        phonemizer=plan.phonemizer,
        latent_dims=plan.latent_dims,
        latent_mean=mean,
        latent_std=std,
        sampling=plan.sampling,
        attempts=ATTEMPTS,
        name=plan.name,
    )
    backbone = None if llm is None else llm.load(config.trainer.seed)
    model = SpeechLM(made_config, tokenizer.config, text, backbone=backbone)
    model.tokenizer.load_state_dict(tokenizer.state_dict())
    model.tokenizer.model_id = tokenizer.model_id
    if llm is None:
        init_backbone(model.backbone)
    return model


def with_vocabulary(backbone: PartConfig, size: int) -> PartConfig:
    """The backbone's options with a vocabulary of `size`."""
    found = get_host().resolve("backbone", backbone.name)
    return replace(backbone, options=found.with_vocabulary(backbone.options, size))


def init_backbone(backbone: nn.Module) -> None:
    """Small embeddings, and small outputs of every block: a residual stream near its input.

    Leaves models of transformers as that library initialises them.
    """
    blocks = getattr(backbone, "blocks", None)
    embeddings = getattr(backbone, "embeddings", None)
    if blocks is None or embeddings is None:
        return
    nn.init.normal_(embeddings.weight, std=0.02)
    for name, parameter in blocks.named_parameters():
        if parameter.ndim == 2 and "router" not in name:
            depth = (
                math.sqrt(2 * len(blocks)) if name.endswith(("out.weight", "down.weight")) else 1
            )
            nn.init.normal_(parameter, std=parameter.shape[1] ** -0.5 / (2 * depth))


def measure(store: LatentStore, items: Sequence[Utterance]) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of samples of the posterior, per latent dimension."""
    stride = max(1, len(items) // _MEASURED)
    count, total, squares = 0, np.zeros(1), np.zeros(1)
    for item in items[::stride]:
        found = store.get(item.recording)
        if found is None:
            continue
        mean, std = found.astype(np.float64)
        count += len(mean)
        total = total + mean.sum(axis=0)
        squares = squares + (mean**2 + std**2).sum(axis=0)
    if not count:
        raise UserError("none of the training recordings can be read: check the manifests")
    average = total / count
    deviation = np.sqrt(np.maximum(squares / count - average**2, 1e-8))
    return [round(float(v), 6) for v in average], [round(float(v), 6) for v in deviation]


def learn_tokenizer(
    texts: Iterable[str], pieces: int, phonemes: Sequence[str] = ()
) -> TextTokenizer:
    """A byte-level BPE tokenizer with `pieces` learned pieces, phonemes and prompt phrases as
    tokens of their own, and the special tokens of the prompts."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=len(SPECIALS) + len(alphabet) + pieces,
        special_tokens=list(SPECIALS),
        initial_alphabet=alphabet,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    extra = [*PHRASES, *(written([symbol]) for symbol in phonemes)]
    tokenizer.add_tokens([AddedToken(text, normalized=False, special=False) for text in extra])
    return TextTokenizer(tokenizer)


def init_folder(config: JointConfig, folder: str | Path) -> Path:
    """Write the model that a run would begin with."""
    return save_model(start_model(config).eval(), Path(folder))
