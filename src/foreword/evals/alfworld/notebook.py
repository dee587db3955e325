"""Runs an agent's Python in the sandbox and answers the tool calls it makes.

A Python process in the sandbox (`guest`) keeps its variables from block to
block. Its calls come out through a named pipe, one line each, are checked
against the table of tools and answered through another. Nothing else crosses.

Covered: endless loops, blocks that end the process or write to the pipes
themselves: the block is over, what it printed is shown, and a fresh process
without the old variables takes over. Not covered: calls by several threads at
a time, whose answers may be exchanged.
"""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable
from importlib.resources import files
from typing import Any

from foreword.sandbox import Sandbox
from foreword.suites.alfworld import tools

FOLDER = ".notebook"
BLOCK_S = 20.0  # a block may take, the game's own time left out
CALLS = 100  # of tools in one block
PRINTED = 2000  # characters of a block's output that the agent sees, as in MINT
START = f"""
[ -f {FOLDER}/pid ] && kill -KILL "$(cat {FOLDER}/pid)" 2>/dev/null
rm -f {FOLDER}/hear {FOLDER}/say {FOLDER}/printed
mkfifo {FOLDER}/hear {FOLDER}/say
python3 -u {FOLDER}/guest.py </dev/null >>{FOLDER}/printed 2>&1 &
echo $! >{FOLDER}/pid"""

Play = Callable[[str], str]  # a command of the game -> what it answers


class Notebook:
    """The agent's Python session in a sandbox."""

    def __init__(self, session: Sandbox, play: Play) -> None:
        """Bring the guest in and start it.

        Raises:
            SandboxError: the sandbox itself broke.
        """
        self._session = session
        self._play = play
        guest = files(__package__).joinpath("guest.py").read_bytes()
        session.write(f"{FOLDER}/guest.py", guest)
        session.write(f"{FOLDER}/tools.py", tools.stubs().encode())
        session.run(START)

    def run(self, code: str) -> str:
        """Run one block; what it printed, at most PRINTED characters.

        Raises:
            SandboxError: the sandbox itself broke.
        """
        ended = self._serve(code)
        printed = self._session.run(f"head -c {4 * PRINTED} {FOLDER}/printed").output
        if ended:
            self._session.run(START)
        if len(printed) > PRINTED:
            printed = printed[:PRINTED] + "\n(more was printed)\n"
        return printed + ended or "(nothing was printed)"

    def _serve(self, code: str) -> str:
        """Answer the block's calls until it is done; why it ended otherwise, else ""."""
        message, left = code, BLOCK_S
        for _ in range(CALLS + 1):
            began = time.monotonic()
            heard = self._exchange(message, left)
            left -= time.monotonic() - began
            if heard is None:
                break
            if heard.get("done") is True:
                return ""
            spoken = _command(heard)
            if spoken is None:
                break
            message = self._play(spoken)
        else:
            return f"(stopped after {CALLS} calls; variables are lost)"
        return "(the block did not come to its end; variables are lost)"

    def _exchange(self, message: str, seconds: float) -> dict[str, Any] | None:
        """Say a line and hear the next one; None if there is none in time, or nonsense."""
        if seconds <= 0:
            return None
        line = shlex.quote(json.dumps(message))
        script = f"printf %s {line} >{FOLDER}/hear; cat {FOLDER}/say"
        done = self._session.run(script, seconds)
        try:
            heard = json.loads(done.output)
        except ValueError:
            return None
        return heard if isinstance(heard, dict) else None


def _command(heard: dict[str, Any]) -> str | None:
    """The game's command in what the sandbox said, if it is one."""
    name, arguments = heard.get("tool"), heard.get("arguments")
    if not isinstance(name, str) or not isinstance(arguments, list):
        return None
    return tools.command(name, [str(argument) for argument in arguments])
