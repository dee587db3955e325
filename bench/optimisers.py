"""Which optimiser finds the best response prefix for how many scored openings?

The same target, tasks, judge and validation split, and equal budgets: the paper's loop has its
own 3700 openings and is compared with the others where they end, and all once more after equal
seconds, those of the method that was done first; an opening is one prefix on one task, written
and judged. `paper`: the paper's loop with the offline proposer; `halving`:
successive halving of grammar draws; `ours`: `foreword search`, finalists included; `gepa` and
`capo`: other people's (pip install gepa promptolution; left out where missing); `random`:
grammar draws; with --llm also `paper-llm` and `gepa-llm`.

Every opening is computed once and kept with what it cost then; whoever asks for it is charged
that, once, so the curves are fair although the work is shared, and an interrupted bench goes
on from its --cells. Each new best of a method is measured on validation, charged to nobody, and
the last one on the tasks of that split by which nobody chooses (ours chooses by validation).
Not a test: seconds depend on the machine.

    python bench/optimisers.py --cells cells.jsonl --json optimisers.json --plot optimisers.svg
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import peers
from curves import at, draw
from world import Account, Charged, Finals, Margins, Toy, World

from foreword.core.protocols import Proposer, Scorer
from foreword.core.types import Chat, Spent, Trial
from foreword.search import ping, ranking
from foreword.search.loop import FEWEST, search
from foreword.search.proposers import GrammarProposer, LlmProposer
from foreword.search.race import Race
from foreword.search.scorers import score_of_margins
from foreword.suites import Suite, get

PAPERS_ROUND = 5  # candidates
ROUND = 60  # openings of a round of ours, once margins are proved: a budget ends after one
GOOD = 1.65  # on the search tasks: prefixes that are hard to tell apart
BEST = ranking.UNBOUND  # as everybody: the overall score, whatever it refuses
PAPERS_BUDGET = 20 * PAPERS_ROUND * 37  # openings: T rounds of M candidates on the search tasks


# The methods


def looped(
    run: Account,
    proposers: Sequence[Proposer],
    scorer: Scorer,
    per_round: int = PAPERS_ROUND,
    kept: int = 0,
) -> list[Trial]:
    """A search of the project's own until the budget is spent but for a rest; who led when.

    Returns:
        The trials that were written out on all search tasks.
    """
    result = search(
        scorer,
        [Charged(proposer, run) for proposer in proposers],
        rounds=ping.WITHOUT_END,
        per_round=per_round,
        seed=run.seed,
        stops=[lambda trials: _spent(trials, run.budget - kept)],
        meter=lambda: Spent(run.asked, round(run.spent.tokens)),
    )
    whole = [t for t in result.trials if t.score.fidelity == "opening" and t.score.complete]
    whole.sort(key=lambda trial: run.marks[trial.prefix].openings)
    for count, trial in enumerate(whole, 1):
        if ranking.leader(whole[:count]) is trial:
            run.leads.append((trial.prefix, run.marks[trial.prefix]))
    return whole


def _spent(trials: Sequence[Trial], openings: int) -> str | None:
    """What goes beyond the budget is cut off the curves, so a round may."""
    return "the budget is spent" if trials and trials[-1].spent.openings >= openings else None


def ours(run: Account) -> None:
    """What `ping.find` does; the replies that teach it count, and so do its finalists.

    It chooses among these by validation, so that the figure of its end is that on unseen tasks.
    """
    run.spent += run.world.sampling
    ground = run.world.ground
    race = Race(run, Margins(run) if ground.margins else None, seed=run.seed)
    writers = list(map(ground.proposer, ping.STANDARD))
    finals = Finals(run)
    wide = ping.WIDE if ground.margins else ping.PER_ROUND
    second = Race(finals, seed=run.seed, goal=BEST, arrive=FEWEST)
    whole = looped(run, writers, race, wide, ROUND + second.most(ping.FINALISTS))
    last = ranking.finalists(whole, ping.FINALISTS, BEST)
    scores = second.score([trial.prefix for trial in last])
    found = [ranking.Finalist(trial, score) for trial, score in zip(last, scores, strict=True)]
    run.lead(ranking.choose(found, BEST).trial.prefix)


def methods(llm: str | None) -> dict[str, Callable[[Account], object]]:
    """Each by its name, the paper's first, for all are measured against it."""
    found: dict[str, Callable[[Account], object]] = {
        "paper": lambda run: looped(run, [peers.Offline()], run),
        "halving": lambda run: looped(
            run, [GrammarProposer()], Race(run, seed=run.seed), ping.PER_ROUND
        ),
        "ours": ours,
        "gepa": peers.gepa,
        "random": lambda run: looped(run, [GrammarProposer()], run),
        "capo": peers.capo,
    }
    if llm:
        found["paper-llm"] = lambda run: looped(run, [LlmProposer.of(llm)], run)
        found["gepa-llm"] = lambda run: peers.gepa(run, llm)
    return found


# The figures


def measured(run: Account, budget: int) -> dict[str, Any]:
    """The curve of a finished run within its budget, its end, and where it was at `budget`."""
    leads = [(prefix, cost) for prefix, cost in run.leads if cost.openings <= run.budget]
    if not leads:
        raise RuntimeError("the budget is too small for this method to score a single prefix")
    prefixes = [prefix for prefix, _ in leads]
    scores = [run.world.score(split, prefixes) for split in ("search", "validation")]
    curve = [
        {**asdict(cost), "prefix": prefix, "search": found.overall, "validation": valid.overall}
        for (prefix, cost), found, valid in zip(leads, *scores, strict=True)
    ]
    final = scores[1][-1]
    half = math.hypot(*((rate.high - rate.low) / 2 for rate in ping.rates_of(final)))
    ends = {"prefix": prefixes[-1], "validation": final.overall, "half_width": half}
    ends |= {"perf": final.perf, "refusal": final.refusal}
    if inside := [point for point in curve if point["openings"] <= budget]:
        (fresh,) = run.world.score("unseen", [inside[-1]["prefix"]])
        ends |= {"at_equal_budget": inside[-1]["validation"], "unseen": fresh.overall}
    else:
        ends |= {"at_equal_budget": 0.0, "unseen": 0.0}
    return {"seed": run.seed, "curve": curve, "final": ends, "spent": asdict(run.spent)}


def reached(found: Mapping[str, Any], level: float) -> int | None:
    """Openings at which the curve first is at a level; None if it never is."""
    at = (p["openings"] for p in found["curve"] if p["validation"] >= level - 1e-9)
    return next(at, None)


def compare(results: dict[str, list[dict[str, Any]]], seconds: float) -> dict[str, dict[str, Any]]:
    """Add each run's `openings_to_reach_paper`; a summary a method, once after these seconds."""
    ends = {
        key: {name: [run["final"][key] for run in runs] for name, runs in results.items()}
        for key in ("at_equal_budget", "unseen")
    }
    levels = [run["final"]["validation"] for run in results.get("paper", [])]
    for runs in results.values():
        for run, level in zip(runs, levels or [math.inf] * len(runs), strict=True):
            run["openings_to_reach_paper"] = reached(run, level)
    summary = {}
    for name, runs in results.items():
        needed = [run["openings_to_reach_paper"] or math.inf for run in runs]
        middle = statistics.median_low(sorted(needed))
        openings = None if math.isinf(middle) else middle
        summary[name] = {
            "seeds": len(runs),
            "openings_to_reach_paper": openings,
            "share_of_papers_budget": openings and openings / PAPERS_BUDGET,
            "final": _middle(ends["at_equal_budget"][name]),
            "final_against": against(name, ends["at_equal_budget"]),
            "after_equal_seconds": _middle([after(run, seconds) for run in runs]),
            "unseen": _middle(ends["unseen"][name]),
            "unseen_against": against(name, ends["unseen"]),
            "seconds": statistics.median(run["spent"]["seconds"] for run in runs),
            "tokens": statistics.median(run["spent"]["tokens"] for run in runs),
        }
    return summary


def against(name: str, finals: Mapping[str, list[float]]) -> dict[str, Any]:
    """A method less the best of the others in the mean, paired by seed."""
    others = {other: values for other, values in finals.items() if other != name}
    rival = max(others, key=lambda other: statistics.mean(others[other]), default=None)
    pairs = zip(finals[name], others[rival], strict=True) if rival else ()
    return {"rival": rival, "difference": paired([a - b for a, b in pairs])}


def equal_seconds(results: Mapping[str, list[dict[str, Any]]]) -> float:
    """What every method had in the median, the paper's larger budget left out."""
    others = [runs for name, runs in results.items() if not name.startswith("paper")]
    return min(
        statistics.median(run["spent"]["seconds"] for run in runs)
        for runs in others or results.values()
    )


def after(found: Mapping[str, Any], seconds: float) -> float:
    """The validation score of whoever led then; 0 where nobody did."""
    return at([(p["seconds"], p["validation"]) for p in found["curve"]], seconds) or 0.0


def _middle(values: Sequence[float]) -> list[float]:
    """Median, least and most."""
    return [statistics.median(values), min(values), max(values)]


def foretelling(world: World, results: Mapping[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Rank correlation with validation, over all good prefixes that ever led."""
    from scipy.stats import spearmanr

    curves = [run["curve"] for runs in results.values() for run in runs]
    prefixes = sorted({p["prefix"] for curve in curves for p in curve if p["search"] >= GOOD})
    if len(prefixes) < 3 or world.ground.margins is None:
        return {"prefixes": len(prefixes)}
    scores, valid = (world.score(split, prefixes) for split in ("search", "validation"))
    rows = world.margins(prefixes, range(sum(world.ground.scorer.sizes)))
    known = [[margin for margin, _ in row] for row in rows]
    leaning = [score_of_margins(row, world.ground.scorer.sizes[0]) for row in known]
    goal = [score.overall for score in valid]
    found = {
        "overall": spearmanr([score.overall for score in scores], goal).statistic,
        "margins": spearmanr([ranking.standing(score) for score in leaning], goal).statistic,
    }
    return {"prefixes": len(prefixes), **{name: float(rho) for name, rho in found.items()}}


def paired(differences: Sequence[float]) -> list[float | None]:
    """Mean over seeds, with its 95 % interval by Student's t; it has none where nothing varies."""
    from scipy.stats import ttest_1samp

    if not differences:
        return [None, None, None]
    mean = statistics.mean(differences)
    if len(differences) < 2 or max(differences) - min(differences) < 1e-12:
        return [mean, None, None]
    interval = ttest_1samp(differences, 0).confidence_interval()
    return [mean, float(interval.low), float(interval.high)]


def table(summary: Mapping[str, Mapping[str, Any]], seconds: float) -> str:
    """For people, in Markdown."""
    lines = [
        "| method | seeds | openings to the paper's final | of its budget | validation [range] "
        f"| less the best other (95 %, t over seeds) | after {seconds:.0f} s [range] "
        "| unseen tasks [range] | less the best other | seconds | M tokens |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, row in summary.items():
        openings, share = row["openings_to_reach_paper"], row["share_of_papers_budget"]
        lines.append(
            f"| {name} | {row['seeds']} | {openings or 'never'} | {f'{share:.1%}' if share else ''}"
            + f" | {_shown(row['final'])} | {_told(row['final_against'])} "
            + f"| {_shown(row['after_equal_seconds'])} "
            + f"| {_shown(row['unseen'])} | {_told(row['unseen_against'])} "
            + f"| {row['seconds']:.0f} | {row['tokens'] / 1e6:.2f} |"
        )
    return "\n".join(lines)


def _shown(middle: Sequence[float]) -> str:
    return "{:.2f} [{:.2f}, {:.2f}]".format(*middle)


def _told(found: Mapping[str, Any]) -> str:
    """A difference with its interval, and to whom."""
    mean, low, high = found["difference"]
    if mean is None:
        return ""
    interval = "" if low is None else f" [{low:+.3f}, {high:+.3f}]"
    return f"{mean:+.3f}{interval} ({found['rival']})"


def pictures(
    path: Path, results: Mapping[str, list[dict[str, Any]]], budget: int, late: float
) -> None:
    """Draw all curves over openings, and over seconds beside it."""
    beside = path.with_stem(path.stem + "_seconds")
    axes = ((path, "openings", budget, "scored openings"), (beside, "seconds", late, "seconds"))
    for file, key, end, unit in axes:
        curves = {
            name: [[(p[key], p["validation"]) for p in run["curve"]] for run in runs]
            for name, runs in results.items()
        }
        file.write_text(draw(curves, end, unit), "utf-8")


def wall_clock(model: Any, suite: Suite, chats: Sequence[Chat], batches: int) -> dict[str, Any]:
    """Ours end to end on a fresh engine against batched `generate`, sampled and scaled."""
    from search import SHORT, Plain, timed

    candidates = ping.ROUNDS * ping.PER_ROUND
    with tempfile.TemporaryDirectory() as folder:
        result = ping.find(model, suite, out=folder).result
    some = peers.Offline().propose([], batches, random.Random(0))
    with Plain(model) as plain:
        plain(chats[:2], "", 2)
        batched, _ = timed(lambda: [plain(chats, prefix, SHORT) for prefix in some])
    paper, alone = batched / batches * candidates, result.trials[-1].seconds
    return {
        "ours_s": alone,
        "ours_with_finalists_s": result.seconds,
        "paper_s": paper,
        "sampled_batches": batches,
        "candidates": len(result.trials),
        "wall_clock_ratio": alone / paper,
        "wall_clock_ratio_with_finalists": result.seconds / paper,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--model", default="reference")
    parser.add_argument("--adapter", default="agent")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--suite", default="files", help="several with + between them")
    parser.add_argument("--data", type=Path, help="where a suite's files lie")
    parser.add_argument("--seeds", type=int, help="5 if not given; 2 with --toy")
    parser.add_argument(
        "--budget", type=int, help="openings of a run but the paper's; 3700, a toy's 740"
    )
    parser.add_argument("--methods", help="with commas between; all if not given")
    parser.add_argument("--llm", help="a chat model that writes candidates, by its Inspect name")
    parser.add_argument("--cells", type=Path, help="keep what is computed in this file")
    parser.add_argument("--batches", type=int, default=3, help="of `generate` timed; 0 for none")
    parser.add_argument("--toy", action="store_true", help="no model: a check of the bench itself")
    parser.add_argument(
        "--plot",
        type=Path,
        help="draw the curves in this file (SVG), and over seconds in FILE_seconds",
    )
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args()
    args.seeds = args.seeds or (2 if args.toy else 5)
    args.budget = args.budget or (740 if args.toy else PAPERS_BUDGET)
    able = methods(args.llm)
    names = args.methods.split(",") if args.methods else list(able)
    if unknown := [name for name in names if name not in able]:
        parser.error(f"no method {unknown[0]!r}; there are {', '.join(able)}")
    lacking = {name: package for name in names if (package := peers.missing(name))}
    for name, package in lacking.items():
        print(f"{name} is left out: pip install {package}", file=sys.stderr)
    suite = get(args.suite, args.data)

    def load() -> Any:
        from foreword import models

        return models.load(args.model, adapter=args.adapter, dtype=args.dtype)

    world = World(Toy(suite) if args.toy else load(), suite, args.cells)
    results: dict[str, list[dict[str, Any]]] = {n: [] for n in names if n not in lacking}
    for seed in range(args.seeds):
        for name, runs in results.items():
            budget = PAPERS_BUDGET if name.startswith("paper") and not args.toy else args.budget
            run = Account(world, seed, budget)
            start = time.perf_counter()
            able[name](run)
            runs.append(measured(run, args.budget))
            print(
                f"seed {seed}, {name}: {runs[-1]['final']['validation']:.2f} on validation with "
                f"{runs[-1]['final']['prefix']!r}; {time.perf_counter() - start:.0f} s of work",
                file=sys.stderr,
            )
    seconds = equal_seconds(results)
    summary = compare(results, seconds)
    print(table(summary, seconds))
    figures: dict[str, Any] = {
        "target": world.target.fingerprint,
        "suite_digest": suite.digest,
        "budget": args.budget,
        "equal_seconds": seconds,
        "methods": results,
        "summary": summary,
        "foretelling": foretelling(world, results),
        "missing": lacking,
        "sampling": asdict(world.sampling),
    }
    print(f"rank correlation with validation: {figures['foretelling']}")
    if args.batches and not args.toy:
        chats = [chat for side in world.ground.chats for chat in side]
        figures["wall_clock"] = wall_clock(load(), suite, chats, args.batches)
        figures["wall_clock_ratio"] = figures["wall_clock"]["wall_clock_ratio"]
        print(json.dumps(figures["wall_clock"], indent=1))
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
    if args.plot:
        late = max(row["seconds"] for row in summary.values())
        pictures(args.plot, results, args.budget, late)


if __name__ == "__main__":
    main()
