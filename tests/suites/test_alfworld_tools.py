"""A call becomes the game's command, and a command the call that gives it."""

import ast

import pytest

from foreword.suites.alfworld import tools


def test_there_are_mints_eleven_and_each_has_its_arguments():
    assert [tool.name for tool in tools.TOOLS] == [
        "put", "goto", "take_from", "open_receptacle", "toggle", "close_receptacle",
        "clean", "heat", "cool", "use", "look",
    ]  # fmt: skip
    for tool in tools.TOOLS:
        assert tool.command.count("{}") == len(tool.parameters)
    assert tools.TOOLS[0].signature == "put(object: str, receptacle: str) -> str"


@pytest.mark.parametrize(
    ("command", "call"),
    [
        ("put mug 1 in/on shelf 2", "put('mug 1', 'shelf 2')"),
        ("take mug 1 from shelf 2", "take_from('mug 1', 'shelf 2')"),
        ("go to shelf 2", "goto('shelf 2')"),
        ("clean mug 1 with sinkbasin 1", "clean('mug 1', 'sinkbasin 1')"),
        ("use desklamp 1", "use('desklamp 1')"),
        ("look", "look()"),
    ],
)
def test_both_ways(command: str, call: str):
    assert tools.call(command) == call
    parsed = ast.parse(call, mode="eval").body
    assert isinstance(parsed, ast.Call) and isinstance(parsed.func, ast.Name)
    arguments = [ast.literal_eval(argument) for argument in parsed.args]
    assert tools.command(parsed.func.id, arguments) == command


def test_what_is_no_tool_is_no_command():
    assert tools.call("slice bread 1 with knife 1") is None
    assert tools.command("slice", ["bread 1"]) is None
    assert tools.command("goto", []) is None
    assert tools.command("goto", ["{0.__class__}"]) == "go to {0.__class__}"
