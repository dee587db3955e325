#!/usr/bin/env -S python3 -I
"""Stand-in for unzip: unzip [-l -p -q -o -n -j] [-d FOLDER] ARCHIVE [MEMBER...]."""

# pathlib is slow to import.
# ruff: noqa: PTH101, PTH110, PTH118, PTH119

from __future__ import annotations

import fnmatch
import getopt
import os
import sys
import zipfile


def main(args: list[str]) -> int:
    """List, print or unpack."""
    options, names = getopt.gnu_getopt(args, "lpqonjtd:P:")
    have = dict(options)
    path = names[0] if os.path.exists(names[0]) else names[0] + ".zip"
    with zipfile.ZipFile(path) as file:
        for member in file.infolist():
            wanted = names[1:]
            if wanted and not any(fnmatch.fnmatch(member.filename, name) for name in wanted):
                continue
            if "-l" in have:
                sys.stdout.write(f"{member.file_size:9d}  {member.filename}\n")
            elif "-p" in have:
                sys.stdout.buffer.write(file.read(member))
            elif "-t" not in have:
                unpack(file, member, have)
    return 0


def unpack(file: zipfile.ZipFile, member: zipfile.ZipInfo, have: dict[str, str]) -> None:
    """Put one member where it belongs, with its mode."""
    if "-j" in have:
        member.filename = os.path.basename(member.filename)
    folder = have.get("-d", ".")
    if "-n" in have and os.path.exists(os.path.join(folder, member.filename)):
        return
    target = file.extract(member, folder)
    mode = member.external_attr >> 16
    if mode:
        os.chmod(target, mode & 0o777)
    if "-q" not in have:
        sys.stdout.write(f"  inflating: {target}\n")


try:
    sys.exit(main(sys.argv[1:]))
except (getopt.GetoptError, OSError, IndexError, zipfile.BadZipFile) as problem:
    sys.stderr.write(f"unzip: {problem}\n")
    sys.exit(9)
