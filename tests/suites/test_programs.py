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
    ("script", "calls"),
    [
        ("bc -l", True),
        ("#!/bin/bash\n  bc <<< 1+1", True),
        ("echo 1+1 | bc", True),
        ("a=$(bc <<< 1)", True),
        ("a=`bc <<< 1`", True),
        ("jq . x && bc y", True),
        ("if true; then bc x; fi", True),
        ("find . -exec bc {} +", True),
        ("ls | xargs -0 bc", True),
        ("ls $(which bc)", True),
        ("sudo bc", True),
        ("jq . x", False),
        ("echo bc", False),
        ("cat /opt/bc", False),
        ("./bc", False),
        ("bc=1; abc; bc-1", False),
        ("bc() { :; }", False),
        ('echo "the tree at host"', False),
        ("cat file.bc", False),
    ],
)
def test_a_script_that_calls_bc_lacks_it_until_it_is_there(folder, script, calls):
    assert programs.lacking(script) == ("this machine has no bc" if calls else "")
    (folder / "bc").touch()
    assert programs.lacking(script) == ""
