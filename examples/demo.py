"""The whole toolkit in a minute: speak, recognise, delete, replace, undo, check, one page to open.

    python examples/demo.py [FOLDER]        # out/demo by default; `make demo` runs it

The page (`demo.html`) holds the sounds, their spectrograms and the receipts: it needs nothing else.
"""

from __future__ import annotations

import base64
import html
import json
import struct
import sys
import time
import zlib
from pathlib import Path

import numpy as np

from mingtok_audio import load_audio, save_audio
from uniaudio_edit import Editor
from uniaudio_edit.receipt import undo_receipt
from uniaudio_lm import UniAudio

SENTENCE = "The weather was good all day."
RECORDING = Path(__file__).parent / "data" / "librivox_0880.wav"


def spectrogram(wav: np.ndarray, rate: int) -> bytes:
    """A PNG of the log spectrogram, 0 to 8 kHz, 10 ms a column."""
    size, hop = 512, rate // 100
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(wav, size // 2), size)[::hop]
    power = np.abs(np.fft.rfft(frames * np.hanning(size), axis=1)) ** 2
    level = np.clip((10 * np.log10(power + 1e-9) + 50) / 80, 0, 1)[:, : size // 2]
    grey = (255 * level[:, ::-1].T).astype(np.uint8)  # frequency upwards
    ramp = np.linspace(0, 1, 256)
    colours = np.stack([ramp**0.6, ramp**1.6, 0.35 + 0.4 * np.sin(3 * ramp)], axis=1)
    pixels = (255 * np.clip(colours, 0, 1)).astype(np.uint8)[grey]
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    head = struct.pack(">IIBBBBB", grey.shape[1], grey.shape[0], 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def embedded(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def card(title: str, note: str, path: Path, receipt: dict | None = None) -> str:
    """One sound on the page."""
    wav, rate = load_audio(path)
    picture = embedded("image/png", spectrogram(np.asarray(wav).reshape(-1), rate))
    details = ""
    if receipt is not None:
        text = html.escape(json.dumps(receipt, indent=1, ensure_ascii=False))
        details = f"<details><summary>receipt</summary><pre>{text}</pre></details>"
    return (
        f"<section><h2>{html.escape(title)}</h2><p>{html.escape(note)}</p>"
        f'<audio controls src="{embedded("audio/wav", path.read_bytes())}"></audio>'
        f'<img src="{picture}" alt="spectrogram of: {html.escape(title)}">{details}</section>'
    )


def main(folder: str = "out/demo") -> None:
    began = time.perf_counter()
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    for name in ("said", "cut", "new", "cut.back", "new.back"):  # of an earlier run
        for suffix in (".wav", ".receipt.json", ".undo.safetensors"):
            (out / f"{name}{suffix}").unlink(missing_ok=True)
    cards: list[str] = []

    def show(title: str, note: str, path: Path, receipt: dict | None = None) -> None:
        print(f"{title}: {note}")
        cards.append(card(title, note, path, receipt))

    model = UniAudio.from_pretrained("nano")
    said = model.synthesize(SENTENCE, seed=1)
    save_audio(out / "said.wav", np.asarray(said.wav), said.sample_rate)
    show("Speech from text", f"the nano says: {SENTENCE}", out / "said.wav")
    heard = model.transcribe(np.asarray(said.wav), said.sample_rate)
    print(f"Recognised: {heard.text}")

    editor = Editor(model=model, seed=1)
    text = RECORDING.with_suffix(".txt").read_text(encoding="utf-8").strip()
    show("A recording", text, RECORDING)
    word = text.split()[2]
    cut = editor.edit_file(RECORDING, f"delete '{word}'", out / "cut.wav", text=text)
    kept = 1 - sum(b - a for a, b in (c["source"] for c in cut.changed)) / cut.source["num_samples"]
    note = f"without '{word}': {kept:.1%} of the samples are the recording's own"
    show("Words deleted", note, out / "cut.wav", cut.to_dict())

    new = editor.edit_file(
        out / "said.wav", "replace 'good' with 'cold'", out / "new.wav", text=SENTENCE
    )
    show("Words replaced", f"now: {new.plan['edited_text']}", out / "new.wav", new.to_dict())
    print(f"Recognised: {model.transcribe(*load_audio(out / 'new.wav')).text}")

    for name, source in (("cut", RECORDING), ("new", out / "said.wav")):
        back = out / f"{name}.back.wav"
        undo_receipt(out / f"{name}.receipt.json", None, back)
        same = back.read_bytes() == source.read_bytes()
        print(f"Undo of {name}.wav: {'byte for byte the original' if same else 'NOT the original'}")
        if not same:
            raise SystemExit(1)

    page = (
        "<!doctype html><html lang=en><meta charset=utf-8><title>Ming-UniAudio toolkit: demo"
        "</title><style>body{font:16px/1.5 system-ui;max-width:60rem;margin:2rem auto}"
        "img{display:block;width:100%;height:9rem;image-rendering:auto;margin:.5rem 0}"
        "audio{width:100%}pre{overflow:auto;background:#8881;padding:1rem}"
        "section{border-top:1px solid #8884}</style><h1>What the nano does</h1>"
        f"<p>The recogniser wrote of the first sentence: “{html.escape(heard.text)}”. Both edits "
        "were undone and compared with their originals: every byte is equal.</p>" + "".join(cards)
    )
    (out / "demo.html").write_text(page, encoding="utf-8")
    print(f"Done in {time.perf_counter() - began:.0f} s. Open {out / 'demo.html'} in a browser.")


if __name__ == "__main__":
    main(*sys.argv[1:2])
