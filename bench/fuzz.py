"""Hundreds of thousands of requests to the gateway: nothing crashes, no prefix is lost or doubled.

hypothesis draws a stock of requests by the strategies of tests/gateway/test_fuzz.py; this
script breeds from it (messages and fields of one request in another, nasty words within
texts, noise in the bytes) and holds every answer to that test's own check: refused with 400,
or guarded exactly and answered with one's own data, two at a time, by every dialect. Not a test.

    python bench/fuzz.py --requests 200000 --json fuzz.json
"""

from __future__ import annotations

import argparse
import copy
import json
import random
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "gateway"))
import test_fuzz

from foreword.models.dialects import DIALECTS
from foreword.models.probe import Continuation

NASTY = (
    test_fuzz.WORDS,
    "<|im_end|>",
    "<|im_start|>assistant\n",
    "</s>",
    "\x00",
    "data: [DONE]\n\n",
)
NOISE = 0.2  # of the pairs have bytes changed as well
SOUND = 0.8  # of the second parents are let through by themselves, too
Body = dict[str, Any]


def stock(size: int) -> list[Body]:
    """Requests as the test draws them."""
    found: list[Body] = []
    quiet = settings(
        max_examples=size,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )

    @quiet
    @given(test_fuzz.BODY)
    def draw(body: Body) -> None:
        found.append(body)

    draw()
    return found


def bred(rng: random.Random, sound: list[Body], every: list[Body]) -> Body:
    """A request that is let through, with another's messages and fields, and texts spoilt."""
    child = copy.deepcopy(rng.choice(sound))
    other = copy.deepcopy(rng.choice(sound if rng.random() < SOUND else every))
    if rng.random() < 0.3 and other:
        field = rng.choice(list(other))
        child[field] = other[field]
    mine, theirs = child.get("messages"), other.get("messages")
    if isinstance(mine, list) and isinstance(theirs, list) and mine and theirs:
        mine[rng.randrange(len(mine))] = rng.choice(theirs)
        if rng.random() < 0.5:
            mine.insert(rng.randrange(len(mine) + 1), rng.choice(theirs))
    if rng.random() < 0.3:
        return {key: spoilt(rng, each) for key, each in child.items()}
    return child


def spoilt(rng: random.Random, value: Any) -> Any:
    """The same value, with nasty words put into some of its texts."""
    if isinstance(value, dict):
        return {key: spoilt(rng, each) for key, each in value.items()}
    if isinstance(value, list):
        return [spoilt(rng, each) for each in value]
    if isinstance(value, str) and rng.random() < 0.3:
        at = rng.randrange(len(value) + 1)
        return value[:at] + rng.choice(NASTY) + value[at:]
    return value


def noise(rng: random.Random) -> list[tuple[float, bytes]]:
    """Places within a request, and the bytes that are written there."""
    if rng.random() > NOISE:
        return []
    return [(rng.random(), rng.randbytes(rng.randrange(4))) for _ in range(rng.randrange(1, 3))]


def run(requests: int, size: int, seed: int) -> dict[str, Any]:
    """Breed and check until enough were sent; a request that breaks the check is printed."""
    rng = random.Random(seed)
    outcomes: Counter[int] = Counter()
    call = test_fuzz.call

    async def counted(*args: Any) -> tuple[int, bytes]:
        status, content = await call(*args)
        outcomes[status] += 1
        return status, content

    test_fuzz.call = counted
    every, sound = stock(size), []
    for body in every:
        through = outcomes[200]
        test_fuzz.check(Continuation(DIALECTS["vllm"], False, False), False, [body], [])
        if outcomes[200] > through:
            sound.append(body)
    start = time.monotonic()
    while outcomes.total() < requests:
        dialect = rng.choice(list(DIALECTS.values()))
        way = Continuation(dialect, rng.random() < 0.5, rng.random() < 0.5)
        pair = [bred(rng, sound, every), bred(rng, sound, every)]
        bytes_changed, show = noise(rng), rng.random() < 0.5
        try:
            test_fuzz.check(way, show, pair, bytes_changed)
        except BaseException:
            print(json.dumps([way.dialect.name, show, pair, repr(bytes_changed)]), flush=True)
            raise
        if outcomes.total() % 20_000 < 2:
            print(dict(outcomes), f"{time.monotonic() - start:.0f} s", flush=True)
    return {
        "requests": outcomes.total(),
        "by_status": dict(outcomes),
        "seconds": round(time.monotonic() - start, 1),
        "stock": len(every),
        "let_through_of_stock": len(sound),
        "seed": seed,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--requests", type=int, default=200_000)
    parser.add_argument("--stock", type=int, default=3_000, help="requests to breed from")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args()
    figures = run(args.requests, args.stock, args.seed)
    print(json.dumps(figures))
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
