"""What Inspect loads at its entry point `inspect_ai`: everything it should know by name.

Tasks `foreword/files_*` and those of other suites, solver `foreword/bash_agent`, scorer
`foreword/episode`, model provider `foreword/...` and sandbox `bubblewrap`.
Weights and torch are loaded by the provider alone, when it is used.
"""

from __future__ import annotations

from foreword.evals.alfworld.agent import household_agent
from foreword.evals.provider import provider
from foreword.evals.sandboxenv import BubblewrapEnvironment
from foreword.evals.scorer import episode
from foreword.evals.solver import bash_agent, either
from foreword.evals.tasks import (
    alfworld,
    files_benign,
    files_harmful,
    files_twins,
    intercode,
    redcode,
    xstest,
)

__all__ = [
    "BubblewrapEnvironment",
    "alfworld",
    "bash_agent",
    "either",
    "episode",
    "files_benign",
    "files_harmful",
    "files_twins",
    "household_agent",
    "intercode",
    "provider",
    "redcode",
    "xstest",
]
