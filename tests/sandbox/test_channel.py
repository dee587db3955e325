"""The host's side of the protocol: bounded in size and time."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest

from foreword.sandbox.channel import Channel, ChannelError


@pytest.fixture
def pipes() -> Iterator[tuple[int, int, int, int]]:
    """(requests out, requests in, answers out, answers in), each (read, write)."""
    fds = (*os.pipe(), *os.pipe())
    yield fds
    for fd in fds:
        try:
            os.close(fd)
        except OSError:
            continue


def _answering(pipes: tuple[int, int, int, int], answer: bytes, line_bytes: int = 1000) -> Channel:
    os.write(pipes[3], answer)
    return Channel(pipes[1], pipes[2], line_bytes)


def test_a_request_and_its_answer(pipes: tuple[int, int, int, int]):
    channel = _answering(pipes, b'{"x": 1}\n')
    assert channel.ask({"do": "y"}, 1) == {"x": 1}
    assert os.read(pipes[0], 100) == b'{"do": "y"}\n'


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"nonsense\n", "Expecting value"),
        (b"[1]\n", "not an object"),
        (b"x" * 2000, "longer than 1000"),
        (b'{"cut": ', "in time"),
    ],
)
def test_nonsense_is_an_error(pipes: tuple[int, int, int, int], answer: bytes, words: str):
    with pytest.raises(ChannelError, match=words):
        _answering(pipes, answer).ask({}, 0.1)


def test_an_end_is_an_error(pipes: tuple[int, int, int, int]):
    os.close(pipes[3])
    with pytest.raises(ChannelError, match="ended"):
        Channel(pipes[1], pipes[2]).ask({}, 1)


def test_a_guest_that_does_not_listen_is_an_error(pipes: tuple[int, int, int, int]):
    with pytest.raises(ChannelError, match="in time"):
        Channel(pipes[1], pipes[2]).ask({"x": "y" * 500_000}, 0.1)


def test_a_long_request_goes_through(pipes: tuple[int, int, int, int]):
    got: list[bytes] = []

    def listen() -> None:
        while sum(map(len, got)) < 500_000:
            got.append(os.read(pipes[0], 65536))
        os.write(pipes[3], b"{}\n")

    thread = threading.Thread(target=listen)
    thread.start()
    assert Channel(pipes[1], pipes[2]).ask({"x": "y" * 500_000}, 5) == {}
    thread.join()
