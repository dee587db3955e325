"""One open sandbox for the tests that need nothing special."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from foreword.core.types import Setup
from foreword.sandbox import Limits, Sandbox, available, open_sandbox

PATIENT = Limits(wall_s=120)  # for machines that are busy with other things


@pytest.fixture(autouse=True, scope="session")
def _works() -> None:
    reason = available()
    if reason is not None:
        pytest.fail(reason)


@pytest.fixture
def box() -> Iterator[Sandbox]:
    with open_sandbox(Setup(), PATIENT) as sandbox:
        yield sandbox
