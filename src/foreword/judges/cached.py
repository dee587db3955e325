"""CachedJudge: what a judge has said once it need not be asked again.

Verdicts are kept by content: the judge's name with its version, the prefix, the continuation.
A judge that fails says nothing, and nothing is kept. One question at a time, since a local model
answers one, and every caller may have a thread of its own.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from threading import Lock

from foreword.core.protocols import Judge
from foreword.core.types import Label, Verdict
from foreword.models.replies import Replies, Said


class CachedJudge:
    """A judge with a memory on disk."""

    def __init__(self, judge: Judge, folder: Path) -> None:
        """`folder` holds the verdicts; other processes may use it, too."""
        self._judge, self._folder, self._lock = judge, folder, Lock()

    @property
    def name(self) -> str:
        """The judge's own."""
        return self._judge.name

    def judge(self, prefix: str, continuation: str) -> Verdict:
        """The verdict that is kept, or a new one; raises what the judge and the disk raise."""
        said = "\0".join(("verdict", self.name, prefix, continuation))
        key = hashlib.sha256(said.encode("utf-8", "surrogatepass")).digest()
        with self._lock, Replies(self._folder) as kept:
            if known := kept.get(key):
                label, _, reason = known.text.partition("\n")
                return Verdict(Label(label), reason)
            verdict = self._judge.judge(prefix, continuation)
            kept.put(key, Said(f"{verdict.label}\n{verdict.reason}", 0, True))
        return verdict
