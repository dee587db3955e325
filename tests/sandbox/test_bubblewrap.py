"""How the sandbox is put together on hosts unlike this one."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import pytest

from foreword.core.errors import SandboxError
from foreword.core.types import Setup, World
from foreword.sandbox import bubblewrap, open_sandbox
from foreword.sandbox.bubblewrap import binary, configuration, enterable, interpreter, root_links
from foreword.sandbox.types import Limits


def test_the_binary_of_the_wheel_is_found():
    assert binary().name == "bwrap"


def test_the_interpreter_is_the_systems_or_the_running_ones():
    python, folders = interpreter()
    assert Path(python).exists()
    if python != "/usr/bin/python3":
        assert folders in ([], [str(Path(sys.base_prefix).resolve())])
    assert configuration(Limits(), World())["path"] == (
        f"{Path(python).parent}:" if folders else ""
    )


def test_a_python_that_cannot_compile_the_guest_is_named(monkeypatch: pytest.MonkeyPatch):
    bubblewrap._compiled.cache_clear()
    monkeypatch.setattr(bubblewrap, "interpreter", lambda: ("/bin/false", []))
    with pytest.raises(SandboxError, match="/bin/false cannot compile"):
        open_sandbox(Setup())


def test_without_a_system_call_filter_nothing_starts(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(platform, "machine", lambda: "abacus")
    with pytest.raises(SandboxError, match="no system call filter is known"):
        open_sandbox(Setup())


def test_every_root_link_or_folder_of_the_host_is_there_inside():
    args = root_links()
    for name in ("/bin", "/lib"):
        assert name in args


def test_who_can_enter_a_folder(tmp_path: Path):
    inner = tmp_path / "shut" / "open"
    inner.mkdir(parents=True)
    inner.parent.chmod(0o700)
    assert enterable("/usr")
    assert not enterable(str(inner))
