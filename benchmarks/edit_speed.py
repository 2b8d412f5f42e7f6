"""Seconds per edit by backend, and how they grow with the recording.

    python benchmarks/edit_speed.py [--lengths 10 60 300 600] [--repeats 3] [--model MODEL]

The recordings of examples/data are put one after the other. Each edit is timed by itself
(`backend`: the backend alone; `apply`: with the checks and the receipt; `file`: decoding, hashing
and writing too), as CPU seconds of the process with one thread, because other work on the machine
does not count there; the medians of the repeats. Word times are given, as with `--text` and
`--words`, so no recognition is in it. `--model` adds the edits that need one: new words by
`splice` in the middle of the recording, and the same edit by `lm` where the recording is at most
`--lm-seconds` long. A model that was not trained on edits (the shipped one) does the work of that
edit in its place: it recognises the recording and speaks all of it again. The last line
is JSON; `growth` is (seconds at the longest - seconds at the shortest) for each added minute.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import soundfile

from common import cpu_seconds
from edit_preservation import RATE, spoken
from mingtok_audio import load_audio
from uniaudio_edit.editor import Editor
from uniaudio_edit.errors import MissingPartError
from uniaudio_edit.interfaces import EditRequest, Word
from uniaudio_edit.pcm import Recording, read_recording
from uniaudio_lm import UniAudio
from uniaudio_lm.tasks.edit import NoSpeechError

_EDITS = {
    "splice deletion": ("delete word {middle}", True),
    "dsp speed": ("make it 20% faster", False),
    "dsp pitch": ("raise the pitch by 2 semitones", False),
    "dsp volume": ("make it twice as loud", False),
    "dsp denoise": ("denoise the audio", False),
    "dsp rain": ("add rain", False),
}
_MODEL_EDITS = {
    "splice substitution": ("replace word {middle} with 'winter'", True),
    "lm substitution": ("replace word {middle} with 'winter'", True),
}


def timed(
    editor: Editor, path: Path, words: list[Word], instruction: str, repeats: int
) -> dict[str, float]:
    """Seconds of one edit, from the inside out."""
    recording = read_recording(path)
    plan = editor.plan_recording(recording, instruction, words=words)
    made = editor.apply_recording(recording, plan, words)
    out = {
        "apply": cpu_seconds(lambda: editor.apply_recording(recording, plan, words), repeats),
        "file": cpu_seconds(
            lambda: editor.edit_file(path, instruction, path.with_name("out.wav"), words=words),
            repeats,
        ),
    }
    if not any(op.new for op in plan.operations):
        out["backend"] = cpu_seconds(lambda: _backend(editor, recording, plan, words), repeats)
    changed = sum(c.source[1] - c.source[0] for c in made.changes)
    return {**{k: round(v, 5) for k, v in out.items()}, "changed": changed / len(recording.pcm)}


def _backend(editor: Editor, recording: Recording, plan: Any, words: list[Word]) -> Any:
    from uniaudio_edit.plugins import get_host

    made = get_host().create("edit_backend", plan.operations[0].backend)
    request = EditRequest(
        recording.pcm, recording.sample_rate, plan.operations, plan, words, 0,
        {"bits": recording.bits},
    )  # fmt: skip
    return made.apply(request)


def anew(model: str, path: Path, words: list[Word], repeats: int) -> dict[str, float]:
    """Seconds of what `lm` does, by a model that was not trained on edits."""
    speaker = UniAudio.from_pretrained(model)
    wav, rate = load_audio(path)
    text = " ".join(word.text for word in words)

    def work() -> None:
        speaker.transcribe(wav, rate)
        speaker.synthesize(text)

    return {"apply": round(cpu_seconds(work, repeats), 5), "changed": 1.0}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lengths", type=float, nargs="+", default=[10.0, 60.0, 300.0, 600.0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--model", help="a speech model, for the edits that need one")
    parser.add_argument("--lm-seconds", type=float, default=60.0)
    options = parser.parse_args()
    rows: dict[str, dict[str, dict[str, float]]] = {}
    edits = {**_EDITS, **(_MODEL_EDITS if options.model else {})}
    with tempfile.TemporaryDirectory() as folder:
        for seconds in options.lengths:
            wav, words = spoken(seconds)
            wav = wav[: round(seconds * RATE)]
            words = [w for w in words if w.end < seconds - 0.2]
            path = Path(folder) / f"{seconds:g}.wav"
            soundfile.write(path, np.clip(wav, -1, 1), RATE, subtype="PCM_16")
            for name, (wording, _) in edits.items():
                backend = name.split()[0]
                if backend == "lm" and seconds > options.lm_seconds:
                    continue
                settings: dict[str, Any] = {"backend": backend}
                if options.model:
                    settings["model"] = options.model
                instruction = wording.format(middle=len(words) // 2)
                try:
                    row = timed(Editor(**settings), path, words, instruction, options.repeats)
                except (MissingPartError, NoSpeechError):
                    if backend != "lm":
                        raise
                    row = anew(options.model, path, words, options.repeats)
                rows.setdefault(name, {})[f"{seconds:g}"] = row
                print(name, seconds, row)
    growth = {}
    for name, by_length in rows.items():
        lengths = sorted(by_length, key=float)
        if len(lengths) > 1:
            minutes = (float(lengths[-1]) - float(lengths[0])) / 60
            first, last = by_length[lengths[0]], by_length[lengths[-1]]
            growth[name] = {
                key: round((last[key] - first[key]) / minutes, 5)
                for key in ("backend", "apply", "file")
                if key in last
            }
    print(json.dumps({"benchmark": "edit_speed", "edits": rows, "growth": growth}))


if __name__ == "__main__":
    main()
