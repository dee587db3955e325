"""Which HTTP stack the gateway should stand on: the same bare hop, built in six ways.

Each passes a POST on to the mock server of bench/gateway.py and the answer back, with no
guard and one worker: servers uvicorn, granian, aiohttp; with starlette or as bare ASGI; clients
httpx, aiohttp and our own. Rounds over all, the median is taken. Needs `wrk`, and
`pip install aiohttp granian starlette` beside foreword[serve]. Not a test.

    python bench/stacks.py --json stacks.json
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from gateway import Peer, free_port, load, started

Send = Callable[[bytes], Awaitable[bytes]]  # the body of a request to that of its answer
PATH = "/v1/chat/completions"
JSON = {"content-type": "application/json"}


def by_httpx(upstream: str) -> Send:
    import httpx

    client = httpx.AsyncClient(limits=httpx.Limits(max_connections=None))

    async def send(body: bytes) -> bytes:
        return (await client.post(upstream + PATH, content=body, headers=JSON)).content

    return send


def by_aiohttp(upstream: str) -> Send:
    import aiohttp

    kept: list[aiohttp.ClientSession] = []

    async def send(body: bytes) -> bytes:
        if not kept:  # it wants a running loop
            kept.append(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
        async with kept[0].post(upstream + PATH, data=body, headers=JSON) as answer:
            return await answer.read()

    return send


def by_ours(upstream: str) -> Send:
    from foreword.gateway.upstream import Upstream

    client = Upstream(upstream + "/v1")

    async def send(body: bytes) -> bytes:
        answer = await client.send("POST", PATH.removeprefix("/v1"), JSON, body)
        return await answer.whole()

    return send


def bare(send: Send) -> Any:
    """ASGI without a framework."""
    head = {"type": "http.response.start", "status": 200,
            "headers": [(b"content-type", b"application/json")]}  # fmt: skip

    async def app(scope: Any, receive: Any, tell: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await tell({"type": "lifespan.startup.complete"})
            await receive()
            await tell({"type": "lifespan.shutdown.complete"})
            return
        parts, more = [], True
        while more:
            event = await receive()
            parts.append(event.get("body", b""))
            more = event.get("more_body", False)
        answer = b"{}" if scope["method"] == "GET" else await send(b"".join(parts))
        length = (b"content-length", str(len(answer)).encode())
        await tell({**head, "headers": [*head["headers"], length]})
        await tell({"type": "http.response.body", "body": answer})

    return app


def with_starlette(send: Send) -> Any:
    from starlette.applications import Starlette
    from starlette.responses import Response
    from starlette.routing import Route

    async def ask(request: Any) -> Response:
        body = await request.body()
        answer = b"{}" if request.method == "GET" else await send(body)
        return Response(answer, media_type="application/json")

    return Starlette(routes=[Route("/{path:path}", ask, methods=["GET", "POST"])])


def on_aiohttp(send: Send, port: int) -> None:
    from aiohttp import web

    async def ask(request: Any) -> web.Response:
        body = await request.read()
        answer = b"{}" if request.method == "GET" else await send(body)
        return web.Response(body=answer, content_type="application/json")

    app = web.Application(client_max_size=2**24)
    app.router.add_route("*", "/{path:.*}", ask)
    web.run_app(app, host="127.0.0.1", port=port, print=None, access_log=None)


def on_uvicorn(app: Any, port: int) -> None:
    import uvicorn

    uvicorn.run(app, port=port, log_level="warning", access_log=False, loop="uvloop")


def on_granian(app: Any, port: int) -> None:
    import asyncio

    from granian.constants import Interfaces
    from granian.server.embed import Server

    server = Server(app, address="127.0.0.1", port=port, interface=Interfaces.ASGI)
    asyncio.run(server.serve())


STACKS: dict[str, Callable[[str, int], None]] = {
    "aiohttp, aiohttp": lambda up, port: on_aiohttp(by_aiohttp(up), port),
    "uvicorn, starlette, httpx": lambda up, port: on_uvicorn(with_starlette(by_httpx(up)), port),
    "uvicorn, starlette, ours": lambda up, port: on_uvicorn(with_starlette(by_ours(up)), port),
    "uvicorn, bare, aiohttp": lambda up, port: on_uvicorn(bare(by_aiohttp(up)), port),
    "uvicorn, bare, ours": lambda up, port: on_uvicorn(bare(by_ours(up)), port),
    "granian, bare, ours": lambda up, port: on_granian(bare(by_ours(up)), port),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--seconds", type=int, default=3, help="a load, stack and round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--stack", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.stack:
        name, upstream, port = args.stack
        STACKS[name](upstream, int(port))
        return
    figures: dict[str, dict[str, dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as folder_name, ExitStack() as stack:
        folder = Path(folder_name)
        mock = free_port()
        me = [sys.executable, str(Path(__file__).resolve())]
        bench = [sys.executable, str(Path(__file__).resolve().with_name("gateway.py"))]
        command = [*bench, "--mock", str(mock)]
        peers: list[Peer] = [stack.enter_context(started("direct", command, mock, folder))]
        for name in STACKS:
            port = free_port()
            command = [*me, "--stack", name, f"http://127.0.0.1:{mock}", str(port)]
            peers.append(stack.enter_context(started(name, command, port, folder)))
        for connections in (1, 64):
            runs = [
                [load(peer, connections, 1024, args.seconds, folder) for peer in peers]
                for _ in range(args.rounds)
            ]
            for at, peer in enumerate(peers):
                middle = {
                    key: round(statistics.median(run[at][key] for run in runs), 3)
                    for key in ("p50_ms", "p99_ms", "rps")
                }
                figures.setdefault(peer.name, {})[f"1KB x {connections}"] = middle
                print(f"1KB x {connections:2} {peer.name:26} {middle}", flush=True)
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
