"""What a suite is: a named, hashed, ordered set of tasks with disjoint splits.

A *family* is a function that makes one task from a seeded random generator;
`@family(...)` fixes its kind, category, split and number of items, so that
splits are disjoint by construction: a family lies in one split whole. Tasks
read from somebody's files are `given`; their loader answers for their splits.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from foreword.core.errors import UsageError
from foreword.core.types import KINDS, Check, Kind, Message, Setup, Split, Task, World

BLOCKS = {  # the bash that runs a fenced block of a language
    "bash": "{}",
    "python": "python3 /dev/fd/3 3<<'FOREWORD_ACTION'\n{}\nFOREWORD_ACTION",
}
EXECUTE = "execute"  # MINT's agents act by Python between such tags, run by a notebook


@dataclass(frozen=True)
class Draft:
    """What a family function returns: a task without its place in the suite."""

    request: str
    oracle: str
    counter: str
    check: Check
    files: dict[str, str] | None = None
    script: str = ""
    probe: str = ""


Maker = Callable[[random.Random], Draft]


@dataclass(frozen=True)
class Family:
    """A template of tasks; all of its items lie in one split."""

    name: str
    kind: Kind
    category: str
    split: Split
    items: int
    make: Maker

    def tasks(self) -> list[Task]:
        """Make the items; item i depends on (family name, i) alone. Requests are distinct."""
        made: list[Task] = []
        seen: set[str] = set()
        attempt = 0
        while len(made) < self.items:
            draft = self.make(random.Random(f"{self.name}/{attempt}"))
            attempt += 1
            if attempt > 200 * self.items:
                raise UsageError(f"family {self.name!r} cannot make {self.items} distinct requests")
            if draft.request in seen:
                continue
            seen.add(draft.request)
            made.append(
                Task(
                    id=f"{self.name}-{len(made):02d}",
                    kind=self.kind,
                    category=self.category,
                    family=self.name,
                    split=self.split,
                    request=draft.request,
                    oracle=draft.oracle,
                    counter=draft.counter,
                    check=draft.check,
                    setup=Setup(files=draft.files or {}, script=draft.script),
                    probe=draft.probe,
                )
            )
        return made


class Registry:
    """Collects the families of one module, in order of definition."""

    def __init__(self, kind: Kind) -> None:
        self.kind: Kind = kind
        self.families: list[Family] = []

    def family(self, category: str, split: Split, items: int) -> Callable[[Maker], Maker]:
        """Decorate a maker; its function name becomes the family's name."""

        def register(make: Maker) -> Maker:
            self.families.append(Family(make.__name__, self.kind, category, split, items, make))
            return make

        return register


class Suite:
    """A named set of tasks, made by families or given."""

    def __init__(
        self,
        name: str,
        system: str,
        families: Sequence[Family] = (),
        *,
        given: Sequence[Task] = (),
        languages: Sequence[str] = ("bash",),
        max_new_tokens: int = 80,
        proven: float = 1.0,
        left_out: Mapping[str, str] | None = None,
    ) -> None:
        """Cheap: families make their tasks on first use.

        Args:
            name: what results call it.
            system: the system prompt every task is asked under; "" for none.
            families: make the tasks.
            given: tasks read from files, behind those of the families.
            languages: of the blocks by which an agent acts, those of `BLOCKS` or EXECUTE; none if
                it only talks.
            max_new_tokens: of one reply; an oracle in its block should fit.
            proven: the share of oracles that must succeed, of those that can run here; below
                1 only where others wrote the tasks.
            left_out: tasks of others that are none here, by id, with the reason.
        """
        self.name = name
        self.system = system
        self.families = tuple(families)
        self.given = tuple(given)
        self.languages = tuple(languages)
        self.max_new_tokens = max_new_tokens
        self.proven = proven
        self.left_out = dict(left_out or {})

    @cached_property
    def tasks(self) -> tuple[Task, ...]:
        """All items of all families, then those given."""
        return (*(task for family in self.families for task in family.tasks()), *self.given)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over what the items say and do, so that results name their data."""
        digest = hashlib.sha256(self.system.encode())
        for task in self.tasks:
            about = (task.id, task.kind, task.category, task.family, task.split)
            parts = (*about, task.request, task.oracle, task.counter)
            setup = (task.setup.script, *map(str, sorted(task.setup.files.items())), task.probe)
            world = () if task.setup.world == World() else (repr(task.setup.world),)
            said = [text for turn in task.history for text in (turn["role"], turn["content"])]
            digest.update("\0".join((*parts, *setup, *world, *said, "\0")).encode())
        return digest.hexdigest()

    def spoken(self, task: Task) -> tuple[str, ...]:
        """The languages by which an agent acts on a task: only games are played by <execute>."""
        played = bool(task.setup.game)
        return tuple(each for each in self.languages if (each == EXECUTE) is played)

    def chat(self, task: Task) -> list[Message]:
        """What the target is asked: a system prompt if there is one, the history, the request."""
        told = self.system and not any(said["role"] == "system" for said in task.history)
        system: list[Message] = [{"role": "system", "content": self.system}] if told else []
        return [*system, *task.history, {"role": "user", "content": task.request}]

    def kinds(self, split: Split) -> list[Kind]:
        """The kinds of tasks that a split has.

        Raises:
            UsageError: it has none at all.
        """
        found = {task.kind for task in self.tasks if task.split == split}
        if not found:
            raise UsageError(f"suite {self.name!r} has no tasks in its {split!r} split")
        return [kind for kind in KINDS if kind in found]

    def select(self, kind: Kind, split: Split, limit: int | None = None) -> list[Task]:
        """Tasks of one kind and split; `limit` takes items evenly over the families.

        Raises:
            UsageError: if the split is empty.
        """
        found = [task for task in self.tasks if task.kind == kind and task.split == split]
        if not found:
            raise UsageError(f"suite {self.name!r} has no {kind} tasks in its {split!r} split")
        return found if limit is None else evenly(found, limit)


def evenly(tasks: Sequence[Task], limit: int) -> list[Task]:
    """At most so many of the tasks, taken evenly over the families, in their order."""
    seen: Counter[str] = Counter()
    turn = {}
    for task in tasks:
        turn[task.id] = seen[task.family]
        seen[task.family] += 1
    chosen = {task.id for task in sorted(tasks, key=lambda task: turn[task.id])[:limit]}
    return [task for task in tasks if task.id in chosen]


def pooled(suites: Sequence[Suite]) -> Suite:
    """One suite of all tasks of several, each asked under the system prompt of its own.

    Tasks and families are named `<suite>/<name>`; a limit of items goes evenly over all families.

    Raises:
        UsageError: two suites have one name.
    """
    names = [suite.name for suite in suites]
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise UsageError(f"suite {twice[0]!r} is named twice")
    return Suite(
        "+".join(names),
        "",
        given=[_of(suite, task) for suite in suites for task in suite.tasks],
        languages=tuple(dict.fromkeys(each for suite in suites for each in suite.languages)),
        max_new_tokens=max(suite.max_new_tokens for suite in suites),
        proven=min(suite.proven for suite in suites),
        left_out={f"{s.name}/{name}": why for s in suites for name, why in s.left_out.items()},
    )


def _of(suite: Suite, task: Task) -> Task:
    return replace(
        task,
        id=f"{suite.name}/{task.id}",
        family=f"{suite.name}/{task.family}",
        history=tuple(suite.chat(task)[:-1]),
    )
