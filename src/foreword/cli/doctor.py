"""`foreword doctor`: what works on this machine, and how to mend the rest.

Every check is one function that returns a Finding; nothing is changed and
nothing is fetched. Servers are looked for on loopback only, unless one is named.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Annotated, Literal

import typer

from foreword.cli.app import JsonFlag, app, console, emit

SERVERS = {
    "vLLM": "http://127.0.0.1:8000/v1/models",
    "llama.cpp": "http://127.0.0.1:8080/v1/models",
    "SGLang": "http://127.0.0.1:30000/v1/models",
    "Ollama": "http://127.0.0.1:11434/v1/models",
    "LM Studio": "http://127.0.0.1:1234/v1/models",
}


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's answer; `mend` says what to do when it is not ok."""

    name: str
    status: Literal["ok", "missing", "broken"]
    detail: str
    needed: bool  # False: something else works without it
    mend: str = ""


def _python() -> Finding:
    version = platform.python_version()
    good = sys.version_info >= (3, 11)
    return Finding(
        "python", "ok" if good else "broken", version, True, "" if good else "install Python 3.11+"
    )


def _package(name: str, extra: str, what: str) -> Callable[[], Finding]:
    def look() -> Finding:
        try:
            return Finding(name, "ok", f"{metadata.version(name)} ({what})", False)
        except metadata.PackageNotFoundError:
            mend = f"pip install 'foreword[{extra}]'"
            return Finding(name, "missing", f"not installed ({what})", False, mend)

    return look


def _sandbox() -> Finding:
    from foreword.sandbox import available

    trouble = available()
    if trouble is None:
        return Finding("sandbox", "ok", "bubblewrap runs without root", True)
    return Finding("sandbox", "broken", "model-written code cannot run here", True, trouble)


def _gpu() -> Finding:
    try:
        import torch
    except ImportError:
        return Finding("gpu", "missing", "torch is not installed", False)
    if torch.cuda.is_available():
        return Finding("gpu", "ok", torch.cuda.get_device_name(0), False)
    detail = f"none; {torch.get_num_threads()} CPU threads do for the reference agent"
    return Finding("gpu", "missing", detail, False)


def _cache() -> Finding:
    from foreword.models import catalog

    states = {row.name: row.cached for row in catalog()}
    if states.get("reference"):
        return Finding("model cache", "ok", "the reference model is here", False)
    return Finding(
        "model cache",
        "missing",
        "the reference model is not fetched yet (93 MB)",
        False,
        "foreword models --fetch reference",
    )


def _disk() -> Finding:
    from foreword.models.store import cache_dir

    folder = cache_dir()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free / 2**30
    good = free > 2
    mend = "" if good else "free some space, or set FOREWORD_CACHE to another disk"
    return Finding(
        "disk", "ok" if good else "broken", f"{free:.0f} GiB free for models", True, mend
    )


def _servers() -> Finding:
    import httpx

    up = []
    for name, url in SERVERS.items():
        try:
            httpx.get(url, timeout=0.5, trust_env=False)
            up.append(f"{name} ({url.rsplit('/', 1)[0]})")
        except httpx.HTTPError:
            continue
    if up:
        return Finding(
            "servers", "ok", "something answers where they live: " + ", ".join(up), False
        )
    return Finding("servers", "missing", f"none of {', '.join(SERVERS)} on its usual port", False)


def _continues(url: str) -> Finding:
    """Whether the server a user named continues a prefix."""
    from foreword.core.errors import ModelError
    from foreword.models.probe import probe
    from foreword.models.sending import KEY_VARIABLE
    from foreword.models.server import Server

    try:
        with Server(url, api_key=os.environ.get(KEY_VARIABLE)) as server:
            way = probe(server)
    except ModelError as error:
        return Finding("server", "broken", str(error), True, "see docs/gateway.md")
    where = [name for name, echo in (("answers", way.echo), ("streams", way.echo_stream)) if echo]
    echo = f"repeats it in {' and '.join(where)}" if where else "does not repeat it"
    return Finding("server", "ok", f"{url} continues a prefix ({way.dialect.name}), {echo}", True)


def examine(server: str | None = None) -> list[Finding]:
    """All findings, in order; one more for a server to probe."""
    checks: list[Callable[[], Finding]] = [
        _python,
        _sandbox,
        _disk,
        _package("torch", "local", "local models"),
        _package("transformers", "local", "local models"),
        _package("trl", "train", "fine-tuning"),
        _package("inspect-ai", "eval", "evaluation"),
        _package("uvicorn", "serve", "the gateway"),
        _cache,
        _gpu,
        _servers,
    ]
    return [check() for check in checks] + ([] if server is None else [_continues(server)])


@app.command(
    epilog="Example: [bold]foreword doctor --json | jq '.[] | select(.status != \"ok\")'[/bold]"
)
def doctor(
    server: Annotated[
        str | None, typer.Option(help="A /v1 address: prove that it continues a prefix.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Say what works here (sandbox, models, GPU, Inspect, servers) and how to mend the rest."""
    findings = examine(server)
    if as_json:
        emit([asdict(finding) for finding in findings])
    else:
        from rich.table import Table
        from rich.text import Text

        colours = {"ok": "green", "missing": "yellow", "broken": "red"}
        table = Table(box=None, pad_edge=False)
        for heading in ("", "what", "found", "to mend"):
            table.add_column(heading, overflow="fold")
        for finding in findings:
            mark = Text(finding.status, colours[finding.status])
            table.add_row(mark, finding.name, finding.detail, finding.mend)
        console.print(table)
    if any(finding.needed and finding.status != "ok" for finding in findings):
        raise typer.Exit(3)
