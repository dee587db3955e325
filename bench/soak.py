"""Half an hour of steady load on the gateway: flat memory, no leaked connection, nothing lost?

`foreword serve` stands before the mock server of bench/gateway.py on loopback. Clients send
whole answers and streams of 200 chunks at a steady rate, small and large bodies, and some leave
in the middle of a stream. Every answer is read to its end and compared with what the mock says.
In the end the open files of the gateway are those of an idle one again. Not a test.

    python bench/soak.py --minutes 30 --json soak.json
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway import CHUNKS, TEXT, Peer, body, peers

CLIENTS = 16
STREAMS, LARGE, LEAVING = 0.1, 0.05, 0.01  # shares of the requests
MARK = 100_000  # requests after which the memory is named
WHOLE, STREAM = body(1024, stream=False), body(1024, stream=True)
BIG = body(102_400, stream=False)


@dataclass
class Seen:
    """What came of the requests."""

    outcomes: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    marked_mb: float | None = None

    def count(self, peer: Peer, outcome: str) -> None:
        """One more; the memory is noted at MARK."""
        self.outcomes[outcome] += 1
        if self.outcomes.total() == MARK:
            self.marked_mb = peer.rss_mb()


class Client:
    """One kept connection, opened again after it was left."""

    def __init__(self, peer: Peer, seen: Seen, rng: random.Random) -> None:
        self.peer, self.seen, self.rng = peer, seen, rng
        self.writer: asyncio.StreamWriter | None = None

    async def run(self, until: float, pause: float) -> None:
        """Ask at a steady rate; what is late is caught up with."""
        due = time.perf_counter() + self.rng.random() * pause
        while due < until:
            await asyncio.sleep(max(0, due - time.perf_counter()))
            due += pause
            try:
                outcome = await self.ask()
            except (OSError, asyncio.IncompleteReadError, ValueError) as error:
                outcome = "lost"
                self.seen.wrong.append(repr(error)[:200])
                self.leave()
            self.seen.count(self.peer, outcome)
        self.leave()

    async def ask(self) -> str:
        """One request and its whole answer, or the beginning of a stream."""
        if self.writer is None:
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.peer.port)
        drawn = self.rng.random()
        stream = drawn < STREAMS
        asked = STREAM if stream else BIG if drawn > 1 - LARGE else WHOLE
        self.writer.write(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
            b"content-length: %d\r\n\r\n" % len(asked) + asked
        )
        head = (await self.reader.readuntil(b"\r\n\r\n")).lower()
        if not head.startswith(b"http/1.1 200"):
            raise ValueError(head.decode(errors="replace"))
        if not stream:
            length = int(head.partition(b"content-length: ")[2].split(b"\r\n")[0])
            said = json.loads(await self.reader.readexactly(length))
            if said["choices"][0]["message"]["content"] != TEXT:
                raise ValueError(f"another answer: {said}")
            return "whole"
        if self.rng.random() < LEAVING / STREAMS:
            await self.reader.readuntil(b"data: ")
            self.leave()
            return "left"
        events = (await self.reader.readuntil(b"0\r\n\r\n")).count(b"data: ")
        if events != CHUNKS + 1:
            raise ValueError(f"{events} events instead of {CHUNKS + 1}")
        return "stream"

    def leave(self) -> None:
        """Close the connection."""
        if self.writer:
            self.writer.close()
        self.writer = None


def open_files(peer: Peer) -> int:
    """Open files of the gateway, connections included."""
    return len(list(Path(f"/proc/{peer.process.pid}/fd").iterdir()))


async def soak(peer: Peer, minutes: float, rate: float, seed: int) -> dict[str, Any]:
    """The load, and a line a minute of what the gateway holds."""
    seen, rng = Seen(), random.Random(seed)
    await Client(peer, seen, rng).run(time.perf_counter() + 2, 0.2)  # whatever is made once
    idle = open_files(peer)
    start = time.perf_counter()
    until = start + 60 * minutes
    clients = [Client(peer, seen, random.Random(f"{seed}/{i}")) for i in range(CLIENTS)]
    load = asyncio.gather(*(client.run(until, CLIENTS / rate) for client in clients))
    minute: list[dict[str, float]] = []
    while not load.done():
        await asyncio.wait([load], timeout=min(60, max(1, until - time.perf_counter())))
        now = (time.perf_counter() - start) / 60
        held = {"minute": round(now, 1), "rss_mb": peer.rss_mb(), "files": open_files(peer)}
        minute.append(held)
        print(held, dict(seen.outcomes), flush=True)
    await load
    await asyncio.sleep(2)  # for the gateway to see that all have gone
    half = [held for held in minute if held["minute"] >= minutes / 2]
    xs, ys = ([held[key] for held in half] for key in ("minute", "rss_mb"))
    growth = statistics.linear_regression(xs, ys).slope if len(half) > 2 else float("nan")
    return {
        "minutes": minutes,
        "requests": seen.outcomes.total(),
        "per_second": round(seen.outcomes.total() / (60 * minutes), 1),
        "outcomes": dict(seen.outcomes),
        "wrong": seen.wrong[:10],
        "rss_mb_first_minute": minute[0]["rss_mb"],
        f"rss_mb_after_{MARK}": seen.marked_mb,
        "rss_mb_end": minute[-1]["rss_mb"],
        "growth_mb_per_10_min_second_half": round(10 * growth, 2),
        "files_idle_before": idle,
        "files_idle_after": open_files(peer),
        "by_minute": minute,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--rate", type=float, default=100, help="requests a second")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        found = peers(stack, Path(name), None)
        gateway = next(peer for peer in found if peer.name == "foreword")
        figures = asyncio.run(soak(gateway, args.minutes, args.rate, args.seed))
    print(json.dumps({key: value for key, value in figures.items() if key != "by_minute"}))
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
    if figures["outcomes"].get("lost"):
        sys.exit("requests were lost")


if __name__ == "__main__":
    main()
