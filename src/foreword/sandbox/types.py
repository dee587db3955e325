"""The words of the sandbox: its limits, one execution, and what a sandbox must do."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, runtime_checkable

from foreword.core.types import State


@dataclass(frozen=True)
class Limits:
    """What one sandbox may use up."""

    wall_s: float = 20.0  # seconds an action may take
    cpu_s: int = 10  # CPU seconds of each process
    memory_mb: int = 512  # address space of each process, and resident memory of all together
    processes: int = 64  # processes and threads alive at the same time
    disk_mb: int = 64  # home and /tmp, each; a quarter of it for each other writable root
    output_bytes: int = 65536  # kept of one action's output


@dataclass(frozen=True)
class Execution:
    """What one action did. `output` is stdout and stderr, interleaved."""

    output: str
    exit_code: int  # as bash says it; 124 after a timeout, 137 after another limit
    timed_out: bool
    truncated: bool  # there was more output than the limit


@runtime_checkable
class Sandbox(Protocol):
    """A small private machine, already set up; a context manager that destroys it."""

    def __enter__(self) -> Sandbox: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def run(self, bash: str, timeout_s: float | None = None) -> Execution:
        """Run a bash script from the home folder, at most `timeout_s` (default: the limit)."""
        ...

    def snapshot(self, probe: str = "") -> State:
        """The world now; then run `probe` and keep what it prints."""
        ...

    def read(self, path: str) -> bytes:
        """A regular file; relative paths are below home."""
        ...

    def write(self, path: str, data: bytes) -> None:
        """Write a file, its parents created; relative paths are below home."""
        ...
