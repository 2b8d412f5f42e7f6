"""What a metric, a judge and a system are, and what passes between them.

Everything a third party implements or reads is here: numpy and the standard library only.

The rule of these types: a number never goes missing and a denominator never shrinks
unseen. One metric on one item ends in exactly one of four ways (``Status``), and the summary
counts all four:

=============  ==================================================================================
``ok``         the metric was computed
``failed``     the system delivered nothing usable (no file, unreadable, empty): the item counts
               with the metric's ``failure_value``
``unavailable``  we could not compute it (a package, a judge or the item's text is missing):
               the reason is kept, and a summary with such items is marked ``partial``
``skipped``    the metric does not apply to this kind of item (pitch error of a speed edit):
               decided from the item alone, never from the system's output
=============  ==================================================================================
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

if TYPE_CHECKING:
    import numpy as np

Status = Literal["ok", "failed", "unavailable", "skipped"]

#: Version of the three slots' interfaces, checked by the plugin host.
API_VERSION = 1


class JudgeUnavailableError(Exception):
    """A judge cannot run here; the message says why and what to install or give."""


class ItemFailedError(Exception):
    """The system's output for this item is unusable; the message says why."""


class MetricUnavailableError(Exception):
    """A metric cannot be computed for this item for a reason that is not the system's fault."""


@dataclass(frozen=True)
class ComponentInfo:
    """Metadata of a metric, judge or system: what it needs, and how to read its number.

    Args:
        name: the name users type.
        version: raised whenever the numbers may change; part of every cache key.
        summary: one line.
        needs_reference: compares with ``Item.reference`` (or ``source``, see ``needs_source``).
        needs_source: compares with ``Item.source`` (edits, voice prompts).
        needs_text: reads ``Item.text``.
        needs_model: loads weights that do not come with this package.
        needs_gpu: impractical without an accelerator.
        judges: roles that the metric asks the context for (``asr``, ``speaker``, ``mos``, ...).
        extra: extra of audio-eval that installs what it imports, "" where the base suffices.
        unit: of the value as printed (``%``, ``dB``, ``s``, ``semitones``, ``""``).
        higher_is_better: None where neither is.
        failure_value: what an unusable output counts as; None where no bound exists (then the
            summary's value covers the scored items only, and says how many failed).
    """

    name: str
    version: str = "1"
    summary: str = ""
    needs_reference: bool = False
    needs_source: bool = False
    needs_text: bool = False
    needs_model: bool = False
    needs_gpu: bool = False
    judges: tuple[str, ...] = ()
    extra: str = ""
    unit: str = ""
    higher_is_better: bool | None = None
    failure_value: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """As a JSON object."""
        return {**dataclasses.asdict(self), "judges": list(self.judges)}


@dataclass(frozen=True)
class Item:
    """One thing to score. Every path is absolute or relative to the working directory.

    Args:
        id: unique within a manifest; hypothesis files are found by it (``HYPS/<id>.wav``).
        audio: the system's output; None or a file that is not there counts as failed.
        reference: the recording that the output should equal (reconstruction, ground truth).
        source: the recording that was edited, or the voice prompt of a synthesis.
        text: what the output should say (of an edit: the edited text).
        original_text: what ``source`` says (edits).
        hypothesis: a transcript delivered by the system, or already recognised; None: the
            ASR judge reads ``audio``. An empty string is an answer (an empty one).
        instruction: of an edit, as given to the system.
        language: ``en``, ``zh``, ...; "" where unknown.
        task: ``reconstruction`` ``tts`` ``asr`` ``context_asr`` ``deletion`` ``insertion``
            ``substitution``, or an acoustic task of ``edit_tasks``.
        mode: wording of an edit, ``basic`` or ``full`` ("" elsewhere).
        parameters: task values by name: ``speed`` (factor), ``semitones``, ``volume`` (factor),
            ``label`` (emotion, dialect), ``entities`` (list of str), ``prompt_text``,
            ``changed`` (list of [[a, b], [c, d]] sample spans source -> output), ``receipt``
            (path), ``seconds`` (wall seconds the system took).
    """

    id: str
    audio: Path | None = None
    reference: Path | None = None
    source: Path | None = None
    text: str | None = None
    original_text: str | None = None
    hypothesis: str | None = None
    instruction: str | None = None
    language: str = ""
    task: str = ""
    mode: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def group(self) -> str:
        """``en_deletion_basic``: the parts that are known, joined; the reports' rows."""
        return "_".join(part for part in (self.language, self.task, self.mode) if part) or "all"

    def replace(self, **changes: Any) -> Item:
        """A copy with other values."""
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """As a JSON object, without the fields that are not set."""
        out: dict[str, Any] = {}
        for f in dataclasses.fields(self):
            value = getattr(self, f.name)
            empty = value is None or value == ""
            if f.name == "parameters" or (empty and (f.name != "hypothesis" or value is None)):
                continue
            out[f.name] = str(value) if isinstance(value, Path) else value
        out["parameters"] = dict(self.parameters)
        return out


@dataclass(frozen=True)
class MetricResult:
    """One metric on one item.

    ``details`` are JSON values that the summary or the report needs: error counts
    (``S D I N``), texts (``ref``, ``hyp``), alignment, judge names.
    """

    value: float | None
    status: Status = "ok"
    reason: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def unavailable(cls, reason: str) -> MetricResult:
        """Could not be computed, through no fault of the system."""
        return cls(None, "unavailable", reason)

    @classmethod
    def skipped(cls, reason: str) -> MetricResult:
        """Does not apply to this kind of item."""
        return cls(None, "skipped", reason)

    @classmethod
    def failed(
        cls, reason: str, value: float | None, details: Mapping[str, Any] | None = None
    ) -> MetricResult:
        """The output is unusable and counts as ``value``."""
        return cls(value, "failed", reason, details or {})

    def to_dict(self) -> dict[str, Any]:
        """As a JSON object; ``status`` and ``reason`` only where they say something."""
        out: dict[str, Any] = {"value": self.value}
        if self.status != "ok":
            out["status"] = self.status
        if self.reason:
            out["reason"] = self.reason
        if self.details:
            out["details"] = dict(self.details)
        return out

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> MetricResult:
        """Inverse of ``to_dict``."""
        return cls(
            data.get("value"),
            data.get("status", "ok"),
            data.get("reason", ""),
            data.get("details", {}),
        )


@dataclass(frozen=True)
class MetricSummary:
    """One metric over a set of items.

    ``n`` is the denominator: the items that the metric applies to, less the unavailable ones.
    ``value`` is the number to quote (micro or macro, as the metric's definition says); both
    are given where they differ. ``status``: ``ok``, ``partial`` (some items unavailable) or
    ``unavailable`` (all of them; then ``value`` is None and ``reason`` says why).
    """

    value: float | None
    unit: str = ""
    higher_is_better: bool | None = None
    ci95: tuple[float, float] | None = None
    n: int = 0
    macro: float | None = None
    micro: float | None = None
    failed: int = 0
    unavailable: int = 0
    skipped: int = 0
    status: Literal["ok", "partial", "unavailable"] = "ok"
    reason: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As a JSON object with every field."""
        out = dataclasses.asdict(self)
        out["ci95"] = list(self.ci95) if self.ci95 else None
        out["details"] = dict(self.details)
        return out

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> MetricSummary:
        """Inverse of ``to_dict``; unknown keys are ignored (files of later versions)."""
        names = {f.name for f in dataclasses.fields(cls)}
        values = {k: v for k, v in data.items() if k in names}
        if values.get("ci95") is not None:
            values["ci95"] = (float(values["ci95"][0]), float(values["ci95"][1]))
        return cls(**values)


@dataclass(frozen=True)
class ItemResult:
    """All metrics of one item of one system (a line of ``per_item.jsonl``).

    ``system`` is ``system`` for what was scored, else the baseline's name. ``error`` is set
    where the item failed as a whole.
    """

    item: Item
    metrics: Mapping[str, MetricResult]
    system: str = "system"
    error: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As a JSON object."""
        return {
            "id": self.item.id,
            "system": self.system,
            "group": self.item.group,
            "item": self.item.to_dict(),
            "metrics": {name: r.to_dict() for name, r in self.metrics.items()},
            "error": self.error,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ItemResult:
        """Inverse of ``to_dict``."""
        raw = dict(data["item"])
        for name in ("audio", "reference", "source"):
            if raw.get(name) is not None:
                raw[name] = Path(raw[name])
        return cls(
            Item(**raw),
            {k: MetricResult.from_dict(v) for k, v in data["metrics"].items()},
            data.get("system", "system"),
            data.get("error", ""),
        )


class ScoringContext(Protocol):
    """What the runner offers a metric: decoded audio, judges with a cache, settings."""

    seed: int
    compat: str  #: "ming" reproduces the published scripts, "none" is our own scoring

    def audio(self, path: Path, sample_rate: int | None = None) -> tuple[np.ndarray, int]:
        """Mono float32 (T,) and its rate (the file's, or resampled to ``sample_rate`` Hz).

        Raises:
            ItemFailedError: the file is missing, unreadable, empty or not finite.
        """
        ...

    def judge(self, role: str, path: Path, **request: Any) -> Mapping[str, Any]:
        """What the judge of ``role`` says about a file; cached by the file's content.

        Raises:
            JudgeUnavailableError: no judge fills the role, or it cannot run here.
            ItemFailedError: the file is unusable.
        """
        ...

    def judge_name(self, role: str) -> str:
        """Identity of the judge that fills a role ("" for none); for reports."""
        ...

    def transcribe(self, path: Path, language: str) -> str:
        """``judge("asr", ...)``'s text."""
        ...


class Metric(ABC):
    """A number per item, and how the numbers of many items make one.

    Options given in a suite arrive as keyword arguments of the constructor.
    """

    info: ClassVar[ComponentInfo]

    def applies(self, item: Item) -> str:
        """ "" when the metric is meant for this item, else why not (status ``skipped``)."""
        del item
        return ""

    @abstractmethod
    def score(self, item: Item, context: ScoringContext) -> MetricResult:
        """Score one item whose ``audio`` (or ``hypothesis``) is there.

        Raise ``ItemFailedError`` for an unusable output, ``MetricUnavailableError`` or
        ``JudgeUnavailableError`` (or ``ImportError``) where the metric cannot run; the runner
        turns them into results. Never return None or NaN for a value.
        """

    def on_failure(self, item: Item, reason: str, context: ScoringContext) -> MetricResult:
        """What an unusable output counts as; by default ``info.failure_value``."""
        del item, context
        return MetricResult.failed(reason, self.info.failure_value)

    def ratio(self, result: MetricResult) -> tuple[float, float] | None:
        """Numerator and denominator of a result, for metrics with a micro average (errors and
        reference words); None: only the mean over items exists.

        Over a set, ``micro`` is ``100 * sum(numerators) / sum(denominators)``, ``macro`` the mean
        of the values. Both get bootstrap intervals over items.
        """
        del result
        return None

    def quoted(self, compat: str) -> Literal["macro", "micro"]:
        """Which average is the summary's ``value``."""
        del compat
        return "macro"


class Judge(ABC):
    """A model (or rule) that says something about a recording.

    Roles and what ``evaluate`` returns for them (JSON values only, they are cached):

    ============  ====================================================================
    ``asr``       ``{"text": str}``; request ``language``; with request ``words=True`` also
                  ``"words": [{"text", "start", "end"}]`` in seconds, where the judge can
    ``speaker``   ``{"embedding": [float, ...]}``, unit length
    ``dnsmos``    ``{"ovrl", "sig", "bak", "p808"}``
    ``distillmos`` ``{"mos"}``
    ``emotion``   ``{"label": str}``; request ``labels``
    ``dialect``   ``{"label": str}``; request ``labels``
    ============  ====================================================================

    Constructing a judge must be cheap; weights load on the first ``evaluate``.
    """

    info: ClassVar[ComponentInfo]
    role: ClassVar[str]
    #: Rate of the audio that ``evaluate`` wants, in Hz; None takes the file's own.
    sample_rate: ClassVar[int | None] = 16000
    #: Modules that it imports; what of them is missing is listed without loading anything.
    modules: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def check(self) -> None:
        """Raise ``JudgeUnavailableError`` when packages or weights are missing (no loading)."""

    @abstractmethod
    def identity(self) -> str:
        """Name, version and a hash or id of the weights: two equal ones give equal answers."""

    @abstractmethod
    def evaluate(self, wav: np.ndarray, sample_rate: int, **request: Any) -> Mapping[str, Any]:
        """Judge one recording.

        Args:
            wav: mono float32 (T,), at ``sample_rate`` Hz.
            request: what the role asks for (see the table above).
        """


@dataclass(frozen=True)
class SystemOutput:
    """What a system made of one item: a wav, a text, or both, and how long it took."""

    audio: Path | None = None
    text: str | None = None
    seconds: float | None = None


class System(ABC):
    """Turns suite items into wavs or texts: a folder of results, a command, a callable."""

    info: ClassVar[ComponentInfo]

    @abstractmethod
    def identity(self) -> str:
        """What the cache knows this system by; must change when its answers may."""

    @abstractmethod
    def produce(self, item: Item, folder: Path) -> SystemOutput:
        """Make the output of one item, writing files only into ``folder``.

        Raises:
            ItemFailedError: nothing usable was made; the message says why.
        """


#: Signature of the Python callable system: ``(item, folder) -> path | text | SystemOutput``.
SystemCallable = Callable[[Item, Path], "SystemOutput | Path | str"]
