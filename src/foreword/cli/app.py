"""The command tree, and the little that all commands share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from pydantic_core import to_json
from rich.console import Console

app = typer.Typer(
    name="foreword",
    help="Find, prove and serve the first words that keep a fine-tuned agent safe.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
# What is printed is somebody's words, in which "[/INST]" is no markup, and a line stays one line
# for whoever reads it by program; a table keeps its width.
console = Console(stderr=False, markup=False, highlight=False, soft_wrap=True)
notes = Console(stderr=True, markup=False, highlight=False, soft_wrap=True)  # stdout is the result

JsonFlag = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]


def emit(data: Any) -> None:
    """Print a result for programs; JSON knows no NaN, so that is null."""
    typer.echo(to_json(data, indent=2, inf_nan_mode="null"))


@contextmanager
def interruptible(how: str = "; repeat the same command to go on") -> Iterator[None]:
    """Ctrl-C ends the command with exit code 130 and a line that says how to go on."""
    try:
        yield
    except KeyboardInterrupt as stop:
        for line in getattr(stop, "__notes__", [f"stopped{how}"]):
            notes.print(line)
        raise typer.Exit(130) from None


def _version(wanted: bool) -> None:
    if wanted:
        from foreword import __version__

        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Find, prove and serve the first words that keep a fine-tuned agent safe."""
