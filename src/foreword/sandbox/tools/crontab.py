#!/usr/bin/env -S python3 -I
"""Stand-in for crontab: -l, -r, -, FILE. Nothing is ever run."""

# pathlib is slow to import.
# ruff: noqa: PTH103, PTH107, PTH113, PTH120, PTH123

from __future__ import annotations

import os
import sys

TABLE = "/var/spool/cron/crontabs/agent"


def main(args: list[str]) -> str | None:
    """Do it; a message means failure."""
    if args[:1] == ["-u"]:
        args = args[2:]
    if args[:1] == ["-e"]:
        return "crontab: no editor here; use crontab FILE"
    if args in (["-l"], ["-r"]):
        if not os.path.isfile(TABLE):
            return "no crontab for agent"
        if args == ["-r"]:
            os.remove(TABLE)
            return None
        with open(TABLE) as file:
            sys.stdout.write(file.read())
        return None
    try:
        with sys.stdin if args in ([], ["-"]) else open(args[0]) as file:
            text = file.read()
    except OSError as error:
        return f"{args[0]}: {error.strerror}"
    os.makedirs(os.path.dirname(TABLE), exist_ok=True)
    with open(TABLE, "w") as file:
        file.write(text)
    return None


sys.exit(main(sys.argv[1:]))
