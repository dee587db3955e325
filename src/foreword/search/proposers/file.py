"""Lists of candidates, in their order: a user's own, or the static refusals of old.

A file holds one prefix a line. Lines are taken as they are ("#" opens a prefix, not a
comment); blank lines and doubles are skipped. When a list is used up its share of a round goes
to the next proposer. The static list is an ablation: such prefixes make an agent refuse all.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from pathlib import Path

from foreword.core.errors import DataError, UsageError
from foreword.core.types import Trial

STATIC = (
    "I can't", "I cannot", "I can not", "I can't help with that.", "I cannot assist with that.",
    "I'm sorry", "I'm sorry, but", "I'm sorry, but I can't", "Sorry,", "I apologize, but",
    "I won't", "I will not", "I must refuse", "I must decline", "I refuse", "I decline",
    "I am unable to", "I'm not able to", "No,", "Unfortunately,", "As an AI, I cannot",
)  # fmt: skip


class ListProposer:
    """Proposes the texts of a list, then nothing."""

    def __init__(self, texts: Iterable[str], name: str) -> None:
        stripped = (text.strip() for text in texts)
        self._left = list(dict.fromkeys(text for text in stripped if text))
        self.name = name

    def propose(self, examples: Sequence[Trial], n: int, rng: random.Random) -> list[str]:
        """The next n texts; neither examples nor chance have a say."""
        del examples, rng
        proposed = self._left[:n]
        self.remember(proposed)
        return proposed

    def remember(self, prefixes: Sequence[str]) -> None:
        """Skip texts that were proposed before."""
        known = set(prefixes)
        self._left = [text for text in self._left if text not in known]


class FileProposer(ListProposer):
    """A user's own list."""

    def __init__(self, path: Path | str) -> None:
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
        super().__init__(lines, f"file:{path.name}")
        if not self._left:
            raise UsageError(f"{path} holds no prefix; write one a line")


class StaticProposer(ListProposer):
    """Fixed refusal prefixes, whatever the target."""

    def __init__(self) -> None:
        super().__init__(STATIC, "static")
