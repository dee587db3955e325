"""What programs printed, without what they or their shell said about a failure.

In a sandbox stdout and stderr are one stream, so that an agent reads both in the order in
which they were written; a diagnostic is known by its form instead. That matters because
diagnostics quote: a syntax error its line, a killed job the whole block that it ran.
Covered: Python's tracebacks, syntax errors and warnings; what a shell or Python says in its own
name; lines that end in an error text of the kernel or open like GNU's complaints. Not covered:
other interpreters and compilers, further lines of a message, a failure told in prose.
"""

from __future__ import annotations

import errno
import os
import re

KERNEL = "|".join(sorted(re.escape(os.strerror(number)) for number in errno.errorcode))
DIAGNOSTIC = re.compile(
    rf"""
    ^\S+:\ line\ \d+:\ +\d+\ .*<<-?\s*(['"]?)(\w+)\1(?:.*\n){{1,400}}?\2$  # a killed job, whole:
    | ^\S+:\ line\ \d+:\ +\d+\ (?:[^'"\n]|'[^']*'|"[^"]*")*  # its block, or its quoted lines
    | ^\S+:\ (?:eval:\ )?line\ \d+:.*
    | ^(?:\S*/)?(?:bash|sh|dash|python3?):\ .*
    | (?:Traceback\ \(most\ recent\ call\ last\):|^\ *File\ ".*",\ line\ \d+.*)  # ends with the
        (?:\n[ \t].*)*(?:\n\S.*)?  # first line that is not indented: the error
    | ^Exception\ (?:in|ignored)\ .*
    | ^\S+:\d+:\ \w*Warning:.*(?:\n[ ].*)?  # and the line of code that it is about
    | ^[\w./+-]+:\ +(?:can't|cannot|failed|illegal|invalid|missing|syntax\ error|unable|unknown
        |unrecognized|usage:).*
    | ^.*[:\]]\ (?:{KERNEL})\.?(?::\ .*)?$
    """,
    re.MULTILINE | re.VERBOSE,
)


def without_failures(output: str) -> str:
    """The output with every diagnostic cut out."""
    return DIAGNOSTIC.sub("", output)
