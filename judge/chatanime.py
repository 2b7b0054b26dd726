"""The public ChatAnime dialogues: downloads them, and checks that the files are those released.

The release is defined by the SHA-256 of its 11 files. The commit of the repository only says where
an archive of them is; a file with another hash is refused.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import tempfile
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import IO, Literal, NamedTuple

from judge.errors import DataError, NetworkError
from judge.records import write_bytes

__all__ = [
    "ARCHIVE_URL",
    "COMMIT",
    "FILES",
    "REPOSITORY",
    "FetchReport",
    "FileStatus",
    "data_root",
    "fetch",
    "verify",
]

REPOSITORY = "LanlanQiu/ChatAnime"
COMMIT = "2169710"
ARCHIVE_URL = f"https://github.com/{REPOSITORY}/archive/{COMMIT}.zip"

# SHA-256 of each released file, at commit 2169710.
FILES: Mapping[str, str] = MappingProxyType(
    {
        "claude-sonnet-4.json": "71de7e1fa17440d086ed4e74adaabdc47cf97a45c1deb37b3b6dc0822a984c48",
        "deepseek-v3.json": "48748def1ea8695c4bc5a71e8d54169f601daf3705e21e90a04a93fb2948861d",
        "doubao-1.5-pro.json": "fe99a1a0843258d9084156448f65c56bd94aeb3d5ca6d1693b8ca8bc00107565",
        "doubao-rp.json": "bb3feb3264be65381d9172ed30972826b27cc5e23efcf98e80c66085f786ba17",
        "gemini-2.5-flash-preview.json": (
            "3ebad2020babba7010d6d2f48d938effff88ef46df79680419944cb17d8c72ca"
        ),
        "glm-4-plus.json": "0cc2a13119d5eb5571112182f736aa87704ff3bee9454080d60d761a2f3ea31d",
        "gpt-4.1.json": "95b43e8556876aebcd9d5c3a0288f10f8f70e5950d9f0b6aea0cdcded3f1c44c",
        "human.json": "ced8058c3ba2934df7dfdf520e82747be87c4d0eefa7a910af28681d09ccf7c9",
        "minimax-abab6.5s.json": (
            "ef174833970b469670537f3005545f623ad6e1cae43f23abc745f16a0cffa727"
        ),
        "qwen-max.json": "d3af8ad44fd9010067d62392db587067ce18873722a723a8304291c25dd535ab",
        "xingchen-plus-v2.json": (
            "34d0df67e35ee7e83da455694bca17694cbd98a901aa894919648a4cb5996a68"
        ),
    }
)

MAX_ARCHIVE = 512 * 2**20  # bytes; the release with its pictures has far less
MAX_FILE = 32 * 2**20  # bytes; the largest released file has 1.7 million
CHUNK = 2**16
TIMEOUT = 30.0  # seconds without a byte

Progress = Callable[[int, int | None], None]


class FileStatus(NamedTuple):
    """One released file, and what stands in the folder under its name."""

    name: str
    status: Literal["ok", "missing", "different"]


class FetchReport(NamedTuple):
    """What `fetch` did: the files that were missing, those that differed, and those left alone."""

    folder: Path
    source: str
    written: tuple[str, ...]
    replaced: tuple[str, ...]
    kept: tuple[str, ...]


def data_root() -> Path:
    """The folder above `chatanime`: `$JUDGE_DATA`, else `../shared/data` if there, else `data`."""
    if folder := os.environ.get("JUDGE_DATA"):
        return Path(folder)
    shared = Path("../shared/data")
    return shared if shared.is_dir() else Path("data")


def verify(folder: Path, *, files: Mapping[str, str] = FILES) -> list[FileStatus]:
    """Each of `files` (name -> SHA-256) as found in a folder, which need not exist."""
    return [FileStatus(name, _status(folder / name, digest)) for name, digest in files.items()]


def fetch(
    to: Path,
    *,
    archive: Path | None = None,
    url: str = ARCHIVE_URL,
    files: Mapping[str, str] = FILES,
    progress: Progress | None = None,
    timeout: float = TIMEOUT,
) -> FetchReport:
    """Put the released files into a folder; files already right are left alone.

    Nothing is written before every missing file has been found with the right hash.

    Args:
        to: the folder, made if needed.
        archive: a local zip of the repository, to use instead of the download.
        url: where the zip is downloaded from.
        files: name -> SHA-256; the zip may hold a file of that name in any of its folders.
        progress: called with the bytes received and the bytes expected (None if unknown).
        timeout: seconds to wait for the server's next byte.

    Raises:
        NetworkError: the download did not come through.
        DataError: the archive is not a zip, or lacks a file or holds another version of it.
        StoreError: the folder cannot be written.
    """
    before = verify(to, files=files)
    wanted = {status.name: files[status.name] for status in before if status.status != "ok"}
    if not wanted:
        return FetchReport(to, "", (), (), tuple(files))
    if archive is None:
        with tempfile.TemporaryFile() as stream:
            _download(url, stream, progress, timeout)
            contents = _extract(stream, wanted, url)
    else:
        try:
            with archive.open("rb") as stream:
                contents = _extract(stream, wanted, str(archive))
        except OSError as error:
            raise DataError(
                f"it cannot be read: {error.strerror}", path=archive, hint="check --archive"
            ) from None
    for name, content in contents.items():
        write_bytes(to / name, content, "choose another folder with --to, or free some space")
    return FetchReport(
        folder=to,
        source=str(archive or url),
        written=tuple(s.name for s in before if s.status == "missing"),
        replaced=tuple(s.name for s in before if s.status == "different"),
        kept=tuple(s.name for s in before if s.status == "ok"),
    )


def _status(path: Path, digest: str) -> Literal["ok", "missing", "different"]:
    try:
        same = hashlib.sha256(path.read_bytes()).hexdigest() == digest
    except FileNotFoundError:
        return "missing"
    except OSError as error:
        raise DataError(
            f"it cannot be read: {error.strerror}", path=path, hint="choose another folder"
        ) from None
    return "ok" if same else "different"


def _download(url: str, stream: IO[bytes], progress: Progress | None, timeout: float) -> None:
    """Write what the server sends to `stream`; NetworkError if some of it is missing."""
    try:
        with urllib.request.urlopen(url, timeout=timeout) as answer:  # noqa: S310 - our own address
            length = answer.headers.get("Content-Length", "")
            expected = int(length) if length.isdecimal() else None
            received = 0
            while chunk := answer.read(CHUNK):
                received += stream.write(chunk)
                if received > MAX_ARCHIVE:
                    raise _network(url, f"more than {MAX_ARCHIVE} bytes came")
                if progress is not None:
                    progress(received, expected)
    except urllib.error.HTTPError as error:
        error.close()
        raise _network(url, f"the server answered {error.code} {error.reason}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise _network(url, f"{reason or type(error).__name__}") from None
    # http.client does not complain when a read in pieces ends early.
    if expected is not None and received < expected:
        raise _network(url, f"it stopped after {received} of {expected} bytes")


def _network(url: str, reason: str) -> NetworkError:
    return NetworkError(
        f"the download of {url} did not come through: {reason}",
        hint=f"run it again, or download {url} by hand on a machine that has access, "
        "then `judge data fetch --archive FILE`",
    )


def _extract(stream: IO[bytes], wanted: Mapping[str, str], source: str) -> dict[str, bytes]:
    """The wanted files of a zip. Only the last part of a name in it is used, so none can escape."""
    try:
        with zipfile.ZipFile(stream) as archive:
            members: dict[str, list[zipfile.ZipInfo]] = {name: [] for name in wanted}
            for info in archive.infolist():
                members.get(PurePosixPath(info.filename).name, []).append(info)
            return {
                name: _member(archive, name, members[name], digest, source)
                for name, digest in wanted.items()
            }
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise DataError(
            f"{source} is not a readable zip archive: {error}",
            hint=f"download it again, as a .zip, from {ARCHIVE_URL}",
        ) from None


def _member(
    archive: zipfile.ZipFile, name: str, members: list[zipfile.ZipInfo], digest: str, source: str
) -> bytes:
    actual = ""
    for info in members:
        with archive.open(info) as stream:
            content = stream.read(MAX_FILE + 1)
        if len(content) > MAX_FILE:
            raise DataError(
                f"{name} in {source} has more than {MAX_FILE} bytes",
                hint=f"use the archive from {ARCHIVE_URL}",
            )
        actual = hashlib.sha256(content).hexdigest()
        if actual == digest:
            return content
    what = f"has SHA-256 {actual}, expected {digest}" if actual else "is missing"
    raise DataError(
        f"{name} in {source} {what}; nothing was written",
        hint=f"use the archive of commit {COMMIT}: {ARCHIVE_URL}",
    )
