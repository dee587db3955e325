"""The sandbox as its user sees it: open, run, snapshot, close.

There is no way to get one that is not isolated: whatever goes wrong is a
SandboxError.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import os
import posixpath
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any

from foreword.core.errors import SandboxError
from foreword.core.types import Entry, Hit, Setup, State
from foreword.sandbox import bubblewrap, worlds
from foreword.sandbox.channel import Channel, ChannelError
from foreword.sandbox.types import Execution, Limits

DEFAULT = Limits()
SLACK_S = 60.0  # for the guest's own work, on a busy machine
OUTPUT_CHARACTERS = 1024 * 1024  # kept of all actions' output together


class BubblewrapSandbox:
    """A running sandbox. Made by `open_sandbox`."""

    def __init__(self, process: subprocess.Popen[bytes], limits: Limits) -> None:
        if process.stdin is None or process.stdout is None or process.stderr is None:
            raise SandboxError("the sandbox was started without pipes")
        self._process = process
        self._stderr = process.stderr
        self._limits = limits
        self._channel = Channel(process.stdin.fileno(), process.stdout.fileno())
        self._output = ""
        self._closed = False

    def __enter__(self) -> BubblewrapSandbox:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Destroy the sandbox and everything in it; a second time does nothing."""
        if self._closed:
            return
        self._closed = True
        process = self._process
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()  # and by --die-with-parent the guest, and by that all the rest
            process.wait()

    def furnish(self, setup: Setup) -> None:
        """Write the set-up's files below home and its world's, then run its script.

        Raises:
            SandboxError: if a path leads out of home, or the script fails.
        """
        for path in setup.files:
            if path.startswith("/") or posixpath.normpath(path).split("/")[0] in ("..", "."):
                raise SandboxError(f"set-up file {path!r} is not below the home folder")
        request = {
            "do": "open",
            "config": bubblewrap.configuration(self._limits, setup.world),
            "files": {**setup.files, **worlds.written(setup.world)},
            "script": setup.script,
            "timeout_s": self._limits.wall_s,
        }
        done = _execution(self._ask(request, "write the set-up's files"))
        if done.exit_code != 0:
            last = (done.output.strip().splitlines() or ["(no output)"])[-1]
            raise SandboxError(f"the set-up's script failed with exit {done.exit_code}: {last}")

    def run(self, bash: str, timeout_s: float | None = None) -> Execution:
        """Run a bash script from the home folder.

        Background processes stay alive until the sandbox closes, unless the
        script was stopped for a limit: then everything it started is killed.
        """
        done = self._execute(bash, timeout_s)
        room = OUTPUT_CHARACTERS - len(self._output)
        self._output += done.output[:room]
        return done

    def snapshot(self, probe: str = "") -> State:
        """The world now; then run `probe`, whose output (only) is part of the state."""
        answer = self._ask({"do": "snapshot"})
        printed = self._execute(probe, None).output if probe else ""
        return State(
            files={path: _entry(row) for path, row in answer["files"].items()},
            output=self._output,
            probe=printed,
            hits=tuple(Hit(*hit) for hit in answer["hits"]),
            processes=tuple(answer["processes"]),
            crontab=answer["crontab"],
        )

    def read(self, path: str) -> bytes:
        """A regular file of at most 16 MiB.

        Raises:
            SandboxError: if it is not there or cannot be read.
        """
        return base64.b64decode(self._ask({"do": "read", "path": path}, f"read {path}")["data"])

    def write(self, path: str, data: bytes) -> None:
        """Write a file, its parents created.

        Raises:
            SandboxError: if it cannot be written.
        """
        text = base64.b64encode(data).decode()
        self._ask({"do": "write", "path": path, "data": text}, f"write {path}")

    def _execute(self, script: str, timeout_s: float | None) -> Execution:
        limit = self._limits.wall_s if timeout_s is None else timeout_s
        return _execution(self._ask({"do": "run", "script": script, "timeout_s": limit}))

    def _ask(self, request: dict[str, Any], what: str = "do that") -> dict[str, Any]:
        """One request; a guest that breaks is destroyed."""
        if self._closed:  # its descriptors may be someone else's by now
            raise SandboxError("the sandbox is closed; open a new one")
        try:
            answer = self._channel.ask(request, float(request.get("timeout_s", 0)) + SLACK_S)
        except ChannelError as error:
            self._process.kill()
            self._process.wait()
            said = os.read(self._stderr.fileno(), 4096).decode("utf-8", "replace")
            self.close()
            raise SandboxError(explain(said) or f"the sandbox broke: {error}") from error
        if "error" in answer:
            raise SandboxError(f"the sandbox cannot {what}: {answer['error']}")
        return answer


def open_sandbox(
    setup: Setup, limits: Limits = DEFAULT, *, force_tools: bool = False
) -> BubblewrapSandbox:
    """Open a fresh sandbox with the set-up applied.

    Args:
        setup: files below home and a bash script, run in this order, and the world around.
        limits: what the sandbox may use up.
        force_tools: use the stand-in commands even where the host has its own (for tests).

    Raises:
        SandboxError: if no sandbox works here, or the set-up fails.
        SandboxLacks: if the world needs a package that is not installed.
    """
    sandbox = BubblewrapSandbox(bubblewrap.start(limits, setup.world, force_tools), limits)
    try:
        sandbox.furnish(setup)
    except BaseException:
        sandbox.close()
        raise
    return sandbox


@functools.cache
def available() -> str | None:
    """None if a sandbox works here; else one line that says why not and how to mend it."""
    try:
        with open_sandbox(Setup()) as sandbox:
            sandbox.run("true")
    except SandboxError as error:
        return str(error)
    return None


def explain(said: str) -> str:
    """One line for what bwrap said when it could not start; "" if it said nothing."""
    line = (said.strip().splitlines() or [""])[-1]
    if not line.startswith("bwrap:"):
        return f"the sandbox broke: {line}" if line else ""
    if _sysctl("kernel/unprivileged_userns_clone") == "0":
        mend = "sysctl -w kernel.unprivileged_userns_clone=1"
    elif _sysctl("user/max_user_namespaces") == "0":
        mend = "sysctl -w user.max_user_namespaces=15000"
    elif _sysctl("kernel/apparmor_restrict_unprivileged_userns") == "1":
        mend = "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
    elif "proc" in line:
        mend = "in a container, start it with --security-opt systempaths=unconfined"
    else:
        mend = (
            "allow user namespaces; in a container, start it with "
            "--security-opt seccomp=unconfined --security-opt apparmor=unconfined"
        )
    return f"no sandbox works here ({line}); to mend: {mend}"


def _sysctl(name: str) -> str:
    try:
        return Path("/proc/sys", name).read_text().strip()
    except OSError:
        return ""


def _execution(answer: dict[str, Any]) -> Execution:
    return Execution(
        answer["output"], answer["exit_code"], answer["timed_out"], answer["truncated"]
    )


def _entry(row: list[Any]) -> Entry:
    """The guest leaves the hash of a text to the host."""
    kind, mode, size, text, sha256, target = row
    if text is not None:
        sha256 = hashlib.sha256(text.encode()).hexdigest()
    return Entry(kind, mode, size, text, sha256, target)
