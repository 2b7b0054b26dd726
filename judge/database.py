"""The SQLite files of a run folder: whole transactions, and losses that are said.

A database is in write-ahead mode, and every batch of rows is one transaction: a run that is killed
at any instant leaves whole batches. A mark in the file says whether a program is at it: if it is
there and the write-ahead log is not, rows are lost.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from judge.errors import StoreError

__all__ = ["Database", "make_folder"]

_log = logging.getLogger(__name__)

_IN_USE = 0x4A554447
"""The `application_id` of a database that a program is writing to."""
_PATIENCE = 60.0
"""Seconds to wait for another program that is writing to the same run."""

_NO_ROOM = "free some space, or choose another --out, and run the same command again: it goes on"
_DAMAGED = "restore it from a copy, or begin again in another --out"
_HINTS = {
    sqlite3.SQLITE_FULL: _NO_ROOM,
    sqlite3.SQLITE_IOERR: _NO_ROOM,
    sqlite3.SQLITE_BUSY: "another program is using this run folder: wait until it is done",
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
}
_NO_ACCESS = "is this a run folder, and may you write to it? If not, work on a copy of it"


class Database:
    """An SQLite file of a run folder. Use as a context manager.

    Args:
        newest: the newest format that this version reads, in the file's `user_version`.
        tables: the SQL statements that turn an empty file into one of that format.
        create: make the folder and the file if they do not exist.
        written_later: a file that exists only after this one was made: where it does, an empty
            database has lost its rows, and is not begun anew.

    Raises:
        StoreError: the folder cannot be written, or the file is missing, damaged or of a newer
            format. Every method raises it when a statement fails.
    """

    def __init__(
        self,
        path: Path,
        newest: int,
        tables: Iterable[str],
        *,
        create: bool,
        written_later: Path | None = None,
    ) -> None:
        self.folder = path.parent
        self.path = path
        self._format = newest
        self._written_later = written_later
        if create:
            make_folder(self.folder)
        if create and not path.exists():
            self._refuse_lost()
        log_is_there = path.with_name(f"{path.name}-wal").exists()
        frozen = not create and not os.access(self.folder, os.W_OK)
        mode = "rwc" if create else _frozen_mode(self.path) if frozen else "rw"
        self.uri = f"{self.path.absolute().as_uri()}?mode={mode}"
        with self._errors():
            self._db = sqlite3.connect(self.uri, uri=True, isolation_level=None, timeout=_PATIENCE)
            try:
                self._prepare(tables)
                self._file = self._identity()
                was_in_use = self._pragma("application_id") == _IN_USE
                # Who closes a database last also removes its log, whether or not it wrote to it.
                self._marked = was_in_use and log_is_there
                if was_in_use and not log_is_there:
                    _log.warning(
                        "%s was not closed, and its file %s-wal is gone: what was stored last may "
                        "be missing, and is judged again",
                        *(path, path.name),
                    )
                if create:
                    self._mark(_IN_USE)
            except BaseException:
                self._db.close()
                raise

    _file: tuple[int, int] | None = None
    _marked = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(sqlite3.Error):
            if self._marked:
                self._mark(0)
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """One transaction: no other program writes to the file, and an error undoes all of it."""
        with self._errors():
            self._refuse_moved()
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
                self._refuse_moved()
            except BaseException:
                # After a full disk SQLite has rolled back; a second rollback would hide that error.
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    @contextmanager
    def _attached(self, other: Database) -> Iterator[None]:
        """The tables of another database under the name `other`."""
        with self._errors():
            self._db.execute("ATTACH ? AS other", (other.uri,))
            try:
                yield
            finally:
                self._db.execute("DETACH other")

    def _version(self) -> int:
        return self._pragma("user_version")

    def _pragma(self, name: str) -> int:
        return int(self._db.execute(f"PRAGMA {name}").fetchone()[0])

    def _mark(self, mark: int) -> None:
        """Say in the file itself, not in its log, whether somebody is at it."""
        if self._pragma("application_id") != mark:
            self._db.execute(f"PRAGMA application_id = {mark}")
            self._db.execute("PRAGMA wal_checkpoint(PASSIVE)")
        self._marked = mark == _IN_USE

    def _identity(self) -> tuple[int, int] | None:
        """What the name of the file stands for; None if for nothing."""
        try:
            status = self.path.stat()
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def _refuse_moved(self) -> None:
        if self._file is not None and self._identity() != self._file:
            raise StoreError(
                "it was moved or deleted while it was in use: what is stored now would be lost",
                path=self.path,
                hint="put the folder back where it was, and run the same command again: it goes on",
            )

    def _refuse_lost(self) -> None:
        later = self._written_later
        if later is not None and later.is_file():
            raise StoreError(
                f"{later.name} says that this run was begun, and its database is missing or empty",
                path=self.path,
                hint=f"restore it from a copy; or delete {later.name}, and all is judged again",
            )

    def _bring_to_format(self, steps: Iterable[str]) -> None:
        for step in (*steps, f"PRAGMA user_version = {self._format}"):
            self._db.execute(step)

    def _prepare(self, tables: Iterable[str]) -> None:
        version = self._version()
        if version > self._format:
            raise StoreError(
                f"format {version} is newer than this version reads ({self._format})",
                path=self.path,
                hint="upgrade esrp-judge",
            )
        if version == 0:
            self._refuse_lost()
            self._db.execute("PRAGMA journal_mode = WAL")
            with self.transaction():
                self._bring_to_format(tables)
        # In write-ahead mode, what is committed survives the end of the process (not a power cut).
        self._db.execute("PRAGMA synchronous = NORMAL")

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the low byte is the kind
            raise StoreError(
                str(error), path=self.path, hint=_HINTS.get(code, _NO_ACCESS)
            ) from error
        except (TypeError, ValueError, RecursionError) as error:
            raise StoreError(
                f"a row is not what it should be: {error}", path=self.path, hint=_DAMAGED
            ) from error


def make_folder(folder: Path) -> None:
    """Make a folder and those above it; StoreError if that is not possible."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"the run folder cannot be made: {error.strerror}",
            path=folder,
            hint="choose another folder with --out",
        ) from error


def _frozen_mode(path: Path) -> str:
    """How to open a file in a folder that may only be read, where SQLite can keep no index.

    Raises:
        StoreError: another program left writes that are not in the file itself yet.
    """
    waiting = path.with_name(f"{path.name}-wal")
    if waiting.is_file() and waiting.stat().st_size:
        raise StoreError(
            "the run was not closed, and its folder may only be read",
            path=path.parent,
            hint="work on a copy of the folder",
        )
    return "ro&immutable=1"
