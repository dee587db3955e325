"""A chat template as the way to a prompt, for servers that cannot continue a chat.

The coming turn is rendered with a mark in place of its words, by `foreword.models.chat`;
what stands before the mark and then the guard's words are the prompt. So nothing that a
client writes goes through the template where the reply begins.

A server reads the tokens of a template in a prompt whoever wrote them. Covered: content
that holds one, or a whole piece of this template, is refused. Not covered: templates
whose turns are told apart by white space alone, and a server whose tokens are others.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from foreword.core.errors import ConfigError, SourceError, UsageError
from foreword.core.types import Message
from foreword.models import chat
from foreword.models.gguf import quiet
from foreword.models.sources import resolve

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

HUB = "hf:"


class Unrenderable(UsageError):
    """Turns that this template cannot carry as they are; the message says why."""


class Template:
    """The chat template of one model, checked once."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, generation_config: Any = None) -> None:
        """Learns how turns begin and end.

        Raises:
            ConfigError: there is no template, or it does not render turns in their order.
        """
        self.tokenizer = tokenizer
        source = str(tokenizer.chat_template).encode()
        self.hash8 = hashlib.sha256(source).hexdigest()[:8]  # of the template's text
        self._mark = secrets.token_hex(16)  # nobody can write it
        pieces = [piece for sample in self._samples() for piece in sample]
        stops = chat.stop_ids(tokenizer, generation_config)
        names = [str(tokenizer.convert_ids_to_tokens(at)) for at in sorted(stops)]
        self.ends = tuple(dict.fromkeys(filter(None, [pieces[-1], *names])))  # of a turn
        # Not all special tokens: a <filename> in a question is no turn.
        tokens = {*self.ends} | {
            each.content
            for each in tokenizer.added_tokens_decoder.values()
            if chat.control_token(each.content)
            or (each.special and any(each.content in piece for piece in pieces))
        }
        plain = {piece for piece in pieces if piece and not any(each in piece for each in tokens)}
        forging = sorted(tokens | plain, key=len, reverse=True)
        self._forging = re.compile("|".join(map(re.escape, forging)) or "(?!)")
        # A server puts it before every prompt by itself; twice is another prompt.
        bos, first = tokenizer.bos_token or "", list(tokenizer("")["input_ids"])[:1]
        self._bos = str(bos) if first == [tokenizer.bos_token_id] else ""

    @classmethod
    @cache
    def load(cls, source: str) -> Self:
        """That of a model source; the tokenizer is read, the weights are not.

        Raises:
            UnknownName: the source has none of the known forms.
            SourceError: the tokenizer could not be had.
            ConfigError: see above.
        """
        where, named = _place(source)
        try:
            from transformers import AutoTokenizer, GenerationConfig
        except ImportError as error:
            raise SourceError("--render needs: pip install 'foreword[local]'") from error
        try:
            with quiet():
                tokenizer = AutoTokenizer.from_pretrained(where, **named)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise SourceError(f"cannot read the tokenizer of {source}: {reason}") from error
        try:
            config = None if named else GenerationConfig.from_pretrained(where)
        except OSError:  # many models have none
            config = None
        return cls(tokenizer, config)

    def prompt(self, turns: Sequence[Message], begun: str) -> str:
        """The prompt of a reply to `turns` that begins with `begun`.

        Raises:
            Unrenderable: some content holds a piece of the template, or the template refuses
                the turns or leaves some of their words out.
        """
        for said in (*(turn["content"] for turn in turns), begun):
            if found := self._forging.search(said):
                raise Unrenderable(
                    f"messages must not hold {found.group()!r}: it would forge a turn"
                )
        try:
            head, *rest = self._render([*turns, {"role": "assistant", "content": self._mark}])
        except ConfigError as error:
            raise Unrenderable(str(error)) from error
        at = 0
        for number, turn in enumerate(turns):
            words = turn["content"].strip()
            if (at := head.find(words, at)) < 0:
                raise Unrenderable(f"the chat template drops words of messages[{number}]")
            at += len(words)
        if len(rest) != 1:
            raise Unrenderable("the chat template does not end with the reply")
        return head.removeprefix(self._bos) + begun

    def _render(self, turns: Sequence[Message]) -> list[str]:
        """What the template writes before, between and after the marks."""
        return chat.render_whole(self.tokenizer, turns).split(self._mark)

    def _samples(self) -> Iterator[list[str]]:
        """What the template writes around turns, with a system's and, at last, without."""
        user: Message = {"role": "user", "content": self._mark}
        turns: list[Message] = [user, {"role": "assistant", "content": self._mark}] * 2
        with suppress(ConfigError):  # some templates have no system
            yield self._stripped([{"role": "system", "content": self._mark}, *turns])
        pieces = self._stripped(turns)
        if len(pieces) != len(turns) + 1:
            raise ConfigError("the chat template does not render every turn once")
        yield pieces

    def _stripped(self, turns: Sequence[Message]) -> list[str]:
        return [piece.strip() for piece in self._render(turns)]


def _place(source: str) -> tuple[str, dict[str, Any]]:
    """Where transformers finds a tokenizer, and what it must be told besides."""
    path = Path(source.removeprefix(HUB)).expanduser()
    if source.startswith(HUB) and not path.is_dir() and not path.is_absolute():
        return source.removeprefix(HUB), {}  # `resolve` would fetch the weights, too
    if source.endswith(".gguf") and path.is_file():
        return str(path.parent), {"gguf_file": path.name}
    return str(resolve(source)), {}
