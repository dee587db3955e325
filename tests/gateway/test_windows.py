"""Streams under checks: window by window, and nothing unjudged ever reaches the client."""

import asyncio
import json
import threading
import time
from itertools import pairwise
from types import SimpleNamespace

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foreword.core.types import Safety
from foreword.gateway.checks import Blocked, Judged
from foreword.gateway.connection import UpstreamError
from foreword.gateway.windows import SEEN, WINDOW, in_windows
from foreword.testing.servers import RawServer, response_events

WORDS = "As an honest agent, I"
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
ASK = {"model": "fake", "stream": True, "messages": [{"role": "user", "content": "Tidy up."}]}
REPLY = {"on": ("reply",)}
DONE = b"data: [DONE]\n\n"


def chunk(text=None, index=0, end="\n\n", **delta):
    delta = delta if text is None else {"content": text, **delta}
    choice = {"index": index, "delta": delta, "finish_reason": None}
    return f"data: {json.dumps({'choices': [choice]})}{end}".encode()


def streams(*pieces, wait=0.0):
    """An upstream that sends these and closes."""

    def answer(sock, request, n):
        sock.sendall(HEAD)
        for each in pieces:
            sock.sendall(each)
            time.sleep(wait)
        return False

    return RawServer(answer)


def stream(gate, body=ASK):
    """Status and all bytes."""
    response = gate.client.post("/chat/completions", json=body)
    return response.status_code, response.content


def error_of(content):
    *before, event, last = content.split(b"\n\n")
    assert last == b""
    return b"\n\n".join(before), json.loads(event.removeprefix(b"data: "))["error"]


def test_a_safe_stream_passes_byte_for_byte_and_is_read_with_the_hidden_prefix(checked):
    parts = [chunk(role="assistant"), *(chunk(f" word{i}" * 5) for i in range(30)), DONE]
    gate = checked(streams(*parts), REPLY)
    status, content = stream(gate)
    assert (status, content) == (200, b"".join(parts))
    read = gate.read(gate.models[0])
    assert all(text.startswith(WORDS + " word0") for text in read)
    assert read[-1] == WORDS + "".join(f" word{i}" * 5 for i in range(30))
    assert 2 <= len(read) <= 6
    assert all(later.startswith(former) for former, later in pairwise(read))


def test_words_come_window_by_window(checked):
    go_on = threading.Event()

    def answer(sock, request, n):
        sock.sendall(HEAD + chunk(role="assistant") + chunk("a" * WINDOW))
        go_on.wait(5)
        sock.sendall(chunk("b" * (WINDOW - 1)))
        time.sleep(0.2)
        sock.sendall(chunk("c") + DONE)
        return False

    gate = checked(RawServer(answer), REPLY)
    with gate.client.stream("POST", "/chat/completions", json=ASK) as response:
        came = b""
        parts = response.iter_raw()
        while b"a" * WINDOW not in came:
            came += next(parts)
        go_on.set()  # the first window was passed on before the upstream said more
        came = next(parts)
        assert b"bbb" in came and b'"c"' in came  # a short window waits
    assert len(gate.models[0].asked) == 2


def test_nothing_unjudged_reaches_the_client_before_a_block(checked):
    safe, harm = chunk("a" * WINDOW), chunk("HARM" + "b" * WINDOW)
    gate = checked(streams(safe, harm, chunk("SECRET"), DONE, wait=0.2), REPLY)
    status, content = stream(gate)
    assert status == 200
    before, error = error_of(content)
    assert before.strip(b"\n") == safe.strip(b"\n")
    assert error["code"] == "content_filter"
    assert error["message"] == "reply blocked by c0: unsafe (harm)"
    assert b"HARM" not in content and b"SECRET" not in content and b"DONE" not in content


def test_a_block_ends_the_upstreams_work(checked):
    left = threading.Event()

    def answer(sock, request, n):
        sock.sendall(HEAD + chunk("HARM" * WINDOW))
        if sock.recv(1) == b"":
            left.set()
        return False

    stream(checked(RawServer(answer), REPLY))
    assert left.wait(5)


def test_harm_spread_over_windows_is_seen_whole(checked):
    gate = checked(streams(chunk("x" * WINDOW + "HA"), chunk("RM" + "y" * 9), wait=0.2), REPLY)
    _, content = stream(gate)
    assert error_of(content)[1]["code"] == "content_filter"
    assert b"RM" not in content


def test_a_window_larger_than_what_a_check_sees_again_is_judged_whole(checked):
    gate = checked(streams(chunk("HARM" + "x" * (SEEN + 50)), DONE), REPLY)
    before, error = error_of(stream(gate)[1])
    assert before.strip(b"\n") == b"" and error["code"] == "content_filter"


def test_each_choice_is_read_by_itself(checked):
    parts = [chunk("Fine. HA", index=0), chunk("RM it is.", index=1), DONE]
    gate = checked(streams(*parts), REPLY)
    assert stream(gate, {**ASK, "n": 2}) == (200, b"".join(parts))
    assert sorted(gate.read(gate.models[0])) == [WORDS + "Fine. HA", WORDS + "RM it is."]


@pytest.mark.parametrize(
    "delta",
    [
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"path": "HARM"}'}}]},
        {"tool_calls": [{"index": 0, "function": {"name": "HARM"}}]},
        {"function_call": {"arguments": "HARM"}},
        {"reasoning_content": "HARM"},
        {"reasoning": "HARM", "reasoning_content": "HARM"},
        {"refusal": "HARM"},
    ],
)
def test_calls_and_thoughts_are_judged(checked, delta):
    _, content = stream(checked(streams(chunk(**delta), DONE), REPLY))
    assert error_of(content)[1]["code"] == "content_filter"
    assert b"HARM" not in content


def test_arguments_in_pieces_are_read_as_one_call(checked):
    def call(**function):
        return chunk(tool_calls=[{"index": 0, "function": function}])

    parts = [chunk("Yes."), call(name="rm", arguments="")]
    parts += [call(arguments='{"p"'), call(arguments=":1}")]
    gate = checked(streams(*parts, DONE), REPLY)
    assert stream(gate)[1] == b"".join(parts) + DONE
    assert gate.read(gate.models[0]) == [WORDS + 'Yes.\n[tool call] rm {"p":1}']


MALFORMED = [
    b"data: {HARM\n\n",
    b"data:HARM\n\n",
    b'data: "HARM"\n\n',
    b'data: ["HARM"]\n\n',
    b'data: {"text": "HARM"}\n\n',
    b'data: {"choices": "HARM"}\n\n',
    b'data: {"choices": ["HARM"]}\n\n',
    b'data: {"choices": [{"index": [], "delta": {"content": "HARM"}}]}\n\n',
    b'data: {"choices": [{"index": null, "text": "HARM"}]}\n\n',
    b"\xef\xbb\xbf" + chunk("HARM"),
    b"event: x\r" + chunk("HARM"),
    b": comment\r" + chunk("HARM", end="\r\r"),
    b"data: \xff HARM\n\n",
    b"HARM\n\n",
    chunk("HARM", end="\r\n\r\n"),
    chunk("HARM", end=""),
    chunk("HARM", end="\n"),
]


def test_malformed_events_are_judged_as_they_stand(checked):
    left = list(MALFORMED)

    def answer(sock, request, n):
        sock.sendall(HEAD + chunk("Fine.") + left[0])
        return False

    gate = checked(RawServer(answer), REPLY)
    while left:
        status, content = stream(gate)
        assert status == 200
        assert b"HARM" not in content, left[0]
        assert error_of(content)[1]["code"] == "content_filter", left[0]
        left.pop(0)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n\n",
        DONE,
        b": ping\n\n" + DONE,
        b"event: x\nid: 1\nretry: 5\n\n",
        chunk(role="assistant", content="") + b'data: {"choices": [], "usage": {"a": 1}}\n\n',
        chunk("no end"),
        chunk("no line's end", end=""),
        chunk("CRLF", end="\r\n\r\n") + b"data: [DONE]\r\n\r\n",
        b"data: {half",
    ],
)
def test_streams_of_every_form_pass_as_they_are(checked, data):
    gate = checked(
        streams(*(data[at : at + 7] for at in range(0, len(data), 7)), wait=0.001), REPLY
    )
    assert stream(gate) == (200, data)
    assert bool(gate.models[0].asked) == any(word in data for word in (b"no ", b"CRLF", b"half"))


@pytest.mark.parametrize("say", ["hm", ""])
def test_what_is_not_judged_ends_the_stream_unless_the_policy_says_otherwise(checked, kept, say):
    parts = [chunk("SECRET" + "a" * WINDOW), DONE]
    fields = {**REPLY, "say": lambda body: say}
    before, error = error_of(stream(checked(streams(*parts), fields))[1])
    assert before.strip(b"\n") == b""
    assert error["code"] == "not_judged" and "not judged" in error["message"]
    passed = checked(streams(*parts), {**fields, "if_not_judged": "pass"})
    assert stream(passed)[1] == b"".join(parts)
    blocked, let = kept(2)
    assert (blocked["status"], blocked["outcome"]) == (200, "not_judged")
    assert let["outcome"] == "ok"
    for record in (blocked, let):
        assert all(judged["safety"].startswith("not judged") for judged in record["checks"])


def test_a_check_that_is_late_or_gone_ends_the_stream(checked):
    def late(body):
        time.sleep(1.0)
        return "safe"

    gate = checked(streams(chunk("SECRET")), {**REPLY, "say": late, "deadline_s": 0.2})
    content = stream(gate)[1]
    assert error_of(content)[1]["code"] == "not_judged" and b"SECRET" not in content
    gate = checked(streams(chunk("SECRET")), {**REPLY, "url": "http://127.0.0.1:9/v1"})
    content = stream(gate)[1]
    assert error_of(content)[1]["code"] == "not_judged" and b"SECRET" not in content


def test_a_line_without_an_end_is_not_held_for_ever(checked, monkeypatch):
    monkeypatch.setattr("foreword.gateway.windows.MAX_LINE", 10_000)
    monkeypatch.setattr("foreword.gateway.streams.MAX_LINE", 10**9)
    gate = checked(streams(b"data: " + b"x" * 20_000), REPLY)
    assert error_of(stream(gate)[1])[1]["code"] == "upstream_broken"


def test_a_client_that_leaves_a_stream_ends_it_at_the_upstream(checked, caplog):
    left = threading.Event()

    def answer(sock, request, n):
        sock.sendall(HEAD + chunk("a" * WINDOW))
        if sock.recv(1) == b"":
            left.set()
        return False

    gate = checked(RawServer(answer), {**REPLY, "say": lambda body: time.sleep(0.6) or "safe"})
    with pytest.raises(httpx.ReadTimeout):
        gate.client.post("/chat/completions", json=ASK, timeout=0.3)
    assert left.wait(5)
    assert [each for each in caplog.records if each.levelname in ("WARNING", "ERROR")] == []


def scripted(unsafe=lambda text: False):
    """Checks that say what they are told, and what they have let pass."""
    asked = []

    async def judge(heard, stage, messages, replies):
        await asyncio.sleep(0)
        asked.append(list(replies))
        for text in replies:
            safety = Safety.UNSAFE if unsafe(text) else Safety.SAFE
            heard.append(Judged("c", stage, safety, "", "block" if unsafe(text) else "pass", 0.0))
        if stopping := [judged for judged in heard if judged.action == "block"]:
            raise Blocked(stopping[0])

    return SimpleNamespace(judge=judge, asked=asked)


def run(parts, checks, begun=WORDS):
    """The parts that come out, what was heard, and what ended it."""

    async def collect():
        out, heard, ended = [], [], None

        async def given():
            for part in parts:
                yield part

        try:
            async for part in in_windows(given(), checks, [], begun, heard):
                out.append(part)
        except (Blocked, UpstreamError) as error:
            ended = error
        return out, heard, ended

    return asyncio.run(collect())


events = st.lists(
    st.one_of(
        st.builds(
            chunk,
            st.text(max_size=400),
            index=st.integers(0, 2),
            end=st.sampled_from(["\n\n", "\r\n\r\n", "\n", "\r\r"]),
        ),
        st.builds(lambda text: chunk(tool_calls=[{"function": {"arguments": text}}]), st.text()),
        st.binary(max_size=60),
        st.sampled_from([DONE, b": ping\n\n", b"data: {half\n\n", b'data: {"choices": 1}\n\n']),
    ),
    max_size=8,
).map(b"".join)


def cut(data, cuts):
    places = sorted({0, len(data), *(place % (len(data) + 1) for place in cuts)})
    return [data[a:b] for a, b in pairwise(places)]


@given(data=events, cuts=st.lists(st.integers(0, 10_000), max_size=12))
@settings(deadline=None, max_examples=200)
def test_whatever_comes_passes_unchanged_if_all_of_it_is_safe(data, cuts):
    out, heard, ended = run(cut(data, cuts), scripted())
    assert (b"".join(out), ended) == (data, None)
    assert all(judged.action == "pass" for judged in heard)


@given(
    texts=st.lists(st.text("abH", min_size=1, max_size=300), max_size=8),
    cuts=st.lists(st.integers(0, 10_000), max_size=12),
    end=st.sampled_from(["\n\n", "\r\n\r\n"]),
    show=st.booleans(),
)
@settings(deadline=None, max_examples=200)
def test_what_comes_before_a_block_was_judged_safe(texts, cuts, end, show):
    data = b"".join(chunk(text, end=end) for text in texts)
    checks = scripted(lambda text: "HH" in text)
    out, _, ended = run(cut(data, cuts), checks, "" if show else WORDS)
    came = b"".join(out)
    assert data.startswith(came)
    lines = [line for line in came.splitlines() if line.startswith(b"data:")]
    said = "".join(json.loads(line[5:])["choices"][0]["delta"]["content"] for line in lines)
    assert "HH" not in said
    assert (ended is not None) == ("HH" in "".join(texts))
    safe = [text for (text,) in checks.asked if "HH" not in text]
    assert not said or ("" if show else WORDS) + said == safe[-1]


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_a_stream_of_responses_is_judged_and_what_it_repeats_is_not_read_twice(size):
    data = "".join(f"{event}\n\n" for event in response_events([" go", " on."], " go on.")).encode()
    checks = scripted()
    out, _, _ = run([data[at : at + size] for at in range(0, len(data), size)], checks)
    assert b"".join(out) == data
    assert checks.asked == [[WORDS + " go on."]]


def test_what_responses_say_without_pieces_is_judged():
    item = {"type": "function_call", "call_id": "c", "name": "rm", "arguments": '{"a": "HARM"}'}
    for event in (
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": {"output": [item], "model": "m"}},
        {"type": "response.output_text.done", "text": "HARM"},
        {"type": "response.function_call_arguments.delta", "delta": "HARM"},
    ):
        data = f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
        out, _, ended = run([data], scripted(lambda text: "HARM" in text))
        assert isinstance(ended, Blocked) and out == []
