"""What is kept of each request: never a prompt, never a key, and always the outcome."""

import hashlib
import json
import logging
import os
import time
from pathlib import Path

import httpx
import pytest

from foreword.core.errors import ConfigError
from foreword.gateway.audit import Audit, JsonFormatter, Record, set_up_logs
from foreword.gateway.keys import Caller, KeyRing, digest, new_key
from foreword.testing.servers import FakeServer, RawServer, written

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"


def ask(text="PRIVATE words", **more):
    return {"model": "fake", "messages": [{"role": "user", "content": text}], **more}


def chunk(text):
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    return f"data: {json.dumps({'choices': [choice]})}\n\n".encode()


def kept(path, count):
    """The records, when there are that many."""
    until = time.monotonic() + 5
    while len(lines := path.read_text("utf-8").splitlines()) < count and time.monotonic() < until:
        time.sleep(0.02)
    assert len(lines) == count
    return [json.loads(line) for line in lines]


def post(gate, body=None, **headers):
    content = json.dumps(body or ask()).encode()
    headers = {"content-type": "application/json", **headers}
    return gate.client.post("/chat/completions", content=content, headers=headers), content


def root(gate):
    return str(gate.client.base_url).removesuffix("v1/")


def test_a_line_a_request_with_all_but_its_words(checked, tmp_path):
    path, key = tmp_path / "audit.jsonl", new_key()
    ring = KeyRing([Caller("ann", digest=digest(key))])
    gate = checked(FakeServer("ollama"), audit=Audit(path), policy={"ring": ring})
    response, content = post(gate, authorization=f"Bearer {key}")
    assert response.status_code == 200
    guard = response.headers["x-foreword-guard"]
    assert post(gate, ask("HARM"), authorization=f"Bearer {key}")[0].status_code == 400
    assert post(gate, authorization="Bearer fw-wrong")[0].status_code == 401
    gate.client.get(root(gate) + "health/live")
    fine, blocked, denied = kept(path, 3)
    assert fine.pop("time").endswith("+00:00")
    assert fine.pop("seconds") > 0
    assert fine.pop("id") == response.headers["x-request-id"]
    judged = [fine["checks"][0].pop("seconds"), fine["checks"][1].pop("seconds")]
    assert all(each > 0 for each in judged)
    said = {"check": "c0", "safety": "safe", "reason": "", "action": "pass"}
    assert fine == {
        "route": "/v1/chat/completions",
        "key": "ann",
        "model": "fake",
        "guard": guard,
        "status": 200,
        "outcome": "ok",
        "request_sha256": hashlib.sha256(content).hexdigest(),
        "checks": [{**said, "stage": "request"}, {**said, "stage": "reply"}],
    }
    assert (blocked["status"], blocked["outcome"]) == (400, "content_filter")
    assert [each["safety"] for each in blocked["checks"]] == ["unsafe (harm)"]
    assert (denied["status"], denied["outcome"], denied["key"]) == (401, "invalid_api_key", "")
    text = path.read_text()
    assert "PRIVATE" not in text and "HARM" not in text
    assert key not in text and "fw-" not in text
    assert path.stat().st_mode & 0o007 == 0


def test_a_blocked_reply_is_recorded_as_blocked(checked, tmp_path):
    raw = written(b'{"choices": [{"message": {"content": "HARM"}}]}')
    server = RawServer(lambda sock, request, n: sock.sendall(raw))
    gate = checked(server, {"on": ("reply",)}, audit=Audit(tmp_path / "a"))
    assert post(gate)[0].status_code == 200
    (record,) = kept(tmp_path / "a", 1)
    assert (record["status"], record["outcome"]) == (200, "content_filter")
    assert [(each["stage"], each["action"]) for each in record["checks"]] == [("reply", "block")]


def test_prompts_are_kept_only_when_asked_for(checked, tmp_path):
    gate = checked(FakeServer("ollama"), audit=Audit(tmp_path / "a", prompts=True))
    _, content = post(gate, authorization="Bearer SECRETKEY")
    (record,) = kept(tmp_path / "a", 1)
    assert record["request"] == content.decode()
    assert "SECRETKEY" not in json.dumps(record)


def test_what_passes_silently_is_kept(checked, tmp_path):
    gate = checked(
        FakeServer("ollama"), {"action": "pass", "on": ("request",)}, audit=Audit(tmp_path / "a")
    )
    post(gate, ask("HARM"))
    (record,) = kept(tmp_path / "a", 1)
    (judged,) = record["checks"]
    assert (record["outcome"], judged["safety"], judged["action"]) == (
        "ok",
        "unsafe (harm)",
        "pass",
    )


@pytest.mark.parametrize(
    ("pieces", "outcome"),
    [
        ([chunk("Fine."), b"data: [DONE]\n\n"], "ok"),
        ([chunk("HARM")], "content_filter"),
    ],
)
def test_a_stream_is_kept_at_its_end(checked, tmp_path, pieces, outcome):
    path = tmp_path / "a"

    def answer(sock, request, n):
        sock.sendall(HEAD)
        time.sleep(0.2)
        assert path.read_text() == ""
        for piece in pieces:
            sock.sendall(piece)
        return False

    gate = checked(RawServer(answer), {"on": ("reply",)}, audit=Audit(path))
    assert post(gate, ask(stream=True))[0].status_code == 200
    (record,) = kept(path, 1)
    assert (record["status"], record["outcome"]) == (200, outcome)
    assert record["seconds"] >= 0.2 and len(record["checks"]) == 1


def test_a_stream_that_breaks_off_is_kept_as_broken(checked, tmp_path):
    def answer(sock, request, n):
        head = HEAD.replace(b"\r\n\r\n", b"\r\ntransfer-encoding: chunked\r\n\r\n")
        sock.sendall(head + b"5\r\nda")
        return False

    gate = checked(RawServer(answer), audit=Audit(tmp_path / "a"))
    post(gate, ask(stream=True))
    assert kept(tmp_path / "a", 1)[0]["outcome"] == "upstream_broken"


@pytest.mark.parametrize("begun", [True, False])
def test_a_client_that_leaves_is_kept(checked, tmp_path, begun):
    def answer(sock, request, n):
        sock.sendall(HEAD * begun)
        sock.recv(1)
        return False

    gate = checked(RawServer(answer), audit=Audit(tmp_path / "a"))
    with pytest.raises(httpx.ReadTimeout):
        gate.client.post("/chat/completions", json=ask(), timeout=0.3)
    (record,) = kept(tmp_path / "a", 1)
    assert (record["status"], record["outcome"]) == (200 * begun, "client gone")


def test_a_request_is_known_by_the_id_its_client_sees(checked, tmp_path):
    gate = checked(FakeServer("ollama"), audit=Audit(tmp_path / "a"))
    given, made, failed = (
        post(gate, **{"x-request-id": "mine-1"})[0],
        post(gate)[0],
        gate.client.post("/nothing", headers={"x-request-id": "mine-2"}),
    )
    assert given.headers["x-request-id"] == "mine-1"
    assert len(made.headers["x-request-id"]) == 16
    assert failed.headers["x-request-id"] == "mine-2"
    ids = [record["id"] for record in kept(tmp_path / "a", 3)]
    assert ids == ["mine-1", made.headers["x-request-id"], "mine-2"]
    named = written(b'{"choices": []}').replace(b"\r\n\r\n", b"\r\nx-request-id: theirs\r\n\r\n")
    server = RawServer(lambda sock, request, n: sock.sendall(named))
    gate = checked(server, audit=Audit(tmp_path / "b"))
    assert post(gate)[0].headers["x-request-id"] == "theirs"
    assert kept(tmp_path / "b", 1)[0]["id"] == "theirs"


def test_lines_are_appended_to_what_is_there(tmp_path):
    for _ in range(2):
        Audit(tmp_path / "a").keep(Record("/x", "1"))
    assert len(kept(tmp_path / "a", 2)) == 2


def test_a_path_that_cannot_be_written_is_an_error_at_the_start(tmp_path):
    for path in (tmp_path, tmp_path / "missing" / "a"):
        with pytest.raises(ConfigError, match="cannot write audit log"):
            Audit(path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_not_ready_but_requests_go_on_and_it_recovers(checked, tmp_path, caplog):
    audit = Audit(tmp_path / "a")
    disk = os.dup(audit._file)
    full = os.open("/dev/full", os.O_WRONLY)
    gate = checked(FakeServer("ollama"), audit=audit)
    os.dup2(full, audit._file)
    assert post(gate)[0].status_code == 200
    ready = gate.client.get(root(gate) + "health/ready")
    assert ready.status_code == 503
    assert ready.json()["error"]["code"] == "audit_failing"
    assert "No space left" in ready.json()["error"]["message"]
    assert "the audit log cannot be written" in caplog.text
    os.dup2(disk, audit._file)
    assert post(gate)[0].status_code == 200
    kept(tmp_path / "a", 1)
    assert gate.client.get(root(gate) + "health/ready").status_code == 200
    os.close(disk)
    os.close(full)


def test_half_a_line_on_a_full_disk_does_not_spoil_the_next(tmp_path, monkeypatch):
    audit, write = Audit(tmp_path / "a"), os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:10]))
    audit.keep(Record("/x", "1"))
    assert "no space" in audit.broken
    monkeypatch.setattr(os, "write", write)
    audit.keep(Record("/x", "2"))
    half, whole = (tmp_path / "a").read_text().splitlines()
    assert len(half) == 10 and json.loads(whole)["id"] == "2"
    assert audit.broken == ""


def test_log_lines_as_json(tmp_path):
    logger = logging.Logger("foreword.test")
    made = logger.makeRecord(
        "foreword.test", logging.WARNING, "f", 1, "an %s\nline", ("odd",), None
    )
    said = json.loads(JsonFormatter().format(made))
    assert said.pop("time").endswith("+00:00")
    assert said == {"level": "warning", "logger": "foreword.test", "message": "an odd\nline"}
    assert "\n" not in JsonFormatter().format(made)
    try:
        raise RuntimeError("ours")
    except RuntimeError as error:
        made.exc_info = (RuntimeError, error, error.__traceback__)
    made.record = {"id": "7", "checks": []}
    said = json.loads(JsonFormatter().format(made))
    assert said["id"] == "7" and said["error"].endswith("RuntimeError: ours")


@pytest.mark.parametrize("form", ["json", "text"])
def test_each_request_is_a_line_in_the_processs_log(capsys, form):
    logger = logging.getLogger("foreword")
    before = logger.handlers[:], logger.level, logger.propagate
    try:
        set_up_logs("info", form)
        Audit().keep(Record("/v1/x\nforged", "7", status=404, outcome="not_found"))
        set_up_logs("warning", form)
        Audit().keep(Record("/v1/x", "8"))
    finally:
        logger.handlers[:], logger.level, logger.propagate = before
        logging.getLogger("foreword.gateway.requests").manager._clear_cache()
    (line,) = capsys.readouterr().err.splitlines()
    assert "'/v1/x\\\\nforged' 404" in line if form == "json" else "'/v1/x\\nforged' 404" in line
    if form == "json":
        assert json.loads(line)["outcome"] == "not_found"
