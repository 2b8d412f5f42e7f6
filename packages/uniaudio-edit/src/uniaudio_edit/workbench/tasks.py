"""What a worker does with recordings: open, find the words, plan, edit.

Each is a generator function of the worker's engine and plain values; see `uniaudio_lm.server`.
Paths are the server's own (`store`). Axes: T samples, C channels.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mingtok_audio.core.audio import audio_info
from mingtok_audio.core.errors import AudioError, UserError
from uniaudio_edit.editor import Editor, write_result
from uniaudio_edit.errors import AmbiguousInstructionError, InstructionError
from uniaudio_edit.grammar.engine import plan_word_edits
from uniaudio_edit.interfaces import Word
from uniaudio_edit.operations.background import MADE_SOUNDS
from uniaudio_edit.parts import SILENT, Parts, mono_float
from uniaudio_edit.pcm import Recording, read_recording, to_float
from uniaudio_edit.plan import Plan
from uniaudio_edit.receipt import Names, Receipt
from uniaudio_edit.text import Text
from uniaudio_edit.words import align, check_length, words_to_text

if TYPE_CHECKING:
    from uniaudio_lm.server.worker import Engine, Event

_CHUNK_SECONDS = 25.0  # of speech that is recognised between two reports of progress
_REMOVED = 0.1  # of a span: what keeps less of itself is gone
_BLOCK_SECONDS = 5.0
_AS_LONG_AS_THE_FILE = frozenset(
    {"PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "PCM_32", "ULAW", "ALAW", "FLOAT", "DOUBLE"}
)


def open_upload(engine: Engine, params: dict[str, Any]) -> Iterator[Event]:
    """Check an upload and draw it: one event {"info": {...}}.

    `params`: path, name, wave (where the array for views goes), max_seconds.
    """
    path = Path(params["path"])
    try:
        if not _shorter(path, params["max_seconds"]):
            raise AudioError(
                f"it is longer than {params['max_seconds']:g} s, the most that is taken"
            )
        recording = read_recording(path)
    except AudioError as error:
        raise AudioError(str(error).replace(str(path), params["name"])) from error
    _draw(recording, Path(params["wave"]))
    yield {"info": _info(recording, path)}


def _shorter(path: Path, seconds: float) -> bool:
    """Whether a file holds at most `seconds`, counted before anything of it is kept: a small
    compressed file can hold hours, whatever its header says."""
    import soundfile

    info = audio_info(path)
    if info.num_samples > seconds * info.sample_rate:
        return False
    if info.subtype in _AS_LONG_AS_THE_FILE and info.format != "FLAC":
        return True
    total = 0
    block = np.empty((round(_BLOCK_SECONDS * info.sample_rate), info.channels), np.int16)
    try:
        with soundfile.SoundFile(path) as file:
            while total <= seconds * info.sample_rate and (n := len(file.read(out=block))):
                total += n
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise AudioError(f"{path} is damaged ({error})") from error
    return total <= seconds * info.sample_rate


def find_words(engine: Engine, params: dict[str, Any]) -> Iterator[Event]:
    """What is said and when: {"stage", "done"} while it works, then {"text", "words", "notes"}.

    `params`: path, text (None: it is recognised), hotwords.
    """
    recording = read_recording(params["path"])
    text = params["text"]
    if text is None:
        parts: list[str] = []
        for done, piece in _recognized(engine, recording, tuple(params["hotwords"])):
            parts.append(piece)
            yield {"stage": "recognise", "done": round(done, 3), "text": piece}
        text = words_to_text([Word(piece, 0, 1) for piece in parts if piece])
    else:
        text = " ".join(text.split())
        check_length(text, recording.seconds)
    yield {"stage": "align"}
    words, notes = _timed(engine, recording, text)
    yield {"text": text, "words": words, "notes": notes}


def plan(engine: Engine, params: dict[str, Any]) -> Iterator[Event]:
    """What an edit means: {"plan": {...}}, or {"choices": [{"label", "plan"}], "message"}.

    `params`: path, text, words, instruction or edits ([[start, end, new], ...] in units), which.
    """
    recording = read_recording(params["path"])
    words = _words(params["words"])
    text = params["text"] or None
    if params["edits"] is not None:
        made = plan_word_edits(params["text"] or "", [tuple(edit) for edit in params["edits"]])
        yield {"plan": _editor(engine, 0).placed(made, recording, words).to_dict()}
        return
    editor = _editor(engine, 0)

    def read(which: str) -> Plan:
        made = editor.plan_recording(
            recording, params["instruction"], text=text, words=words, which=which
        )
        for op in made.operations:
            sound = op.params.get("sound")
            if op.type == "add_sound" and sound not in MADE_SOUNDS:
                raise InstructionError(
                    f"there is no sound '{sound}' here; there are: {', '.join(MADE_SOUNDS)}"
                )
        return made

    try:
        yield {"plan": read(params["which"]).to_dict()}
    except AmbiguousInstructionError as error:
        choices = [
            {"label": label, "which": str(n), "plan": read(str(n)).to_dict()}
            for n, label in enumerate(error.candidates, 1)
        ]
        yield {"choices": choices, "message": str(error)}


def apply(engine: Engine, params: dict[str, Any]) -> Iterator[Event]:
    """Make an edit: {"stage": ...} while it works, then {"info", "receipt", "text", ...}.

    `params`: path, output, wave, plan, words, seed.
    """
    source, output = Path(params["path"]), Path(params["output"])
    made = Plan.from_dict(params["plan"])
    yield {"stage": "edit"}
    recording = read_recording(source)
    editor = _editor(engine, params["seed"])
    edited = editor.apply_recording(recording, made, _words(params["words"]))
    receipt = write_result(source, recording, edited, Names.of(output))
    yield {"stage": "check"}
    result = read_recording(output)
    equal, compared = count_equal(recording.pcm, result.pcm, receipt)
    _draw(result, Path(params["wave"]))
    text, words, notes = (
        _text_after(made, receipt, params["words"], recording.sample_rate),
        None,
        [],
    )
    if text:
        yield {"stage": "align"}
        words, notes = _timed(engine, result, text)
    yield {
        "info": _info(result, output),
        "made": {
            "plan": receipt.plan,
            "receipt": receipt.to_dict(),
            "equal": equal,
            "compared": compared,
        },
        "text": text,
        "words": words,
        "notes": notes,
    }


def count_equal(source: np.ndarray, output: np.ndarray, receipt: Receipt) -> tuple[int, int]:
    """How many samples outside the declared changes are equal in both (T, C), and how many there
    are. The files are compared, not what the editor says about them."""
    equal = compared = 0
    a = b = 0
    spans = [(c["source"], c["output"]) for c in receipt.changed]
    for (begin, end), (start, stop) in [*spans, ((len(source),) * 2, (len(output),) * 2)]:
        one, two = source[a:begin], output[b:start]
        compared += len(one)
        if len(one) == len(two):
            equal += int((one == two).all(axis=1).sum())
        a, b = end, stop
    return equal, compared


def _recognized(
    engine: Engine, recording: Recording, hotwords: tuple[str, ...]
) -> Iterator[tuple[float, str]]:
    """The share of the recording that is done, and the text of each piece."""
    from uniaudio_lm.tasks.asr import prepare_wav, split

    mono = mono_float(recording)
    if float(np.abs(mono).max(initial=0.0)) < SILENT:
        yield 1.0, ""
        return
    if recording.seconds <= _CHUNK_SECONDS:
        yield 1.0, engine.lm.transcribe(mono, recording.sample_rate, None, hotwords).text
        return
    rate = engine.lm.tokenizer.config.sample_rate
    wav = prepare_wav(mono, recording.sample_rate, rate)
    start = 0
    spans = split(engine.lm.model, wav, rate)
    for span in spans:
        if span.end - start < _CHUNK_SECONDS * rate and span is not spans[-1]:
            continue
        found = engine.lm.transcribe(wav[start : span.end], rate, None, hotwords)
        yield span.end / len(wav), found.text
        start = span.end


def _timed(
    engine: Engine, recording: Recording, text: str
) -> tuple[list[dict[str, Any]] | None, list[str]]:
    """The words with their times and places in the text, and what is doubtful about them."""
    known = Text(text)
    if not len(known):
        return [], []
    scores: list[float] = []

    class Noted:
        """The aligner, remembering how sure it is."""

        def align(self, wav: Any, raw: str, language: str) -> Any:
            found = aligner.align(wav, raw, language)
            for word in found:
                scores.extend([float(word.score)] * len(Text(word.text)))
            return found

    try:
        aligner = _parts(engine).word_aligner()
        times, notes = align(recording, known, Noted())  # type: ignore[arg-type]
    except UserError as error:
        return None, [f"it is not known when each word is said: {error}"]
    words = [
        {
            "text": unit.text,
            "start": round(time.start, 4),
            "end": round(time.end, 4),
            "score": round(score, 3),
            "from": unit.start,
            "to": unit.end,
        }
        for unit, time, score in zip(known.units, times, scores, strict=True)
    ]
    return words, notes


def _text_after(
    made: Plan, receipt: Receipt, words: list[dict[str, Any]] | None, rate: int
) -> str | None:
    """What the result says. A cut by time takes words with it that no plan names."""
    text = made.edited_text or made.original_text
    if not words or made.semantic:
        return text or None
    gone = [
        c["source"]
        for c in receipt.changed
        if c["output"][1] - c["output"][0] < _REMOVED * (c["source"][1] - c["source"][0])
    ]
    cut = [
        i
        for i, word in enumerate(words)
        if any(a <= rate * (word["start"] + word["end"]) / 2 < b for a, b in gone)
    ]
    if not cut:
        return text
    if len(cut) == len(words):
        return ""
    return plan_word_edits(made.original_text, [(i, i + 1, "") for i in cut]).edited_text


def _words(given: list[dict[str, Any]] | None) -> list[Word] | None:
    if not given:
        return None
    return [Word(word["text"], word["start"], word["end"]) for word in given]


def _parts(engine: Engine) -> Parts:
    return engine.once("edit parts", lambda: Parts(engine.lm))


def _editor(engine: Engine, seed: int) -> Editor:
    return Editor(parts=_parts(engine), seed=seed, watermark=engine.settings.watermark)


def _info(recording: Recording, path: Path) -> dict[str, Any]:
    return {
        "seconds": round(recording.seconds, 6),
        "sample_rate": recording.sample_rate,
        "channels": recording.pcm.shape[1],
        "num_samples": len(recording.pcm),
        "subtype": recording.subtype,
        "format": recording.format,
        "bytes": path.stat().st_size,
        "sha256": recording.sha256,
    }


def _draw(recording: Recording, path: Path) -> None:
    """One channel as int16 in an array file, of which any part can be read quickly."""
    mono = np.empty(len(recording.pcm), np.int16)
    size = round(_BLOCK_SECONDS * recording.sample_rate)
    for start in range(0, len(mono), size):
        block = recording.pcm[start : start + size]
        if block.dtype == np.int16:
            level = block.astype(np.int32).sum(axis=1) // block.shape[1]
        else:
            level = np.round(to_float(block).mean(axis=1) * 32767)
        mono[start : start + size] = np.clip(level, -32768, 32767)
    np.save(path, mono)
