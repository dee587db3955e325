"""PING from end to end: a target and a suite in, a guard with its proof out.

The search split picks the leaders in a race, the validation split chooses among them,
and the test split is never read here. Look-alike benign tasks (twins) count as benign on
both splits. A target whose weights are at hand is searched by margins as well; one that
is only served, by what it writes.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from foreword.core.errors import ModelError, UsageError
from foreword.core.protocols import Judge, Proposer
from foreword.core.runs import Run, environment
from foreword.core.stats import wilson
from foreword.core.types import Rate, Score, Spent, Trial
from foreword.search import ground
from foreword.search.episodes import EpisodeScorer
from foreword.search.formats import PLAIN, Format
from foreword.search.ground import Target
from foreword.search.log import FINALISTS as FINALISTS_LOG
from foreword.search.log import resume_hint
from foreword.search.loop import FEWEST, Result, search
from foreword.search.race import Race
from foreword.search.ranking import PAPERS, Goal
from foreword.search.stops import Budget, Patience, Stop

if TYPE_CHECKING:
    from foreword.defences.guard import Guard, SplitScores
    from foreword.suites.base import Suite

ROUNDS, PER_ROUND = 5, 20  # the paper's 100 candidates, in fewer and larger rounds: races
WIDE = 60  # candidates of a round where a budget ends the search: by margins they cost little
FINALISTS = 16  # in a race on the validation tasks, at the price of six measured whole
STANDARD = ("harvest", "evolve", "grammar")  # cheap, and in need of nobody's help
WITHOUT_END = 1_000_000  # rounds of a search that a budget ends


@dataclass(frozen=True)
class Found:
    """The chosen prefix as a guard, and how the search came to it."""

    guard: Guard
    result: Result


def find(
    target: Target,
    suite: Suite | str = "files",
    *,
    out: Path | str,
    proposers: Sequence[Proposer | str] = (),
    parent: Target | None = None,
    judge: Judge | None = None,
    rounds: int | None = None,
    per_round: int | None = None,
    top_k: int = 3,
    tau: float = 1.0,
    seed: int = 0,
    budget: Budget | None = None,
    patience: int | None = None,
    goal: Goal = PAPERS,
    form: Format = PLAIN,
    items: int | None = None,
    full: bool = False,
    on_trial: Callable[[Trial], None] | None = None,
) -> Found:
    """Find the prefix that brings refusal back and leaves benign work alone.

    Args:
        target: the fine-tuned model, loaded or served.
        suite: where the search and validation tasks come from.
        out: run folder; an unfinished search in it is resumed.
        proposers: write candidates, in even shares; names of `proposers.NAMES` or your own. If none
            is given, those of `STANDARD`.
        parent: the model before its fine-tuning, whose replies are harvested, too,
            and whose words `fluent` uses.
        judge: reads openings; the lexicon if not given.
        rounds: T of the paper; 5 if not given, as many as it allows with a budget.
        per_round: M of the paper; 20 if not given, 60 with a budget and margins.
        top_k: k of the paper.
        tau: overall score from which on the proposers see examples.
        seed: of everything random.
        budget: the most it may cost.
        patience: rounds without a better prefix after which the search ends.
        goal: what the prefix is to be best at.
        form: constraints on the prefix.
        items: search tasks of each kind, the benign ones of each voice; as in the paper (10 benign,
            of them half twins, and 27 harmful) if not given.
        full: choose among the last three by whole episodes in the sandbox; takes minutes.
        on_trial: called after each scored candidate.

    Returns:
        The guard, also written to `<out>/guard.json`, and the search's result.

    Raises:
        RunError: another run works in `out`, or it holds a different search.
        UsageError: the suite lacks a split, the proposers gave nothing, or no prefix fits.
        TooManyUndecided: the judge could not read this model's replies.
    """
    from foreword.judges.lexicon import LexiconJudge
    from foreword.suites import get

    began = time.monotonic()
    suite = get(suite) if isinstance(suite, str) else suite
    judge, proposers = judge or LexiconJudge(), proposers or STANDARD
    form = _counted(form, target)
    if form.fit("I") is None:
        raise UsageError(f"no prefix fits format {form.name}: {form.why('I')}")
    if "fluent" in proposers and getattr(target, "tokenizer", None) is None:
        raise UsageError("proposer 'fluent' needs local weights; use harvest instead")
    rounds = rounds or (WITHOUT_END if budget or patience else ROUNDS)
    sizes = (items,) * 3 if items else (ground.BENIGN, ground.TWINS, ground.HARMFUL)
    manifest: dict[str, object] = {
        "command": "search",
        "target": target.fingerprint,
        "placement": target.placement,
        "suite": suite.name,
        "suite_digest": suite.digest,
        "proposers": list(map(_identity, proposers)),
        "parent": parent and parent.fingerprint,
        "judge": judge.name,
        "per_round": per_round or (WIDE if budget else PER_ROUND),
        "top_k": top_k,
        "tau": tau,
        "seed": seed,
        "goal": repr(goal),
        "form": repr(form),
        "full": full,
        "tasks": [*sizes, ground.VALIDATION],
        "openings": [ground.OPENING_TOKENS, *ground.SAMPLED, *ground.FLUENT],
        "finalists": FINALISTS,
    }
    with Run.open(out, manifest) as run, _resumable(run):
        models = [target, *([parent] if parent and parent is not target else [])]
        before = sum(model.tokens for model in models)
        field = ground.Ground(target, suite, judge, run, parent, sizes)
        validation = ground.validation(target, suite, judge)
        final = Race(validation, seed=seed, goal=goal, arrive=FEWEST)
        counts = range(FEWEST, FINALISTS + 1)
        stops: list[Stop] = [Patience(patience, goal)] if patience else []
        if budget:
            kept = budget.keeps(counts, final.most)
            stops.append(lambda trials: budget(trials, kept))
        writers = [
            field.proposer(each, form) if isinstance(each, str) else each for each in proposers
        ]
        result = search(
            field.race(seed, goal),
            writers,
            rounds=rounds,
            per_round=per_round or (WIDE if budget and field.margins else PER_ROUND),
            top_k=top_k,
            tau=tau,
            seed=seed,
            run=run,
            stops=stops,
            form=form,
            n_finalists=lambda trial: (
                budget.affords(trial, counts, final.most) if budget else FINALISTS
            ),
            finalists=final,
            last=EpisodeScorer(target, suite, judge, run.path / "last", ground.VALIDATION)
            if full
            else None,
            goal=goal,
            meter=lambda: Spent(
                field.asked + validation.asked, sum(model.tokens for model in models) - before
            ),
            on_trial=on_trial,
            began=began,
        )
        guard = _guard(result, target, manifest, run)
        guard.save(run.path / "guard.json")
    return Found(guard, result)


def _counted(form: Format, target: Target) -> Format:
    """The format with prefixes counted in the target's own tokens, where they are known here."""
    tokenizer = getattr(target, "tokenizer", None)
    if tokenizer is None:
        return form
    return replace(form, count=lambda text: len(tokenizer.tokenize(text)))


@contextmanager
def _resumable(run: Run) -> Iterator[None]:
    """Leave a note on what cut the search off that says how to go on."""
    try:
        yield
    except (KeyboardInterrupt, ModelError) as stop:
        stop.add_note(resume_hint(run))
        raise


def _identity(proposer: Proposer | str) -> str:
    """A proposer's name; of a list its content as well, since it may be edited."""
    if not isinstance(proposer, str):
        return proposer.name
    kind, _, path = proposer.partition(":")
    if kind != "file" or not Path(path).is_file():
        return proposer
    return f"{proposer}@{hashlib.sha256(Path(path).read_bytes()).hexdigest()[:12]}"


def _guard(result: Result, target: Target, manifest: dict[str, object], run: Run) -> Guard:
    from foreword.defences.guard import Guard, GuardScores, Provenance
    from foreword.defences.rewrites import bare

    return Guard(
        prefix=result.best.prefix,
        placement=target.placement,
        target=bare(target.fingerprint),
        scores=GuardScores(
            search=_scores(result.best.score), validation=_scores(result.validation)
        ),
        provenance=Provenance(
            run=run.path.name,
            seed=int(str(manifest["seed"])),
            proposer=result.best.proposer,
            suite=str(manifest["suite"]),
            suite_digest=str(manifest["suite_digest"]),
            judge=str(manifest["judge"]),
            foreword=environment()["foreword"],
            created=_when(run.path / f"{FINALISTS_LOG}.jsonl"),
        ),
    )


def _when(log: Path) -> str:
    """When a log was last written (ISO 8601, UTC); reading a search back does not change it."""
    return datetime.fromtimestamp(log.stat().st_mtime, UTC).isoformat(timespec="seconds")


def rates_of(score: Score) -> tuple[Rate, Rate]:
    """Both shares as rates with their intervals."""
    return (
        wilson(round(score.perf * score.benign), score.benign),
        wilson(round(score.refusal * score.harmful), score.harmful),
    )


def _scores(score: Score) -> SplitScores:
    from foreword.defences.guard import GuardRate, SplitScores

    perf, refusal = rates_of(score)
    return SplitScores(perf=GuardRate.of(perf), refusal=GuardRate.of(refusal))
