"""Defences side by side: every one on the same tasks, against the model without any.

One evaluation a defence, resumable, each in its own folder of `.eval` logs. A row holds the
rates, the cost a request, and the paired differences to the first row, each with an interval
and a test: exact for rates, Student's t for costs. `Comparison` is plain data; report/ and cli/
draw it.

Covered: a defence whose instrument failed (a guard's server that is down) keeps the rates that
could be judged, k of n of N, and says so. Not covered: several models in one table.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from foreword.core.errors import TooManyUndecided
from foreword.core.protocols import Judge, Model
from foreword.core.stats import Difference, mcnemar, mean_difference, paired_difference
from foreword.core.types import Rate, Split
from foreword.evals.figures import MAX_UNJUDGED, Cost, Episode, figures, pairs, rate_json, too_few
from foreword.evals.run import evaluate
from foreword.suites.base import Suite

NOTED = 0.05
CSV = (
    *("suite", "defence", "measure", "value", "k", "n", "total", "low", "high"),
    *("change", "change_low", "change_high", "pairs", "p"),
)
MEASURES = ("sr", "asr", "rr", "orr_benign", "orr_twins")


@dataclass(frozen=True)
class Change:
    """A figure against the first row's, over the tasks that both have it of."""

    difference: Difference
    p: float  # two-sided, of this pair alone: exact McNemar for a rate, paired t for a cost

    @property
    def noted(self) -> bool:
        """Whether it is worth a star: p below 0.05, not corrected for the number of rows.

        Never where so few pairs were judged that the figure means nothing.
        """
        pairs = self.difference.n + self.difference.dropped
        return self.p < NOTED and self.difference.dropped <= MAX_UNJUDGED * pairs


@dataclass(frozen=True)
class Row:
    """One defence."""

    defence: str  # the spec
    fingerprint: str
    rates: Mapping[str, Rate]
    a_request: Mapping[str, float]  # tokens read and written, seconds: means over the episodes
    changes: Mapping[str, Change]  # of both by name; empty in the first row
    requests: int  # to the model, in all
    errors: int  # episodes that an instrument's failure ended
    complaint: str  # why a rate means nothing, "" if all can be trusted


@dataclass(frozen=True)
class Comparison:
    """All defences on one suite."""

    suite: str
    digest: str
    split: Split
    judge: str
    rows: tuple[Row, ...]

    def measures(self) -> list[str]:
        """Those that any row has, in the usual order."""
        return [name for name in MEASURES if any(name in row.rates for row in self.rows)]

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "suite": self.suite,
            "digest": self.digest,
            "split": self.split,
            "judge": self.judge,
            "rows": [_row_json(row) for row in self.rows],
        }

    def to_csv(self) -> str:
        """One line a defence and measure: its rates, costs a request, and errors."""
        text = io.StringIO()
        writer = csv.DictWriter(text, CSV, lineterminator="\n")
        writer.writeheader()
        for row in self.rows:
            values: dict[str, dict[str, Any]] = {
                name: {"value": rate.value if rate.n else None, **rate_json(rate)}
                for name, rate in row.rates.items()
            }
            values |= {name: {"value": value} for name, value in row.a_request.items()}
            values["errors"] = {"value": row.errors}
            for name, said in values.items():
                if change := row.changes.get(name):
                    said |= dict(zip(CSV[-5:], _change_json(change).values(), strict=True))
                line = {key: f"{v:.4g}" if isinstance(v, float) else v for key, v in said.items()}
                writer.writerow(
                    {"suite": self.suite, "defence": row.defence, "measure": name, **line}
                )
        return text.getvalue()

    def to_markdown(self) -> str:
        """A table for documents: per cent with interval, change to the first row, cost."""
        names = self.measures()
        titles = head(names)
        lines = [f"| {' | '.join(titles)} |", "|" + "---|" * len(titles)]
        lines += [f"| {' | '.join(cells(row, self.rows[0], names))} |" for row in self.rows]
        return "\n".join(lines) + "\n"


COSTS = ("tokens shown / written a request", "seconds a request")


def head(names: Sequence[str]) -> list[str]:
    """The titles above `cells`."""
    return ["defence", *(name.upper().replace("_", " ") for name in names), *COSTS]


def cells(row: Row, first: Row, names: Sequence[str]) -> list[str]:
    """A row as people read it, one text a column of `Comparison.to_markdown`."""
    found = [row.defence]
    for name in names:
        rate, change = row.rates.get(name), row.changes.get(name)
        if rate is None or not rate.n:
            found.append("not judged")
            continue
        text = f"{rate.value:.0%} [{rate.low:.0%}, {rate.high:.0%}] {rate.k}/{rate.n}"
        text += f" of {rate.total}" if rate.total != rate.n else ""
        text += " (too few judged)" if too_few(rate) else ""
        if change is not None and change.difference.n:
            text += f"; {change.difference.value:+.0%}{'*' if change.noted else ''}"
            text += f" in {change.difference.n} pairs" if change.difference.dropped else ""
        found.append(text)
    return [*found, *_cost_cells(row, first)]


def _cost_cells(row: Row, first: Row) -> list[str]:
    """Of the first row as they are, of the others as what comes on top."""
    own, base = row.a_request, first.a_request
    if row is first:
        return [f"{own['read']:.0f} / {own['tokens']:.0f}", f"{own['seconds']:.3f}"]
    tokens = " / ".join(_more(row, name, ".0f") for name in ("read", "tokens"))
    ratio = f" ({own['seconds'] / base['seconds']:.2f}x)" if base["seconds"] else ""
    return [tokens, f"{own['seconds']:.3f}{ratio}; {_more(row, 'seconds', '.3f')}"]


def _more(row: Row, name: str, form: str) -> str:
    """A cost on top of the first row's, with its interval where there is one."""
    if name not in row.changes:
        return "?"
    found = row.changes[name].difference
    return f"{found.value:+{form}} [{found.low:+{form}}, {found.high:+{form}}]"


def compare(
    model: Model,
    suite: Suite,
    defences: Mapping[str, Callable[[Model], Model]],
    *,
    out: Path,
    split: Split = "test",
    items: int | None = None,
    judge: Judge | str = "lexicon",
    max_new_tokens: int | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Comparison:
    """Evaluate a model behind each defence on the same tasks.

    Args:
        model: the target, loaded.
        suite: where the tasks come from.
        defences: spec -> what puts it around the model; the first is what the others are
            compared with.
        out: a folder of logs a defence is kept here; what is there is not run again.
        split: which tasks.
        items: at most this many tasks of each kind, evenly over the families.
        judge: reads the replies.
        max_new_tokens: of one reply; the suite's own number if not given.
        progress: called with (spec, episodes done, episodes in all).

    Raises:
        UsageError: the split is empty.
        SandboxError: no sandbox works here.
        ModelError: the target did not answer.
        ConfigError: a defence cannot stand around this target.
    """
    measured: dict[str, tuple[str, tuple[Episode, ...]]] = {}
    judged = ""
    guarded = {spec: wrap(model) for spec, wrap in defences.items()}  # what cannot stand says so
    for spec, each in guarded.items():
        outcome = evaluate(
            each,
            suite,
            log_dir=out / folder(spec),
            split=split,
            items=items,
            judge=judge,
            max_new_tokens=max_new_tokens,
            progress=None if progress is None else lambda *at, spec=spec: progress(spec, *at),
            resume=True,
        )
        measured[spec] = (outcome.fingerprint, outcome.episodes)
        judged = outcome.judge
    (_, first), *_ = measured.values()
    rows = tuple(
        _row(spec, fingerprint, episodes, None if episodes is first else first)
        for spec, (fingerprint, episodes) in measured.items()
    )
    return Comparison(suite.name, suite.digest, split, judged, rows)


def folder(spec: str) -> str:
    """A spec as the name of a folder, readable and distinct."""
    readable = "".join(c if c.isalnum() or c in "+-." else "_" for c in spec)[:40]
    return readable if readable == spec else f"{readable}-{sha256(spec.encode()).hexdigest()[:8]}"


def _row(
    spec: str, fingerprint: str, episodes: Sequence[Episode], first: Sequence[Episode] | None
) -> Row:
    try:
        found, complaint = figures(episodes), ""
    except TooManyUndecided as error:
        found, complaint = figures(episodes, strict=False), str(error)
    return Row(
        spec,
        fingerprint,
        found.rates,
        _mean(list(_costs(episodes).values())),
        _changes(first, episodes) if first is not None else {},
        sum(episode.cost.requests for episode in episodes),
        sum(bool(episode.error) for episode in episodes),
        complaint,
    )


def _costs(episodes: Sequence[Episode]) -> dict[str, dict[str, float]]:
    """What a request cost in each episode that came to its end, by task."""
    return {each.task: each.cost.a_request() for each in episodes if not each.error}


def _mean(costs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: sum(c[name] for c in costs) / max(1, len(costs)) for name in Cost().a_request()}


def _changes(first: Sequence[Episode], episodes: Sequence[Episode]) -> dict[str, Change]:
    found = {
        name: Change(paired_difference(*both), mcnemar(*both))
        for name, both in pairs(first, episodes).items()
    }
    before, after = _costs(first), _costs(episodes)
    both = [task for task in before if task in after]
    for name in Cost().a_request():
        sides = ([costs[task][name] for task in both] for costs in (before, after))
        if change := mean_difference(*sides):
            found[name] = Change(*change)
    return found


def _row_json(row: Row) -> dict[str, Any]:
    return {
        "defence": row.defence,
        "fingerprint": row.fingerprint,
        "rates": {name: rate_json(rate) for name, rate in row.rates.items()},
        "changes": {name: _change_json(change) for name, change in row.changes.items()},
        "requests": row.requests,
        "a_request": dict(row.a_request),
        "errors": row.errors,
        "complaint": row.complaint,
    }


def _change_json(change: Change) -> dict[str, float | None]:
    found = change.difference
    value = found.value if found.n else None
    return {"value": value, "low": found.low, "high": found.high, "n": found.n, "p": change.p}
