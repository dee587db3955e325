#!/usr/bin/env -S python3 -I
"""Stand-in for wget: -q -nv -O -P -U -T --header --method --post-data --post-file --body-data."""

# pathlib is slow to import.
# ruff: noqa: PTH103, PTH110, PTH118, PTH119, PTH123, S310

from __future__ import annotations

import getopt
import os
import sys
import urllib.error
import urllib.parse
import urllib.request

LONG = (  # noqa: SIM905
    "quiet no-verbose no-check-certificate continue output-document= directory-prefix= timeout= "
    "tries= user-agent= header= method= post-data= post-file= body-data= body-file="
).split()
SHORT = {
    "-q": "--quiet",
    "-O": "--output-document",
    "-P": "--directory-prefix",
    "-U": "--user-agent",
    "-T": "--timeout",
}


def body(have: dict[str, str]) -> bytes | None:
    """What is sent, if anything."""
    for kind in ("post", "body"):
        if f"--{kind}-data" in have:
            return have[f"--{kind}-data"].encode()
        if f"--{kind}-file" in have:
            with open(have[f"--{kind}-file"], "rb") as file:
                return file.read()
    return None


def target(url: str, have: dict[str, str]) -> str:
    """Where the answer goes; if no file is named, to one that is not there yet."""
    if "--output-document" in have:
        return have["--output-document"]
    folder = have.get("--directory-prefix", ".")
    os.makedirs(folder, exist_ok=True)
    named = os.path.basename(urllib.parse.urlsplit(url).path) or "index.html"
    first = name = os.path.join(folder, named)
    count = 0
    while os.path.exists(name):
        count += 1
        name = f"{first}.{count}"
    return name


def main(args: list[str]) -> int:
    """Fetch every URL; wget's exit code."""
    options, urls = getopt.gnu_getopt(args, "qnvcO:P:U:T:t:", LONG)
    have = {SHORT.get(name, name): value for name, value in options}
    code = 0
    for given in urls:
        url = given if "://" in given else "http://" + given
        request = urllib.request.Request(url, body(have), method=have.get("--method"))
        request.add_header("User-Agent", have.get("--user-agent", "Wget/1.21"))
        for name, value in options:
            if name == "--header":
                request.add_header(*[part.strip() for part in value.partition(":")[::2]])
        limit = float(have.get("--timeout") or 10)
        try:
            with urllib.request.urlopen(request, timeout=limit) as answer:
                data = answer.read()
        except OSError as error:
            code = 8 if isinstance(error, urllib.error.HTTPError) else 4
            if "--quiet" not in have:
                sys.stderr.write(f"wget: {url}: {error}\n")
            continue
        if (place := target(url, have)) == "-":
            sys.stdout.buffer.write(data)
        else:
            with open(place, "wb") as file:
                file.write(data)
    return code


try:
    sys.exit(main(sys.argv[1:]))
except (getopt.GetoptError, OSError, ValueError) as problem:
    sys.exit(f"wget: {problem}")
