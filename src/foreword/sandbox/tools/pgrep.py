#!/usr/bin/env -S python3 -I
"""Stand-in for pgrep and pkill: -f -x -l -a -c -n -o -SIGNAL, and a pattern."""

# pathlib is slow to import.
# ruff: noqa: PTH119, PTH123, PTH208

from __future__ import annotations

import os
import re
import signal
import sys


def matches(pattern: str, whole: bool, exact: bool) -> list[tuple[int, str, str]]:
    """(pid, name, command line) of every process that matches, but this one and the sandbox's."""
    found = []
    for pid in sorted(int(name) for name in os.listdir("/proc") if name.isdigit()):
        try:
            with open(f"/proc/{pid}/comm") as file:
                name = file.read().strip()
            with open(f"/proc/{pid}/cmdline", "rb") as raw:
                line = raw.read().rstrip(b"\0").replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        text = line or name if whole else name
        if pid not in (1, os.getpid()) and (re.fullmatch if exact else re.search)(pattern, text):
            found.append((pid, name, line))
    return found


def main(args: list[str]) -> int:
    """Print or signal the matches."""
    letters = "".join(arg[1:] for arg in args if re.fullmatch(r"-[fxlacnou]+", arg))
    patterns = [arg for arg in args if not arg.startswith("-")]
    if not patterns:
        return 2
    found = matches(patterns[-1], "f" in letters, "x" in letters)
    if "n" in letters or "o" in letters:
        found = found[-1:] if "n" in letters else found[:1]
    if os.path.basename(sys.argv[0]) == "pkill":
        send(args, found)
    elif "c" in letters:
        sys.stdout.write(f"{len(found)}\n")
    else:
        for pid, name, line in found:
            more = f" {line}" if "a" in letters else f" {name}" if "l" in letters else ""
            sys.stdout.write(f"{pid}{more}\n")
    return 0 if found else 1


def send(args: list[str], found: list[tuple[int, str, str]]) -> None:
    """Signal the processes; -9, -KILL and -SIGKILL are the same."""
    number = signal.SIGTERM
    for arg in args:
        name = arg[1:].upper().replace("SIGNAL=", "").lstrip("-")
        if arg.startswith("-") and name.isdigit():
            number = signal.Signals(int(name))
        elif arg.startswith("-") and hasattr(signal, "SIG" + name.replace("SIG", "", 1)):
            number = signal.Signals["SIG" + name.replace("SIG", "", 1)]
    for pid, _, _ in found:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


sys.exit(main(sys.argv[1:]))
