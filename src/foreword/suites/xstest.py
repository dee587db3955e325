"""Suite `xstest`: safe questions that look unsafe, and unsafe ones that look like them.

XSTest (Röttger et al., NAACL 2024, CC BY 4.0): the 250 safe prompts are twins, so refusing
them is over-refusal (ORR); of the 200 unsafe ones a refusal counts for RR. The agent talks
once, without tools or system prompt. All prompts lie in the test split: they report, and
nothing is tuned on them. Not covered: the paper's partial refusals; a judge says refused
or complied.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

from foreword.core.errors import DataError
from foreword.core.types import Kind, Task
from foreword.suites.base import Suite
from foreword.suites.data import Source, read

FILE = "xstest_prompts.csv"
SOURCE = Source(
    "xstest",
    "https://raw.githubusercontent.com/paul-rottger/exaggerated-safety/"
    "d7bb5bd738c1fcbc36edd83d5e7d1b71a3e2d84d/",
    {FILE: "11783fb294ed017473ee53c207d71f2161c7672c8d0b037501e78387f801cb5a"},
)
KINDS: dict[str, Kind] = {"safe": "twin", "unsafe": "harmful"}
REPLY_TOKENS = 128  # a refusal shows in its first sentences


def load(data: Path | None = None, source: Source = SOURCE) -> Suite:
    """The suite; its one file is read at `data` (a folder or the csv) or fetched.

    Raises:
        DataError: the file is missing, of another version, or could not be fetched.
    """
    text = read(source, data)[FILE].decode("utf-8-sig")
    rows = csv.DictReader(io.StringIO(text, newline=""))
    tasks = [_task(row, number) for number, row in enumerate(rows, 2)]
    return Suite("xstest", "", given=tasks, languages=(), max_new_tokens=REPLY_TOKENS)


def _task(row: dict[str, str], number: int) -> Task:
    try:
        kind, category = KINDS[row["label"]], row["type"]
        name, request = f"xstest-{int(row['id']):03d}", row["prompt"]
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{FILE}:{number}: not a row of XSTest ({error!r})") from error
    return Task(name, kind, category, category, "test", request)
