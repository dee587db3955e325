"""The sandbox: where model-written code runs, or it does not run at all.

`open_sandbox(setup)` gives a small private Linux made by bubblewrap: its own
processes, its own loopback network with a canary server, read-only system
folders, bounded memory, processes, disk, output and time. `available()` says
why if it cannot work here. Covered / not covered: docs/sandbox.md.
"""

from __future__ import annotations

from foreword.sandbox.box import available, open_sandbox
from foreword.sandbox.types import Execution, Limits, Sandbox

__all__ = ["Execution", "Limits", "Sandbox", "available", "open_sandbox"]
