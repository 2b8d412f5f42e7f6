"""A set on disk: recordings as they come, metas at the end, in place only when all is there."""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from audio_eval.build.items import Draft
from audio_eval.build.layouts import dns_names
from audio_eval.build.presets import SEMANTIC, Cell
from audio_eval.edit_tasks import ACOUSTIC, NOISE_REMOVAL
from audio_eval.interfaces import Item
from audio_eval.scoring.manifest import FREEFORM_COLUMNS, write_manifest
from mingtok_audio.core.audio import load_audio, resample, save_audio
from mingtok_audio.core.errors import UserError
from mingtok_audio.core.files import atomic_write_text

_FOLDERS = {
    "deletion": "del",
    "insertion": "ins",
    "substitution": "sub",
    "speed": "time_stretch",
    "pitch": "pitch_shift",
    "volume": "vol",
}


class SetWriter:
    """Writes drafts as they come: recordings at once, the metas at the end."""

    def __init__(self, folder: Path, sample_rate: int | None, dns: bool) -> None:
        self._folder = folder
        self._rate = sample_rate
        self._dns = dns
        self._items: list[Item] = []
        self._cells: list[Cell] = []
        self._uses: Counter[str] = Counter()
        self._bases: dict[str, str] = {}
        self._names: set[str] = set()
        self._shared: set[Path] = set()
        self.written: Counter[str] = Counter()

    def add(self, draft: Draft) -> None:
        """Write the recordings of one item."""
        uid = self._uid(draft.recording.id)
        source = self._source(draft, uid)
        target = None
        if draft.target is not None:
            target = self._folder / "targets" / f"{uid}.wav"
            self._save(target, draft.target)
        cell = draft.cell
        item = Item(
            id=uid,
            source=source,
            reference=target,
            text=draft.edited_text,
            original_text=draft.original_text,
            instruction=draft.instruction,
            language=cell.language,
            task=cell.task,
            mode=cell.wording,
            parameters={**draft.parameters, "recording": draft.recording.id},
        )
        self._items.append(item)
        self._cells.append(cell)
        self.written[str(cell)] += 1
        if self._dns and cell.task == NOISE_REMOVAL and target is not None:
            self._write_dns(source, target, draft.parameters)

    def finish(self) -> list[str]:
        """Write the manifests and the metas; returns the metas' paths within the set.

        `items.jsonl` holds everything; a set of both kinds has `semantic.jsonl` and
        `acoustic.jsonl` too, one for each scoring suite.
        """
        write_manifest(self._folder / "items.jsonl", self._items)
        semantic = [item for item in self._items if item.task in SEMANTIC]
        acoustic = [item for item in self._items if item.task not in SEMANTIC]
        if semantic and acoustic:
            write_manifest(self._folder / "semantic.jsonl", semantic)
            write_manifest(self._folder / "acoustic.jsonl", acoustic)
        groups: dict[Path, list[Item]] = {}
        for cell, item in zip(self._cells, self._items, strict=True):
            groups.setdefault(self._meta(cell), []).append(item)
        for path, items in groups.items():
            (self._folder / path).parent.mkdir(parents=True, exist_ok=True)
            rows = ["|".join(FREEFORM_COLUMNS)]
            for i in items:
                wav = f"wavs/{i.source.name}" if i.source else ""
                rows.append(
                    "|".join((i.id, wav, i.instruction or "", i.original_text or "", i.text or ""))
                )
            atomic_write_text(self._folder / path, "\n".join(rows) + "\n")
        self._write_dialects()
        return sorted(path.as_posix() for path in groups)

    def _meta(self, cell: Cell) -> Path:
        folder = _FOLDERS.get(cell.task, cell.task)
        name = cell.task if cell.task in SEMANTIC else folder
        suffix = "_basic" if cell.wording == "basic" else ""
        return Path("meta") / folder / f"meta_{cell.language}_{name}{suffix}.csv"

    def _write_dialects(self) -> None:
        """The list that the published dialect script reads."""
        rows = [
            {"uid": i.id, "lang": i.parameters["label"], "text": i.text}
            for i in self._items
            if i.task == "dialect" and i.parameters.get("label") in ACOUSTIC["dialect"].labels
        ]
        if rows:
            text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            atomic_write_text(self._folder / "meta" / "dialect" / "dialect.jsonl", text)

    def _write_dns(self, noisy: Path, clean: Path, parameters: Mapping[str, Any]) -> None:
        number = sum(1 for item in self._items if item.task == NOISE_REMOVAL) - 1
        names = dns_names(number, parameters["snr_db"], str(parameters["noise"]))
        for kind, name, path in zip(("noisy", "clean"), names, (noisy, clean), strict=True):
            (self._folder / "dns" / kind).mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, self._folder / "dns" / kind / name)

    def _base(self, recording: str) -> str:
        """The file name that stands for a recording; two recordings never share one."""
        if recording not in self._bases:
            self._bases[recording] = self._unused(_safe(recording), 1)
        return self._bases[recording]

    def _uid(self, recording: str) -> str:
        """An item's id: its recording's name, with `__2` for the recording's second item."""
        base = self._base(recording)
        self._uses[recording] += 1
        number = self._uses[recording]
        return base if number == 1 else self._unused(base, number)

    def _unused(self, name: str, number: int) -> str:
        found = name if number == 1 else f"{name}__{number}"
        while found in self._names:
            number += 1
            found = f"{name}__{number}"
        self._names.add(found)
        return found

    def _source(self, draft: Draft, uid: str) -> Path:
        """Write what is to be edited. Text edits of one recording share one file; the published
        scripts for acoustic edits look for a file of the item's own name."""
        wavs = self._folder / "wavs"
        shared = draft.source is None and draft.cell.task in SEMANTIC
        path = wavs / f"{self._base(draft.recording.id) if shared else uid}.wav"
        if not (shared and path in self._shared):
            self._save(path, draft.source or (lambda: load_audio(draft.recording.audio)))
        if shared:
            self._shared.add(path)
        return path

    def _save(self, path: Path, make: Callable[[], tuple[Any, int]]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        wav, rate = make()
        if self._rate and self._rate != rate:
            wav, rate = resample(wav, rate, self._rate), self._rate
        save_audio(path, wav, rate)


def _safe(name: str) -> str:
    return re.sub(r"[^\w.-]+", "_", name).strip("._") or "item"


@contextlib.contextmanager
def staged(out: Path, force: bool) -> Iterator[Path]:
    """A hidden folder beside `out` that takes its place when the block succeeds."""
    out.parent.mkdir(parents=True, exist_ok=True)
    staging = out.parent / f".{out.name}.{secrets.token_hex(6)}"
    staging.mkdir()
    try:
        yield staging
        if out.exists() and force:
            if not (out / "build_report.json").is_file():
                raise UserError(f"{out}: was not made by build, so --force leaves it alone")
            shutil.rmtree(out)
        staging.rename(out)
    finally:
        if staging.exists():
            shutil.rmtree(staging)
