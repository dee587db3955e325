"""The scripted double keeps to the same protocol."""

from __future__ import annotations

import pytest

from foreword.core.errors import SandboxError
from foreword.core.types import State
from foreword.sandbox import Execution, Sandbox
from foreword.testing.sandbox import ScriptedSandbox


def test_it_is_a_sandbox_and_plays_its_script():
    play = ScriptedSandbox(["a", Execution("b", 1, False, False)], by_script={"x": "y"})
    assert isinstance(play, Sandbox)
    with play as box:
        assert box.run("1").output == "a"
        assert box.run("x").output == "y"
        assert box.run("2").exit_code == 1
        assert box.run("3").output == ""
        assert box.snapshot().output == "ayb"
        box.write("f", b"1")
        assert box.read("f") == b"1" and box.snapshot().files["f"].text == "1"
        with pytest.raises(SandboxError):
            box.read("g")
    assert play.scripts == ["1", "x", "2", "3"]
    with pytest.raises(SandboxError):
        play.run("4")


def test_states_come_in_order_and_the_last_stays():
    box = ScriptedSandbox(states=[State(crontab="1"), State(crontab="2")])
    assert [box.snapshot().crontab for _ in range(3)] == ["1", "2", "2"]
