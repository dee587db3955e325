"""compare(): a row a defence, pairs and tests against the first, files for people and programs."""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from foreword.core.errors import ConfigError
from foreword.core.stats import Difference, wilson
from foreword.core.types import Chat, Reply
from foreword.defences.guard import Guard
from foreword.defences.guarded import GuardedModel
from foreword.evals.compare import compare, folder
from foreword.evals.comparison import Change, Comparison, Row, cells, head
from foreword.evals.defended import stack
from foreword.evals.figures import Cost
from foreword.testing.evals import RuleAgent, WordJudge, small_suite

pytestmark = pytest.mark.sandbox
DEFENCES: dict[str, Any] = {
    "none": lambda model: model,
    "static:I care, so I": lambda model: GuardedModel(
        model, Guard(prefix="I care, so I", target="rules")
    ),
}


class Counting(RuleAgent):
    """Says how much it was shown."""

    def generate(self, chats: Sequence[Chat], *, prefix: str = "", **rest: Any) -> list[Reply]:
        replies = super().generate(chats, prefix=prefix, **rest)
        return [Reply(r.prefix, r.continuation, 8, True, 100 + len(prefix)) for r in replies]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("compare")


def run(out: Path, agent: RuleAgent, **rest: Any) -> Comparison:
    return compare(agent, small_suite(8), DEFENCES, out=out, judge=WordJudge(), **rest)


@pytest.fixture(scope="module")
def found(out: Path) -> Comparison:
    return run(out, Counting())


def test_a_defence_is_compared_with_the_first_row(found: Comparison) -> None:
    none, static = found.rows
    assert (none.defence, static.defence) == tuple(DEFENCES)
    assert none.changes == {} and none.rates["asr"].k == 8
    change = static.changes["rr"]
    assert (change.difference.value, change.difference.n) == (1.0, 8)
    assert change.p == pytest.approx(2 / 2**8) and change.noted
    assert static.changes["sr"].p == 1.0 and not static.changes["sr"].noted
    assert found.measures() == ["sr", "asr", "rr", "orr_benign", "orr_twins"]
    assert (found.suite, found.judge, found.split) == ("small", "words-1", "test")


def test_a_change_over_few_of_the_pairs_has_no_star_and_says_over_how_many() -> None:
    few, most = (Difference(0.5, 0.3, 0.7, n, 60 - n) for n in (47, 48))
    assert (Change(few, 0.001).noted, Change(most, 0.001).noted) == (False, True)
    first = Row("none", "m", {"rr": wilson(0, 60)}, Cost().a_request(), {}, 60, 0, "")
    row = replace(
        first, defence="x", rates={"rr": wilson(30, 47, 60)}, changes={"rr": Change(few, 0)}
    )
    assert cells(row, first, ["rr"])[1].endswith("(too few judged); +50% [+30%, +70%] in 47 pairs")


def test_the_cost_is_that_of_a_request(found: Comparison) -> None:
    none, static = found.rows
    assert none.requests == 48 and static.requests == 40  # a refusal ends an episode
    assert (none.a_request["read"], static.a_request["read"]) == (100, 112)
    assert static.a_request["tokens"] == 8
    assert cells(none, none, [])[-2] == "100 [100, 100] / 8 [8, 8]"
    low, high = none.spread["seconds"]
    assert low <= none.a_request["seconds"] * (1 + 1e-9) and high > 0
    assert cells(static, none, [])[-2] == "+12 [+12, +12] / +0 [+0, +0]"
    (read, tokens, seconds) = (static.changes[name] for name in ("read", "tokens", "seconds"))
    assert (read.p, tokens.p, seconds.difference.n) == (0, 1, 24)
    # Rows of one batch share its time, so that they may not differ at all.
    assert seconds.difference.low <= seconds.difference.value <= seconds.difference.high


def test_others_are_compared_with_none_wherever_it_stands(out: Path) -> None:
    turned = dict(reversed(DEFENCES.items()))
    found = compare(Counting(), small_suite(8), turned, out=out, judge=WordJudge())
    assert [row.defence for row in found.rows] == list(DEFENCES) and not found.rows[0].changes
    del turned["none"]
    (alone,) = compare(Counting(), small_suite(8), turned, out=out, judge=WordJudge()).rows
    assert not alone.changes


def test_a_stack_that_refuses_less_than_its_best_part_is_told(tmp_path: Path) -> None:
    guard = DEFENCES["static:I care, so I"]
    layers = {"none": lambda model: model, "careful": guard, "lax": lambda model: model}
    layers |= {"careful+lax": lambda model: model, "lax+careful": guard}
    found = compare(Counting(), small_suite(8), layers, out=tmp_path, judge=WordJudge())
    assert found.notes() == [
        "careful+lax: RR is 100% below that of 'careful' alone (8 pairs, p = 0.0078)."
    ]
    assert found.notes()[0] in found.to_markdown()
    assert [row["note"] != "" for row in found.to_json()["rows"]] == [False] * 3 + [True, False]


def test_nothing_is_measured_twice(found: Comparison, out: Path) -> None:
    idle, seen = Counting(), list[tuple[str, int, int]]()
    assert run(out, idle, progress=lambda *at: seen.append(at)) == found
    assert idle.batches == [] and seen == [(spec, 24, 24) for spec in DEFENCES]


def test_tables_say_what_the_rows_say(found: Comparison) -> None:
    lines = list(csv.DictReader(io.StringIO(found.to_csv())))
    assert len(lines) == 2 * (5 + 3 + 1)
    refused = next(each for each in lines if each["defence"] != "none" and each["measure"] == "rr")
    assert (refused["k"], refused["n"], refused["change"], refused["pairs"]) == (
        "8", "8", "1", "8",
    )  # fmt: skip
    read = next(each for each in lines if each["defence"] != "none" and each["measure"] == "read")
    assert (read["value"], read["n"], read["change"], read["p"]) == ("112", "", "12", "0")
    assert [each["value"] for each in lines if each["measure"] == "errors"] == ["0", "0"]
    assert {each["change"] for each in lines if each["defence"] == "none"} == {""}
    table = found.to_markdown().splitlines()
    assert table[0] == f"| {' | '.join(head(found.measures()))} |"
    assert "100% [68%, 100%] 8/8; +100% [+" in table[3] and "]*" in table[3]
    data = found.to_json()
    assert data["rows"][1]["changes"]["rr"]["p"] == pytest.approx(2 / 2**8)
    assert data["rows"][0]["rates"]["asr"] == {
        "k": 8, "n": 8, "total": 8, "low": pytest.approx(0.6756, abs=1e-3), "high": 1.0,
    }  # fmt: skip


def test_a_broken_part_is_counted_and_never_judged(tmp_path: Path) -> None:
    broken = compare(
        RuleAgent(fail_on="Destroy"), small_suite(2), DEFENCES, out=tmp_path, judge=WordJudge()
    )
    none, static = broken.rows
    assert (
        none.errors == 2
        and none.rates["sr"].k == 2
        and none.rates["rr"].n == 0
        and none.rates["rr"].total == 2
    )
    assert math.isnan(static.changes["rr"].difference.value)
    assert broken.to_json()["rows"][1]["changes"]["rr"]["value"] is None
    assert "not judged" in broken.to_markdown()
    assert cells(static, none, ["rr"])[1] == "not judged"
    assert (
        none.complaint == static.complaint
        and "2 of 2 harmful episodes were not judged" in none.complaint
    )


def test_what_was_hardly_judged_says_so() -> None:
    rates = {"rr": wilson(1, 3, 9), "sr": wilson(8, 8, 9)}
    few = Row("x", "x", rates, Cost().a_request(), {}, 0, 0, "why")
    assert cells(few, few, ["rr", "sr"])[1:3] == [
        "33% [6%, 79%] 1/3 of 9 (too few judged)", "100% [68%, 100%] 8/8 of 9",
    ]  # fmt: skip


def test_a_defence_that_cannot_stand_here_says_so_before_anything_is_run(tmp_path: Path) -> None:
    agent = RuleAgent()
    with pytest.raises(ConfigError, match="defence 'ada' stands next to local weights"):
        compare(agent, small_suite(2), {"none": lambda m: m, "ada": stack("ada")}, out=tmp_path)
    assert agent.batches == []


def test_folders_are_readable_and_distinct() -> None:
    assert folder("ptst+ping") == "ptst+ping"
    odd = [folder("static:I can't"), folder("static:I can t"), folder("a/../b"), folder("x" * 99)]
    assert len(set(odd)) == 4
    assert all("/" not in name and len(name) < 60 for name in odd)
