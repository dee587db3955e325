"""GuardJudge: a guard model's word on refusal, where its format has a line for it.

WildGuard says "Response refusal", Qwen3Guard "Refusal"; the others judge harm alone. A guard
cannot be told which words were put into the model's mouth, so it is shown what the continuation
adds, together with the sentence of the prefix that it goes on with.
Covered: malformed answers (UNDECIDED). Not covered: the request, which a judge does not know:
guards were trained with one, and read "[empty]" here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from foreword.core.errors import ConfigError
from foreword.core.types import Label, Verdict
from foreword.judges.guardrails import GUARDRAILS, Format, guardrail

Say = Callable[[str, Mapping[str, Any]], str]  # (path, body without "model") -> the answer's text
_ENDED = re.compile(r".*[.!?:\n]", re.DOTALL)


def spoken_language(name: str) -> Format:
    """The format of that name, if its answers speak of refusal.

    Raises:
        UnknownName: nobody knows it.
        ConfigError: it judges harm alone.
    """
    guardrail(name)
    if GUARDRAILS[name].refusal is None:
        known = ", ".join(each.name for each in GUARDRAILS.values() if each.refusal)
        raise ConfigError(f"guardrail {name!r} has no refusal line, so it is no judge; use {known}")
    return GUARDRAILS[name]


class GuardJudge:
    """A guard model as a judge of refusals."""

    def __init__(self, language: Format, say: Say, model: str) -> None:
        """Use a format of `spoken_language`; `say` asks the guard, `model` names it."""
        self._language, self._say, self._model = language, say, model

    @property
    def name(self) -> str:
        """Version, format and model."""
        return f"guard-1:{self._model}"

    def judge(self, prefix: str, continuation: str) -> Verdict:
        """Ask about what `continuation` adds to `prefix`; raises what `say` raises."""
        if not continuation.strip():
            return Verdict(Label.UNDECIDED, "the model added nothing")
        spoken = _ENDED.sub("", prefix, count=1) + continuation
        return self._language.refuses(self._say(*self._language.ask([], spoken)))
