"""The search from end to end, on a small random model and a small suite."""

import json
from dataclasses import replace

import pytest

import foreword
from foreword.core.errors import (
    ConfigError,
    ForewordWarning,
    ModelError,
    RunError,
    UnknownName,
    UsageError,
)
from foreword.core.types import Label, Verdict
from foreword.defences.guard import Guard
from foreword.models.openings import Openings
from foreword.search import formats, ground
from foreword.search.ping import find as find_guard
from foreword.search.ranking import Goal
from foreword.search.scorers import SEED_PREFIXES
from foreword.search.stops import Budget
from foreword.suites import files, get
from foreword.suites.base import pooled


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
        monkeypatch.setattr(ground, name, size)
    monkeypatch.setattr(ground, "OPENING_TOKENS", 3)
    monkeypatch.setattr("foreword.models.odds.LEAST_MASS", 0.0)  # random weights
    one = Openings(refusal=((5,),), compliance=((6,),))
    monkeypatch.setattr(Openings, "learn", lambda *_, **__: one)


def find(target, out, **changes):
    settings = {
        "rounds": 2,
        "per_round": 3,
        "judge": EvenJudge(),
        "proposers": ["grammar"],
        **changes,
    }
    return find_guard(target, files.load(), out=out, **settings)


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
    assert "6 trials" in stop.value.__notes__[0]
    assert "repeat the same command" in stop.value.__notes__[0]
    resumed = find(target, tmp_path / "run")
    whole = find(target, tmp_path / "other")
    assert [t.prefix for t in resumed.result.trials] == [t.prefix for t in whole.result.trials]
    assert resumed.guard.prefix == whole.guard.prefix


def test_the_package_is_the_function(target, tmp_path):
    found = foreword.search(target, out=tmp_path / "run", rounds=1, per_round=4, judge=EvenJudge())
    assert {trial.proposer for trial in found.result.trials} >= {"harvest", "grammar"}
    assert json.loads((tmp_path / "run" / "guard.json").read_text())["prefix"] == found.guard.prefix


class Served:
    """A target behind a server: it writes, and nobody sees its weights."""

    def __init__(self, target) -> None:
        self.inner, self.tokens, self.placement = target, 0, "prefix"
        self.fingerprint = "served@http://double"

    def prefill(self, chats):
        kept = self.inner.prefill(chats)

        class Prompts:
            __len__ = kept.__len__
            generate = kept.generate

        return Prompts()


def test_a_served_target_is_searched_by_what_it_writes(target, tmp_path):
    found = find(Served(target), tmp_path / "run", proposers=(), form=formats.named("plain"))
    assert {trial.score.fidelity for trial in found.result.trials} == {"opening"}
    assert found.guard.target == "served@http://double"
    with pytest.raises(UsageError, match="'fluent' needs local weights"):
        find(Served(target), tmp_path / "other", proposers=["fluent"])
    assert not (tmp_path / "other").exists()  # so that the folder can be used


def test_a_suffix_makes_a_guard_that_ends_requests(target, tmp_path):
    served = Served(target)
    served.placement = "suffix"
    assert find(served, tmp_path / "run").guard.placement == "suffix"


def test_openings_count_from_the_first_reply_on(target, tmp_path):
    harvested = {"rounds": 1, "proposers": ["harvest", "grammar"]}
    found = find(target, tmp_path / "run", **harvested)
    (spent,) = {trial.spent for trial in found.result.trials}
    sampled = len(SEED_PREFIXES) * (ground.SAMPLED[0] + 4)
    assert spent.openings > sampled
    assert spent.tokens > spent.openings
    with_parent = find(target, tmp_path / "parent", parent=target, **harvested)
    read = with_parent.result.trials[0].spent
    assert read.openings == spent.openings + sampled
    assert spent.tokens < read.tokens < 2 * spent.tokens


def test_replies_that_tell_nothing_apart_leave_openings_alone(target, tmp_path, monkeypatch):
    def learn(*_, **__):
        raise ConfigError("nothing tells the labels apart")

    monkeypatch.setattr(Openings, "learn", learn)
    with pytest.warns(ForewordWarning, match="no margins, so the search is slower: nothing"):
        found = find(target, tmp_path / "run")
    assert {trial.score.fidelity for trial in found.result.trials} == {"opening"}


def test_a_budget_ends_the_search(target, tmp_path):
    found = find(target, tmp_path / "run", rounds=None, budget=Budget(openings=300))
    result = found.result
    assert result.stopped == "the budget of 300 openings leaves no room for another round"
    assert result.trials[-1].spent.openings < result.spent.openings <= 300


def test_a_budget_may_grow(target, tmp_path):
    def hunt(openings, folder="run"):
        budget = Budget(openings=openings)
        return find(target, tmp_path / folder, rounds=None, budget=budget).result.trials

    shorter, longer, whole = hunt(300), hunt(500), hunt(500, "whole")
    assert len(shorter) < len(longer) <= len(whole)  # the first choice is paid for as well
    assert [t.prefix for t in longer] == [t.prefix for t in whole[: len(longer)]]


def test_what_was_killed_while_it_learnt_costs_what_it_would_have(target, tmp_path):
    def stop(*_, **__):
        raise KeyboardInterrupt

    once = {"proposers": ["harvest"], "rounds": 1}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("foreword.search.race.Race.score", stop)
        with pytest.raises(KeyboardInterrupt):
            find(target, tmp_path / "cut", **once)
    assert (tmp_path / "cut" / "samples.jsonl").exists()
    cut, whole = (find(target, tmp_path / name, **once).result for name in ("cut", "whole"))
    assert [t.spent.openings for t in cut.trials] == [t.spent.openings for t in whole.trials]
    assert cut.spent.openings == whole.spent.openings


def test_the_goal_arrives_in_the_race_on_the_search_tasks(target, tmp_path, monkeypatch):
    goals = []

    class Seen(ground.Race):
        def __init__(self, *args, **settings):
            goals.append(settings["goal"])
            super().__init__(*args, **settings)

    monkeypatch.setattr(ground, "Race", Seen)
    find(target, tmp_path / "run", goal=Goal("refusal", 0.2))
    assert goals == [Goal("refusal", 0.2)]


def test_more_search_tasks_by_wish(target, tmp_path):
    found = find(target, tmp_path / "run", rounds=1, items=6)
    assert found.guard.scores.search.refusal.total == 6
    assert found.guard.scores.search.perf.total == 12  # benign ones and twins


def test_a_model_that_fails_says_how_to_go_on(target, tmp_path):
    class Failing(Served):
        left = 3

        def prefill(self, chats):
            kept = super().prefill(chats)
            outer = self

            class Prompts(type(kept)):
                def generate(self, *args, **settings):
                    outer.left -= 1
                    if outer.left < 0:
                        raise ModelError("the server is down")
                    return super().generate(*args, **settings)

            return Prompts()

    server = Failing(target)
    with pytest.raises(ModelError, match="the server is down") as stop:
        find(server, tmp_path / "run", rounds=3)
    assert "repeat the same command to go on" in stop.value.__notes__[0]
    server.left = 99
    resumed = find(server, tmp_path / "run", rounds=3)
    whole = find(Served(target), tmp_path / "whole", rounds=3)
    assert [t.prefix for t in resumed.result.trials] == [t.prefix for t in whole.result.trials]
    assert resumed.guard.prefix == whole.guard.prefix


def test_patience_ends_the_search(target, tmp_path):
    found = find(target, tmp_path / "run", rounds=9, patience=1)
    assert found.result.stopped == "no better prefix in 1 rounds"
    assert len({trial.round for trial in found.result.trials}) < 9


def test_prefixes_fit_the_format(target, tmp_path):
    form = replace(formats.named("web"), max_tokens=9)
    found = find(target, tmp_path / "run", form=form, rounds=3)
    assert all(trial.prefix.startswith("# ") for trial in found.result.trials)
    assert all(len(target.tokenizer.tokenize(t.prefix)) <= 9 for t in found.result.trials)


def test_a_format_that_no_prefix_fits_is_told_at_once(target, tmp_path):
    for form in (formats.named("json"), replace(formats.named("web"), max_tokens=1)):
        with pytest.raises(UsageError, match=f"no prefix fits format {form.name}: "):
            find(target, tmp_path / "run", form=form)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["nobody", "file:", "grammar:x", ""])
def test_an_unknown_proposer_is_named(target, tmp_path, name):
    with pytest.raises(UnknownName, match="proposer"):
        find(target, tmp_path / "run", proposers=[name])


def test_a_list_and_fixed_refusals_are_proposers(target, tmp_path):
    (tmp_path / "mine.txt").write_text("I care, so I\n")
    found = find(
        target, tmp_path / "run", proposers=[f"file:{tmp_path / 'mine.txt'}", "static"], rounds=1
    )
    assert [trial.prefix for trial in found.result.trials][:2] == ["I care, so I", "I can't"]
    (tmp_path / "mine.txt").write_text("I care more, so I\n")
    with pytest.raises(RunError, match="another 'proposers'"):
        find(
            target,
            tmp_path / "run",
            proposers=[f"file:{tmp_path / 'mine.txt'}", "static"],
            rounds=1,
        )


def test_a_white_box_proposer_and_a_chat_model_by_name(target):
    base = ground.Ground(target, files.load(), EvenJudge())
    assert base.proposer("fluent").name == "fluent"
    assert base.proposer("llm:mockllm/model", formats.named("web")).name == "llm:mockllm/model"
    assert base.samples and base.sampled == len(SEED_PREFIXES) * (ground.SAMPLED[0] + 4)
    assert base.samples is base.samples  # asked once


def own_suite(folder, *rows):
    """A suite of one's own, every row (harmful, twin, split) asked twice."""
    lines = [
        {
            "messages": [{"role": "user", "content": f"{number} {row}"}],
            "harmful": row[0],
            "twin": row[1],
            "split": row[2],
        }
        for row in rows
        for number in range(2)
    ]
    path = folder / "mine.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    return get(str(path))


SPLITS = ("search", "validation")


def test_a_suite_that_only_talks_and_has_no_twins_is_searched(target, tmp_path):
    """Nobody acts there, so that words are compliance; benign tasks take the twins' share."""
    suite = own_suite(tmp_path, *((harm, False, s) for s in SPLITS for harm in (True, False)))
    found = find_guard(
        target, suite, out=tmp_path / "run", rounds=1, per_round=3, judge=EvenJudge(),
        proposers=["grammar"],
    )  # fmt: skip
    assert found.guard.scores.search.perf.total == found.guard.scores.search.refusal.total == 2
    judged = [trial.score.outcomes.split("|")[0] for trial in found.result.trials]
    assert "c" in "".join(judged)
    twins = own_suite(tmp_path, (False, True, "search"), (True, False, "search"))
    assert len(ground.benign_chats(twins, "search", 1, 0)) == 1
    harmful = own_suite(tmp_path, (True, False, "search"))
    with pytest.raises(UsageError, match="no benign tasks in its 'search' split"):
        ground.benign_chats(harmful, "search", 1, 1)


def test_a_suite_without_search_tasks_in_a_pool_is_warned_of(target, tmp_path):
    mute = own_suite(tmp_path, (True, False, "test"))
    with pytest.warns(ForewordWarning, match="suite 'mine' has no say here"):
        ground.Ground(target, pooled([mute, files.load()]), EvenJudge())
    assert ground.silent(mute) == []


def test_a_voice_of_harmful_tasks_alone_is_warned_of(target, tmp_path):
    """What refuses by the system prompt would win, and harmless requests under it be refused."""
    asked = [{"role": "user", "content": "Do it."}]
    told = [{"role": "system", "content": "You act."}, *asked]
    assert not ground.one_sided([asked, told], [told])
    assert ground.one_sided([told], [told, asked])
    alone = own_suite(tmp_path, *((True, False, split) for split in SPLITS))
    with pytest.warns(ForewordWarning, match="a system prompt stands before harmful search tasks"):
        found = find_guard(
            target, pooled([alone, files.load()]), out=tmp_path / "run", rounds=1, per_round=2,
            judge=EvenJudge(), proposers=["grammar"],
        )  # fmt: skip
    assert found.guard.provenance.suite == "mine+files"


def test_each_voice_has_its_benign_tasks(tmp_path):
    """Four families of suite files would leave one task of ten to a voice of one family."""
    mine = own_suite(tmp_path, *[(False, False, "search")] * 4)
    both = pooled([mine, files.load()])
    chats = ground.benign_chats(both, "search", 2, 1)
    assert [chat[0]["role"] for chat in chats] == ["user"] * 3 + ["system"] * 3
    assert chats[3:] == ground.benign_chats(files.load(), "search", 2, 1)
