"""The agent that plays a household game: think, write a block of Python, read what it printed.

At most five steps, MINT's protocol. Success is the game's own word, refusal the judge's. A
reply without a block costs a step, and the agent is told so, as in MINT.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from inspect_ai.model import ChatMessageUser
from inspect_ai.solver import Generate, Solver, TaskState, solver

from foreword.evals.alfworld.notebook import Notebook
from foreword.evals.alfworld.world import Opens, World
from foreword.evals.protocol import action
from foreword.evals.sandboxenv import SETUP_KEY, current, off_loop
from foreword.evals.scorer import WON
from foreword.suites.alfworld import MAX_NEW_TOKENS, MAX_STEPS
from foreword.suites.base import EXECUTE

END = "</execute>"
NO_BLOCK = "There was no block to run. Write Python between <execute> and </execute>."


@solver
def household_agent(max_new_tokens: int = MAX_NEW_TOKENS, opens: Opens = World) -> Solver:
    """An agent that plays the sample's game by <execute> blocks, run in its sandbox.

    Args:
        max_new_tokens: of one reply.
        opens: begins the game of a path.
    """

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        world = await off_loop(partial(opens, Path(state.metadata[SETUP_KEY]["game"])))
        try:
            notebook = await off_loop(partial(Notebook, current().session, world.play))
            state.user_prompt.text = world.intro
            for _ in range(MAX_STEPS):  # the prompt says so; the last block is still run
                state = await generate(state, max_tokens=max_new_tokens, stop_seqs=[END])
                code = action(state.output.completion, [EXECUTE])
                seen = NO_BLOCK if code is None else await off_loop(partial(notebook.run, code))
                state.messages.append(ChatMessageUser(content=f"Observation:\n{seen.strip()}"))
                if world.won:
                    break
            state.store.set(WON, world.won)
        finally:
            await off_loop(world.close)
        state.completed = True
        return state

    return solve
