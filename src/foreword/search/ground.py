"""What a search stands on: the search tasks before a target, and how it answers there.

Whatever costs openings is done when it is first wanted and kept in the run: labelled
replies of the target (and of its parent), which teach the margins and are harvested. A
target that is only served has no margins and, unless it is harvested, is not sampled.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import cached_property
from typing import TYPE_CHECKING, Protocol, cast

from foreword.core.errors import ConfigError, ForewordWarning, UsageError
from foreword.core.protocols import Judge, Proposer
from foreword.core.runs import Run
from foreword.core.types import Chat, Kind, Label, Placement, Reply, Split, Task
from foreword.evals.protocol import action
from foreword.search.log import TRIALS
from foreword.search.race import Race
from foreword.search.ranking import Goal
from foreword.search.scorers import (
    SEED_PREFIXES,
    Leaning,
    Margins,
    OpeningScorer,
    Prompts,
    Sample,
    margins_of,
    sample,
    spread,
)
from foreword.suites.base import evenly

if TYPE_CHECKING:
    from foreword.models.engine import LocalModel
    from foreword.models.openings import Openings
    from foreword.search.formats import Format
    from foreword.search.proposers.fluent import WhiteBox
    from foreword.suites.base import Suite

# As in the paper's code setting: 10 benign and 27 harmful search tasks.
BENIGN, TWINS, HARMFUL = 5, 5, 27
VALIDATION = 30  # of each kind
SAMPLED = (3, 5)  # benign and harmful tasks whose replies teach the margins
FLUENT = (4, 9)  # benign and harmful tasks that proposer `fluent` writes for
OPENING_TOKENS = 24
SAMPLES, PARENT = "samples", "parent"  # logs


class Target(Protocol):
    """A model to search against: `LocalModel` or `RemoteModel`."""

    tokens: int  # forwarded, or counted by the server, so far
    placement: Placement  # of the words that are searched

    @property
    def fingerprint(self) -> str:
        """A stable name."""
        ...

    def prefill(self, chats: Sequence[Chat]) -> Prompts:
        """Prompts to score many prefixes on; `Leaning` ones where the weights are at hand."""
        ...


class Ground:
    """The search tasks of a suite before a target."""

    def __init__(
        self,
        target: Target,
        suite: Suite,
        judge: Judge,
        run: Run | None = None,
        parent: Target | None = None,
        sizes: Sequence[int] = (),
    ) -> None:
        """Nothing is asked yet; with a run, what is asked is kept there and read again.

        `sizes` are the most benign tasks and twins, of each voice, and harmful tasks; the paper's
        if not given.
        """
        benign, twins, harmful = sizes or (BENIGN, TWINS, HARMFUL)
        self.target = target
        self._judge, self._run, self._parent = judge, run, parent
        self.chats: tuple[list[Chat], list[Chat]] = (
            benign_chats(suite, "search", benign, twins),
            [suite.chat(task) for task in suite.select("harmful", "search", harmful)],
        )
        for name in silent(suite):
            warnings.warn(
                f"suite {name!r} has no say here: none of its tasks is in the search split",
                ForewordWarning,
                stacklevel=3,
            )
        if one_sided(*self.chats):
            warnings.warn(
                "a system prompt stands before harmful search tasks alone, so a prefix may win "
                "that refuses whatever is asked under it; add benign tasks asked alike",
                ForewordWarning,
                stacklevel=3,
            )
        self._acts = deeds(suite)
        self.scorer = OpeningScorer(
            target.prefill(self._every), len(self.chats[0]), judge, OPENING_TOKENS, self._acts
        )
        self.sampled = 0  # openings written for samples in this sitting

    @property
    def asked(self) -> int:
        """Openings written and judged in this sitting."""
        return self.sampled + self.scorer.asked

    @cached_property
    def samples(self) -> list[Sample]:
        """Labelled replies of the target and of its parent, which explains and does not act."""
        if self._parent is None:
            return self._own
        return self._own + self._samples(PARENT, self._parent.prefill(self._every))

    @cached_property
    def _own(self) -> list[Sample]:
        return self._samples(SAMPLES, self.scorer.prompts, self._acts)

    @cached_property
    def openings(self) -> Openings | None:
        """What begins a refusal and what compliance; None where no margins can be had."""
        if not isinstance(self.scorer.prompts, Leaning):
            return None
        from foreword.models.openings import Openings

        try:
            tokenizer = cast("LocalModel", self.target).tokenizer
            return Openings.learn(self._own, tokenizer)
        except ConfigError as error:
            warnings.warn(f"no margins, so the search is slower: {error}", ForewordWarning, 4)
            return None

    @cached_property
    def margins(self) -> Margins | None:
        """What is asked before anything is written."""
        if self.openings is None:
            return None
        return margins_of(cast("Leaning", self.scorer.prompts), self.openings)

    def race(self, seed: int, goal: Goal) -> Race:
        """The scorer: by margins and openings, or by openings alone."""
        return Race(self.scorer, self.margins, seed=seed, goal=goal)

    def proposer(self, name: str, form: Format | None = None) -> Proposer:
        """A proposer by its name in `proposers.NAMES`.

        Raises:
            UnknownName: nobody has it.
            UsageError: it needs margins, which cannot be had; or its file is no list.
        """
        from foreword.search import proposers

        if name == "harvest":
            return proposers.HarvestProposer(lambda: self.samples)
        if name == "fluent":
            if self.openings is None:
                raise UsageError("proposer 'fluent' needs local weights; use harvest instead")
            voices = self._some(self._parent) if self._parent else ()
            return proposers.FluentProposer(*self._some(self.target), self.openings, voices)
        return proposers.named(name, form)

    @property
    def _every(self) -> list[Chat]:
        """All tasks, the benign ones first."""
        return [*self.chats[0], *self.chats[1]]

    def _some(self, model: Target) -> tuple[WhiteBox, WhiteBox]:
        """A few benign and a few harmful tasks before a local model."""
        benign, harmful = (
            model.prefill([side[at] for at in spread([len(side)], [count])])
            for side, count in zip(self.chats, FLUENT, strict=True)
        )
        return cast("WhiteBox", benign), cast("WhiteBox", harmful)

    def _samples(
        self, log: str, prompts: Prompts, deed: Callable[[str], bool] | None = None
    ) -> list[Sample]:
        """Labelled replies, written once a run."""
        rows = spread(self.scorer.sizes, SAMPLED)
        if self._run and (records := self._run.records(log)):
            if not self._run.records(TRIALS):  # whose costs hold these
                self.sampled += len(SEED_PREFIXES) * len(rows)
            return [(Reply(**record["reply"]), Label(record["label"])) for record in records]
        found = sample(prompts, self._judge, rows=rows, acts=deed)
        if self._run:
            records = [{"reply": asdict(reply), "label": label} for reply, label in found]
            self._run.append(log, *records)
        self.sampled += len(SEED_PREFIXES) * len(rows)
        return found


def validation(target: Target, suite: Suite, judge: Judge) -> OpeningScorer:
    """What the target really writes on the validation split."""
    benign = benign_chats(suite, "validation", VALIDATION, VALIDATION)
    harmful = [suite.chat(task) for task in suite.select("harmful", "validation", VALIDATION)]
    prompts = target.prefill([*benign, *harmful])
    return OpeningScorer(prompts, len(benign), judge, OPENING_TOKENS, deeds(suite))


def benign_chats(suite: Suite, split: Split, benign: int, twins: int) -> list[Chat]:
    """Benign tasks of a split, and twins, which count as such; where one kind lacks, the other.

    So many of each voice: of every system prompt that benign tasks are asked under.
    """
    kinds: list[Kind] = [kind for kind in suite.kinds(split) if kind != "harmful"] or ["benign"]
    voices: dict[str, list[Task]] = {}
    for kind in kinds:
        for task in suite.select(kind, split):
            voices.setdefault(_voice(suite.chat(task)), []).append(task)
    chosen: list[Task] = []
    for tasks in voices.values():
        plain, alike = ([task for task in tasks if task.kind == k] for k in ("benign", "twin"))
        if plain and alike:
            chosen += evenly(plain, benign) + evenly(alike, twins)
        else:
            chosen += evenly(tasks, benign + twins)
    return [suite.chat(task) for task in chosen]


def silent(suite: Suite) -> list[str]:
    """Those of several suites in one that have no task in the search split."""
    heard = {task.id.split("/")[0] for task in suite.tasks if task.split == "search"}
    names = suite.name.split("+")
    return [name for name in names if name not in heard] if len(names) > 1 else []


def one_sided(benign: Sequence[Chat], harmful: Sequence[Chat]) -> bool:
    """Whether some system prompt tells harmful tasks from benign ones."""
    return bool(set(map(_voice, harmful)) - set(map(_voice, benign)))


def _voice(chat: Chat) -> str:
    return chat[0]["content"] if chat[0]["role"] == "system" else ""


def deeds(suite: Suite) -> Callable[[str], bool] | None:
    """What tells a reply that acts; None where the suite's agent only talks."""
    if not suite.languages:
        return None
    return lambda text: action(text, suite.languages) is not None
