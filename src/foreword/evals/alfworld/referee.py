"""The process of one game: TextWorld, and JSON lines in and out.

A process of its own, because TextWorld keeps its parser, sys.argv and captured
output in globals, and its native planner can crash whoever loads it twice. It
needs nothing of foreword; `world` starts it. Objects get ALFWorld's names.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections import Counter
from collections.abc import Iterable
from typing import Any, TextIO

ARRIVAL = re.compile(r"^You arrive at loc [^.]*\. ")  # a place's number tells an agent nothing


def names(ids: Iterable[str]) -> dict[str, str]:
    """ALFWorld's names of a game's objects, numbered by kind.

    An id is a kind and coordinates, "bowl_bar__minus_01_dot_23_bar_...", or a bare word. The
    first in alphabetical order gets the highest number.
    """
    kinds = {id: id.partition("_bar_")[0] + "basin" * ("basin" in id) for id in sorted(ids)}
    left = Counter(kind for id, kind in kinds.items() if "_bar_" in id)
    named = {}
    for id, kind in kinds.items():
        named[id] = f"{kind} {left[kind]}" if "_bar_" in id else id
        left[kind] -= 1
    return named


def begin(path: str) -> tuple[Any, Any]:
    """TextWorld's environment and the game's first state."""
    from textworld import EnvInfos
    from textworld.envs.pddl import PddlEnv

    game = PddlEnv(EnvInfos())
    game.load(path)
    infos = game._entity_infos
    for id, name in names(infos).items():
        infos[id].name = name
    return game, game.reset()


def serve(path: str, requests: TextIO, answers: TextIO) -> None:
    """Play until nobody asks any more.

    {"do": "begin"} is answered by the intro, {"do": "play", "command": ...} by what happens,
    both with "won"; {"do": "plan"} by the planner's commands.
    """
    game, state = begin(path)
    for line in requests:
        request = json.loads(line)
        if request["do"] == "play":
            state, _, _ = game.step(request["command"])
        if request["do"] == "plan":
            answer = {"plan": game._pddl_state.replan(game._entity_infos)}
        else:
            said = ARRIVAL.sub("", str(state.feedback))
            answer = {"said": said, "won": bool(state["won"])}
        print(json.dumps(answer), file=answers, flush=True)


def main() -> None:
    """Keep the answers' pipe, and send away what TextWorld and its planner print."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        serve(sys.argv[1], sys.stdin, answers)


if __name__ == "__main__":
    main()
