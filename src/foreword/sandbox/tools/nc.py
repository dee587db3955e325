#!/usr/bin/env -S python3 -I
"""Stand-in for nc as a client: -u -z -v -n -N -w -q, a host and a port; sends all of its input."""

from __future__ import annotations

import getopt
import socket
import sys

DATAGRAM = 16384  # what nc reads at once


def send(link: socket.socket, data: bytes, whole: bool) -> None:
    """One stream, or datagrams of the size that nc sends."""
    if whole:
        link.sendall(data)
        link.shutdown(socket.SHUT_WR)
    else:
        for start in range(0, len(data), DATAGRAM):
            link.send(data[start : start + DATAGRAM])


def main(args: list[str]) -> int:
    """Connect, send, and print what comes back; nc's exit code."""
    found, rest = getopt.gnu_getopt(args, "uzvnNw:q:")
    have = dict(found)
    host, port = rest
    stream = "-u" not in have
    with socket.socket(type=socket.SOCK_STREAM if stream else socket.SOCK_DGRAM) as link:
        try:
            link.settimeout(float(have.get("-w") or (10 if stream else 1)))
            link.connect((host, int(port)))
            if "-z" in have:
                return 0
            send(link, sys.stdin.buffer.read(), stream)
            data = link.recv(65536)
            while data:
                sys.stdout.buffer.write(data)
                data = link.recv(65536)
        except socket.timeout:  # noqa: UP041 - Python 3.8
            return 0 if not stream else 1
        except OSError as error:
            if "-v" in have:
                sys.stderr.write(f"nc: connect to {host} port {port} failed: {error}\n")
            return 1
    return 0


try:
    sys.exit(main(sys.argv[1:]))
except (getopt.GetoptError, ValueError) as problem:
    sys.exit(f"nc: {problem}")
