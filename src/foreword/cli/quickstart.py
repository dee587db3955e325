"""`foreword quickstart`: the whole story on the reference agents, in one command.

base -> aligned -> agent shows what benign fine-tuning costs; a search on the
agent finds the prefix; guarded shows what it buys back. Every phase is kept in
the run folder and skipped when it is there, so an interrupted run goes on.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foreword.cli.app import JsonFlag, app, console, emit, interruptible
from foreword.cli.options import Out, Seed, load_local
from foreword.cli.progress import progress_bar

if TYPE_CHECKING:
    from foreword.core.types import Kind
    from foreword.defences.guard import Guard
    from foreword.evals.figures import Episode, Figures
    from foreword.evals.run import Outcome
    from foreword.models.engine import LocalModel
    from foreword.report import Transcript
    from foreword.search.ping import Found
    from foreword.suites.base import Suite

TARGETS: dict[str, str | None] = {"base": None, "aligned": "aligned", "agent": "agent"}
ITEMS = 60  # test tasks behind each rate
ROUNDS = 3  # of the search: 60 candidates; near the best after 25, says the paper
DIFFERENCES = (
    ("aligned", "agent", "sr"),
    ("aligned", "agent", "rr"),
    ("aligned", "agent", "asr"),
    ("agent", "guarded", "rr"),
    ("agent", "guarded", "asr"),
    ("agent", "guarded", "sr"),
)
SHOWN: tuple[Kind, ...] = ("harmful", "harmful", "benign", "twin")  # transcripts in the report


@dataclass
class Story:
    """What has been measured so far."""

    suite: Suite
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    figures: dict[str, Figures] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time one phase of the story."""
        start = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - start, 1)


@app.command(epilog="Example: [bold]foreword quickstart --out runs/quickstart[/bold]")
def quickstart(
    out: Out = Path("runs/quickstart"),
    items: Annotated[
        int, typer.Option(min=1, help="Test tasks of each kind behind every rate.")
    ] = ITEMS,
    seed: Seed = 0,
    as_json: JsonFlag = False,
) -> None:
    """Show erosion by benign fine-tuning, find a prefix, show the repair: table, guard, report."""
    from foreword.cli.evaluate import print_figures
    from foreword.core.runs import Run, write_json
    from foreword.suites import get

    story = Story(get("files"))
    manifest = {"command": "quickstart", "items": items, "seed": seed, "suite": story.suite.digest}
    with interruptible(), Run.open(out, manifest):
        agent: LocalModel | None = None
        for name, adapter in TARGETS.items():
            with story.phase(f"{name}: loading"):
                agent = load_local("reference", adapter)
            _measure(story, name, agent, out, items)
        assert agent is not None  # noqa: S101 - the loop above ran
        with story.phase("search"):
            found = _search(agent, story.suite, out, seed)
        _measure(story, "guarded", agent, out, items, found.guard)
        guard = _with_test_scores(found.guard, story.figures["guarded"])
        guard.save(out / "guard.json")
        summary = summarise(story, guard)
        write_json(out / "summary.json", summary)
        _report(story, found, guard, out, seed)
    if as_json:
        emit(summary)
        _trust(story)
        return
    print_figures(story.figures)
    for line in differences(story.outcomes):
        console.print(line)
    console.print(f"\nprefix: {guard.prefix}")
    console.print(f"guard:  {out / 'guard.json'}\nreport: {out / 'report.html'}")
    console.print(f"{sum(story.seconds.values()):.0f} s in all", style="dim")
    _trust(story)


def _trust(story: Story) -> None:
    """Everything is written by now; still a story with too much unjudged is no success.

    The plain chat model is exempt: it often says nothing an agent could be judged by.

    Raises:
        TooManyUndecided: a figure of another target misses more than a fifth of its tasks.
    """
    for name, outcome in story.outcomes.items():
        if name != "base":
            outcome.figures()


def _measure(
    story: Story, name: str, model: LocalModel, out: Path, items: int, guard: Guard | None = None
) -> None:
    """Evaluate one target on the test split, but for what an earlier sitting measured."""
    from foreword.evals.run import evaluate

    with story.phase(f"{name}: test tasks"), progress_bar(f"{name}: test tasks") as bar:
        outcome = evaluate(
            model,
            story.suite,
            log_dir=out / "logs" / name,
            items=items,
            guard=guard,
            progress=bar.to,
            resume=True,
        )
    story.outcomes[name] = outcome
    story.figures[name] = outcome.figures(strict=False)  # `_trust` has the last word


def _search(agent: LocalModel, suite: Suite, out: Path, seed: int) -> Found:
    from foreword.search.ping import PER_ROUND, find

    with progress_bar("searching a prefix", total=ROUNDS * PER_ROUND) as bar:
        return find(
            agent,
            suite,
            out=out / "search",
            rounds=ROUNDS,
            seed=seed,
            on_trial=lambda _: bar(),
        )


def _with_test_scores(guard: Guard, figures: Figures) -> Guard:
    from foreword.defences.guard import GuardRate, SplitScores

    rates = figures.rates
    test = SplitScores(
        refusal=GuardRate.of(rates["rr"]),
        **{key: GuardRate.of(rates[key]) for key in ("sr", "asr", "orr_benign", "orr_twins")},
    )
    return guard.model_copy(update={"scores": guard.scores.model_copy(update={"test": test})})


def summarise(story: Story, guard: Guard) -> dict[str, Any]:
    """summary.json: target -> figure -> {k, n, total, low, high}, the guard, seconds by phase."""
    return {
        **{name: figures.to_json() for name, figures in story.figures.items()},
        "guard": guard.model_dump(mode="json", exclude_none=True),
        "seconds": story.seconds,
    }


def differences(outcomes: Mapping[str, Outcome]) -> list[str]:
    """The paired differences the story is about, in words."""
    from foreword.core.stats import format_difference
    from foreword.evals.figures import erosion

    lines = []
    for before, after, measure in DIFFERENCES:
        found = erosion(outcomes[before].episodes, outcomes[after].episodes)[measure]
        lines.append(f"{after} against {before}, {measure.upper()}: {format_difference(found)}")
    return lines


def _report(story: Story, found: Found, guard: Guard, out: Path, seed: int) -> None:
    from foreword.cli.search import ladder_words
    from foreword.core.runs import environment
    from foreword.core.stats import format_rate
    from foreword.report import Page, write
    from foreword.search.ping import rates_of

    finalists = []
    for finalist in found.result.arrived:
        perf, refusal = rates_of(finalist.validation)
        words = f"refusal {format_rate(refusal)}; benign gone to work on {format_rate(perf)}"
        finalists.append((finalist.trial.prefix, words))
    page = Page(
        title="Erosion and repair on the reference agent",
        prefix=guard.prefix,
        figures={name: figures.rates for name, figures in story.figures.items()},
        differences=differences(story.outcomes),
        trials=found.result.trials,
        ladder=ladder_words(found.result),
        finalists=finalists,
        transcripts=transcripts(story.outcomes),
        facts={
            "target": guard.target,
            "suite": f"{story.suite.name} {story.suite.digest[:12]}",
            "judge": guard.provenance.judge or "",
            "seed": str(seed),
            "seconds": ", ".join(f"{name} {s:.0f}" for name, s in story.seconds.items()),
            **environment(),
        },
    )
    write(page, out / "report.html")


def transcripts(outcomes: Mapping[str, Outcome]) -> list[Transcript]:
    """A few tasks as every target handled them, preferring those that show a change."""
    from foreword.report import Transcript

    episodes = {
        name: {episode.task: episode for episode in outcome.episodes}
        for name, outcome in outcomes.items()
    }
    shown: list[Transcript] = []
    taken: set[str] = set()
    for kind in SHOWN:
        tasks = [
            e for e in episodes["guarded"].values() if e.kind == kind and e.family not in taken
        ]
        ranked = sorted(tasks, key=lambda e: _tells(kind, episodes, e.task), reverse=True)
        for episode in ranked[:1]:
            taken.add(episode.family)
            each = {name: found[episode.task] for name, found in episodes.items()}
            request = next(m["content"] for m in episode.messages if m["role"] == "user")
            shown.append(
                Transcript(
                    kind,
                    request,
                    {name: said(one) for name, one in each.items()},
                    {name: outcome_words(one) for name, one in each.items()},
                )
            )
    return shown


def _tells(kind: Kind, episodes: Mapping[str, Mapping[str, Episode]], task: str) -> int:
    """How much of the story one task shows."""
    agent, guarded, aligned = (episodes[name][task] for name in ("agent", "guarded", "aligned"))
    if kind == "harmful":
        return 4 * bool(agent.success) + 2 * bool(guarded.refused) + bool(aligned.refused)
    return 2 * bool(guarded.success) + bool(agent.success)


def said(episode: Episode) -> str:
    """The turns of an episode after the request, with the injected prefix marked off."""
    parts = []
    for message in list(episode.messages)[2:]:
        text = message["content"]
        if message["role"] == "assistant" and episode.prefix:
            text = text.replace(episode.prefix, episode.prefix + "▏", 1)
        parts.append(text)
    return "\n\n".join(parts) or episode.error


def outcome_words(episode: Episode) -> str:
    """What came of an episode, in two words."""
    if episode.error:
        return "error"
    if episode.success:
        return "damage done" if episode.kind == "harmful" else "task done"
    if episode.refused:
        return "refused"
    return "no damage" if episode.kind == "harmful" else "not done"
