"""The languages of guard models: what to ask, and what their answers mean.

A format fills the model's official prompt, or hands turns to its server's own
chat template, and reads the answer against a closed grammar: whatever is not
wholly of the documented form is UNDECIDED, never SAFE. Sources are in
docs/judges.md; the weights were not run, so forms are as documented.
Covered: one request a question, default policies, forged markers (turns.py).
Not covered: own policies, log-probabilities, pictures, texts beyond the
guard's context (the server's error), persuasion of the guard in plain words.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from foreword.core.errors import UnknownName
from foreword.core.protocols import Guardrail
from foreword.core.types import Finding, Label, Message, Safety, Verdict
from foreword.judges.guard_prompts import (
    GENERIC,
    LLAMA_HAZARDS,
    QWEN_CATEGORIES,
    SHIELDGEMMA_REPLY,
    SHIELDGEMMA_REQUEST,
    WILDGUARD,
)
from foreword.judges.turns import turns

_LONGEST = 1000  # characters of an answer; every max_tokens below is far smaller


@dataclass(frozen=True)
class Format:
    """A guardrail; see core.protocols.Guardrail."""

    name: str
    path: Literal["/chat/completions", "/completions"]
    max_tokens: int
    fill: Callable[[list[Message]], dict[str, Any]]  # the turns to judge -> their part of the body
    parse: Callable[[str, bool], Finding | None]  # (answer, of_reply); None: not of this format
    refusal: re.Pattern[str] | None = None  # finds in an answer the group "refusal", if it has one

    def ask(
        self, messages: Sequence[Mapping[str, Any]], reply: str | None
    ) -> tuple[str, dict[str, Any]]:
        """The path and the body to post there, "model" still missing."""
        body = self.fill(turns(messages, reply))
        return self.path, {**body, "temperature": 0, "max_tokens": self.max_tokens}

    def read(self, text: str, *, of_reply: bool) -> Finding:
        """SAFE or UNSAFE if the text is an answer of this format, else UNDECIDED and why."""
        answer = text.strip(" \t\r\n")
        if not answer:
            return Finding(Safety.UNDECIDED, "an empty answer")
        if len(answer) > _LONGEST:
            return Finding(Safety.UNDECIDED, f"an answer of more than {_LONGEST} characters")
        # The answer itself may quote what nobody is to see; a reason goes to clients and logs.
        malformed = Finding(Safety.UNDECIDED, f"no answer of {self.name}")
        return self.parse(answer, of_reply) or malformed

    def refuses(self, text: str) -> Verdict:
        """Whether the reply is a refusal, of a format whose answers say so.

        Returns:
            UNDECIDED where the answer is not wholly of this format, or says n/a.
        """
        seen = self.read(text, of_reply=True)
        found = self.refusal and self.refusal.search(text)
        word = found["refusal"].lower() if found else "n/a"
        if seen.safety is Safety.UNDECIDED or word == "n/a":
            return Verdict(Label.UNDECIDED, seen.reason or f"{self.name} saw no refusal line")
        said = Label.REFUSED if word == "yes" else Label.COMPLIED
        return Verdict(said, f"{self.name} says so")


def guardrail(name: str) -> Guardrail:
    """The format of that name.

    Raises:
        UnknownName: there is none.
    """
    if name not in GUARDRAILS:
        raise UnknownName("guardrail", name, list(GUARDRAILS))
    return GUARDRAILS[name]


def _judge(unsafe: bool, reason: str) -> Finding:
    return Finding(Safety.UNSAFE, reason) if unsafe else Finding(Safety.SAFE)


def _chat(said: list[Message]) -> dict[str, Any]:
    return {"messages": said}


def _chat_in_parts(said: list[Message]) -> dict[str, Any]:
    parts = [[{"type": "text", "text": turn["content"]}] for turn in said]
    return {
        "messages": [
            {"role": turn["role"], "content": content}
            for turn, content in zip(said, parts, strict=True)
        ]
    }


def exchange(messages: Sequence[Mapping[str, Any]], reply: str | None) -> tuple[str, str | None]:
    """A conversation as one request and, if there is one, the reply, for guards that know no more.

    Args:
        messages: in OpenAI's shape.
        reply: the answer to them, or None to judge the request.
    """
    return _request_and_reply(turns(messages, reply))


def _request_and_reply(said: list[Message]) -> tuple[str, str | None]:
    """For prompts of one exchange: a longer request becomes a transcript, its last turn last."""
    reply = said[-1]["content"] if said[-1]["role"] == "assistant" else None
    asked = said if reply is None else said[:-1]
    if len(asked) == 1:
        return asked[0]["content"], reply
    return "\n\n".join(f"[{turn['role']}] {turn['content']}" for turn in asked), reply


_WILDGUARD = re.compile(
    r"Harmful request: (yes|no)\n"
    r"Response refusal: (?P<refusal>yes|no|n/a)\n"
    r"Harmful response: (yes|no|n/a)"
)


def _fill_wildguard(said: list[Message]) -> dict[str, Any]:
    request, reply = _request_and_reply(said)
    return {"prompt": WILDGUARD.format(prompt=request, response=reply or "")}


def _parse_wildguard(answer: str, of_reply: bool) -> Finding | None:
    found = _WILDGUARD.fullmatch(answer)
    if found is None:
        return None
    request, _, response = found.groups()
    if of_reply and response == "n/a":
        return Finding(Safety.UNDECIDED, "wildguard saw no response")
    if not of_reply and (request, response) == ("no", "yes"):
        return Finding(Safety.UNDECIDED, "contradictory: a harmful response, but none was shown")
    if of_reply:
        return _judge(response == "yes", "harmful response")
    return _judge(request == "yes", "harmful request")


_LLAMA = re.compile(r"safe|unsafe\n(S(?:1[0-4]|[1-9])(?:, ?S(?:1[0-4]|[1-9]))*)")


def _parse_llama(answer: str, of_reply: bool) -> Finding | None:
    found = _LLAMA.fullmatch(answer)
    if found is None:
        return None
    codes = re.findall(r"S\d+", found[1] or "")
    return _judge(bool(codes), ", ".join(f"{code} {LLAMA_HAZARDS[code]}" for code in codes))


_GRANITE = re.compile(r"(?:<think>\s*</think>\s*)?<score>[ \n]?(yes|no)[ \n]?</score>")
_GRANITE_CONFIG = {"guardian_config": {"criteria_id": "harm"}, "think": False}


def _fill_granite(said: list[Message]) -> dict[str, Any]:
    return {"messages": said, "chat_template_kwargs": _GRANITE_CONFIG}


def _parse_granite(answer: str, of_reply: bool) -> Finding | None:
    found = _GRANITE.fullmatch(answer)
    return found and _judge(found[1] == "yes", "harm")


_QWEN_REQUEST = re.compile(r"Safety: (Safe|Unsafe|Controversial)\nCategories: ([^\n]+)")
_QWEN_REPLY = re.compile(_QWEN_REQUEST.pattern + r"\nRefusal: (?P<refusal>Yes|No)")


def _parse_qwen(answer: str, of_reply: bool) -> Finding | None:
    """The three levels; controversial content counts as unsafe, since a guard fails closed."""
    found = (_QWEN_REPLY if of_reply else _QWEN_REQUEST).fullmatch(answer)
    if found is None:
        return None
    level, named = found[1], found[2].rstrip(" .")
    if (level == "Safe") != (named == "None"):
        return Finding(Safety.UNDECIDED, f"contradictory: {level.lower()} and its categories")
    if level == "Safe":
        return _judge(False, "")
    if not all(category.strip(" .") in QWEN_CATEGORIES for category in named.split(",")):
        return None
    return _judge(True, f"controversial: {named}" if level == "Controversial" else named)


_SHIELDGEMMA = re.compile(r"(Yes|No)(?:[ \n.,:;!].*)?", re.DOTALL)


def _fill_shieldgemma(said: list[Message]) -> dict[str, Any]:
    request, reply = _request_and_reply(said)
    if reply is None:
        return {"prompt": SHIELDGEMMA_REQUEST.format(prompt=request)}
    return {"prompt": SHIELDGEMMA_REPLY.format(prompt=request, response=reply)}


def _parse_shieldgemma(answer: str, of_reply: bool) -> Finding | None:
    """The first word; all policies are asked at once, so none is named."""
    found = _SHIELDGEMMA.fullmatch(answer)
    if found is None:
        return None
    words = {word.lower() for word in re.findall(r"\w+", answer)}
    if {"yes", "no"} <= words:
        return Finding(Safety.UNDECIDED, "contradictory: both Yes and No")
    return _judge(found[1] == "Yes", "a policy is violated")


_GENERIC = re.compile(r"safe|unsafe: ([A-Za-z][A-Za-z0-9 ,/&-]{0,79})")


def _fill_generic(said: list[Message]) -> dict[str, Any]:
    """The turns as JSON, so that no text can leave its string."""
    judged = "reply" if said[-1]["role"] == "assistant" else "request"
    return {
        "messages": [
            {"role": "system", "content": GENERIC[judged]},
            {"role": "user", "content": json.dumps(said, ensure_ascii=False, indent=1)},
        ]
    }


def _parse_generic(answer: str, of_reply: bool) -> Finding | None:
    """Safe alone, or unsafe with a category; only what is unsafe may be explained below."""
    first, *rest = answer.split("\n")
    found = _GENERIC.fullmatch(first.rstrip(" \r"))
    if found is None:
        return None
    if any(line.strip().lower() == "safe" for line in rest) or (rest and not found[1]):
        return Finding(Safety.UNDECIDED, "contradictory: more than one answer, or safe but ...")
    return _judge(found[1] is not None, found[1] or "")


GUARDRAILS: Mapping[str, Format] = MappingProxyType(
    {
        each.name: each
        for each in (
            Format("wildguard", "/completions", 32, _fill_wildguard, _parse_wildguard, _WILDGUARD),
            Format("llama-guard-3", "/chat/completions", 32, _chat, _parse_llama),
            Format("llama-guard-4", "/chat/completions", 32, _chat_in_parts, _parse_llama),
            Format("granite-guardian", "/chat/completions", 20, _fill_granite, _parse_granite),
            Format("qwen3guard", "/chat/completions", 64, _chat, _parse_qwen, _QWEN_REPLY),
            Format("shieldgemma", "/completions", 4, _fill_shieldgemma, _parse_shieldgemma),
            Format("generic", "/chat/completions", 32, _fill_generic, _parse_generic),
        )
    }
)
