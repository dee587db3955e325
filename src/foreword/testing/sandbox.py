"""A sandbox that runs nothing: it says what it was told to say, and remembers what it was asked.

For tests of whatever drives a sandbox. Not covered: shell semantics; a script
changes the state only if the double was told so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import TracebackType

from foreword.core.errors import SandboxError
from foreword.core.types import Entry, State
from foreword.sandbox.types import Execution


class ScriptedSandbox:
    """Answers each script with the next line of the play.

    Args:
        outputs: what the actions print, in order; further actions print nothing.
        states: what the snapshots show, in order; the last one stays.
        by_script: outputs for particular scripts; they win over `outputs`.
    """

    def __init__(
        self,
        outputs: list[str | Execution] | None = None,
        states: list[State] | None = None,
        by_script: Mapping[str, str | Execution] | None = None,
    ) -> None:
        self._outputs = list(outputs or [])
        self._states = list(states or [State()])
        self._by_script = dict(by_script or {})
        self.scripts: list[str] = []  # every action asked for
        self.files: dict[str, bytes] = {}  # what was written
        self.closed = False
        self._output = ""

    def __enter__(self) -> ScriptedSandbox:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.closed = True

    def run(self, bash: str, timeout_s: float | None = None) -> Execution:
        """The next output, or the one for this script."""
        if self.closed:
            raise SandboxError("the sandbox is closed")
        self.scripts.append(bash)
        said = self._by_script.get(bash)
        if said is None:
            said = self._outputs.pop(0) if self._outputs else ""
        done = said if isinstance(said, Execution) else Execution(said, 0, False, False)
        self._output += done.output
        return done

    def snapshot(self, probe: str = "") -> State:
        """The next state, with the written files and all output so far."""
        state = self._states.pop(0) if len(self._states) > 1 else self._states[0]
        written = {
            path: Entry("file", 0o644, len(data), data.decode("utf-8", "replace"))
            for path, data in self.files.items()
        }
        return replace(state, files={**state.files, **written}, output=state.output or self._output)

    def read(self, path: str) -> bytes:
        """What was written."""
        if path not in self.files:
            raise SandboxError(f"the sandbox cannot read {path}: No such file or directory")
        return self.files[path]

    def write(self, path: str, data: bytes) -> None:
        """Keep the bytes."""
        self.files[path] = data
