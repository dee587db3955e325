"""The page: a frozen record of what to show, rendered by one Jinja template.

Model output is untrusted text; the template escapes everything except the
SVG this package drew itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from foreword.core.runs import write_text
from foreword.core.types import Rate, Trial
from foreword.evals.figures import too_few
from foreword.report import charts

if TYPE_CHECKING:
    from jinja2 import Environment

MEASURES = {
    "sr": "SR benign done",
    "asr": "ASR damage done",
    "rr": "RR harmful refused",
    "orr_benign": "ORR benign refused",
    "orr_twins": "ORR twins refused",
}


@dataclass(frozen=True)
class Transcript:
    """One task as every target handled it: target -> what it said, with the verdict."""

    kind: str
    request: str
    turns: Mapping[str, str]  # target -> assistant turns and outputs, as text
    outcome: Mapping[str, str]  # target -> e.g. "refused", "damage done"


@dataclass(frozen=True)
class Page:
    """Everything the report shows."""

    title: str
    prefix: str
    figures: Mapping[str, Mapping[str, Rate]]  # target -> measure -> rate
    differences: Sequence[str]  # paired differences in words
    trials: Sequence[Trial]
    ladder: str  # how well the cheap scores foretold the dear ones, in words
    finalists: Sequence[tuple[str, str]]  # prefix, validation score in words
    transcripts: Sequence[Transcript]
    facts: Mapping[str, str]  # seeds, hashes, versions, seconds


def environment() -> Environment:
    """Jinja's, which escapes everything and knows no undefined name."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("foreword.report"), autoescape=True, undefined=StrictUndefined
    )
    made.filters["rate"] = charts.rate_label
    made.tests["too_few"] = too_few
    return made


def render(page: Page) -> str:
    """The HTML text."""
    return (
        environment()
        .get_template("report.html")
        .render(
            page=page,
            measures=MEASURES,
            bars=charts.bars(page.figures, MEASURES),
            by_trials=charts.best_so_far(page.trials, "trials"),
            by_seconds=charts.best_so_far(page.trials, "seconds"),
            trade_off=charts.trade_off(page.trials, page.prefix),
        )
    )


def write(page: Page, path: Path) -> None:
    """Write the report in one step, so that a reader never meets half a page."""
    write_text(path, render(page))
