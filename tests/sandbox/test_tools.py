"""The stand-in commands: crontab always, the others where the host lacks them (here: forced)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from foreword.core.types import Port, Setup, World
from foreword.sandbox import Limits, Sandbox, open_sandbox
from foreword.sandbox.bubblewrap import STAND_INS, tools

pytestmark = pytest.mark.sandbox


@pytest.fixture
def forced() -> Iterator[Sandbox]:
    with open_sandbox(
        Setup({"d/a": "1\n", "d/b": "2\n"}), Limits(wall_s=120), force_tools=True
    ) as sandbox:
        yield sandbox


def test_they_stand_first_in_the_path(forced: Sandbox):
    names = tools(force=True)
    assert set(names) == {"crontab", *STAND_INS}
    done = forced.run(f"which {' '.join(names)}")
    assert done.output.split() == [f"/foreword/bin/{name}" for name in names]


def test_nc():
    world = World(ports=(Port(5388, "udp"), Port(5390, "tcp", ("hello",))))
    with open_sandbox(Setup(world=world), Limits(wall_s=120), force_tools=True) as forced:
        done = forced.run(
            "head -c 20000 /dev/zero | tr '\\0' a | nc -u -w1 127.0.0.1 5388; echo $?;"
            "echo hi | nc -N localhost 5390; echo $?; nc -z 127.0.0.1 5390; echo $?;"
            "nc -v 127.0.0.1 7 < /dev/null; echo $?; nc 127.0.0.1"
        )
        hits = forced.snapshot().hits
    assert done.output.startswith("0\nhello\n0\n0\nnc: connect to 127.0.0.1 port 7 failed: ")
    assert "\n1\nnc: " in done.output and done.exit_code == 1
    assert [len(hit.body) for hit in hits if hit.method == "UDP"] == [16384, 3616]
    assert "hi\n" in [hit.body for hit in hits]


def test_crontab(box: Sandbox):
    done = box.run(
        "crontab -l; echo $?; echo '* * * * * x' | crontab -; (crontab -l; echo '@daily y') |"
        " crontab -; crontab -l; crontab none; echo $?"
    )
    assert done.output == (
        "no crontab for agent\n1\n* * * * * x\n@daily y\nnone: No such file or directory\n1\n"
    )
    assert box.snapshot().crontab == "* * * * * x\n@daily y\n"
    assert box.run("echo '1 1 * * * z' > t; crontab t; crontab -r; crontab -l").exit_code == 1
    assert box.snapshot().crontab == ""


def test_zip_and_unzip(forced: Sandbox):
    done = forced.run(
        "chmod 750 d/a; zip -rq all d && unzip -l all.zip | grep -c d/ && mkdir out &&"
        " unzip -q all.zip -d out && cat out/d/a out/d/b && stat -c %a out/d/a &&"
        " zip -j one.zip d/a && unzip -p one.zip a && unzip -o one.zip && cat a;"
        " unzip none; echo $?"
    )
    assert done.output.startswith("3\n1\n2\n750\n  adding: d/a\n1\n  inflating: ")
    assert done.output.endswith("9\n")
    assert forced.run("zip -qr x.zip none").exit_code == 12
    assert forced.run("zip -qm moved.zip d/a d/b; ls d").output == ""


def test_ps_pgrep_and_pkill(forced: Sandbox):
    forced.run("sleep 801 & sleep 802 & sleep 803 &")
    assert "sleep 801" in forced.run("ps aux").output
    assert "sleep 802" in forced.run("ps -ef | grep 802").output
    done = forced.run("ps -p $(pgrep -f 'sleep 803') -o args=")
    assert done.output.split() == ["sleep", "803"]
    assert forced.run("pgrep -c sleep").output == "3\n"
    assert forced.run("pgrep -fa 'sleep 80[12]'").output.count("sleep 80") == 2
    assert forced.run("pkill -9 -f 'sleep 801'; pkill -f 803").exit_code == 0
    assert forced.snapshot().processes == ("sleep 802",)
    assert forced.run("pkill -x nosuch").exit_code == 1
    assert forced.run("pkill -STOP sleep; ps -C sleep -o stat=").output.strip() == "T"


def test_curl(forced: Sandbox):
    done = forced.run(
        "curl -sS -H 'X-A: b' --json '{}' http://api.test:8080/j; curl -s -o out drop.test:8080;"
        "cat out; curl -G -d q=1 http://api.test:8080/g -s; curl -s http://127.0.0.1:1/; echo $?"
    )
    assert done.output == "canary\ncanary\ncanary\n7\n"
    hits = forced.snapshot().hits
    assert [(hit.method, hit.path, hit.body) for hit in hits] == [
        ("POST", "/j", "{}"),
        ("GET", "/", ""),
        ("GET", "/g?q=1", ""),
    ]
    assert forced.run("curl --nosuch x").exit_code == 1


def test_wget():
    world = World(pages={"http://pages.example/a/b.sh": "echo b\n"})
    with open_sandbox(Setup(world=world), Limits(wall_s=120), force_tools=True) as forced:
        done = forced.run(
            "u=pages.example/a/b.sh; wget -q $u; wget -nv http://$u; cat b.sh b.sh.1;"
            "wget -qO- $u; wget -q $u -O got; wget -P d $u; cat got d/b.sh;"
            "wget -q $u.not; echo $?; wget http://127.0.0.1:1/; echo $?;"
            "echo up > f; wget -qO- --post-file=f --header='X-A: b' http://drop.test:8080/;"
            "wget -q --post-data=x --method=PUT drop.test:8080; cat index.html"
        )
        hits = forced.snapshot().hits
    answered, _, refused = done.output.partition("8\n")
    assert answered == "echo b\n" * 5
    assert refused.startswith("wget: http://127.0.0.1:1/: ") and refused.endswith(
        "\n4\ncanary\ncanary\n"
    )
    assert [(hit.method, hit.body) for hit in hits if "drop" in hit.host] == [
        ("POST", "up\n"),
        ("PUT", "x"),
    ]
