"""Takes the snapshot: every path below the writable roots, links never followed.

A folder or file whose mode keeps its owner out is lent the right bits for a
moment, so that a checker sees what is in it. Each path becomes
[kind, mode, size, text or None, sha256 or "", link target]; the host fills in
the hash of a text.
"""

# pathlib is slow to import.
# ruff: noqa: PTH101, PTH115, PTH208

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from typing import Any, List  # noqa: UP035

HOME = "/home/agent"
ROOTS = [HOME, "/tmp", "/etc", "/var", "/srv", "/opt"]  # noqa: S108 - of every sandbox
TEXT_BYTES = 256 * 1024  # of one file
ALL_TEXT_BYTES = 8 * 1024 * 1024
ALL_HASHED_BYTES = 1024 * 1024 * 1024  # sparse files can pretend to any size
CRONTAB = "/var/spool/cron/crontabs/agent"

Row = List[Any]  # noqa: UP006 - an alias is evaluated, and Python 3.8 cannot subscript list


def take(roots: List[str]) -> dict[str, Row]:  # noqa: UP006 - Python 3.8
    """All entries below the roots: relative below home ("." is home itself), else absolute."""
    rows: dict[str, Row] = {}
    room, hashed = ALL_TEXT_BYTES, ALL_HASHED_BYTES
    lent: list[_Lent] = []
    try:
        for root in roots:
            for path, found in _walk(root, lent):
                row = _row(path, found, room, hashed)
                if row[3] is not None:
                    room -= row[2]
                elif row[4]:
                    hashed -= row[2]
                rows[_name(path)] = row
    finally:
        for folder in lent:
            folder.give_back()
    return dict(sorted(rows.items()))


def crontab() -> str:
    """The agent's crontab, "" if there is none."""
    try:
        found = os.lstat(CRONTAB)
        if not stat.S_ISREG(found.st_mode):
            return ""
        return _content(CRONTAB, found, TEXT_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""


def _name(path: str) -> str:
    if path == HOME:
        return "."
    name = path[len(HOME) + 1 :] if path.startswith(HOME + "/") else path
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _walk(root: str, lent: list[_Lent]) -> Iterator[tuple[str, os.stat_result]]:
    """Every path from `root` down, on its own file system; `lent` is what to give back later."""
    device = os.lstat(root).st_dev
    todo = [root]
    while todo:
        path = todo.pop()
        try:
            found = os.lstat(path)
        except OSError:
            continue
        if found.st_dev != device:
            continue
        yield path, found
        if stat.S_ISDIR(found.st_mode):
            try:
                if found.st_mode & 0o500 != 0o500:
                    lent.append(_Lent(path, found, 0o500))
                todo.extend(f"{path}/{name}" for name in os.listdir(path))
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE):  # half a snapshot is none
                    raise


def _row(path: str, found: os.stat_result, room: int, hashed: int) -> Row:
    """`room` is what texts may still take, `hashed` what may still be read for a hash alone."""
    mode = stat.S_IMODE(found.st_mode)
    if stat.S_ISDIR(found.st_mode):
        return ["dir", mode, 0, None, "", ""]
    if stat.S_ISLNK(found.st_mode):
        return ["link", mode, 0, None, "", _target(path)]
    if not stat.S_ISREG(found.st_mode):  # a pipe, a socket: there, but without content
        return ["file", mode, 0, None, "", ""]
    try:
        if found.st_size <= min(TEXT_BYTES, room):
            data = _content(path, found, TEXT_BYTES)
            if b"\0" not in data:
                with contextlib.suppress(UnicodeDecodeError):
                    return ["file", mode, len(data), data.decode("utf-8"), "", ""]
        digest = _hash(path, found) if found.st_size <= hashed else ""
        return ["file", mode, found.st_size, None, digest, ""]
    except OSError:  # it went away, or cannot be opened at all
        return ["file", mode, found.st_size, None, "", ""]


def _target(path: str) -> str:
    try:
        return os.readlink(path).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    except OSError:
        return ""


def _content(path: str, found: os.stat_result, limit: int) -> bytes:
    with _opened(path, found) as fd, os.fdopen(os.dup(fd), "rb") as file:
        return file.read(limit)


def _hash(path: str, found: os.stat_result) -> str:
    import hashlib

    digest = hashlib.sha256()
    with _opened(path, found) as fd:
        while True:
            data = os.read(fd, 1 << 20)
            if not data:
                return digest.hexdigest()
            digest.update(data)


class _Lent:
    """A path whose owner is lent permission bits for a while."""

    def __init__(self, path: str, found: os.stat_result, bits: int) -> None:
        self._mode = stat.S_IMODE(found.st_mode)
        self._handle = os.open(path, os.O_PATH | os.O_NOFOLLOW)
        os.chmod(f"/proc/self/fd/{self._handle}", self._mode | bits)

    def give_back(self) -> None:
        """Restore the mode."""
        with contextlib.suppress(OSError):
            os.chmod(f"/proc/self/fd/{self._handle}", self._mode)
        os.close(self._handle)


@contextlib.contextmanager
def _opened(path: str, found: os.stat_result) -> Iterator[int]:
    """A file opened for reading; never a link, and it never waits (for a pipe's writer)."""
    lent = None if found.st_mode & 0o400 else _Lent(path, found, 0o400)
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    finally:
        if lent is not None:
            lent.give_back()
    try:
        yield fd
    finally:
        os.close(fd)
