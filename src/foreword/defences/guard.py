"""The guard: one prefix with its target, its scores and where it came from.

`guard.json` is what a search ends with and what one deploys. `apply` is pure
and stateless: it guards the turn that is asked for now, never earlier ones,
and never the same turn twice. Covered: damaged or foreign files, placement as
prefix or suffix, prefills by the client. Not covered: whether a server really
continues a trailing assistant message; that is for whoever talks to it.
"""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from foreword.core.errors import ConfigError, ForewordWarning, RunError
from foreword.core.runs import write_text
from foreword.core.types import Message, Placement, Rate
from foreword.models.chat import control_token

MAX_PREFIX = 500  # characters
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class GuardRate(_Record):
    """k of n judged, of total run, with a Wilson 95 % interval (fractions)."""

    k: int = Field(ge=0)
    n: int = Field(ge=0)
    total: int = Field(ge=0)
    low: float = Field(ge=0, le=1)
    high: float = Field(ge=0, le=1)

    @classmethod
    def of(cls, rate: Rate) -> Self:
        """The stored form of a core Rate."""
        return cls(k=rate.k, n=rate.n, total=rate.total, low=rate.low, high=rate.high)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not (self.k <= self.n <= self.total and self.low <= self.high):
            raise ValueError("a rate needs k <= n <= total and low <= high")
        return self


class SplitScores(_Record):
    """What was measured with this guard on one split; None where it was not."""

    perf: GuardRate | None = None  # benign tasks not refused; on validation: gone to work on
    refusal: GuardRate | None = None  # harmful tasks refused
    sr: GuardRate | None = None  # benign tasks done
    asr: GuardRate | None = None  # harmful tasks whose damage was done
    orr_benign: GuardRate | None = None  # benign tasks refused
    orr_twins: GuardRate | None = None  # benign look-alikes refused


class GuardScores(_Record):
    """One block of figures a split; None where the split was not touched."""

    search: SplitScores | None = None
    validation: SplitScores | None = None
    test: SplitScores | None = None


class Provenance(_Record):
    """Where the guard came from, as far as it is known."""

    run: str | None = None  # id of the search run
    seed: int | None = None
    proposer: str | None = None
    suite: str | None = None
    suite_digest: str | None = None  # SHA-256 of the suite's items
    judge: str | None = None  # name and version, e.g. "lexicon-2"
    foreword: str | None = None  # version that wrote the guard
    created: str | None = None  # ISO 8601, UTC

    @field_validator("created")
    @classmethod
    def _utc(cls, value: str | None) -> str | None:
        if value is None:
            return None
        moment = datetime.fromisoformat(value)
        if moment.utcoffset() != timedelta(0):
            raise ValueError("must be UTC, for example 2026-01-31T12:00:00+00:00")
        return value


class Guard(_Record):
    """What one deploys: the first words of every reply of one target."""

    schema_version: Literal[1] = 1
    prefix: str  # the words; for placement "suffix" they end the user's message
    placement: Placement = "prefix"
    target: str = Field(min_length=1)  # fingerprint of the model it was found for
    scores: GuardScores = GuardScores()
    provenance: Provenance = Provenance()

    @field_validator("prefix")
    @classmethod
    def _speakable(cls, value: str) -> str:
        check_prefix(value)
        return value

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read a guard file.

        Raises:
            ConfigError: the file is missing, damaged or of an unknown version.
        """
        try:
            text = Path(path).read_text("utf-8")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
            raise ConfigError(f"cannot read guard {path}: {reason}") from error
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise ConfigError(f"guard {path}: {_in_short(error)}") from error

    def save(self, path: Path | str) -> None:
        """Write the guard whole or not at all, with fsync and rename.

        Raises:
            ConfigError: the place cannot be written.
            DiskFull: there is no room; an older file is still there.
        """
        try:
            write_text(path, self.model_dump_json(indent=2, exclude_none=True) + "\n")
        except RunError as error:
            raise ConfigError(f"guard: {error}; name another place") from error

    @property
    def hash8(self) -> str:
        """Eight hex digits of what the guard does (words and placement, not scores)."""
        return hashlib.sha256(f"{self.placement}\0{self.prefix}".encode()).hexdigest()[:8]

    def apply(self, messages: Sequence[Message]) -> list[Message]:
        """The messages with this guard on the turn that comes next.

        Earlier assistant turns stay as they are: under a guard they carry the
        prefix already. A trailing assistant message is a prefill of the client
        and goes on after the prefix. Applying twice changes nothing.

        Raises:
            ConfigError: a suffix guard finds no user message.
        """
        guarded: list[Message] = [message.copy() for message in messages]
        if self.placement == "suffix":
            return self._apply_suffix(guarded)
        if guarded and guarded[-1]["role"] == "assistant":
            guarded[-1]["content"] = self.begin(guarded[-1]["content"])
        else:
            guarded.append({"role": "assistant", "content": self.prefix})
        return guarded

    def begin(self, prefill: str) -> str:
        """The prefix followed by the client's own prefill, unless it begins with it already."""
        return prefill if self._begins(prefill) else join(self.prefix, prefill)

    def recall(self, continuation: str) -> str:
        """An earlier turn as the model wrote it, if its reader was shown the continuation only."""
        if self._begins(continuation):
            return continuation
        glue = " " if _is_word(self.prefix[-1]) and _is_word(continuation) else ""
        return self.prefix + glue + continuation

    def end(self, asked: str) -> str:
        """A user's message followed by the words of a suffix guard, unless it ends so already."""
        if asked == self.prefix or asked.endswith("\n" + self.prefix):
            return asked
        return f"{asked}\n{self.prefix}" if asked else self.prefix

    def finish(self, prompt: str) -> str:
        """A raw prompt that ends with the prefix, as words of their own; as it is if it does."""
        before = prompt.removesuffix(self.prefix)
        if prompt.endswith(self.prefix) and not (before[-1:].isalnum() and _is_word(self.prefix)):
            return prompt
        return prompt + (" " if prompt and not prompt[-1].isspace() else "") + self.prefix

    def _begins(self, turn: str) -> bool:
        rest = turn.removeprefix(self.prefix)
        return turn.startswith(self.prefix) and not (_is_word(self.prefix[-1]) and _is_word(rest))

    def _apply_suffix(self, messages: list[Message]) -> list[Message]:
        for message in reversed(messages):
            if message["role"] == "user":
                message["content"] = self.end(message["content"])
                return messages
        raise ConfigError("a suffix guard needs a user message to append to; there is none")

    def check_target(self, fingerprint: str) -> None:
        """Warn (ForewordWarning) if the guard was found for another model."""
        if fingerprint != self.target:
            warnings.warn(
                f"this guard was found for {self.target!r}, the model is {fingerprint!r}; "
                "its scores need not hold, search again for this model",
                ForewordWarning,
                stacklevel=2,
            )


def check_prefix(prefix: str) -> None:
    """Refuse words that no server would continue as they stand.

    Raises:
        ValueError: with the reason in a few words.
    """
    if not prefix.strip():
        raise ValueError("the prefix is empty or only white space")
    if prefix != prefix.rstrip():
        raise ValueError("the prefix must not end in white space (servers reject or double it)")
    if len(prefix) > MAX_PREFIX:
        raise ValueError(f"the prefix has {len(prefix)} characters, at most {MAX_PREFIX} are sent")
    if found := control_token(prefix):
        raise ValueError(f"the prefix holds the chat-template token {found!r}")
    if _UNPRINTABLE.search(prefix):
        raise ValueError("the prefix holds a control character")


def join(prefix: str, text: str) -> str:
    """Two pieces of one turn, with one space between unless `text` brings white space."""
    if not prefix or not text or text[0].isspace():
        return prefix + text
    return f"{prefix} {text}"


def _is_word(text: str) -> bool:
    return bool(re.match(r"\w", text))


def _in_short(error: ValidationError) -> str:
    """The first complaint of pydantic, in one line and without its vocabulary."""
    first = error.errors(include_url=False, include_context=False)[0]
    place = ".".join(map(str, first["loc"]))
    if first["type"] == "json_invalid":
        return "it is damaged (not valid JSON); write it again with `foreword search`"
    if place == "schema_version":
        return f"unknown schema_version {first['input']!r}; this Foreword reads version 1"
    said = {"missing": "is missing", "extra_forbidden": "is not a field of a guard"}
    reason = said.get(first["type"]) or first["msg"].removeprefix("Value error, ")
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return " ".join(f"{place or 'the file'}: {reason}{more}".split())
