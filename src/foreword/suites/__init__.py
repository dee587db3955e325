"""Suites: tasks, each with its set-up, oracle, counter-example and checker."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path

from foreword.core.errors import UnknownName, UsageError
from foreword.suites.base import Suite, pooled

__all__ = ["Suite", "get", "names"]

OWN = ".jsonl"
TOGETHER = "+"
WITHOUT_DATA = "files"  # ships with the package
_SUITES = {  # name -> the module and its function of (data) that makes it, "load" if none is named
    "alfworld": "foreword.suites.alfworld",
    "files": "foreword.suites.files",
    "intercode": "foreword.suites.intercode",
    "redcode": "foreword.suites.redcode",
    "redcode-summary": "foreword.suites.redcode:load_summary",
    "redcode-details": "foreword.suites.redcode:load_details",
    "xstest": "foreword.suites.xstest",
}


def names() -> list[str]:
    """The suites that Foreword knows by name."""
    return list(_SUITES)


def get(name: str, data: Path | Mapping[str, Path] | None = None) -> Suite:
    """A suite by its name; the same one at every call, or a file or several suites anew.

    Args:
        name: one of `names()`, the path of a .jsonl file (see `own`), or several of these with
            "+" between them (see `base.pooled`).
        data: where the files of a suite that others wrote lie, or of each by its name; its own
            place if not said.

    Raises:
        UnknownName: nobody knows it.
        UsageError: two of several are the same, or none of them reads `data`.
        DataError: the data is missing, partial or of another version.
    """
    parts = [name] if Path(name).is_file() else name.split(TOGETHER)
    if isinstance(data, Path):
        reading = [part for part in parts if part != WITHOUT_DATA and not part.endswith(OWN)]
        if len(parts) > 1 and not reading:
            raise UsageError(f"no suite of {name} reads files; leave --data {data} out")
        data = dict.fromkeys(reading if len(parts) > 1 else parts, data)
    where = data or {}
    if strangers := [each for each in where if each not in parts]:
        raise UsageError(f"there is no suite {strangers[0]!r} in {name}; leave its --data out")
    found = [_one(part, where.get(part)) for part in parts]
    return found[0] if len(found) == 1 else pooled(found)


def _one(name: str, data: Path | None) -> Suite:
    if not name.endswith(OWN):
        return _known(name, data)
    from foreword.suites import own

    if data is not None:
        raise UsageError(f"{name} is a whole suite; leave --data {data} out")
    return own.load(Path(name))


@cache
def _known(name: str, data: Path | None) -> Suite:
    if name not in _SUITES:
        raise UnknownName(
            "suite", name, [*names(), f"a {OWN} file of yours", "several joined by +"]
        )
    module, _, maker = _SUITES[name].partition(":")
    suite: Suite = getattr(import_module(module), maker or "load")(data)
    return suite
