"""Runs the actions: bash with limits of its own, watched from outside of it.

The kernel limits each process (rlimits) and each file system (its size); the
watch, every 50 ms, limits what they use together. An action ends when its
bash ends; its background children live on, unless it was stopped for a limit.
"""

from __future__ import annotations

import os
import resource
import signal
import time
from typing import Any

from . import processes
from .loop import Loop

HOME = "/home/agent"
ENV = {
    "PATH": "/foreword/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": HOME,
    "USER": "agent",
    "LOGNAME": "agent",
    "SHELL": "/bin/bash",
    "LANG": "C.UTF-8",
    "TERM": "dumb",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONNOUSERSITE": "1",  # or what an agent leaves there would run in every later Python
}
WATCH_S = 0.05
INODES = 20_000  # files on one file system
SPARE = 8  # so that the watch can see that there are too many, and ends them
SPARE_FILES = 100
SCRIPT_BYTES = 1024 * 1024
F_SETPIPE_SZ = 1031
MIB = 1024 * 1024


class Sink:
    """One action's output: the first bytes are kept, the rest is read and dropped."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.data = b""
        self.truncated = False

    def add(self, data: bytes) -> None:
        """Keep what fits."""
        room = self.limit - len(self.data)
        self.data += data[:room]
        self.truncated = self.truncated or len(data) > room


class Runner:
    """Runs one action at a time."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._roots: list[str] = []
        self._limits: dict[str, Any] = {}
        self._env = ENV
        self._exits: dict[int, int] = {}
        self._most_files: dict[str, int] = {}

    def configure(self, limits: dict[str, Any], env: dict[str, str], roots: list[str]) -> None:
        """Set the limits (those of `Limits`), the environment's additions, and what is counted.

        Args:
            limits: of one action, and of all together.
            env: more variables; its PATH goes in front.
            roots: file systems whose files are counted.
        """
        self._limits = limits
        self._env = {**ENV, **env, "PATH": env["PATH"] + ENV["PATH"]}
        self._roots = roots

    def bury(self) -> None:
        """Reap the dead and remember how they ended."""
        self._exits.update(processes.reap())

    def watch(self) -> str:
        """What the agent's processes use too much of, together; "" if nothing."""
        limits = self._limits
        found = processes.alive()
        if sum(p.resident for p in found) > limits["memory_mb"] * MIB:
            return f"more than {limits['memory_mb']} MB of memory"
        if sum(p.threads for p in found) > limits["processes"]:
            return f"more than {limits['processes']} processes"
        if any(_files_on(root) > most for root, most in self._most_files.items()):
            return f"more than {INODES} files"
        return ""

    def idle_watch(self) -> None:
        """Between actions: whoever broke a limit in the background takes all down with him."""
        self._exits.clear()
        if self.watch():
            processes.kill_all_but(set())

    def run(self, script: str, timeout_s: float) -> dict[str, Any]:
        """Run a script; the answer's fields are those of Execution."""
        before = {(p.pid, p.started) for p in processes.alive()}
        sink = Sink(self._limits["output_bytes"])
        self._exits.clear()
        for root in self._roots:  # a full folder must not stop the actions that tidy it up
            self._most_files[root] = max(INODES, _files_on(root) + SPARE_FILES)
        pid, out = self._spawn(script)
        pump = Pump(self._loop, out, sink)
        stopped = self._wait(pid, time.monotonic() + timeout_s)
        if stopped is not None:
            self._exits.update(processes.kill_all_but(before))
            if stopped and self.watch():  # it was not the action, but something older
                self._exits.update(processes.kill_all_but(set()))
        pump.finish()
        code = _exit_code(self._exits.pop(pid, signal.SIGKILL))
        text = sink.data.decode("utf-8", "replace")
        if stopped:
            text += f"\n[stopped: {stopped}]\n"
        code = code if stopped is None else (137 if stopped else 124)
        return {
            "output": text,
            "exit_code": code,
            "timed_out": stopped == "",
            "truncated": sink.truncated,
        }

    def _wait(self, pid: int, deadline: float) -> str | None:
        """None when the action ended by itself, "" when time was over, else the limit it broke."""
        look = time.monotonic() + WATCH_S
        while pid not in self._exits:
            now = time.monotonic()
            if now >= deadline:
                return ""
            if now >= look:
                self.bury()
                broken = self.watch()
                if broken:
                    return broken
                look = time.monotonic() + WATCH_S
            self._loop.step(min(deadline, look) - now)
        return None

    def _spawn(self, script: str) -> tuple[int, int]:
        """Start bash; its pid and the end of the pipe its output comes from."""
        source = _pipe_with(script.encode("utf-8", "surrogateescape"))
        out, inlet = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                self._become_bash(source, inlet)
            finally:
                os._exit(126)
        os.close(source)
        os.close(inlet)
        return pid, out

    def _become_bash(self, source: int, inlet: int) -> None:
        os.setsid()
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGPIPE, signal.SIGINT, signal.SIGCHLD, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        os.dup2(inlet, 1)
        os.dup2(inlet, 2)
        os.dup2(source, 9)
        try:
            os.chdir(HOME)
        except OSError:
            os.chdir("/")
        self._limit_self()
        os.execve("/bin/bash", ["bash", "-c", processes.WRAPPER], self._env)  # noqa: S606

    def _limit_self(self) -> None:
        limits = self._limits
        cpu = limits["cpu_s"]
        for what, soft, hard in (
            (resource.RLIMIT_AS, limits["memory_mb"] * MIB, limits["memory_mb"] * MIB),
            (resource.RLIMIT_CPU, cpu, cpu + 1),
            (resource.RLIMIT_FSIZE, limits["disk_mb"] * MIB, limits["disk_mb"] * MIB),
            (resource.RLIMIT_NOFILE, 512, 512),
            (resource.RLIMIT_STACK, 8 * MIB, 8 * MIB),
            (resource.RLIMIT_CORE, 0, 0),
            (resource.RLIMIT_MSGQUEUE, 0, 0),
        ):
            top = resource.getrlimit(what)[1]
            if top == resource.RLIM_INFINITY:
                top = hard
            resource.setrlimit(what, (min(soft, top), min(hard, top)))
        if limits["own_count"]:
            most = limits["processes"] + SPARE
            resource.setrlimit(resource.RLIMIT_NPROC, (most, most))


class Pump:
    """Moves an action's output to its sink, and keeps the pipe from filling up afterwards."""

    def __init__(self, loop: Loop, fd: int, sink: Sink) -> None:
        self._loop, self._fd, self._sink = loop, fd, sink
        self._open = True
        loop.add(fd, self._ready)

    def _ready(self) -> None:
        self.read()

    def read(self) -> bool:
        """Move one piece; False if there is none."""
        try:
            data = os.read(self._fd, 65536)
        except BlockingIOError:
            return False
        if not data:
            self._loop.drop(self._fd)
            os.close(self._fd)
            self._open = False
            return False
        self._sink.add(data)
        return True

    def finish(self) -> None:
        """Take what is in the pipe; what background children write later is dropped."""
        for _ in range(64):
            if not self._open or not self.read():
                break
        self._sink = Sink(0)


def _files_on(root: str) -> int:
    disk = os.statvfs(root)
    return disk.f_files - disk.f_ffree


def _pipe_with(data: bytes) -> int:
    """A pipe's reading end, with all of `data` in it and the writing end closed."""
    import fcntl

    end, inlet = os.pipe()
    os.set_blocking(inlet, False)
    if len(data) > 65536 and len(data) <= SCRIPT_BYTES:
        fcntl.fcntl(inlet, F_SETPIPE_SZ, SCRIPT_BYTES)
    try:
        written = os.write(inlet, data) if data else 0
    finally:
        os.close(inlet)
    if written < len(data):
        os.close(end)
        raise OSError(f"a script has at most {SCRIPT_BYTES} bytes, this one {len(data)}")
    return end


def _exit_code(status: int) -> int:
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)
