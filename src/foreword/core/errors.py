"""Every error a user can meet, as one tree.

    ForewordError
    |- UsageError          the user's input is wrong          exit code 2
    |  |- ConfigError      a recipe, guard or settings file
    |  |- DataError        a data file, with file and line
    |  `- UnknownName      a model, adapter, suite, ... nobody knows
    |- SourceError         weights could not be had           exit code 2
    |  `- HashMismatch
    |- SandboxError        no sandbox here, or it broke       exit code 3
    |  `- SandboxLacks     this machine lacks what a world needs
    |- ModelError          a target failed to answer          exit code 3
    |  `- ChatsFailed      some chats of one call have no answer
    |- RunError            a run folder is busy or damaged    exit code 2
    |- DiskFull            nothing was lost but the last line exit code 2
    `- TooManyUndecided    the figures cannot be trusted      exit code 4

Vendor errors are translated where they enter. Messages are one line and say
what is wrong, where, and what to do.
"""

from __future__ import annotations

from collections.abc import Sequence


class ForewordError(Exception):
    """Base of all errors that are meant for a user's eyes."""

    exit_code = 1


class UsageError(ForewordError):
    """The user's input is wrong."""

    exit_code = 2


class ConfigError(UsageError):
    """A recipe, guard or settings file is wrong."""


class DataError(UsageError):
    """A data file is wrong; the message names file and line."""


class UnknownName(UsageError):
    """A model, adapter, suite or family that nobody knows."""

    def __init__(self, what: str, name: str, known: list[str]) -> None:
        super().__init__(f"unknown {what} {name!r}; known: {', '.join(sorted(known)) or 'none'}")


class SourceError(ForewordError):
    """Weights could not be had."""

    exit_code = 2


class HashMismatch(SourceError):
    """A file is not the one that was promised."""


class SandboxError(ForewordError):
    """There is no working sandbox here, or it broke."""

    exit_code = 3


class SandboxLacks(SandboxError):
    """This machine lacks what a task's world needs, so the task cannot run here."""


class ModelError(ForewordError):
    """A target failed to answer."""

    exit_code = 3


class ChatsFailed(ModelError):
    """Some chats of one call have no answer; the others may be asked again without them."""

    def __init__(self, message: str, rows: Sequence[int]) -> None:
        super().__init__(message)
        self.rows = tuple(rows)  # their places in the call


class RunError(ForewordError):
    """A run folder is busy or damaged."""

    exit_code = 2


class DiskFull(ForewordError):
    """The disk is full; everything written before is intact."""

    exit_code = 2


class TooManyUndecided(ForewordError):
    """So many replies could not be judged that the figures mean nothing."""

    exit_code = 4


class ForewordWarning(UserWarning):
    """Something a user should know, though the work goes on."""
