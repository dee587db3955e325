"""guards.toml: which guard for whom, whose keys are good, what else is checked.

The first guard whose `models` (globs) and `keys` fit is put on a request; where
none fits the request is refused, never sent on bare. The file and its guards are
read again when they change; a broken one is reported and the last good one stays.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
)

from foreword.core.errors import ConfigError
from foreword.defences.guard import Guard
from foreword.gateway.keys import Bucket, Caller, Denied, KeyRing
from foreword.gateway.upstream import Key, address
from foreword.judges.guardrails import GUARDRAILS

Stage = Literal["request", "reply"]


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class GuardEntry(_Entry):
    """One [[guard]]."""

    file: Path  # a guard.json, relative to guards.toml
    models: tuple[str, ...] = ("*",)  # globs on the request's model
    keys: tuple[str, ...] | None = None  # names; None for everybody
    with_tools: Literal["prefix", "suffix"] = "prefix"  # suffix: for parsers that break on prose


class KeyEntry(_Entry):
    """One [[key]], as `foreword key` prints it."""

    name: str = Field(min_length=1)
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    may_opt_out: bool = False
    per_minute: Annotated[int, Field(ge=1)] | None = None


class CheckEntry(_Entry):
    """One [[check]]: a guardrail model behind a server of its own."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")]  # it goes into a header
    format: str  # whose language it speaks (docs/judges.md)
    url: Annotated[str, AfterValidator(address)]  # the /v1 address
    model: str
    key: Key | None = None
    on: tuple[Stage, ...] = ("request", "reply")
    action: Literal["block", "flag", "pass"] = "block"  # with what is unsafe
    if_not_judged: Literal["block", "pass"] = "block"
    deadline_s: Annotated[float, Field(gt=0)] = 5.0

    @field_validator("format")
    @classmethod
    def _spoken(cls, value: str) -> str:
        if value not in GUARDRAILS:
            raise ValueError(f"unknown format {value!r}; known: {', '.join(sorted(GUARDRAILS))}")
        return value


class _File(_Entry):
    guard: tuple[GuardEntry, ...] = Field(min_length=1)
    key: tuple[KeyEntry, ...] = ()
    check: tuple[CheckEntry, ...] = ()


@dataclass(frozen=True)
class Route:
    """A guard, and for whom it is."""

    guard: Guard
    models: tuple[str, ...] = ("*",)
    keys: tuple[str, ...] | None = None
    with_tools: Guard | None = None  # put on requests with tools instead

    def fits(self, model: str, caller: Caller) -> bool:
        """Whether a request for `model` of `caller` is guarded by this."""
        return (self.keys is None or caller.name in self.keys) and any(
            fnmatchcase(model, glob) for glob in self.models
        )


@dataclass(frozen=True)
class Policy:
    """What a gateway does for whom; immutable, replaced whole when the file changes."""

    routes: tuple[Route, ...]
    ring: KeyRing = field(default_factory=lambda: KeyRing(()))
    checks: tuple[CheckEntry, ...] = ()

    @classmethod
    def of(cls, guard: Guard) -> Self:
        """One guard for everybody."""
        return cls((Route(guard),))

    @property
    def continues(self) -> bool:
        """Whether some guard needs an upstream that continues a prefix."""
        return any(route.guard.placement == "prefix" for route in self.routes)

    @property
    def guards(self) -> list[Guard]:
        """All that some request may get."""
        both = [guard for route in self.routes for guard in (route.guard, route.with_tools)]
        return [guard for guard in both if guard]

    def guard_for(self, model: str, caller: Caller, *, tools: bool) -> Guard:
        """The guard of a request.

        Raises:
            Denied: none fits.
        """
        for route in self.routes:
            if route.fits(model, caller):
                return (tools and route.with_tools) or route.guard
        raise Denied(403, "no_guard", f"no guard is set for model {model!r} and this key")


class PolicyFile:
    """A guards.toml that may change while the gateway runs."""

    def __init__(self, path: Path) -> None:
        """Reads nothing yet."""
        self.path = path
        self._buckets: dict[tuple[str, int], Bucket] = {}
        self._read: dict[Path, int] = {}

    def load(self) -> Policy:
        """The policy as the file says now.

        Raises:
            ConfigError: the file, or a guard it names, cannot be used.
        """
        self._read = {self.path: _changed(self.path)}
        said = _parse(self.path)
        names = [entry.name for entry in said.key]
        hashes = [entry.sha256 for entry in said.key]
        checks = [entry.name for entry in said.check]
        for kind, listed in (("key", names), ("key with hash", hashes), ("check", checks)):
            if twice := {name for name in listed if listed.count(name) > 1}:
                raise ConfigError(f"{self.path}: {kind} {min(twice)!r} is there twice")
        routes = tuple(self._route(entry, names) for entry in said.guard)
        return Policy(routes, KeyRing([self._caller(entry) for entry in said.key]), said.check)

    def changed(self) -> bool:
        """Whether anything that `load` read has another date now."""
        return any(_changed(path) != before for path, before in self._read.items())

    def _route(self, entry: GuardEntry, names: list[str]) -> Route:
        if unknown := sorted(set(entry.keys or ()) - set(names)):
            raise ConfigError(
                f"{self.path}: guard {entry.file} is for an unknown key {unknown[0]!r}"
            )
        path = self.path.parent / entry.file
        self._read[path] = _changed(path)
        guard = Guard.load(path)
        moved = guard.model_copy(update={"placement": "suffix"})
        with_tools = moved if entry.with_tools == "suffix" else None
        return Route(guard, entry.models, entry.keys, with_tools)

    def _caller(self, entry: KeyEntry) -> Caller:
        bucket = None
        if entry.per_minute:  # what is used up stays used up over a reload
            at = entry.name, entry.per_minute
            bucket = self._buckets.setdefault(at, Bucket(entry.per_minute))
        return Caller(entry.name, entry.may_opt_out, bucket, entry.sha256)


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except (OSError, ValueError):  # ValueError: no name of a file at all
        return 0


def _parse(path: Path) -> _File:
    try:
        said: Mapping[str, object] = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"cannot read {path}: {reason}") from error
    try:
        return _File.model_validate(said)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        reason = first["msg"].removeprefix("Value error, ")
        raise ConfigError(f"{path}: {place}: {reason}") from error
