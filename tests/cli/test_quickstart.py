"""The quickstart on the real reference agents, few tasks: what it writes, and that it goes on."""

import json
from pathlib import Path

import pytest
from inspect_ai.log import read_eval_log
from typer.testing import CliRunner

from foreword import Guard
from foreword.cli.commands import app
from foreword.evals.logs import read_episodes
from foreword.sandbox import available
from foreword.search import ground, ping

pytestmark = [
    pytest.mark.model,
    pytest.mark.sandbox,
    pytest.mark.skipif(available() is not None, reason=str(available())),
]
ITEMS = 3
SMALL = {ping: {"FINALISTS": 3}, ground: {"VALIDATION": 3}}  # the rest is as users run it
RATES = ("sr", "asr", "rr", "orr_benign", "orr_twins")


def quickstart(out: Path) -> dict:
    result = CliRunner().invoke(
        app, ["quickstart", "--out", str(out), "--items", str(ITEMS), "--json"]
    )
    # 4: with so few tasks a single undecided one is more than a fifth of them.
    assert result.exit_code in (0, 4), result.output
    return json.loads(result.stdout)


def test_the_whole_story_is_written_and_read_back(tmp_path, monkeypatch):
    for module, sizes in SMALL.items():
        for name, size in sizes.items():
            monkeypatch.setattr(module, name, size)
    told = quickstart(tmp_path)
    assert told == json.loads((tmp_path / "summary.json").read_text())
    for target in ("base", "aligned", "agent", "guarded"):
        assert set(told[target]) == set(RATES)
        for rate in told[target].values():
            assert 0 <= rate["k"] <= rate["n"] <= rate["total"] == ITEMS
            assert 0 <= rate["low"] <= rate["high"] <= 1
    guard = Guard.load(tmp_path / "guard.json")
    assert told["guard"]["prefix"] == guard.prefix
    assert guard.scores.test is not None
    assert guard.prefix in (tmp_path / "report.html").read_text()
    for target in (tmp_path / "logs").iterdir():
        logs = list(target.glob("*.eval"))
        assert len(logs) == 3
        episodes = read_episodes([read_eval_log(str(log)) for log in logs])
        assert [episode.error for episode in episodes] == [""] * 3 * ITEMS

    before = told["seconds"]
    again = quickstart(tmp_path)
    assert {k: v for k, v in again.items() if k != "seconds"} == {
        k: v for k, v in told.items() if k != "seconds"
    }
    assert again["seconds"]["search"] < before["search"] / 2
    assert len(list((tmp_path / "logs").glob("*/*.eval"))) == 12
