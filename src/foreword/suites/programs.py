"""Programs that scripts of others call and that not every machine has.

A task whose own script calls one that is missing cannot be proved here, so it is no task here:
`intercode` and RedCode's Bash half leave it out and say why. Only words where a shell looks for
a command count, of a list of names, because a name in a string or a here-document is no call.
"""

from __future__ import annotations

import re
from pathlib import Path

FOLDERS = ("/usr/bin", "/usr/sbin")  # of the host, as the sandbox sees them
NAMES = (
    *("7z", "at", "bc", "c++", "cal", "cc", "column", "cpio", "dc", "dig", "expect", "fuser"),
    *("g++", "gcc", "gdb", "git", "gpg", "host", "ifconfig", "inotifywait", "ip", "jq"),
    *("killall", "lsof", "lynx", "mail", "make", "mysql", "ncat", "netcat", "netstat", "nmap"),
    *("node", "nslookup", "openssl", "perl", "php", "ping", "psql", "pstree", "redis-cli"),
    *("rsync", "ruby", "scp", "sendmail", "socat", "sqlite3", "ss", "ssh", "strace", "tcpdump"),
    *("telnet", "tftp", "tree", "uuencode", "uuidgen", "whois", "xmllint", "xxd"),
)
CALL = re.compile(
    r"(?:^|[|;&`({]|\b(?:do|else|exec|if|sudo|then|time|which|while|xargs)\b(?: +-\S+)*)[ \t]*"
    rf"({'|'.join(re.escape(name) for name in sorted(NAMES, key=len, reverse=True))})"
    r"(?![\w./=+(-])",  # neither a longer word, a value, nor the head of a function
    re.MULTILINE,
)


def lacking(script: str) -> str:
    """Why a bash script cannot run here; "" if nothing it calls is known to be missing."""
    for name in CALL.findall(script):
        if not any(Path(folder, name).exists() for folder in FOLDERS):
            return f"this machine has no {name}"
    return ""
