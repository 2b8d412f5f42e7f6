"""Measure speech decoders on copies from the description and on what the nano itself generates.

    python evaluate.py HIBARI/manifest.jsonl REAL/manifest.jsonl shipped RUN/last.pt ...

Three sets: 16 held-out sentences of the teacher voice, 30 test clips of unseen speakers (up to 8
seconds, two a speaker), and 12 sentences that the nano speaks (the latents of one generation, the
same for every decoder). DNSMOS OVRL; PESQ, STOI and speaker similarity to the recording.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from train import DESCRIBED, SpeechDecoder

from mingtok_audio import MingTok
from mingtok_audio.core.audio import load_audio, resample

TEXTS = (
    "The weather was good all day, and the children played in the garden.",
    "She opened the letter slowly and read it twice.",
    "Nobody knew where the old map had come from.",
    "A thin line of smoke rose above the distant hills.",
    "We should leave before the rain begins.",
    "The captain asked for a cup of strong coffee.",
    "It takes about an hour to walk to the station.",
    "His brother works in a small shop near the river.",
    "Please write your name at the top of the page.",
    "The music stopped and everyone turned around.",
    "They built the bridge in less than two years.",
    "I have never seen such a beautiful morning.",
)


def clips(manifest: Path, splits: set[str], count: int, longest: float) -> list[np.ndarray]:
    rows = [json.loads(line) for line in manifest.read_text(encoding="utf-8").splitlines()]
    seen: Counter = Counter()
    found = []
    for row in rows:
        key = row.get("speaker") or row["source"]
        usable = row["split"] in splits and 2 < row["seconds"] < longest
        if not usable or row.get("style", "sentence") != "sentence" or row["language"] != "en":
            continue
        if seen[key] >= (2 if "style" in row else count):
            continue
        seen[key] += 1
        wav, rate = load_audio(manifest.parent / row["audio"])
        wav = np.asarray(resample(np.asarray(wav), rate, 16000), np.float32).reshape(-1)
        found.append(wav[: len(wav) // 320 * 320])
        if len(found) == count:
            break
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("hibari", type=Path)
    parser.add_argument("real", type=Path)
    parser.add_argument("decoders", nargs="+")
    parser.add_argument("--wavs", type=Path, help="write the sounds here")
    args = parser.parse_args()
    torch.set_num_threads(1)
    from pesq import pesq
    from pystoi import stoi
    from resemblyzer import VoiceEncoder
    from speechmos import dnsmos

    from uniaudio_lm import UniAudio

    tok = MingTok.from_pretrained("nano")
    voice = VoiceEncoder("cpu", verbose=False)
    sets = {
        "teacher": clips(args.hibari, {"valid", "test"}, 16, 9),
        "real": clips(args.real, {"test"}, 30, 8),
    }
    latents = {
        n: [tok.encode(w, 16000).values[..., :DESCRIBED] for w in s] for n, s in sets.items()
    }
    lm = UniAudio.from_pretrained("nano")
    said: list[torch.Tensor] = []
    decode = lm.tokenizer.decode_step

    def keep(values: torch.Tensor, *rest):  # the latents of one generation, taken on their way
        parts.append(values[..., :DESCRIBED].clone())
        return decode(values, *rest)

    lm.tokenizer.decode_step = keep
    for i, text in enumerate(TEXTS):
        parts: list[torch.Tensor] = []
        lm.synthesize(text, seed=i)
        said.append(torch.cat(parts, 1).float())
    del lm.tokenizer.decode_step

    def copy_of(decoder: SpeechDecoder | None, described: torch.Tensor) -> np.ndarray:
        if decoder is None:
            full = torch.zeros(1, described.shape[1], tok.config.latent_dim)
            full[..., :DESCRIBED] = described
            return tok.decode(full)[0].numpy()
        with torch.no_grad():
            return decoder(described)[0].float().numpy()

    for name in args.decoders:
        decoder = None
        if name not in {"shipped", "recording"}:
            decoder = SpeechDecoder()
            decoder.load_state_dict(torch.load(name, weights_only=False)["model"])
            decoder.eval()
        row: dict[str, dict[str, float]] = {}
        for key in (*sets, "nano"):
            scores: dict[str, list[float]] = {}
            sources = said if key == "nano" else latents[key]
            if key == "nano" and name == "recording":
                continue
            for i, described in enumerate(sources):
                out = sets[key][i] if name == "recording" else copy_of(decoder, described)
                out = np.clip(out, -1, 1)
                scores.setdefault("ovrl", []).append(dnsmos.run(out, 16000)["ovrl_mos"])
                if args.wavs:
                    from mingtok_audio import save_audio

                    folder = args.wavs / name.replace("/", "_") / key
                    folder.mkdir(parents=True, exist_ok=True)
                    save_audio(folder / f"{i}.wav", out, 16000)
                if key == "nano":
                    continue
                ref = sets[key][i]
                n = min(len(ref), len(out))
                scores.setdefault("pesq", []).append(pesq(16000, ref[:n], out[:n], "wb"))
                scores.setdefault("stoi", []).append(stoi(ref[:n], out[:n], 16000))
                a, b = voice.embed_utterance(ref), voice.embed_utterance(out)
                scores.setdefault("sim", []).append(float(a @ b))
            row[key] = {k: round(float(np.mean(v)), 3) for k, v in scores.items()}
        print(json.dumps({"decoder": name, **row}), flush=True)


if __name__ == "__main__":
    main()
