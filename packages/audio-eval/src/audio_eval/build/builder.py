"""Building an edit set in the published layout from recordings with transcripts."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from audio_eval.build.acoustic import AcousticMaker
from audio_eval.build.align import Hear, TranscriptTimes
from audio_eval.build.items import Draft, ItemRejectedError, Rejections
from audio_eval.build.lexicon import Lexicon
from audio_eval.build.presets import SEMANTIC, Cell
from audio_eval.build.recorded import RecordedMaker
from audio_eval.build.semantic import JudgeText, SemanticMaker, Writer
from audio_eval.build.set_writer import SetWriter, staged
from audio_eval.build.sources import Recording, read_recordings
from audio_eval.build.units import Language, SourceText, TextRejectedError, fold, parse_text
from mingtok_audio.core.audio import audio_info
from mingtok_audio.core.errors import AudioError, UserError
from mingtok_audio.core.files import atomic_write_text

FORMAT_VERSION = 1


@dataclass(frozen=True)
class BuildOptions:
    """What to build.

    Args:
        manifest: recordings with transcripts (see `sources.py`).
        out: the folder to write; must not exist yet, or `force`.
        counts: items wanted per cell (see `presets.py`).
        seed: everything random follows from it and from the recordings' ids.
        per_recording: how many items one recording may give.
        language: of recordings that do not say theirs.
        targets: "recorded" makes text edits whose perfect result is the recording itself
            (needs `hear`); "none" edits the recordings.
        hear: gives word times (`align.whisper_words`, or any callable).
        acoustic_wording: basic (published) or full instructions for acoustic items.
        instruction_language: of full wordings; "" takes the text's.
        prefix: put before every text-edit instruction (the published checkpoints were trained
            with one).
        writer, judge: optional model slots, see `writers.py`.
        noises: recordings of noise by name; empty uses synthetic noise.
        min_units, max_seconds: shorter texts and longer recordings are turned away.
        sample_rate: of the files written, Hz; None keeps each recording's own.
        dns: also write items of noise removal as DNS Challenge folders.
    """

    manifest: Path
    out: Path
    counts: Mapping[Cell, int]
    seed: int = 0
    per_recording: int = 1
    language: str = ""
    targets: Literal["none", "recorded"] = "none"
    hear: Hear | None = None
    acoustic_wording: str = "basic"
    instruction_language: Language | Literal[""] = ""
    prefix: str = ""
    writer: Writer | None = None
    judge: JudgeText | None = None
    noises: Mapping[str, Path] = field(default_factory=dict)
    min_units: int = 4
    max_seconds: float = 30.0
    sample_rate: int | None = None
    dns: bool = False
    force: bool = False


@dataclass
class BuildReport:
    """What was built, what is missing, and why things were turned away."""

    out: Path
    seed: int
    wanted: dict[str, int]
    written: dict[str, int]
    recordings: int
    usable: int
    rejections: Rejections
    metas: list[str] = field(default_factory=list)

    @property
    def missing(self) -> dict[str, int]:
        """Cells with fewer items than wanted, and how many are lacking."""
        return {
            c: n - self.written.get(c, 0)
            for c, n in self.wanted.items()
            if n > self.written.get(c, 0)
        }

    def to_dict(self) -> dict[str, Any]:
        """As written to `build_report.json`."""
        return {
            "format_version": FORMAT_VERSION,
            "seed": self.seed,
            "items": sum(self.written.values()),
            "wanted": self.wanted,
            "written": self.written,
            "missing": self.missing,
            "recordings": self.recordings,
            "usable": self.usable,
            "rejected": self.rejections.to_dict(),
            "metas": self.metas,
        }


class Maker(Protocol):
    """Makes items of some cells from one recording."""

    def make(
        self, recording: Recording, cell: Cell, seed: int
    ) -> Iterable[Draft | ItemRejectedError]:
        """Drafts in the order to take them, and why attempts failed."""
        ...


def build(options: BuildOptions, progress: Callable[[int, int], None] | None = None) -> BuildReport:
    """Write an edit set; returns what was built. See `docs/freeform.md` for the files.

    Args:
        progress: called with (items written, items wanted).

    Raises:
        UserError: unusable input or options; nothing is left behind then.
    """
    if not options.counts:
        raise UserError("nothing to build: no counts given")
    if options.targets == "recorded" and options.hear is None:
        raise UserError("recorded targets need word times: give an aligner (--aligner MODEL)")
    if options.out.exists() and not options.force:
        raise UserError(
            f"{options.out}: exists already; give another folder, or --force to replace it"
        )
    recordings = read_recordings(options.manifest, options.language)
    rejections = Rejections()
    languages: list[Language] = sorted({cell.language for cell in options.counts})
    pools: dict[Language, _Pool] = {}
    for name in languages:
        pools[name] = _usable(recordings, name, options, rejections)
    with staged(options.out, options.force) as folder:
        writer = SetWriter(folder, options.sample_rate, options.dns)
        _Filler(options, pools, rejections).fill(writer, progress)
        report = BuildReport(
            out=options.out,
            seed=options.seed,
            wanted={str(cell): n for cell, n in sorted(options.counts.items())},
            written=dict(sorted(writer.written.items())),
            recordings=len(recordings),
            usable=sum(len(pool.recordings) for pool in pools.values()),
            rejections=rejections,
        )
        if not report.written:
            common = ", ".join(f"{r} ({n})" for r, n in rejections.counts.most_common(3))
            why = common or "no recordings of the language"
            raise UserError(f"{options.manifest}: not one item could be built: {why}")
        report.metas = writer.finish()
        text = json.dumps(report.to_dict(), ensure_ascii=False, indent=2)
        atomic_write_text(folder / "build_report.json", text + "\n")
    return report


@dataclass
class _Pool:
    """Usable recordings of a language, and their texts as units where they have any."""

    recordings: list[Recording]
    texts: list[SourceText]
    checked: dict[str, str] = field(default_factory=dict)


def _usable(
    recordings: Sequence[Recording],
    language: Language,
    options: BuildOptions,
    rejections: Rejections,
) -> _Pool:
    """Recordings whose texts can carry edits; audio is looked at when one is about to be used."""
    semantic = any(c.task in SEMANTIC for c in options.counts if c.language == language)
    pool = _Pool([], [])
    said: set[str] = set()
    for recording in recordings:
        if recording.language != language:
            continue
        key = "".join(c for c in fold(recording.text) if c.isalnum())
        if key in said:
            rejections.add("duplicate_text", recording.id, recording.text)
            continue
        said.add(key)
        try:
            text = parse_text(recording.text, language)
        except TextRejectedError as error:
            if semantic:
                rejections.add(error.reason, recording.id, error.detail)
            else:
                pool.recordings.append(recording)
            continue
        pool.texts.append(text)
        if semantic and len(text) < options.min_units:
            rejections.add("text_too_short", recording.id, recording.text)
            continue
        pool.recordings.append(recording)
    return pool


def _makers(pool: _Pool, language: Language, options: BuildOptions) -> dict[str, Maker]:
    lexicon = Lexicon.learn(pool.texts, language)
    semantic: Maker = SemanticMaker(
        lexicon, options.instruction_language, options.prefix, options.writer, options.judge
    )
    if options.targets == "recorded":
        assert options.hear is not None and isinstance(semantic, SemanticMaker)
        semantic = RecordedMaker(semantic, TranscriptTimes(options.hear), pool.recordings)
    acoustic = AcousticMaker(options.acoustic_wording, options.noises, pool.recordings)
    return {"semantic": semantic, "acoustic": acoustic}


@dataclass
class _Filler:
    """Gives every cell one item in turn until all are full or no recording is left for them."""

    options: BuildOptions
    pools: Mapping[Language, _Pool]
    rejections: Rejections
    uses: Counter[str] = field(default_factory=Counter)

    def fill(self, writer: SetWriter, progress: Callable[[int, int], None] | None) -> None:
        """Write items until nothing more can be had."""
        counts, seed = self.options.counts, self.options.seed
        makers = {name: _makers(pool, name, self.options) for name, pool in self.pools.items()}
        waiting: dict[Cell, Iterator[Recording]] = {}
        for cell in sorted(counts):
            order = list(self.pools[cell.language].recordings)
            random.Random(f"{seed}/{cell}").shuffle(order)
            waiting[cell] = iter(order)
        while waiting:
            for cell in list(waiting):
                maker = makers[cell.language]["semantic" if cell.task in SEMANTIC else "acoustic"]
                draft = self._next(cell, waiting[cell], maker)
                if draft is None:
                    del waiting[cell]
                    continue
                writer.add(draft)
                self.uses[draft.recording.id] += 1
                if progress:
                    progress(sum(writer.written.values()), sum(counts.values()))
                if writer.written[str(cell)] >= counts[cell]:
                    del waiting[cell]

    def _next(self, cell: Cell, recordings: Iterator[Recording], maker: Maker) -> Draft | None:
        for recording in recordings:
            if self.uses[recording.id] >= self.options.per_recording:
                continue
            if self._audio_problem(recording, self.pools[cell.language]):
                continue
            for attempt in maker.make(recording, cell, self.options.seed):
                if isinstance(attempt, Draft):
                    return attempt
                self.rejections.add(attempt.reason, recording.id, attempt.detail, cell)
        return None

    def _audio_problem(self, recording: Recording, pool: _Pool) -> str:
        """Why a recording cannot be used ("" when it can); looked up once."""
        if recording.id in pool.checked:
            return pool.checked[recording.id]
        reason, detail = "", ""
        if not recording.audio.is_file():
            reason, detail = "missing_audio", str(recording.audio)
        else:
            try:
                info = audio_info(recording.audio)
                if info.seconds > self.options.max_seconds:
                    reason, detail = "audio_too_long", f"{info.seconds:.1f} s"
            except AudioError as error:
                reason, detail = "unreadable_audio", str(error)
        if reason:
            self.rejections.add(reason, recording.id, detail)
        pool.checked[recording.id] = reason
        return reason
