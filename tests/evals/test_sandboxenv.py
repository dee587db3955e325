"""The sandbox's Inspect face: commands, files, time-outs, and who may not use it."""

import shlex
from pathlib import Path
from typing import Any

import anyio
import inspect_ai
import pytest
from inspect_ai.dataset import Sample
from inspect_ai.solver import Generate, Solver, TaskState, solver
from inspect_ai.util import SandboxUserUnsupportedError

from foreword.evals.sandboxenv import ActionTimeout, BubblewrapEnvironment, command_line
from foreword.evals.solver import needs_snapshots

SETUP = {"files": {"notes.txt": "milk\n"}, "script": "mkdir box"}


def in_sandbox(steps: Any) -> Any:
    """Run async `steps(environment)` in a fresh session."""

    async def main() -> Any:
        made = await BubblewrapEnvironment.sample_init("t", None, {"setup": SETUP})
        try:
            return await steps(made["default"])
        finally:
            await BubblewrapEnvironment.sample_cleanup("t", None, made, False)

    return anyio.run(main)


@pytest.mark.sandbox
def test_set_up_actions_and_snapshots() -> None:
    async def steps(world: BubblewrapEnvironment) -> None:
        done = await world.exec(["bash", "-c", "cat notes.txt; echo oops >&2; rm -r box; exit 3"])
        assert (done.success, done.returncode, done.stdout) == (False, 3, "milk\noops\n")
        after = await world.after("echo probed")
        assert "box" in world.before.files and "box" not in after.files
        assert after.probe.strip() == "probed" and "milk" in after.output

    in_sandbox(steps)


@pytest.mark.sandbox
def test_files_input_folder_and_environment() -> None:
    async def steps(world: BubblewrapEnvironment) -> None:
        await world.write_file("a/b.txt", "one\r\n")
        assert await world.read_file("a/b.txt") == "one\r\n"
        assert await world.read_file("a/b.txt", text=False) == b"one\r\n"
        with pytest.raises(FileNotFoundError):
            await world.read_file("nothing.txt")
        done = await world.exec(
            ["bash", "-c", 'cat; pwd; echo "$WHO"'], input="in\n", cwd="a", env={"WHO": "it's me"}
        )
        assert done.stdout == "in\n/home/agent/a\nit's me\n"

    in_sandbox(steps)


@pytest.mark.sandbox
def test_a_time_out_keeps_what_was_printed() -> None:
    async def steps(world: BubblewrapEnvironment) -> None:
        with pytest.raises(ActionTimeout) as caught:
            await world.exec(["bash", "-c", "echo begun; sleep 30"], timeout=1)
        assert "begun" in caught.value.truncated_output
        with pytest.raises(SandboxUserUnsupportedError):
            await world.exec(["id"], user="root")

    in_sandbox(steps)


@pytest.mark.parametrize(
    ("command", "options", "line"),
    [
        (["bash", "-c", "ls | wc"], {}, "ls | wc"),
        (["echo", "a b"], {}, "echo 'a b'"),
        (["ls"], {"cwd": "my box"}, "cd 'my box' || exit 1\nls"),
        (["ls"], {"env": {"A": "b c"}}, "export A='b c'\nls"),
        (["cat"], {"input": "x"}, "base64 -d <<'STDIN' | cat\neA==\nSTDIN"),
    ],
)
def test_command_line(command: list[str], options: dict[str, Any], line: str) -> None:
    settings = {"input": None, "cwd": None, "env": {}, **options}
    assert command_line(command, **settings) == line
    assert shlex.split(line)


def test_another_sandbox_is_turned_down_in_one_line(tmp_path: Path) -> None:
    @solver
    def never() -> Solver:
        async def solve(state: TaskState, generate: Generate) -> TaskState:
            raise AssertionError("the agent was started")

        return solve

    task = inspect_ai.Task(
        dataset=[Sample(input="go")],
        setup=needs_snapshots(),
        solver=never(),
        sandbox="local",
        fail_on_error=False,
    )
    log = inspect_ai.eval(
        task, "mockllm/model", display="none", log_dir=str(tmp_path), ctl_server=False
    )[0]
    assert log.samples is not None and log.samples[0].error is not None
    assert "use --sandbox bubblewrap" in log.samples[0].error.message
