"""What scripts of others call and this machine lacks."""

from __future__ import annotations

import pytest

from foreword.suites import programs


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where programs are looked for; `jq` is there."""
    (tmp_path / "jq").touch()
    monkeypatch.setattr(programs, "FOLDERS", (str(tmp_path),))
    return tmp_path


@pytest.mark.parametrize(
    "script",
    [
        "bc -l",
        "#!/bin/bash\n  bc <<< 1+1",
        "echo 1+1 | bc",
        "a=$(bc <<< 1)",
        "a=`bc <<< 1`",
        "jq . x && bc y",
        "if true; then bc x; fi",
        "find . -exec bc {} +",
        "ls | xargs -0 bc",
        "ls $(which bc)",
        "sudo bc",
    ],
)
def test_a_call_is_found(folder, script):
    assert programs.lacking(script) == "this machine has no bc"
    (folder / "bc").touch()
    assert programs.lacking(script) == ""


@pytest.mark.parametrize(
    "script",
    [
        "jq . x",
        "echo bc",
        "cat /opt/bc",
        "./bc",
        "bc=1; abc; bc-1",
        "bc() { :; }",
        'echo "the tree at host"',
        "cat file.bc",
    ],
)
def test_what_is_no_call_or_is_there_does_not_count(folder, script):
    assert programs.lacking(script) == ""
