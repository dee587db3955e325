"""Files of others: found, fetched once, and never another version than the pinned one."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from foreword.core.errors import DataError
from foreword.models import store
from foreword.suites.data import Source, read

FILES = {"part/one.json": b'["one"]\n', "part/two.json": b'["two"]\n'}


def pinned(home: str, files: dict[str, bytes] = FILES) -> Source:
    return Source("toys", home, {n: hashlib.sha256(c).hexdigest() for n, c in files.items()})


def write(folder: Path, files: dict[str, bytes] = FILES) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


class Home:
    """A public home on loopback; `cut` halves every file, `asked` counts."""

    def __init__(self) -> None:
        self.files, self.cut, self.asked = dict(FILES), False, 0
        home = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                home.asked += 1
                content = home.files.get(self.path.removeprefix("/v1/"))
                self.send_response(404 if content is None else 200)
                self.send_header("Content-Length", str(len(content or b"")))
                self.end_headers()
                if content:
                    self.wfile.write(content[: len(content) // 2] if home.cut else content)

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1/"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FOREWORD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def home():
    home = Home()
    threading.Thread(target=home.server.serve_forever, daemon=True).start()
    yield home
    home.server.shutdown()
    home.server.server_close()


def test_a_checkout_and_a_flat_folder(tmp_path):
    assert read(pinned("http://nowhere/"), write(tmp_path / "checkout")) == FILES
    flat = write(tmp_path / "flat", {Path(n).name: c for n, c in FILES.items()})
    assert read(pinned("http://nowhere/"), flat) == FILES


def test_a_set_of_one_file_is_named_by_itself(tmp_path):
    one = {"one.csv": b"a,b\n"}
    (tmp_path / "mine.csv").write_bytes(one["one.csv"])
    assert read(pinned("http://nowhere/", one), tmp_path / "mine.csv") == one


@pytest.mark.parametrize(
    ("files", "named"),
    [
        ({"part/one.json": FILES["part/one.json"]}, r"lacks 1 of the 2 files of toys, part/two"),
        ({**FILES, "part/two.json": b'["t'}, r"two\.json is not the part/two\.json of toys"),
    ],
)
def test_partial_and_other_versions_are_named(tmp_path, files, named):
    with pytest.raises(DataError, match=named) as caught:
        read(pinned("http://home/"), write(tmp_path, files))
    assert "take" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match="there is no"):
        read(pinned("http://home/"), tmp_path / "nothing")


def test_fetched_once_and_checked(home, cache):
    steps = []
    source = pinned(home.url)
    assert read(source, progress=lambda *step: steps.append(step)) == FILES
    assert read(source) == FILES
    assert home.asked == 2
    assert steps == [("fetching toys", 0, 2), ("fetching toys", 1, 2)]


def test_a_damaged_cache_is_fetched_again(home, cache):
    source = pinned(home.url)
    read(source)
    (cache / "data" / f"toys-{source.digest[:12]}" / "part" / "one.json").write_text("[]")
    assert read(source) == FILES
    assert home.asked == 4


@pytest.mark.parametrize(
    ("break_it", "named"),
    [
        (lambda home: setattr(home, "cut", True), "cannot fetch"),
        (lambda home: home.files.pop("part/two.json"), "404"),
        (lambda home: home.files.update({"part/two.json": b"[]"}), "of another version"),
    ],
)
def test_a_home_that_fails_leaves_nothing(home, cache, break_it, named):
    break_it(home)
    with pytest.raises(DataError, match=named):
        read(pinned(home.url))
    assert list((cache / "data").iterdir()) == []
    assert list((cache / "partial").iterdir()) == []


def test_a_home_that_is_not_there(home):
    home.server.server_close()
    with pytest.raises(DataError, match=r"cannot fetch .*--data"):
        read(pinned(home.url))


def test_the_manifest_knows_files_below_folders(cache):
    with store.building(cache / "deep") as folder:
        write(folder)
    assert store.is_complete(cache / "deep")
    (cache / "deep" / "part" / "one.json").unlink()
    assert not store.is_complete(cache / "deep")
