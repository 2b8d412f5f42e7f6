"""Options that the file commands of all packages share."""

from __future__ import annotations

from typing import Annotated

import typer

Workers = Annotated[
    int | None,
    typer.Option(
        "--workers", help="Processes, a model each (1; with --ray as many as the cluster has CPUs)."
    ),
]
Ray = Annotated[
    str | None,
    typer.Option("--ray", help="A Ray cluster that does the work: HOST:PORT of its head, or auto."),
]
