"""Files that others wrote: found where the user says, or fetched from their public home.

A `Source` pins a data set: every file by name and SHA-256, its home by commit. What is
read is always the pinned bytes, whoever brought them. Covered: a folder that lacks files,
files of another version, a download that breaks off (the cache holds all files or none).
Not covered: mirrors and proxies beyond the environment's own (https_proxy).
"""

from __future__ import annotations

import hashlib
import http.client
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from foreword.core.errors import DataError
from foreword.models import store
from foreword.models.store import Progress

PATIENCE_S = 30.0  # for the next bytes of a download


@dataclass(frozen=True)
class Source:
    """One version of a data set."""

    name: str
    home: str  # the address that file names are put behind, "/" included
    sha256: Mapping[str, str]  # of every file, by its name at home

    @property
    def digest(self) -> str:
        """SHA-256 over the names and hashes of all files."""
        lines = (f"{digest}  {name}\n" for name, digest in sorted(self.sha256.items()))
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def check(self, name: str, content: bytes, where: object) -> None:
        """Raise DataError unless these are the pinned bytes of a file."""
        found = hashlib.sha256(content).hexdigest()
        if found != self.sha256[name]:
            raise DataError(
                f"{where} is not the {name} of {self.name} that is known here (SHA-256 "
                f"{found[:12]}..., not {self.sha256[name][:12]}...): it is cut off or of another "
                f"version; take it from {self.home}"
            )


def read(
    source: Source, data: Path | None = None, progress: Progress | None = None
) -> dict[str, bytes]:
    """The files of a data set, every one checked.

    Args:
        source: what is wanted.
        data: the folder it lies in, as a checkout or with all files side by side (a set of
            one file: the file itself); None to fetch it, once, into the cache.
        progress: called with (what, files done, files in all) while they are fetched.

    Returns:
        Contents by name.

    Raises:
        DataError: files are missing, of another version, or could not be fetched.
        DiskFull: the cache folder's disk is full.
    """
    paths = _given(source, data) if data is not None else _fetched(source, progress)
    found = {name: path.read_bytes() for name, path in paths.items()}
    for name, content in found.items():
        source.check(name, content, paths[name])
    return found


def _given(source: Source, data: Path) -> dict[str, Path]:
    if not data.exists():
        raise DataError(f"there is no {data}; --data names the folder of {source.name}")
    if data.is_file() and len(source.sha256) == 1:
        return dict.fromkeys(source.sha256, data)
    found, missing = {}, []
    for name in source.sha256:
        places = [data / name, data / Path(name).name]
        path = next((place for place in places if place.is_file()), None)
        if path is None:
            missing.append(name)
        else:
            found[name] = path
    if missing:
        raise DataError(
            f"{data} lacks {len(missing)} of the {len(source.sha256)} files of {source.name}, "
            f"{missing[0]} first; take them from {source.home}, or leave --data out"
        )
    return found


def _fetched(source: Source, progress: Progress | None) -> dict[str, Path]:
    final = store.cache_dir() / "data" / f"{source.name}-{source.digest[:12]}"
    if not store.is_complete(final):
        store.clean_partial()
        final.parent.mkdir(parents=True, exist_ok=True)
        with store.building(final) as folder:
            for done, name in enumerate(source.sha256):
                if progress:
                    progress(f"fetching {source.name}", done, len(source.sha256))
                content = _download(source.home + name)
                source.check(name, content, source.home + name)
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(content)
    return {name: final / name for name in source.sha256}


def _download(url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:  # noqa: S310 - pinned
            content: bytes = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise DataError(
            f"cannot fetch {url}: {error}; bring the files yourself and name their folder by --data"
        ) from error
    return content
