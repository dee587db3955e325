"""The run folder: a manifest, append-only JSONL logs, and one writer at a time.

State is the log, and resuming is replaying it. `kill -9` at any moment costs at
most the record in flight: each record is one write followed by fsync, and a last
line without its newline is cut off when the run is opened again. Covered: killed
processes, full disks, two runs in one folder, hand-damaged logs. Not covered:
network file systems without flock, disks that lie about fsync.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import platform
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from foreword.core.errors import DiskFull, RunError

MANIFEST = "manifest.json"
LOCK = ".lock"
_FULL = (errno.ENOSPC, errno.EDQUOT)


def environment() -> dict[str, str]:
    """The versions a result depends on; torch only if it is loaded already."""
    from importlib.metadata import version

    found = {
        "foreword": version("foreword"),
        "python": platform.python_version(),
        "platform": platform.platform(),
    }
    if torch := sys.modules.get("torch"):
        found["torch"] = str(getattr(torch, "__version__", "unknown"))
    return found


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn the operating system's errors on `path` into DiskFull and RunError."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise DiskFull(
                f"the disk is full while writing {path}; free some space and run it again"
            ) from error
        raise RunError(f"cannot use {path}: {error.strerror or error}") from error


def make_folder(path: Path) -> None:
    """Make a folder in which files can be written, or find that it is one.

    Raises:
        DiskFull: there is no room.
        RunError: it cannot be made, or nothing can be written there.
    """
    with translated(path):
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass


def write_text(path: Path | str, text: str) -> None:
    """Write a file whole or not at all: temporary file, fsync, rename.

    Raises:
        DiskFull: the old content is still there.
        RunError: the place cannot be written.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with translated(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)


def write_json(path: Path | str, data: Any) -> None:
    """Write indented JSON atomically (see write_text); nan and infinity are refused."""
    write_text(path, json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def _sync_folder(folder: Path) -> None:
    """Make a new name in `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Run:
    """One run folder, locked by this process until closed.

    Use `Run.open`; it is a context manager.
    """

    def __init__(self, path: Path, lock: int, resumed: bool) -> None:
        self.path = path
        self.resumed = resumed  # True if the folder already held this run
        self._lock: int | None = lock
        self._logs: dict[str, int] = {}

    @classmethod
    def open(cls, path: Path | str, manifest: Mapping[str, Any]) -> Self:
        """Start a run in `path`, or go on with the one that lies there.

        Args:
            path: the folder; made if missing.
            manifest: what the result depends on, as JSON: seeds, model
                fingerprint, suite digest, settings. The environment is added.

        Raises:
            RunError: another process works in the folder, or what lies there is
                damaged or was made with another manifest (the key is named).
            DiskFull: the manifest could not be written.
        """
        path = Path(path)
        lock = _take_lock(path)
        try:
            resumed = (path / MANIFEST).exists()
            if resumed:
                _check_manifest(path / MANIFEST, manifest)
            else:
                if left := sorted(path.glob("*.jsonl")):
                    raise RunError(
                        f"{left[0]} lies there without a {MANIFEST}; name another folder"
                    )
                write_json(path / MANIFEST, {**manifest, "environment": environment()})
            for log in sorted(path.glob("*.jsonl")):
                _cut_tail(log)
        except BaseException:
            os.close(lock)
            raise
        return cls(path, lock, resumed)

    def append(self, log: str, *records: Mapping[str, Any]) -> None:
        """Add records to `<log>.jsonl` in one write; when this returns they are on the disk.

        Raises:
            DiskFull: the log still ends with its last whole record.
            RunError: the log cannot be written, or the run is closed.
        """
        lines = [
            json.dumps(record, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n"
            for record in records
        ]
        path = self.path / f"{log}.jsonl"
        with translated(path):
            descriptor = self._open_log(log, path)
            end = os.fstat(descriptor).st_size
            try:
                _write_all(descriptor, "".join(lines).encode())
                os.fsync(descriptor)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.ftruncate(descriptor, end)
                raise

    def records(self, log: str) -> list[dict[str, Any]]:
        """Every record of `<log>.jsonl` in order; none if it was never written.

        Raises:
            RunError: a line is broken; the message names file and line.
        """
        path = self.path / f"{log}.jsonl"
        with translated(path):
            lines = path.read_bytes().splitlines() if path.exists() else []
        found = []
        for number, line in enumerate(lines, 1):
            try:
                record = json.loads(line)
            except ValueError:
                record = None
            if not isinstance(record, dict):
                raise RunError(f"{path}, line {number}: not a JSON record; mend or remove the line")
            found.append(record)
        return found

    def close(self) -> None:
        """Give the folder back; safe to call twice."""
        for descriptor in self._logs.values():
            os.close(descriptor)
        self._logs.clear()
        if self._lock is not None:
            os.close(self._lock)  # closing drops the flock
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _open_log(self, log: str, path: Path) -> int:
        if self._lock is None:
            raise RunError(f"the run in {self.path} is closed")
        if log not in self._logs:
            new = not path.exists()
            self._logs[log] = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            if new:
                _sync_folder(self.path)
        return self._logs[log]


def _take_lock(path: Path) -> int:
    """Hold `<path>/.lock` exclusively; the kernel frees it when the process dies."""
    with translated(path):
        path.mkdir(parents=True, exist_ok=True)
        lock = os.open(path / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise RunError(
            f"another run is at work in {path}; wait for it or name another folder"
        ) from error
    return lock


def _check_manifest(path: Path, wanted: Mapping[str, Any]) -> None:
    try:
        stored = json.loads(path.read_text("utf-8"))
        made_by = stored.pop("environment")["foreword"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(f"{path} is damaged; name another folder") from error
    key = _first_difference(stored, json.loads(json.dumps(wanted)))
    if key is None and made_by != (here := environment()["foreword"]):
        raise RunError(f"{path}: made by foreword {made_by}, this is {here}; name another folder")
    if key is not None:
        raise RunError(
            f"{path}: the run was started with another {key!r}; repeat its settings "
            "or name another folder"
        )


def _first_difference(stored: Any, wanted: Any, at: str = "") -> str | None:
    """The dotted name of the first key in which two JSON values differ."""
    if stored == wanted:
        return None
    if not (isinstance(stored, dict) and isinstance(wanted, dict)):
        return at
    missing = object()
    keys = sorted({*stored, *wanted})
    key = next(k for k in keys if stored.get(k, missing) != wanted.get(k, missing))
    name = f"{at}.{key}" if at else key
    return _first_difference(stored.get(key, missing), wanted.get(key, missing), name)


def _cut_tail(path: Path) -> None:
    """Drop a last line that a killed process did not finish."""
    with translated(path), path.open("rb+") as file:
        content = file.read()
        whole = content.rfind(b"\n") + 1
        if whole != len(content):
            file.truncate(whole)
            os.fsync(file.fileno())


def _write_all(descriptor: int, data: bytes) -> None:
    """One write; more only if the system takes less than all of it."""
    while data:
        data = data[os.write(descriptor, data) :]
