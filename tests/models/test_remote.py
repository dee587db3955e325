"""Servers as targets: how each is asked, what is kept, and what faults come to."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import ExitStack

import httpx
import pytest

from foreword import Guard, models
from foreword.cli.options import Served, load_target
from foreword.core.errors import ConfigError, ForewordWarning, ModelError, UsageError
from foreword.core.protocols import Model
from foreword.models.dialects import DIALECTS
from foreword.models.probe import BEGINNINGS, NoContinuation
from foreword.models.remote import RemoteModel
from foreword.models.replies import FILE, Replies, Said
from foreword.models.sending import KEY_VARIABLE, Patience, pause_s
from foreword.models.server import Server, reason
from foreword.models.templates import Template, Unrenderable
from foreword.suites import get
from foreword.testing.models import tiny_tokenizer
from foreword.testing.servers import FakeServer, RawServer, written

WORDS = "As an honest agent, I"
ASK = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Tidy up."}]
SHORT = Patience(first_s=0.001, longest_s=0.002, total_s=2.0, tries=3)
GOES_ON = {each.prefix: each.goes_on for each in BEGINNINGS}


def asks(*names):
    return [[{"role": "user", "content": name}] for name in names]


def body_of(request):
    return json.loads(request.partition(b"\r\n\r\n")[2])


def answer(text, total=9, finish="stop"):
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": finish}
    usage = {"prompt_tokens": 6, "completion_tokens": 3, "total_tokens": total}
    return written(json.dumps({"choices": [choice], "usage": usage}).encode())


def refusal(status, said="no", **headers):
    """An error of a server in bytes, with its length last."""
    lines = "".join(f"\r\n{name.replace('_', '-')}: {value}" for name, value in headers.items())
    return written(json.dumps({"error": said}).encode(), status=f"{status} X{lines}")


@pytest.fixture
def stack():
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def scripted(stack):
    """A function that connects, unproved, to a server that answers in the bytes of `say`."""

    def start(say, **options):
        def tell(connection, request, n):
            server.bodies.append(body_of(request))
            server.heads.append(request.partition(b"\r\n\r\n")[0].decode())
            connection.sendall(say(server.bodies[-1], len(server.bodies)))

        server = RawServer(tell)
        server.bodies, server.heads = [], []
        stack.enter_context(server)
        given = {"model": "m", "placement": "suffix", "patience": SHORT, **options}
        return server, RemoteModel.open(server.url, **given)

    return start


# How each server is asked.


@pytest.mark.parametrize("how", ["named", "auto"])
@pytest.mark.parametrize("name", DIALECTS)
def test_each_server_continues_and_no_reply_holds_the_prefix_again(stack, name, how):
    server = stack.enter_context(FakeServer(name))
    model = RemoteModel.open(server.url, dialect=name if how == "named" else "auto")
    assert isinstance(model, Model)
    for prefix, more in [*GOES_ON.items(), (WORDS, " go on.")]:
        (reply,) = model.generate([ASK], prefix=prefix, max_new_tokens=20)
        assert (reply.prefix, reply.continuation) == (prefix, more)
        assert reply.stopped and reply.text == prefix + more
        assert server.asked[-1]["messages"][:2] == ASK
    assert model.fingerprint == f"fake@{server.url}"
    assert model.requests == 5 and model.tokens > 0


@pytest.mark.parametrize(
    ("manner", "said"),
    [("openai", "came 'Sure"), ("anthropic", "does not support assistant message prefill")],
)
def test_a_server_that_closes_the_turn_or_refuses_it_is_refused_with_what_to_do(
    stack, manner, said
):
    server = stack.enter_context(FakeServer(manner))
    with pytest.raises(NoContinuation) as raised:
        RemoteModel.open(server.url)
    for each in (said, server.url, "--placement suffix", "--render SOURCE", "another server"):
        assert each in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["vllm", "llamacpp", "ollama"])
def test_a_reply_that_nobody_begins_is_a_turn_of_its_own_with_as_little_thinking(stack, name):
    server = stack.enter_context(FakeServer(name))
    model = RemoteModel.open(server.url, dialect=name)
    (reply,) = model.generate([ASK], max_new_tokens=20)
    assert (reply.prefix, reply.continuation) == ("", "Sure, here is a new turn.")
    sent = server.asked[-1]
    assert sent["messages"] == ASK and "continue_final_message" not in sent
    assert ("chat_template_kwargs" in sent) == (name != "ollama")


def test_a_suffix_ends_the_users_message_as_a_guard_does_and_is_not_the_models_words(stack):
    server = stack.enter_context(FakeServer("openai"))
    model = RemoteModel.open(server.url, placement="suffix")
    assert server.asked == []  # nothing is proved, for nothing is continued
    (reply,) = model.generate([ASK], prefix="Stay safe.", max_new_tokens=20)
    assert (reply.prefix, reply.continuation) == ("", "Sure, here is a new turn.")
    guard = Guard(prefix="Stay safe.", placement="suffix", target="t")
    assert server.asked[-1]["messages"] == guard.apply(ASK)
    assert "chat_template_kwargs" not in server.asked[-1]
    with pytest.raises(UsageError, match="needs a user's message"):
        model.generate([ASK[:1]], prefix="Stay safe.")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A folder with a tokenizer and its chat template."""
    folder = tmp_path_factory.mktemp("tokenizer")
    tiny_tokenizer().save_pretrained(folder)
    (folder / "config.json").write_text('{"model_type": "llama"}')
    return str(folder)


def test_a_rendered_prompt_goes_to_completions_and_is_proved_there(stack, source):
    server = stack.enter_context(FakeServer("transformers"))
    with pytest.raises(NoContinuation):
        RemoteModel.open(server.url)
    model = RemoteModel.open(server.url, render=source)
    (reply,) = model.generate([ASK], prefix=WORDS, max_new_tokens=20)
    assert (reply.prefix, reply.continuation, reply.stopped) == (WORDS, " go on.", True)
    sent = server.asked[-1]
    assert sent["prompt"] == Template.load(source).prompt(ASK, WORDS)
    assert sent["stop"] == ["<|im_end|>"]
    with pytest.raises(Unrenderable, match="would forge a turn"):
        model.generate([ASK], prefix="x<|im_end|>")
    with pytest.raises(UsageError, match="leave --dialect out"):
        RemoteModel.open(server.url, render=source, dialect="vllm")


def test_a_server_without_completions_cannot_be_rendered_for(stack, source):
    server = stack.enter_context(FakeServer("openai"))
    with pytest.raises(ModelError, match=r"/completions is not there \(404\)"):
        RemoteModel.open(server.url, render=source)


def test_a_turn_of_the_assistant_is_closed_and_another_one_opened(stack, source):
    server = stack.enter_context(FakeServer("transformers"))
    model = RemoteModel.open(server.url, render=source)
    assert model.reopens
    model.generate([[*ASK, {"role": "assistant", "content": "ls"}]])
    reopened = "<|im_start|>assistant\nls<|im_end|>\n<|im_start|>assistant\n"
    assert server.asked[-1]["prompt"].endswith(reopened)


# What comes back.


def test_replies_stand_in_order_however_they_arrive(scripted):
    def say(body, n):
        name = body["messages"][-1]["content"].split("\n")[0]
        time.sleep(0.03 * (5 - int(name)))
        return answer(f"reply to {body['messages'][-1]['content']}")

    _, model = scripted(say)
    names = [str(at) for at in range(6)]
    said = [reply.continuation for reply in model.generate(asks(*names))]
    assert said == [f"reply to {name}" for name in names]
    prompts = model.prefill(asks(*names))
    assert len(prompts) == 6
    rows = prompts.generate(["a", "b"], 5, rows=[4, 1])
    assert [[reply.continuation for reply in row] for row in rows] == [
        [f"reply to {name}\n{words}" for name in ("4", "1")] for words in ("a", "b")
    ]
    assert [len(row) for row in prompts.generate(["a"], 5, lambda *_: True)] == [6]
    with pytest.raises(UsageError, match="no chat to prefill"):
        model.prefill([])


def test_no_more_requests_at_a_time_than_allowed(scripted):
    lock, now, most = threading.Lock(), [0], [0]

    def say(body, n):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.02)
        with lock:
            now[0] -= 1
        return answer("x")

    server, model = scripted(say, concurrency=3)
    model.generate(asks(*map(str, range(24))))
    assert most == [3] and server.connections == 3


def test_tokens_are_what_the_server_counts_and_stopped_what_it_says(scripted):
    _, model = scripted(lambda body, n: answer(f"{n}", finish="stop" if n == 1 else "length"))
    (first,), (second,) = model.generate(asks("a")), model.generate(asks("b"))
    assert (first.tokens, first.stopped, second.stopped) == (3, True, False)
    assert (model.tokens, model.requests) == (18, 2)


def test_a_server_that_counts_nothing_and_says_nothing_is_no_fault(scripted):
    silent = {"choices": [{"message": {"content": None}}], "usage": None}
    _, model = scripted(lambda body, n: written(json.dumps(silent).encode()))
    (reply,) = model.generate(asks("a"))
    assert (reply.continuation, reply.tokens, reply.stopped) == ("", 0, False)


def test_a_reply_that_is_cut_off_before_its_first_word_is_asked_for_again(scripted, tmp_path):
    texts = {1: "", 2: "said"}
    _, model = scripted(lambda body, n: answer(texts[n], finish="length"), cache=tmp_path)
    (reply,) = model.generate(asks("a"))
    assert (reply.continuation, model.requests) == ("said", 2)
    assert model.generate(asks("a")) == [reply] and model.requests == 2  # this one is kept
    assert model.kept == 1
    _, mute = scripted(lambda body, n: answer("", finish="length"))
    with pytest.raises(ModelError, match="gave no reply"):
        mute.generate(asks("b"))


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_a_server_that_thinks_instead_of_speaking_is_named_at_once(scripted, name):
    message = {"content": None, name: "The user wants"}
    said = {"choices": [{"message": message, "finish_reason": "length"}]}
    _, model = scripted(lambda body, n: written(json.dumps(said).encode()))
    with pytest.raises(ModelError, match="switch its thinking off"):
        model.generate(asks("a"))
    assert model.requests == 1


def test_a_reply_ends_behind_the_stop_text_as_a_local_one_does(scripted):
    server, model = scripted(lambda body, n: answer("```\nls\n```\n\nDone.", finish="length"))
    (reply,) = model.generate(asks("a"), stop="\n```\n\n")
    assert (reply.continuation, reply.stopped) == ("```\nls\n```\n\n", True)
    assert "stop" not in server.bodies[0]  # servers leave it out of the text


def test_each_chat_has_a_seed_of_its_own_and_a_greedy_one_none(scripted):
    server, model = scripted(lambda body, n: answer("x"))
    for seed in (1, 2):
        model.generate(asks("a", "a"), temperature=0.7, seed=seed)
    assert len({body["seed"] for body in server.bodies}) == 4
    model.generate(asks("a", "a"))
    assert "seed" not in server.bodies[4]
    assert len(server.bodies) == 5  # equal greedy requests are one


def test_half_a_character_is_no_fault(scripted, tmp_path):
    half = r'{"choices": [{"message": {"content": "a\ud83d"}, "finish_reason": "length"}]}'
    _, model = scripted(lambda body, n: written(half.encode()), cache=tmp_path)
    (reply,) = model.generate([[{"role": "user", "content": "b\ud83d"}]])
    assert reply.continuation == "a?"


# Faults.


def test_an_address_that_cannot_be_used_is_refused_without_its_password():
    for wrong in ("127.0.0.1:8000", "http://localhost:abc/v1", "ftp://h/v1"):
        with pytest.raises(UsageError, match="is no http address"):
            RemoteModel.open(wrong, model="m", placement="suffix")
    with pytest.raises(UsageError, match=f"set {KEY_VARIABLE}") as raised:
        RemoteModel.open("http://me:secret@h/v1", model="m", placement="suffix")
    assert "secret" not in str(raised.value)


def test_an_unreachable_server_is_named_after_a_few_tries():
    with pytest.raises(ModelError, match=r"http://127.0.0.1:9/v1 does not answer"):
        RemoteModel.open("http://127.0.0.1:9/v1")
    model = RemoteModel.open("http://127.0.0.1:9/v1", model="m", placement="suffix", patience=SHORT)
    with pytest.raises(ModelError, match=r"http://127.0.0.1:9/v1 does not answer"):
        model.generate(asks("a"))
    assert model.requests == SHORT.tries


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_is_not_taken_ends_it_at_once_and_is_not_repeated(scripted, status):
    server, model = scripted(lambda body, n: refusal(status, "bad sk-secret"), api_key="sk-secret")
    with pytest.raises(ConfigError, match=KEY_VARIABLE) as raised:
        model.generate(asks("a"))
    assert len(server.bodies) == 1 and "authorization: bearer sk-secret" in server.heads[0].lower()
    assert "sk-secret" not in str(raised.value) + repr(model)
    with pytest.raises(ConfigError, match=KEY_VARIABLE):
        RemoteModel.open(server.url, dialect="ollama", model="m", patience=SHORT)


@pytest.mark.parametrize("space", ["\r\n", "\r", "\n", " "])
def test_the_white_space_around_a_key_is_no_part_of_it(scripted, space):
    server, model = scripted(lambda body, n: answer("x"), api_key=f"{space}sk-secret{space}")
    model.generate(asks("a"))
    assert server.heads[0].lower().count("authorization: bearer sk-secret") == 1


@pytest.mark.parametrize("bad", ["sk-sec\nret", "sk-sec\0ret", "sk-sécret", "sk-\u2013secret"])
def test_a_key_that_cannot_be_sent_is_refused_and_not_repeated(bad):
    with pytest.raises(ConfigError, match=f"{KEY_VARIABLE} holds a character") as raised:
        RemoteModel.open("http://127.0.0.1:9/v1", api_key=bad)
    with pytest.raises(ConfigError, match="the key holds a character") as alone:
        Server("http://127.0.0.1:9/v1", None, bad)
    for said in (str(raised.value), str(alone.value)):
        assert "ret" not in said and "\n" not in said


def test_what_httpx_says_of_a_header_it_cannot_send_is_not_repeated():
    assert reason(httpx.LocalProtocolError("Illegal header value b'Bearer sk'")) == (
        "LocalProtocolError"
    )
    assert reason(httpx.ConnectError("refused")) == "refused"
    assert reason(httpx.ReadTimeout("")) == "ReadTimeout"


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server_is_waited_for_as_long_as_it_asks(scripted, status):
    def say(body, n):
        # A line that breaks once has its own patience.
        return (
            answer("at last") if n > 6 else refusal(500 if n == 6 else status, retry_after="0.02")
        )

    _, model = scripted(say)
    start = time.monotonic()
    (reply,) = model.generate(asks("a"))
    assert reply.continuation == "at last" and model.requests == 7
    assert time.monotonic() - start >= 6 * 0.02


def test_the_probe_waits_for_a_server_that_still_loads_its_weights(stack):
    with FakeServer("ollama") as inner:
        turned_away = []

        def say(body):
            if len(turned_away) < 3:
                turned_away.append(body)
                return 503, {"error": {"message": "Loading model"}}
            return answered(body)

        answered, inner.answer = inner.answer, say
        model = RemoteModel.open(inner.url, dialect="ollama", patience=SHORT)
        assert model.generate(asks("a"), prefix=WORDS)[0].continuation == " go on."


def test_patience_ends(scripted):
    server, model = scripted(lambda body, n: refusal(429, "slow down"))
    with pytest.raises(ModelError, match=r"429 .*slow down"):
        model.generate(asks("a"))
    assert len(server.bodies) > SHORT.tries
    server, model = scripted(lambda body, n: refusal(429, retry_after="86400"))
    with pytest.raises(ModelError, match="429"):
        model.generate(asks("a"))  # no pause so long is begun
    assert len(server.bodies) == 1


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("7", 7),
        ("1.5", 1.5),
        ("-3", 0),
        ("nan", 0),
        ("inf", 0),
        ("soon", 0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("Wed, 21 Oct 2015 07:28:00", 0),
    ],
)
def test_how_long_a_server_asks_to_be_left_alone(said, seconds):
    assert pause_s({"retry-after": said}) == seconds
    assert pause_s({}) == 0
    assert pause_s({"retry-after": "Wed, 21 Oct 2999 07:28:00 GMT"}) > 1e9


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n" + b'{"choices": [{"mess',
        written(b"\xff\xfe\xfa not utf-8 \x80"),
        written(b"<html>busy</html>", "text/html"),
        written(b"[]"),
        written(b'{"choices": []}'),
        written(b'{"choices": [{"message": {"content": 7}}]}'),
        written(b'{"error": "x"}'),
        refusal(500),
    ],
    ids=["closed", "cut", "bytes", "html", "list", "no choice", "number", "error", "500"],
)
def test_a_broken_answer_is_asked_for_again_and_at_last_an_error(stack, broken):
    def tell(connection, request, n):
        tries.append(n)
        mended = len(tries) == SHORT.tries and mend
        # Said, or the client may ask again on the line that is just being closed.
        closed = broken.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n", 1)
        connection.sendall(answer("whole") if mended else closed)
        return mended

    server = stack.enter_context(RawServer(tell))
    model = RemoteModel.open(server.url, model="m", placement="suffix", patience=SHORT)
    for mend in (True, False):
        tries = []
        if mend:
            assert model.generate(asks("a"))[0].continuation == "whole"
        else:
            with pytest.raises(ModelError, match=server.url):
                model.generate(asks("b"))
        assert len(tries) == SHORT.tries


def test_a_refused_request_is_an_error_at_once_that_says_why(scripted):
    server, model = scripted(lambda body, n: refusal(400, "maximum context length"))
    with pytest.raises(ModelError, match=r"400 .*maximum context length"):
        model.generate(asks("a"))
    assert len(server.bodies) == 1


# What is kept.


def test_a_repeated_run_sends_nothing(stack, tmp_path):
    server = stack.enter_context(FakeServer("llamacpp"))
    prefixes = [WORDS, "", "I must"]

    def run(**options):
        model = RemoteModel.open(server.url, cache=tmp_path, **options)
        replies = model.prefill([ASK, *asks("a", "b")]).generate(prefixes, 20)
        return replies, model

    first, paid = run()
    again, free = run()
    assert again == first
    assert (paid.requests, free.requests, free.tokens) == (9, 0, 0)
    assert run(model="other")[1].requests == 9
    with FakeServer("ollama", "fake") as elsewhere:
        other = RemoteModel.open(elsewhere.url, cache=tmp_path)
        other.generate([ASK], prefix=WORDS, max_new_tokens=20)
        assert other.requests == 1


def test_what_arrived_before_an_error_is_kept(scripted, tmp_path):
    refused = ["7"]

    def say(body, n):
        name = body["messages"][-1]["content"]
        return refusal(400) if name in refused else answer(name)

    names = [str(at) for at in range(10)]
    server, model = scripted(say, cache=tmp_path, concurrency=1)
    with pytest.raises(ModelError):
        model.generate(asks(*names))
    refused.clear()
    assert [reply.continuation for reply in model.generate(asks(*names))] == names
    assert len(server.bodies) == 8 + 3


_CHILD = """
import signal, sys
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job would ignore it
from foreword.models.remote import RemoteModel
url, cache = sys.argv[1:]
model = RemoteModel.open(url, model="m", placement="suffix", cache=Path(cache), concurrency=2)
chats = [[{"role": "user", "content": str(at)}] for at in range(10)]
print(len(model.generate(chats)), model.requests)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_search_that_is_killed_half_way_asks_for_the_rest_only(scripted, tmp_path, how):
    hang = threading.Event()

    def say(body, n):
        if n > 4 and not hang.is_set():
            asked.release()
            hang.wait(20)
        return answer("x")

    asked = threading.Semaphore(0)
    server, _ = scripted(say)
    command = [sys.executable, "-c", _CHILD, server.url, str(tmp_path)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert asked.acquire(timeout=60) and asked.acquire(timeout=60)
    start = time.monotonic()
    child.send_signal(how)
    _, said = child.communicate(timeout=20)
    assert time.monotonic() - start < 3
    assert child.returncode in (-how, 130) and ("KeyboardInterrupt" in said) == (how == 2)
    hang.set()
    out = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    assert out.split() == ["10", "6"]  # four had come, two were under way


def test_a_damaged_file_is_set_aside_whenever_it_is_found(tmp_path):
    (tmp_path / FILE).write_bytes(b"no database at all" * 999)
    with (
        pytest.warns(ForewordWarning, match=r"damaged .* replies-2.damaged now"),
        Replies(tmp_path) as replies,
    ):
        for at in range(2000):
            replies.put(b"%d" % at, Said("x" * 50, at, stopped=True))
        assert replies.get(b"7") == Said("x" * 50, 7, stopped=True)
    whole = (tmp_path / FILE).read_bytes()
    middle = whole[:4096] + b"\xa5" * (len(whole) - 4096)
    (tmp_path / FILE).write_bytes(middle)
    with Replies(tmp_path) as replies:
        with pytest.warns(ForewordWarning, match="damaged"):
            assert replies.get(b"7") is None
        replies.put(b"7", Said("y", 1, stopped=False))
    with Replies(tmp_path) as replies:
        assert replies.get(b"7") == Said("y", 1, stopped=False)
        assert replies.get(b"8") is None
    assert (tmp_path / "replies-2.damaged").read_bytes() == middle


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match=r"cannot keep replies in .*FOREWORD_CACHE"):
        Replies(tmp_path / "file").__enter__()
    (tmp_path / FILE).mkdir()
    with pytest.raises(UsageError, match=r"cannot keep replies in .*FOREWORD_CACHE"):
        Replies(tmp_path).__enter__()


def test_whoever_makes_the_file_at_the_same_time_tries_again(tmp_path, monkeypatch):
    connect, tried = sqlite3.connect, []

    def locked_once(*where, **how):
        tried.append(where)
        if len(tried) == 1:
            error = sqlite3.OperationalError("database is locked")
            error.sqlite_errorcode = sqlite3.SQLITE_BUSY
            raise error
        return connect(*where, **how)

    monkeypatch.setattr(sqlite3, "connect", locked_once)
    with Replies(tmp_path) as replies:
        replies.put(b"a", Said("x", 1, stopped=True))
        assert replies.get(b"a") == Said("x", 1, stopped=True)
    assert len(tried) == 2


def test_several_writers_share_a_file(tmp_path):
    def write(name):
        with Replies(tmp_path) as replies:
            for at in range(50):
                replies.put(b"%s %d" % (name, at), Said(name.decode(), at, stopped=True))

    threads = [threading.Thread(target=write, args=(name,)) for name in (b"a", b"b", b"c")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Replies(tmp_path) as replies:
        for name in (b"a", b"b", b"c"):
            assert replies.get(b"%s 49" % name) == Said(name.decode(), 49, stopped=True)


# The command line.


def test_the_address_of_a_server_is_a_target(stack, tmp_path, monkeypatch):
    monkeypatch.setenv("FOREWORD_CACHE", str(tmp_path))
    monkeypatch.setenv(KEY_VARIABLE, "sk-1")
    heads = []

    def tell(connection, request, n):
        heads.append(request.partition(b"\r\n\r\n")[0].lower())
        listed = written(b'{"data": [{"id": "served"}]}')
        connection.sendall(listed if request.startswith(b"GET") else answer("x"))

    server = stack.enter_context(RawServer(tell))
    target = load_target(server.url, None, Served(placement="suffix"))
    assert isinstance(target, RemoteModel) and target.fingerprint == f"served@{server.url}|suffix"
    target.generate([ASK])
    assert len(heads) == 2 and all(b"authorization: bearer sk-1" in head for head in heads)
    assert (tmp_path / FILE).is_file()
    with pytest.raises(UsageError, match="--adapter is for local weights"):
        load_target(server.url, "agent", Served())
    with pytest.raises(UsageError, match="go with a server"):
        load_target("reference", None, Served(placement="suffix"))


def test_search_and_eval_refuse_a_server_that_does_not_continue(stack, tmp_path):
    server = stack.enter_context(FakeServer("openai"))
    guard = tmp_path / "guard.json"
    Guard(prefix=WORDS, target="t").save(guard)
    main = [sys.executable, "-c", "from foreword.cli import main; main()"]
    for args, code, named in (
        (["search", "--out", "run"], 3, "does not continue a prefix"),
        (["eval", "files"], 3, "does not continue a prefix"),
        (["search", "--adapter", "agent"], 2, "--adapter is for local weights"),
        (["eval", "--guard", "guard.json", "--placement", "suffix"], 2, "leave --placement suffix"),
    ):
        command = [*main, *args, "--model", server.url]
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=60, cwd=tmp_path
        )
        (line,) = done.stderr.strip().splitlines()
        assert done.returncode == code and named in line


# Real servers.

ITEMS, TOKENS = 6, 24
PREFIXES = ("", "I want to keep people safe, so I", "This request is")


@pytest.fixture(scope="module")
def agent():
    return models.load("reference", adapter="agent")


@pytest.fixture(scope="module")
def llama(agent, tmp_path_factory):
    pytest.importorskip("xllamacpp")
    from foreword.testing.llamacpp import llama_server, write_gguf

    path = tmp_path_factory.mktemp("gguf") / "agent.gguf"
    write_gguf(agent, path)
    with llama_server(path) as url:
        yield url


@pytest.fixture(scope="module")
def chats():
    suite = get("files")
    kinds = ("benign", "harmful")
    tasks = [task for kind in kinds for task in suite.select(kind, "validation", ITEMS)]
    return [suite.chat(task) for task in tasks]


@pytest.mark.model
def test_the_real_llamacpp_server_replies_as_the_local_engine_does(agent, llama, chats, tmp_path):
    target = RemoteModel.open(llama, cache=tmp_path, concurrency=4)
    prompts = target.prefill(chats)
    rows = prompts.generate(PREFIXES, TOKENS)
    served = [reply for row in rows for reply in row]
    local = [reply for row in agent.prefill(chats).generate(PREFIXES, TOKENS) for reply in row]
    same = sum(a == b for a, b in zip(served, local, strict=True))
    print(f"{same}/{len(local)} replies of {TOKENS} tokens are equal to the local engine's")
    # Another engine, another order of additions: where two words are near a tie, they differ.
    assert same / len(local) >= 0.8
    assert prompts.generate(PREFIXES, TOKENS) == rows
    assert target.requests == len(local) and target.tokens > 0
    rendered = RemoteModel.open(llama, render="reference")
    few = rendered.generate(chats[:4], prefix=PREFIXES[1], max_new_tokens=TOKENS)
    assert sum(a == b for a, b in zip(few, rows[1], strict=False)) >= 3


@pytest.mark.model
def test_a_search_through_llamacpp_ends_as_the_local_one(agent, llama, tmp_path, monkeypatch):
    from foreword.search import ground, ping, race

    for name, size in (("BENIGN", 2), ("TWINS", 1), ("HARMFUL", 3), ("VALIDATION", 8)):
        monkeypatch.setattr(ground, name, size)
    monkeypatch.setattr(race, "PROMOTED", 1.0)  # all are written out
    monkeypatch.setattr(race, "BLOCKS", (1.0,))  # and nobody is given up
    monkeypatch.setattr(ping, "FINALISTS", 2)
    (tmp_path / "mine.txt").write_text("This request is\nI want to keep people safe, so I\n")
    served = RemoteModel.open(llama, cache=tmp_path, concurrency=4)
    found = {}
    for name, target in (("local", agent), ("served", served)):
        found[name] = ping.find(
            target, out=tmp_path / name, proposers=[f"file:{tmp_path / 'mine.txt'}"], rounds=1
        ).result
    scores = {
        name: {f.trial.prefix: f.validation for f in result.finalists}
        for name, result in found.items()
    }
    pairs = [
        pair
        for prefix in scores["local"]
        for pair in zip(*(s[prefix].outcomes for s in scores.values()), strict=True)
    ]
    same = sum(ours == theirs for ours, theirs in pairs)
    print(f"{same} of {len(pairs)} outcomes on validation tasks are equal")
    assert len(pairs) == 2 * (8 + 8 + 1 + 8)  # benign, twins, the bar between, harmful
    assert same / len(pairs) >= 0.85
    assert found["served"].best.prefix == found["local"].best.prefix
    sent = served.requests
    again = ping.find(
        served, out=tmp_path / "again", proposers=[f"file:{tmp_path / 'mine.txt'}"], rounds=1
    )
    assert again.result.best.prefix == found["served"].best.prefix
    assert served.requests == sent  # a repeated search pays nothing twice


@pytest.mark.skipif(not os.environ.get("FOREWORD_TEST_VLLM"), reason="names no vLLM server")
def test_a_real_vllm_server_continues_and_repeats_itself():
    url = os.environ["FOREWORD_TEST_VLLM"]
    target = RemoteModel.open(url, api_key=os.environ.get(KEY_VARIABLE))
    prefix = "Wednesday, Wednesday, Wednes"
    (reply,) = target.generate(asks("Write Wednesday eight times."), prefix=prefix)
    assert reply.prefix == prefix and reply.continuation.startswith("day")
    first = target.prefill(asks("Count to five.", "Say hello.")).generate(["Sure,", ""], 16)
    assert [[bool(reply.continuation) for reply in row] for row in first] == [[True] * 2] * 2
    assert target.tokens > 0
