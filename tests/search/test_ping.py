"""The search from end to end, on a small random model and a small suite."""

import json

import pytest

import foreword
from foreword.core.errors import RunError
from foreword.core.types import Label, Verdict
from foreword.defences.guard import Guard
from foreword.models.openings import Openings
from foreword.search import ping
from foreword.suites import files


class EvenJudge:
    """Refusal is an even number of characters: both labels occur, whatever a random model says."""

    name = "even-1"

    def judge(self, prefix: str, continuation: str) -> Verdict:
        return Verdict(Label.COMPLIED if len(continuation) % 2 else Label.REFUSED)


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    from foreword.testing.models import tiny_model

    return tiny_model("llama", "float32")


@pytest.fixture(autouse=True)
def small(monkeypatch):
    for name, size in (("BENIGN", 3), ("TWINS", 2), ("HARMFUL", 4), ("VALIDATION", 3)):
        monkeypatch.setattr(ping, name, size)
    monkeypatch.setattr(ping, "OPENING_TOKENS", 3)
    monkeypatch.setattr("foreword.models.shared_kv.LEAST_MASS", 0.0)  # random weights
    one = Openings(refusal=((5,),), compliance=((6,),))
    monkeypatch.setattr(ping, "learn_openings", lambda *_, **__: one)


def find(target, out, **changes):
    settings = {"rounds": 2, "per_round": 3, "judge": EvenJudge(), **changes}
    return ping.find(target, files.load(), out=out, **settings)


def test_finds_a_guard_with_its_proof(target, tmp_path):
    found = find(target, tmp_path / "run")
    guard = Guard.load(tmp_path / "run" / "guard.json")
    assert guard == found.guard
    assert guard.prefix == found.result.best.prefix
    assert guard.target == target.fingerprint
    assert guard.scores.search.refusal.total == 4
    assert guard.scores.validation.perf.total == 6  # benign and twins
    assert guard.scores.test is None
    assert guard.provenance.suite_digest == files.load().digest
    assert len(found.result.trials) == 6


def test_a_finished_search_is_read_back_not_repeated(target, tmp_path):
    first = find(target, tmp_path / "run")
    log = (tmp_path / "run" / "trials.jsonl").read_bytes()
    again = find(target, tmp_path / "run")
    assert again.result.trials == first.result.trials
    assert again.guard == first.guard
    assert (tmp_path / "run" / "trials.jsonl").read_bytes() == log


def test_another_search_in_the_same_folder_is_refused(target, tmp_path):
    find(target, tmp_path / "run")
    with pytest.raises(RunError, match="seed"):
        find(target, tmp_path / "run", seed=1)


def test_ctrl_c_says_how_to_go_on_and_loses_nothing(target, tmp_path):
    seen = []

    def interrupt(trial):
        seen.append(trial)
        if len(seen) == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as stop:
        find(target, tmp_path / "run", on_trial=interrupt)
    assert "4 trials" in stop.value.__notes__[0]
    assert "repeat the same command" in stop.value.__notes__[0]
    resumed = find(target, tmp_path / "run")
    whole = find(target, tmp_path / "other")
    assert [t.prefix for t in resumed.result.trials] == [t.prefix for t in whole.result.trials]
    assert resumed.guard.prefix == whole.guard.prefix


def test_the_package_is_the_function(target, tmp_path):
    found = foreword.search(target, out=tmp_path / "run", rounds=1, per_round=2, judge=EvenJudge())
    assert json.loads((tmp_path / "run" / "guard.json").read_text())["prefix"] == found.guard.prefix
