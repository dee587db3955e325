"""What `foreword check alfworld` replays: every game can be won, and not by accident.

The planner's way is played as an agent would, in two <execute> blocks in the
sandbox: before them the game must not be won, nor after the first, which
leaves out the last call (the counter-example), and after both it must be.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from foreword.core.errors import DataError, SandboxError
from foreword.core.types import Setup, Task
from foreword.evals.alfworld.notebook import Notebook
from foreword.evals.alfworld.world import Opens, World
from foreword.sandbox import available, open_sandbox
from foreword.suites.alfworld import tools
from foreword.suites.base import Suite
from foreword.suites.check import EXCERPT, CheckReport, Failure, Opener, report


def check(
    suite: Suite,
    *,
    jobs: int = 2,
    progress: Callable[[int], None] | None = None,
    opener: Opener | None = None,
    opens: Opens = World,
) -> CheckReport:
    """Replay the planner's way through every game.

    Args:
        suite: its games are proved.
        jobs: games at the same time.
        progress: called with 1 after each game.
        opener: gives a sandbox that is set up; the real one if not given.
        opens: begins the game of a path.

    Raises:
        SandboxError: if there is no working sandbox here at all.
    """
    if opener is None:
        if why := available():
            raise SandboxError(why)
        opener = open_sandbox
    started = time.monotonic()
    failures: list[Failure] = []
    with ThreadPoolExecutor(max(1, jobs)) as pool:
        for found in pool.map(lambda game: prove(game, opener, opens), suite.tasks):
            failures.extend(found)
            if progress is not None:
                progress(1)

    return report(suite, suite.tasks, failures, time.monotonic() - started)


def prove(game: Task, opener: Opener, opens: Opens = World) -> list[Failure]:
    """The proofs of one game that do not hold; a game or sandbox that breaks proves nothing."""
    try:
        with closing(opens(Path(game.setup.game))) as world, opener(Setup()) as session:
            calls = [tools.call(command) for command in world.plan()]
            if not calls or None in calls:
                return [Failure(game.id, "oracle", "no way to win by the eleven functions")]
            failures = []
            if world.won:
                failures.append(Failure(game.id, "nothing", "it is won before any action"))
            notebook = Notebook(session, world.play)
            said = notebook.run("\n".join(f"print({call})" for call in calls[:-1]) or "pass")
            if world.won:
                failures.append(Failure(game.id, "counter", said[-EXCERPT:]))
            said = notebook.run(f"print({calls[-1]})")
            if not world.won:
                failures.append(Failure(game.id, "oracle", said[-EXCERPT:]))
            return failures
    except (SandboxError, DataError) as error:
        return [Failure(game.id, "oracle", str(error))]
