"""Reads RedCode-Exec: the authors' files become items, or one line says what is wrong with them.

The Python half (27 indices of 30 items) is known by the SHA-256 of every file. Of the Bash
half (20 indices of 30 items) only commit and file names are known here, no hashes. What is
not pinned is not fetched, so it is taken from a path alone, by its structure, and the
suite's digest names what was read.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from foreword.core.errors import DataError
from foreword.suites.data import Source, read

COMMIT = "c84b6db88fd8bd258e29f12e692ccfd4287a454d"
HOME = f"https://raw.githubusercontent.com/AI-secure/RedCode/{COMMIT}/"
ROOT = "dataset/RedCode-Exec"
FOLDERS = {"python": "py2text_dataset_json", "bash": "bash2text_dataset_json"}
FILES = {
    "python": re.compile(r"index(\d+)_30_codes_full\.json"),
    "bash": re.compile(r"index(\d+)_30_codes_full_upd\.json"),
}
BASH_INDICES = (*range(1, 10), *range(12, 17), 18, *range(20, 24), 25)  # that upstream has
ITEMS = 30
KEYS = ("Index", "Code", "expected_result", "Text_summary", "Text_details")

Language = Literal["python", "bash"]


def _source() -> Source:
    rows = (Path(__file__).parent / "python.sha256").read_text("utf-8").splitlines()
    hashes = {f"{ROOT}/{FOLDERS['python']}/{name}": digest for digest, name in map(str.split, rows)}
    return Source("redcode", HOME, hashes)


SOURCE = _source()


@dataclass(frozen=True)
class Item:
    """One risky script, and how its authors ask for it in words."""

    language: Language
    index: int  # the scenario, from 1
    number: int  # within its index, from 1
    code: str
    expected: str  # the authors' mark of success
    summary: str
    details: str

    @property
    def family(self) -> str:
        """Its index in its language."""
        return f"{self.language}-{self.index:02d}"

    @property
    def token(self) -> str:
        """A word that nobody knows who has not seen this item's world."""
        text = f"redcode {self.family}-{self.number}"
        return "t" + hashlib.sha256(text.encode()).hexdigest()[:11]


def items(data: Path | None = None, source: Source = SOURCE) -> list[Item]:
    """All items, by language, index and number.

    Args:
        data: the repository, its `dataset` or `RedCode-Exec` folder, or one of the two
            halves; None for the Python half from its public home.
        source: the Python half as it should be.

    Raises:
        DataError: something is missing, broken or of another version.
    """
    if data is None:
        files = read(source)
        found = [(_index("python", Path(name).name), name, files[name]) for name in files]
        return [item for row in sorted(found) for item in _parsed("python", *row)]
    halves = _halves(data)
    return [item for language in halves for item in _half(language, halves[language], source)]


def _halves(data: Path) -> dict[Language, Path]:
    """The folder of each half that is there."""
    if not data.exists():
        raise DataError(f"there is no {data}; --data names the folder of RedCode")
    found: dict[Language, Path] = {}
    languages: tuple[Language, ...] = ("python", "bash")
    for language in languages:
        places = [data / ROOT, data / "RedCode-Exec", data]
        folders = [place / FOLDERS[language] for place in places] + [data.absolute()]
        for folder in folders:
            if folder.name == FOLDERS[language] and folder.is_dir():
                found[language] = folder
                break
    if not found:
        raise DataError(
            f"{data} holds neither {FOLDERS['python']} nor {FOLDERS['bash']}: --data names a "
            "checkout of RedCode, or its folder dataset, RedCode-Exec or one of these two"
        )
    return found


def _index(language: Language, name: str) -> int:
    found = FILES[language].fullmatch(name)
    return int(found.group(1)) if found else 0


def _half(language: Language, folder: Path, source: Source) -> Iterator[Item]:
    paths = {_index(language, path.name): path for path in sorted(folder.iterdir())}
    paths.pop(0, None)
    if language == "python":
        known = {_index(language, Path(name).name): name for name in source.sha256}
        for index in sorted(known):
            if index not in paths:
                raise DataError(f"{folder / Path(known[index]).name} is missing")
        if more := sorted(paths.keys() - known.keys()):
            raise DataError(f"{paths[more[0]]} is not of the pinned version of RedCode")
    elif not paths.keys() >= set(BASH_INDICES):
        missing = ", ".join(str(index) for index in BASH_INDICES if index not in paths)
        raise DataError(
            f"{folder} lacks, of upstream's files index<i>_30_codes_full_upd.json, i = {missing}"
        )
    for index in sorted(paths):
        content = _content(paths[index])
        yield from _parsed(language, index, str(paths[index]), content)
        if language == "python":
            source.check(known[index], content, paths[index])


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error


def _parsed(language: Language, index: int, where: str, content: bytes) -> list[Item]:
    try:
        rows = json.loads(content)
    except ValueError as error:
        raise DataError(f"{where} is not JSON: {error}") from error
    if not isinstance(rows, list) or len(rows) != ITEMS:
        count = len(rows) if isinstance(rows, list) else "no list of"
        raise DataError(f"{where} has {count} items, not {ITEMS}")
    return [_item(language, index, n, f"{where}, item {n}", row) for n, row in enumerate(rows, 1)]


def _item(language: Language, index: int, number: int, where: str, row: Any) -> Item:
    for key in KEYS:
        if not isinstance(row, dict) or not isinstance(row.get(key), str):
            raise DataError(f"{where}: no text under {key!r}")
    if row["Index"] != f"{index}_{number}":
        raise DataError(f"{where}: its Index is {row['Index']!r}, not '{index}_{number}'")
    return Item(
        language,
        index,
        number,
        row["Code"],
        row["expected_result"],
        row["Text_summary"],
        row["Text_details"],
    )
