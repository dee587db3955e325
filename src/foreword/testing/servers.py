"""Servers that continue a prefix, or do not, each in the way of a real one.

`FakeServer` speaks /chat/completions, /responses and, where its `Manner` has the route,
/completions over a real socket; the manner says when it continues a trailing assistant
message, what it refuses, where it echoes.
MANNERS holds one for every server of docs/gateway.md. `RawServer` answers in bytes,
for faults; `running` serves an ASGI application such as the gateway.
"""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType
from typing import IO, Any, Self

from foreword.models.probe import BEGINNINGS

Body = dict[str, Any]
_TOKEN = re.compile(r"\s*\S+")
_KNOWN = {each.prefix: each.goes_on for each in BEGINNINGS}


def talk(messages: list[dict[str, Any]], beginning: str | None) -> str:
    """What the model behind the server says: it goes on, or it begins a turn of its own."""
    if beginning is None:
        return "Sure, here is a new turn."
    return _KNOWN.get(beginning, " go on.")


@dataclass(frozen=True)
class Manner:
    """How one kind of server treats a trailing assistant message."""

    continues: Callable[[Body], bool]  # otherwise it closes the turn in silence
    refuses: Callable[[Body], str] = lambda body: ""  # the reason of a 400
    echo: Callable[[Body], bool] = lambda body: False
    echo_stream: Callable[[Body], bool] = lambda body: False
    responds: Callable[[Body], bool] | None = None  # when it continues on /responses, if otherwise
    no_responses: int = 0  # the status of an error where it has no such route
    completes: bool | None = True  # on /completions, in ChatML or raw; None: no such route


def _flags(body: Body) -> bool:
    return body.get("continue_final_message") is True


def _both(body: Body) -> str:
    both = _flags(body) and body.get("add_generation_prompt", True)
    return "Cannot set both add_generation_prompt and continue_final_message to true" * both


def _llamacpp_refuses(body: Body) -> str:
    roles = [message["role"] for message in body["messages"]]
    if roles[-2:] == ["assistant", "assistant"]:
        return "Cannot have 2 or more assistant messages at the end of the list."
    if body.get("chat_template_kwargs", {}).get("enable_thinking", True):
        return "Assistant response prefill is incompatible with enable_thinking."
    return _both(body)


def _marked(body: Body) -> bool:
    return body["messages"][-1].get("prefix") is True


def _asked(body: Body) -> bool:
    return body.get("echo") is True


def _in_progress(body: Body) -> bool:
    return body["messages"][-1].get("status") in ("in_progress", "incomplete")


MANNERS: Mapping[str, Manner] = MappingProxyType(
    {
        "vllm": Manner(_flags, _both, _asked, _asked, _in_progress),
        "sglang": Manner(_flags, responds=lambda body: False),
        "llamacpp": Manner(lambda body: True, _llamacpp_refuses, lambda body: True, _asked),
        "ollama": Manner(lambda body: True, completes=False),
        "lmstudio": Manner(
            lambda body: True, echo=lambda body: True, echo_stream=lambda body: True
        ),
        "deepseek": Manner(_marked, no_responses=404),
        "mistral": Manner(
            _marked, echo=lambda body: True, echo_stream=lambda body: True, no_responses=404
        ),
        "openai": Manner(lambda body: False, completes=None),
        "transformers": Manner(lambda body: False, no_responses=404),
        "anthropic": Manner(
            lambda body: False,
            lambda body: "This model does not support assistant message prefill.",
            no_responses=404,
            completes=None,
        ),
    }
)


class FakeServer:
    """A context manager: a server on a free port of loopback, and what it was asked."""

    def __init__(self, manner: str | Manner, model: str = "fake") -> None:
        self.manner = MANNERS[manner] if isinstance(manner, str) else manner
        self.model = model
        self.asked: list[Body] = []
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,))

    @property
    def url(self) -> str:
        """Its /v1 address."""
        return f"http://127.0.0.1:{self._http.server_port}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def answer(self, body: Body) -> tuple[int, Any]:
        """Status and either an error, or the texts of a reply in the order they are sent."""
        self.asked.append(body)
        echo = self.manner.echo_stream if body.get("stream") else self.manner.echo
        return self._say(body, self.manner.continues, echo)

    def respond(self, body: Body) -> tuple[int, Any]:
        """The same for /responses: the texts of a stream, and that of a whole answer."""
        self.asked.append(body)
        manner = self.manner
        if manner.no_responses:
            return manner.no_responses, {"error": {"message": "not here"}}
        chat, continues = _as_chat(body), manner.responds or manner.continues
        status, parts = self._say(chat, continues, manner.echo_stream)
        if status != 200:
            return status, parts
        return 200, (parts, "".join(self._say(chat, continues, manner.echo)[1]))

    def complete(self, body: Body) -> tuple[int, Any]:
        """The same for /completions, of a model that goes on after its turn unless stopped."""
        self.asked.append(body)
        if self.manner.completes is None:
            return 404, {"error": {"message": "not here"}}
        begun = body["prompt"].rpartition("\n")[2]
        said = talk([], begun if self.manner.completes else None)
        text = f"{said}<|im_end|>\n<|im_start|>user\nMore.<|im_end|>"
        for stop in body.get("stop") or ():
            text = text.partition(stop)[0]
        return 200, _TOKEN.findall(text)[: body.get("max_tokens")]

    def _say(
        self, body: Body, continues: Callable[[Body], bool], echo: Callable[[Body], bool]
    ) -> tuple[int, Any]:
        last = body["messages"][-1]
        begun = last["role"] == "assistant"
        if begun and (reason := self.manner.refuses(body)):
            return 400, {"error": {"code": 400, "message": reason, "type": "invalid_request_error"}}
        goes_on = begun and continues(body)
        text = talk(body["messages"], last["content"] if goes_on else None)
        parts = [last["content"]] if goes_on and echo(body) else []
        return 200, [*parts, *_TOKEN.findall(text)[: body.get("max_tokens")]]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: Any) -> None:
                pass

            def do_GET(self) -> None:
                listed = {"object": "list", "data": [{"id": server.model, "object": "model"}]}
                if self.path == "/v1/models":
                    self._json(200, listed)
                else:
                    self._json(404, {"error": {"message": "not found"}})

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                responses = self.path == "/v1/responses"
                completions = self.path == "/v1/completions"
                say = server.respond if responses else server.answer
                status, answer = (server.complete if completions else say)(body)
                if status != 200:
                    self._json(status, answer)
                elif completions:
                    if body.get("stream"):
                        self._stream([f"data: {each}" for each in completion_events(body, answer)])
                    else:
                        self._json(200, completion(body, "".join(answer)))
                elif responses:
                    parts, whole = answer
                    if body.get("stream"):
                        self._stream(response_events(parts, whole))
                    else:
                        self._json(200, response_answer(whole))
                elif body.get("stream"):
                    deltas: list[Body] = [{"content": part} for part in answer]
                    choices = [
                        {"index": 0, "delta": delta, "finish_reason": None}
                        for delta in [{"role": "assistant"}, *deltas]
                    ]
                    chunks = [f"data: {json.dumps({'choices': [each]})}" for each in choices]
                    self._stream([*chunks, "data: [DONE]"])
                else:
                    message = {"role": "assistant", "content": "".join(answer)}
                    choice = {"index": 0, "message": message, "finish_reason": "stop"}
                    whole = {"object": "chat.completion", "choices": [choice]}
                    self._json(200, {**whole, "usage": usage(body, answer)})

            def _json(self, status: int, content: Any) -> None:
                data = json.dumps(content).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def _stream(self, events: list[str]) -> None:
                self.send_response(200)
                self.send_header("content-type", "text/event-stream")
                self.send_header("transfer-encoding", "chunked")
                self.end_headers()
                for each in events:
                    event = f"{each}\n\n".encode()
                    self.wfile.write(f"{len(event):x}\r\n".encode() + event + b"\r\n")
                self.wfile.write(b"0\r\n\r\n")

        return Handler


def usage(body: Body, parts: list[str]) -> Body:
    """Tokens of a request and its answer: words, and two for the frame of each message."""
    asked = body.get("messages") or [{"content": body.get("prompt")}]
    count = sum(2 + len(_TOKEN.findall(_text(message.get("content")))) for message in asked)
    return {"prompt_tokens": count, "completion_tokens": len(parts), "total_tokens": count}


def completion(body: Body, text: str, finish: str | None = "stop") -> Body:
    """An answer of /completions, or a piece of its stream; all choices say the same."""
    choice = {"text": text, "logprobs": None, "finish_reason": finish}
    choices = [{"index": at, **choice} for at in range(body.get("n") or 1)]
    said = {"id": "cmpl-1", "object": "text_completion", "created": 0, "model": "fake"}
    whole = {"usage": usage(body, _TOKEN.findall(text))} if not body.get("stream") else {}
    return {**said, "choices": choices, **whole}


def completion_events(body: Body, parts: list[str]) -> list[str]:
    """The data of a stream of /completions."""
    events = [completion(body, part, None) for part in parts] + [completion(body, "")]
    if (body.get("stream_options") or {}).get("include_usage"):
        events.append({**completion(body, ""), "choices": [], "usage": usage(body, parts)})
    return [*map(json.dumps, events), "[DONE]"]


def _as_chat(body: Body) -> Body:
    """A request of /responses as one of /chat/completions; items keep what else they hold."""
    asked = body["input"]
    items = [{"role": "user", "content": asked}] if isinstance(asked, str) else asked
    messages = [
        {**item, "role": item.get("role", "tool"), "content": _text(item.get("content"))}
        for item in items
    ]
    return {**body, "messages": messages, "max_tokens": body.get("max_output_tokens")}


def _text(content: Any) -> str:
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content)
    return content or ""


def _message(text: str) -> Body:
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    item = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed"}
    return {**item, "content": [part]}


def response_answer(text: str) -> Body:
    """A whole answer of /responses."""
    done = {"id": "resp_1", "object": "response", "status": "completed", "created_at": 0}
    return {**done, "model": "fake", "output": [_message(text)]}


def response_events(parts: list[str], whole: str) -> list[str]:
    """A stream of /responses in OpenAI's order: its pieces, and the events that repeat `whole`."""
    item = {**_message(""), "status": "in_progress", "content": []}
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    (part,) = _message(whole)["content"]
    events: list[tuple[str, Body]] = [
        ("created", {"response": {**response_answer(""), "status": "in_progress", "output": []}}),
        ("output_item.added", {"output_index": 0, "item": item}),
        ("content_part.added", {**place, "part": {**part, "text": ""}}),
        *(("output_text.delta", {**place, "delta": each, "logprobs": []}) for each in parts),
        ("output_text.done", {**place, "text": whole, "logprobs": []}),
        ("content_part.done", {**place, "part": part}),
        ("output_item.done", {"output_index": 0, "item": _message(whole)}),
        ("completed", {"response": response_answer(whole)}),
    ]
    said = []
    for number, (name, fields) in enumerate(events):
        event = {"type": f"response.{name}", "sequence_number": number, **fields}
        said.append(f"event: response.{name}\ndata: {json.dumps(event)}")
    return said


class RawServer:
    """A server that answers in bytes, for all that no server should do.

    `answer(socket, request, n)` gets the n-th connection's request and may write, wait
    and close as it likes; the connection is closed when it returns False.
    """

    def __init__(self, answer: Callable[[socket.socket, bytes, int], bool | None]) -> None:
        self._answer = answer
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self.connections = 0

    @property
    def url(self) -> str:
        """Its /v1 address."""
        return f"http://127.0.0.1:{self._listening.getsockname()[1]}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        # A thread that accepts is only woken by shutdown, not by close.
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for each in self._open:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        self._thread.join()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                self.connections += 1
                self._open.append(connection)
                threading.Thread(
                    target=self._serve, args=(connection, self.connections), daemon=True
                ).start()

    def _serve(self, connection: socket.socket, n: int) -> None:
        with suppress(OSError), connection.makefile("rb") as lines:
            while request := _read(lines):
                if self._answer(connection, request, n) is False:
                    connection.shutdown(socket.SHUT_RDWR)
                    return


class ScriptedServer(RawServer):
    """A server whose model says what `say` makes of each body: a text, or a message with calls.

    It lists one model, "scripted".
    """

    def __init__(self, say: Callable[[Body], str | Body]) -> None:
        self.asked: list[Body] = []
        self._say = say
        super().__init__(self._tell)

    def _tell(self, connection: socket.socket, request: bytes, n: int) -> None:
        if request.startswith(b"GET"):
            connection.sendall(written(b'{"data": [{"id": "scripted"}]}'))
            return
        body = json.loads(request.partition(b"\r\n\r\n")[2])
        self.asked.append(body)
        said = self._say(body)
        message = {"content": said} if isinstance(said, str) else said
        message = {"role": "assistant", "content": None, **message}
        finish = "tool_calls" if message.get("tool_calls") else "stop"
        choice = {
            "index": 0,
            "message": message,
            "text": message["content"],
            "finish_reason": finish,
        }
        connection.sendall(written(json.dumps({"model": "scripted", "choices": [choice]}).encode()))


def written(content: bytes, kind: str = "application/json", status: str = "200 OK") -> bytes:
    """An answer of HTTP in bytes, for `RawServer`."""
    head = f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {len(content)}"
    return head.encode() + b"\r\n\r\n" + content


def _read(lines: IO[bytes]) -> bytes:
    """One request: its head and a body of the length it names."""
    head, length = b"", 0
    for line in iter(lines.readline, b""):
        head += line
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
        if line == b"\r\n":
            return head + lines.read(length)
    return b""


@contextmanager
def running(app: Any, **options: Any) -> Iterator[str]:
    """An ASGI application served by uvicorn (and its options) on a free port; its /v1 address."""
    import uvicorn

    config = uvicorn.Config(app, log_level="warning", access_log=False, **options)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.005)
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        finally:
            server.should_exit = True
            thread.join()
