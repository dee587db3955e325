"""What a world adds to the plain sandbox: folders, files, pages and packages, planned on the host.

A folder of /usr becomes a small writable one with the host's entries bound into it,
read-only, save those that a file of the world replaces; a file directly in /proc is bound
over the kernel's. Outside hosts are the canary, which clients reach as their proxy, with a
throw-away certificate that is valid inside alone. Not covered: files below links into /usr
(/bin, /lib), and what the kernel's /proc lacks (left out).
"""

from __future__ import annotations

import contextlib
import functools
import os
import posixpath
import re
from collections.abc import Iterator
from dataclasses import asdict
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from foreword.core.errors import SandboxError, SandboxLacks
from foreword.core.types import World

PLAIN = ("tmp", "etc", "var", "srv", "opt")  # writable in every sandbox, as home is
PROGRAMS = ("bin", "lib", "lib32", "lib64", "sbin")
TAKEN = ("", "dev", "foreword", "home", *PROGRAMS)
FIXED = (*PROGRAMS, "libexec", "local")  # below /usr: what runs, process 1 included, stays as it is
PACKAGES = "/foreword/packages"
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"  # where curl and wget look by themselves
PROXY = "http://127.0.0.1:8080"
TRUST = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def folders(world: World) -> list[str]:
    """The world's writable folders that the plain sandbox lacks, parents first.

    Raises:
        SandboxError: a path is not absolute, or lies where nothing can be put.
    """
    found: set[str] = set()
    for path in [*world.folders, *(posixpath.dirname(path) for path in world.files)]:
        if path.startswith("/home/agent"):
            continue
        first, *rest = parts = path.removeprefix("/").split("/")
        fixed = first in TAKEN or (first == "usr" and rest[:1] and rest[0] in FIXED)
        if fixed or not path.startswith("/") or posixpath.normpath(path) != path:
            raise SandboxError(f"a world can have nothing in {path!r}")
        if first == "usr":
            found.update("/" + "/".join(parts[:depth]) for depth in range(1, len(parts) + 1))
        elif first == "proc":
            if rest and Path("/proc", rest[0]).is_dir():
                found.add(f"/proc/{rest[0]}")
        elif first not in PLAIN:
            found.add(f"/{first}")
    return sorted(found)


def usr_binds(world: World, size: int) -> list[str]:
    """Arguments that show the host's /usr, with the world's own layers in it."""
    args = []
    layers = [path for path in folders(world) if path.startswith("/usr")]
    for layer in layers:
        args += ["--perms", "0755", "--size", str(size), "--tmpfs", layer]
        for entry in sorted(Path(layer).iterdir()) if Path(layer).is_dir() else ():
            path = str(entry)
            if path in world.files or path in layers:
                continue
            link = entry.is_symlink()
            args += (
                ["--symlink", str(entry.readlink()), path] if link else ["--ro-bind", path, path]
            )
    return args or ["--ro-bind", "/usr", "/usr"]


def other_folders(world: World, size: int) -> list[str]:
    """Arguments that make the world's writable folders outside /usr."""
    args = []
    for path in folders(world):
        if not path.startswith("/usr"):
            args += ["--perms", "0755", "--size", str(size), "--tmpfs", path]
    return args


def _bound(path: str) -> bool:
    return posixpath.dirname(path) == "/proc"


def written(world: World) -> dict[str, str]:
    """The files that the guest writes, the certificates among them."""
    made = folders(world)
    files = {
        path: text
        for path, text in world.files.items()
        if not path.startswith("/proc/") or any(path.startswith(f"{root}/") for root in made)
    }
    return {**files, BUNDLE: _certificates(_secure(world))[0]} if _secure(world) else files


def in_memory(stack: contextlib.ExitStack, data: bytes) -> int:
    """A descriptor to read `data` from, closed with the stack."""
    fd = os.memfd_create("foreword")
    stack.callback(os.close, fd)
    os.write(fd, data)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


@contextlib.contextmanager
def opened(world: World) -> Iterator[tuple[list[str], list[int]]]:
    """Arguments that bind what comes by descriptors, and those, open."""
    args: list[str] = []
    with contextlib.ExitStack() as stack:
        fds: list[int] = []
        for path, text in world.files.items():
            if _bound(path) and Path(path).exists():
                fds.append(in_memory(stack, text.encode()))
                args += ["--ro-bind-data", str(fds[-1]), path]
        for source in dict.fromkeys(part for name in world.packages for part in parts_of(name)):
            fds.append(os.open(source, os.O_PATH))
            stack.callback(os.close, fds[-1])
            args += ["--ro-bind-fd", str(fds[-1]), f"{PACKAGES}/{source.name}"]
        yield args, fds


def configuration(world: World) -> dict[str, Any]:
    """What the guest has to be told."""
    env = {"PYTHONPATH": PACKAGES} if world.packages else {}
    if world.pages:
        env |= {"http_proxy": PROXY, "https_proxy": PROXY, "no_proxy": "localhost,127.0.0.1,.test"}
    if _secure(world):
        env |= dict.fromkeys(TRUST, BUNDLE)
    return {
        "env": env,
        "roots": folders(world),
        "hosts": sorted({urlsplit(url).hostname or "" for url in world.pages}),
        "pages": dict(world.pages),
        "ports": [asdict(port) for port in world.ports],
        "key": _certificates(_secure(world))[1] if _secure(world) else "",
    }


def _secure(world: World) -> tuple[str, ...]:
    """The hosts that speak TLS."""
    split = map(urlsplit, world.pages)
    return tuple(sorted({url.hostname or "" for url in split if url.scheme == "https"}))


@functools.cache
def _certificates(hosts: tuple[str, ...]) -> tuple[str, str]:
    """The authority, and the hosts' certificate with its key, all PEM; new in every process.

    Raises:
        SandboxLacks: nothing to make them with.
    """
    try:
        import trustme
    except ImportError:
        raise _lacks("trustme") from None
    authority = trustme.CA()
    issued = authority.issue_cert(*hosts)
    return (
        authority.cert_pem.bytes().decode(),
        issued.private_key_and_cert_chain_pem.bytes().decode(),
    )


def _lacks(package: str) -> SandboxLacks:
    return SandboxLacks(
        f"the Python package {package} is not installed here: pip install {package}"
    )


@functools.cache
def parts_of(name: str) -> tuple[Path, ...]:
    """The files and folders of an installed distribution and of what it requires.

    Raises:
        SandboxLacks: it is not installed.
    """
    found: dict[str, Distribution] = {}
    todo = [name]
    while todo:
        one = todo.pop()
        if one in found:
            continue
        try:
            found[one] = distribution(one)
        except PackageNotFoundError:
            if one == name:
                raise _lacks(name) from None
            continue  # a requirement of another platform or Python
        needs = [need for need in found[one].requires or () if "extra ==" not in need]
        todo += [re.split(r"[^\w.-]", need, maxsplit=1)[0] for need in needs]
    return tuple(path for one in found.values() for path in _tops(one))


def _tops(package: Distribution) -> list[Path]:
    tops = {file.parts[0] for file in package.files or ()} - {"..", "__pycache__"}
    return [Path(str(package.locate_file(top))) for top in sorted(tops)]
