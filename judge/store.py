"""The database of a run folder, `judge.sqlite`: every answer, kept the moment it exists.

The database is in write-ahead mode and every batch of judgments is one transaction, so a run
that is killed at any instant leaves whole batches. A judgment stands under what was judged
(system, character, scenario, metric) and carries the hash of what was asked: two systems that
said the same are asked about alike, and each keeps a judgment of its own. The dialogues are
kept beside the judgments: a report needs nothing else.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, get_args

from judge.errors import RunMismatchError, StoreError
from judge.types import Dialogue, Failure, Judgment, Reading, ScoreDistribution, Turn

__all__ = ["FORMAT", "Store"]

FORMAT = 2
"""The newest format of judge.sqlite that this version reads, in its `user_version`."""

_TABLES = (
    """CREATE TABLE IF NOT EXISTS judgment (
    system TEXT NOT NULL, character TEXT NOT NULL, scenario TEXT NOT NULL, metric TEXT NOT NULL,
    key TEXT NOT NULL, status TEXT NOT NULL, reason TEXT, logprobs TEXT, top_is_label INTEGER,
    reading TEXT, rationale TEXT,
    PRIMARY KEY (system, character, scenario, metric)
) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS dialogue (
    system TEXT NOT NULL, character TEXT NOT NULL, scenario TEXT NOT NULL, turns TEXT NOT NULL,
    PRIMARY KEY (system, character, scenario)
) WITHOUT ROWID""",
)
# The columns are named, or SQLite would count those from before another process added some.
_INSERT = """INSERT INTO judgment (
    system, character, scenario, metric,
    key, status, reason, logprobs, top_is_label, reading, rationale
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"""
_FROM_1_TO_2 = (
    "ALTER TABLE judgment ADD COLUMN reading TEXT",
    "ALTER TABLE judgment ADD COLUMN rationale TEXT",
    "UPDATE judgment SET reading = 'exact' WHERE status = 'ok'",
)
"""Format 1 knew no other reading, and no reasons."""

_READINGS: Mapping[str, Reading] = {reading: reading for reading in get_args(Reading)}
_PATIENCE = 60.0
"""Seconds to wait for another program that is writing to the same run."""

_NO_ROOM = "free some space, or choose another --out, and run the same command again: it goes on"
_DAMAGED = "restore it from a copy, or judge again into another --out"
_HINTS = {
    sqlite3.SQLITE_FULL: _NO_ROOM,
    sqlite3.SQLITE_IOERR: _NO_ROOM,
    sqlite3.SQLITE_BUSY: "another program is using this run folder: wait until it is done",
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
}
_NO_ACCESS = "is this a run folder, and may you write to it? If not, work on a copy of it"


class Store:
    """The database of one run. Use as a context manager.

    Args:
        folder: the run folder.
        create: make the folder and the database if they are not there.

    Raises:
        StoreError: the folder cannot be written, or the database is missing, damaged or newer.
            Every method raises it where the database cannot do as told.
    """

    def __init__(self, folder: Path, *, create: bool = True) -> None:
        self.folder = folder
        self.path = folder / "judge.sqlite"
        if create:
            _make(folder)
        uri = f"{self.path.absolute().as_uri()}?mode={'rwc' if create else 'rw'}"
        with self._errors():
            self._db = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=_PATIENCE)
            try:
                self._prepare()
            except BaseException:
                self._db.close()
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def keys(self) -> Mapping[tuple[str, str, str, str], str]:
        """(system, character, scenario, metric) -> key, of all judgments that are there."""
        with self._errors():
            rows = self._db.execute(
                "SELECT system, character, scenario, metric, key FROM judgment"
            ).fetchall()
        return {
            (system, character, scenario, metric): key
            for system, character, scenario, metric, key in rows
        }

    def add_dialogues(self, dialogues: Iterable[Dialogue]) -> None:
        """Keep the text of what is judged, all of it or nothing.

        Raises:
            RunMismatchError: the run holds another text under the same system, character and
                scenario.
        """
        with self.transaction():
            kept = {
                (system, character, scenario): turns
                for system, character, scenario, turns in self._db.execute("SELECT * FROM dialogue")
            }
            for d in dialogues:
                cell = (d.system, d.character, d.scenario)
                turns = json.dumps([[t.question, t.answer] for t in d.turns], ensure_ascii=False)
                if kept.setdefault(cell, turns) != turns:
                    raise RunMismatchError(
                        f"this run was made with another text of the dialogue {d.id}",
                        path=self.folder,
                        hint="choose another --out for the changed dialogues",
                    )
            self._db.executemany(
                "INSERT OR IGNORE INTO dialogue VALUES (?, ?, ?, ?)",
                [(*cell, turns) for cell, turns in kept.items()],
            )

    def add(self, judgments: Sequence[Judgment]) -> None:
        """Keep a batch, all of it or nothing. A judgment that is there already stays.

        A run of an older format becomes one of this format now, and not before.
        """
        with self.transaction():
            if self._version() == 1:
                self._bring_to_format(_FROM_1_TO_2)
            self._db.executemany(_INSERT, [_row(judgment) for judgment in judgments])

    def judgments(self) -> list[Judgment]:
        """All of them, in the order of system, character, scenario and metric."""
        with self._errors():
            rows = self._db.execute(
                "SELECT * FROM judgment ORDER BY system, character, scenario, metric"
            )
            return [_judgment(row) for row in rows]

    def dialogues(self) -> list[Dialogue]:
        """All of them, in the order of system, character and scenario."""
        with self._errors():
            rows = self._db.execute("SELECT * FROM dialogue ORDER BY system, character, scenario")
            return [
                Dialogue(
                    system, character, scenario, tuple(Turn(q, a) for q, a in json.loads(turns))
                )
                for system, character, scenario, turns in rows
            ]

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
        for step in (*steps, f"PRAGMA user_version = {FORMAT}"):
            self._db.execute(step)

    def _prepare(self) -> None:
        version = self._version()
        if version > FORMAT:
            raise StoreError(
                f"format {version} is newer than this version reads ({FORMAT})",
                path=self.path,
                hint="upgrade esrp-judge",
            )
        if version == 0:
            self._db.execute("PRAGMA journal_mode = WAL")
            with self.transaction():
                self._bring_to_format(_TABLES)
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


def _row(j: Judgment) -> tuple[object, ...]:
    head = (j.system, j.character, j.scenario, j.metric, j.key)
    if isinstance(j.outcome, Failure):
        return (*head, j.outcome.code, j.outcome.reason, None, None, None, j.rationale)
    # JSON writes the shortest text that reads back to the same float. It has no -inf, which is
    # a probability of exactly 0: null stands for it.
    values = [None if value == -math.inf else value for value in j.outcome.logprobs]
    logprobs = json.dumps(values, allow_nan=False)
    read = (logprobs, int(j.outcome.top_is_label), j.outcome.reading)
    return (*head, "ok", None, *read, j.rationale)


def _judgment(row: tuple[Any, ...]) -> Judgment:
    system, character, scenario, metric, key, status, reason, logprobs, top, *later = row
    reading, rationale = later or ("exact", None)  # format 1 ends before them
    outcome: ScoreDistribution | Failure
    if status == "ok":
        values = (-math.inf if value is None else value for value in json.loads(logprobs))
        if reading not in _READINGS:
            raise ValueError(f"there is no reading {reading!r}")
        outcome = ScoreDistribution(tuple(values), bool(top), _READINGS[reading])
    else:
        outcome = Failure(status, reason)
    return Judgment(key, system, character, scenario, metric, outcome, rationale)
