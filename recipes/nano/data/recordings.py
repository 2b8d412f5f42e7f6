"""Real recordings that are only ever tested on: many unseen speakers and languages.

LibriVox sentences and card names of pocketsphinx-testdata, the LibriSpeech recording of
examples/data, and short phrases of Tux Paint's stamps in ten languages (GPL-2: for evaluation
only, nothing is trained on them).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from .common import Item, read_manifest, save_flac, stable_fraction, to_16k, write_manifest
from .packages import debian_package

EXAMPLES = Path(__file__).resolve().parents[3] / "examples" / "data"
STAMP_LANGUAGES = ("en", "fr", "ru", "ro", "ca", "bg", "es", "be", "el", "da")
STAMPS_A_LANGUAGE = 40
MIN_STAMP_SECONDS = 1.2


def collect(corpus: Path, recordings: Iterable[tuple[Path, str, str, str, str, str]]) -> Path:
    """Converts (file, id, text, language, speaker, licence) to a corpus; redoes what is missing."""
    import soundfile

    manifest = corpus / "manifest.jsonl"
    present = {item.id: item for item in read_manifest(manifest)}
    items = []
    for path, key, text, language, speaker, licence in recordings:
        item = present.get(key)
        if item is None or not (corpus / item.audio).exists():
            wav, sample_rate = soundfile.read(path, dtype="float32", always_2d=True)
            audio = f"wavs/{key}.flac"
            seconds = save_flac(corpus / audio, to_16k(np.mean(wav, axis=1), sample_rate))
            item = Item(
                id=key,
                audio=audio,
                text=text,
                language=language,
                speaker=speaker,
                source=f"{corpus.name}: {path.name}",
                licence=licence,
                split="test",
                seconds=round(seconds, 4),
                document=corpus.name,
            )
        items.append(item)
    write_manifest(manifest, items)
    return manifest


def pocketsphinx(out: Path) -> Path:
    """Five LibriVox sentences (one reader) and five card names (another speaker)."""
    root = debian_package("pocketsphinx-testdata", out / "packages")
    data = root / "usr/share/pocketsphinx/test/data"
    found = []
    for folder, transcripts, speaker, licence in (
        ("librivox", "transcription", "librivox-austen", "public domain, BSD-2-Clause"),
        ("cards", "cards.transcription", "pocketsphinx-cards", "BSD-2-Clause"),
    ):
        text = (data / folder / transcripts).read_text(encoding="utf-8")
        for words, name in re.findall(r"<s>\s*(.*?)\s*</s>\s*\((\S+)\)", text):
            path = data / folder / f"{name}.wav"
            key = f"{folder}-{name.rsplit('-', 1)[-1]}"
            found.append((path, key, words, "en", speaker, licence))
    return collect(out / "pocketsphinx", found)


def librispeech(out: Path) -> Path:
    """The LibriSpeech recording that this project ships."""
    path = EXAMPLES / "librispeech_1089-134686-0000.flac"
    text = path.with_suffix(".txt").read_text(encoding="utf-8").strip()
    recording = (path, "librispeech-1089-134686-0000", text, "en", "librispeech-1089", "CC-BY-4.0")
    return collect(out / "librispeech", [recording])


def stamp_text(path: Path, language: str) -> str:
    """The description of a stamp: the first line is English, the others are `LL.utf8=...`."""
    lines = path.read_text(encoding="utf-8").splitlines()
    if language == "en":
        return lines[0].strip()
    for line in lines:
        name, _, text = line.partition(".utf8=")
        if name == language:
            return text.strip()
    return ""


def stamps(out: Path) -> Path:
    """A fixed draw of 40 phrases a language that last at least 1.2 s at 16 kHz or more."""
    import soundfile

    root = debian_package("tuxpaint-stamps-default", out / "packages")
    folder = root / "usr/share/tuxpaint/stamps"
    found = []
    for language in STAMP_LANGUAGES:
        suffix = "_desc.ogg" if language == "en" else f"_desc_{language}.ogg"
        names = {p.relative_to(folder).as_posix(): p for p in folder.rglob(f"*{suffix}")}
        taken = 0
        for name in sorted(names, key=stable_fraction):
            path = names[name]
            stem = path.name.removesuffix(suffix)
            description = path.with_name(f"{stem}.txt")
            text = stamp_text(description, language) if description.exists() else ""
            if not text or taken == STAMPS_A_LANGUAGE:
                continue
            about = soundfile.info(path)
            if about.samplerate < 16_000 or about.duration < MIN_STAMP_SECONDS:
                continue
            taken += 1
            place = path.parent.relative_to(folder).as_posix().replace("/", "-")
            key = f"stamps-{language}-{place}-{stem}"
            found.append((path, key, text, language, f"tuxpaint-{language}", "GPL-2.0"))
    return collect(out / "stamps", found)


def prepare(out: Path) -> list[Path]:
    """Builds the three test corpora; returns their manifests."""
    return [pocketsphinx(out), librispeech(out), stamps(out)]
