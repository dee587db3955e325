"""The suites as Inspect tasks: `inspect eval foreword/files_benign`.

A sample is one task of a suite: the system prompt and the request as input, its
place in the suite and the set-up of its sandbox as metadata.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

import inspect_ai
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import (
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageUser,
    GenerateConfig,
)
from inspect_ai.solver import Solver, TaskState

from foreword import suites
from foreword.core.errors import UnknownName
from foreword.core.protocols import Judge
from foreword.core.types import KINDS, SPLITS, Kind, Message, Task
from foreword.evals.alfworld.agent import household_agent
from foreword.evals.alfworld.world import need_textworld
from foreword.evals.sandboxenv import SETUP_KEY
from foreword.evals.scorer import episode
from foreword.evals.solver import bash_agent, either, needs_snapshots
from foreword.suites.base import BLOCKS, Suite

T = TypeVar("T")

IN_FLIGHT = 64  # samples of one task at a time; three kinds of tasks fill a batch of the engine
TASK_NAMES: dict[Kind, str] = {"benign": "benign", "harmful": "harmful", "twin": "twins"}


@inspect_ai.task
def files_benign(split: str = "test", items: int | None = None) -> inspect_ai.Task:
    """Benign work in a Linux folder; its success rate is SR, its refusal rate ORR."""
    return _named("files", "benign", split, items)


@inspect_ai.task
def files_harmful(split: str = "test", items: int | None = None) -> inspect_ai.Task:
    """Harmful requests with toy targets; ASR is the damage done, RR the refusals."""
    return _named("files", "harmful", split, items)


@inspect_ai.task
def files_twins(split: str = "test", items: int | None = None) -> inspect_ai.Task:
    """Benign requests that look dangerous; refusing them is over-refusal."""
    return _named("files", "twin", split, items)


@inspect_ai.task
def intercode(
    split: str = "test", items: int | None = None, data: str | None = None
) -> inspect_ai.Task:
    """Benign bash from InterCode: its success rate is SR, its refusal rate ORR."""
    return _named("intercode", "benign", split, items, data)


@inspect_ai.task
def alfworld(data: str, split: str = "test", items: int | None = None) -> inspect_ai.Task:
    """Household games of MINT's ALFWorld: their success rate is SR, their refusal rate ORR."""
    return _named("alfworld", "benign", split, items, data)


@inspect_ai.task
def xstest(
    kind: str = "twin", items: int | None = None, data: str | None = None
) -> inspect_ai.Task:
    """Talk that only looks unsafe (twin: ORR), or is (harmful: RR), from XSTest."""
    return _named("xstest", kind, "test", items, data)


@inspect_ai.task
def redcode(
    form: str = "code", split: str = "test", items: int | None = None, data: str | None = None
) -> inspect_ai.Task:
    """Risky scripts of RedCode-Exec, asked for by code, summary or details."""
    names = {"code": "redcode", "summary": "redcode-summary", "details": "redcode-details"}
    if form not in names:
        raise UnknownName("form", form, list(names))
    return _named(names[form], "harmful", split, items, data)


def suite_task(
    suite: Suite,
    kind: Kind,
    tasks: Sequence[Task],
    *,
    judge: Judge | str = "lexicon",
    max_new_tokens: int | None = None,
    cleanup: Callable[[TaskState], Awaitable[None]] | None = None,
) -> inspect_ai.Task:
    """Tasks of one kind of a suite as an Inspect task.

    Args:
        suite: where the tasks come from.
        kind: benign, harmful or twin.
        tasks: what `suite.select` gave.
        judge: reads the replies.
        max_new_tokens: of one reply; the suite's own number if not given.
        cleanup: called after every sample, also after a failed one.

    Raises:
        UsageError: games are among the tasks, and TextWorld is not installed.
    """
    return inspect_ai.Task(
        name=f"{suite.name}_{TASK_NAMES[kind]}",
        dataset=MemoryDataset([sample(suite, task) for task in tasks], name=f"{suite.name}-{kind}"),
        setup=needs_snapshots() if suite.languages else None,
        solver=_agent(suite, tasks, max_new_tokens or suite.max_new_tokens),
        scorer=episode(suite, judge),
        cleanup=cleanup,
        sandbox="bubblewrap" if suite.languages else None,
        config=GenerateConfig(max_connections=IN_FLIGHT),
        fail_on_error=False,
        metadata={"suite": suite.name, "digest": suite.digest, "kind": kind},
    )


def _agent(suite: Suite, tasks: Sequence[Task], max_new_tokens: int) -> Solver:
    fences = [each for each in suite.languages if each in BLOCKS]
    plain = bash_agent(max_new_tokens=max_new_tokens, languages=fences)
    if not any(task.setup.game for task in tasks):
        return plain
    need_textworld()
    return either(household_agent(max_new_tokens=max_new_tokens), plain)


def sample(suite: Suite, task: Task) -> Sample:
    """One task as an Inspect sample."""
    return Sample(
        id=task.id,
        input=[_message(said) for said in suite.chat(task)],
        metadata={
            "suite": suite.name,
            "family": task.family,
            "category": task.category,
            "kind": task.kind,
            "split": task.split,
            "checked": task.check is not None or bool(task.setup.game),
            SETUP_KEY: asdict(task.setup),
        },
    )


def _message(said: Message) -> ChatMessage:
    makers: dict[str, Callable[..., ChatMessage]] = {
        "system": ChatMessageSystem,
        "user": ChatMessageUser,
        "assistant": ChatMessageAssistant,
    }
    return makers[said["role"]](content=said["content"])


def _named(
    suite: str, kind: str, split: str, items: int | None, data: str | None = None
) -> inspect_ai.Task:
    """What `inspect eval` asks for in strings."""
    one, part = _known("kind", kind, KINDS), _known("split", split, SPLITS)
    found = suites.get(suite, Path(data) if data else None)
    return suite_task(found, one, found.select(one, part, items))


def _known(what: str, name: str, known: Sequence[T]) -> T:
    for each in known:
        if each == name:
            return each
    raise UnknownName(what, name, list(map(str, known)))
