"""A comparison of defences as data, and as people and programs read it: cells, Markdown, CSV, JSON.

A row holds the rates, the cost a request, and the paired differences to the first row, each
with an interval and a test: exact for rates, Student's t for costs.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from foreword.core.stats import Difference
from foreword.core.types import Rate, Split
from foreword.evals.figures import MAX_UNJUDGED, rate_json, too_few

NOTED = 0.05
Interval = tuple[float, float]
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
    # Of a_request, 95 % by Student's t.
    spread: Mapping[str, Interval] = field(default_factory=dict)
    note: str = ""  # what a stack loses to one of its own parts


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
            for name, value in row.a_request.items():
                values[name] = {"value": value}
                if name in row.spread:
                    values[name] |= dict(zip(("low", "high"), row.spread[name], strict=True))
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
        lines += [f"\n{note}" for note in self.notes()]
        return "\n".join(lines) + "\n"

    def notes(self) -> list[str]:
        """What is to be said beside the table, a sentence a row."""
        return [f"{row.defence}: {row.note}." for row in self.rows if row.note]


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
        text = f"{_within(rate.value, rate.low, rate.high, form='.0%')} {rate.k}/{rate.n}"
        text += f" of {rate.total}" if rate.total != rate.n else ""
        text += " (too few judged)" if too_few(rate) else ""
        if change is not None and change.difference.n:
            gain = change.difference
            text += f"; {_within(gain.value, gain.low, gain.high, form='+.0%')}"
            text += "*" * change.noted + (f" in {gain.n} pairs" if gain.dropped else "")
        found.append(text)
    return [*found, *_cost_cells(row, first)]


def _cost_cells(row: Row, first: Row) -> list[str]:
    """Of the first row as they are, of the others as what comes on top."""
    own, base = row.a_request, first.a_request
    if row is first:
        forms = {"read": ".0f", "tokens": ".0f", "seconds": ".3f"}
        read, tokens, seconds = (
            _within(own[name], *row.spread.get(name, ()), form=form) for name, form in forms.items()
        )
        return [f"{read} / {tokens}", seconds]
    tokens = " / ".join(_more(row, name, ".0f") for name in ("read", "tokens"))
    ratio = f" ({own['seconds'] / base['seconds']:.2f}x)" if base["seconds"] else ""
    return [tokens, f"{own['seconds']:.3f}{ratio}; {_more(row, 'seconds', '.3f')}"]


def _within(value: float, *interval: float, form: str) -> str:
    """A figure with its interval, if it has one."""
    low_high = ", ".join(f"{end:{form}}" for end in interval)
    return f"{value:{form}} [{low_high}]" if interval else f"{value:{form}}"


def _more(row: Row, name: str, form: str) -> str:
    """A cost on top of the first row's, with its interval where there is one."""
    if name not in row.changes:
        return "?"
    found = row.changes[name].difference
    return _within(found.value, found.low, found.high, form=f"+{form}")


def _row_json(row: Row) -> dict[str, Any]:
    return {
        "defence": row.defence,
        "fingerprint": row.fingerprint,
        "rates": {name: rate_json(rate) for name, rate in row.rates.items()},
        "changes": {name: _change_json(change) for name, change in row.changes.items()},
        "requests": row.requests,
        "a_request": dict(row.a_request),
        "a_request_95": {name: list(interval) for name, interval in row.spread.items()},
        "errors": row.errors,
        "complaint": row.complaint,
        "note": row.note,
    }


def _change_json(change: Change) -> dict[str, float | None]:
    found = change.difference
    value = found.value if found.n else None
    return {"value": value, "low": found.low, "high": found.high, "n": found.n, "p": change.p}
