"""`plugins list | doctor | validate`, the same on every script."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from mingtok_audio.core.cli import EXIT_FAILED_ITEMS, emit_json, make_group
from mingtok_audio.core.config import near
from mingtok_audio.core.errors import PluginError
from mingtok_audio.core.plugins.host import PluginHost
from mingtok_audio.core.plugins.specs import (
    DISABLE_VARIABLE,
    LoadedSpec,
    disabled_plugins,
    normalize,
)

HostFactory = Callable[[], PluginHost | Sequence[PluginHost]]
_JSON = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]


def plugins_app(host_factory: HostFactory) -> typer.Typer:
    """The `plugins list | doctor | validate` command group.

    Args:
        host_factory: makes the host (or the hosts, for a script over several packages); called
            inside a command, so that `--help` loads no plugin.
    """
    app = make_group("plugins", "List, explain and validate the implementations of every slot.")

    def hosts() -> list[PluginHost]:
        made = host_factory()
        return [made] if isinstance(made, PluginHost) else list(made)

    @app.command("list")
    def list_plugins(as_json: _JSON = False) -> None:
        """List every component with its distribution and status."""
        found = hosts()
        rows = [row for host in found for row in host.table()]
        if as_json:
            emit_json(rows)
            return
        typer.echo(_text_table(rows))
        for host in found:
            host.show_warnings()

    @app.command()
    def doctor(as_json: _JSON = False) -> None:
        """Explain what is wrong with the installed plugins; exit code 1 if anything is."""
        found = hosts()
        for host in found:
            _import_everything(host)
        rows = [_finding(host, item) for host in found for item in host.specs()]
        broken = [row for row in rows if row["status"] == "broken"]
        notes = _unmatched(rows)
        if as_json:
            emit_json({"ok": not broken, "plugins": rows, "notes": notes})
        else:
            for row in rows:
                if row["status"] != "ok":
                    typer.echo(_explain(row))
            for note in notes:
                typer.echo(f"note: {note}")
            counts = {s: sum(r["status"] == s for r in rows) for s in ("ok", "broken", "disabled")}
            typer.echo(", ".join(f"{n} {s}" for s, n in counts.items()))
        if broken:
            raise typer.Exit(EXIT_FAILED_ITEMS)

    @app.command()
    def validate(
        name: Annotated[str, typer.Argument(help="NAME, or SLOT:NAME where two slots share it.")],
        as_json: _JSON = False,
    ) -> None:
        """Run the conformance kit of a component's slot; exit code 1 if a check fails."""
        host = _owner(hosts(), name)
        loaded, results = host.validate(name)
        failed = [r for r in results if not r.ok]
        if as_json:
            emit_json(
                {
                    "slot": loaded.spec.slot,
                    "name": loaded.spec.name,
                    "distribution": loaded.distribution,
                    "version": loaded.version,
                    "ok": not failed,
                    "checks": results,
                }
            )
        else:
            for result in results:
                detail = f": {result.detail}" if result.detail else ""
                typer.echo(f"{'pass' if result.ok else 'FAIL'}  {result.check}{detail}")
            verdict = f"fails {len(failed)} of {len(results)}" if failed else "passes all"
            typer.echo(f"{loaded.spec.slot} '{loaded.spec.name}' {verdict} checks")
        if failed:
            raise typer.Exit(EXIT_FAILED_ITEMS)

    return app


def _owner(hosts: Sequence[PluginHost], name: str) -> PluginHost:
    slot, colon, rest = name.partition(":")
    wanted = rest if colon else name
    owners = [
        host
        for host in hosts
        if any(s.spec.name == wanted and (not colon or s.spec.slot == slot) for s in host.specs())
    ]
    if len(owners) > 1:
        choices = sorted(
            f"{s.spec.slot}:{wanted}" for h in owners for s in h.specs() if s.spec.name == wanted
        )
        raise PluginError(f"'{name}' is in several slots; say which: {', '.join(choices)}")
    if not owners:
        names = {s.spec.name for host in hosts for s in host.specs()}
        raise PluginError(f"there is no component '{name}'{near(name, names)}")
    return owners[0]


def _import_everything(host: PluginHost) -> None:
    """Import every class once: what breaks is recorded in the host, which is what doctor shows."""
    for loaded in host.specs():
        if loaded.status == "ok":
            try:
                host.resolve(loaded.spec.slot, loaded.spec.name)
            except PluginError:
                continue


def _finding(host: PluginHost, loaded: LoadedSpec) -> dict[str, Any]:
    return {
        "group": host.group,
        "slot": loaded.spec.slot or None,
        "name": loaded.spec.name,
        "distribution": loaded.distribution,
        "version": loaded.version,
        "entry_point": loaded.entry_point,
        "target": loaded.spec.target,
        "status": loaded.status,
        "error": loaded.error or None,
        "advice": _advice(loaded),
        "traceback": loaded.trace or None,
    }


def _advice(loaded: LoadedSpec) -> str | None:
    if loaded.status == "ok":
        return None
    name = loaded.distribution
    if loaded.status == "disabled":
        return f"take {name} out of {DISABLE_VARIABLE} to use it"
    return (
        f"update or uninstall it (pip install -U {name}, pip uninstall {name}), or switch it off: "
        f"{DISABLE_VARIABLE}={name}"
    )


def _explain(row: dict[str, Any]) -> str:
    what = f"{row['slot']} '{row['name']}'" if row["slot"] else f"plugin '{row['name']}'"
    lines = [
        f"{row['status']}: {what} of {row['distribution']} {row['version']}",
        f"  entry point: {row['entry_point']} in {row['group']}",
        f"  reason: {row['error']}",
        f"  what to do: {row['advice']}",
    ]
    if row["traceback"]:
        lines += ["  " + line for line in row["traceback"].rstrip().splitlines()[-6:]]
    return "\n".join(lines)


def _unmatched(rows: list[dict[str, Any]]) -> list[str]:
    """Names in the variable that no installed plugin has: probably misspelt."""
    installed = {normalize(row["distribution"]) for row in rows}
    _, named = disabled_plugins()
    return [
        f"{DISABLE_VARIABLE} names '{name}', which no installed plugin has"
        f"{near(name, installed, say_known=False)}"
        for name in sorted(named - installed)
    ]


def _text_table(rows: list[dict[str, Any]]) -> str:
    columns = ("slot", "name", "distribution", "version", "status", "summary")
    cells = [[c.upper() for c in columns]]
    cells += [[str(row[c] or "-") for c in columns] for row in rows]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    )
