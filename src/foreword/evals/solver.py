"""The code agent: say, act, read, at most three times.

It knows neither judge nor checker: every block is run, and what the episode
meant is decided afterwards by the scorer.
"""

from __future__ import annotations

from collections.abc import Sequence

from inspect_ai.model import ChatMessageUser
from inspect_ai.solver import Generate, Solver, TaskState, solver
from inspect_ai.util import sandbox

from foreword.evals.protocol import BASH, MAX_TURNS, action, observation, until_acted
from foreword.evals.sandboxenv import SETUP_KEY, current


@solver
def bash_agent(
    max_turns: int = MAX_TURNS, max_new_tokens: int = 80, languages: Sequence[str] = BASH
) -> Solver:
    """An agent that acts by one fenced block a reply, by bash unless told otherwise.

    Args:
        max_turns: replies at most; the block of the last one is still run.
        max_new_tokens: of one reply.
        languages: of the blocks that are run; without any it talks once.
    """

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        for _ in range(max_turns):
            state = await generate(state, max_tokens=max_new_tokens)
            said = state.output.completion
            code = action(said, languages)
            if code is None:
                break
            if (acted := until_acted(said, languages)) != said:
                state.messages[-1].text = acted
            state.messages.append(ChatMessageUser(content=observation(await _run(code))))
        state.completed = True
        return state

    return solve


async def _run(code: str) -> str:
    try:
        return (await sandbox().exec(["bash", "-c", code])).stdout
    except TimeoutError as error:
        output = getattr(error, "truncated_output", "") or ""
        return f"{output}\n(timed out)"


@solver
def either(game: Solver, other: Solver) -> Solver:
    """The one solver for samples whose set-up names a game, the other for the rest."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        return await (game if state.metadata[SETUP_KEY]["game"] else other)(state, generate)

    return solve


@solver
def needs_snapshots() -> Solver:
    """A task's set-up step: stop at once under a sandbox that cannot take snapshots."""

    async def check(state: TaskState, generate: Generate) -> TaskState:
        current()
        return state

    return check
