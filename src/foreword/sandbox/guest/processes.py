"""The agent's processes as /proc shows them: who lives, how much they use, and how to end them.

Process 1 is the guest itself; every other process here is the agent's.
"""

# pathlib is slow to import.
# ruff: noqa: PTH123, PTH208

from __future__ import annotations

import contextlib
import os
import signal
import time
from typing import NamedTuple

PAGE = os.sysconf("SC_PAGE_SIZE")
LAUNCHERS = ("setsid ", "nohup ", "nice ", "env ")
EXITING = 0x4  # PF_EXITING, linux/sched.h
WRAPPER = 'eval "$(</dev/fd/9)" 9<&-'  # what bash is started with, see actions.py


class Process(NamedTuple):
    """One live process; (pid, started) is unique."""

    pid: int
    started: int  # clock ticks since boot
    threads: int
    resident: int  # bytes
    state: str  # one letter, proc(5)
    name: str


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read(65536)


def alive() -> list[Process]:
    """All live processes but the guest, by pid; zombies and those on their way out are not."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or entry == "1":
            continue
        try:
            head, _, tail = _read(f"/proc/{entry}/stat").decode("utf-8", "replace").rpartition(")")
        except OSError:
            continue
        field = tail.split()  # field[0] is the state, number 3 in proc(5)
        if _gone(field):
            if int(field[17]) < 2:
                continue
            field = _living_thread(entry)  # the main one may end before the others
            if not field:
                continue
        name = head.partition("(")[2]
        resident = int(field[21]) * PAGE
        found.append(Process(int(entry), int(field[19]), int(field[17]), resident, field[0], name))
    return sorted(found)


def _gone(field: list[str]) -> bool:
    return field[0] in "ZX" or bool(int(field[6]) & EXITING)


def _living_thread(pid: str) -> list[str]:
    """The fields of a thread that still runs; none if there is none."""
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError):
                text = _read(f"/proc/{pid}/task/{thread}/stat").decode("utf-8", "replace")
                field = text.rpartition(")")[2].split()
                if not _gone(field):
                    return field
    return []


def command_line(process: Process) -> str:
    """The command line as one string; the bare name for a process without one."""
    try:
        line = _read(f"/proc/{process.pid}/cmdline")
    except OSError:
        line = b""
    text = line.rstrip(b"\0").replace(b"\0", b" ").decode("utf-8", "replace").strip()
    return text or process.name


def _doomed(process: Process) -> bool:
    """Whether a signal is on its way to it that it does not block."""
    try:
        status = _read(f"/proc/{process.pid}/status").decode("utf-8", "replace")
    except OSError:
        return True
    wanted = ("SigPnd:", "ShdPnd:", "SigBlk:")
    masks = dict(line.split(":\t") for line in status.splitlines() if line.startswith(wanted))
    pending = int(masks["SigPnd"], 16) | int(masks["ShdPnd"], 16)
    return bool(pending & ~int(masks["SigBlk"], 16))


def _unborn(process: Process, line: str) -> bool:
    """Whether it is a child of bash that is about to become another program.

    A subshell that waits (state S) is what it is and stays so.
    """
    return process.state in "RD" and WRAPPER in line


def settled(patience_s: float = 1.0, launch_s: float = 10.0) -> list[str]:
    """The command lines, once those being born have their name and those being killed are gone.

    Two readings in a row must agree: a newborn can look finished in one of
    them. A subshell may be busy for good, so patience ends after `patience_s`;
    a launcher (nohup, setsid) always becomes its program, however late.
    """
    begun = time.monotonic()
    before: list[tuple[int, str]] = []
    while True:
        found = [(p, command_line(p)) for p in alive()]
        names = [(p.pid, line) for p, line in found]
        launching = any(line.startswith(LAUNCHERS) for _, line in found)
        restless = launching or any(_doomed(p) or _unborn(p, line) for p, line in found)
        waited = time.monotonic() - begun
        if (names == before and not restless) or waited > (launch_s if launching else patience_s):
            return [line for _, line in found]
        before = names
        reap()
        time.sleep(0.005)


def reap() -> dict[int, int]:
    """Bury dead children; their wait status by pid."""
    dead: dict[int, int] = {}
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return dead
        if pid == 0:
            return dead
        dead[pid] = status


def kill_all_but(spared: set[tuple[int, int]]) -> dict[int, int]:
    """Kill every process that is not in `spared` (pid, started); wait status by pid.

    Newborns are caught by going round again; if that does not end soon (a
    fork bomb), everything dies: kill(-1) from process 1 is atomic.
    """
    dead: dict[int, int] = {}
    for turn in range(200):
        doomed = [p for p in alive() if (p.pid, p.started) not in spared]
        if not doomed:
            break
        for process in doomed:
            _kill(process.pid)
        if turn >= 20:
            _kill(-1)
        dead.update(reap())
        time.sleep(0.001)
    dead.update(reap())
    return dead


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
