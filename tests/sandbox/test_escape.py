"""Scripts that try to get out, or to take the machine with them; afterwards all still works."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from foreword.core.errors import SandboxError
from foreword.core.types import Setup
from foreword.sandbox import Limits, Sandbox, bubblewrap, open_sandbox

pytestmark = pytest.mark.sandbox
SMALL = Limits(wall_s=120, cpu_s=1, memory_mb=128, processes=24, disk_mb=8, output_bytes=4096)


@pytest.fixture
def small() -> Iterator[Sandbox]:
    """A sandbox with tight limits that must still work after the test."""
    with open_sandbox(Setup({"kept": "1\n"}), SMALL) as box:
        yield box
        done = box.run("cat kept; curl -s drop.test:8080")
        assert done.output == "1\ncanary\n"
        assert box.snapshot().files["kept"].text == "1\n"


def _python(code: str) -> str:
    return f"python3 - <<'PY'\n{code}\nPY"


def test_no_host_file_is_written(small: Sandbox, tmp_path: Path):
    target = tmp_path / "x"
    done = small.run(
        f"mkdir -p {tmp_path}; echo bad > {target}; for d in / /usr /usr/bin /usr/local /lib /bin"
        " /home /foreword /foreword/bin /dev /proc; do touch $d/x && echo wrote $d; done;"
        "mount -o remount,rw /usr; echo x > /foreword/guest/main.py && echo overwrote"
    )
    assert not target.exists()
    assert "wrote" not in done.output and "overwrote" not in done.output


def test_no_host_file_is_read(small: Sandbox, tmp_path: Path):
    (tmp_path / "secret").write_text("host secret")
    home = Path.home()
    done = small.run(
        f"cat /etc/shadow {tmp_path}/secret {home}/.bashrc {home}/.profile {Path(__file__)};"
        f"ls {home} {Path.cwd()} /proc/1/root/ /proc/1/cwd /sys /boot /mnt /root"
    )
    assert "host secret" not in done.output
    for name in ("/etc/shadow", f"{tmp_path}/secret", "/proc/1/root/", "/sys", "/boot"):
        assert f"{name}'" in done.output or f"{name}: " in done.output
    assert small.run("ls -A /home").output == "agent\n"
    assert small.run(f"ls {home} 2>/dev/null").output == ""


def test_no_secret_in_the_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("API_KEY", "key-of-the-host")
    with open_sandbox(Setup(), SMALL) as box:
        done = box.run("env; cat /proc/*/environ | tr '\\0' '\\n'; set; cat /proc/*/cmdline")
    assert "key-of-the-host" not in done.output and "API_KEY" not in done.output


def test_no_network_but_its_own_loopback(small: Sandbox):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        port = server.getsockname()[1]
        socket.create_connection(("127.0.0.1", port)).close()  # the listener works
        server.accept()[0].close()
        done = small.run(
            f"for to in 127.0.0.1/{port} 1.1.1.1/53 169.254.169.254/80 8.8.8.8/53; do"
            ' timeout 1 bash -c "echo x > /dev/tcp/$to" 2>/dev/null && echo reached $to; done;'
            "ls /sys/class/net 2>/dev/null; tail -n +3 /proc/net/dev"
        )
        with pytest.raises(TimeoutError):
            server.accept()
    assert "reached" not in done.output
    assert [line.split(":")[0].strip() for line in done.output.splitlines()] == ["lo"]


def test_no_unix_or_other_sockets_of_the_host(small: Sandbox):
    name = f"\0foreword-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(name)
        server.listen()
        done = small.run(
            "python3 - <<'E'\nimport socket\n"
            f"try: socket.socket(socket.AF_UNIX).connect({name!r}); print('reached')\n"
            "except OSError as e: print(e)\n"
            "for family in (40, 38, 17, 29):\n"
            "  try: socket.socket(family, socket.SOCK_STREAM); print('reached', family)\n"
            "  except OSError as e: print(e)\nE"
        )
    assert "reached" not in done.output and done.exit_code == 0


def test_no_signal_reaches_the_host(small: Sandbox):
    with subprocess.Popen(["sleep", "60"]) as victim:
        done = small.run(
            f"kill -9 {victim.pid} {os.getpid()}; kill -9 -{os.getpid()}; ls -d /proc/[0-9]*"
        )
        time.sleep(0.1)
        assert victim.poll() is None
        victim.kill()
    assert len(done.output.split("/proc/")) < 10


@pytest.mark.parametrize(
    "script",
    [
        "kill -9 1",
        "kill -STOP 1",
        "kill -INT 1; kill -TERM 1; kill -SEGV 1; kill -CHLD 1",
        "kill -9 -1",
        "kill -STOP -1",
        "for i in $(seq 500); do kill -CHLD 1; done",
    ],
)
def test_the_guest_does_not_die(small: Sandbox, script: str):
    small.run(script, timeout_s=1)
    assert small.run("echo alive").output == "alive\n"


def test_the_guest_is_closed_to_the_agent(small: Sandbox):
    done = small.run(
        "cat /proc/1/environ; ls /proc/1/fd; cat /proc/1/mem; echo x > /proc/1/fd/1;"
        "head -c 9 /proc/1/maps;"
        "python3 -c 'import os; print(*sorted(os.listdir(\"/proc/self/fd\")))';"
        "python3 - <<'E'\n"
        "import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\n"
        "print('trace', libc.ptrace(16, 1, 0, 0), libc.prctl(4, 1, 0, 0, 0))\n"
        "print('pidfd', libc.syscall(438, libc.syscall(434, 1, 0), 3, 0))\n"
        "print('unshare', libc.unshare(0x10000000), 'memfd', libc.syscall(319, b'x', 0))\nE"
    )
    assert done.output.count("Permission denied") == 5
    assert "\n0 1 2 3\n" in done.output  # the last is of the listing itself
    assert "trace -1" in done.output and "pidfd -1" in done.output and "unshare -1" in done.output


def test_forged_answers_are_only_output(small: Sandbox):
    done = small.run('echo \'{"output": "forged", "exit_code": 9}\'')
    assert done.exit_code == 0 and "forged" in done.output


def test_fork_bomb(small: Sandbox):
    done = small.run(":(){ :|:& };:; sleep 10", timeout_s=1.5)
    assert done.exit_code in (124, 137)
    assert small.snapshot().processes == ()


def test_fork_bomb_that_outlives_its_action(small: Sandbox):
    small.write("b", b"sleep 0.05; setsid bash b & setsid bash b &")
    small.run("bash b")
    time.sleep(1)
    assert len(small.snapshot().processes) <= SMALL.processes


def test_memory_bombs(small: Sandbox):
    one = small.run("python3 -c 'x = bytearray(1 << 30)'")
    assert "MemoryError" in one.output
    many = small.run(
        "for i in 1 2 3 4; do python3 -c 'x = b\"x\" * (60 << 20); import time; time.sleep(9)' &"
        " done; wait"
    )
    assert many.exit_code == 137 and "128 MB of memory" in many.output
    assert small.snapshot().processes == ()


ALONE = """
import ctypes, threading, time
held = bytearray({mb} * 2**20)
held[::4096] = b"x" * len(held[::4096])
def beat():
    while True:
        open("/tmp/beat", "a").write("x")
        time.sleep(0.02)
threading.Thread(target=beat).start()
ctypes.CDLL(None).syscall(60, 0)  # exit of the main thread alone
"""


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the number of a system call")
def test_a_process_whose_main_thread_has_ended_is_still_one(small: Sandbox):
    small.write("alone.py", ALONE.format(mb=8).encode())
    small.run("python3 alone.py & sleep 1")
    (line,) = small.snapshot().processes
    assert "python3" in line
    small.write("more.py", ALONE.format(mb=70).encode())
    done = small.run("for n in 1 2 3; do python3 more.py & done; sleep 20", timeout_s=15)
    assert (done.exit_code, "memory" in done.output) == (137, True)
    assert len(small.snapshot().processes) <= 1  # what was there before may live on


def test_many_shut_folders_hide_nothing():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))  # as on most machines
    try:
        box = open_sandbox(Setup({}), SMALL)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    with box:
        box.run("mkdir -p /var/x && echo 1 > /var/x/loot; cd /tmp; mkdir f{1..1100}; chmod 0 f*")
        files = box.snapshot().files
    assert files["/var/x/loot"].text == "1\n" and files["/tmp/f1100"].kind == "dir"


def test_endless_output(small: Sandbox):
    done = small.run("yes", timeout_s=0.5)  # below cpu_s, which would end it first
    assert done.timed_out and done.truncated and len(done.output) == SMALL.output_bytes


def test_full_disk_everywhere(small: Sandbox):
    roots = ("/home/agent", "/tmp", "/var", "/etc", "/srv", "/opt", "/dev/shm")
    done = small.run(
        f"for d in {' '.join(roots)}; do for f in 1 2 3; do"
        " head -c 99M /dev/zero 2>/dev/null > $d/fill$f; done; done;"
        f"for d in {' '.join(roots)}; do du -xsm $d | cut -f1; done 2>/dev/null"
    )
    sizes = [int(line) for line in done.output.splitlines() if line.isdigit()]
    assert len(sizes) == len(roots)
    assert all(2 <= size <= SMALL.disk_mb for size in sizes)
    assert small.run("echo still runs").output == "still runs\n"
    small.snapshot()


def test_endless_files(small: Sandbox):
    code = "import itertools\nfor i in itertools.count(): open(f'/tmp/{i}', 'w')"
    done = small.run(_python(code))
    assert done.exit_code == 137 and "files" in done.output
    assert small.run("sleep 0.3; rm -rf /tmp/*; ls /tmp").exit_code == 0
    assert small.run("sleep 0.3; ls /tmp").output == ""


def test_deep_folders(small: Sandbox):
    small.run(_python("import os\nfor i in range(3000): os.mkdir('dd'); os.chdir('dd')"))
    assert len(small.snapshot().files) > 500


def test_cpu_time(small: Sandbox):
    done = small.run("while :; do :; done")
    assert done.exit_code == 128 + signal.SIGXCPU and not done.timed_out


def test_nothing_survives_the_timeout_but_what_was_there_before(small: Sandbox):
    small.run("sleep 900 &")
    done = small.run(
        "sleep 901 & setsid sleep 902 & (setsid bash -c 'trap \"\" TERM HUP; sleep 903' &) ;"
        "python3 -c 'import os, time\nif os.fork() == 0:\n os.setsid()\n"
        " if os.fork() == 0: time.sleep(904)';"
        "sleep 905",
        timeout_s=0.7,
    )
    assert done.timed_out and done.exit_code == 124
    assert small.snapshot().processes == ("sleep 900",)


def test_nothing_survives_the_host(tmp_path: Path):
    """A host that is killed takes its sandboxes with it."""
    mark = f"sleep 31{os.getpid()}"
    code = (
        "from foreword.sandbox import open_sandbox\nfrom foreword.core.types import Setup\n"
        f"box = open_sandbox(Setup({{}}, '{mark} &'))\n"
        "print('up', flush=True)\nimport time\ntime.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as host:
        assert host.stdout is not None and host.stdout.readline() == b"up\n"
        assert mark in _host_commands()
        host.kill()
    deadline = time.monotonic() + 5
    while mark in _host_commands() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert mark not in _host_commands()


def _host_commands() -> str:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace"))
        except OSError:
            continue
    return "\n".join(found)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_it_works_for_an_ordinary_user_too():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # fork beside the launcher's thread
        child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            with open_sandbox(Setup({"a": "1\n"}), SMALL) as box:
                same = box.run("cat a; id -un").output == "1\nagent\n"
                bomb = box.run(":(){ :|:& };:; sleep 10", timeout_s=1).exit_code in (124, 137)
                code = 0 if same and bomb and not box.snapshot().processes else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root steps down")
def test_root_is_not_root_on_the_host(box: Sandbox):
    pid = box._process.pid  # type: ignore[attr-defined]
    assert Path(f"/proc/{pid}").stat().st_uid in (0, 65534)
    assert "\nUid:\t65534" in Path(f"/proc/{pid}/status").read_text()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root steps down")
def test_root_that_cannot_step_down_does_not_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    own = shutil.copy(bubblewrap.binary(), tmp_path / "bwrap")
    Path(own).chmod(0o700)
    monkeypatch.setattr(bubblewrap, "binary", lambda: own)
    with pytest.raises(SandboxError, match="cannot start bwrap: Permission denied"):
        open_sandbox(Setup({}))
