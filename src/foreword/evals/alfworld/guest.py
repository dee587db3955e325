"""The notebook's half inside the sandbox: standard library only, copied in as text.

It takes blocks of Python and runs them in one namespace; what they print goes
to its own standard output, which is a file. A tool's call is a line to the
host, whose answer is the line that comes back. What runs here is the agent's
code, so the host believes nothing that it hears.
"""

from __future__ import annotations

import ast
import json
import os
import sys
import traceback
from typing import Any

sys.dont_write_bytecode = True
FOLDER = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - pathlib is slow


def hear() -> Any:
    """What the host says next."""
    with open(f"{FOLDER}/hear", encoding="utf-8") as line:  # noqa: PTH123
        return json.load(line)


def say(message: object) -> None:
    """Tell the host."""
    with open(f"{FOLDER}/say", "w", encoding="utf-8") as line:  # noqa: PTH123
        json.dump(message, line)


def call(tool: str, *arguments: object) -> str:
    """What the game answers."""
    say({"tool": tool, "arguments": [str(argument) for argument in arguments]})
    return str(hear())


def run(code: str, space: dict[str, Any]) -> None:
    """Run a block; the value of its last expression is shown, as notebooks do."""
    body = ast.parse(code, "<execute>").body
    last = [body.pop()] if body and isinstance(body[-1], ast.Expr) else []
    exec(compile(ast.Module(body, []), "<execute>", "exec"), space)  # noqa: S102 - in the sandbox
    exec(compile(ast.Interactive(last), "<execute>", "single"), space)  # noqa: S102


def own_frames(trace: Any) -> Any:
    """The part of a traceback that lies in the agent's block."""
    while trace is not None and trace.tb_frame.f_code.co_filename != "<execute>":
        trace = trace.tb_next
    return trace


def main() -> None:
    """Serve blocks until the sandbox closes."""
    space: dict[str, Any] = {"__name__": "__main__", "call": call}
    with open(f"{FOLDER}/tools.py", encoding="utf-8") as stubs:  # noqa: PTH123
        exec(stubs.read(), space)  # noqa: S102
    while True:
        code = hear()
        os.truncate(1, 0)
        try:
            run(code, space)
        except BaseException as error:  # noqa: BLE001 - the agent's code raises what it likes
            traceback.print_exception(type(error), error, own_frames(error.__traceback__))
        sys.stdout.flush()
        say({"done": True})


if __name__ == "__main__":
    main()
