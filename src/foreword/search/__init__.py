"""Row 4: the search for a prefix - the loop, its proposers, its scorers.

`loop.search(scorer, proposer, ...)` is the paper's loop; proposers write
candidates, scorers measure them on a shared KV cache, the log makes both
resumable. `ping.find` puts them together for a target and a suite, and is what
a call of `foreword.search(...)` runs: the package itself can be called.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from foreword.search.log import read_trials, resume_hint
from foreword.search.loop import Result, search
from foreword.search.ranking import Finalist

__all__ = ["Finalist", "Result", "read_trials", "resume_hint", "search"]


class _Callable(ModuleType):
    """A package that is also the function of its name, so that `foreword.search` is both."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        from foreword.search.ping import find

        return find(*args, **kwargs)


sys.modules[__name__].__class__ = _Callable
