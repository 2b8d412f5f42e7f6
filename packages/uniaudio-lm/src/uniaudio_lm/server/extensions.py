"""Routes of other packages: entry points of the group `uniaudio.routes`, each an `APIRouter`.

A broken one is left out and named in the log; the others work.
"""

from __future__ import annotations

import importlib
import logging

from fastapi import APIRouter, FastAPI

from mingtok_audio.core.plugins.specs import disabled_plugins, entry_points, normalize

ROUTES_GROUP = "uniaudio.routes"
_OURS = frozenset({"mingtok-audio", "uniaudio-lm", "uniaudio-edit", "audio-eval"})
logger = logging.getLogger("uniaudio_lm.server")


def include_extensions(app: FastAPI) -> list[str]:
    """Add the routers of the installed packages; the names of those that were added."""
    everything, disabled = disabled_plugins()
    added = []
    for point in entry_points(ROUTES_GROUP):
        name = normalize(point.distribution)
        if name in disabled or (everything and name not in _OURS):
            continue
        module, _, attribute = point.value.partition(":")
        try:
            router = getattr(importlib.import_module(module), attribute)
            if not isinstance(router, APIRouter):
                raise TypeError(f"{point.value} is {type(router).__name__}, not an APIRouter")
            app.include_router(router)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            logger.warning("routes of %s are left out: %s", point.distribution, error)
            continue
        added.append(point.name)
    return added
