"""Real speech: the prompts of the Asterisk telephone exchange, one speaker a language.

About 25 minutes each of English, Spanish, French, Italian and Russian at 16 kHz (G.722), with
transcripts. Italian (another speaker and another language) is held out for testing.
"""

from __future__ import annotations

import gzip
import re
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .common import SAMPLE_RATE, Item, assign_split, read_manifest, save_flac, write_manifest
from .packages import PackageError, debian_package


@dataclass(frozen=True)
class Prompts:
    language: str
    speaker: str
    licence: str
    held_out: bool = False


VOICES = (
    Prompts("en", "asterisk-allison", "CC-BY-SA-3.0"),
    # The Spanish prompts are read by the same person as the English ones.
    Prompts("es", "asterisk-allison", "CC-BY-SA-3.0"),
    Prompts("fr", "asterisk-june", "CC-BY-SA-3.0"),
    Prompts("it", "asterisk-carlo", "CC-BY-3.0", held_out=True),
    Prompts("ru", "asterisk-ivrvoice", "CC-BY-3.0"),
)


def read_transcripts(path: Path) -> dict[str, str]:
    """Prompt name to text, of a `core-sounds-XX.txt.gz`; notes in [] or <> mean noises."""
    texts = {}
    for line in gzip.decompress(path.read_bytes()).decode("utf-8-sig").splitlines():
        name, colon, text = line.partition(":")
        if colon and not name.startswith(";"):
            texts[name.strip()] = " ".join(text.split())
    return texts


def is_speech(name: str, text: str) -> bool:
    """False for tones, silences, monkeys and prompts whose text is a stage direction."""
    if name.startswith(("silence/", "beep", "ascending", "descending", "tt-monkeys")):
        return False
    return bool(re.search(r"\w", text)) and not re.search(r"[\[\]<>]", text)


def decode_g722(files: list[Path], batch: int = 100) -> Iterator[np.ndarray]:
    """Decodes G.722 files to float32 (T,) at 16 kHz, many files with each decoder process.

    A process a file is slow, and joining the files into one stream is wrong: the adaptive
    predictor must start afresh in each. So a process gets `batch` inputs and as many outputs.
    """
    for first in range(0, len(files), batch):
        part = files[first : first + batch]
        with tempfile.TemporaryDirectory() as folder:
            outputs = [Path(folder) / f"{number}.s16" for number in range(len(part))]
            command = ["ffmpeg", "-nostdin", "-v", "error"]
            for path in part:
                command += ["-f", "g722", "-i", str(path)]
            for number, path in enumerate(outputs):
                command += ["-map", f"{number}:a", "-f", "s16le", str(path)]
            try:
                done = subprocess.run(command, capture_output=True, text=True, check=False)
            except FileNotFoundError as error:
                message = "ffmpeg is needed to decode G.722: apt-get install ffmpeg"
                raise PackageError(message) from error
            if done.returncode != 0:
                raise PackageError(f"ffmpeg could not decode G.722: {done.stderr.strip()}")
            for source, path in zip(part, outputs, strict=True):
                samples = np.fromfile(path, dtype="<i2")
                if len(samples) != 2 * source.stat().st_size:  # a byte gives two samples
                    raise PackageError(f"{source.name}: ffmpeg decoded only a part of it")
                yield samples.astype(np.float32) / 32768


def prepare(out: Path) -> list[Path]:
    """Builds `asterisk-XX` for each language; returns the manifests."""
    return [prepare_language(voice, out) for voice in VOICES]


def prepare_language(voice: Prompts, out: Path) -> Path:
    corpus = f"asterisk-{voice.language}"
    manifest = out / corpus / "manifest.jsonl"
    package = f"asterisk-core-sounds-{voice.language}"
    texts_root = debian_package(package, out / "packages")
    audio_root = debian_package(f"{package}-g722", out / "packages")
    (transcripts,) = texts_root.rglob("core-sounds-*.txt.gz")
    texts = read_transcripts(transcripts)
    (sounds,) = (audio_root / "usr/share/asterisk/sounds").iterdir()
    present = {item.id: item for item in read_manifest(manifest)}
    wanted: dict[str, Path] = {}
    for path in sorted(sounds.rglob("*.g722")):
        name = path.relative_to(sounds).with_suffix("").as_posix()
        if is_speech(name, texts.get(name, "")) and path.stat().st_size > 0:
            wanted[name] = path
    items = []
    missing = []
    for name in wanted:
        item = present.get(f"{corpus}-{name.replace('/', '-')}")
        if item is not None and (manifest.parent / item.audio).exists():
            items.append(item)
        else:
            missing.append(name)
    for name, wav in zip(missing, decode_g722([wanted[n] for n in missing]), strict=True):
        key = f"{corpus}-{name.replace('/', '-')}"
        audio = f"wavs/{key}.flac"
        seconds = save_flac(manifest.parent / audio, wav)
        items.append(
            Item(
                id=key,
                audio=audio,
                text=texts[name],
                language=voice.language,
                speaker=voice.speaker,
                source=f"Debian {package}-g722",
                licence=voice.licence,
                split=assign_split(key, held_out=voice.held_out),
                seconds=round(seconds, 4),
                sample_rate=SAMPLE_RATE,
                document=corpus,
            )
        )
    items.sort(key=lambda item: item.id)
    write_manifest(manifest, items)
    return manifest
