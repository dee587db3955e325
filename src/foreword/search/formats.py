"""What a prefix may look like where it will be used: constraints as a value.

A prefix stands before every reply, so it must leave the environment able to read the
reply: where actions are one line a prefix is a comment ("# ..."), where they are parsed
out of a block it must not look like one. A `Format` mends what can be mended and refuses
the rest. Whether a parser still works is not guessed but tried, on sample replies.
Covered: prefixes put before the reply. Not covered: what the model goes on to say.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from foreword.core.errors import UnknownName
from foreword.evals.protocol import action

Parser = Callable[[str], object]  # a whole reply to what the environment reads in it

_CALL = re.compile(r"<tool_call>(.*?)(?:</tool_call>|\Z)", re.DOTALL)


def _words(text: str) -> int:
    return len(text.split())


@dataclass(frozen=True)
class Format:
    """Constraints on prefixes; without any it only takes white space off the ends."""

    name: str = "plain"
    start: str = ""  # every prefix begins with this text, and then it is a single line
    max_tokens: int | None = None  # the most it may count
    count: Callable[[str], int] = field(default=_words, repr=False)  # tokens of a text
    parser: Parser | None = field(default=None, repr=False)
    samples: tuple[str, ...] = field(default=(), repr=False)  # replies it must read as before
    joiner: str = "\n"  # between prefix and sample: what the model says until it acts

    def fit(self, prefix: str) -> str | None:
        """The prefix as it may be used, or None if it cannot be mended."""
        text = self._mended(prefix)
        return None if self._fault(text) else text

    def bare(self, prefix: str) -> str:
        """A fitting prefix without what it has to begin with: what proposers write and read."""
        return prefix.removeprefix(self.start).strip()

    def why(self, prefix: str) -> str:
        """What cannot be mended about a prefix, for messages; empty if it fits."""
        return self._fault(self._mended(prefix))

    def rules(self) -> str:
        """The constraints in words, for whoever writes prefixes; empty if there are none."""
        said = []
        if self.start:
            said.append(f'It begins with "{self.start}" and is a single line.')
        if self.max_tokens is not None:
            said.append(f"It has at most {self.max_tokens} tokens.")
        if self.parser:
            said.append(f"It is prose: no code, no actions or calls of its own ({self.name}).")
        return " ".join(said)

    def _mended(self, prefix: str) -> str:
        """Trailing white space would split the model's next token in two."""
        text = prefix.strip()
        if not text or not self.start:
            return text
        words = [word for word in text.split() if word != self.start]  # as a list's lines have
        text = " ".join(words)
        return text if text.startswith(self.start) else f"{self.start} {text}".strip()

    def _fault(self, text: str) -> str:
        if not text:
            return "it is empty"
        if self.max_tokens is not None and self.count(text) > self.max_tokens:
            return f"it has {self.count(text)} tokens, more than {self.max_tokens}"
        for sample in self.samples if self.parser else ():
            if self.parser and self.parser(text + self.joiner + sample) != self.parser(sample):
                return f"behind it, {self.name} replies are no longer read as before"
        return ""


def tool_calls(text: str) -> list[object]:
    """The calls of a reply in the manner of Hermes: JSON between <tool_call> and </tool_call>.

    One call that is no JSON spoils them all, as with the servers that read this format.
    """
    try:
        return [json.loads(body) for body in _CALL.findall(text)]
    except ValueError:
        return []


def whole_json(text: str) -> object:
    """What a reply says that must be JSON from end to end; None if it is not.

    Any prose before it breaks it, so no prefix fits (constrain such replies otherwise).
    """
    try:
        return json.loads(text)
    except ValueError:
        return None


_CALLS = (
    '<tool_call>\n{"name": "run", "arguments": {"command": "ls"}}\n</tool_call>',
    'I look.\n<tool_call>{"name": "a", "arguments": {}}</tool_call>\n'
    '<tool_call>{"name": "b", "arguments": {}}</tool_call>',
    "I can't help with that.",
)
_BLOCKS = (
    "```bash\nls -l\n```",
    "I list the files:\n```bash\nls\n```\nThat is all.",
    "I can't help with that.",
)

PLAIN = Format()
FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        form.name: form
        for form in (
            PLAIN,
            Format("web", start="#"),
            Format("bash", parser=action, samples=_BLOCKS),
            Format("hermes", parser=tool_calls, samples=_CALLS),
            Format("json", parser=whole_json, samples=('{"action": "list"}',)),
        )
    }
)


def named(name: str) -> Format:
    """The format of that name in `FORMATS`.

    Raises:
        UnknownName: there is none.
    """
    if name not in FORMATS:
        raise UnknownName("format", name, list(FORMATS))
    return FORMATS[name]
