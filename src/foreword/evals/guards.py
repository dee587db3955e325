"""Guardrail models that can be asked: behind a server, through any-guardrail, or a small stand-in.

    wildguard@http://127.0.0.1:8001/v1     its own format (judges.guardrails) on a server
    wildguard@http://127.0.0.1:8001/v1#b   the model that the server calls b, not its first
    any:wild_guard                         weights on this machine, by any-guardrail's name
    securevector                           2 MB that come in a wheel: prompt attacks, no harm

Where any-guardrail keeps the guard's own words they are read by our closed grammar, for some of
its readers take a malformed answer for a safe one. Covered: servers that are busy or down (an
error that names them), nonsense (UNDECIDED). Not covered: own policies (ShieldGemma through
any-guardrail wants one), any-guardrail's hosted guards, the real weights: none was run here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from foreword.core.errors import ChatsFailed, ConfigError, ModelError, SourceError, UnknownName
from foreword.core.protocols import Guardrail
from foreword.core.types import Finding, Safety
from foreword.defences.guardrails import Case, Checker, Seen
from foreword.judges.guardrails import GUARDRAILS, exchange, guardrail
from foreword.models.sending import Line, Patience, Question, Unanswered
from foreword.models.server import Server

KEY_VARIABLE = "FOREWORD_GUARDRAIL_KEY"
CONCURRENCY = 16
ANY = "any"
STAND_IN = "securevector"
ADDRESS_VARIABLE = "FOREWORD_{}_URL"  # of a guardrail's server, e.g. FOREWORD_WILDGUARD_URL
NAMES = (*GUARDRAILS, ANY, STAND_IN)
_EXTRA = "pip install 'foreword[guardrails]'"
# any-guardrail's name -> our format, where its result repeats what the guard said.
_RAW = {"wild_guard": "wildguard", "llama_guard": "llama-guard-3", "qwen3_guard": "qwen3guard"}
_COUNTED = ("completion", "prompt")
_TROUBLE = (ImportError, OSError, RuntimeError, ValueError, TypeError)  # of others' code


class Served:
    """A guard model behind an OpenAI-compatible server."""

    def __init__(self, language: Guardrail, line: Line, model: str) -> None:
        """Use `connect`, which finds the model's name."""
        self._language, self._line, self._model = language, line, model

    @property
    def name(self) -> str:
        """Format, model and address, since many servers call what they serve alike."""
        return f"{self._language.name}@{self._model}@{self._line.base_url}"

    def check(self, cases: Sequence[Case]) -> list[Seen]:
        """What it makes of each case; all are asked at once.

        Raises:
            ModelError: the server refuses one; the message names it.
            ChatsFailed: it is down, so that all failed and none need be asked again.
        """
        asked = [self._language.ask(chat, reply) for chat, reply in cases]
        try:
            said = self._line.ask([self._question(path, body) for path, body in asked])
        except Unanswered as error:
            down = f"guardrail {self._language.name}: {error}"
            raise ChatsFailed(down, range(len(cases))) from error
        return [
            Seen(self._language.read(each.text, of_reply=reply is not None), each.tokens, each.read)
            for each, (_, reply) in zip(said, cases, strict=True)
        ]

    def say(self, path: str, body: Mapping[str, Any]) -> str:
        """Its answer to one request in its own words; raises what `check` raises."""
        return self._line.ask([self._question(path, body)])[0].text

    def _question(self, path: str, body: Mapping[str, Any]) -> Question:
        return Question(path, {**body, "model": self._model})


class Local:
    """A guard that any-guardrail has loaded on this machine."""

    def __init__(self, name: str, guard: Any) -> None:
        """`name` is any-guardrail's, `guard` one of its guardrails."""
        self._name, self._guard = name, guard
        self._language = GUARDRAILS[_RAW[name]] if name in _RAW else None

    @property
    def name(self) -> str:
        """Whose guard, and which."""
        return f"{ANY}:{self._name}"

    def check(self, cases: Sequence[Case]) -> list[Seen]:
        """What it makes of each case, one after the other.

        Raises:
            ModelError: it failed; the message names it.
        """
        return [self._one(*case) for case in cases]

    def _one(self, chat: Any, reply: str | None) -> Seen:
        try:
            output = self._validate(*exchange(chat, reply))
        except _TROUBLE as error:
            raise ModelError(f"guardrail {self.name} failed: {_first_line(error)}") from error
        usage = getattr(output, "usage", None)
        counts = [int(getattr(usage, f"{each}_tokens", None) or 0) for each in _COUNTED]
        if self._language and isinstance(said := output.explanation, str):
            return Seen(self._language.read(said, of_reply=reply is not None), *counts)
        return Seen(finding(output), *counts)

    def _validate(self, request: str, reply: str | None) -> Any:
        from any_guardrail import AnyGuardrail, GuardrailName
        from any_guardrail.evaluate import EvaluateArgumentError

        name = GuardrailName(self._name)
        try:
            return AnyGuardrail.evaluate(name, self._guard, request, reply)
        except EvaluateArgumentError:
            if reply is None:
                raise
            return AnyGuardrail.evaluate(name, self._guard, reply)  # it knows single texts only


def finding(output: Any) -> Finding:
    """any-guardrail's result as ours; UNDECIDED where it says that it could not read the guard."""
    valid, extra = getattr(output, "valid", None), getattr(output, "extra", None) or {}
    if extra.get("parse_failure") or not isinstance(valid, bool):
        return Finding(Safety.UNDECIDED, "any-guardrail could not read an answer")
    if valid:
        return Finding(Safety.SAFE)
    named = [each.description or each.name for each in output.categories if each.triggered]
    return Finding(Safety.UNSAFE, ", ".join(named) or "flagged")


class StandIn:
    """SecureVector Guardian: a linear model of prompt attacks in pure Python.

    It stands in for guards whose weights cannot be had, to prove the way from a flag to a
    refusal. It was not made for harmful requests in plain words and finds few of them.
    """

    def __init__(self, predict: Callable[[str], Mapping[str, Any]], version: str) -> None:
        """`predict` is the package's own, a text to a dict with "verdict" and "category"."""
        self._predict = predict
        self.name = f"{STAND_IN}-{version}"

    @classmethod
    def load(cls) -> StandIn:
        """The weights in the wheel; nothing is fetched.

        Raises:
            SourceError: the package is missing or damaged.
        """
        from importlib.metadata import version

        try:
            from svguardian import resolve_runtime
            from svguardian.model.pure_infer import PureGuardian
            from svguardian.window import predict_windowed

            guardian = PureGuardian.load(resolve_runtime(download=False))
        except ImportError as error:
            raise SourceError(f"guardrail {STAND_IN!r} needs: {_EXTRA}") from error
        except _TROUBLE as error:
            raise SourceError(f"guardrail {STAND_IN!r}: {_first_line(error)}") from error
        return cls(
            lambda text: predict_windowed(guardian, text), version("securevector-guardian-model")
        )

    def check(self, cases: Sequence[Case]) -> list[Seen]:
        """What it makes of each request or reply by itself; it writes no tokens."""
        return [Seen(self._one(*case)) for case in cases]

    def _one(self, chat: Any, reply: str | None) -> Finding:
        request, said = exchange(chat, reply)
        found = self._predict(request if said is None else said)
        if found.get("verdict") == "malicious":
            return Finding(Safety.UNSAFE, str(found.get("category")))
        if found.get("verdict") == "benign":
            return Finding(Safety.SAFE)
        return Finding(Safety.UNDECIDED, f"no verdict of {STAND_IN}")


def checker(name: str, option: str, where: str) -> Checker:
    """The guardrail that a spec names.

    Args:
        name: one of `NAMES`.
        option: any-guardrail's name for it, if `name` is "any".
        where: the server's address.

    Raises:
        ConfigError: the address is missing, or the server does not let us in.
        SourceError: a local guard could not be loaded.
        ModelError: the server does not answer.
    """
    if name not in (ANY, STAND_IN):
        return connect(name, where)
    if where:
        raise ConfigError(f"guardrail {name!r} runs here; leave '@{where}' out")
    return StandIn.load() if name == STAND_IN else local(option)


def connect(
    name: str,
    where: str,
    *,
    patience: Patience = Patience(),  # noqa: B008 - frozen
    key_variable: str = KEY_VARIABLE,
) -> Served:
    """A guard model on a server, asked by the format of that name; raises what `checker` raises.

    Args:
        name: of the format.
        where: the address that ends in /v1, and "#model" if it is not the first there; if it is
            empty, what the variable of this guardrail says.
        patience: with a server that is busy or drops the line.
        key_variable: the environment variable that holds its key.
    """
    language = guardrail(name)
    variable = ADDRESS_VARIABLE.format(name.upper().replace("-", "_"))
    where = where or os.environ.get(variable, "")
    if not where:
        raise ConfigError(
            f"guardrail {name!r} needs a server: write {name}@http://host:port/v1 or set "
            f"{variable}, or any:NAME for weights on this machine"
        )
    address, _, model = where.partition("#")
    key = os.environ.get(key_variable)
    line = Line(
        address,
        key,
        concurrency=CONCURRENCY,
        cache=None,  # a defence costs each time
        patience=patience,
        key_variable=key_variable,
    )

    def meet() -> tuple[str, str]:
        with Server(address, None, key) as server:  # it lists its models, so it is there
            return server.base_url, model or server.model

    line.base_url, model = line.patiently(meet)
    return Served(language, line, model)


def local(name: str) -> Local:
    """A guard loaded by any-guardrail; raises what `checker` raises."""
    try:
        from any_guardrail import AnyGuardrail, GuardrailName
    except ImportError as error:
        raise SourceError(f"guardrail 'any:{name}' needs: {_EXTRA}") from error
    known = [str(each.value) for each in GuardrailName]
    if name not in known:
        raise UnknownName("any-guardrail guard", name, known)
    try:
        return Local(name, AnyGuardrail.create(GuardrailName(name)))
    except _TROUBLE as error:
        raise SourceError(f"any-guardrail cannot load {name}: {_first_line(error)}") from error


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
