"""Fetching the public dialogues: over a real HTTP connection to this machine, or from a zip."""

from __future__ import annotations

import hashlib
import io
import os
import re
import socket
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from judge.chatanime import ARCHIVE_URL, FILES, FetchReport, data_root, fetch, verify
from judge.errors import DataError, NetworkError, StoreError

CONTENT = {"a.json": b'{"a": []}', "b.json": b'{"b": []}' * 5_000}
WANTED = {name: hashlib.sha256(content).hexdigest() for name, content in CONTENT.items()}
DEFAULT = Path(__file__).parents[3] / "shared" / "data"
RELEASE = Path(os.environ.get("JUDGE_DATA") or DEFAULT) / "chatanime"


def make_zip(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


GOOD = make_zip({f"Repo-2169710/data/{name}": content for name, content in CONTENT.items()})


class Handler(BaseHTTPRequestHandler):
    """/good is whole, /cut ends half-way, /chunks and /chunks-cut have no length."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.close_connection = True
        if self.path == "/none":
            self.send_error(404)
            return
        self.send_response(200)
        if self.path.startswith("/chunks"):
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(GOOD), GOOD))
            self.wfile.write(b"0\r\n\r\n" if self.path == "/chunks" else b"ff\r\nhalf")
            return
        self.send_header("Content-Length", str(len(GOOD)))
        self.end_headers()
        self.wfile.write(GOOD if self.path == "/good" else GOOD[: len(GOOD) // 2])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def local(tmp_path: Path, members: dict[str, bytes]) -> Path:
    path = tmp_path / "archive.zip"
    path.write_bytes(make_zip(members))
    return path


# What arrives


@pytest.mark.parametrize(("page", "length"), [("/good", len(GOOD)), ("/chunks", None)])
def test_a_download(server: str, tmp_path: Path, page: str, length: int | None) -> None:
    """The files named arrive byte for byte, nothing else does, and progress ends at the size."""
    seen: list[tuple[int, int | None]] = []
    report = fetch(
        tmp_path / "new" / "folder",
        url=server + page,
        files=WANTED,
        progress=lambda *step: seen.append(step),
    )
    folder = tmp_path / "new" / "folder"
    assert report == FetchReport(folder, server + page, ("a.json", "b.json"), (), ())
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == CONTENT
    assert seen[-1] == (len(GOOD), length)


def test_what_is_right_is_left_alone(tmp_path: Path) -> None:
    """A right file is not touched, a different one is replaced and said so; then no network."""
    (tmp_path / "a.json").write_bytes(CONTENT["a.json"])
    (tmp_path / "b.json").write_bytes(b"old")
    os.utime(tmp_path / "a.json", ns=(1, 1))
    archive = local(tmp_path, {"b.json": CONTENT["b.json"]})
    report = fetch(tmp_path, archive=archive, files=WANTED)
    assert (report.written, report.replaced, report.kept) == ((), ("b.json",), ("a.json",))
    assert (tmp_path / "a.json").stat().st_mtime_ns == 1
    assert (tmp_path / "b.json").read_bytes() == CONTENT["b.json"]
    again = fetch(tmp_path, url="http://127.0.0.1:9/never-asked", files=WANTED)
    assert (again.written, again.replaced, again.kept) == ((), (), ("a.json", "b.json"))


def test_the_right_one_of_two_files_with_one_name(tmp_path: Path) -> None:
    """A name that is twice in the archive is the file whose hash is right."""
    archive = local(tmp_path, {"old/a.json": b"x", "new/a.json": CONTENT["a.json"]})
    fetch(tmp_path / "to", archive=archive, files={"a.json": WANTED["a.json"]})
    assert (tmp_path / "to" / "a.json").read_bytes() == CONTENT["a.json"]


def test_names_that_climb_out_of_the_folder(tmp_path: Path) -> None:
    """`../evil` and absolute names write nothing outside, whatever their content is."""
    evil = tmp_path / "absolute.json"
    members = {"../evil.json": b"x", str(evil): b"x", "../../a.json": CONTENT["a.json"]}
    archive = local(tmp_path, members)
    fetch(tmp_path / "in" / "to", archive=archive, files={"a.json": WANTED["a.json"]})
    written = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert written == {archive, tmp_path / "in" / "to" / "a.json"}


# What does not


def refused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize(
    ("page", "message"),
    [
        ("/none", "the server answered 404"),
        ("/cut", f"it stopped after {len(GOOD) // 2} of {len(GOOD)} bytes"),
        ("/chunks-cut", "IncompleteRead"),
    ],
)
def test_an_interrupted_download(server: str, tmp_path: Path, page: str, message: str) -> None:
    """A download that fails leaves nothing behind and says how to go on by hand."""
    with pytest.raises(NetworkError, match=message) as caught:
        fetch(tmp_path / "to", url=server + page, files=WANTED)
    assert "judge data fetch --archive FILE" in (caught.value.hint or "")
    assert not (tmp_path / "to").exists()


@pytest.mark.parametrize("url", ["http://127.0.0.1:{}/x.zip", "no-scheme", "http://127.0.0.1:x/"])
def test_no_connection(tmp_path: Path, url: str) -> None:
    """A refused connection and an address that is none give the same error with its hint."""
    url = url.format(refused_port())
    with pytest.raises(NetworkError, match=re.escape(url)) as caught:
        fetch(tmp_path / "to", url=url, files=WANTED)
    assert f"download {url} by hand" in (caught.value.hint or "")


def test_ctrl_c_in_the_middle(server: str, tmp_path: Path) -> None:
    """An interrupt while bytes arrive goes up unchanged and leaves nothing."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(tmp_path / "to", url=server + "/good", files=WANTED, progress=interrupt)
    assert not (tmp_path / "to").exists()


def test_a_download_without_end(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A download beyond the cap (made small here) is stopped."""
    monkeypatch.setattr("judge.chatanime.MAX_ARCHIVE", 100)
    with pytest.raises(NetworkError, match="more than 100 bytes came"):
        fetch(tmp_path / "to", url=server + "/chunks", files=WANTED)
    assert not (tmp_path / "to").exists()


def test_a_wrong_checksum_writes_nothing(tmp_path: Path) -> None:
    """One corrupted file among good ones: the error names it and both hashes, no file is made."""
    archive = local(tmp_path, CONTENT | {"b.json": b"other"})
    found = hashlib.sha256(b"other").hexdigest()
    with pytest.raises(
        DataError, match=f"b.json in .* has SHA-256 {found}, expected {WANTED['b.json']}"
    ) as caught:
        fetch(tmp_path / "to", archive=archive, files=WANTED)
    assert ARCHIVE_URL in (caught.value.hint or "")
    assert not (tmp_path / "to").exists()


def test_a_file_that_is_missing_or_too_large(tmp_path: Path) -> None:
    """A missing file is named; a file that unpacks beyond all bounds is not unpacked."""
    archive = local(tmp_path, {"a.json": CONTENT["a.json"]})
    with pytest.raises(DataError, match=r"b.json in .* is missing"):
        fetch(tmp_path / "to", archive=archive, files=WANTED)
    archive = local(tmp_path, {"a.json": bytes(40 * 2**20)})
    with pytest.raises(DataError, match=r"a.json in .* has more than 33554432 bytes"):
        fetch(tmp_path / "to", archive=archive, files=WANTED)
    assert not (tmp_path / "to").exists()


def half(content: bytes) -> bytes:
    return content[: len(content) // 2]


def damaged(content: bytes) -> bytes:
    """Other bytes where the first member's content lies, after its header of 30 and its name."""
    start = 30 + len("Repo-2169710/data/a.json")
    return content[:start] + b"\xff\xff" + content[start + 2 :]


@pytest.mark.parametrize("spoil", [half, damaged, lambda _: b"<html>", lambda _: b""])
def test_an_archive_that_is_none(tmp_path: Path, spoil: Callable[[bytes], bytes]) -> None:
    """A cut, damaged or wrong file is said not to be a readable zip."""
    path = tmp_path / "x.zip"
    path.write_bytes(spoil(GOOD))
    with pytest.raises(DataError, match=r"x.zip is not a readable zip archive") as caught:
        fetch(tmp_path / "to", archive=path, files=WANTED)
    assert caught.value.hint
    assert not (tmp_path / "to").exists()


def test_paths_that_cannot_be_used(tmp_path: Path) -> None:
    """A missing archive, and a target that is a file or holds a folder in the way."""
    with pytest.raises(DataError, match=r"none.zip: it cannot be read: No such file"):
        fetch(tmp_path / "to", archive=tmp_path / "none.zip", files=WANTED)
    archive = local(tmp_path, CONTENT)
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"file/to/a.json: it cannot be read: Not a directory"):
        fetch(tmp_path / "file" / "to", archive=archive, files=WANTED)
    (tmp_path / "full" / "b.json").mkdir(parents=True)
    with pytest.raises(DataError, match=r"b.json: it cannot be read: Is a directory"):
        fetch(tmp_path / "full", archive=archive, files=WANTED)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """A failing write (here a name longer than any file system allows) leaves no part behind."""
    name = "x" * 250
    archive = local(tmp_path, {name: b"x"})
    with pytest.raises(StoreError, match="cannot be written: File name too long") as caught:
        fetch(tmp_path / "to", archive=archive, files={name: hashlib.sha256(b"x").hexdigest()})
    assert "--to" in (caught.value.hint or "")
    assert list((tmp_path / "to").iterdir()) == []


# Where it lies, and whether it is right


def test_verify_names_each_state(tmp_path: Path) -> None:
    """ok, different and missing, in the order of the list; a folder that is not there is empty."""
    (tmp_path / "a.json").write_bytes(CONTENT["a.json"])
    (tmp_path / "b.json").write_bytes(b"x")
    wanted = WANTED | {"c.json": "0" * 64}
    found = verify(tmp_path, files=wanted)
    assert found == [("a.json", "ok"), ("b.json", "different"), ("c.json", "missing")]
    assert {status for _, status in verify(tmp_path / "none", files=wanted)} == {"missing"}


@pytest.mark.skipif(not RELEASE.is_dir(), reason=f"no public dialogues at {RELEASE}")
def test_the_hashes_are_those_of_the_release() -> None:
    """All 11 released files have the hashes in the table."""
    assert {path.name for path in RELEASE.glob("*.json")} == set(FILES)
    assert {status for _, status in verify(RELEASE)} == {"ok"}


def test_the_root_of_the_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """$JUDGE_DATA, else ../shared/data where that is a folder, else data."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("JUDGE_DATA", "")
    assert data_root() == Path("data")
    (tmp_path / "shared" / "data").mkdir(parents=True)
    assert data_root() == Path("../shared/data")
    monkeypatch.setenv("JUDGE_DATA", str(tmp_path))
    assert data_root() == tmp_path
