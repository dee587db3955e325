"""What is kept of each request: one JSON line in the audit log, one in the process's log.

Never a prompt, never a key: a request is known by its SHA-256, a caller by the name of
the key. Only `prompts=True` adds the body. Lines are appended whole by one write, so
several workers can share the file.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

import orjson

from foreword.core.errors import ConfigError
from foreword.gateway.checks import Judged

log = logging.getLogger("foreword.gateway.requests")


@dataclass
class Record:
    """One request on its way through; filled as it goes."""

    route: str
    id: str
    start: float = field(default_factory=perf_counter)
    key: str = ""
    model: str = ""
    guard: str = ""  # its hash8; "off" after an opt-out
    status: int = 0
    outcome: str = ""  # ok, client gone, or the code of an error or a block
    raw: bytes = b""
    heard: list[Judged] = field(default_factory=list)

    def line(self, *, prompts: bool) -> dict[str, Any]:
        """As it is kept."""
        said = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "id": self.id,
            "route": self.route,
            "key": self.key,
            "model": self.model,
            "guard": self.guard,
            "status": self.status,
            "outcome": self.outcome,
            "request_sha256": hashlib.sha256(self.raw).hexdigest(),
            "checks": [judged.record() for judged in self.heard],
            "seconds": round(perf_counter() - self.start, 4),
        }
        return {**said, "request": self.raw.decode("utf-8", "replace")} if prompts else said


class Audit:
    """Where records go; does nothing for those that nobody wants."""

    def __init__(self, path: Path | None = None, *, prompts: bool = False) -> None:
        """`prompts` keeps the text of requests as well.

        Raises:
            ConfigError: the file cannot be written.
        """
        self._prompts, self._file = prompts, -1
        self.broken = ""  # why the last line could not be written
        self._torn = b""  # ends the half line that was the last to fit on a disk
        if path is not None:
            try:
                flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
                self._file = os.open(path, flags, 0o640)
            except OSError as error:
                raise ConfigError(f"cannot write audit log {path}: {error.strerror}") from error

    def keep(self, record: Record) -> None:
        """Write a record; a disk that is full is said by `broken` and by /health/ready."""
        if self._file < 0 and not log.isEnabledFor(logging.INFO):
            return
        line = record.line(prompts=self._prompts)
        log.info("%r %s %s", record.route, record.status, record.outcome, extra={"record": line})
        if self._file < 0:
            return
        data = self._torn + orjson.dumps(line) + b"\n"
        try:
            self._torn = b"\n" if os.write(self._file, data) < len(data) else b""
            self.broken = "the audit log cannot be written: no space" if self._torn else ""
        except OSError as error:
            self.broken = f"the audit log cannot be written: {error.strerror}"
            logging.getLogger("foreword.gateway").error(self.broken)


class JsonFormatter(logging.Formatter):
    """A log line as one JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        said: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        said |= getattr(record, "record", {})
        if record.exc_info:
            said["error"] = self.formatException(record.exc_info)
        return json.dumps(said, ensure_ascii=False)


def set_up_logs(level: str, form: str) -> None:
    """Send the gateway's logs to stderr, as lines of text or of JSON."""
    handler = logging.StreamHandler()
    plain = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    handler.setFormatter(JsonFormatter() if form == "json" else plain)
    logger = logging.getLogger("foreword")
    logger.handlers[:] = [handler]
    logger.setLevel(level.upper())
    logger.propagate = False


def names(judged: Sequence[Judged], action: str) -> str:
    """The checks that took an action, for a header."""
    return ",".join(sorted({each.check for each in judged if each.action == action}))
