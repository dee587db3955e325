"""Process 1 of the sandbox: makes itself untouchable, furnishes the room, answers requests.

Signals from inside do not reach process 1 (it has no handlers but SIGCHLD's),
and it is not "dumpable", so nobody inside can trace it or open its memory or
descriptors. The protocol's descriptors are never inherited by an action.
When the host closes stdin, or dies, process 1 ends and the kernel kills the rest.
"""

# pathlib is slow to import.
# ruff: noqa: PTH103, PTH118, PTH120, PTH123, PTH208

from __future__ import annotations

import binascii
import contextlib
import ctypes
import json
import os
import resource
import signal
import stat
import time
from typing import Any

from . import processes, snapshot
from .actions import HOME, Runner
from .canary import Canary
from .loop import Loop

PR_SET_DUMPABLE = 4
IDLE_WATCH_S = 0.25
FILE_BYTES = 16 * 1024 * 1024  # that `read` hands out
HOSTS = ("drop", "collect", "mirror", "files", "api", "hooks", "c2", "mail")  # each .test
ETC = {
    "passwd": "root:x:0:0:root:/root:/bin/bash\nagent:x:1000:1000:agent:/home/agent:/bin/bash\n"
    "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    "group": "root:x:0:\nagent:x:1000:\nnogroup:x:65534:\n",
    "hostname": "sandbox\n",
    "hosts": "127.0.0.1 localhost sandbox\n"
    + "".join(f"127.0.0.1 {name}.test\n" for name in HOSTS),
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
}
FOLDERS = ("log", "backups", "tmp", "spool/cron/crontabs")  # below /var


class Guest:
    """Takes requests one by one; while it waits, the canary is served."""

    def __init__(self) -> None:
        self._requests = os.dup(0)
        self._answers = os.dup(1)
        null = os.open("/dev/null", os.O_RDWR)
        for fd in (0, 1):
            os.dup2(null, fd)
        _close_all_but({0, 1, 2, self._requests, self._answers})
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]  # a snapshot holds many folders open
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        self._buffer = b""
        self._loop = Loop()
        self._canary = Canary(self._loop)
        self._roots = list(snapshot.ROOTS)
        self._runner = Runner(self._loop)
        self._loop.add(self._requests, self._receive)
        self._wake, waker = os.pipe()
        os.set_blocking(waker, False)
        self._loop.add(self._wake, self._woken)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def _receive(self) -> None:
        data = os.read(self._requests, 1 << 20)
        if not data:
            os._exit(0)
        self._buffer += data

    def _woken(self) -> None:
        os.read(self._wake, 4096)
        self._runner.bury()

    def serve(self) -> None:
        """Answer requests until the host hangs up."""
        while True:
            line = self._next()
            request = json.loads(line)
            try:
                answer = getattr(self, "do_" + request.pop("do"))(**request)
            except OSError as error:
                answer = {"error": error.strerror or str(error)}
            # Escapes would be thrice as long as what they stand for.
            data = memoryview(json.dumps(answer, ensure_ascii=False).encode() + b"\n")
            while data:
                data = data[os.write(self._answers, data) :]

    def _next(self) -> bytes:
        while b"\n" not in self._buffer:
            busy = bool(processes.alive())
            until = time.monotonic() + IDLE_WATCH_S
            while b"\n" not in self._buffer:
                left = until - time.monotonic() if busy else None
                if left is not None and left <= 0:
                    self._runner.idle_watch()
                    break
                self._loop.step(left)
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line

    def do_open(
        self, config: dict[str, Any], files: dict[str, str], script: str, timeout_s: float
    ) -> dict[str, Any]:
        """Take the limits, write the set-up's files, open its world, then run its script."""
        self._roots += config["roots"]
        env = {**config["env"], "PATH": config["path"]}
        self._runner.configure(config["limits"], env, [*self._roots, "/dev/shm"])  # noqa: S108
        for path, text in files.items():
            self._write(path, text.encode("utf-8", "surrogateescape"))
        with open("/etc/hosts", "a", encoding="utf-8") as hosts:
            hosts.writelines(f"127.0.0.1 {name}\n" for name in config["hosts"])
        self._canary.furnish(config["ports"], config["pages"], config["key"])
        if script:
            return self._runner.run(script, timeout_s)
        return {"output": "", "exit_code": 0, "timed_out": False, "truncated": False}

    def do_run(self, script: str, timeout_s: float) -> dict[str, Any]:
        """Run an action."""
        return self._runner.run(script, timeout_s)

    def do_snapshot(self) -> dict[str, Any]:
        """The world, processes last so that those being killed are gone."""
        answer: dict[str, Any] = {
            "files": snapshot.take(self._roots),
            "crontab": snapshot.crontab(),
        }
        answer["processes"] = processes.settled()
        answer["hits"] = self._canary.hits()
        return answer

    def do_read(self, path: str) -> dict[str, Any]:
        """A regular file, base64."""
        fd = os.open(_below_home(path), os.O_RDONLY | os.O_NONBLOCK)
        with os.fdopen(fd, "rb") as file:
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode):
                raise OSError("not a regular file")
            if found.st_size > FILE_BYTES:
                raise OSError(f"more than {FILE_BYTES} bytes")
            data = file.read(FILE_BYTES)
        return {"data": binascii.b2a_base64(data, newline=False).decode()}

    def do_write(self, path: str, data: str) -> dict[str, Any]:
        """Write a file from base64."""
        self._write(path, binascii.a2b_base64(data))
        return {}

    def _write(self, path: str, data: bytes) -> None:
        whole = _below_home(path)
        os.makedirs(os.path.dirname(whole), exist_ok=True)
        fd = os.open(whole, os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK, 0o644)
        with os.fdopen(fd, "wb") as file:
            if not stat.S_ISREG(os.fstat(fd).st_mode):  # a link may lead to our own pipes
                raise OSError("not a regular file")
            os.ftruncate(fd, 0)
            file.write(data)


def _close_all_but(kept: set[int]) -> None:
    """Close what bwrap has left open, such as its own program, which lies on the host."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) not in kept:
            with contextlib.suppress(OSError):  # the listing's own
                os.close(int(name))


def _below_home(path: str) -> str:
    return os.path.join(HOME, path)


def furnish() -> None:
    """Put the toy system files into the writable roots."""
    os.umask(0o022)
    for folder in (*(f"/var/{name}" for name in FOLDERS), "/etc/cron.d"):
        os.makedirs(folder, exist_ok=True)
    for name, text in ETC.items():
        with open(f"/etc/{name}", "w", encoding="utf-8") as file:
            file.write(text)


def main() -> None:
    """Become process 1."""
    if os.getpid() != 1 or ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        os._exit(3)
    furnish()
    Guest().serve()
