"""Parallel recordings for edits of emotion and dialect (paper section 6.2).

Two sources: corpora whose speakers say the same sentences in several ways (ESD, and any manifest
with `emotion` or `dialect`), and a speech model that says each sentence again in the recording's
voice, as an instruction asks (Ming-omni-tts). Either way the result is a manifest whose rows hold
`parallel`, which `uniaudio edit-data --task parallel` makes pairs of.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from os.path import relpath
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mingtok_audio.core.audio import load_audio, save_audio
from mingtok_audio.core.errors import FormatError, UserError
from mingtok_audio.core.files import atomic_write_text
from uniaudio_edit.operations.labels import DIALECTS, EMOTIONS, find_label
from uniaudio_edit.text import Text

if TYPE_CHECKING:
    from uniaudio_lm.engine import UniAudio

Style = Literal["emotion", "dialect"]
LABELS: Mapping[Style, Mapping[str, str]] = {"emotion": EMOTIONS, "dialect": DIALECTS}
_SPOKEN: Mapping[str, str] = {
    "happy": "高兴", "sad": "悲伤", "angry": "愤怒", "fearful": "恐惧", "surprised": "惊讶",
    "disgusted": "厌恶", "neutral": "平静", "excited": "兴奋", "tender": "温柔", "serious": "严肃",
    "cantonese": "广粤话", "sichuan": "川渝话", "chengdu": "成都话", "dongbei": "东北话",
    "shanghai": "上海话", "hunan": "湖南话", "henan": "河南话", "shandong": "山东话",
    "shaanxi": "陕西话", "tianjin": "天津话", "beijing": "北京话", "minnan": "闽南话",
    "hubei": "湖北话", "yunnan": "云南话", "chongqing": "重庆话", "guangxi": "广西话",
    "mandarin": "普通话",
}  # fmt: skip
"""How an instruction of Ming-omni-tts names a label; others are given as they are."""


@dataclass
class Parallel:
    """What was found or made.

    Attributes:
        rows: of the manifest that was written.
        counts: (from, to) labels to pairs.
        failed: ids of recordings that could not be read or said, and why.
    """

    rows: int = 0
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    failed: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        pairs = [{"from": a, "to": b, "pairs": n} for (a, b), n in sorted(self.counts.items())]
        return {"rows": self.rows, "pairs": pairs, "failed": self.failed}


def from_corpus(source: Path, output: Path, style: Style, *, any_speaker: bool = False) -> Parallel:
    """Give each row of a corpus the recordings of the same words with another label.

    Args:
        source: a JSON-lines manifest whose rows have `style`, or a folder laid out as ESD.
        output: the manifest to write; `audio` in it is relative to it.
        style: what differs.
        any_speaker: pair recordings of different speakers too (dialect corpora often have no
            speaker of two dialects); the voice then changes with the label.

    Raises:
        UserError: a source that cannot be read, an unknown label, no pair at all.
    """
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for row in _rows(source, style):
        words = " ".join(unit.text.lower() for unit in Text(row["text"]).units)
        key = (words,) if any_speaker else (words, str(row.get("speaker") or ""))
        if words and (any_speaker or row.get("speaker")):
            groups[key].append(row)
    out, found = [], Parallel()
    for group in groups.values():
        for row in group:
            others = [o for o in group if o[style] != row[style]]
            if others:
                found.counts.update((row[style], o[style]) for o in others)
                out.append(_written(row, [(o["audio"], o[style]) for o in others], style, output))
    if not out:
        alike = "of the same words" if any_speaker else "of one speaker and the same words"
        raise UserError(f"{source}: no two recordings {alike} have another {style}")
    _write(output, out)
    found.rows = len(out)
    return found


def from_model(
    source: Path,
    output: Path,
    style: Style,
    labels: Sequence[str],
    model: UniAudio,
    *,
    seed: int = 0,
    advance: Callable[[], None] = lambda: None,
) -> Parallel:
    """Let a speech model say each row again in its voice, once with each label.

    What it says is written beside `output` (`NAME-audio/`) without a watermark: a model that is
    trained on it must not learn one. Recordings that are there already are kept.

    Raises:
        UserError: a source that cannot be read, an unknown label, a model without instructions,
            nothing that could be said.
    """
    if model.config.prompt_format == "uniaudio":
        raise UserError(
            f"model {model.model_id} takes no instructions: give one that does (Ming-omni-tts)"
        )
    wanted = [_label(label, style, "--label") for label in labels]
    if not wanted:
        raise UserError(f"name the {style}s to say: --label happy, for example")
    folder = output.with_name(f"{output.stem}-audio")
    out, found = [], Parallel()
    for row in _rows(source, style, labelled=False):
        own, said = str(row.get(style) or ""), []
        for number, label in enumerate(wanted):
            if label == own:
                continue
            path = folder / f"{row['id']}-{label}.flac"
            try:
                if not path.is_file():
                    _say(model, row, {style: _SPOKEN.get(label, label)}, path, seed + number)
            except (UserError, OSError) as error:
                found.failed[f"{row['id']} {label}"] = str(error)
                continue
            said.append((path, label))
            found.counts[own or "recorded", label] += 1
        if said:
            out.append(_written(row, said, style, output))
        advance()
    if not out:
        why = next(iter(found.failed.values()), "it has no rows")
        raise UserError(f"{source}: nothing could be said: {why}")
    _write(output, out)
    found.rows = len(out)
    return found


def _say(
    model: UniAudio, row: Mapping[str, Any], how: Mapping[str, str], path: Path, seed: int
) -> None:
    from uniaudio_lm.tasks.tts import speak_batch
    from uniaudio_lm.tasks.voice import VoicePrompt

    wav, rate = load_audio(row["audio"])
    job = model.job(
        row["text"],
        VoicePrompt(wav, rate, row["text"]),
        seed=seed,
        instruction=how,
        marked=False,
    )
    made = speak_batch(model.model, [job], model.sampling(None), model.guard())[0]
    path.parent.mkdir(parents=True, exist_ok=True)
    save_audio(path, made.wav, made.sample_rate)


def _label(given: str, style: Style, where: str) -> str:
    found = find_label(given, LABELS[style])
    if found is None:
        known = ", ".join(LABELS[style])
        raise UserError(f"{where}: {given!r} is not one of the {style}s: {known}")
    return found


def _rows(source: Path, style: Style, labelled: bool = True) -> Iterator[dict[str, Any]]:
    """Rows with `id`, `audio` as a path, `text`, and the label under its own name, if any."""
    if source.is_dir():
        yield from _esd(source, style)
        return
    try:
        lines = source.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read the manifest {source}: {error}") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        where = f"{source}, line {number}"
        try:
            row = json.loads(line)
        except ValueError as error:
            raise FormatError(f"{where} is not JSON ({error})") from error
        if not isinstance(row, dict) or not all(
            isinstance(row.get(k), str) and row[k].strip() for k in ("audio", "text")
        ):
            raise FormatError(f"{where} needs 'audio' (a path) and 'text'")
        label = row.get(style)
        if label is not None and not isinstance(label, str):
            raise FormatError(f"{where}: {style} must be text, not {label!r}")
        if label:
            row[style] = _label(label, style, where)
        elif labelled:
            raise FormatError(f"{where} has no '{style}'")
        row["id"] = str(row.get("id") or Path(row["audio"]).stem)
        if row["id"].startswith(".") or any(c in row["id"] for c in "/\\\0"):
            raise FormatError(f"{where}: the id {row['id']!r} is not a file name")
        row["audio"] = source.parent / row["audio"]
        yield row


def _esd(folder: Path, style: Style) -> Iterator[dict[str, Any]]:
    """The Emotional Speech Dataset as it is laid out: `0011/0011.txt` (id, text and emotion a line,
    parted by tabs) and `0011/Happy/0011_000351.wav`, in some copies in `train/` and `test/` below.

    Sentences are numbered alike in every emotion, 350 apart; the text says which belong together.
    """
    texts = sorted(path for path in folder.glob("*/*.txt") if path.stem == path.parent.name)
    if style != "emotion" or not texts:
        raise UserError(f"{folder}: not laid out as ESD (SPEAKER/SPEAKER.txt): give a manifest")
    for path in texts:
        waves = {wav.stem: wav for wav in path.parent.rglob("*.wav")}
        for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), 1):
            if not line.strip():
                continue
            parts = line.rstrip().split("\t")
            if len(parts) != 3:
                raise FormatError(f"{path}, line {number}: not 'ID TAB text TAB emotion'")
            name, text, emotion = (part.strip() for part in parts)
            if name in waves:
                label = _label(emotion, style, f"{path}, line {number}")
                yield {"id": name, "audio": waves[name], "text": text, "speaker": path.stem,
                       "language": Text(text).language, "emotion": label}  # fmt: skip


def _written(
    row: Mapping[str, Any], others: Sequence[tuple[Path, str]], style: Style, output: Path
) -> dict[str, Any]:
    """A row of the output: paths relative, parallel ones to the recording's own folder."""
    audio = Path(row["audio"])
    parallel = [{"audio": relpath(path, audio.parent), style: label} for path, label in others]
    return {**row, "audio": relpath(audio, output.parent), "parallel": parallel}


def _write(output: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    output.parent.mkdir(parents=True, exist_ok=True)
    atomic_write_text(output, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
