import functools
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foreword.core.errors import DiskFull, RunError, UsageError
from foreword.core.protocols import Proposer, Scorer
from foreword.core.runs import Run
from foreword.core.types import Score, Spent
from foreword.search import Result, loop, ranking, read_trials, resume_hint, search
from foreword.search.formats import PLAIN, named
from foreword.search.proposers import GrammarProposer
from foreword.search.ranking import seeds
from foreword.testing.search import ScriptedProposer, ToyScorer, toy_search

CALM = settings(
    deadline=None,  # busy machines
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
LOGS = ("rounds.jsonl", "trials.jsonl", "finalists.jsonl")
ROUNDS = st.lists(st.lists(st.text("ab ", max_size=3), max_size=7), min_size=1, max_size=8)


def timeless(result: Result):
    """A result without its wall clock."""
    finalists = [(each.trial.prefix, each.validation) for each in result.finalists]
    trials = [replace(trial, seconds=0.0) for trial in result.trials]
    return replace(result.best, seconds=0.0), trials, finalists


def test_the_doubles_fit_the_protocols() -> None:
    assert isinstance(ToyScorer(), Scorer)
    assert isinstance(ScriptedProposer([]), Proposer)
    assert isinstance(GrammarProposer(), Proposer)


def test_the_papers_numbers() -> None:
    result = search(ToyScorer(), [GrammarProposer()])
    assert len(result.trials) == 100
    assert [trial.round for trial in result.trials] == [i // 5 for i in range(100)]
    assert [trial.index for trial in result.trials] == list(range(100))
    assert result.best == max(result.trials, key=lambda trial: trial.score.overall)
    assert result.finalists == ()


@settings(CALM, max_examples=50)
@given(ROUNDS)
def test_what_is_scored_and_what_the_proposer_sees(monkeypatch, rounds) -> None:
    scorer, proposer = ToyScorer(), ScriptedProposer(rounds)
    monkeypatch.setattr(loop, "DRY", 9)
    if not any(text.strip() for texts in rounds for text in texts):
        with pytest.raises(UsageError, match="no usable prefix"):
            search(scorer, [proposer], rounds=len(rounds))
        return
    result = search(scorer, [proposer], rounds=len(rounds), top_k=2, tau=1.2)
    prefixes = [trial.prefix for trial in result.trials]
    assert prefixes == scorer.asked
    assert len(set(prefixes)) == len(prefixes)
    assert all(prefix and prefix == prefix.strip() for prefix in prefixes)
    assert result.best.score.overall == max(trial.score.overall for trial in result.trials)
    for number, shown in enumerate(proposer.shown):
        before = [trial for trial in result.trials if trial.round < number]
        assert shown == seeds(before, 2, 1.2)
        assert sum(trial.round == number for trial in result.trials) <= 5


def test_without_a_format_only_white_space_goes() -> None:
    assert PLAIN.fit("  I \n") == "I"
    assert PLAIN.fit(" \t ") is None
    assert PLAIN.fit("") is None


def test_seeds_of_the_generator_matter() -> None:
    first, second, other = (
        [trial.prefix for trial in search(ToyScorer(), [GrammarProposer()], seed=seed).trials]
        for seed in (0, 0, 1)
    )
    assert first == second != other


def test_every_trial_is_told_replayed_ones_too(tmp_path: Path) -> None:
    for _ in range(2):
        told = []
        with Run.open(tmp_path, {}) as run:
            result = search(
                ToyScorer(), [GrammarProposer()], rounds=2, run=run, on_trial=told.append
            )
        assert tuple(told) == result.trials


def test_validation_chooses() -> None:
    table = {"good": Score(1.0, 0.9, 10, 10, 0, "opening")}
    lucky = {"lucky": Score(1.0, 1.0, 10, 10, 0, "opening"), **table}
    poor = {"lucky": Score(0.2, 0.2, 10, 10, 0, "opening"), **table}
    result = search(
        ToyScorer(lucky),
        [ScriptedProposer([["lucky", "good"]])],
        finalists=ToyScorer(poor),
    )
    assert result.best.prefix == "good"
    assert [each.trial.prefix for each in result.finalists] == ["lucky", "good"]
    assert result.validation == table["good"]


def test_the_clock_goes_on_after_a_resumption(tmp_path: Path) -> None:
    ticks = iter(range(1000))
    with Run.open(tmp_path, {}) as run:
        hunt_for(run, rounds=1, clock=lambda: float(next(ticks)))
        assert read_trials(run)[-1].seconds == 1.0
    with Run.open(tmp_path, {}) as run:
        result = hunt_for(run, rounds=2, clock=lambda: float(next(ticks)))
    assert [trial.seconds for trial in result.trials] == [1.0] * 5 + [2.0] * 5


def test_what_a_finished_search_cost_is_read_back(tmp_path: Path) -> None:
    asked = iter(range(10, 99))
    once = {"rounds": 2, "finalists": ToyScorer(salt="validation"), "n_finalists": lambda _: 3}
    with Run.open(tmp_path, {}) as run:
        first = hunt_for(run, **once, meter=lambda: Spent(next(asked)))
    assert [trial.spent.openings for trial in first.trials] == [10] * 5 + [11] * 5
    assert first.spent.openings == 13  # 12 with the finalists, and the last look
    with Run.open(tmp_path, {}) as run:
        assert hunt_for(run, **once).spent.openings == 12


def test_a_finished_search_goes_on_with_more_rounds(tmp_path: Path) -> None:
    def hunt(run: Run | None, rounds: int) -> Result:
        scorer = ToyScorer(salt="validation")
        return hunt_for(run, rounds=rounds, finalists=scorer, n_finalists=lambda _: 3)

    with Run.open(tmp_path, {}) as run:
        hunt(run, 2)
    with Run.open(tmp_path, {}) as run:
        longer = hunt(run, 5)
    assert timeless(longer) == timeless(hunt(None, 5))
    with Run.open(tmp_path, {}) as run:
        assert timeless(hunt(run, 5)) == timeless(longer)


def test_proposers_see_nothing_of_what_a_format_puts_before_a_prefix() -> None:
    web = named("web")
    proposer = ScriptedProposer([["A", "# B. # C", "#"], ["D"]])
    result = search(ToyScorer(), [proposer], rounds=2, form=web, tau=0.0, per_round=3)
    assert [trial.prefix for trial in result.trials] == ["# A", "# B. C", "#", "# D"]
    assert {trial.prefix for trial in proposer.shown[1]} == {"A", "B. C", ""}


def hunt_for(run: Run | None, **settings) -> Result:
    return search(ToyScorer(), [GrammarProposer()], run=run, **settings)


def test_ctrl_c_keeps_what_was_scored(tmp_path: Path) -> None:
    def stop(prefix: str) -> None:
        if len(scorer.asked) == 7:
            raise KeyboardInterrupt

    scorer = ToyScorer(before=stop)
    with Run.open(tmp_path, {}) as run:
        with pytest.raises(KeyboardInterrupt):
            search(scorer, [GrammarProposer()], run=run)
        assert resume_hint(run) == (
            f"stopped after 5 trials, all kept in {tmp_path}; repeat the same command to go on"
        )
    with Run.open(tmp_path, {}) as run:
        result, again = hunt_for(run), hunt_for(None)
    assert timeless(result) == timeless(again)


@functools.cache
def uncut() -> tuple[object, dict[str, list[bytes]]]:
    """The result of a whole search and the lines of its logs."""
    with tempfile.TemporaryDirectory() as folder, Run.open(folder, {}) as run:
        result = timeless(toy_search(run))
        return result, {name: (run.path / name).read_bytes().splitlines(True) for name in LOGS}


@settings(CALM, max_examples=15)
@given(st.integers(0, 24), st.booleans())
def test_a_search_cut_anywhere_ends_the_same(cut: int, half_a_line: bool) -> None:
    """Cut the log after any number of lines, as kill -9 does, and go on."""
    whole, lines = uncut()
    ends = {
        "rounds.jsonl": cut // 5 + 1,
        "trials.jsonl": cut,
        "finalists.jsonl": max(0, cut - 20),
    }
    with tempfile.TemporaryDirectory() as folder:
        Run.open(folder, {}).close()
        for name, end in ends.items():
            content = b"".join(lines[name][:end]) + b'{"cut' * half_a_line
            (Path(folder) / name).write_bytes(content)
        with Run.open(folder, {}) as run:
            assert timeless(toy_search(run)) == whole
            assert len(read_trials(run)) == 20


ROUNDS_LONG = 24
KILLED = """
import sys, time
from pathlib import Path
from foreword.core.runs import Run, write_json
from foreword.testing.search import toy_search
def before(prefix):
    time.sleep(0.01)
    with open(Path(sys.argv[1]) / "asked.txt", "a") as asked:
        asked.write(prefix + "\\n")
with Run.open(sys.argv[1], {"seed": 7}) as run:
    print("ready", flush=True)
    toy_search(run, rounds=int(sys.argv[2]), before=before, moody=bool(sys.argv[3:]))
    write_json(run.path / "done.json", True)
"""


def count_lines(folder: Path) -> int:
    """Whole lines of trials and finalists."""
    return sum((folder / f).read_bytes().count(b"\n") for f in LOGS[1:] if (folder / f).exists())


def await_lines(folder: Path, wanted: int, within_s: float = 60.0) -> None:
    end = time.monotonic() + within_s
    while count_lines(folder) < wanted:
        assert time.monotonic() < end, "the search stands still"
        time.sleep(0.002)


@pytest.mark.parametrize(("moody", "wanted"), [(False, 20), (True, 4)])
def test_kill_9_at_random_moments(tmp_path: Path, moody: bool, wanted: int) -> None:
    """A real process, killed again and again until it is through."""
    rng, kills, kept = random.Random(11), 0, 0
    script = [sys.executable, "-c", KILLED, str(tmp_path), str(ROUNDS_LONG)]
    logged: list[set[str]] = []  # what the log held at each kill
    asked: list[int] = []  # how many prefixes had been scored by then
    while not (tmp_path / "done.json").exists():
        with subprocess.Popen([*script, *["moody"] * moody], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            if killed := kills < wanted:
                await_lines(tmp_path, kept + 1)
                time.sleep(rng.uniform(0.0, 0.05))
                process.kill()
                kills += 1
            process.wait()
        assert process.returncode == (-signal.SIGKILL if killed else 0)
        before, kept = kept, count_lines(tmp_path)
        assert kept > before  # nothing scored is ever lost
        with Run.open(tmp_path, {"seed": 7}) as run:
            logged.append({trial.prefix for trial in read_trials(run)})
        asked.append(len((tmp_path / "asked.txt").read_text().splitlines()))
    assert kills == wanted
    scored = (tmp_path / "asked.txt").read_text().splitlines()
    whole = toy_search(None, rounds=ROUNDS_LONG)
    last = {trial.prefix for trial in ranking.finalists(whole.trials, 5)}
    for known, start, end in zip(logged, asked, asked[1:], strict=False):
        assert moody or known & set(scored[start:end]) <= last  # for validation
    with Run.open(tmp_path, {"seed": 7}) as run:
        resumed = toy_search(run, rounds=ROUNDS_LONG)
        assert len(run.records("trials")) == 5 * ROUNDS_LONG
        rounds = run.records("rounds")
    proposed = [texts for record in rounds for _, texts in record["proposed"]]
    through = (
        search(
            ToyScorer(),
            [ScriptedProposer(proposed)],
            rounds=ROUNDS_LONG,
            finalists=ToyScorer(salt="validation"),
        )
        if moody
        else whole
    )
    best, trials, finalists = timeless(resumed)
    assert (best.prefix, finalists) == (through.best.prefix, timeless(through)[2])
    assert [(t.prefix, t.score) for t in trials] == [(t.prefix, t.score) for t in through.trials]


def test_nothing_is_scored_twice(tmp_path: Path) -> None:
    with Run.open(tmp_path, {}) as run:
        toy_search(run)
        search_scorer, validation_scorer = ToyScorer(), ToyScorer(salt="validation")
        search(
            search_scorer,
            [GrammarProposer()],
            rounds=4,
            seed=7,
            run=run,
            finalists=validation_scorer,
        )
    assert search_scorer.asked == validation_scorer.asked == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"index": 0}', "line 1: not a record"),
        (
            '{"index":0,"round":0,"prefix":"no","score":{"perf":1,"refusal":1,"benign":1,'
            '"harmful":1,"undecided":0,"fidelity":"margin","margins":[null,0.5],"outcomes":"u|r"},'
            '"proposer":"x","seconds":0.0,"spent":{"openings":0,"tokens":0}}',
            "line 1: not the trial that follows",
        ),
    ],
)
def test_a_log_of_another_search(tmp_path: Path, line: str, message: str) -> None:
    with Run.open(tmp_path, {}) as run:
        (tmp_path / "trials.jsonl").write_text(line + "\n")
        with pytest.raises(RunError, match=message):
            hunt_for(run)


def test_a_full_disk_ends_the_search_and_it_can_go_on(tmp_path: Path) -> None:
    log = tmp_path / "trials.jsonl"

    def fill(prefix: str) -> None:
        del prefix
        if not log.is_symlink():
            log.symlink_to("/dev/full")  # only now: reading it would never end

    with Run.open(tmp_path, {}) as run, pytest.raises(DiskFull, match=r"trials\.jsonl"):
        search(ToyScorer(before=fill), [GrammarProposer()], run=run, rounds=2)
    log.unlink()
    with Run.open(tmp_path, {}) as run:
        assert len(run.records("rounds")) == 1
        assert timeless(hunt_for(run, rounds=2)) == timeless(hunt_for(None, rounds=2))


def test_margins_survive_the_log(tmp_path: Path) -> None:
    score = Score(1.0, 1.0, 1, 1, 1, "margin", (-0.1, 1 / 3, float("nan")), "c|ru")
    with Run.open(tmp_path, {}) as run:
        search(ToyScorer({"I": score}), [ScriptedProposer([["I"]])], run=run, rounds=1)
        (trial,) = read_trials(run)
    assert trial.score.margins[:2] == score.margins[:2]
    assert trial.score.margins[2] != trial.score.margins[2]
