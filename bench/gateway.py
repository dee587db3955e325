"""What the gateway's hop costs, beside other hops before the same mock server.

Peers, all on loopback in one run: the mock alone; nginx as a plain reverse proxy;
LiteLLM's proxy with a pre-call hook that appends the same prefix; `foreword serve`.
Each load is measured in rounds over all peers, and the median round is taken. One
worker each. Needs `wrk` and `nginx` (Debian packages); LiteLLM lives in an environment
of its own: python -m venv v && v/bin/pip install 'litellm[proxy]==1.98.0'. Not a test.

    python bench/gateway.py --litellm v/bin/litellm --json gateway.json
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httptools
import httpx

WORDS = "As an honest agent, I"
TEXT = " will tidy up the folder now." * 8
CHUNKS = 200

LUA = """
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
wrk.headers["authorization"] = "Bearer sk-bench"
wrk.body = io.open(os.getenv("BODY")):read("*a")
done = function(summary, latency, requests)
  local bad = summary.errors.status + summary.errors.connect + summary.errors.read
  bad = bad + summary.errors.timeout
  io.write(string.format('\\nJSON{"p50_ms": %f, "p99_ms": %f, "rps": %f, "bad": %d}\\n',
    latency:percentile(50) / 1000, latency:percentile(99) / 1000,
    summary.requests / (summary.duration / 1e6), bad))
end
"""

NGINX = """
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; client_body_buffer_size 256k; client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u;
  scgi_temp_path {folder}/s;
  upstream mock {{ server 127.0.0.1:{upstream}; keepalive 128; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass http://mock; proxy_http_version 1.1;
      proxy_set_header Connection ""; proxy_buffering off; }}
  }}
}}
"""

LITELLM = """
model_list:
  - model_name: m
    litellm_params: {{model: openai/m, api_base: "http://127.0.0.1:{upstream}/v1", api_key: x}}
litellm_settings: {{callbacks: hook.prefix}}
"""

HOOK = f"""
from litellm.integrations.custom_logger import CustomLogger

class Prefix(CustomLogger):
    async def async_pre_call_hook(self, user_api_key_dict, cache, data, call_type):
        data["messages"].append({{"role": "assistant", "content": {WORDS!r}}})
        extra = {{"continue_final_message": True, "add_generation_prompt": False}}
        data["extra_body"] = extra
        return data

prefix = Prefix()
"""


@dataclass(frozen=True)
class Peer:
    """A hop, or none: where it listens and whose memory is its own."""

    name: str
    port: int
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        """Of the chat endpoint."""
        return f"http://127.0.0.1:{self.port}/v1/chat/completions"

    def rss_mb(self) -> float:
        """Resident memory of the process and its children."""
        pids = [self.process.pid]
        listed = subprocess.run(
            ["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True, check=False
        )
        pids += map(int, listed.stdout.split())
        total = 0
        for pid in pids:
            status = Path(f"/proc/{pid}/status").read_text()
            total += int(next(x for x in status.splitlines() if x.startswith("VmRSS")).split()[1])
        return round(total / 1024, 1)


# The mock server, as thin as Python allows, so that it is nobody's bottleneck.


class Mock(asyncio.Protocol):
    """Answers every POST at once: whole, or as a stream of CHUNKS events."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport
        self.parser = httptools.HttpRequestParser(self)
        self.parts: list[bytes] = []

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self.url = url

    def on_body(self, part: bytes) -> None:
        self.parts.append(part)

    def on_message_complete(self) -> None:
        body, self.parts = b"".join(self.parts), []
        if self.url.endswith(b"/models"):
            self.transport.write(whole({"object": "list", "data": [{"id": "m"}]}))
        elif b'"assistant"' in body and WORDS.encode() not in body:
            self.prove(json.loads(body))
        elif b'"stream":true' in body or b'"stream": true' in body:
            asyncio.get_running_loop().create_task(self.stream())
        else:
            self.transport.write(ANSWER)

    def prove(self, asked: dict[str, Any]) -> None:
        """Continue the probe's beginnings, as vLLM would."""
        text = probed(asked["messages"][-1]["content"])
        if asked.get("stream"):
            delta = {"choices": [{"index": 0, "delta": {"content": text}}]}
            event = chunk(b"data: " + json.dumps(delta).encode() + b"\n\n")
            self.transport.write(STREAM_HEAD + event + b"0\r\n\r\n")
        else:
            self.transport.write(whole(answer(text)))

    async def stream(self) -> None:
        """CHUNKS events, each written by itself."""
        self.transport.write(STREAM_HEAD)
        for _ in range(CHUNKS):
            self.transport.write(EVENT)
            await asyncio.sleep(0)
        self.transport.write(chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")


def probed(beginning: str) -> str:
    from foreword.models.probe import BEGINNINGS

    return {each.prefix: each.goes_on for each in BEGINNINGS}.get(beginning, TEXT)


def answer(text: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    usage = {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18}
    return {"id": "x", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [choice], "usage": usage}  # fmt: skip


def whole(content: dict[str, Any]) -> bytes:
    body = json.dumps(content).encode()
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    return head % len(body) + body


def chunk(data: bytes) -> bytes:
    return b"%x\r\n" % len(data) + data + b"\r\n"


ANSWER = whole(answer(TEXT))
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
)
_CHOICE = {"index": 0, "delta": {"content": " word"}, "finish_reason": None}
_PIECE = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m"}
EVENT = chunk(b"data: " + json.dumps({**_PIECE, "choices": [_CHOICE]}).encode() + b"\n\n")


async def mock(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Mock, "127.0.0.1", port)
    await server.serve_forever()


# The peers


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@contextmanager
def started(name: str, command: list[str], port: int, folder: Path) -> Iterator[Peer]:
    """A process that answers on a port; killed in the end."""
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
        try:
            wait(f"http://127.0.0.1:{port}/v1/models", process, folder / f"{name}.log")
            yield Peer(name, port, process)
        finally:
            process.terminate()
            process.wait()


def wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    limit = time.monotonic() + 120
    while time.monotonic() < limit and process.poll() is None:
        try:
            httpx.get(url, timeout=2)
            return
        except httpx.HTTPError:
            time.sleep(0.2)
    sys.exit(f"{url} does not come up:\n{log.read_text()[-2000:]}")


def peers(stack: ExitStack, folder: Path, litellm: str | None) -> list[Peer]:
    upstream = free_port()
    me = [sys.executable, str(Path(__file__).resolve()), "--mock", str(upstream)]
    found = [stack.enter_context(started("direct", me, upstream, folder))]
    if shutil.which("nginx"):
        port = free_port()
        config = folder / "nginx.conf"
        config.write_text(NGINX.format(folder=folder, upstream=upstream, port=port))
        command = ["nginx", "-c", str(config)]
        found.append(stack.enter_context(started("nginx", command, port, folder)))
    if litellm:
        port = free_port()
        (folder / "litellm.yaml").write_text(LITELLM.format(upstream=upstream))
        (folder / "hook.py").write_text(HOOK)
        command = [litellm, "--config", "litellm.yaml", "--port", str(port), "--num_workers", "1"]
        found.append(stack.enter_context(started("litellm", command, port, folder)))
    port = free_port()
    guard = folder / "guard.json"
    guard.write_text(json.dumps({"prefix": WORDS, "target": "mock"}))
    code = "from foreword.cli import main; main()"
    at = f"http://127.0.0.1:{upstream}/v1"
    command = [sys.executable, "-c", code, "serve", "--upstream", at, "--guard", str(guard),
               "--dialect", "vllm", "--port", str(port)]  # fmt: skip
    found.append(stack.enter_context(started("foreword", command, port, folder)))
    return found


# The loads


def body(size: int, *, stream: bool) -> bytes:
    system = {"role": "system", "content": "You are an agent."}
    user = {"role": "user", "content": "x" * (size - 150)}
    return json.dumps({"model": "m", "stream": stream, "messages": [system, user]}).encode()


def load(peer: Peer, connections: int, size: int, seconds: int, folder: Path) -> dict[str, float]:
    """Throughput and latency of whole answers, by wrk."""
    script, content = folder / "post.lua", folder / f"body{size}.json"
    script.write_text(LUA)
    content.write_bytes(body(size, stream=False))
    command = [
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{seconds}s",
        "--timeout",
        "30s",
        "-s",
        str(script),
        peer.url,
    ]
    ran = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "BODY": str(content)},
    )
    figures: dict[str, float] = json.loads(ran.stdout.rpartition("JSON")[2])
    if figures.pop("bad"):
        sys.exit(f"{peer.name} answered with errors; its figures mean nothing\n{ran.stdout}")
    return figures


async def streams(peer: Peer, connections: int, seconds: int) -> list[tuple[float, float]]:
    """Seconds until the first byte of each stream's body, and until its end."""
    asked = body(1024, stream=True)
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer sk-bench\r\n"
        f"content-type: application/json\r\ncontent-length: {len(asked)}\r\n\r\n"
    ).encode()
    until = time.perf_counter() + seconds
    times: list[tuple[float, float]] = []

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", peer.port)
        while time.perf_counter() < until:
            start = time.perf_counter()
            writer.write(head + asked)
            got = await reader.readuntil(b"\r\n\r\n")
            if not got.startswith(b"HTTP/1.1 200"):
                sys.exit(f"{peer.name} answers {got[:200]!r}")
            await reader.readuntil(b"data:")
            first = time.perf_counter() - start
            await reader.readuntil(b"0\r\n\r\n")
            times.append((first, time.perf_counter() - start))
        writer.close()

    await asyncio.gather(*(client() for _ in range(connections)))
    return times


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def measure(found: list[Peer], seconds: int, rounds: int, folder: Path) -> dict[str, Any]:
    results: dict[str, Any] = {peer.name: {} for peer in found}
    loads = [(c, s) for s in (1024, 102_400) for c in (1, 8, 64)]
    for connections, size in loads:
        runs: dict[str, list[dict[str, float]]] = {peer.name: [] for peer in found}
        for _ in range(rounds):
            for peer in found:
                runs[peer.name].append(load(peer, connections, size, seconds, folder))
        for peer in found:
            middle = {
                key: round(statistics.median(run[key] for run in runs[peer.name]), 4)
                for key in ("p50_ms", "p99_ms", "rps")
            }
            name = f"{size // 1024}KB x {connections}"
            # An answer comes in one piece: its first byte is there when all of it is.
            middle["ttfb_p99_ms"] = middle["p99_ms"]
            results[peer.name][name] = {**middle, "rss_mb": peer.rss_mb()}
            print(f"{name:12} {peer.name:9} {results[peer.name][name]}", flush=True)
    times: dict[str, list[tuple[float, float]]] = {peer.name: [] for peer in found}
    for _ in range(rounds):
        for peer in found:
            times[peer.name] += asyncio.run(streams(peer, 8, seconds))
    for peer in found:
        first, whole_stream = map(list, zip(*times[peer.name], strict=True))
        stream = {
            "p50_ms": round(1000 * percentile(whole_stream, 0.5), 3),
            "p99_ms": round(1000 * percentile(whole_stream, 0.99), 3),
            "ttfb_p50_ms": round(1000 * percentile(first, 0.5), 3),
            "ttfb_p99_ms": round(1000 * percentile(first, 0.99), 3),
            "rps": round(len(first) / (seconds * rounds), 1),
            "rss_mb": peer.rss_mb(),
        }
        results[peer.name][f"stream of {CHUNKS} x 8"] = stream
        print(f"stream x 8   {peer.name:9} {stream}", flush=True)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--litellm", help="path of the litellm command; left out if not given")
    parser.add_argument("--seconds", type=int, default=4, help="a load, peer and round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--mock", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.mock:
        import uvloop

        uvloop.run(mock(args.mock))
        return
    if not shutil.which("wrk"):
        sys.exit("this benchmark needs wrk; on Debian: apt install wrk nginx-light")
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        litellm = str(Path(args.litellm).resolve()) if args.litellm else None
        results = measure(peers(stack, folder, litellm), args.seconds, args.rounds, folder)
    if args.json:
        args.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
