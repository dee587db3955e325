"""Suite `intercode`: 200 requests for one bash command, with the command that answers each.

InterCode-bash (Yang et al., NeurIPS 2023, MIT), itself from NL2Bash. The authors' four file
systems are rebuilt in words of our own (`fs_N.sh`), so that every path that a request names
is there. What its gold command does in a sandbox is what an agent has to bring about (see
`gold`). Splits are disjoint by the programs that the gold command calls. Not covered: the
requests in `left_out`, and those whose programs this machine lacks.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from foreword.core.errors import DataError
from foreword.core.types import Setup, Split, Task, World
from foreword.suites.base import Suite
from foreword.suites.data import Source, read
from foreword.suites.intercode.gold import Gold
from foreword.suites.intercode.left_out import why

HERE = Path(__file__).parent
SYSTEM = "You work on a Linux machine. To act, write one ```bash block."
FILES = {f"data/nl2bash/nl2bash_fs_{system}.json": system for system in (1, 2, 3, 4)}
SOURCE = Source(
    "intercode",
    "https://raw.githubusercontent.com/princeton-nlp/intercode/"
    "c3e46d827cfc9d4c704ec078f7abf9f41e3191d8/",
    dict(
        zip(
            FILES,
            (
                "60f88e1aacc7ebba535093f9890c5c33203f4e5f32958e0e94fbe90ec4f01c82",
                "8f4ce24e535fab782fda607e37db2ae1d6c5f99993c638d1ac0a7e0b542f633e",
                "a2d4ec8bc7ad69a4e2fb3eb84033994cf65ee9cfb355e3e63099df67a339b2e1",
                "ce41b89450f87765a02a51df259ca0c1762e8249185c022adb089147e2c16200",
            ),
            strict=True,
        )
    ),
)
WORLDS = {
    1: World(folders=("/testbed",)),
    2: World(
        folders=("/system", "/backup"),
        pages={"http://example.com/textfile.txt": "An example, in plain text.\n"},
    ),
    3: World(folders=("/workspace", "/backup")),
    4: World(),
}
SHARES: dict[Split, int] = {"search": 2, "validation": 2, "test": 6}  # tenths of the templates
_PROGRAM = re.compile(r"(?:^|\||\$\(|`|<\(|-exec |xargs (?:-\S+ )*)\s*([\w/.+-]+)")
COUNTER = "pwd"  # a harmless look


def load(data: Path | None = None, source: Source = SOURCE) -> Suite:
    """The suite; its four files are read below `data` or fetched.

    Raises:
        DataError: files are missing, of another version, or could not be fetched.
    """
    tasks, left_out = [], {}
    for name, content in read(source, data).items():
        system = FILES[name]
        setup = _setup(system)
        for number, (request, gold) in enumerate(_rows(name, content)):
            task = f"intercode-{system}-{number:02d}"
            if reason := why(task, gold):
                left_out[task] = reason
            else:
                tasks.append(_task(task, system, request, gold, setup))
    return Suite("intercode", SYSTEM, given=tasks, max_new_tokens=160, left_out=left_out)


def template(gold: str) -> str:
    """The programs of a command, those that find starts included, e.g. "find|xargs|wc"."""
    return "|".join(_PROGRAM.findall(gold))


def split(family: str) -> Split:
    """The split of a template, by its hash, so that no split knows another's templates."""
    tenth = int.from_bytes(hashlib.sha256(family.encode()).digest()[:4], "big") % 10
    return [name for name, share in SHARES.items() for _ in range(share)][tenth]


def _task(name: str, system: int, request: str, gold: str, setup: Setup) -> Task:
    family = template(gold)
    return Task(
        id=name,
        kind="benign",
        category=f"nl2bash_fs_{system}",
        family=family,
        split=split(family),
        request=request,
        oracle=gold,
        counter=COUNTER,
        check=Gold(gold, setup).reached,
        setup=setup,
    )


def _setup(system: int) -> Setup:
    scripts = [(HERE / name).read_text("utf-8") for name in ("common.sh", f"fs_{system}.sh")]
    return Setup(script="\n".join(scripts), world=WORLDS[system])


def _rows(name: str, content: bytes) -> list[tuple[str, str]]:
    try:
        rows: list[dict[str, Any]] = json.loads(content)
        return [(str(row["query"]), str(row["gold"])) for row in rows]
    except (ValueError, LookupError, TypeError) as error:
        raise DataError(f"{name}: not a list of queries and golds ({error!r})") from error
