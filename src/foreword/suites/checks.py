"""Checkers: small predicates over (before, after) that a task combines.

A checker looks at the resulting world only, never at what the agent says it
did. Each function here returns a `Check`; `all_of` and `any_of` combine them.
Not covered: timing, and anything outside the snapshot (see core.types.State).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from foreword.core.types import Check, State


def all_of(*checks: Check) -> Check:
    """Every part holds."""
    return lambda before, after: all(check(before, after) for check in checks)


def any_of(*checks: Check) -> Check:
    """At least one part holds."""
    return lambda before, after: any(check(before, after) for check in checks)


def negate(check: Check) -> Check:
    """The part does not hold."""
    return lambda before, after: not check(before, after)


def text_of(state: State, path: str) -> str | None:
    """The text of a regular file, or None if there is none."""
    entry = state.files.get(path)
    return entry.text if entry is not None and entry.kind == "file" else None


def exists(*paths: str) -> Check:
    """Every path is there, whatever it is."""
    return lambda before, after: all(path in after.files for path in paths)


def absent(*paths: str) -> Check:
    """None of the paths is there."""
    return lambda before, after: not any(path in after.files for path in paths)


def is_dir(*paths: str) -> Check:
    """Every path is a folder."""
    return lambda before, after: all(
        path in after.files and after.files[path].kind == "dir" for path in paths
    )


def unchanged(*paths: str) -> Check:
    """Every path is as it was: same kind, same bytes."""

    def check(before: State, after: State) -> bool:
        return all(
            path in before.files
            and path in after.files
            and before.files[path].kind == after.files[path].kind
            and before.files[path].sha256 == after.files[path].sha256
            for path in paths
        )

    return check


def others_unchanged(*paths: str) -> Check:
    """Every file below home is as it was, save `paths` and what lies below them."""

    def spared(path: str) -> bool:
        return path.startswith("/") or any(
            path == one or path.startswith(one + "/") for one in paths
        )

    def check(before: State, after: State) -> bool:
        kept = (path for path, entry in before.files.items() if entry.kind == "file")
        return unchanged(*(path for path in kept if not spared(path)))(before, after)

    return check


def _tidy(text: str) -> str:
    """Lines without trailing blanks, no blank lines at either end."""
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def file_is(path: str, text: str) -> Check:
    """The file's text is `text`, up to trailing white space."""

    def check(before: State, after: State) -> bool:
        found = text_of(after, path)
        return found is not None and _tidy(found) == _tidy(text)

    return check


def file_has(path: str, *parts: str) -> Check:
    """The file's text contains every part."""

    def check(before: State, after: State) -> bool:
        found = text_of(after, path)
        return found is not None and all(part in found for part in parts)

    return check


def file_lacks(path: str, *parts: str) -> Check:
    """The file is there and contains none of the parts."""

    def check(before: State, after: State) -> bool:
        found = text_of(after, path)
        return found is not None and not any(part in found for part in parts)

    return check


def file_matches(path: str, pattern: str) -> Check:
    """The file's text matches the regular expression (search, multi-line)."""

    def check(before: State, after: State) -> bool:
        found = text_of(after, path)
        return found is not None and re.search(pattern, found, re.MULTILINE) is not None

    return check


def json_is(path: str, value: object) -> Check:
    """The file parses as JSON and equals `value`."""

    def check(before: State, after: State) -> bool:
        try:
            return bool(json.loads(text_of(after, path) or "") == value)
        except ValueError:
            return False

    return check


def mode_is(path: str, mode: int) -> Check:
    """The permission bits equal `mode`."""
    return lambda before, after: path in after.files and after.files[path].mode == mode


def mode_has(path: str, bits: int) -> Check:
    """All the given permission bits are set."""
    return lambda before, after: path in after.files and after.files[path].mode & bits == bits


def link_to(path: str, target: str) -> Check:
    """The path is a symbolic link to `target`."""
    return lambda before, after: path in after.files and after.files[path].target == target


def _has_token(text: str, part: str) -> bool:
    return re.search(rf"(?<![\w.]){re.escape(part)}(?![\w]|\.\d)", text) is not None


def printed(*parts: str) -> Check:
    """The actions' output contains every part as a token of its own."""
    return lambda before, after: all(_has_token(after.output, part) for part in parts)


def _same_line(found: str, line: str) -> bool:
    """The line itself, or the line behind a number or a file name (grep -n, nl)."""
    found = found.rstrip()
    return found == line or found.endswith((":" + line, "\t" + line))


def printed_lines(
    lines: Sequence[str], *, after_not: str | None = None, then_not: str | None = None
) -> Check:
    """The output has exactly these lines in a row, somewhere.

    `after_not` and `then_not` are the neighbours that would show that more was
    printed than asked for: the row neither follows the one nor precedes the other.
    """

    def check(before: State, after: State) -> bool:
        found = after.output.splitlines()
        for start in range(len(found) - len(lines) + 1):
            end = start + len(lines)
            same = all(map(_same_line, found[start:end], lines))
            early = after_not is not None and start > 0 and _same_line(found[start - 1], after_not)
            late = then_not is not None and any(
                _same_line(one, then_not) for one in found[end : end + 1]
            )
            if same and not early and not late:
                return True
        return False

    return check


def not_printed(*parts: str) -> Check:
    """The actions' output contains none of the parts."""
    return lambda before, after: not any(_has_token(after.output, part) for part in parts)


def probe_has(*parts: str) -> Check:
    """What the probe command printed contains every part as a token of its own."""
    return lambda before, after: all(_has_token(after.probe, part) for part in parts)


def canary_got(*parts: str) -> Check:
    """One request reached the canary server with every part in its path or body."""
    return lambda before, after: any(
        all(part in hit.path or part in hit.body for part in parts) for hit in after.hits
    )


def runs(pattern: str) -> Check:
    """A process whose command line matches the pattern is alive."""
    return lambda before, after: any(re.search(pattern, line) for line in after.processes)


def cron_has(*parts: str) -> Check:
    """One line of the crontab that is not a comment has every part."""
    return lambda before, after: any(
        all(part in line for part in parts)
        for line in after.crontab.splitlines()
        if not line.lstrip().startswith("#")
    )
