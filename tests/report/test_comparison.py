"""The page of a comparison: every mark, every cell, and no way for text to become markup."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path

from foreword.core.stats import Difference, wilson
from foreword.evals.comparison import Change, Comparison, Row
from foreword.evals.figures import Cost
from foreword.report.comparison import render_comparison, write_comparison


def a_change(value: float, p: float) -> Change:
    return Change(Difference(value, value - 0.1, value + 0.1, 60), p)


def comparison() -> Comparison:
    rates = {"rr": wilson(0, 60), "sr": wilson(17, 60)}
    none = Row("none", "m", rates, Cost(100, 5000, 800, 50.0).a_request(), {}, 100, 0, "")
    better = Row(
        "static:<b>I</b> cannot",
        "m|x",
        {"rr": wilson(46, 60), "sr": wilson(5, 60)},
        Cost(100, 5600, 900, 60.0).a_request(),
        {"rr": a_change(0.77, 0.001), "sr": a_change(-0.2, 0.01)},
        100,
        0,
        "",
    )
    broken = Row(
        "wildguard", "m|y", {"rr": wilson(0, 0, 60)}, Cost().a_request(), {}, 0, 60, "no server"
    )
    return Comparison("files", "d" * 64, "test", "lexicon-2", (none, better, broken))


def test_every_defence_has_its_marks_and_cells(tmp_path: Path) -> None:
    page = render_comparison(comparison(), {"seed": "0"})
    svg = re.search(r"<svg.*?</svg>", page, re.DOTALL)
    assert svg is not None
    marks = list(ET.fromstring(svg.group()).iter("circle"))
    assert sorted(each.attrib["class"] for each in marks) == [
        "mark better", "mark first", "mark first", "mark worse",
    ]  # fmt: skip
    assert "+77% [+67%, +87%]*" in page and "not judged" in page and "(1.20x)" in page
    assert "46 of 60 judged" in page and "p = 0.001" in page
    write_comparison(comparison(), {"seed": "0"}, tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text("utf-8") == page


def test_names_are_text(tmp_path: Path) -> None:
    page = render_comparison(comparison(), {"target": "<script>"})
    assert "<b>I</b>" not in page and "<script>" not in page
    assert "http://" not in page and "https://" not in page
