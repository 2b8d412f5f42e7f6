"""Is every sample outside the declared change the source's, and are the joins no louder than the
recording itself?

    python benchmarks/edit_preservation.py [--seconds 600]

The two recordings of examples/data become: 16 kHz mono 16 bit, 44.1 kHz stereo 16 bit, 48 kHz mono
24 bit, 44.1 kHz stereo 24 bit, 16 kHz float, and a recording of ten minutes. Every instruction
names several sites. The click measure is audio-eval's `boundary_click` (dB over the 99.9th
percentile of the source's own second differences; a natural recording has some above 0), and
beside it the same measure at as many random places of the source. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from audio_eval.metrics.locality import BoundaryClick
from mingtok_audio.core.audio import load_audio
from mingtok_audio.core.audio.resampler import resample
from uniaudio_edit.editor import Editor
from uniaudio_edit.interfaces import Word
from uniaudio_edit.pcm import read_recording, to_float
from uniaudio_edit.receipt import Receipt, apply_receipt, undo_receipt
from uniaudio_edit.words import parse_words

DATA = Path(__file__).parent.parent / "examples" / "data"
RATE = 16000
_PAUSE_SECONDS = 0.35


@dataclass(frozen=True)
class Form:
    """How the recordings are kept in a file."""

    name: str
    rate: int
    channels: int
    subtype: str
    suffix: str = ".wav"
    seconds: float = 0.0
    """At least so long; 0 takes each recording once."""


FORMS = (
    Form("16 kHz mono 16 bit", 16000, 1, "PCM_16"),
    Form("44.1 kHz stereo 16 bit", 44100, 2, "PCM_16", ".flac"),
    Form("48 kHz mono 24 bit", 48000, 1, "PCM_24"),
    Form("44.1 kHz stereo 24 bit", 44100, 2, "PCM_24", ".flac"),
    Form("16 kHz stereo float", 16000, 2, "FLOAT"),
)
LONG = Form("ten minutes", 16000, 1, "PCM_16", seconds=600.0)


def spoken(seconds: float) -> tuple[np.ndarray, list[Word]]:
    """The shipped recordings one after the other (T,) at 16 kHz, and when each word is spoken."""
    pieces, words, start = [], list[Word](), 0.0
    while not pieces or start < seconds:
        for path in sorted(p for p in DATA.iterdir() if p.suffix in (".wav", ".flac")):
            wav, _ = load_audio(path, RATE)
            data = json.loads((DATA / f"{path.stem}.words.json").read_text(encoding="utf-8"))
            words += [
                Word(w.text, w.start + start, w.end + start) for w in parse_words(data, path.name)
            ]
            # A real pause: the quietest stretch of the recording's own noise, turned around.
            pause = wav[-round(_PAUSE_SECONDS * RATE) :][::-1] * np.float32(0.5)
            pieces += [wav, pause]
            start += (len(wav) + len(pause)) / RATE
    return np.concatenate(pieces), words


def make_file(folder: Path, form: Form) -> tuple[Path, list[Word]]:
    """A file of the form, and its word times."""
    wav, words = spoken(form.seconds)
    wav = resample(wav, RATE, form.rate)
    if form.channels == 2:  # the second channel is later and softer, as from another place
        late = round(0.0007 * form.rate)
        wav = np.stack([wav, 0.7 * np.concatenate([np.zeros(late, np.float32), wav[:-late]])], 1)
    path = folder / f"{form.name.replace(' ', '_')}{form.suffix}"
    soundfile.write(path, np.clip(wav, -1, 1), form.rate, subtype=form.subtype)
    return path, words


def outside(source: np.ndarray, output: np.ndarray, receipt: Receipt) -> tuple[int, int]:
    """(equal, all) samples outside the declared change."""
    same = total = s = o = 0
    ends = {"source": [len(source)] * 2, "output": [len(output)] * 2}
    for item in [*receipt.changed, ends]:
        (a, b), (c, d) = item["source"], item["output"]
        if a - s != c - o:
            return 0, len(source)
        same += int(np.count_nonzero(source[s:a] == output[o:c]))
        total += source[s:a].size
        s, o = b, d
    return same, total


def click(source: np.ndarray, output: np.ndarray, receipt: Receipt, rate: int) -> float:
    """The loudest site in dB, in mono, by audio-eval."""
    before, after = (to_float(x).mean(axis=1) for x in (source, output))
    spans = [(tuple(c["source"]), tuple(c["output"])) for c in receipt.changed]
    value = BoundaryClick().measure(before, after, spans, rate).value  # type: ignore[arg-type]
    assert value is not None
    return float(value)


def natural_clicks(source: np.ndarray, rate: int, count: int) -> np.ndarray:
    """The same measure at random places of the source (count,), where nothing was cut."""
    jumps = np.abs(np.diff(to_float(source).mean(axis=1), 2))
    usual = max(float(np.percentile(jumps, 99.9)), 1e-7)
    places = np.random.default_rng(0).integers(rate // 10, len(source) - rate // 10, count)
    half, reach = round(0.004 * rate), max(2, rate // 1000)
    worst = [
        max(float(jumps[e - reach : e + reach].max()) for e in (p - half, p + half))
        for p in places.tolist()
    ]
    return 20.0 * np.log10(np.maximum(worst, 1e-7) / usual)


def measure(folder: Path, form: Form, instruction: str) -> dict[str, float | int | str]:
    """One form: preservation, declared share, clicks, undo and repeat."""
    path, words = make_file(folder, form)
    out = folder / f"edited_{path.name}"
    began = time.perf_counter()
    receipt = Editor().edit_file(path, instruction, out, words=words)
    seconds = time.perf_counter() - began
    source, output = read_recording(path), read_recording(out)
    same, total = outside(source.pcm, output.pcm, receipt)
    place = out.with_suffix(".receipt.json")
    undone = undo_receipt(place, None, folder / f"back_{path.name}")
    back = read_recording(folder / f"back_{path.name}").pcm
    again = apply_receipt(place, path, folder / f"again_{path.name}")
    loudest = click(source.pcm, output.pcm, receipt, form.rate)
    natural = natural_clicks(source.pcm, form.rate, 2000)
    declared = sum(b - a for a, b in (c["source"] for c in receipt.changed))
    return {
        "form": form.name,
        "seconds": round(source.seconds, 2),
        "sites": len(receipt.changed),
        "outside_equal_percent": 100.0 * same / total,
        "samples_outside": total,
        "declared_percent": round(100.0 * declared / len(source.pcm), 3),
        "click_db_max": round(loudest, 1),
        "natural_db_99th_percentile": round(float(np.percentile(natural, 99)), 1),
        "natural_db_max": round(float(natural.max()), 1),
        "undo_exact": bool(np.array_equal(back, source.pcm)),
        "undo_same_file": bool(undone["same_file"]),
        "repeat_same_file": bool(again["same_file"]),
        "edit_seconds": round(seconds, 3),
    }


INSTRUCTION = "delete 'turnips and', 'ladled', 'ill-disposed' and 'thick peppered'"
LONG_INSTRUCTION = "delete the 4th word, the 60th word, words 200 to 203 and the last word"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=LONG.seconds)
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        for form in FORMS:
            rows.append(measure(Path(name), form, INSTRUCTION))
            print(rows[-1])
        if options.seconds:
            long = Form(LONG.name, 16000, 1, "PCM_16", seconds=options.seconds)
            rows.append(measure(Path(name), long, LONG_INSTRUCTION))
            print(rows[-1])
    print(json.dumps({"benchmark": "edit_preservation", "forms": rows}))


if __name__ == "__main__":
    main()
