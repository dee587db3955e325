"""A server as a target: what `LocalModel` is to search and evaluation, over the network.

A server is believed after the live probe alone: that it goes on from a prefix, and where
it repeats one. Three ways lead to a reply: a chat whose last turn is begun (`dialects`), a
prompt rendered here (`templates`), or words behind the user's own (placement "suffix"),
which need no proof because nothing is continued, and which no reply begins with.

Not covered: margins, for few servers tell log-probabilities of words they did not choose;
servers that take no `max_tokens` (OpenAI's reasoning models).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from foreword.core.errors import UsageError
from foreword.core.types import Chat, Placement, Reply
from foreword.models.dialects import RENDERED, Body, Dialect, dialect
from foreword.models.probe import Continuation, probe, probe_rendered
from foreword.models.replies import Said
from foreword.models.sending import CHAT, COMPLETIONS, KEY_VARIABLE, Line, Patience, Question
from foreword.models.server import Server
from foreword.models.templates import Template

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class RemoteModel:
    """A model behind an OpenAI-compatible server; implements the core protocol `Model`."""

    def __init__(
        self,
        line: Line,
        model: str,
        way: Continuation,
        placement: Placement = "prefix",
        template: Template | None = None,
    ) -> None:
        """Use `open`, which proves `way`."""
        self.model, self.placement = model, placement
        self.tokens = 0  # of prompts and replies, as the server counts; kept answers cost none
        self.requests = 0  # sent, those in vain included; the probe's are not counted
        self.kept = 0  # answers that were on the disk already
        self._line, self._way, self._template = line, way, template

    @classmethod
    def open(
        cls,
        base_url: str,
        *,
        model: str | None = None,
        api_key: str | None = None,
        dialect: str = "auto",
        placement: Placement = "prefix",
        render: str | None = None,
        concurrency: int = 16,
        cache: Path | None = None,
        patience: Patience = Patience(),  # noqa: B008 - frozen
        key_variable: str = KEY_VARIABLE,
    ) -> Self:
        """Connect to a server, and prove that it continues a prefix if one is to be continued.

        Args:
            base_url: The address that ends in /v1.
            model: Its name there; the first that the server lists if not given.
            api_key: Sent as a bearer token.
            dialect: How it is asked to continue, or "auto" for the first way that works.
            placement: "suffix" puts the words behind the user's last message instead.
            render: A model source whose chat template makes prompts for /v1/completions.
            concurrency: Requests at a time.
            cache: Folder in which answers are kept, so that none is paid for twice.
            patience: With a server that is busy or drops the line.
            key_variable: What to set where the key is not taken.

        Raises:
            UsageError: The address, the dialect or the source cannot be used.
            ConfigError: The server does not take the key.
            NoContinuation: It does not continue; the message says what to do.
            ModelError: It cannot be asked.
        """
        if render and dialect != "auto":
            raise UsageError("--render is a dialect of its own; leave --dialect out")
        template = Template.load(render) if render else None  # nobody is asked yet
        line = Line(
            base_url,
            api_key,
            concurrency=concurrency,
            cache=cache,
            patience=patience,
            key_variable=key_variable,
        )

        def meet() -> tuple[str, str, Continuation]:
            with Server(base_url, model, api_key) as server:
                return server.base_url, server.model, _prove(server, dialect, placement, template)

        line.base_url, name, way = line.patiently(meet)
        return cls(line, name, way, placement, template)

    @property
    def fingerprint(self) -> str:
        """Name and address, and how words are placed there if not as a chat's beginning.

        What weights lie behind them, nobody can tell from outside.
        """
        how = "|suffix" if self.placement == "suffix" else ""
        how = f"|rendered:{self._template.hash8}" if self._template else how
        return f"{self.model}@{self._line.base_url}{how}"

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase | None:
        """Of the model, where prompts are rendered here; None where only the server knows it."""
        return self._template.tokenizer if self._template else None

    @property
    def reopens(self) -> bool:
        """Whether a turn of the assistant at a chat's end is closed and another one opened."""
        return self._template is not None

    def generate(
        self,
        chats: Sequence[Chat],
        *,
        prefix: str = "",
        max_new_tokens: int = 256,
        temperature: float = 0.0,
        seed: int = 0,
        stop: str = "",
    ) -> list[Reply]:
        """Continue `prefix` as the next assistant turn of every chat, in order.

        Args:
            chats: The conversations; each ends with a user turn.
            prefix: Text the reply begins with, or that ends the user's last message.
            max_new_tokens: The most tokens a reply may add.
            temperature: 0 for greedy; else one seed a chat.
            seed: Seeds them; a chat's seed depends on this and its position only.
            stop: A reply is cut behind this text, which servers themselves would leave out.

        Raises:
            ConfigError: The server does not take the key.
            ModelError: It refuses a request, or has not answered after all patience.
            UsageError: There is no user's message to end, or no prompt can be rendered.
        """
        limits: Body = {"max_tokens": max_new_tokens, "temperature": temperature}
        questions = [
            self._question(chat, prefix, {**limits, **_seeded(temperature, seed, at)})
            for at, chat in enumerate(chats)
        ]
        return [self._reply(prefix, said, stop) for said in self._ask(questions)]

    def prefill(self, chats: Sequence[Chat]) -> RemotePrompts:
        """Chats on which many prefixes are tried; nothing is sent yet.

        Raises:
            UsageError: There is none.
        """
        return RemotePrompts(self, chats)

    def greedy(self, pairs: Sequence[tuple[str, Chat]], max_new_tokens: int) -> list[Reply]:
        """One greedy reply for each prefix and chat, in order; raises what `generate` raises."""
        limits: Body = {"max_tokens": max_new_tokens, "temperature": 0.0}
        said = self._ask([self._question(chat, prefix, limits) for prefix, chat in pairs])
        return [self._reply(prefix, each) for (prefix, _), each in zip(pairs, said, strict=True)]

    def _ask(self, questions: Sequence[Question]) -> list[Said]:
        try:
            return self._line.ask(questions)
        finally:
            self.tokens, self.requests = self._line.tokens, self._line.requests
            self.kept = self._line.kept

    def _question(self, chat: Chat, prefix: str, limits: Body) -> Question:
        turns, begun = [*chat], prefix
        if self.placement == "suffix":
            turns, begun = _ended(chat, prefix), ""
        if self._template:
            prompt, ends = self._template.prompt(turns, begun), list(self._template.ends)
            body = {"model": self.model, "prompt": prompt, "stop": ends, **limits}
            return Question(COMPLETIONS, body, begun if self._way.echo else "")
        body = {"model": self.model, "messages": turns, **limits}
        if not begun:
            return Question(CHAT, self._way.dialect.whole(body))
        body["messages"] = [*turns, {"role": "assistant", "content": begun}]
        return Question(CHAT, self._way.dialect.ask(body), begun if self._way.echo else "")

    def _reply(self, prefix: str, said: Said, stop: str = "") -> Reply:
        text, found, _ = said.text.partition(stop) if stop else (said.text, "", "")
        # The words of a suffix are the user's: the judge must not take them for the model's.
        begun = prefix if self.placement == "prefix" else ""
        return Reply(begun, text + found, said.tokens, said.stopped or bool(found), said.read)


class RemotePrompts:
    """Chats behind a server, as `SharedKV` is for local ones; made by `RemoteModel.prefill`."""

    def __init__(self, model: RemoteModel, chats: Sequence[Chat]) -> None:
        if not chats:
            raise UsageError("there is no chat to prefill; give at least one")
        self._model, self._chats = model, list(chats)

    def __len__(self) -> int:
        """The number of prompts."""
        return len(self._chats)

    def generate(
        self,
        prefixes: Sequence[str],
        max_new_tokens: int,
        enough: Callable[[str, str], bool] | None = None,
        rows: Sequence[int] | None = None,
    ) -> list[list[Reply]]:
        """Continue every prefix greedily on every prompt, all requests in one go.

        Args:
            prefixes: Texts the replies begin with.
            max_new_tokens: The most tokens a reply may add.
            enough: Not asked: a reply that is enough says the same when it is longer, and a
                server cannot be stopped by it.
            rows: Places of the prompts that are wanted, all if not given.

        Returns:
            A list a prefix with a reply a prompt, in the order of `rows`.
        """
        wanted = self._chats if rows is None else [self._chats[row] for row in rows]
        replies = iter(self._model.greedy([*product(prefixes, wanted)], max_new_tokens))
        return [[next(replies) for _ in wanted] for _ in prefixes]


def _prove(
    server: Server, name: str, placement: Placement, template: Template | None
) -> Continuation:
    """What the live probe says, as far as the placement needs it."""
    if placement == "suffix":
        spoken = Dialect("suffix") if name == "auto" else dialect(name)
        return Continuation(RENDERED if template else spoken, echo=False, echo_stream=False)
    if template is None:
        return probe(server, name)

    def prompt(body: Body) -> Body:
        *turns, last = body["messages"]
        kept = {key: value for key, value in body.items() if key != "messages"}
        return {**kept, "prompt": template.prompt(turns, last["content"])}

    return probe_rendered(server, prompt)


def _ended(chat: Chat, words: str) -> list[Any]:
    """The chat with `words` on the user's last message, as a suffix guard puts them there."""
    if not words:
        return [*chat]
    for at in range(len(chat) - 1, -1, -1):
        if chat[at]["role"] == "user":
            asked = chat[at]["content"]
            ended = f"{asked}\n{words}" if asked else words
            return [*chat[:at], {**chat[at], "content": ended}, *chat[at + 1 :]]
    raise UsageError("placement suffix needs a user's message to end; there is none")


def _seeded(temperature: float, seed: int, at: int) -> Body:
    """A seed of its own for every chat, so that equal chats do not get equal replies."""
    return {"seed": random.Random(f"{seed}/{at}").getrandbits(31)} if temperature else {}
