"""An OpenAI-compatible server, asked one question at a time.

For the few questions before work begins: which models it has, whether it continues,
how it counts tokens. Many at once, with patience and a memory, is `sending`. Whole
answers and streams of chats, completions and responses are read, as text alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Self

import httpx

from foreword.core.errors import ConfigError, ForewordError, ModelError, UsageError
from foreword.models.dialects import Body

DENIED = (401, 403)
TIMEOUT_S = 60.0  # of one question; a cold server loads its weights on the first


class Rejected(ModelError):
    """The server answers a request with an error of its own."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Server:
    """An OpenAI-compatible server, asked one question at a time."""

    def __init__(self, base_url: str, model: str | None = None, api_key: str | None = None) -> None:
        """Asks for the first model that the server lists if none is named.

        Raises:
            UsageError: `base_url` is no http address, or holds a password.
            ConfigError: the key could not be sent.
            ModelError: nothing answers there, or it is no such server.
        """
        self.base_url = _address(base_url)
        self._client = httpx.Client(headers=bearer(checked_key(api_key)), timeout=TIMEOUT_S)
        try:
            self.model = model or self._first_model()
        except ForewordError:
            self._client.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self._client.close()

    def _first_model(self) -> str:
        answer = self._send("GET", "/models")
        try:
            return str(answer.json()["data"][0]["id"])
        except (ValueError, LookupError, TypeError) as error:
            raise ModelError(
                f"{self.base_url}/models lists no model; is this the /v1 address of an "
                "OpenAI-compatible server?"
            ) from error

    def say(self, body: Body, *, stream: bool) -> str:
        """The text of the first choice.

        Raises:
            ModelError: the server fails or says something else than a chat answer.
        """
        answer = self._send("POST", "/chat/completions", {**body, "stream": stream})
        try:
            if stream:
                return "".join(_deltas(answer.text))
            return str(answer.json()["choices"][0]["message"]["content"] or "")
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise ModelError(f"{self.base_url} gave no chat answer: {short(answer)}") from error

    def complete(self, body: Body, *, stream: bool) -> str:
        """The text of the first choice of /completions.

        Raises:
            ModelError: the server fails or says something else than a completion.
        """
        answer = self._send("POST", "/completions", {**body, "stream": stream})
        try:
            events = _events(answer.text) if stream else [answer.json()]
            return "".join(choice["text"] for event in events for choice in event["choices"])
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise ModelError(f"{self.base_url} gave no completion: {short(answer)}") from error

    def prompt_tokens(self, path: str, body: Body) -> int:
        """How many tokens of prompt the server counts.

        Raises:
            ModelError: the server fails or does not say.
        """
        answer = self._send("POST", path, body)
        try:
            return int(answer.json()["usage"]["prompt_tokens"])
        except (ValueError, LookupError, TypeError) as error:
            raise ModelError(f"{self.base_url} counts no tokens: {short(answer)}") from error

    def respond(self, body: Body, *, stream: bool) -> str:
        """The text of an answer of /responses.

        Raises:
            Rejected: the server refuses, or has no such route (NO_ROUTE).
            ModelError: the server fails or says something else than such an answer.
        """
        answer = self._send("POST", "/responses", {**body, "stream": stream})
        try:
            if stream:
                return "".join(_text_deltas(answer.text))
            return "".join(_texts(answer.json()["output"]))
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise ModelError(f"{self.base_url} gave no response: {short(answer)}") from error

    def _send(self, method: str, path: str, body: Body | None = None) -> httpx.Response:
        try:
            try:
                answer = self._client.request(method, self.base_url + path, json=body)
            except httpx.RemoteProtocolError:  # a kept connection that the server has closed
                answer = self._client.request(method, self.base_url + path, json=body)
        except httpx.HTTPError as error:
            raise ModelError(f"{self.base_url} does not answer: {reason(error)}") from error
        if answer.status_code == httpx.codes.NOT_FOUND:
            raise Rejected(
                answer.status_code,
                f"{self.base_url}{path} is not there (404); name the address that ends in /v1",
            )
        if not answer.is_success:
            status = answer.status_code  # what a server says of a key might repeat it
            said = "it does not take the key" if status in DENIED else short(answer)
            raise Rejected(status, f"{self.base_url}{path}: {status} {said}")
        return answer


def checked_key(key: str | None, name: str = "the key") -> str:
    """A key as it can be sent: without the white space that files and shells leave around it.

    Raises:
        ConfigError: it holds a character that no header carries; the message, which calls it
            `name`, does not repeat it.
    """
    key = (key or "").strip()
    if not (key.isascii() and key.isprintable()):
        raise ConfigError(f"{name} holds a character that no key has; set it again")
    return key


def bearer(key: str) -> dict[str, str]:
    """The header that carries a checked key; none without one."""
    return {"Authorization": f"Bearer {key}"} if key else {}


def reason(error: httpx.HTTPError) -> str:
    """Why no answer came; what httpx says of a header that it cannot send repeats the header."""
    told = "" if isinstance(error, httpx.LocalProtocolError) else str(error)
    return told or type(error).__name__


def _address(base_url: str) -> str:
    """Without a slash at its end.

    Raises:
        UsageError: it is no http address, or holds a password.
    """
    if "@" in base_url:  # first, so that no message repeats it
        raise UsageError("a password does not belong into an address; set FOREWORD_UPSTREAM_KEY")
    try:
        at = httpx.URL(base_url)
    except httpx.InvalidURL as error:
        raise UsageError(f"{base_url!r} is no http address: {error}") from error
    if at.scheme not in ("http", "https") or not at.host:
        raise UsageError(f"{base_url!r} is no http address; for example http://127.0.0.1:8000/v1")
    return base_url.rstrip("/")


def _deltas(text: str) -> Iterator[str]:
    for event in _events(text):
        for choice in event["choices"]:
            yield choice["delta"].get("content") or ""


def _text_deltas(text: str) -> Iterator[str]:
    for event in _events(text):
        if event["type"] == "response.output_text.delta":
            yield event["delta"]


def _texts(output: list[Body]) -> Iterator[str]:
    for item in output:
        if item["type"] == "message":
            for part in item["content"]:
                yield part.get("text") or ""


def _events(text: str) -> Iterator[Body]:
    for line in text.splitlines():
        data = line.removeprefix("data:").strip()
        if line.startswith("data:") and data != "[DONE]":
            yield json.loads(data)


def short(answer: httpx.Response) -> str:
    """The beginning of an answer in one line."""
    return " ".join(answer.text[:200].split()) or "an empty answer"
