"""`foreword serve`: the gateway, after the upstream has proved that it continues a prefix."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foreword.cli.app import app, notes

if TYPE_CHECKING:
    import socket


@app.command(
    epilog="Example: [bold]foreword serve --upstream http://127.0.0.1:8000/v1 "
    "--guard runs/search/guard.json[/bold]"
)
def serve(
    upstream: Annotated[
        str | None, typer.Option(help="The /v1 address of the server.", show_default=False)
    ] = None,
    guard: Annotated[
        Path | None, typer.Option(help="A guard.json for everybody.", show_default=False)
    ] = None,
    guards: Annotated[
        Path | None,
        typer.Option(
            help="A guards.toml: guards by model and key, keys, guardrail models.",
            show_default=False,
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(help="A TOML file with these options and more (docs/gateway.md)."),
    ] = None,
    dialect: Annotated[
        str | None,
        typer.Option(
            help="How the server is asked to continue, e.g. vllm or llamacpp (docs/gateway.md).",
            show_default="auto",
        ),
    ] = None,
    render: Annotated[
        str | None,
        typer.Option(
            help="Before a server that continues no chat: the model whose chat template renders "
            "prompts for /v1/completions; reference, hf:<id or path>, a folder or a .gguf file.",
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Whom to probe; the first the server lists if not given.")
    ] = None,
    host: Annotated[str | None, typer.Option(show_default="127.0.0.1")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, show_default="8700")] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes on the socket.", show_default="1")
    ] = None,
    show_prefix: Annotated[
        bool | None, typer.Option("--show-prefix", help="Show clients the guard's words, too.")
    ] = None,
    silence: Annotated[
        float | None,
        typer.Option(
            min=0.1,
            help="Longest wait for the upstream's next byte, in seconds.",
            show_default="300",
        ),
    ] = None,
    audit: Annotated[
        Path | None,
        typer.Option(help="Append a JSON line for each request to this file.", show_default=False),
    ] = None,
    log_format: Annotated[
        str | None, typer.Option(help="text or json.", show_default="text")
    ] = None,
    upstream_key: Annotated[
        str | None,
        typer.Option(
            show_default=False,
            help="Sent to the upstream instead of the client's own; better by the variable.",
        ),
    ] = None,
) -> None:
    """Serve an OpenAI-compatible API whose every reply begins with the guard's prefix.

    Every option is read from FOREWORD_<NAME> or from the TOML file, too, in this order.
    """
    flags = {name: value for name, value in locals().items() if name != "config"}
    from foreword.gateway import process, proof, settings

    said = settings.load(config, flags)
    found = process.policy(said)
    proved = proof.examine(said, found)
    gateway = process.build(said, proved)
    with bind(said.host, said.port) as listening:
        shown = f"[{said.host}]" if ":" in said.host else said.host
        at = f"http://{shown}:{listening.getsockname()[1]}/v1"
        names = ", ".join(route.guard.hash8 for route in found.routes)
        notes.print(
            f"guard {names} before {said.upstream} ({proved.chat.dialect.name}), serving {at}",
            markup=False,
        )
        process.run(said, proved, gateway, listening)


@app.command(epilog="Example: [bold]foreword key web-agents >> guards.toml[/bold]")
def key(name: Annotated[str, typer.Argument(help="Who will use it.")]) -> None:
    """Make an API key for the gateway: the key on stderr, its entry for guards.toml on stdout."""
    import json

    from foreword.core.errors import UsageError
    from foreword.gateway.keys import digest, new_key

    if not name:
        raise UsageError("a key needs a name; say who will use it")
    made = new_key()
    notes.print(f"the key of {name}, shown this once: {made}")
    quoted = json.dumps(name, ensure_ascii=False)  # \u of JSON and of TOML differ beyond 16 bits
    typer.echo(f'\n[[key]]\nname = {quoted}\nsha256 = "{digest(made)}"')


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        UsageError: the address is taken or not ours.
    """
    import socket

    from foreword.core.errors import UsageError

    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise UsageError(f"cannot listen on {host}:{port}: {error.strerror}") from error
