"""Streams in all their pieces: the echo is cut exactly, the shown beginning comes once."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foreword.gateway import streams
from foreword.gateway.connection import UpstreamError
from foreword.gateway.streams import Stream

BEGUN = "As an honest agent, I"


def event(text=None, index=0, finish=None, **more):
    delta = {} if text is None else {"content": text}
    choice = {"index": index, "delta": delta, "finish_reason": finish}
    return f"data: {json.dumps({'id': 'x', 'choices': [choice], **more})}\n\n".encode()


DONE = b"data: [DONE]\n\n"


def run(stream, data, cut=1 << 30):
    out = b"".join(stream.feed(data[i : i + cut]) for i in range(0, len(data), cut))
    return out + stream.end()


def words(out):
    """What a client reads, by choice."""
    said: dict[int, str] = {}
    for line in out.decode().split("\n"):
        if line.startswith("data:") and "[DONE]" not in line:
            for choice in json.loads(line[5:])["choices"]:
                home = choice.get("delta", choice)
                text = home.get("content", home.get("text")) or ""
                said[choice["index"]] = said.get(choice["index"], "") + text
    return said


def pieces(text, sizes):
    at = 0
    for size in sizes:
        yield text[at : at + size]
        at += size
    yield text[at:]


@given(
    tail=st.text(max_size=30),
    sizes=st.lists(st.integers(0, 9), max_size=12),
    cut=st.integers(1, 200),
    echo=st.booleans(),
    show=st.booleans(),
    done=st.booleans(),
)
def test_the_client_reads_the_same_words_however_the_bytes_fall(tail, sizes, cut, echo, show, done):
    sent = (BEGUN if echo else "") + tail
    data = event("") + b"".join(event(p) for p in pieces(sent, sizes)) + event(None, finish="stop")
    stream = Stream(BEGUN, echo=echo, show=show, choices=1)
    out = run(stream, data + DONE * done, cut)
    assert words(out) == {0: (BEGUN if show else "") + tail}
    assert out.count(DONE) == done


@given(text=st.text(max_size=40), done=st.booleans())
def test_words_that_only_look_like_an_echo_are_kept(text, done):
    if text.startswith(BEGUN):
        return
    data = event(text) + DONE * done
    assert words(run(Stream(BEGUN, echo=True, show=False, choices=1), data)) == {0: text}
    assert words(run(Stream(BEGUN, echo=True, show=False, choices=1), event("As an"))) == {
        0: "As an"
    }


def test_each_of_several_choices_is_settled_on_its_own():
    data = b"".join([event("", 1), event(BEGUN, 0), event(BEGUN + " one", 1), event(" nil", 0)])
    hidden = Stream(BEGUN, echo=True, show=False, choices=2)
    assert words(run(hidden, data)) == {0: " nil", 1: " one"}
    data = b"".join([event(" one", 1), event(" nil", 0), event("!", 0), event("?", 1)])
    shown = Stream(BEGUN, echo=False, show=True, choices=2)
    assert words(run(shown, data)) == {0: BEGUN + " nil!", 1: BEGUN + " one?"}


def test_nothing_is_parsed_once_every_beginning_is_settled():
    stream = Stream(BEGUN, echo=True, show=False, choices=1)
    stream.feed(event(BEGUN) + event(" go"))
    odd = b"data: {not json at all \xff\n"
    assert stream.feed(odd) == odd
    untouched = Stream(BEGUN, echo=False, show=False, choices=None)
    assert untouched.feed(odd) == odd


@pytest.mark.parametrize("echo", [True, False])
def test_half_a_line_waits_for_its_other_half(echo):
    stream = Stream(BEGUN, echo=echo, show=echo, choices=1)
    assert stream.feed(event(" go")[:-2] + b"\ndata: {ha") == event(" go")[:-1]
    assert stream.feed(b"lf}\n") == b"data: {half}\n"
    assert stream.feed(b"data: x") == b"" and stream.end() == b"data: x"


def test_bytes_behind_the_last_beginning_of_one_packet_pass_as_they_are():
    rest = b": comment\r\n\r\ndata: {odd\n"
    out = Stream(BEGUN, echo=False, show=True, choices=1).feed(event(" go") + rest)
    assert out.endswith(rest)


def test_a_choice_of_unknown_count_is_followed_to_the_end():
    stream = Stream(BEGUN, echo=True, show=False, choices=None)
    data = event(BEGUN + " a", 0) + event(BEGUN + " b", 7)
    assert words(run(stream, data)) == {0: " a", 7: " b"}


def test_a_tool_call_gets_no_words_when_hidden_and_the_beginning_when_shown():
    call = {"index": 0, "delta": {"tool_calls": [{"index": 0, "id": "c"}]}}
    data = f"data: {json.dumps({'choices': [call]})}\n\n".encode()
    hidden = run(Stream(BEGUN, echo=True, show=False, choices=1), data)
    assert json.loads(hidden[5:])["choices"] == [call]
    shown = run(Stream(BEGUN, echo=False, show=True, choices=1), data)
    assert json.loads(shown[5:])["choices"][0]["delta"] == {**call["delta"], "content": BEGUN}


def test_completions_carry_their_text_elsewhere():
    chunk = {"choices": [{"index": 0, "text": " go", "finish_reason": None}]}
    out = run(
        Stream(BEGUN, echo=False, show=True, choices=1), f"data: {json.dumps(chunk)}\n\n".encode()
    )
    assert words(out) == {0: BEGUN + " go"}


@pytest.mark.parametrize(
    "line",
    [
        b": ping",
        b"event: error",
        b"data: {broken",
        b"data: 7",
        b'data: {"error": {"message": "x"}}',
        b'data: {"choices": []}',
        b'data: {"choices": 7}',
        b"data: \xff\xfe",
        b"",
    ],
)
def test_lines_without_a_choice_pass_as_they_are(line):
    stream = Stream(BEGUN, echo=True, show=False, choices=1)
    assert run(stream, line + b"\r\n" + event(BEGUN + " go")).startswith(line + b"\r\n")


def test_odd_choices_do_no_harm():
    for choice in (7, None, {}, {"delta": None}, {"index": [0], "delta": 7}, {"text": None}):
        data = f"data: {json.dumps({'choices': [choice]})}\n\n".encode()
        assert run(Stream(BEGUN, echo=True, show=False, choices=1), data).startswith(b"data: ")


def test_a_line_without_an_end_is_refused(monkeypatch):
    monkeypatch.setattr(streams, "MAX_LINE", 100)
    stream = Stream(BEGUN, echo=True, show=False, choices=1)
    with pytest.raises(UpstreamError, match="without an end"):
        stream.feed(b"data: " + b"x" * 101)


def test_line_ends_of_the_other_kind_stay():
    data = event(BEGUN + " go").replace(b"\n", b"\r\n")
    out = run(Stream(BEGUN, echo=True, show=False, choices=1), data)
    assert out.endswith(b"\r\n\r\n") and words(out.replace(b"\r", b"")) == {0: " go"}
