"""`foreword serve`: the gateway, after the upstream has proved that it continues a prefix."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foreword.cli.app import app, notes

if TYPE_CHECKING:
    import socket

    from foreword.defences.guard import Guard
    from foreword.models.probe import Continuation

DRAIN_S = 30  # for requests under way when the gateway is told to stop
Key = Annotated[
    str | None,
    typer.Option(
        "--upstream-key",
        envvar="FOREWORD_UPSTREAM_KEY",
        show_default=False,
        help="Sent to the upstream instead of the client's own; better by the variable.",
    ),
]


@app.command(
    epilog="Example: [bold]foreword serve --upstream http://127.0.0.1:8000/v1 "
    "--guard runs/search/guard.json[/bold]"
)
def serve(
    upstream: Annotated[
        str, typer.Option(envvar="FOREWORD_UPSTREAM", help="The /v1 address of the server.")
    ],
    guard: Annotated[Path, typer.Option(envvar="FOREWORD_GUARD", help="A guard.json.")],
    dialect: Annotated[
        str,
        typer.Option(
            envvar="FOREWORD_DIALECT",
            help="How the server is asked to continue, e.g. vllm or llamacpp (docs/gateway.md).",
        ),
    ] = "auto",
    model: Annotated[
        str | None, typer.Option(help="Whom to probe; the first the server lists if not given.")
    ] = None,
    host: Annotated[str, typer.Option(envvar="FOREWORD_HOST")] = "127.0.0.1",
    port: Annotated[int, typer.Option(envvar="FOREWORD_PORT", min=0, max=65535)] = 8700,
    show_prefix: Annotated[
        bool, typer.Option("--show-prefix", help="Show clients the guard's words, too.")
    ] = False,
    silence: Annotated[
        float, typer.Option(min=0.1, help="Longest wait for the upstream's next byte, in seconds.")
    ] = 300.0,
    upstream_key: Key = None,
) -> None:
    """Serve an OpenAI-compatible API whose every reply begins with the guard's prefix."""
    import gc

    import uvicorn

    from foreword.defences.guard import Guard
    from foreword.gateway.app import Gateway
    from foreword.gateway.upstream import Upstream

    loaded, server = Guard.load(guard), Upstream(upstream, upstream_key, silence)
    way = prove(loaded, upstream, dialect, model, upstream_key)
    gateway = Gateway(server, loaded, way, show_prefix=show_prefix)
    with bind(host, port) as listening:
        at = listening.getsockname()
        notes.print(
            f"guard {loaded.hash8} before {upstream} ({way.dialect.name}), "
            f"serving http://{at[0]}:{at[1]}/v1",
            highlight=False,
        )
        config = uvicorn.Config(
            gateway,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=DRAIN_S,
        )
        gc.collect()
        gc.freeze()  # a full collection would stop all requests to look through what never dies
        uvicorn.Server(config).run(sockets=[listening])


def prove(
    guard: Guard, upstream: str, dialect: str, model: str | None, key: str | None
) -> Continuation:
    """What the live probe says of the upstream; a suffix needs no continuation.

    Raises:
        NoContinuation: the upstream does not continue, and the guard is a prefix.
        ModelError: the upstream cannot be asked.
    """
    from foreword.models.dialects import Dialect
    from foreword.models.probe import Continuation, Server, probe

    if guard.placement == "suffix":
        return Continuation(Dialect("suffix"), echo=False, echo_stream=False)
    with Server(upstream, model, key) as server:
        return probe(server, dialect)


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        UsageError: the address is taken or not ours.
    """
    import socket

    from foreword.core.errors import UsageError

    try:
        return socket.create_server((host, port), backlog=2048)
    except OSError as error:
        raise UsageError(f"cannot listen on {host}:{port}: {error.strerror}") from error
