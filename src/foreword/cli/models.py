"""`foreword models`: the models and adapters Foreword knows by name, and their cache."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from foreword.cli.app import JsonFlag, app, console, emit
from foreword.cli.progress import loading


@app.command(epilog="Example: [bold]foreword models --fetch reference[/bold]")
def models(
    fetch: Annotated[
        str | None, typer.Option(help="Fetch a source's weights now: reference or hf:<id>.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """List the models and adapters known by name; say which lie on this machine."""
    from foreword.models import catalog

    if fetch is not None:
        from foreword.models.sources import resolve

        with loading() as report:
            resolve(fetch, report)
    rows = catalog()
    if as_json:
        emit([asdict(row) for row in rows])
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("name", "kind", "what", "here", "MB"):
        table.add_column(heading)
    for row in rows:
        here = "yes" if row.cached else "no"
        table.add_row(
            row.name, row.kind, row.what, here, f"{row.size_mb:.0f}" if row.cached else ""
        )
    console.print(table)
    console.print("Any other: hf:<id or local path>, a model folder, or the path of a .gguf file.")
