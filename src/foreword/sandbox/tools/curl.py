#!/usr/bin/env -S python3 -I
"""Stand-in for curl: -s -S -f -k -v -i -L -o -O -X -H -d --data-binary -F -T -u -A -m --json."""

# pathlib is slow to import.
# ruff: noqa: B905, PTH119, PTH123, S310, SIM115

from __future__ import annotations

import getopt
import os
import sys
import urllib.error
import urllib.parse
import urllib.request

SHORT = (
    "s silent S show-error f fail k insecure v verbose i include L location O remote-name I head "
    "G get o output= X request= H header= d data= F form= T upload-file= u user= A user-agent= "
    "m max-time= w write-out="
)
NAMES = dict(zip(SHORT.split()[::2], SHORT.split()[1::2]))
MORE = "data-raw= data-binary= data-ascii= data-urlencode= connect-timeout= retry= json= url="
LONG = [*NAMES.values(), *MORE.split()]  # those that end in = take a value


def content(value: str, lines: bool = True) -> bytes:
    """What @file or @- stands for, else the text itself; -d drops line ends."""
    if not value.startswith("@"):
        return value.encode()
    data = sys.stdin.buffer.read() if value == "@-" else open(value[1:], "rb").read()
    return data if lines else data.replace(b"\r", b"").replace(b"\n", b"")


def form(fields: list[str]) -> tuple[bytes, str]:
    """A multipart body and its type."""
    mark, body = "foreword-form-boundary", b""
    for field in fields:
        name, _, value = field.partition("=")
        head = f'--{mark}\r\nContent-Disposition: form-data; name="{name}"'
        if value.startswith("@"):
            value = value.split(";")[0]
            head += f'; filename="{os.path.basename(value[1:])}"'
        elif value.startswith("<"):
            value = "@" + value[1:]
        body += head.encode() + b"\r\n\r\n" + content(value) + b"\r\n"
    return body + f"--{mark}--\r\n".encode(), f"multipart/form-data; boundary={mark}"


def payload(options: list[tuple[str, str]]) -> tuple[bytes | None, str]:
    """The body that the options describe and its type."""
    parts = []
    for name, value in options:
        if name.startswith("data-urlencode"):
            key, _, rest = value.rpartition("=")
            parts.append((key + "=" if key else "").encode() + urllib.parse.quote(rest).encode())
        elif name.startswith("data-raw"):
            parts.append(value.encode())
        elif name.startswith("data"):
            parts.append(content(value, lines=name == "data-binary="))
        elif name == "json=":
            return content(value), "application/json"
        elif name == "upload-file=":
            return content("@" + value), "application/octet-stream"
    fields = [value for name, value in options if name == "form="]
    if fields:
        return form(fields)
    return (b"&".join(parts) if parts else None), "application/x-www-form-urlencoded"


def main(args: list[str]) -> int:
    """Send the request(s)."""
    short = "".join(key + (":" if name.endswith("=") else "") for key, name in NAMES.items())
    found, urls = getopt.gnu_getopt(args, short, LONG)
    full = {name.rstrip("="): name for name in LONG}
    options = [(full[o[2:]] if o.startswith("--") else NAMES[o[1:]], value) for o, value in found]
    have = dict(options)
    body, kind = payload(options)
    method = have.get("request=") or ("PUT" if "upload-file=" in have else None)
    for url in [*urls, *([have["url="]] if "url=" in have else [])]:
        whole = url if "://" in url else "http://" + url
        if "upload-file=" in have and whole.endswith("/"):
            whole += os.path.basename(have["upload-file="])
        if "get" in have and body is not None:
            whole, body = whole + ("&" if "?" in whole else "?") + body.decode(), None
        request = urllib.request.Request(whole, body, method="HEAD" if "head" in have else method)
        request.add_header("User-Agent", have.get("user-agent=", "curl/8.0"))
        if body is not None:
            request.add_header("Content-Type", kind)
        for name, value in options:
            if name == "header=":
                request.add_header(*[part.strip() for part in value.partition(":")[::2]])
        code = send(request, have, whole)
        if code:
            return code
    return 0


def send(request: urllib.request.Request, have: dict[str, str], url: str) -> int:
    """Send one request, put its answer where the options say; curl's exit code."""
    limit = float(have.get("max-time=") or 10)
    try:
        with urllib.request.urlopen(request, timeout=limit) as answer:
            data = answer.read()
    except urllib.error.HTTPError as error:
        data = error.read()
        if "fail" in have:
            return 22
    except (OSError, ValueError) as error:
        if "silent" not in have or "show-error" in have:
            sys.stderr.write(f"curl: (7) Failed to connect: {error}\n")
        return 7
    target = have.get("output=") or (os.path.basename(url) if "remote-name" in have else "-")
    with sys.stdout.buffer if target == "-" else open(target, "wb") as file:
        file.write(data)
    return 0


try:
    sys.exit(main(sys.argv[1:]))
except (getopt.GetoptError, OSError) as problem:
    sys.exit(f"curl: {problem}")
