#!/usr/bin/env -S python3 -I
"""Stand-in for zip: zip [-r -q -j -m -9 -e -P word] ARCHIVE PATH... (no encryption)."""

# pathlib is slow to import.
# ruff: noqa: PTH100, PTH110, PTH112, PTH118, PTH119

from __future__ import annotations

import getopt
import os
import shutil
import sys
import zipfile
from typing import Literal


def members(path: str, deep: bool) -> list[str]:
    """The path and, if wanted, what is below it."""
    found = [path]
    if deep and os.path.isdir(path):
        for folder, folders, files in os.walk(path):
            found += sorted(os.path.join(folder, name) for name in folders + files)
    return found


def main(args: list[str]) -> int:
    """Write the archive."""
    options, names = getopt.gnu_getopt(args, "rqjm0123456789eP:x:yu", ["quiet", "recurse-paths"])
    have = dict(options)
    if not names:
        return 16
    archive = names[0] if "." in os.path.basename(names[0]) else names[0] + ".zip"
    mode: Literal["a", "w"] = "a" if os.path.exists(archive) else "w"
    with zipfile.ZipFile(archive, mode, zipfile.ZIP_DEFLATED) as file:
        for path in names[1:]:
            if not os.path.lexists(path):
                sys.stderr.write(f"\tzip warning: name not matched: {path}\n")
                return 12
            for name in members(path, "-r" in have or "--recurse-paths" in have):
                if os.path.abspath(name) != os.path.abspath(archive):
                    file.write(name, os.path.basename(name) if "-j" in have else name)
                    if "-q" not in have and "--quiet" not in have:
                        sys.stdout.write(f"  adding: {name}\n")
    for path in names[1:] if "-m" in have else []:
        (shutil.rmtree if os.path.isdir(path) else os.remove)(path)
    return 0


try:
    sys.exit(main(sys.argv[1:]))
except (getopt.GetoptError, OSError) as problem:
    sys.exit(f"zip: {problem}")
