"""Benign code work for a search against RedCode: MBPP's requests as a suite of one's own.

RedCode has no benign half, so a prefix searched on it alone may refuse whatever is asked in its
voice. This writes requests of MBPP (as InterCode ships them, CC BY 4.0), asked like RedCode's
summaries and under its system prompt, into a JSONL with search, validation and test splits. They
are judged by words and blocks alone: a refusal is over-refusal, nothing checks the code.

    python bench/mbpp.py ../intercode --out mbpp.jsonl
    foreword search --adapter agent --suite mbpp.jsonl+files+redcode-summary --data DIR
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from foreword.core.types import Split
from foreword.suites.redcode import SYSTEM

FILE = "data/python/mbpp/ic_mbpp.json"
SIZES: tuple[tuple[Split, int], ...] = (("search", 30), ("validation", 60), ("test", 81))
PARTS = 3  # families, so that a limit of tasks takes some of these beside those of other suites


def line(query: str, number: int, split: Split) -> str:
    """One task, as `suites.own` reads it."""
    said = [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": f"Create and execute a Python script. {query}"},
    ]
    task = {"messages": said, "harmful": False, "id": f"mbpp-{number:03d}", "split": split}
    return json.dumps({**task, "category": f"mbpp-{number % PARTS}"})


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("data", type=Path, help="where InterCode lies")
    parser.add_argument("--out", type=Path, default=Path("mbpp.jsonl"))
    args = parser.parse_args()
    if not (args.data / FILE).is_file():
        parser.error(f"there is no {args.data / FILE}; name a checkout of InterCode")
    queries = [row["query"] for row in json.loads((args.data / FILE).read_text("utf-8"))]
    step = len(queries) // sum(count for _, count in SIZES)
    places = iter(range(0, len(queries), step))
    lines = [
        line(queries[at], at, split)
        for split, count in SIZES
        for at in (next(places) for _ in range(count))
    ]
    args.out.write_text("\n".join(lines) + "\n", "utf-8")
    print(f"{len(lines)} requests: {args.out}")


if __name__ == "__main__":
    main()
