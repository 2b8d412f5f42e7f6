"""`uniaudio tts`: say texts."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import typer

from mingtok_audio.core.audio import WRITABLE_SUFFIXES, AudioWriter, audio_info, load_audio
from mingtok_audio.core.cli import EXIT_FAILED_ITEMS, emit_json
from mingtok_audio.core.errors import UserError
from mingtok_audio.core.jobs import Advance, Job, Result, Work, done, failed, run_jobs
from uniaudio_lm.checks import check_text, sampling_of
from uniaudio_lm.commands.batch import RECORD_NAME, finish, is_folder, make_folder
from uniaudio_lm.commands.models import ModelChoice
from uniaudio_lm.commands.sinks import open_sink
from uniaudio_lm.commands.texts import Text, open_text, read_texts
from uniaudio_lm.config import Sampling, SamplingChanges
from uniaudio_lm.speaker_file import look_up_speaker
from uniaudio_lm.watermarking import DEFAULT_WATERMARK

if TYPE_CHECKING:
    from uniaudio_lm.engine import UniAudio
    from uniaudio_lm.tasks.tts import Job as SpokenJob
    from uniaudio_lm.tasks.tts import SpeechStream
    from uniaudio_lm.tasks.voice import Voice, VoicePrompt

_NOTHING = "the model ended before it said anything; try another --seed"


@dataclass(frozen=True)
class Speaking(Work):
    """`Work`: texts to speech. The options are the command's; see its help."""

    record_name = RECORD_NAME

    choice: ModelChoice
    voice: str | None = None
    voice_text: str | None = None
    speaker: str | None = None
    language: str | None = None
    changes: SamplingChanges = field(default_factory=SamplingChanges)
    """Of the model's own sampling."""
    seed: int = 0
    instruct: tuple[str, ...] = ()
    """`key=value` words: how to speak."""
    watermark: str | None = DEFAULT_WATERMARK

    @property
    def device(self) -> str:
        """See `Work.device`."""
        return self.choice.device

    def load(self) -> UniAudio:
        """See `Work.load`."""
        return self.choice.load().use_watermark(self.watermark)

    def identity(self) -> dict[str, Any]:
        """See `Work.identity`."""
        from mingtok_audio.core.jobs import file_sha256

        rest = {k: v for k, v in asdict(self).items() if k != "choice"}
        if self.voice is not None and Path(self.voice).is_file():
            rest["voice"] = file_sha256(Path(self.voice))
        return {"command": "tts", **rest, **self.choice.identity()}

    def run(self, model: UniAudio, jobs: Sequence[Job], advance: Advance) -> list[Result]:
        """See `Work.run`. The texts of a call go through the model together."""
        from uniaudio_lm.tasks import tts

        started = time.perf_counter()
        sampling = model.sampling(**self.changes)
        voice, how = self.find_voice(model), self.instruction
        results: dict[int, Result] = {}
        spoken: dict[int, tts.Job] = {}
        for i, job in enumerate(jobs):
            try:
                spoken[i] = model.job(
                    job.text, voice, seed=self.seed, language=self.language, instruction=how
                )
            except UserError as error:
                results[i] = failed(job, error)
        places = list(spoken)
        outputs = {i: _Output(jobs[i], model.tokenizer.config.sample_rate) for i in places}
        try:
            if places:
                for at, wav in tts.run_jobs(
                    model.model, list(spoken.values()), sampling, model.guard()
                ):
                    outputs[places[at]].write(wav.numpy())
        except BaseException as error:
            for output in outputs.values():
                output.close(error)
            raise
        for i in places:
            error = outputs[i].close(None)
            if error is not None:
                results[i] = failed(jobs[i], error)
                continue
            out = outputs[i]
            about = self.report(
                model, spoken[i], out.samples, out.first - started, out.last - started
            )  # fmt: skip
            results[i] = done(jobs[i], about)
        return [results[i] for i in range(len(jobs))]

    def check(self) -> None:
        """Refuse what cannot work, before the model is loaded. Raises `UserError`."""
        about = self.choice.about()
        default = Sampling() if about.config is None else about.config.sampling
        sampling_of(default, **self.changes)
        if self.instruction and about.config and about.config.prompt_format == "uniaudio":
            raise UserError(f"model {about.id} takes no instructions (Ming-omni-tts does)")
        if self.speaker is not None:
            look_up_speaker(self.speaker, about.folder, about.id)
        if self.voice is not None:
            audio_info(self.voice)
        if self.voice_text is not None:
            _voice_text(self.voice_text)

    @property
    def instruction(self) -> dict[str, Any]:
        """How to speak, parsed; see `model.omni_prompts.instruction`."""
        from uniaudio_lm.model.omni_prompts import instruction

        return instruction(self.instruct)

    def find_voice(self, model: UniAudio) -> Voice | None:
        """The voice, encoded once for all texts."""
        if self.speaker is not None:
            return model.prepare_voice(self.speaker)
        if self.voice is None:
            return None
        return model.prepare_voice(read_voice(model, self.voice, self.voice_text))

    def report(
        self,
        model: UniAudio,
        said: SpokenJob | SpeechStream,
        samples: int,
        first: float,
        wall: float,
    ) -> Result:
        """The fields of the JSON object of one text; times in seconds."""
        rate = model.tokenizer.config.sample_rate
        return {
            "seconds": samples / rate,
            "sample_rate": rate,
            "stop_reason": said.stop_reason,
            "patches": said.patches,
            "problems": [
                {"text": text, "reason": reason} for text, reason in said.pieces if reason != "stop"
            ],
            "overdriven_samples": said.overdriven,
            "seed": self.seed,
            "voice": self.speaker if self.speaker is not None else self.voice,
            "first_audio_ms": round(1000 * first, 1),
            "rtf": round(wall / (samples / rate), 4),
            "watermark": self.watermark,
            "model": model.model_id,
        }


_WORD_FILES = (".json", ".srt", ".vtt")


def write_words(path: str, model: UniAudio, said: SpeechStream, wav: np.ndarray) -> None:
    """The words of speech (T,) and their times as JSON, or as subtitles of words."""
    from mingtok_audio.core.files import atomic_write_text
    from uniaudio_lm.commands.asr import subtitles
    from uniaudio_lm.tasks.asr import Transcript, TranscriptSegment

    found = model.word_times(said, wav)
    kind = Path(path).suffix.lower().lstrip(".")
    if kind == "json":
        entries = [{"text": w.text, "start": w.start, "end": w.end} for w in found]
        text = json.dumps(entries, ensure_ascii=False, indent=2) + "\n"
    else:
        spoken = [TranscriptSegment(w.start, w.end, w.text) for w in found]
        text = subtitles(Transcript(" ".join(w.text for w in found), "", spoken), kind)
    make_folder(Path(path).parent)
    atomic_write_text(Path(path), text)


class _Output:
    """The file of one text of a batch; what goes wrong with it concerns no other."""

    def __init__(self, job: Job, rate: int) -> None:
        self.samples, self.first, self.last = 0, 0.0, 0.0
        self._error: Exception | None = None
        self._writer: AudioWriter | None = None
        assert job.output is not None
        try:
            make_folder(job.output.parent)
            self._writer = AudioWriter(job.output, rate).__enter__()
        except UserError as error:
            self._error = error

    def write(self, wav: Any) -> None:
        self.last = time.perf_counter()
        self.first = self.first or self.last
        if self._writer is not None:
            try:
                self._writer.write(wav)
                self.samples += len(wav)
            except UserError as error:
                self.close(error)
                self._error = error

    def close(self, error: BaseException | None) -> Exception | None:
        """Put the file in place, or with an error take it away; what went wrong with it."""
        writer, self._writer = self._writer, None
        if writer is not None:
            if error is None and not self.samples:
                self._error = error = UserError(_NOTHING)
            try:
                writer.__exit__(type(error) if error else None, error, None)
            except UserError as failure:
                self._error = failure
        return self._error


def read_voice(model: UniAudio, path: str, text: str | None) -> VoicePrompt:
    """A recording of a voice from a file."""
    from uniaudio_lm.tasks.voice import VoicePrompt

    wav, rate = load_audio(path, model.tokenizer.config.sample_rate)
    return VoicePrompt(wav, rate, None if text is None else _voice_text(text))


def _voice_text(given: str) -> str:
    try:
        return open_text(given)
    except UserError as error:
        raise UserError(f"--voice-text: {error}") from error


def run(
    given: Sequence[str],
    output: str,
    work: Speaking,
    *,
    stream: bool,
    words: str | None,
    lines: bool,
    as_json: bool,
    workers: int | None,
    ray: str | None,
    batch: int,
    force: bool,
) -> None:
    """Say texts into files, a folder, or standard output; see the command's help.

    Raises:
        UserError: in one line; nothing is left behind.
        typer.Exit: with code 1 where some texts failed.
    """
    if work.voice is not None and work.speaker is not None:
        raise UserError("--voice and --speaker are two ways to choose one voice: give one")
    if work.voice_text is not None and work.voice is None:
        raise UserError("--voice-text is what is said in the recording of --voice: give that too")
    texts, several = read_texts(given, lines)
    if words is not None:
        if several or (output != "-" and is_folder(output, several=False)):
            raise UserError("--words takes one text and one output file")
        if Path(words).suffix.lower() not in _WORD_FILES:
            raise UserError(f"cannot write {words}: the name must end in {', '.join(_WORD_FILES)}")
    work.check()
    if several or (output != "-" and is_folder(output, several=False)):
        _run_several(texts, output, work, stream, as_json, workers, ray, batch, force)
        return
    if output == "-" and as_json:
        raise UserError("--json and -o - both want standard output; write to a file")
    if ray is not None:
        raise UserError("--ray is for several texts and an output folder")
    _run_one(texts[0], output, work, stream, words, as_json)


def _run_one(  # noqa: PLR0917
    text: Text, output: str, work: Speaking, stream: bool, words: str | None, as_json: bool
) -> None:
    """Say a text, and write it while it is made."""
    if not text.text.strip():
        raise UserError("the text is empty")
    about = work.choice.about()
    check_text(text.text, work.language, about.languages, about.id)
    if output != "-" and Path(output).suffix.lower() not in WRITABLE_SUFFIXES:
        endings = ", ".join(WRITABLE_SUFFIXES)
        raise UserError(f"cannot write {output}: the file name must end in {endings}")
    how = work.instruction
    model = work.load()
    started = time.perf_counter()
    speech = model.synthesize_stream(
        text.text, work.find_voice(model), seed=work.seed, language=work.language,
        instruction=how, checked=not stream,
        **work.changes,
    )  # fmt: skip
    samples, first, kept = 0, 0.0, list[np.ndarray]()
    with open_sink(output, speech.sample_rate, stream) as sink:
        for piece in speech:
            if not samples:
                first = time.perf_counter() - started
            sink.write(piece.numpy())
            if words is not None:
                kept.append(piece.numpy())
            samples += len(piece)
        if not samples:
            raise UserError(_NOTHING)
        if words is not None:
            write_words(words, model, speech, np.concatenate(kept))
    wall = time.perf_counter() - started
    about = work.report(model, speech, samples, first, wall)
    result = {"output": output, **about}
    _warn(result, output)
    if as_json:
        emit_json(result)
    else:
        line = f"{output}: {result['seconds']:.2f} s, ended by {result['stop_reason']}"
        typer.echo(line, err=output == "-")
    if is_incomplete(result):
        raise typer.Exit(EXIT_FAILED_ITEMS)


def _run_several(  # noqa: PLR0917
    texts: Sequence[Text],
    output: str,
    work: Speaking,
    stream: bool,
    as_json: bool,
    workers: int | None,
    ray: str | None,
    batch: int,
    force: bool,
) -> None:
    if stream or output == "-":
        raise UserError("--stream and -o - take one text")
    if not is_folder(output, several=True):
        raise UserError(
            f"{len(texts)} texts need an output folder, and {output} is a file name (quote a text "
            "of several words)"
        )
    folder = Path(output)
    if folder.exists() and not folder.is_dir():
        raise UserError(f"the output {folder} must be a folder, and is a file")
    jobs = [Job(t.name, text=t.text, output=folder / f"{t.stem}.wav") for t in texts]
    results = []
    for result in run_jobs(
        work, jobs, workers=workers, ray=ray, batch=batch, force=force, bar="texts"
    ):
        results.append(result)
        if result["status"] == "failed":
            continue
        _warn(result, str(result["output"]))
        if not as_json:
            skipped = " (unchanged, skipped)" if result["status"] == "skipped" else ""
            typer.echo(
                f"{result['output']}: {result['seconds']:.2f} s, ended by "
                f"{result['stop_reason']}{skipped}"
            )
    if as_json:
        emit_json(results)
    sys.stdout.flush()
    finish(results, single=False)
    if any(result["status"] != "failed" and is_incomplete(result) for result in results):
        raise typer.Exit(EXIT_FAILED_ITEMS)


_MISSING = ("short", "unclear")
_TELLS = {
    "short": "is too short: words must be missing",
    "unclear": "does not say its words clearly",
    "long": "is too long for its text",
}


def _warn(result: Result, name: str) -> None:
    for problem in result["problems"]:
        reason, text = problem["reason"], problem["text"]
        shown = text if len(text) <= 60 else f"{text[:57]}..."
        told = _TELLS.get(reason, f"was ended by a guard ({reason}), not by the model")
        typer.echo(f"warning: {name}: speech of '{shown}' {told}", err=True)
    if result["overdriven_samples"]:
        typer.echo(
            f"warning: {name}: {result['overdriven_samples']} samples were too loud and were "
            "limited",
            err=True,
        )


def is_incomplete(result: Result) -> bool:
    """Whether some words of a text were not said, as far as that can be told."""
    return any(problem["reason"] in _MISSING for problem in result["problems"])
