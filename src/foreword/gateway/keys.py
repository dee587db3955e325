"""Who asks: API keys and how often each may.

Keys are kept as SHA-256 only and compared in constant time, all of them each time.
That is enough for keys made by `foreword key` (256 random bits), not for passwords.
Limits count in this process: with several workers each counts for itself.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic

from foreword.core.errors import UsageError

OPT_OUT = "x-foreword-guard"  # a header; "off" asks for a reply without the guard
_PREFIX = "fw-"


class Denied(UsageError):
    """A request that its sender may not make; `status` and `code` are for the client."""

    def __init__(self, status: int, code: str, message: str, retry_s: float | None = None) -> None:
        super().__init__(message)
        self.status, self.code = status, code
        self.headers = {} if retry_s is None else {"retry-after": str(math.ceil(retry_s))}


@dataclass
class Bucket:
    """At most `per_minute` requests a minute, a burst of as many at first."""

    per_minute: int
    left: float = field(init=False)
    seen: float = field(default_factory=monotonic)

    def __post_init__(self) -> None:
        self.left = float(self.per_minute)

    def take(self, now: float) -> float:
        """Seconds until the next request is allowed; 0 if this one is."""
        rate = self.per_minute / 60
        self.left = min(self.per_minute, self.left + (now - self.seen) * rate)
        self.seen = now
        if self.left < 1:
            return (1 - self.left) / rate
        self.left -= 1
        return 0.0


@dataclass(frozen=True)
class Caller:
    """Whoever holds a key; nameless where no keys are set."""

    name: str = ""
    may_opt_out: bool = False
    bucket: Bucket | None = None
    digest: str = ""  # SHA-256 of the key, hexadecimal


NOBODY = Caller()


class KeyRing:
    """All keys of a gateway; none means that everybody may ask."""

    def __init__(self, callers: Sequence[Caller]) -> None:
        self.callers = tuple(callers)

    def admit(self, headers: Mapping[str, str]) -> Caller:
        """Whose request this is, counted against its limit.

        Raises:
            Denied: no known key, or too many requests.
        """
        if not self.callers:
            return NOBODY
        scheme, _, key = headers.get("authorization", "").partition(" ")
        given = digest(key.strip() if scheme.lower() == "bearer" else "")
        found = None
        for caller in self.callers:  # to the last, so that the time tells nothing
            if hmac.compare_digest(caller.digest, given):
                found = caller
        if found is None:
            raise Denied(401, "invalid_api_key", "this gateway wants one of its own API keys")
        if found.bucket and (wait := found.bucket.take(monotonic())):
            raise Denied(
                429, "rate_limited", f"more than {found.bucket.per_minute} requests a minute", wait
            )
        return found


def opts_out(caller: Caller, headers: Mapping[str, str]) -> bool:
    """Whether this one request goes without the guard.

    Raises:
        Denied: it asks for that with a key that may not.
    """
    wish = headers.get(OPT_OUT)
    if wish is None:
        return False
    if wish.strip().lower() != "off":
        raise Denied(400, "invalid_request", f"{OPT_OUT} can only be 'off'")
    if not caller.may_opt_out:
        raise Denied(403, "guard_required", "this key may not ask for replies without the guard")
    return True


def new_key() -> str:
    """A fresh key of 256 random bits."""
    return _PREFIX + secrets.token_urlsafe(32)


def digest(key: str) -> str:
    """The form in which a key is kept."""
    return hashlib.sha256(key.encode()).hexdigest()
