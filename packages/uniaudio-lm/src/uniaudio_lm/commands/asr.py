"""`uniaudio asr`: text, JSON or subtitles from recordings."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mingtok_audio.core.audio import AUDIO_SUFFIXES, load_audio
from mingtok_audio.core.cli import Item, collect_inputs, emit_json, output_paths, spooled_stdin
from mingtok_audio.core.errors import UserError
from mingtok_audio.core.files import atomic_write_text
from mingtok_audio.core.jobs import Advance, Job, Result, Work, done, failed, run_jobs
from uniaudio_lm.checks import check_hints, check_search
from uniaudio_lm.commands.batch import RECORD_NAME, finish, is_folder, make_folder
from uniaudio_lm.commands.models import ModelChoice
from uniaudio_lm.config import known_language
from uniaudio_lm.parts.aligners.loading import fitting_aligner
from uniaudio_lm.parts.recognizers.loading import check_recognizer
from uniaudio_lm.tasks.diarization import speaker_count, speakers_of
from uniaudio_lm.text.length import is_cjk

if TYPE_CHECKING:
    import numpy as np

    from uniaudio_lm.engine import UniAudio
    from uniaudio_lm.tasks.asr import Transcript

FORMATS = {"text": ".txt", "json": ".json", "srt": ".srt", "vtt": ".vtt"}


@dataclass(frozen=True)
class Recognition(Work):
    """`Work`: recordings to text."""

    record_name = RECORD_NAME

    choice: ModelChoice
    language: str | None
    hotwords: tuple[str, ...]
    beams: int | None
    word_weight: float | None
    format: str
    timed: bool
    """Whether word times are shown at all: plain text has none."""
    speakers: str = ""
    """"auto", or how many; "": nobody asked."""

    @property
    def device(self) -> str:
        """See `Work.device`."""
        return self.choice.device

    def load(self) -> UniAudio:
        """See `Work.load`."""
        model = self.choice.load()
        if self.timed and self.choice.aligner is None:
            model.use_aligner(fitting_aligner(model.tokenizer))
        return model

    def identity(self) -> dict[str, Any]:
        """See `Work.identity`."""
        rest = {k: v for k, v in asdict(self).items() if k != "choice"}
        return {"command": "asr", **rest, **self.choice.identity()}

    def run(self, model: UniAudio, jobs: Sequence[Job], advance: Advance) -> list[Result]:
        """See `Work.run`."""
        from uniaudio_lm.tasks.asr import prepare_wav

        rate = model.tokenizer.config.sample_rate
        results: dict[int, Result] = {}
        wavs = {}
        for i, job in enumerate(jobs):
            assert job.source is not None
            try:
                wavs[i] = prepare_wav(*load_audio(job.source), rate)
            except (UserError, OSError) as error:
                results[i] = failed(job, error)
        found = model.transcribe_batch(
            list(wavs.values()),
            [rate] * len(wavs),
            self.language,
            self.hotwords,
            self.beams,
            word_weight=self.word_weight,
        )
        for i, transcript in zip(wavs, found, strict=True):
            try:
                results[i] = self._keep(jobs[i], transcript, model, wavs[i])
            except UserError as error:
                results[i] = failed(jobs[i], error)
        return [results[i] for i in range(len(jobs))]

    def _keep(self, job: Job, transcript: Transcript, model: UniAudio, wav: np.ndarray) -> Result:
        fields = as_fields(transcript, model.model_id)
        names: list[str] = []
        if self.speakers:
            names = _speakers(transcript, wav, model, self.speakers)
            for word, name in zip(fields["words"], names, strict=True):
                word["speaker"] = name
            fields["speaker_turns"] = turns(transcript, names)
        result = done(job, fields)
        if self.format in ("srt", "vtt"):
            result["subtitles"] = subtitles(transcript, self.format, names)
        for segment in transcript.segments:
            if segment.truncated:
                result.setdefault("warnings", []).append(
                    f"the text of {segment.start:.1f} to {segment.end:.1f} s was ended by the "
                    "token limit"
                )
            if segment.doubtful:
                result.setdefault("warnings", []).append(
                    f"the text of {segment.start:.1f} to {segment.end:.1f} s has too many or too "
                    "few words for its length: do not trust it"
                )
        if job.output is not None:
            make_folder(job.output.parent)
            atomic_write_text(job.output, rendered(result, self.format))
        return result


def run(
    inputs: Sequence[str],
    output: str | None,
    choice: ModelChoice,
    *,
    language: str | None,
    hotwords: str,
    beams: int | None,
    word_weight: float | None,
    format: str,
    as_json: bool,
    workers: int | None,
    ray: str | None,
    batch: int,
    force: bool,
    speakers: str = "",
) -> None:
    """Recognise each input; see the command's help.

    Raises:
        UserError: wrong options, or a model that cannot be loaded.
        typer.Exit: with code 1 where some inputs failed.
    """
    if format not in FORMATS:
        raise UserError(f"--format is one of {', '.join(FORMATS)}, not '{format}'")
    words = tuple(word for word in (w.strip() for w in hotwords.split(",")) if word)
    if speakers:
        speaker_count(speakers)
        if choice.aligner == "none":
            raise UserError("--speakers needs the words' times: leave --aligner none out")
    check_hints(language, words)
    check_search(beams, word_weight)
    about = choice.about()
    config = about.config
    chosen = choice.recognizer or "model"
    check_recognizer(chosen, about.folder)
    by_lm = chosen == "lm"
    if chosen == "model":
        by_lm = config is None or config.recognition.recognizer is None
    if word_weight is not None and not by_lm:
        raise UserError(
            "--word-weight is for the language model's own recognition: add --recognizer lm"
        )
    if config is not None and language is not None and (by_lm or chosen == "model"):
        known_language(language, config.recognition.languages, choice.model)
    timed = as_json or format != "text" or bool(speakers)
    work = Recognition(
        choice, language, words, beams, word_weight, format, timed=timed, speakers=speakers
    )
    answer(
        work, inputs, output, format, as_json, workers=workers, ray=ray, batch=batch, force=force
    )


def answer(
    work: Work,
    inputs: Sequence[str],
    output: str | None,
    format: str,
    as_json: bool,
    *,
    workers: int | None,
    ray: str | None,
    batch: int,
    force: bool,
) -> None:
    """Recordings to texts, on standard output, in one file or in a folder."""
    if output == "-":
        output = None
    items = collect_inputs(inputs, AUDIO_SUFFIXES)
    folders = any(given != "-" and Path(given).is_dir() for given in inputs)
    several = folders or len(items) > 1
    into_folder = output is not None and is_folder(output, several)
    if several and not into_folder and format in ("srt", "vtt"):
        raise UserError(
            f"{format} is for one recording; {len(items)} were given: name an output folder"
        )
    with ExitStack() as stack:
        jobs = _jobs(items, output if into_folder else None, format, stack)
        results: list[Result] = []
        direct = output is None and not as_json and format != "json"
        for result in run_jobs(
            work, jobs, workers=workers, ray=ray, batch=batch, force=force, bar="recordings"
        ):
            results.append(result)
            _warn(result)
            if result["status"] != "failed":
                if direct:
                    said = _line(result, format) if several else rendered(result, format)
                    typer.echo(said, nl=False)
                elif into_folder and not as_json:
                    verb = "unchanged, skipped" if result["status"] == "skipped" else "done"
                    typer.echo(f"{result['input']} -> {result['output']} ({verb})")
    written = [result for result in results if result["status"] != "failed"]
    if output is not None and not into_folder and written:
        _write_one_file(Path(output), written, format, several)
    if as_json or (output is None and format == "json"):
        rows = [public(result) for result in results]
        if several:
            emit_json(rows)
        elif written:
            emit_json(rows[0])
    finish(results, single=not several)


def _jobs(items: Sequence[Item], folder: str | None, format: str, stack: ExitStack) -> list[Job]:
    outputs: Sequence[Path | None] = [None] * len(items)
    if folder is not None:
        outputs = output_paths(items, folder, FORMATS[format], folder=True)
    jobs = []
    for item, path in zip(items, outputs, strict=True):
        source = spooled_stdin(stack) if item.path is None else item.path
        jobs.append(Job(item.name, source, output=path))
    return jobs


def _warn(result: Result) -> None:
    for note in result.get("warnings", ()):
        typer.echo(f"warning: {result['input']}: {note}", err=True)


def _line(result: Result, format: str) -> str:
    return f"{result['input']}\t{' '.join(rendered(result, format).split())}\n"


def _write_one_file(path: Path, results: Sequence[Result], format: str, several: bool) -> None:
    if not several:
        text = rendered(results[0], format)
    elif format == "json":
        text = _as_json_text([public(result) for result in results])
    else:
        text = "".join(_line(result, format) for result in results)
    atomic_write_text(path, text)


def as_fields(transcript: Transcript, model: str) -> Result:
    """A transcript as the fields of its JSON object."""
    words = transcript.words
    return {
        "text": transcript.text,
        "language": transcript.language,
        "words": None
        if words is None
        else [{"text": w.text, "start": w.start, "end": w.end} for w in words],
        "segments": [
            {"start": s.start, "end": s.end, "text": s.text, "doubtful": s.doubtful}
            for s in transcript.segments
        ],
        "truncated": transcript.truncated,
        "model": model,
    }


def public(result: Result) -> Result:
    """A result without what is only for the report."""
    return {k: v for k, v in result.items() if k not in ("subtitles", "warnings")}


def rendered(result: Result, format: str) -> str:
    """A result as the text of its output."""
    if format == "json":
        return _as_json_text(public(result))
    if format in ("srt", "vtt"):
        return str(result["subtitles"])
    if result.get("speaker_turns"):
        return "".join(f"{turn['speaker']}: {turn['text']}\n" for turn in result["speaker_turns"])
    return f"{result['text']}\n"


def _speakers(transcript: Transcript, wav: np.ndarray, model: UniAudio, asked: str) -> list[str]:
    """The speaker of each word."""
    words = transcript.words or []
    written = _as_written(transcript.text, [word.text for word in words])
    rate = model.tokenizer.config.sample_rate
    return speakers_of(wav, rate, words, written, speaker_count(asked))


def turns(transcript: Transcript, names: Sequence[str]) -> list[dict[str, Any]]:
    """What each speaker says at a time, as JSON fields."""
    words = transcript.words or []
    written = _as_written(transcript.text, [word.text for word in words])
    found: list[dict[str, Any]] = []
    for word, name, text in zip(words, names, written, strict=True):
        if found and found[-1]["speaker"] == name:
            found[-1] |= {"end": word.end, "text": found[-1]["text"] + text}
        else:
            found.append({"speaker": name, "start": word.start, "end": word.end, "text": text})
    return [{**turn, "text": turn["text"].strip()} for turn in found]


def _as_json_text(data: Any) -> str:
    return json.dumps(data, ensure_ascii=False, indent=2) + "\n"


_CUE_SECONDS, _CUE_LINES, _LINE_COLUMNS = 6.0, 2, 42
_SENTENCE_END = re.compile(r"[.!?…。！？][\"'”’»)\]）」』》]*$")
_TITLE = re.compile(r"\b(?:Mr|Mrs|Ms|Dr|Prof|St|No|[A-Z])\.$")
_WIDE = "FW"  # East Asian widths of two columns
_ARROW = re.compile("-{2,}>")
_OPENERS = "\"'“‘«([{（「『《¿¡$£€¥#@"


def cues(transcript: Transcript, names: Sequence[str] = ()) -> list[tuple[float, float, str]]:
    """What is shown from when to when: by words where they have times, else by segments.

    With times, a cue ends with its sentence, before a pause of a second, or where it would have
    more than two lines or last longer than six seconds; with `names` of the words' speakers also
    with what one of them says, and the first cue of a turn begins with the name.
    """
    if not transcript.words:
        return [(s.start, s.end, s.text) for s in transcript.segments if s.text]
    found: list[tuple[float, float, str]] = []
    written = _as_written(transcript.text, [word.text for word in transcript.words])
    for i, (word, text) in enumerate(zip(transcript.words, written, strict=True)):
        turn = bool(names) and (i == 0 or names[i] != names[i - 1])
        if turn:
            text = f"{names[i]}: {text}"  # noqa: PLW2901
        if found and not turn:
            start, end, before = found[-1]
            longer = before + text
            fits = word.end - start <= _CUE_SECONDS and len(cue_lines(longer)) <= _CUE_LINES
            over = _SENTENCE_END.search(before.strip()) and not _TITLE.search(before.strip())
            if fits and not over and word.start - end < 1.0:
                found[-1] = (start, word.end, longer)
                continue
        found.append((word.start, word.end, text))
    return [(start, end, text.strip()) for start, end, text in found]


def _as_written(text: str, words: Sequence[str]) -> list[str]:
    """Words with the marks and spaces that follow them in a text; those that open a quotation or a
    bracket go with the word after them."""
    starts, at = [], 0
    for word in words:
        place = text.find(word, at)
        if place < 0:  # an aligner that writes words otherwise: they stand for themselves
            return [w if is_cjk(w[-1:] or " ") else f"{w} " for w in words]
        starts.append(place)
        at = place + len(word)
    for i in range(1, len(starts)):
        while starts[i] > 0 and text[starts[i] - 1] in _OPENERS:
            starts[i] -= 1
    edges = [0, *starts[1:], len(text)]
    return [text[a:b] for a, b in pairwise(edges)]


def cue_lines(text: str) -> list[str]:
    """A text in lines of at most 42 columns (a Chinese character has two); two lines are about
    equally long. It is broken at spaces and between Chinese characters; a longer word stays
    whole."""
    pieces = _BREAKS.split(" ".join(text.split()))
    lines: list[str] = []
    for piece in pieces:
        if lines and _columns((lines[-1] + piece).rstrip()) <= _LINE_COLUMNS:
            lines[-1] += piece
        else:
            lines.append(piece)
    if len(lines) == _CUE_LINES:
        halves = [("".join(pieces[:i]), "".join(pieces[i:])) for i in range(1, len(pieces))]
        lines = list(min(halves, key=lambda h: max(_columns(h[0].rstrip()), _columns(h[1]))))
    return [line.strip() for line in lines]


_BREAKS = re.compile(r"(?<= )(?=\S)|(?<=[\u3400-\u9fff])(?=[\u3400-\u9fff])")


def _columns(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in _WIDE else 1 for c in text)


def subtitles(transcript: Transcript, format: str, names: Sequence[str] = ()) -> str:
    """A transcript as SubRip ("srt") or WebVTT ("vtt"); see `cues`."""
    mark = "," if format == "srt" else "."
    clean: Callable[[str], str] = _plain if format == "srt" else _escaped
    lines = ["WEBVTT", ""] if format == "vtt" else []
    for number, (start, end, text) in enumerate(cues(transcript, names), 1):
        if format == "srt":
            lines.append(str(number))
        lines.append(f"{_time(start, mark)} --> {_time(max(end, start + 0.001), mark)}")
        lines += [*map(clean, cue_lines(text)), ""]
    return "\n".join(lines) + ("\n" if lines else "")


def _plain(text: str) -> str:
    # An arrow would begin another cue, and so would one made of what is left of a longer one.
    return _ARROW.sub("->", text)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("-->", "--&gt;")


def _time(seconds: float, mark: str) -> str:
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest // 1000:02d}{mark}{rest % 1000:03d}"
