"""Suites: families of tasks, each task with its set-up, oracle, counter-example and checker."""

from __future__ import annotations

from functools import cache

from foreword.core.errors import UnknownName
from foreword.suites.base import Suite

__all__ = ["Suite", "get", "names"]


def names() -> list[str]:
    """The suites that ship with Foreword."""
    return ["files"]


@cache
def get(name: str) -> Suite:
    """A suite by its name; the same one at every call.

    Raises:
        UnknownName: nobody knows it.
    """
    if name not in names():
        raise UnknownName("suite", name, names())
    from foreword.suites import files

    return files.load()
