"""What each part of the nano language model is worth: the same job with its weights shuffled.

    python recipes/nano/evaluate/ablation.py -o out/ablation --limit 20
    for part in out/ablation/*; do
        audio-eval score tts --refs $part/tts.jsonl --hyps $part/tts -o $part/tts-score \
            --judges .judges --metrics wer,cer --baselines none
        audio-eval score asr --refs $part/asr.jsonl --hyps $part/asr -o $part/asr-score
    done

`whole` is the model as it ships. A part's numbers are shuffled inside each tensor (seed 0), so its
size and scale stay and what it learned is gone. The first sentences and the first recordings of the
bulk voice of `.data/lm-heldout` are said and read.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

from mingtok_audio import load_audio, save_audio
from uniaudio_lm import UniAudio

PARTS = (
    "whole",
    "backbone",
    "generation_head",
    "stop_detector",
    "compressor",
    "tokenizer.semantic",
)
FILES = ("audio", "reference", "source")  # of a row, named from where the manifest lies


@torch.no_grad()
def shuffle(part: torch.nn.Module) -> None:
    """Shuffle the numbers inside each tensor."""
    generator = torch.Generator().manual_seed(0)
    for parameter in part.parameters():
        order = torch.randperm(parameter.numel(), generator=generator)
        parameter.copy_(parameter.flatten()[order].view_as(parameter))


def rows_of(manifest: Path, mode: str | None, limit: int) -> list[dict[str, str]]:
    rows = [json.loads(line) for line in manifest.read_text(encoding="utf-8").splitlines()]
    return [row for row in rows if mode is None or row.get("mode") == mode][:limit]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--heldout", type=Path, default=Path(".data/lm-heldout"))
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=20)
    parser.add_argument("--model", default="nano")
    options = parser.parse_args()
    said = rows_of(options.heldout / "tts.jsonl", None, options.limit)
    heard = rows_of(options.heldout / "asr.jsonl", "bulk", options.limit)
    for name in PARTS:
        model = UniAudio.from_pretrained(options.model)
        if name != "whole":
            shuffle(model.model.get_submodule(name))
        folder = options.output / name
        for task, rows in (("tts", said), ("asr", heard)):
            (folder / task).mkdir(parents=True, exist_ok=True)
            lines = []
            for row in rows:
                files = {k: str((options.heldout / row[k]).resolve()) for k in FILES if k in row}
                fixed = row | files
                lines.append(json.dumps(fixed, ensure_ascii=False) + "\n")
            (folder / f"{task}.jsonl").write_text("".join(lines), encoding="utf-8")
        for row in said:
            speech = model.synthesize(row["text"])
            save_audio(folder / "tts" / f"{row['id']}.wav", speech.wav, speech.sample_rate)
        for row in heard:
            wav, rate = load_audio(options.heldout / row["audio"])
            text = model.transcribe(wav, rate).text
            (folder / "asr" / f"{row['id']}.txt").write_text(text + "\n", encoding="utf-8")
        print(f"{folder}: {len(said)} sentences, {len(heard)} recordings", flush=True)


if __name__ == "__main__":
    main()
