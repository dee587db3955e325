"""Foreword's sandbox with an Inspect face: `--sandbox bubblewrap`.

One session a sample. Its set-up comes from the sample's metadata ("setup"),
the first snapshot is taken before the agent starts, the second by the scorer.

Covered: exec, files, time-outs, snapshots. Not covered: other users than the
agent, and snapshots under another Inspect sandbox such as docker - a task that
needs them says so in one line.
"""

from __future__ import annotations

import base64
import errno
import os
import shlex
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

import anyio
import anyio.to_thread
from inspect_ai.util import (
    ExecResult,
    SandboxEnvironment,
    SandboxEnvironmentConfigType,
    SandboxUserUnsupportedError,
    sandboxenv,
)

from foreword.core.errors import SandboxError
from foreword.core.types import Port, Setup, State, World

if TYPE_CHECKING:
    from foreword.sandbox import Sandbox

T = TypeVar("T")
SETUP_KEY = "setup"


class ActionTimeout(TimeoutError):
    """An action ran out of time; `truncated_output` is what it had printed (Inspect's name)."""

    def __init__(self, output: str) -> None:
        super().__init__("the action ran out of time")
        self.truncated_output = output


@sandboxenv(name="bubblewrap")
class BubblewrapEnvironment(SandboxEnvironment):
    """One running session of foreword.sandbox."""

    def __init__(self, session: Sandbox, before: State) -> None:
        super().__init__()
        self.session = session
        self.before = before

    @classmethod
    async def task_init(cls, task_name: str, config: SandboxEnvironmentConfigType | None) -> None:
        """Fail before any sample runs if there is no sandbox here.

        Raises:
            SandboxError: with the reason and the remedy.
        """
        from foreword.sandbox import available

        if why := await off_loop(available):
            raise SandboxError(why)

    @classmethod
    async def sample_init(
        cls,
        task_name: str,
        config: SandboxEnvironmentConfigType | None,
        metadata: Mapping[str, Any],
    ) -> dict[str, SandboxEnvironment]:
        """Open a session, apply the sample's set-up, take the first snapshot."""
        setup = read_setup(metadata.get(SETUP_KEY, {}))

        def start() -> BubblewrapEnvironment:
            from foreword.sandbox import open_sandbox

            session = open_sandbox(setup)
            session.__enter__()
            try:
                return cls(session, session.snapshot())
            except BaseException:
                session.__exit__(None, None, None)
                raise

        return {"default": await off_loop(start)}

    @classmethod
    async def sample_cleanup(
        cls,
        task_name: str,
        config: SandboxEnvironmentConfigType | None,
        environments: dict[str, SandboxEnvironment],
        interrupted: bool,
    ) -> None:
        """Close the sessions, whatever became of the sample."""
        for environment in environments.values():
            session = environment.as_type(cls).session
            await off_loop(partial(session.__exit__, None, None, None))

    async def after(self, probe: str = "") -> State:
        """The world now; `probe` is bash whose output lands in State.probe."""
        return await off_loop(lambda: self.session.snapshot(probe))

    async def exec(
        self,
        cmd: list[str],
        input: str | bytes | None = None,
        cwd: str | None = None,
        env: dict[str, str] | None = None,
        user: str | None = None,
        timeout: int | None = None,
        timeout_retry: bool = True,
        concurrency: bool = True,
    ) -> ExecResult[str]:
        """Run a command; stdout and stderr come back interleaved as stdout.

        Raises:
            ActionTimeout: with what was printed until then.
            SandboxUserUnsupportedError: for any user but the agent.
        """
        if user not in (None, "agent"):
            raise SandboxUserUnsupportedError("the bubblewrap sandbox has one user: agent")
        line = command_line(cmd, input, cwd, env or {})
        done = await off_loop(lambda: self.session.run(line, timeout))
        if done.timed_out:
            raise ActionTimeout(done.output)
        return ExecResult(done.exit_code == 0, done.exit_code, done.output, "")

    async def write_file(self, file: str, contents: str | bytes) -> None:
        """Write a file; relative paths are below the agent's home."""
        data = contents.encode() if isinstance(contents, str) else contents
        try:
            await off_loop(lambda: self.session.write(file, data))
        except SandboxError as error:
            raise _as_os_error(error, file) from error

    @overload
    async def read_file(self, file: str, text: Literal[True] = True) -> str: ...

    @overload
    async def read_file(self, file: str, text: Literal[False]) -> bytes: ...

    async def read_file(self, file: str, text: bool = True) -> str | bytes:
        """Read a file; relative paths are below the agent's home."""
        try:
            data = await off_loop(lambda: self.session.read(file))
        except SandboxError as error:
            raise _as_os_error(error, file) from error
        return data.decode() if text else data


def read_setup(fields: Mapping[str, Any]) -> Setup:
    """A set-up from a sample's metadata, where its records are mappings."""
    world = dict(fields.get("world", {}))
    ports = tuple(Port(**port) for port in world.pop("ports", ()))
    return Setup(**{**fields, "world": World(**world, ports=ports)})


def current() -> BubblewrapEnvironment:
    """The sample's sandbox, if it can take snapshots.

    Raises:
        SandboxError: under another Inspect sandbox.
    """
    from inspect_ai.util import sandbox

    environment = sandbox()
    try:
        return environment.as_type(BubblewrapEnvironment)
    except TypeError:
        raise SandboxError(
            "this task compares snapshots of its world, which only the sandbox 'bubblewrap' can "
            "take; drop --sandbox or use --sandbox bubblewrap"
        ) from None


async def off_loop(call: Callable[[], T]) -> T:
    """Run blocking sandbox work on a thread that outlives it.

    Threads of our own, because a bubblewrap child dies with the *thread* that
    started it, and the event loop's worker threads end when idle.
    """
    return await anyio.to_thread.run_sync(
        lambda: _pool().submit(call).result(), limiter=anyio.CapacityLimiter(1)
    )


@cache
def _pool() -> ThreadPoolExecutor:
    workers = 4 * (os.cpu_count() or 1)
    return ThreadPoolExecutor(workers, thread_name_prefix="foreword-sandbox")


def _as_os_error(error: SandboxError, file: str) -> Exception:
    """The error Inspect documents for a file, where the sandbox's message names one."""
    for number in (errno.ENOENT, errno.EACCES, errno.EISDIR):
        if os.strerror(number) in str(error):
            return OSError(number, os.strerror(number), file)
    return error


def command_line(
    cmd: list[str],
    input: str | bytes | None,
    cwd: str | None,
    env: Mapping[str, str],
) -> str:
    """One bash text for a command with its folder, environment and standard input."""
    plain = len(cmd) == 3 and cmd[:2] == ["bash", "-c"]
    if plain and input is None and not cwd and not env:
        return cmd[2]
    line = shlex.join(cmd)
    if input is not None:
        data = base64.b64encode(input.encode() if isinstance(input, str) else input).decode()
        line = f"base64 -d <<'STDIN' | {line}\n{data}\nSTDIN"
    exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in env.items())
    change = f"cd {shlex.quote(cwd)} || exit 1\n" if cwd else ""
    return exports + change + line
