import pytest

from foreword.core import errors


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.DataError, 2),
        (errors.HashMismatch, 2),
        (errors.RunError, 2),
        (errors.DiskFull, 2),
        (errors.SandboxError, 3),
        (errors.ModelError, 3),
        (errors.TooManyUndecided, 4),
    ],
)
def test_exit_codes(error: type[errors.ForewordError], code: int) -> None:
    assert issubclass(error, errors.ForewordError)
    assert error.exit_code == code


def test_an_unknown_name_lists_the_known_ones() -> None:
    error = errors.UnknownName("adapter", "alinged", ["aligned", "agent"])
    assert str(error) == "unknown adapter 'alinged'; known: agent, aligned"
    assert str(errors.UnknownName("suite", "x", [])) == "unknown suite 'x'; known: none"
