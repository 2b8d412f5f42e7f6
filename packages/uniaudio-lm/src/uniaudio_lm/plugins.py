"""The language model's plugin host and its built-in components."""

from __future__ import annotations

from functools import cache

from mingtok_audio.core.plugins import ComponentSpec, PluginHost, SlotDef
from uniaudio_lm.hookspecs import hookimpl

_INTERFACES = "uniaudio_lm.interfaces"
_KITS = "uniaudio_lm.conformance"
SLOTS = {
    "backbone": SlotDef(
        f"{_INTERFACES}:Backbone", 1, f"{_KITS}:check_backbone", "the causal language model"
    ),
    "generation_head": SlotDef(
        f"{_INTERFACES}:GenerationHead",
        1,
        f"{_KITS}:check_generation_head",
        "hidden states to audio patches",
    ),
    "speech_decoder": SlotDef(
        f"{_INTERFACES}:SpeechDecoder",
        1,
        f"{_KITS}:check_speech_decoder",
        "generated latents to sound",
    ),
    "stop_detector": SlotDef(
        f"{_INTERFACES}:StopDetector",
        1,
        f"{_KITS}:check_stop_detector",
        "when speech ends, and why",
    ),
    "text_normalizer": SlotDef(
        f"{_INTERFACES}:TextNormalizer",
        1,
        f"{_KITS}:check_text_normalizer",
        "written text to spoken words",
    ),
    "aligner": SlotDef(f"{_INTERFACES}:Aligner", 1, f"{_KITS}:check_aligner", "words with times"),
    "recognizer": SlotDef(
        f"{_INTERFACES}:Recognizer",
        1,
        f"{_KITS}:check_recognizer",
        "segments of speech to text, in the language model's place",
    ),
    "phonemizer": SlotDef(
        f"{_INTERFACES}:Phonemizer", 1, f"{_KITS}:check_phonemizer", "words to phonemes"
    ),
    "watermark": SlotDef(
        "uniaudio_lm.watermarking:Watermark",
        1,
        f"{_KITS}:check_watermark",
        "an inaudible mark in synthetic speech",
    ),
    "word_model": SlotDef(
        f"{_INTERFACES}:WordModel", 1, f"{_KITS}:check_word_model", "scores words in recognition"
    ),
}


_BUILTINS = (
    (
        "backbone",
        "bailing_moe",
        "parts.backbones.bailing_moe:BailingMoe",
        "the published mixture of experts with a router for each kind of token",
    ),
    (
        "backbone",
        "hf_causal_lm",
        "parts.backbones.hf_causal_lm:HfCausalLm",
        "any causal language model of transformers, built from its config",
    ),
    (
        "backbone",
        "dense",
        "parts.backbones.dense:DenseTransformer",
        "a small dense transformer: the nano's",
    ),
    (
        "generation_head",
        "dit",
        "parts.heads.dit:DitHead",
        "flow matching with a small transformer: the published checkpoints' head",
    ),
    (
        "generation_head",
        "mlp",
        "parts.heads.mlp:MlpHead",
        "flow matching with residual blocks over the flat patch: faster",
    ),
    (
        "speech_decoder",
        "described",
        "parts.speech_decoders.described:DescribedDecoder",
        "reads the latents that are generated, and no others: the nano's",
    ),
    (
        "stop_detector",
        "linear",
        "parts.stop.linear:LinearStop",
        "a linear layer and a threshold: the published rule",
    ),
    (
        "stop_detector",
        "guarded",
        "parts.stop.guarded:GuardedStop",
        "the linear layer, with bounds from the text, silence and loop detection",
    ),
    (
        "text_normalizer",
        "rules",
        "parts.normalizers.rules:RulesNormalizer",
        "numbers, dates, money, units and signs in English and Chinese",
    ),
    (
        "text_normalizer",
        "wetext",
        "parts.normalizers.wetext:WeTextNormalizer",
        "the grammars of WeTextProcessing (extra: wetext)",
    ),
    (
        "aligner",
        "ctc",
        "parts.aligners.ctc:CtcAligner",
        "phonemes from the tokenizer's frames, placed by a Viterbi search",
    ),
    (
        "recognizer",
        "reader",
        "parts.recognizers.reader:ReaderRecognizer",
        "an encoder-decoder that reads the tokenizer's latents: the nano's",
    ),
    (
        "recognizer",
        "whisper",
        "parts.recognizers.whisper:WhisperRecognizer",
        "a Whisper model by faster-whisper (extra: whisper); whisper:FOLDER_OR_ID names it",
    ),
    (
        "phonemizer",
        "english",
        "parts.phonemizers.english:EnglishPhonemizer",
        "ARPABET from CMUdict, and a small network for other words",
    ),
    (
        "phonemizer",
        "mandarin",
        "parts.phonemizers.mandarin:MandarinPhonemizer",
        "pinyin initials and finals with tones (extra: zh)",
    ),
    (
        "watermark",
        "spectral",
        "parts.watermarks.spectral:SpectralWatermark",
        "a keyed pattern of small gains in time and frequency; needs no weights",
    ),
    (
        "word_model",
        "bigram",
        "parts.word_models.bigram:BigramModel",
        "a back-off bigram model of words: the nano's",
    ),
)


@hookimpl
def register_components() -> list[ComponentSpec]:
    """The components of this package."""
    return [
        ComponentSpec(slot, name, f"uniaudio_lm.{target}", summary=summary)
        for slot, name, target, summary in _BUILTINS
    ]


def make_host() -> PluginHost:
    """A fresh host (plugins are looked up again); most callers want `get_host`."""
    return PluginHost(
        namespace="uniaudio_lm",
        slots=SLOTS,
        hookspecs="uniaudio_lm.hookspecs",
        builtins=("uniaudio_lm.plugins",),
        distribution="uniaudio-lm",
    )


@cache
def get_host() -> PluginHost:
    """The process's host; installed plugins are loaded when it is first asked for something."""
    return make_host()
