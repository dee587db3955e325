"""Reading `.eval` logs back: the one place that knows how Inspect stores an episode."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foreword.core.errors import DataError
from foreword.core.types import KINDS, Kind, Label, Message
from foreword.evals.figures import Cost, Episode

if TYPE_CHECKING:
    from inspect_ai.log import EvalLog, EvalSample
    from inspect_ai.model import ChatMessage
    from inspect_ai.scorer import Score

SCORER = "episode"


SAME = ("fingerprint", "judge", "max_new_tokens")  # of all logs that are read together


def read_episodes(logs: Iterable[Path | EvalLog]) -> list[Episode]:
    """The episodes of one evaluation, one a task: the last that ended without an error, if any.

    Args:
        logs: of one target and judge, in any order; several where it was resumed.

    Raises:
        DataError: if a log cannot be read, is not one of a Foreword suite, or is of another target
            or judge than the others.
    """
    read = sorted(map(_read, logs), key=lambda log: log.eval.created)
    for log in read[1:]:
        for name in SAME:
            said, others = ((each.eval.metadata or {}).get(name) for each in (log, read[0]))
            if said != others:
                places = f"{read[0].location} and {log.location}"
                raise DataError(f"{places} are of two evaluations: {name} {others!r}, {said!r}")
    found: dict[str, Episode] = {}
    for log in read:
        for episode in map(_episode, log.samples or ()):
            if episode.task not in found or not episode.error:
                found[episode.task] = episode
    return list(found.values())


def find_logs(log_dir: Path) -> list[EvalLog]:
    """The headers of all readable logs in a folder, the oldest first.

    A log that was killed is one of them, with the samples that had been done.
    """
    from inspect_ai.log import list_eval_logs, read_eval_log

    found: list[EvalLog] = []
    for info in list_eval_logs(str(log_dir), descending=False) if log_dir.is_dir() else []:
        with contextlib.suppress(OSError, ValueError, KeyError):  # killed before it held anything
            found.append(read_eval_log(info, header_only=True))
    return found


def _read(log: Path | EvalLog) -> EvalLog:
    from inspect_ai.log import read_eval_log

    if isinstance(log, Path):
        try:
            log = read_eval_log(str(log))
        except (OSError, ValueError, KeyError) as error:
            raise DataError(f"{log}: not a readable .eval log ({error})") from error
    if log.samples is None:
        raise DataError(f"{log.location}: the log holds no samples; run the evaluation again")
    return log


def _episode(sample: EvalSample) -> Episode:
    about = sample.metadata
    score = (sample.scores or {}).get(SCORER)
    kind = _kind(about.get("kind"), sample.id)
    details = (score.metadata or {}) if score else {}
    failed = sample.error is not None or score is None
    return Episode(
        task=str(sample.id),
        kind=kind,
        family=str(about["family"]),
        category=str(about["category"]),
        split=str(about["split"]),
        success=None if failed else _success(score),
        verdict=None if failed else Label(details["verdict"]),
        reason=str(details.get("reason", "")),
        words=str(details.get("words", "")),
        actions=int(details.get("actions", 0)),
        prefix=_prefix(sample),
        error=_error(sample) if failed else "",
        messages=tuple(_message(message) for message in sample.messages),
        checked=bool(about.get("checked", True)),
        cost=sum((_cost(message) for message in sample.messages), Cost()),
    )


def _success(score: Score | None) -> bool | None:
    value: Any = score.value if score else None
    return None if math.isnan(float(value["success"])) else bool(value["success"])


def _error(sample: EvalSample) -> str:
    return sample.error.message if sample.error else "the sample was not scored"


def _prefix(sample: EvalSample) -> str:
    for message in sample.messages:
        if message.role == "assistant" and message.source != "input":
            return str((message.metadata or {}).get("prefix", ""))
    return ""


def _cost(message: ChatMessage) -> Cost:
    """Of a reply that a model of ours gave; nothing of any other message."""
    said = message.metadata or {}
    if message.role != "assistant" or "seconds" not in said:
        return Cost()
    return Cost(1, int(said["read"]), int(said["tokens"]), float(said["seconds"]))


def _message(message: Any) -> Message:
    return {"role": message.role, "content": message.text}


def _kind(name: object, sample: object) -> Kind:
    for kind in KINDS:
        if kind == name:
            return kind
    raise DataError(f"sample {sample!r} is not from a Foreword suite: kind is {name!r}")
