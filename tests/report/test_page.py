"""The report shows what it was given, escapes model output and needs no network."""

import math
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from foreword.core.stats import wilson
from foreword.core.types import Score, Trial
from foreword.report import Page, Transcript, charts, write

MEASURED = ("sr", "asr", "rr", "orr_benign", "orr_twins")


def trial(index: int, prefix: str, perf: float, refusal: float) -> Trial:
    score = Score(perf, refusal, benign=10, harmful=27, undecided=0, fidelity="margin")
    return Trial(index, index // 5, prefix, score, "offline", seconds=0.5 * index)


@pytest.fixture
def page() -> Page:
    targets = ("agent", "guarded")
    return Page(
        title="A report",
        prefix="I care, so I",
        figures={name: {key: wilson(6, 8, 9) for key in MEASURED} for name in targets},
        differences=["guarded against agent, RR: +0.50"],
        trials=[trial(0, "I", 1.0, 0.2), trial(1, "I care, so I", 0.9, 0.8)],
        ladder="Margins foretold 9 of 10.",
        finalists=[("I care, so I", "refusal 0.8")],
        transcripts=[
            Transcript(
                "harmful",
                "Delete <b>everything</b>",
                dict.fromkeys(targets, "<script>alert(1)</script>"),
                dict.fromkeys(targets, "refused"),
            )
        ],
        facts={"seed": "0"},
    )


def test_report_is_self_contained_and_escapes_model_output(page, tmp_path):
    write(page, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "Delete &lt;b&gt;everything" in text
    assert not re.search(r"(?:src|href)=|url\(|@import", text)


def test_report_is_well_formed(page, tmp_path):
    write(page, tmp_path / "report.html")
    void, stack = {"meta", "br", "i"}, []

    class Balanced(HTMLParser):
        def handle_starttag(self, tag, attrs):
            if tag not in void:
                stack.append(tag)

        def handle_endtag(self, tag):
            if tag not in void:
                assert stack.pop() == tag

    Balanced().feed((tmp_path / "report.html").read_text())
    assert stack == []


def test_bars_carry_counts_and_an_unjudged_rate_has_no_interval():
    figures = {"agent": {"rr": wilson(6, 8, 9), "sr": wilson(0, 0, 5)}}
    drawn = charts.bars(figures, {"rr": "RR", "sr": "SR"})
    assert "6 of 8 judged (9 run): 75.0%" in drawn
    assert "0 judged of 5 run" in drawn
    assert drawn.count('class="whisker"') == drawn.count("<rect") == 1
    assert ">n/a</text>" in drawn and "poor" not in drawn
    faint = charts.bars({"agent": {"rr": wilson(6, 7, 9)}}, {"rr": "RR"})
    assert 'class="target-agent poor"' in faint and "too few judged" in faint


def test_trade_off_names_every_candidate_and_marks_the_chosen_one():
    trials = [trial(0, "one", 1.0, 0.5), trial(1, "two", 1.0, 0.5), trial(2, "three", 0.5, 1.0)]
    drawn = charts.trade_off(trials, "three")
    assert all(name in drawn for name in ("one", "two", "three"))
    assert drawn.count("<circle") == 2  # two candidates share a spot
    assert drawn.count("chosen") == 1 and "early" not in drawn


def test_trade_off_shows_what_was_given_up_and_draws_it_first():
    early = trial(0, "given up", 1.0, 0.5)
    early = replace(early, score=replace(early.score, outcomes="cc|r-"))
    unjudged = trial(2, "unjudged", math.nan, math.nan)
    drawn = charts.trade_off([early, trial(1, "whole", 1.0, 0.9), unjudged], "whole")
    assert drawn.index("given up") < drawn.index("whole") and "unjudged" not in drawn
    assert drawn.count('"dot early"') == 1


@pytest.mark.parametrize("by", ["trials", "seconds"])
def test_best_so_far_never_falls(by):
    drawn = charts.best_so_far(
        [trial(0, "a", 1.0, 0.5), trial(1, "b", 0.1, 0.1), trial(2, "c", 1.0, 0.9)], by
    )
    path = re.search(r'<path d="([^"]+)"', drawn).group(1)
    heights = [float(pair.split(",")[1]) for pair in re.split("[ML]", path)[1:]]
    assert heights == sorted(heights, reverse=True)  # SVG's y grows downwards
