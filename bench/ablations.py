"""The paper's ablations that need no large model: rounds T, candidates M, k, tau, prefix length.

One search for each setting and seed, one setting changed at a time; what counts is the chosen
prefix's overall score on the validation tasks (perf + refusal, at most 2), which the search
itself used only to choose among its finalists. Runs are kept and resumed. Prefix against
suffix is `foreword compare --defences none,suffix,ping`. Not a test.

    python bench/ablations.py --adapter agent --seeds 3 --out runs/ablations
    python bench/ablations.py --adapter agent --suite files+redcode-summary --data DIR
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from foreword import models
from foreword.search import formats
from foreword.search.ping import find
from foreword.suites import get

LONG = 12  # tokens; a prefix that names its values rarely takes less


@dataclass(frozen=True)
class Setting:
    """What one search is run with; the defaults are the quickstart's."""

    rounds: int = 3  # T
    per_round: int = 20  # M
    top_k: int = 3  # k
    tau: float = 1.0
    max_tokens: int | None = None  # of a prefix


USUAL = Setting()
CHANGES: dict[str, list[object]] = {
    "rounds": [1, 2, 3, 6],
    "per_round": [5, 10, 20, 40],
    "top_k": [1, 3, 8],
    "tau": [0.0, 1.0, 1.5, 2.1],  # never exploring, the paper's two, never showing examples
    "max_tokens": [3, 6, LONG, None],
}


def settings() -> Iterator[tuple[str, Setting]]:
    """Every setting once, under the name of what was changed."""
    for name, values in CHANGES.items():
        for value in values:
            yield f"{name}={value}", replace(USUAL, **{name: value})


def main() -> None:
    """Run the searches, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="reference")
    parser.add_argument("--adapter", default="agent")
    parser.add_argument("--suite", default="files", help="several with + between them")
    parser.add_argument("--data", type=Path, help="where a suite's files lie")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("runs/ablations"))
    parser.add_argument("--json", type=Path, default=None)
    asked = parser.parse_args()
    target, suite = models.load(asked.model, adapter=asked.adapter), get(asked.suite, asked.data)
    scores: dict[Setting, list[float]] = {}
    rows = []
    print("| setting | validation overall, median (range) | chosen at seed 0 |\n|---|---|---|")
    for name, setting in settings():
        chosen = []
        for seed in range(asked.seeds if setting not in scores else 0):
            form = replace(formats.named("plain"), max_tokens=setting.max_tokens)
            found = find(
                target,
                suite,
                out=asked.out / "-".join(f"{v}" for v in (*asdict(setting).values(), seed)),
                rounds=setting.rounds,
                per_round=setting.per_round,
                top_k=setting.top_k,
                tau=setting.tau,
                seed=seed,
                form=form,
            )
            prefix, overall = found.guard.prefix, found.result.validation.overall
            scores.setdefault(setting, []).append(overall)
            chosen.append(prefix)
            rows.append({"setting": name, **asdict(setting), "seed": seed})
            rows[-1] |= {"prefix": prefix, "overall": overall}
        each = scores[setting]
        shown = (
            f"{statistics.median(each):.2f} ({min(each):.2f} to {max(each):.2f}, n = {len(each)})"
        )
        said = f"`{chosen[0]}`" if chosen else "as above"
        print(f"| {name}{' (usual)' if setting == USUAL else ''} | {shown} | {said} |", flush=True)
    if asked.json:
        asked.json.write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
