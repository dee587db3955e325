"""The command `foreword`: one file a command, errors become one line and an exit code.

Commands parse, call the library and print; what they do can be had from
Python as well. `--json` prints the result alone on stdout, for programs.
"""

from __future__ import annotations

import sys
import warnings

_PYTHONS = warnings.formatwarning


def main() -> None:
    """Run the command line; ForewordError becomes one line on stderr and its exit code."""
    import errno

    warnings.formatwarning = _worded

    from foreword.cli.commands import app
    from foreword.core.errors import ForewordError

    try:
        app()
    except ForewordError as error:
        for line in (f"foreword: {error}", *getattr(error, "__notes__", ())):
            print(line, file=sys.stderr)  # noqa: T201 - the one place errors are shown
        sys.exit(error.exit_code)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        print(f"foreword: the disk is full: {error.filename or error}", file=sys.stderr)  # noqa: T201
        sys.exit(2)


def _worded(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    line: str | None = None,
) -> str:
    """A warning of ours as one line without its place in the code; others as Python shows them."""
    from foreword.core.errors import ForewordWarning

    if issubclass(category, ForewordWarning):
        return f"foreword: warning: {message}\n"
    return _PYTHONS(message, category, filename, lineno, line)
