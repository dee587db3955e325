"""`foreword search` on a small random model: what it prints, writes and takes."""

import json

import pytest
from typer.testing import CliRunner

from foreword import Guard
from foreword.cli import search
from foreword.cli.commands import app
from foreword.core.types import Score, Spent, Trial
from foreword.models.openings import Openings
from foreword.search import ground
from foreword.search.loop import Result
from foreword.search.ranking import Finalist, Goal
from foreword.testing.models import tiny_model


@pytest.fixture(scope="module")
def target():
    return tiny_model("llama", "float32")


@pytest.fixture(autouse=True)
def small(target, monkeypatch):
    sizes = {"BENIGN": 2, "TWINS": 1, "HARMFUL": 3, "VALIDATION": 2, "OPENING_TOKENS": 2}
    for name, size in sizes.items():
        monkeypatch.setattr(ground, name, size)
    monkeypatch.setattr("foreword.models.odds.LEAST_MASS", 0.0)  # random weights
    monkeypatch.setattr("foreword.search.ranking.decided", lambda score: True)  # say nothing
    learnt = Openings(refusal=((5,),), compliance=((6,),))
    monkeypatch.setattr(Openings, "learn", lambda *_, **__: learnt)
    monkeypatch.setattr(search, "load_target", lambda *_: target)
    monkeypatch.setattr(search, "load_local", lambda *_: target)


def run(*args: str):
    result = CliRunner().invoke(app, ["search", *args])
    assert result.exit_code == 0, result.output
    return result


def test_what_it_says(tmp_path):
    out = tmp_path / "run"
    said = " ".join(run("--out", str(out), "--rounds", "2", "--per-round", "8").output.split())
    assert "openings," in said and "all 2 rounds are done" in said
    guard = Guard.load(out / "guard.json")
    assert f"chosen: {guard.prefix!r}" in said
    assert "better on search than on validation" in said


def test_the_guard_alone_as_json(tmp_path):
    args = ("--rounds", "1", "--per-round", "4", "--json", "--out", str(tmp_path / "run"))
    told = json.loads(run(*args).stdout)
    assert told["prefix"] == Guard.load(tmp_path / "run" / "guard.json").prefix


def test_budget_format_goal_and_parent_arrive(tmp_path):
    out = tmp_path / "run"
    run(
        *("--out", str(out), "--budget", "120 openings, 1h", "--patience", "9"),
        *("--format", "web"),
        *("--max-tokens", "12", "--most", "refusal", "--max-orr", "0.5", "--parent", "aligned"),
        *("--proposer", "harvest", "--proposer", "grammar"),
    )
    assert Guard.load(out / "guard.json").prefix.startswith("# ")
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["proposers"] == ["harvest", "grammar"]
    assert "refusal" in manifest["goal"] and "0.5" in manifest["goal"]
    assert "max_tokens=12" in manifest["form"]
    assert manifest["parent"]


@pytest.mark.parametrize(
    ("parent", "loaded"),
    [("aligned", ("reference", "aligned")), ("hf:some/model", ("hf:some/model", None))],
)
def test_a_parent_is_an_adapter_or_a_model_of_its_own(
    tmp_path, monkeypatch, target, parent, loaded
):
    asked = []
    monkeypatch.setattr(search, "load_local", lambda *named: asked.append(named) or target)
    args = ("--rounds", "1", "--per-round", "4", "--proposer", "grammar", "--items", "4")
    run("--out", str(tmp_path / "run"), "--parent", parent, *args)
    assert asked == [loaded]
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert manifest["tasks"][:3] == [4, 4, 4]


def test_an_empty_budget_is_not_taken_for_none(tmp_path):
    result = CliRunner().invoke(app, ["search", "--budget", "", "--out", str(tmp_path)])
    assert "is no budget" in str(result.exception)


@pytest.mark.parametrize(
    ("outcomes", "words"),
    [
        ("cccccccc|rrrrrrrr", "Margins foretold 16/16 = 1.00 [0.81, 1.00] of what was judged."),
        ("rrrrrrrr|cccccccc", "that is too little, so they were given up."),
        ("uuuuuuuu|uuuuuuuu", ""),
    ],
)
def test_how_far_margins_were_believed_is_told(outcomes, words):
    score = Score(1.0, 1.0, 8, 8, 0, "opening", (-1.0,) * 8 + (1.0,) * 8, outcomes)
    trial = Trial(0, 0, "I", score, "test", 0.0)
    told = search.ladder_words(Result(trial, (trial,), (), (), 0.0, Spent(), ""))
    assert told.endswith(words) and bool(told) == bool(words)


def finalist(index: int, perf: float, refusal: float) -> Finalist:
    score = Score(perf, refusal, 10, 10, 0, "opening", (), "")
    return Finalist(Trial(index, 0, f"prefix {index}", score, "grammar", 0.0), score)


@pytest.mark.parametrize(
    ("finalists", "words"),
    [
        ([(1.0, 0.5), (0.8, 0.4)], ""),
        ([(1.0, 0.5), (1.0, 0.6)], ""),
        (
            [(1.0, 0.5), (0.8, 0.9)],
            "'prefix 1' refuses 90% of the harmful tasks, but 20% of the benign ones, beyond "
            "--max-orr 0.05.",
        ),
        (
            [(0.7, 0.5), (0.6, 0.9)],
            "Nothing keeps --max-orr 0.05: this one refuses 30% of the benign tasks.",
        ),
    ],
)
def test_what_the_bound_on_over_refusal_cost(finalists, words):
    found = tuple(finalist(at, *rates) for at, rates in enumerate(finalists))
    result = Result(found[0].trial, tuple(f.trial for f in found), found, (), 1.0, Spent(), "")
    assert search.bound_words(result, Goal()) == words
