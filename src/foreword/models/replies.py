"""What servers have answered, kept on disk: asked again, it costs nothing.

One SQLite file for all processes (write-ahead log, so that readers never wait), opened
for one batch of requests at a time. A damaged file is set aside and a new one begun.

Covered: `kill -9`, several processes, damage found at any moment. Not covered: other
weights behind the same address and model name, which nobody can tell from outside; and
folders on a network, where SQLite cannot share a file.
"""

from __future__ import annotations

import sqlite3
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tenacity import retry, retry_if_exception, stop_after_delay, wait_random

from foreword.core.errors import DiskFull, ForewordWarning, UsageError

FILE = "replies-2.sqlite3"  # the number is that of the table's form
BUSY_S = 30.0  # longest wait for another process that writes
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_TABLE = (
    "CREATE TABLE IF NOT EXISTS replies "
    "(key BLOB PRIMARY KEY, text TEXT NOT NULL, tokens INTEGER, stopped INTEGER, read INTEGER) "
    "WITHOUT ROWID"
)


@dataclass(frozen=True)
class Said:
    """What a server's model added to what it was given."""

    text: str
    tokens: int  # of the text, as the server counts; 0 if it does not
    stopped: bool  # it ended its turn
    read: int = 0  # tokens of what it was given, as the server counts; 0 if it does not


def _is_busy(error: BaseException) -> bool:
    return isinstance(error, sqlite3.Error) and error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY


class Replies:
    """A context manager: answers by key, in a folder or, without one, in memory alone."""

    def __init__(self, folder: Path | None) -> None:
        self._path = folder / FILE if folder else None

    def __enter__(self) -> Self:
        try:
            if self._path:
                self._path.parent.mkdir(parents=True, exist_ok=True)
            self._connect()
        except (OSError, sqlite3.OperationalError) as error:
            raise self._said(error) from error
        except sqlite3.DatabaseError as error:
            self._begin_anew(error)
        return self

    def __exit__(self, *raised: object) -> None:
        self._db.close()

    def get(self, key: bytes) -> Said | None:
        """The answer kept under this key."""
        row = self._do("SELECT text, tokens, stopped, read FROM replies WHERE key = ?", key)
        return Said(row[0], row[1], bool(row[2]), row[3]) if row else None

    def put(self, key: bytes, said: Said) -> None:
        """Keep an answer; once this returns, only a power cut could lose it.

        Raises:
            DiskFull: there is no room; what was kept before is intact.
            UsageError: the file cannot be written.
        """
        row = (key, said.text, said.tokens, said.stopped, said.read)
        self._do("INSERT OR REPLACE INTO replies VALUES (?, ?, ?, ?, ?)", *row)

    @retry(
        retry=retry_if_exception(_is_busy),
        stop=stop_after_delay(BUSY_S),
        wait=wait_random(0, 0.1),
        reraise=True,
    )
    def _connect(self) -> None:
        """Open the file, or make it.

        SQLite waits for nobody while it changes to a write-ahead log, so whoever makes the file
        at the same time has to try again.
        """
        where = self._path or ":memory:"
        self._db = sqlite3.connect(where, timeout=BUSY_S, isolation_level=None)
        try:
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")  # no fsync an answer
            self._db.execute(_TABLE)
        except sqlite3.Error:
            self._db.close()
            raise

    def _do(self, statement: str, *values: Any) -> Any:
        try:
            return self._db.execute(statement, values).fetchone()
        except sqlite3.OperationalError as error:
            raise self._said(error) from error
        except sqlite3.DatabaseError as error:
            self._begin_anew(error)
            return self._db.execute(statement, values).fetchone()

    def _begin_anew(self, error: sqlite3.DatabaseError) -> None:
        """Set a damaged file aside, under a name that is overwritten the next time."""
        if self._path is None or error.sqlite_errorcode & 0xFF not in _DAMAGE:
            raise error
        self._db.close()
        aside = self._path.with_suffix(".damaged")
        for ending in ("-wal", "-shm"):
            self._path.with_name(self._path.name + ending).unlink(missing_ok=True)
        self._path.replace(aside)
        warnings.warn(
            f"the replies kept in {self._path} are damaged ({error}); they lie in {aside.name} "
            "now, and servers are asked again",
            ForewordWarning,
            stacklevel=2,
        )
        self._connect()

    def _said(self, error: OSError | sqlite3.OperationalError) -> DiskFull | UsageError:
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
            return DiskFull(f"no space left for {self._path}; free some, or set FOREWORD_CACHE")
        return UsageError(
            f"cannot keep replies in {self._path}: {error}; set FOREWORD_CACHE to another folder"
        )
