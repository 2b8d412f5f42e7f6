"""What there is in a slot, with the metadata that says what it needs, and whether it runs here."""

from __future__ import annotations

import importlib.util
from typing import Any

from audio_eval.interfaces import Judge
from audio_eval.plugins import get_host
from mingtok_audio.core.errors import PluginError
from mingtok_audio.core.extras import install_line

#: A module of each extra whose absence means that the extra is not installed.
EXTRA_MODULES = {
    "quality": ("pesq", "pystoi"),
    "asr": ("faster_whisper", "transformers"),
    "speaker": ("transformers",),
    "mos": ("speechmos", "librosa"),
    "paraformer": ("funasr",),
}


def catalog(slot: str) -> list[dict[str, Any]]:
    """A row for every component of a slot: metadata, origin, and what is missing to run it."""
    host = get_host()
    rows = []
    for loaded in host.specs(slot):
        row: dict[str, Any] = {
            "name": loaded.spec.name,
            "distribution": loaded.distribution,
            "status": loaded.status,
            "error": loaded.error,
            "summary": loaded.spec.summary,
        }
        if loaded.status == "ok":
            try:
                found = host.resolve(slot, loaded.spec.name)
                info = found.info.to_dict()
                row |= info | {"name": loaded.spec.name, "missing": missing_modules(info["extra"])}
                if issubclass(found, Judge):
                    row["role"] = found.role
                    absent = [m for m in found.modules if importlib.util.find_spec(m) is None]
                    row["missing"] = absent
            except PluginError as error:
                row |= {"status": "broken", "error": str(error)}
        rows.append(row)
    return rows


def missing_modules(extra: str) -> list[str]:
    """Modules of an extra that are not installed."""
    return [m for m in EXTRA_MODULES.get(extra, ()) if importlib.util.find_spec(m) is None]


def catalog_text(rows: list[dict[str, Any]]) -> str:
    """The rows for people."""
    if not rows:
        return "none"
    width = max(len(row["name"]) for row in rows)
    return "\n".join(f"{row['name'].ljust(width)}  {_about(row)}" for row in rows)


def _about(row: dict[str, Any]) -> str:
    if row["status"] != "ok":
        return f"{row['status']}: {row['error']}"
    parts = [row["summary"]]
    better = {True: "higher is better", False: "lower is better", None: ""}
    parts += [row["unit"], better[row["higher_is_better"]]]
    parts.append("role " + row["role"] if "role" in row else "")
    kinds = ("reference", "source", "text", "model", "gpu")
    needs = [kind for kind in kinds if row[f"needs_{kind}"]]
    parts.append("needs " + ", ".join(needs) if needs else "")
    if row["missing"]:
        how = f" ({install_line('audio-eval', row['extra'])})" if row["extra"] else ""
        parts.append(f"NOT INSTALLED: {', '.join(row['missing'])}{how}")
    if row["distribution"] != "audio-eval":
        parts.append(f"from {row['distribution']}")
    return "; ".join(part for part in parts if part)
