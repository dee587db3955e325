"""PING from end to end: a target and a suite in, a guard with its proof out.

The search split picks the leaders by margins, the validation split chooses
among them by what the model really writes, and the test split is never read
here. Look-alike benign tasks (twins) count as benign on both splits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from foreword.core.protocols import Judge, Proposer
from foreword.core.runs import Run, write_text
from foreword.core.stats import wilson
from foreword.core.types import Chat, Rate, Score, Split, Task, Trial
from foreword.evals.protocol import action
from foreword.search.log import FINALISTS as FINALISTS_LOG
from foreword.search.log import resume_hint
from foreword.search.loop import Result, search
from foreword.search.ranking import Finalist
from foreword.search.scorers import MarginScorer, OpeningScorer, Prompts, learn_openings

if TYPE_CHECKING:
    from foreword.defences.guard import Guard, SplitScores
    from foreword.models.engine import LocalModel
    from foreword.models.openings import Openings
    from foreword.suites.base import Suite

# As in the paper's code setting: 10 benign and 27 harmful search tasks.
BENIGN, TWINS, HARMFUL = 5, 5, 27
VALIDATION = 30  # of each kind
OPENING_TOKENS = 24
FINALISTS = 12
OPENINGS = "openings.json"


@dataclass(frozen=True)
class Found:
    """The chosen prefix as a guard, and how the search came to it."""

    guard: Guard
    result: Result


def find(
    target: LocalModel,
    suite: Suite | str = "files",
    *,
    out: Path | str,
    proposer: Proposer | None = None,
    judge: Judge | None = None,
    rounds: int = 20,
    per_round: int = 5,
    top_k: int = 3,
    tau: float = 1.0,
    seed: int = 0,
    on_trial: Callable[[Trial], None] | None = None,
    on_finalist: Callable[[Finalist], None] | None = None,
) -> Found:
    """Find the prefix that brings refusal back and leaves benign work alone.

    Args:
        target: the fine-tuned model, loaded.
        suite: where the search and validation tasks come from.
        out: run folder; an unfinished search in it is resumed.
        proposer: writes candidates; the offline phrase grammar if not given.
        judge: reads openings; the lexicon if not given.
        rounds: T of the paper.
        per_round: M of the paper.
        top_k: k of the paper.
        tau: overall score from which on the proposer sees examples.
        seed: of everything random.
        on_trial: called after each scored candidate.
        on_finalist: called after each validated finalist.

    Returns:
        The guard, also written to `<out>/guard.json`, and the search's result.

    Raises:
        RunError: another run works in `out`, or it holds a different search.
        UsageError: the suite lacks a split, or the proposer gave nothing.
        TooManyUndecided: the judge could not read this model's replies.
    """
    from foreword.judges.lexicon import LexiconJudge
    from foreword.search.proposers.grammar import OfflineProposer
    from foreword.suites import get

    suite = get(suite) if isinstance(suite, str) else suite
    proposer, judge = proposer or OfflineProposer(), judge or LexiconJudge()
    manifest = {
        "command": "search",
        "target": target.fingerprint,
        "suite": suite.name,
        "suite_digest": suite.digest,
        "proposer": proposer.name,
        "judge": judge.name,
        "rounds": rounds,
        "per_round": per_round,
        "top_k": top_k,
        "tau": tau,
        "seed": seed,
        "tasks": [BENIGN, TWINS, HARMFUL, VALIDATION],
        "opening_tokens": OPENING_TOKENS,
        "finalists": FINALISTS,
    }
    with Run.open(out, manifest) as run, _resumable(run):
        benign = target.prefill(_chats(suite, "search", BENIGN, TWINS))
        harmful = target.prefill(
            [chat(suite, task) for task in suite.select("harmful", "search", HARMFUL)]
        )
        openings = _openings(run, target, benign, harmful, judge)
        result = search(
            MarginScorer(benign, harmful, openings),
            proposer,
            rounds=rounds,
            per_round=per_round,
            top_k=top_k,
            tau=tau,
            seed=seed,
            run=run,
            n_finalists=FINALISTS,
            finalists=_Lazy(lambda: _validation(target, suite, judge)),
            on_trial=on_trial,
            on_finalist=on_finalist,
        )
        guard = _guard(result, manifest, run)
        guard.save(run.path / "guard.json")
    return Found(guard, result)


@contextmanager
def _resumable(run: Run) -> Iterator[None]:
    """Leave a note on Ctrl-C that says how to go on."""
    try:
        yield
    except KeyboardInterrupt as stop:
        stop.add_note(resume_hint(run))
        raise


def chat(suite: Suite, task: Task) -> Chat:
    """The first request of a task, as the agent sees it."""
    return [
        {"role": "system", "content": suite.system},
        {"role": "user", "content": task.request},
    ]


def _chats(suite: Suite, split: Split, benign: int, twins: int) -> list[Chat]:
    tasks = [*suite.select("benign", split, benign), *suite.select("twin", split, twins)]
    return [chat(suite, task) for task in tasks]


def _openings(
    run: Run, target: LocalModel, benign: Prompts, harmful: Prompts, judge: Judge
) -> Openings:
    """Learnt once a run and kept with it, so that a resumed search measures alike."""
    from foreword.models.openings import Openings

    path = run.path / OPENINGS
    if path.exists():
        return Openings.from_json(path.read_text("utf-8"))
    openings = learn_openings(benign, harmful, judge, target.tokenizer, acts=acts)
    write_text(path, openings.to_json())
    return openings


class _Lazy:
    """A scorer that is built when it is first needed: most of a run never validates."""

    def __init__(self, build: Callable[[], OpeningScorer]) -> None:
        self._build = build
        self._scorer: OpeningScorer | None = None

    def score(self, prefixes: Sequence[str]) -> list[Score]:
        self._scorer = self._scorer or self._build()
        return self._scorer.score(prefixes)


def _validation(target: LocalModel, suite: Suite, judge: Judge) -> OpeningScorer:
    harmful = [chat(suite, task) for task in suite.select("harmful", "validation", VALIDATION)]
    return OpeningScorer(
        target.prefill(_chats(suite, "validation", VALIDATION, VALIDATION)),
        target.prefill(harmful),
        judge,
        OPENING_TOKENS,
        acts=acts,
    )


def acts(text: str) -> bool:
    """Whether a reply of an agent does something."""
    return action(text) is not None


def _guard(result: Result, manifest: dict[str, object], run: Run) -> Guard:
    from foreword import __version__
    from foreword.defences.guard import Guard, GuardScores, Provenance

    validation = next(f.validation for f in result.finalists if f.trial == result.best)
    return Guard(
        prefix=result.best.prefix,
        target=str(manifest["target"]),
        scores=GuardScores(search=_scores(result.best.score), validation=_scores(validation)),
        provenance=Provenance(
            run=run.path.name,
            seed=int(str(manifest["seed"])),
            proposer=str(manifest["proposer"]),
            suite=str(manifest["suite"]),
            suite_digest=str(manifest["suite_digest"]),
            judge=str(manifest["judge"]),
            foreword=__version__,
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
