"""What the shipped nano does on a dozen fixed inputs: the safety net of every refactoring.

    python tests/recorded/nano.py write    # record anew: only where a change of results is intended
    python tests/recorded/nano.py hashes   # SHA-256 of each exact result, one thread: equal before
                                           # and after a change that should change nothing

`test_recorded.py` compares with the committed recording. Exact bytes depend on the machine's
vector units, so the file holds what does not: texts, lengths, stop reasons, receipts, and the level
of each 20 ms of sound (decibels) or a slice of the latents.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

DATA = Path(__file__).parents[1] / "data" / "recorded"
CLIP = Path(__file__).parents[2] / "examples" / "data" / "librivox_0880.wav"
SPOKEN = {
    "sentence": ("The weather was good all day.", {}),
    "dit": ("Please close the window.", {}),
    "numbers": ("We met 12 people in 1984.", {}),
    "quick": ("A new house by the sea.", {"num_steps": 4, "cfg_scale": 1.0}),
}


def level(wav: np.ndarray) -> np.ndarray:
    """Samples (T,) to decibels (T // 320,) of each 20 ms at 16 kHz, at least -60."""
    frames = wav[: len(wav) // 320 * 320].reshape(-1, 320).astype(np.float64)
    return np.maximum(10 * np.log10((frames**2).mean(1) + 1e-12), -60.0).astype(np.float32)


def results() -> dict[str, tuple[dict[str, Any], np.ndarray]]:
    """Name to (facts that must be equal, array that must be close)."""
    from mingtok_audio import MingTok, load_audio
    from uniaudio_edit import Editor
    from uniaudio_lm import UniAudio, VoicePrompt

    out: dict[str, tuple[dict[str, Any], np.ndarray]] = {}
    wav, rate = load_audio(CLIP)
    wav = np.asarray(wav, dtype=np.float32).reshape(-1)
    text = CLIP.with_suffix(".txt").read_text().strip()

    tok = MingTok.from_pretrained("nano")
    latents = tok.encode(torch.from_numpy(wav), sample_rate=rate)
    values = latents.values[0].numpy()
    out["encode"] = ({"frames": len(values), "samples": int(latents.num_samples[0])}, values[:40])
    out["features"] = ({}, tok.features(latents)[0, :20].detach().numpy())
    decoded = tok.decode(latents)[0].numpy()
    out["decode"] = ({"samples": len(decoded)}, level(decoded))

    lm = UniAudio.from_pretrained("nano").use_watermark(None)  # its tests are its own
    dit = UniAudio.from_pretrained("nano", generation_head="dit").use_watermark(None)
    for name, (words, options) in SPOKEN.items():
        said = (dit if name == "dit" else lm).synthesize(words, seed=7, **options)
        samples = np.asarray(said.wav).reshape(-1)
        facts: dict[str, Any] = {"samples": len(samples), "stop": said.stop_reason}
        if name in {"sentence", "dit"}:
            facts["heard"] = lm.transcribe(torch.from_numpy(samples), said.sample_rate).text
        out[f"say {name}"] = (facts, level(samples))
    prompted = lm.synthesize("It is late.", voice=VoicePrompt(wav, rate, text), seed=3)
    samples = np.asarray(prompted.wav).reshape(-1)
    out["say prompted"] = ({"samples": len(samples), "stop": prompted.stop_reason}, level(samples))
    out["hear"] = ({"text": lm.transcribe(torch.from_numpy(wav), rate).text}, np.zeros(1))

    editor = Editor.from_pretrained("nano")
    for name, instruction in {
        "delete": f"delete '{text.split()[3]}'",
        "speed": "make it 20% faster",
        "volume": "make it 6 dB quieter",
        "fade": "fade in over 0.5 seconds",
    }.items():
        plan = editor.plan(wav, rate, instruction, text=text)
        edited = editor.apply(wav, rate, plan)
        samples = np.asarray(edited.wav).reshape(-1)
        facts = {"samples": len(samples), "changed": edited.receipt.changed}
        facts["edited_text"] = edited.receipt.plan["edited_text"]
        out[f"edit {name}"] = (facts, level(samples))
    return out


def main() -> None:
    torch.set_num_threads(1)
    found = results()
    if sys.argv[1:] == ["hashes"]:
        for name, (facts, array) in found.items():
            digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
            digest.update(np.ascontiguousarray(array).tobytes())
            print(digest.hexdigest()[:16], name, json.dumps(facts, ensure_ascii=False))
    elif sys.argv[1:] == ["write"]:
        DATA.mkdir(parents=True, exist_ok=True)
        facts = {name: f for name, (f, _) in found.items()}
        text = json.dumps(facts, indent=1, ensure_ascii=False) + "\n"
        (DATA / "nano.json").write_text(text, encoding="utf-8")
        arrays = {name: a.astype(np.float16) for name, (_, a) in found.items()}
        np.savez_compressed(DATA / "nano.npz", **arrays)
    else:
        raise SystemExit("usage: nano.py write|hashes")


if __name__ == "__main__":
    main()
