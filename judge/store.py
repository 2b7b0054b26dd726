"""The database of a run folder, `judge.sqlite`: every answer, kept the moment it exists.

Every batch of judgments is one transaction. A judgment stands under what was judged (system,
character, scenario, metric) and carries the hash of what was asked: two systems that said the
same are asked about alike, and each keeps a judgment of its own. The dialogues are kept beside the
judgments: a report needs nothing else. How long judging took is kept where it was measured, in a
table that programs of the same format need not know.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from judge.database import Database
from judge.errors import RunMismatchError
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
_SPENT = """CREATE TABLE IF NOT EXISTS spent (
    system TEXT NOT NULL PRIMARY KEY, judgments INTEGER NOT NULL, seconds REAL NOT NULL
) WITHOUT ROWID"""
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


class Store(Database):
    """The database of one run. Use as a context manager.

    Args:
        folder: the run folder.
        create: make the folder and the database if they are not there.

    Raises:
        StoreError: the folder cannot be written, or the database is missing, damaged or newer.
            Every method raises it where the database cannot do as told.
    """

    def __init__(self, folder: Path, *, create: bool = True) -> None:
        super().__init__(folder / "judge.sqlite", FORMAT, _TABLES, create=create)

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

    def add(self, judgments: Sequence[Judgment], seconds: float | None = None) -> None:
        """Keep a batch, all of it or nothing. A judgment that is there already stays.

        A run of an older format becomes one of this format now, and not before.

        Args:
            judgments: the batch.
            seconds: what it took, if that was measured; its judgments share it equally.
        """
        with self.transaction():
            if self._version() == 1:
                self._bring_to_format(_FROM_1_TO_2)
            self._db.executemany(_INSERT, [_row(judgment) for judgment in judgments])
            if seconds is not None and judgments:
                self._spend(seconds, Counter(judgment.system for judgment in judgments))

    def seconds(self) -> dict[str, float]:
        """System -> seconds of judging it, where every one of its judgments was timed."""
        with self._errors():
            if not self._db.execute("SELECT 1 FROM sqlite_master WHERE name = 'spent'").fetchone():
                return {}
            rows = self._db.execute(
                "SELECT system, seconds FROM spent WHERE judgments = "
                "(SELECT count(*) FROM judgment WHERE judgment.system = spent.system)"
            )
            return dict(rows.fetchall())

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

    def _spend(self, seconds: float, judged: Mapping[str, int]) -> None:
        self._db.execute(_SPENT)
        each = seconds / sum(judged.values())
        self._db.executemany(
            "INSERT INTO spent VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET "
            "judgments = judgments + excluded.judgments, seconds = seconds + excluded.seconds",
            [(system, count, count * each) for system, count in judged.items()],
        )


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
