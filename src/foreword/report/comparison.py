"""A comparison of defences as a page: one row of dots a defence, and the table behind them.

Names of defences are users' text; the template escapes everything except the SVG this
package drew itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from foreword.core.runs import write_text
from foreword.evals.comparison import Comparison, cells, head
from foreword.report import charts
from foreword.report.page import environment


def render_comparison(comparison: Comparison, facts: Mapping[str, str]) -> str:
    """The HTML text; `facts` are seeds, hashes, versions, seconds."""
    first = comparison.rows[0]
    names = comparison.measures()
    return (
        environment()
        .get_template("comparison.html")
        .render(
            title=f"Defences on suite {comparison.suite}",
            forest=charts.forest(comparison.rows, dict(zip(names, head(names)[1:], strict=False))),
            head=head(names),
            lines=[cells(row, first, names) for row in comparison.rows],
            notes=comparison.notes(),
            facts=facts,
        )
    )


def write_comparison(comparison: Comparison, facts: Mapping[str, str], path: Path) -> None:
    """Write the page in one step, so that a reader never meets half of it."""
    write_text(path, render_comparison(comparison, facts))
