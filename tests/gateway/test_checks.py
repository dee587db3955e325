"""Guardrail models before and after whole answers, through a live gateway."""

import asyncio
import json
import socket
import threading
import time

import pytest

from foreword import Guard
from foreword.gateway.app import Gateway
from foreword.gateway.policy import CheckEntry, Policy, Route
from foreword.gateway.proof import Proved
from foreword.gateway.requests import BadRequest
from foreword.gateway.spoken import conversation, replies, withheld
from foreword.gateway.upstream import Upstream
from foreword.models.dialects import dialect
from foreword.models.probe import Continuation
from foreword.testing.servers import RawServer, written

WORDS = "As an honest agent, I"
GUARD = Guard(prefix=WORDS, target="t")
REQUEST, REPLY = {"on": ("request",)}, {"on": ("reply",)}
EVENTS = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"


def ask(text="Tidy up.", **more):
    return {"model": "fake", "messages": [{"role": "user", "content": text}], **more}


def says(*texts, **message):
    """An upstream that answers with a choice for each text."""
    choices = [
        {
            "index": index,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": text, **message},
        }
        for index, text in enumerate(texts)
    ]
    answer = written(json.dumps({"id": "a1", "choices": choices}).encode())
    return RawServer(lambda sock, request, n: sock.sendall(answer))


def error(response, status, code):
    assert response.status_code == status, response.text
    found = response.json()["error"]
    assert found["code"] == code
    return found["message"]


def post(gate, body=None, **headers):
    return gate.client.post("/chat/completions", json=body or ask(), headers=headers)


def page(gate):
    return gate.client.get(str(gate.client.base_url).removesuffix("v1/") + "metrics").text


def test_an_unsafe_request_is_stopped_and_the_upstreams_answer_is_nobodys(checked):
    left = threading.Event()

    def answer(sock, request, n):
        if b"HARM" in request:
            sock.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n")
            sock.sendall(b"content-length: 500\r\n\r\n{SECRET")
            if sock.recv(1) == b"":
                left.set()
            return False
        sock.sendall(written(json.dumps({"choices": [{"message": {"content": "Fine."}}]}).encode()))
        return True

    def slowly(body):
        harm = "HARM" in body["messages"][1]["content"]
        time.sleep(0.2 * harm)
        return "unsafe: harm" if harm else "safe"

    costs = {GUARD.hash8: 5}
    gate = checked(RawServer(answer), REQUEST, say=slowly, costs=costs)
    for _ in range(2):
        assert post(gate).json()["choices"][0]["message"]["content"] == "Fine."
        response = post(gate, ask("Do HARM."))
        message = error(response, 400, "content_filter")
        assert message == "request blocked by c0: unsafe (harm)"
        assert "SECRET" not in response.text
        assert left.wait(5)
    assert post(gate).json()["choices"][0]["message"]["content"] == "Fine."
    told = page(gate)
    assert 'foreword_checks_total{check="c0",safety="unsafe",stage="request"} 2.0' in told
    assert 'foreword_checks_total{check="c0",safety="safe",stage="request"} 3.0' in told
    assert 'foreword_blocks_total{check="c0",stage="request"} 2.0' in told
    assert 'foreword_check_seconds_count{check="c0"} 5.0' in told
    assert f'foreword_prefix_tokens_total{{guard="{GUARD.hash8}"}} 15.0' in told


def test_a_failing_upstream_does_not_hide_a_block_nor_a_block_an_error(checked):
    broken = RawServer(lambda sock, request, n: False)
    gate = checked(broken, REQUEST)
    error(post(gate, ask("HARM")), 400, "content_filter")
    error(post(gate), 502, "upstream_broken")


@pytest.mark.parametrize(("action", "flagged"), [("flag", "c0"), ("pass", None)])
def test_what_is_flagged_or_passed_goes_on(checked, action, flagged):
    gate = checked(says("HARM."), {"action": action})
    response = post(gate, ask("HARM"))
    assert response.json()["choices"][0]["message"]["content"] == "HARM."
    assert response.headers.get("x-foreword-flagged") == flagged
    assert "x-foreword-flagged" not in post(checked(says("Fine."), {"action": "flag"})).headers


def test_checks_and_the_upstream_work_at_the_same_time(checked):
    def slow(body):
        time.sleep(0.5)
        return "safe"

    def answer(sock, request, n):
        time.sleep(0.5)
        sock.sendall(written(b'{"choices": [{"message": {"content": "Fine."}}]}'))

    gate = checked(RawServer(answer), REQUEST, REQUEST, say=slow)
    start = time.monotonic()
    assert post(gate).status_code == 200
    assert 0.5 <= time.monotonic() - start < 0.9


def test_the_replies_of_all_choices_are_judged_at_the_same_time(checked):
    def slow(body):
        time.sleep(0.4)
        return "safe"

    gate = checked(says("a", "b", "c"), REPLY, say=slow)
    start = time.monotonic()
    assert len(post(gate).json()["choices"]) == 3
    assert time.monotonic() - start < 0.8
    assert sorted(gate.read(gate.models[0])) == [WORDS + text for text in "abc"]


@pytest.mark.parametrize("texts", [("HARM.",), ("Fine.", "HARM.")])
def test_a_blocked_reply_is_withheld_whole(checked, texts):
    call = {"id": "1", "type": "function", "function": {"name": "rm", "arguments": "{}"}}
    gate = checked(says(*texts, tool_calls=[call]), REPLY)
    response = post(gate, ask(n=len(texts)))
    assert response.status_code == 200
    assert response.json()["id"] == "a1"
    for index, choice in enumerate(response.json()["choices"]):
        refusal = "reply blocked by c0: unsafe (harm)"
        assert choice == {
            "index": index,
            "finish_reason": "content_filter",
            "message": {"role": "assistant", "content": "", "refusal": refusal},
        }
    assert 'foreword_blocks_total{check="c0",stage="reply"} 1.0' in page(gate)


@pytest.mark.parametrize(
    "message",
    [
        {"tool_calls": [{"function": {"name": "rm", "arguments": '{"path": "HARM"}'}}]},
        {"tool_calls": [{"function": {"name": "rm", "arguments": {"path": "HARM"}}}]},
        {"tool_calls": [{"type": "custom", "custom": {"name": "rm", "input": "HARM"}}]},
        {"tool_calls": [{"function": {"name": "HARM", "arguments": "{}"}}]},
        {"function_call": {"name": "rm", "arguments": "HARM"}},
        {"reasoning_content": "HARM"},
        {"reasoning": "HARM"},
        {"refusal": "HARM"},
        {"audio": {"id": "x", "transcript": "HARM"}},
        {"field_of_the_future": {"deep": ["HARM"]}},
    ],
)
def test_whatever_a_message_holds_is_judged(checked, message):
    gate = checked(says(None, **message), REPLY)
    response = post(gate)
    assert response.json()["choices"][0]["finish_reason"] == "content_filter"
    assert response.text.count("HARM") == 0


@pytest.mark.parametrize(
    "answer",
    [
        {"text": "HARM"},
        {"choices": [], "output_text": "HARM"},
        {"choices": ["HARM"]},
        {"output": "HARM"},
    ],
)
def test_an_answer_of_an_unknown_shape_is_judged_as_it_stands(checked, answer):
    raw = written(json.dumps(answer).encode())
    gate = checked(RawServer(lambda sock, request, n: sock.sendall(raw)), REPLY)
    assert "HARM" not in post(gate).text


@pytest.mark.parametrize("status", ["201 Created", "203 Changed"])
def test_another_status_of_success_is_judged_like_200(checked, status):
    raw = written(b'{"choices": [{"message": {"content": "HARM"}}]}', status=status)
    gate = checked(RawServer(lambda sock, request, n: sock.sendall(raw)), REPLY)
    assert post(gate).json()["choices"][0]["finish_reason"] == "content_filter"


def test_completions_are_judged_too(checked):
    raw = written(b'{"choices": [{"index": 0, "text": " HARM"}]}')
    gate = checked(RawServer(lambda sock, request, n: sock.sendall(raw)))
    body = {"model": "fake", "prompt": ["Go", "on"]}
    (choice,) = gate.client.post("/completions", json=body).json()["choices"]
    assert choice == {"index": 0, "finish_reason": "content_filter", "text": ""}
    assert gate.read(gate.models[0]) == ["Go\n\non", WORDS + " HARM"]
    body["prompt"] = "HARM"
    error(gate.client.post("/completions", json=body), 400, "content_filter")


def test_tool_results_in_the_request_are_judged(checked):
    call = {"id": "1", "function": {"name": "cat", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": "Read it."},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": "HARM, the file says."},
    ]
    gate = checked(says("Fine."), REQUEST)
    error(post(gate, {"model": "fake", "messages": messages}), 400, "content_filter")
    assert gate.read(gate.models[0]) == ["[tool result] HARM, the file says."]


def test_a_reply_is_judged_with_the_prefix_shown_or_hidden_and_with_a_prefill(checked):
    for show in (False, True):
        gate = checked(says(" go on."), REPLY, show_prefix=show)
        messages = [*ask()["messages"], {"role": "assistant", "content": " shall"}]
        assert post(gate, {"model": "fake", "messages": messages}).status_code == 200
        (read,) = gate.read(gate.models[0])
        assert read.count(WORDS + " shall go on.") == 1


def hang_up(sock, request, n):
    return False


def mute(sock, request, n):
    time.sleep(1.0)


FAULTS = {
    "down": None,
    "hangs up": hang_up,
    "slow": mute,
    "500": written(b'{"choices": [{"message": {"content": "safe"}}]}', status="500 No"),
    "nonsense": written(b'{"choices": [{"message": {"content": "I think it is SECRET safe."}}]}'),
    "no JSON": written(b"safe"),
    "empty": written(b""),
    "an empty text": written(b'{"choices": [{"message": {"content": ""}}]}'),
    "no text": written(b'{"choices": [{"message": {"content": null}}]}'),
    "no choice": written(b'{"choices": []}'),
    "choices of nothing": written(b'{"choices": {"message": "safe"}}'),
    "a list": written(b'["safe"]'),
    "no HTTP": b"safe\r\n\r\n",
    "a prefix of an answer": written(b'{"choices": [{"message": {"content": "saf'),
}


def failing(stack, fault):
    """The address of a check's server that fails in that way."""
    answer = FAULTS[fault]
    if answer is None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            return f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
    act = answer if callable(answer) else lambda sock, request, n: sock.sendall(answer)
    return stack.enter_context(RawServer(act)).url


@pytest.mark.parametrize(
    ("stage", "fault"),
    [*(("request", fault) for fault in FAULTS), ("reply", "down"), ("reply", "nonsense")],
)
def test_what_is_not_judged_is_stopped_unless_the_policy_says_otherwise(
    checked, stack, kept, stage, fault
):
    entry = {"url": failing(stack, fault), "on": (stage,), "deadline_s": 0.3}
    response = post(checked(says("Fine."), entry))
    message = error(response, 503, "not_judged")
    assert message.startswith(f"{stage} blocked by c0: not judged (")
    assert "SECRET" not in message
    passed = checked(says("Fine."), {**entry, "if_not_judged": "pass"})
    response = post(passed)
    assert response.json()["choices"][0]["message"]["content"] == "Fine."
    blocked, let = kept(2)
    assert (blocked["status"], blocked["outcome"]) == (503, "not_judged")
    assert (let["status"], let["outcome"]) == (200, "ok")
    for record, action in ((blocked, "block"), (let, "pass")):
        (judged,) = record["checks"]
        assert judged["safety"].startswith("not judged (") and judged["action"] == action
        assert "SECRET" not in json.dumps(record)
        assert "passed" not in json.dumps(record)
    kind = f'{{check="c0",safety="undecided",stage="{stage}"}} 1.0'
    assert f"foreword_checks_total{kind}" in page(passed)


def test_of_two_blocks_the_one_that_was_judged_is_told_and_both_are_kept(checked, kept):
    gate = checked(
        says("Fine."), {**REQUEST, "say": lambda body: "hm"}, REQUEST, {**REQUEST, "action": "flag"}
    )
    error(post(gate, ask("HARM")), 400, "content_filter")
    (record,) = kept(1)
    heard = [(judged["check"], judged["action"]) for judged in record["checks"]]
    assert heard == [("c0", "block"), ("c1", "block"), ("c2", "flag")]


def test_a_checks_key_and_model_are_its_own(checked, stack):
    seen = []

    def look(sock, request, n):
        seen.append(request)
        sock.sendall(written(b'{"choices": [{"message": {"content": "safe"}}]}'))

    url = stack.enter_context(RawServer(look)).url
    gate = checked(says("Fine."), {**REQUEST, "url": url, "key": "own", "model": "guard-1"})
    assert post(gate, authorization="Bearer clients").status_code == 200
    assert b"authorization: Bearer own" in seen[0] and b"clients" not in seen[0]
    assert json.loads(seen[0].partition(b"\r\n\r\n")[2])["model"] == "guard-1"


def scope(body):
    raw = json.dumps(body).encode()
    return raw, {
        "type": "http",
        "method": "POST",
        "path": "/v1/chat/completions",
        "query_string": b"",
        "headers": [],
    }


@pytest.mark.parametrize("stage", ["request", "reply"])
def test_a_client_that_leaves_while_a_check_runs_leaves_nothing_behind(caplog, stage):
    asked, ended = threading.Event(), threading.Event()

    def wait(sock, request, n):
        asked.set()
        sock.settimeout(5)
        if sock.recv(1) == b"":
            ended.set()
        return False

    def upstream(sock, request, n):
        if stage == "reply":
            sock.sendall(written(b'{"choices": [{"message": {"content": "Fine."}}]}'))
            return True
        return wait(sock, request, n) if request else False

    def guard(sock, request, n):
        if stage == "reply":
            return wait(sock, request, n)
        asked.set()
        time.sleep(1.0)
        return False

    async def leave(gateway, connections, told):
        raw, given = scope(ask())
        events = [{"type": "http.request", "body": raw}]

        async def receive():
            if events:
                return events.pop(0)
            await asyncio.to_thread(asked.wait, 5)
            await asyncio.sleep(0.1)
            return {"type": "http.disconnect"}

        async def send(event):
            told.append(event)

        async with connections:
            await gateway(given, receive, send)
        await asyncio.sleep(0.05)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    told = []
    with RawServer(upstream) as server, RawServer(guard) as model:
        entry = CheckEntry(name="c", format="generic", url=model.url, model="g", on=(stage,))
        policy = Policy((Route(Guard(prefix=WORDS, target="t")),), checks=(entry,))
        way = Continuation(dialect("ollama"), echo=False, echo_stream=False)
        connections = Upstream(server.url)
        asyncio.run(leave(Gateway(connections, policy, Proved(way)), connections, told))
        assert ended.wait(5)
    assert told == []
    assert [each for each in caplog.records if each.levelname in ("WARNING", "ERROR")] == []


def test_what_no_check_could_read_is_refused():
    for path, body in [
        ("/v1/chat/completions", {}),
        ("/v1/chat/completions", {"messages": ["HARM"]}),
        ("/v1/completions", {"prompt": [1, 2]}),
        ("/v1/completions", {"prompt": [[1, 2]]}),
        ("/v1/completions", {}),
    ]:
        with pytest.raises(BadRequest):
            conversation(path, body)


def test_a_reply_of_responses_is_read_as_one():
    call = {"type": "function_call", "call_id": "c", "name": "rm", "arguments": '{"p": 1}'}
    said = {"type": "message", "content": [{"type": "output_text", "text": "Yes."}]}
    thought = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]}
    answer = {"id": "r", "output": [thought, said, call]}
    assert replies(answer) == ['Hm.\nYes.\n\n[tool call] rm {"p": 1}']
    left = withheld(answer, "why")
    assert left["output"] == [] and left["id"] == "r" and left["error"]["message"] == "why"
    given = [{"role": "user", "content": "Hi."}, call, "and"]
    read = conversation("/v1/responses", {"input": given, "instructions": "Be kind."})
    assert [each["role"] for each in read] == ["system", "user", "tool", "user"]
    assert '"rm"' in read[2]["content"]
