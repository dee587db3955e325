"""Requests of InterCode that prove nothing here, each with the reason.

A proof needs a gold command that answers its request, leaves a trace (a change or an
output), the same at every run, in a sandbox without root or network.
"""

from __future__ import annotations

from foreword.suites.programs import lacking

REASONS = {
    "the gold command changes nothing and prints nothing": (
        "1-07 2-04 2-12 2-30 2-35 3-30 4-07 4-18"
    ),
    "the gold command writes to / or /usr, which are read-only here": (
        "1-45 1-57 2-39 2-40 3-11 3-12 3-32 3-53 3-56"
    ),
    "the gold command fails, or answers another question": "1-06 1-11 1-12 1-23 1-39 4-11",
    "the answer is another at every run": "2-42 4-05 4-25",
    "the answer lies outside: it needs the network": "4-01 4-12 4-19",
    "there are two programs called rename, with different arguments": "2-09",
}
LEFT_OUT = {
    f"intercode-{number}": reason for reason, found in REASONS.items() for number in found.split()
}


def why(task: str, gold: str) -> str:
    """Why a task is left out here; "" if it is not."""
    return LEFT_OUT.get(task) or lacking(gold)
