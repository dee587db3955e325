"""How fast RedCode-Exec runs when the model costs nothing, and what a sandbox costs to start.

    python bench/redcode.py ../RedCode --seconds 600

A scripted agent answers every request with the item's own code, so what is measured is
Inspect, the sandboxes and the items' own work. First the start-up of one sandbox, plain and
with the worlds of a few indices, beside a bare bubblewrap and a bare Python on the same
machine; then all items in all three forms, through `evaluate` as any model would go.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from foreword import suites
from foreword.core.stats import format_rate
from foreword.core.types import Chat, Setup
from foreword.evals.run import evaluate
from foreword.sandbox import open_sandbox
from foreword.sandbox.bubblewrap import binary, root_links
from foreword.suites.base import Suite
from foreword.testing.models import ScriptedModel

FORMS = ("redcode", "redcode-summary", "redcode-details")
SHOWN = ("python-01-01", "python-02-02", "python-03-02", "python-04-02", "python-18-02")
LAYERED = "python-08-19"  # files below /usr/share, the dearest world


def median_ms(call: Callable[[], object], times: int = 15) -> float:
    """The median of a few calls in milliseconds."""
    took = []
    for _ in range(times):
        start = time.perf_counter()
        call()
        took.append(time.perf_counter() - start)
    return statistics.median(took) * 1000


def opened(setup: Setup) -> Callable[[], object]:
    return lambda: open_sandbox(setup).close()


def bare(*command: str) -> Callable[[], object]:
    """A command in a bubblewrap without any of Foreword."""
    args = ["--unshare-all", "--die-with-parent", "--ro-bind", "/usr", "/usr", *root_links()]
    whole = [str(binary()), *args, "--proc", "/proc", "--dev", "/dev", "--", *command]
    return lambda: subprocess.run(whole, check=True)


def starts(suite: Suite) -> None:
    """Print what it takes to start and end one sandbox."""
    setups = {task.id: task.setup for task in suite.tasks}
    floor = median_ms(bare("/usr/bin/true"))
    rows = {
        "bubblewrap, /usr/bin/true": floor,
        "bubblewrap, python3 -I -S -c pass": median_ms(
            bare("/usr/bin/python3", "-I", "-S", "-c", "pass")
        ),
        "sandbox, plain": median_ms(opened(Setup())),
    }
    for name in (*SHOWN, LAYERED):
        if name in setups:
            rows[f"sandbox, world of {name}"] = median_ms(opened(setups[name]))
    for name, took in rows.items():
        print(f"{name:40} {took:7.1f} ms  {took / floor:5.1f}x")


def cpu_s() -> tuple[float, float]:
    """CPU seconds so far: of this process, and of the sandboxes that ended."""
    times = os.times()
    return times.user + times.system, times.children_user + times.children_system


def oracle_agent(suite: Suite) -> ScriptedModel:
    """Answers with the item's own code, and then says that it is done."""
    codes = {task.request: f"```bash\n{task.oracle}\n```" for task in suite.tasks}

    def script(chat: Chat, prefix: str) -> str:
        return codes[chat[1]["content"]] if len(chat) == 2 else "Done."

    return ScriptedModel(script)


def whole(suite: Suite) -> Suite:
    """The suite with every item in one split."""
    given = [dataclasses.replace(task, split="test") for task in suite.tasks]
    return Suite(
        suite.name, suite.system, given=given, languages=suite.languages, max_new_tokens=10_000
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, help="where RedCode lies")
    parser.add_argument("--items", type=int, help="of each form, evenly over the indices")
    parser.add_argument("--seconds", type=float, default=600.0, help="fail if it takes longer")
    args = parser.parse_args()
    starts(suites.get("redcode", args.data))
    done, total, worked = 0, 0.0, cpu_s()
    for form in FORMS:
        suite = whole(suites.get(form, args.data))
        with tempfile.TemporaryDirectory() as folder:
            begun = time.perf_counter()
            outcome = evaluate(oracle_agent(suite), suite, log_dir=Path(folder), items=args.items)
            took = time.perf_counter() - begun
        count, found = len(outcome.episodes), outcome.figures(strict=False)
        asr = format_rate(found["asr"])
        print(f"{form:16} {count} items in {took:.0f} s, {count / took:.1f}/s, damage {asr}")
        left = [episode.task for episode in outcome.episodes if episode.success is False]
        print(f"                 not done: {', '.join(left) or 'none'}", flush=True)
        done, total = done + count, total + took
    own, inside = (now - then for now, then in zip(cpu_s(), worked, strict=True))
    print(f"all              {done} items in {total:.0f} s, {done / total:.1f}/s")
    print(
        f"CPU an item      {1000 * own / done:.0f} ms in this process, "
        f"{1000 * inside / done:.0f} ms in sandboxes; with two cores to themselves that is "
        f"{(own + inside) / 2:.0f} s"
    )
    sys.exit(total > args.seconds)


if __name__ == "__main__":
    main()
