"""A user's own candidates, one prefix a line, in their order.

Lines are taken as they are ("#" opens a prefix, not a comment); blank lines and
doubles are skipped. When the file is used up another proposer may go on.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from foreword.core.errors import DataError, UsageError
from foreword.core.protocols import Proposer
from foreword.core.types import Trial


class FileProposer:
    """Proposes the lines of a file, then what `then` proposes."""

    def __init__(self, path: Path | str, then: Proposer | None = None) -> None:
        """Read the file.

        Raises:
            UsageError: there is no such file, or no prefix in it.
            DataError: it is not UTF-8 text.
        """
        path = Path(path)
        try:
            lines = path.read_text("utf-8").splitlines()
        except UnicodeDecodeError as error:
            raise DataError(f"{path}: not UTF-8 text; save it as UTF-8") from error
        except OSError as error:
            raise UsageError(f"cannot read the prefixes in {path}: {error.strerror}") from error
        self._left = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
        if not self._left:
            raise UsageError(f"{path} holds no prefix; write one a line")
        self._then = then
        self.name = f"file:{path.name}"

    def propose(self, examples: Sequence[Trial], n: int, rng: random.Random) -> list[str]:
        """The next n lines; at the end of the file, what the next proposer says."""
        proposed = self._left[:n]
        if self._then and len(proposed) < n:
            proposed += self._then.propose(examples, n - len(proposed), rng)
        self.remember(proposed)
        return proposed

    def remember(self, prefixes: Sequence[str]) -> None:
        """Skip lines that a resumed search proposed before."""
        known = set(prefixes)
        self._left = [line for line in self._left if line not in known]
        if remember := getattr(self._then, "remember", None):
            remember(prefixes)
