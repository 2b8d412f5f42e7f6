"""Fine-tuning a model on a folder of recordings with their texts: from the folder to a run."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mingtok_audio.core.audio import audio_info
from mingtok_audio.core.errors import ConfigError, UserError
from mingtok_audio.core.files import atomic_write_text, os_reason
from mingtok_audio.trainer.settings import OptimConfig, TrainerConfig
from mingtok_audio.training.manifests import Source
from uniaudio_lm.training.settings import (
    Evaluation,
    Generation,
    JointConfig,
    JointData,
    JointLoss,
    Latents,
    LoraConfig,
)

SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".opus")
TABLES = ("metadata.csv", "metadata.txt")
MANIFEST = "manifest.jsonl"
_HELD_OUT = 20  # one of so many recordings is kept for validation


@dataclass(frozen=True)
class Finetuning:
    """What is asked for; the options of `uniaudio finetune`.

    Attributes:
        model: to start from.
        method: "lora" trains adapters on the language model, the generation head and the stop
            detector; "full" all of the language model, none of the tokenizer.
        steps: of the optimiser.
        lr: of the optimiser; None: 1e-4 with adapters, 2e-5 without.
        rank: of the adapters.
        max_tokens: of a batch, padding included; less needs less memory.
        longest: seconds of a recording that is taken.
        continued: share of the items that follow another recording of their speaker, as a voice
            prompt comes before what it says.
        precision: "bf16" computes in bfloat16 and keeps frozen weights in it.
        language: of the texts, where they all have one.
        seed: of everything random.
    """

    model: str
    method: Literal["lora", "full"] = "lora"
    steps: int = 1000
    lr: float | None = None
    rank: int = 16
    max_tokens: int = 1000
    longest: float = 30.0
    continued: float = 0.3
    precision: Literal["no", "bf16"] = "no"
    language: str = ""
    seed: int = 0


def read_folder(folder: Path, language: str = "") -> tuple[list[dict[str, object]], list[str]]:
    """The recordings of a folder that have a text: `x.wav` beside `x.txt`, or named in
    `metadata.csv` (`name|text`, as LJSpeech has it; the last column is taken).

    Returns:
        rows of a manifest, and the names of recordings without a text.

    Raises:
        UserError: no such folder, or nothing in it that could be used.
    """
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}")
    table = _table(folder)
    rows: list[dict[str, object]] = []
    silent: list[str] = []
    for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES):
        text = table.get(path.stem) or table.get(path.name) or ""
        beside = path.with_suffix(".txt")
        if not text and beside.is_file():
            text = _read(beside)
        text = " ".join(text.split())
        if not text:
            silent.append(path.name)
            continue
        try:
            info = audio_info(path)
        except UserError:
            silent.append(path.name)
            continue
        row: dict[str, object] = {
            "id": str(path.relative_to(folder)),
            "audio": str(path.resolve()),
            "seconds": round(info.seconds, 4),
            "text": text,
            "speaker": path.parent.name if path.parent != folder else "",
        }
        rows.append(row | ({"language": language} if language else {}))
    if not rows:
        raise UserError(
            f"{folder} holds no recording with a text: put x.txt beside each x.wav, or name the "
            f"texts in {TABLES[0]} (name|text)"
        )
    return rows, silent


def _table(folder: Path) -> dict[str, str]:
    for name in TABLES:
        if (folder / name).is_file():
            lines = _read(folder / name).splitlines()
            rows = csv.reader(lines, delimiter="|", quoting=csv.QUOTE_NONE)
            return {row[0].strip(): row[-1] for row in rows if len(row) > 1}
    return {}


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is no UTF-8 text") from error
    except OSError as error:
        raise UserError(f"cannot read {path}: {os_reason(error)}") from error


def write_manifest(source: Path, run: Path, language: str = "") -> tuple[int, list[str]]:
    """`manifest.jsonl` in the run's folder, of a folder of recordings or another manifest; one
    recording of 20 is held out where there are so many. Returns how many recordings there are,
    and the names of those without a text."""
    silent: list[str] = []
    if source.is_file():
        rows = [json.loads(line) for line in _read(source).splitlines() if line.strip()]
        if not all(isinstance(row, dict) and {"audio", "seconds"} <= row.keys() for row in rows):
            raise ConfigError(f"{source}: each line is an object with audio, seconds and text")
        for row in rows:
            row["audio"] = str((source.parent / row["audio"]).resolve())
    else:
        rows, silent = read_folder(source, language)
    for number, row in enumerate(rows):
        row["split"] = "valid" if number % _HELD_OUT == _HELD_OUT - 1 else "train"
    run.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    atomic_write_text(run / MANIFEST, "".join(lines))
    return len(rows), silent


def finetune_config(asked: Finetuning, run: Path, recordings: int) -> JointConfig:
    """The run, as `uniaudio train` would have it from a YAML file.

    Raises:
        ConfigError: a value that cannot be.
    """
    if asked.steps < 1:
        raise ConfigError(f"--steps is at least 1, not {asked.steps}")
    if asked.lr is not None and not asked.lr > 0:
        raise ConfigError(f"--lr is above 0, not {asked.lr}")
    manifest = str(run / MANIFEST)
    try:
        data = JointData(
            generation=Generation(
                train=[Source(manifest, split="train")],
                valid=[Source(manifest, split="valid")] if recordings >= _HELD_OUT else [],
                max_tokens=asked.max_tokens,
                longest=asked.longest,
                continued=asked.continued,
            ),
            ratio=(0, 1),
            latents=Latents(cache=str(run / "latents")),
        )
        lora = LoraConfig(asked.rank, 2.0 * asked.rank) if asked.method == "lora" else None
    except ValueError as error:
        raise ConfigError(str(error)) from error
    parts = ["generation_head", "stop_detector"]
    if lora is None:
        parts = ["backbone", "compressor", "adapter", *parts]
    default = 1e-4 if lora else 2e-5
    every = max(1, asked.steps // 4)
    return JointConfig(
        data=data,
        init=asked.model,
        learn=parts,
        lora=lora,
        loss=JointLoss(draws=2),
        init_dtype="bfloat16" if asked.precision == "bf16" else "float32",
        optim=OptimConfig(
            lr=asked.lr or default,
            beta1=0.9,
            warmup_steps=min(50, max(1, asked.steps // 10)),
        ),
        trainer=TrainerConfig(
            max_steps=asked.steps,
            seed=asked.seed,
            mixed_precision=asked.precision,
            log_every=max(1, min(20, every)),
            evaluate_every=every,
        ),
        evaluation=Evaluation(batches=2),
    )
