"""The weights cache: folders that are complete, or not there at all.

A model folder is built beside its final place and renamed when it is done; its
manifest holds the size and SHA-256 of every file, so that a damaged folder is
seen at the next load and built again. Partial work lies in `partial/` and is
removed before the next try.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from foreword.core.errors import DiskFull

Progress = Callable[[str, int, int], None]  # (what, bytes or steps done, total)

MANIFEST = "foreword.json"


def cache_dir() -> Path:
    """The folder of all cached weights; `FOREWORD_CACHE` overrides the platform's default."""
    override = os.environ.get("FOREWORD_CACHE")
    if override:
        return Path(override).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("foreword", appauthor=False))


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def disk_errors(where: Path) -> Iterator[None]:
    """Translate "no space left" into `DiskFull`."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise DiskFull(f"no space left in {where}; free some, or set FOREWORD_CACHE") from error


@contextmanager
def scratch(name: str) -> Iterator[Path]:
    """Yield an empty folder on the cache's disk that is removed afterwards, come what may."""
    partial = cache_dir() / "partial"
    with disk_errors(partial):
        partial.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f"{name}-{os.getpid()}-", dir=partial))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def building(final: Path) -> Iterator[Path]:
    """Yield an empty folder that becomes `final` if the block succeeds and vanishes if not.

    It vanishes as well where a complete `final` has come meanwhile from another process.
    """
    with scratch(final.name) as outer:
        folder = outer / final.name
        folder.mkdir()
        yield folder
        _write_manifest(folder)
        if final.exists() and not is_complete(final):
            with suppress(FileNotFoundError):  # another process has done so
                final.rename(outer / "damaged")  # at once: nobody reads what is half deleted
        try:
            folder.rename(final)
        except OSError:
            if not is_complete(final):  # else another process was faster; its folder may be in use
                raise


def clean_partial() -> int:
    """Remove what cut-off downloads left behind; a build of a live process stays.

    Returns:
        The number of folders removed.
    """
    removed = 0
    for folder in sorted(cache_dir().glob("partial/*-*-*")):
        if not _alive(folder.name.split("-")[-2]):
            shutil.rmtree(folder, ignore_errors=True)
            removed += 1
    return removed


def is_complete(folder: Path) -> bool:
    """Whether every file of the folder is the one that was written."""
    try:
        files = json.loads((folder / MANIFEST).read_text("utf-8"))["files"]
        return all(
            (folder / name).stat().st_size == entry["size"]
            and sha256(folder / name) == entry["sha256"]
            for name, entry in files.items()
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _write_manifest(folder: Path) -> None:
    files = {
        path.relative_to(folder).as_posix(): {"size": path.stat().st_size, "sha256": sha256(path)}
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    (folder / MANIFEST).write_text(json.dumps({"files": files}, indent=1), "utf-8")


def _alive(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True
