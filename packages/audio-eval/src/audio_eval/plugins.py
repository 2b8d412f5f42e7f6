"""The evaluator's plugin host and its built-in metrics, judges and systems."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, cast

from audio_eval.hookspecs import hookimpl
from mingtok_audio.core.plugins import ComponentSpec, PluginHost, SlotDef

if TYPE_CHECKING:
    from audio_eval.interfaces import Judge, Metric, System

_KIT = "audio_eval.conformance"
SLOTS = {
    "metric": SlotDef(
        "audio_eval.interfaces:Metric", 1, f"{_KIT}:check_metric", "a number per item"
    ),
    "judge": SlotDef(
        "audio_eval.interfaces:Judge", 1, f"{_KIT}:check_judge", "a model that judges a recording"
    ),
    "system": SlotDef(
        "audio_eval.interfaces:System", 1, f"{_KIT}:check_system", "makes outputs of suite items"
    ),
}

_METRICS = {
    "wer": ("text:WordErrorRate", "word error rate of what the output says"),
    "cer": ("text:CharacterErrorRate", "character error rate of what the output says"),
    "ref_wer": ("text:ReferenceWordErrorRate", "the same judge's error rate on the reference"),
    "acc": ("edit_text:EditAccuracy", "share of outputs whose every edited span is right"),
    "no_edit_wer": ("edit_text:NoEditWordErrorRate", "word error rate outside the edited spans"),
    "edit_success": (
        "edit_bench:EditSuccess",
        "share of edits whose named words are said as asked",
    ),
    "exact_match": ("edit_bench:ExactMatch", "share of outputs that say exactly the edited text"),
    "context_wer": ("entities:ContextWordErrorRate", "error rate by ContextASR-Bench's rules"),
    "ne_wer": ("entities:EntityWordErrorRate", "error rate over named entities"),
    "ne_fnr": ("entities:EntityMissRate", "share of named entities that are missed"),
    "sim": ("speaker:SpeakerSimilarity", "cosine of speaker embeddings"),
    "pesq": ("intrusive:Pesq", "PESQ, wide-band (ITU-T P.862.2)"),
    "stoi": ("intrusive:Stoi", "short-time objective intelligibility"),
    "mel_distance": ("intrusive:MelDistance", "mean absolute log-mel difference"),
    "dnsmos": ("mos:Dnsmos", "DNSMOS P.835, overall"),
    "dnsmos_sig": ("mos:DnsmosSignal", "DNSMOS P.835, signal"),
    "dnsmos_bak": ("mos:DnsmosBackground", "DNSMOS P.835, background"),
    "distillmos": ("mos:DistillMos", "DistillMOS"),
    "rde": ("acoustic:RelativeDurationError", "relative duration error of speed edits"),
    "rae": ("acoustic:RelativeAmplitudeError", "relative amplitude error of volume edits"),
    "pitch_error": ("acoustic:PitchError", "error of pitch edits in semitones"),
    "duration": ("acoustic:Duration", "seconds of the output"),
    "rtf": ("acoustic:RealTimeFactor", "wall seconds per second of output"),
    "preservation": ("locality:Preservation", "share of samples outside the edit left as is"),
    "outside_lsd": ("locality:OutsideDistance", "log-spectral distance outside the edit"),
    "boundary_click": ("locality:BoundaryClick", "jump at the edges of the edit"),
    "receipt": ("receipt:ReceiptCheck", "share of outputs whose edit receipt is true"),
    "emotion_acc": ("labels:EmotionAccuracy", "share of outputs that the judge labels as asked"),
    "dialect_acc": ("labels:DialectAccuracy", "share of outputs that the judge labels as asked"),
}
_JUDGES = {
    "whisper_ct2": ("whisper_ct2:WhisperFolder", "Whisper, a CTranslate2 folder"),
    "whisper": ("whisper_hub:WhisperHub", "Whisper by hub id"),
    "paraformer": ("paraformer:Paraformer", "Paraformer-zh through funasr"),
    "wavlm_sv": ("wavlm_sv:WavLMSpeaker", "WavLM speaker verification through transformers"),
    "wavlm_ecapa": ("wavlm_ecapa:WavLMEcapa", "WavLM-large with ECAPA-TDNN: SIM of seed-tts-eval"),
    "resemblyzer": ("resemblyzer:Resemblyzer", "GE2E speaker encoder with its weights inside"),
    "dnsmos": ("dnsmos:Dnsmos", "DNSMOS P.835 of the speechmos package"),
    "distillmos": ("distillmos:DistillMos", "DistillMOS with its weights inside"),
    "audio_labels": ("audio_labels:AudioLabels", "an audio-classification model by hub id"),
    "label_files": ("label_files:LabelFiles", "labels from a table (human or external judge)"),
}
_SYSTEMS = {
    "folder": ("FolderSystem", "a folder of results"),
    "command": ("CommandSystem", "a command line run once per item"),
    "python": ("CallableSystem", "a Python function"),
}


@hookimpl
def register_components() -> list[ComponentSpec]:
    """The metrics, judges and systems of this package."""
    metrics = [
        ComponentSpec("metric", name, f"audio_eval.metrics.{target}", summary=summary)
        for name, (target, summary) in _METRICS.items()
    ]
    judges = [
        ComponentSpec("judge", name, f"audio_eval.judges.{target}", summary=summary)
        for name, (target, summary) in _JUDGES.items()
    ]
    systems = [
        ComponentSpec("system", name, f"audio_eval.scoring.systems:{target}", summary=summary)
        for name, (target, summary) in _SYSTEMS.items()
    ]
    return metrics + judges + systems


def make_host() -> PluginHost:
    """A fresh host (plugins are looked up again); most callers want `get_host`."""
    return PluginHost(
        namespace="audio_eval",
        slots=SLOTS,
        hookspecs="audio_eval.hookspecs",
        builtins=("audio_eval.plugins",),
        distribution="audio-eval",
    )


@cache
def get_host() -> PluginHost:
    """The process's host; installed plugins are loaded when it is first asked for something."""
    return make_host()


def create_metric(name: str, **options: Any) -> Metric:
    """A metric by name, for example ``create_metric("pesq")``.

    Raises:
        PluginError: no such metric, broken, or options it does not take.
    """
    return cast("Metric", get_host().create("metric", name, **options))


def create_judge(name: str, **options: Any) -> Judge:
    """A judge by name, for example ``create_judge("whisper_ct2", path="whisper-base")``."""
    return cast("Judge", get_host().create("judge", name, **options))


def create_system(name: str, **options: Any) -> System:
    """A system by name, for example ``create_system("folder", path="outputs")``."""
    return cast("System", get_host().create("system", name, **options))
