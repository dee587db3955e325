"""The agent's Python runs in the sandbox, and only calls of the tools come out."""

from pathlib import Path

import pytest

from foreword.core.types import Setup
from foreword.evals.alfworld import notebook
from foreword.evals.alfworld.notebook import CALLS, PRINTED, Notebook
from foreword.sandbox import open_sandbox
from foreword.testing.alfworld import ToyWorld

pytestmark = pytest.mark.sandbox
CUT = "variables are lost)"


@pytest.fixture
def world() -> ToyWorld:
    return ToyWorld(Path("game"))


@pytest.fixture
def book(world: ToyWorld):
    with open_sandbox(Setup()) as session:
        yield Notebook(session, world.play)


def test_calls_reach_the_game_and_its_answers_the_block(book: Notebook, world: ToyWorld):
    block = "\n".join(
        [
            "seen = goto('table 1')",
            "if 'cup 1' in seen:",
            "    print(take_from('cup 1', receptacle='table 1').upper())",
        ]
    )
    assert book.run(block) == "YOU PICK UP THE CUP 1.\n"
    assert world.heard == ["go to table 1", "take cup 1 from table 1"]
    assert book.run("goto('sink 1')\nput('cup 1', 'sink 1')") == (
        "'You put the cup 1 in/on the sink 1.'\n"
    )
    assert world.won


def test_variables_and_functions_stay(book: Notebook):
    assert book.run("import math\ndef twice(x):\n    return 2 * x\ny = 4") == (
        "(nothing was printed)"
    )
    assert book.run("twice(y) + math.floor(0.5)") == "8\n"


def test_errors_are_shown_without_our_own_frames(book: Notebook):
    said = book.run("print('so far')\n1 / 0")
    assert said.startswith("so far\nTraceback")
    assert said.endswith("ZeroDivisionError: division by zero\n")
    assert "guest.py" not in said and 'File "<execute>", line 2' in said
    assert "SyntaxError" in book.run("def f(:")
    assert "positional argument" in book.run("goto('a', 'b')")
    assert "SystemExit" in book.run("exit(3)")
    assert book.run("2 + 2") == "4\n"


def test_what_child_processes_print_is_seen_and_much_is_cut(book: Notebook):
    assert book.run("import os\nos.system('echo $HOME; pwd') and None") == (
        "/home/agent\n/home/agent\n0\n"
    )
    said = book.run("print('a' * 100_000)")
    assert said == "a" * PRINTED + "\n(more was printed)\n"


def test_a_block_that_does_not_end_is_ended(book: Notebook, monkeypatch):
    monkeypatch.setattr(notebook, "BLOCK_S", 2.0)
    assert book.run("x = 1\nprint('on')\nwhile True: pass").endswith(CUT)
    assert "NameError" in book.run("x")


def test_a_block_that_kills_its_process_is_over(book: Notebook, monkeypatch):
    monkeypatch.setattr(notebook, "BLOCK_S", 2.0)
    said = book.run("print('bye')\nimport os\nos._exit(0)")
    assert said.startswith("bye") and said.endswith(CUT)
    assert book.run("1 + 1") == "2\n"


@pytest.mark.parametrize(
    "line", ["[[", "[1]", '{"tool": "inventory", "arguments": []}', '{"tool": 3}', '{"done": 1}']
)
def test_lies_on_the_pipe_end_the_block_and_reach_no_game(
    book: Notebook, world: ToyWorld, line: str
):
    said = book.run(f"open('.notebook/say', 'w').write({line!r})")
    assert said.endswith(CUT)
    assert world.heard == []
    assert book.run("1 + 1") == "2\n"


def test_endless_calls_are_stopped(book: Notebook, world: ToyWorld, monkeypatch):
    monkeypatch.setattr(notebook, "CALLS", 3)
    assert "stopped after 3 calls" in book.run("while True: look()")
    assert world.heard == ["look"] * 4
    assert CALLS > 50


def test_the_games_time_is_not_the_blocks(world: ToyWorld, monkeypatch):
    import time

    def slow(command: str) -> str:
        time.sleep(3)
        return world.play(command)

    monkeypatch.setattr(notebook, "BLOCK_S", 2.5)
    with open_sandbox(Setup()) as session:
        assert Notebook(session, slow).run("look()") == "'Nothing happens.'\n"
