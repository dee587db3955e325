"""Guardrail models before and after: what is asked and what is said, looked at by others.

The checks of a stage run at the same time, each with its deadline. One that fails, is
late or talks nonsense has *not judged*; unless its entry says otherwise that blocks,
so nothing fails open.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import Any

import orjson

from foreword.core.types import Finding, Safety
from foreword.gateway.connection import UpstreamError
from foreword.gateway.metrics import Metrics
from foreword.gateway.policy import CheckEntry, Stage
from foreword.gateway.upstream import Upstream
from foreword.judges.guardrails import guardrail

Messages = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Judged:
    """One check's word on one request or reply, as the audit log keeps it."""

    check: str
    stage: Stage
    safety: Safety
    reason: str
    action: str  # pass, flag or block
    seconds: float

    @property
    def said(self) -> str:
        """In words; an instrument that failed never says "passed"."""
        verdict = "not judged" if self.safety is Safety.UNDECIDED else self.safety.value
        return f"{verdict} ({self.reason})" if self.reason else verdict

    def record(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "seconds": round(self.seconds, 4), "safety": self.said}


class Blocked(Exception):
    """A check does not let this pass."""

    def __init__(self, by: Judged) -> None:
        self.by = by
        self.judged = by.safety is not Safety.UNDECIDED
        self.code = "content_filter" if self.judged else "not_judged"
        super().__init__(f"{by.stage} blocked by {by.check}: {by.said}")


class Check:
    """One guardrail model behind its server."""

    def __init__(self, entry: CheckEntry) -> None:
        """Connects to nothing yet."""
        self.entry = entry
        self._language = guardrail(entry.format)
        key = entry.key.get_secret_value() if entry.key else None
        self.server = Upstream(entry.url, key, entry.deadline_s)

    async def judge(self, stage: Stage, messages: Messages, reply: str | None) -> Judged:
        """Its word; whatever goes wrong with it is `not judged`."""
        start = perf_counter()
        try:
            async with asyncio.timeout(self.entry.deadline_s):
                found = await self._ask(messages, reply)
        except TimeoutError:
            found = Finding(Safety.UNDECIDED, f"no answer in {self.entry.deadline_s:g} s")
        except UpstreamError as error:
            found = Finding(Safety.UNDECIDED, str(error))
        action = {
            Safety.SAFE: "pass",
            Safety.UNSAFE: self.entry.action,
            Safety.UNDECIDED: self.entry.if_not_judged,
        }[found.safety]
        seconds = perf_counter() - start
        return Judged(self.entry.name, stage, found.safety, found.reason, action, seconds)

    async def _ask(self, messages: Messages, reply: str | None) -> Finding:
        path, body = self._language.ask(messages, reply)
        answer = await self.server.send(
            "POST",
            path,
            {"content-type": "application/json"},
            orjson.dumps({**body, "model": self.entry.model}),
        )
        content = await answer.whole()
        if answer.status != 200:
            return Finding(Safety.UNDECIDED, f"its server says {answer.status}")
        try:
            (choice, *_) = orjson.loads(content)["choices"]
            text = choice["message"]["content"] if "message" in choice else choice["text"]
        except (orjson.JSONDecodeError, LookupError, TypeError, ValueError):
            return Finding(Safety.UNDECIDED, "its server gives no chat answer")
        if not isinstance(text, str):
            return Finding(Safety.UNDECIDED, "its server gives no text")
        return self._language.read(text, of_reply=reply is not None)


class Checks:
    """All checks of a policy, and the connections to their servers."""

    def __init__(self, entries: Sequence[CheckEntry], metrics: Metrics) -> None:
        self._checks = [Check(entry) for entry in entries]
        self._metrics = metrics

    def close(self) -> None:
        """Close the connections that wait for the next question."""
        for check in self._checks:
            check.server.close()

    def at(self, stage: Stage) -> bool:
        """Whether anything looks at that stage."""
        return any(stage in check.entry.on for check in self._checks)

    async def judge(
        self,
        heard: list[Judged],
        stage: Stage,
        messages: Messages,
        replies: Sequence[str | None] = (None,),
    ) -> None:
        """Ask each check of the stage about each reply, all at once.

        Args:
            heard: takes what every one says, of what is blocked as well.
            stage: what is judged.
            messages: what was asked.
            replies: the answers to it; None to judge the request.

        Raises:
            Blocked: at least one does not let it pass.
        """
        asked = [check for check in self._checks if stage in check.entry.on]
        found = await asyncio.gather(
            *(check.judge(stage, messages, reply) for reply in replies for check in asked)
        )
        heard += found
        for judged in found:
            self._metrics.checks.labels(judged.check, stage, judged.safety.value).inc()
            self._metrics.check_seconds.labels(judged.check).observe(judged.seconds)
            if judged.action == "block":
                self._metrics.blocks.labels(judged.check, stage).inc()
        if stopping := [judged for judged in found if judged.action == "block"]:
            # What was found tells more than what was not judged.
            raise Blocked(max(stopping, key=lambda judged: judged.safety is Safety.UNSAFE))
