"""Judges by name: where names meet models and servers.

    lexicon                      patterns (judges.lexicon)
    llm:reference                any model source, or a server's address (#model if not its first)
    guard:wildguard@http://...   a guard model's refusal line

Verdicts of models are kept in the cache folder, by content.
"""

from __future__ import annotations

import os

from foreword.core.errors import ConfigError, UnknownName
from foreword.core.protocols import Judge, Model
from foreword.judges.lexicon import LexiconJudge

KEY_VARIABLE = "FOREWORD_JUDGE_KEY"


def named_judge(judge: Judge | str) -> Judge:
    """A judge by its name, or the judge itself.

    Raises:
        UnknownName: nobody knows the name, or the model it names.
        ConfigError: its address is missing, or its format has no refusal line.
        SourceError: its weights could not be had.
        ModelError: its server does not answer.
    """
    if not isinstance(judge, str):
        return judge
    kind, _, rest = judge.partition(":")
    makers = {"llm": _llm, "guard": _guard}
    if judge == "lexicon":
        return LexiconJudge()
    if kind not in makers:
        raise UnknownName("judge", judge, ["lexicon", "llm:MODEL", "guard:FORMAT@ADDRESS"])
    if not rest:
        raise ConfigError(
            f"judge {judge!r} names no model; write for example llm:http://host:port/v1"
        )
    from foreword.judges.cached import CachedJudge
    from foreword.models.store import cache_dir

    return CachedJudge(makers[kind](rest), cache_dir())


def _llm(source: str) -> Judge:
    from foreword.judges.llm import LLMJudge

    return LLMJudge(_model(source))


def _model(source: str) -> Model:
    if not source.startswith(("http://", "https://")):
        from foreword import models

        return models.load(source)
    from foreword.models.remote import RemoteModel

    address, _, model = source.partition("#")
    # A judge is never begun, so it needs no proof that it continues: as with a suffix.
    return RemoteModel.open(
        address,
        model=model or None,
        api_key=os.environ.get(KEY_VARIABLE),
        placement="suffix",
        key_variable=KEY_VARIABLE,
    )


def _guard(rest: str) -> Judge:
    from foreword.evals.guards import connect
    from foreword.judges.guarding import GuardJudge, spoken_language

    name, _, where = rest.partition("@")
    language = spoken_language(name)  # a format without the line is told before its server
    served = connect(name, where, key_variable=KEY_VARIABLE)
    return GuardJudge(language, served.say, served.name)
