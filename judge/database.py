"""An SQLite file of a run folder: opened, brought to its format, written whole batch by batch.

It is in write-ahead mode and what belongs together is one transaction, so a run that is killed at
any instant leaves whole batches.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from judge.errors import StoreError

__all__ = ["Database"]

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
    """One file. Use as a context manager.

    Args:
        path: the file, in the run folder.
        form: the newest format that this version reads, in the file's `user_version`.
        tables: the statements that make an empty file one of that format.
        create: make the folder and the file if they are not there.

    Raises:
        StoreError: the folder cannot be written, or the file is missing, damaged or newer.
            Every method raises it where the database cannot do as told.
    """

    def __init__(self, path: Path, form: int, tables: Iterable[str], *, create: bool) -> None:
        self.folder = path.parent
        self.path = path
        self._form = form
        if create:
            _make(self.folder)
        uri = f"{self.path.absolute().as_uri()}?mode={'rwc' if create else 'rw'}"
        with self._errors():
            self._db = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=_PATIENCE)
            try:
                self._prepare(tables)
            except BaseException:
                self._db.close()
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Until it is over no other program writes to the run; on an error nothing is kept."""
        with self._errors():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                # A full disk rolls back on its own; a second rollback would hide the reason.
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def _version(self) -> int:
        return int(self._db.execute("PRAGMA user_version").fetchone()[0])

    def _bring_to_format(self, steps: Iterable[str]) -> None:
        for step in (*steps, f"PRAGMA user_version = {self._form}"):
            self._db.execute(step)

    def _prepare(self, tables: Iterable[str]) -> None:
        version = self._version()
        if version > self._form:
            raise StoreError(
                f"format {version} is newer than this version reads ({self._form})",
                path=self.path,
                hint="upgrade esrp-judge",
            )
        if version == 0:
            self._db.execute("PRAGMA journal_mode = WAL")
            with self.transaction():
                self._bring_to_format(tables)
        # In write-ahead mode this survives the end of the process, if not of the power.
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
        except (TypeError, ValueError) as error:
            raise StoreError(
                f"a row is not what it should be: {error}", path=self.path, hint=_DAMAGED
            ) from error


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"the run folder cannot be made: {error.strerror}",
            path=folder,
            hint="choose another folder with --out",
        ) from error
