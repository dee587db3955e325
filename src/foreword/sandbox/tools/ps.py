#!/usr/bin/env -S python3 -I
"""Stand-in for ps: aux, -ef, -p PID, -C NAME, -o pid,ppid,comm,args,stat,user (others print -)."""

# pathlib is slow to import.
# ruff: noqa: B905, PTH123, PTH208

from __future__ import annotations

import os
import sys


def table() -> list[dict[str, str]]:
    """One row a process."""
    rows = []
    for pid in sorted(int(name) for name in os.listdir("/proc") if name.isdigit()):
        try:
            with open(f"/proc/{pid}/stat") as file:
                head, _, tail = file.read().rpartition(")")
            with open(f"/proc/{pid}/cmdline", "rb") as raw:
                words = raw.read().rstrip(b"\0").replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        name, fields = head.partition("(")[2], tail.split()
        row = {"pid": str(pid), "comm": name, "args": words or f"[{name}]", "user": "agent"}
        rows.append({**row, "stat": fields[0], "ppid": fields[1], "tty": "?", "time": "00:00:00"})
    return rows


def main(args: list[str]) -> int:
    """Print the table."""
    columns, shown, head = ["pid", "tty", "time", "comm"], table(), True
    pairs = list(zip(args, [*args[1:], ""]))
    flags = "".join(arg.lstrip("-") for arg in args if arg.lstrip("-").isalpha())
    if "f" in flags or "u" in flags:
        columns = ["user", "pid", "ppid", "stat", "time", "args"]
    for flag, value in pairs:
        if flag in ("-p", "--pid", "-q"):
            shown = [row for row in shown if row["pid"] in value.replace(",", " ").split()]
        elif flag == "-C":
            shown = [row for row in shown if row["comm"] == value]
        elif flag in ("-o", "-eo", "-ao", "-axo", "axo", "-Ao", "o"):
            names = [name.partition("=")[0] for name in value.replace(",", " ").split()]
            same = {"cmd": "args", "command": "args", "ucmd": "comm", "state": "stat", "s": "stat"}
            columns, head = [same.get(name, name) for name in names], "=" not in value
    if head:
        sys.stdout.write(" ".join(f"{name.upper():>8}" for name in columns) + "\n")
    for row in shown:
        sys.stdout.write(" ".join(f"{row.get(name, '-'):>8}" for name in columns) + "\n")
    return 0 if shown else 1


sys.exit(main(sys.argv[1:]))
