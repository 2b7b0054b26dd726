"""The database of a run folder with its judgments: `judge.sqlite`.

Every batch of rows is one transaction (see `judge.database`).

A judgment is stored under what was judged (system, character, scenario, metric), with the hash of
the prompt: two systems that gave the same replies have the same prompts, and each keeps a judgment
of its own. The dialogues are stored beside the judgments, so that a report needs no other file. How
long judging took is stored too, in a table that earlier programs of the same format do not know.
"""

from __future__ import annotations

import json
import logging
import math
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, get_args

from judge.database import Database, make_folder
from judge.errors import RunMismatchError
from judge.types import Dialogue, Failure, Judgment, Reading, ScoreDistribution, Turn

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["FORMAT", "Store", "only_writer"]

_log = logging.getLogger(__name__)

FORMAT = 2
"""The newest format of judge.sqlite that this version reads, in its `user_version`."""

_Row = TypeVar("_Row")

_ROUNDING = 1e-3
"""By how much the probabilities that a judge gives may sum to more than 1."""
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
# The columns are named because another process may add columns to a table of format 1.
_COLUMNS = """system, character, scenario, metric,
    key, status, reason, logprobs, top_is_label, reading, rationale"""
_UPDATE = """ON CONFLICT DO UPDATE SET
    key = excluded.key, status = excluded.status, reason = excluded.reason,
    logprobs = excluded.logprobs, top_is_label = excluded.top_is_label,
    reading = excluded.reading, rationale = excluded.rationale
WHERE judgment.status <> 'ok'"""
_PLACES = "?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?"
_INSERT = f"INSERT INTO judgment ({_COLUMNS}) VALUES ({_PLACES}) {_UPDATE}"  # noqa: S608 - fixed
_STORED = "SELECT 1 FROM judgment WHERE system=? AND character=? AND scenario=? AND metric=?"
_FROM_1_TO_2 = (
    "ALTER TABLE judgment ADD COLUMN reading TEXT",
    "ALTER TABLE judgment ADD COLUMN rationale TEXT",
    "UPDATE judgment SET reading = 'exact' WHERE status = 'ok'",
)
"""In format 1 every probability was read exactly, and judges wrote no reasons."""
# One store taken into another, which is attached as `other`.
_THEIRS = f"SELECT {_COLUMNS} FROM other.judgment"  # noqa: S608 - fixed
_OF_FORMAT_1 = _THEIRS.replace(
    "reading, rationale", "CASE status WHEN 'ok' THEN 'exact' END AS reading, NULL AS rationale"
)
_OTHER_TEXT = """SELECT system, character, scenario FROM dialogue
    JOIN other.dialogue AS o USING (system, character, scenario)
    WHERE dialogue.turns <> o.turns LIMIT 1"""
_OTHER_ANSWER = """SELECT system, character, scenario, metric FROM judgment
    JOIN ({theirs}) AS o USING (system, character, scenario, metric)
    WHERE judgment.key <> o.key OR (judgment.status = 'ok' AND o.status = 'ok' AND (
        judgment.logprobs <> o.logprobs OR judgment.top_is_label <> o.top_is_label
        OR judgment.reading <> o.reading OR judgment.rationale IS NOT o.rationale)) LIMIT 1"""
_OTHER_SPENT = """INSERT INTO spent SELECT * FROM other.spent WHERE true ON CONFLICT DO UPDATE SET
    judgments = judgments + excluded.judgments, seconds = seconds + excluded.seconds"""

_READINGS: Mapping[str, Reading] = {reading: reading for reading in get_args(Reading)}


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Wait until no other program judges or plays into the folder, and keep others waiting.

    The lock ends with the process, however that ends. Where the system has no such locks, nobody
    waits: nothing is lost then, but prompts may be asked twice.

    Raises:
        StoreError: the folder cannot be made.
    """
    make_folder(folder)
    if fcntl is None:
        yield
        return
    held = os.open(folder, os.O_RDONLY)
    try:
        _lock(held, folder)
        yield
    finally:
        os.close(held)


def _lock(held: int, folder: Path) -> None:
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        _log.info("another judge is at work in %s: this one waits until it is done", folder)
        fcntl.flock(held, fcntl.LOCK_EX)
    except OSError:  # a file system without locks
        pass


class Store(Database):
    """The judgments and dialogues of one run folder. Use as a context manager.

    Args:
        create: make the folder and the database if they do not exist.

    Raises:
        StoreError: as for `Database`.
    """

    def __init__(self, folder: Path, *, create: bool = True) -> None:
        super().__init__(
            folder / "judge.sqlite",
            FORMAT,
            _TABLES,
            create=create,
            written_later=folder / "manifest.json",
        )

    def keys(self) -> Mapping[tuple[str, str, str, str], str]:
        """(system, character, scenario, metric) -> hash of the prompt, of all stored judgments."""
        with self._errors():
            rows = self._db.execute(
                "SELECT system, character, scenario, metric, key FROM judgment"
            ).fetchall()
        return {
            (system, character, scenario, metric): key
            for system, character, scenario, metric, key in rows
        }

    def counts(self) -> tuple[int, int, int, int]:
        """How many systems and dialogues it holds, how many judgments, how many of them failed."""
        with self._errors():
            systems, dialogues = self._db.execute(
                "SELECT count(DISTINCT system), count(*) FROM dialogue"
            ).fetchone()
            judgments, failed = self._db.execute(
                "SELECT count(*), coalesce(sum(status <> 'ok'), 0) FROM judgment"
            ).fetchone()
        return systems, dialogues, judgments, failed

    def failures(self) -> Mapping[tuple[str, str, str, str], Failure]:
        """(system, character, scenario, metric) -> why there is no score."""
        with self._errors():
            rows = self._db.execute(
                "SELECT system, character, scenario, metric, status, reason FROM judgment "
                "WHERE status <> 'ok'"
            ).fetchall()
        return {(row[0], row[1], row[2], row[3]): Failure(row[4], row[5]) for row in rows}

    def add_dialogues(self, dialogues: Iterable[Dialogue]) -> None:
        """Store the dialogues that are judged, all of them or none.

        Raises:
            RunMismatchError: another text is stored for the same system, character and scenario.
        """
        with self.transaction():
            stored = {
                (system, character, scenario): turns
                for system, character, scenario, turns in self._db.execute("SELECT * FROM dialogue")
            }
            for d in dialogues:
                dialogue_id = (d.system, d.character, d.scenario)
                turns = json.dumps([[t.question, t.answer] for t in d.turns], ensure_ascii=False)
                if stored.setdefault(dialogue_id, turns) != turns:
                    if self._forget_unanswered(dialogue_id):
                        stored[dialogue_id] = turns
                        continue
                    raise RunMismatchError(
                        f"this run was made with another text of the dialogue {d.id}",
                        path=self.folder,
                        hint="choose another --out for the changed dialogues",
                    )
            self._db.executemany(
                "INSERT OR REPLACE INTO dialogue VALUES (?, ?, ?, ?)",
                [(*dialogue_id, turns) for dialogue_id, turns in stored.items()],
            )

    def _forget_unanswered(self, dialogue_id: tuple[str, str, str]) -> bool:
        """Forget that a reply was empty: the model may have been asked again since.

        Returns:
            Whether all judgments of the dialogue were about an empty reply.
        """
        where = "FROM judgment WHERE system=? AND character=? AND scenario=?"
        codes = {row[0] for row in self._db.execute(f"SELECT status {where}", dialogue_id)}
        if codes != {"empty_reply"}:
            return False
        self._db.execute(f"DELETE {where}", dialogue_id)
        return True

    def add(self, judgments: Sequence[Judgment], seconds: float | None = None) -> None:
        """Store a batch, all of it or nothing. A score that is stored already stays as it is.

        A failure is replaced.

        A database of format 1 is brought to the present format here, on the first write.

        Args:
            seconds: how long judging it took, if that was measured; divided equally among its
                judgments.
        """
        with self.transaction():
            if self._version() == 1:
                self._bring_to_format(_FROM_1_TO_2)
            new: Counter[str] = Counter()
            for judgment in judgments:
                row = _row(judgment)
                new[judgment.system] += self._db.execute(_STORED, row[:4]).fetchone() is None
                self._db.execute(_INSERT, row)
            if seconds is not None and judgments:
                self._spend(seconds, Counter(judgment.system for judgment in judgments), new)

    def take_in(self, other: Path) -> None:
        """Add all rows of the store of another run folder, or none; no row is held in memory.

        A score is never replaced, and a failure is replaced by a score.

        Raises:
            RunMismatchError: both have another text of a dialogue, or another score or prompt.
            StoreError: as for `Database`; the other file is missing, damaged or of a newer format.
        """
        with Store(other, create=False) as theirs:
            rows = _THEIRS if theirs._version() > 1 else _OF_FORMAT_1
            with self._attached(theirs), self.transaction():
                for query, what in (
                    (_OTHER_TEXT, "another text of the dialogue"),
                    (_OTHER_ANSWER.format(theirs=rows), "another score or prompt of"),
                ):
                    found = self._db.execute(query).fetchone()
                    if found is not None:
                        raise RunMismatchError(
                            f"it has {what} {'/'.join(found)} than a run before it",
                            path=other,
                            hint="merge runs of different dialogues, or of one judge that answers "
                            "the same twice; or leave this one out",
                        )
                self._db.execute(
                    "INSERT INTO dialogue SELECT * FROM other.dialogue WHERE true "
                    "ON CONFLICT DO NOTHING"
                )
                self._db.execute(f"INSERT INTO judgment ({_COLUMNS}) {rows} WHERE true {_UPDATE}")
                if theirs._has_table("spent"):
                    self._db.execute(_SPENT)
                    self._db.execute(_OTHER_SPENT)

    def _has_table(self, name: str) -> bool:
        named = self._db.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (name,))
        return named.fetchone() is not None

    def seconds(self) -> dict[str, float]:
        """System -> seconds of judging it, for systems whose judgments were all timed."""
        with self._errors():
            if not self._has_table("spent"):
                return {}
            rows = self._db.execute(
                "SELECT system, seconds FROM spent WHERE judgments = "
                "(SELECT count(*) FROM judgment WHERE judgment.system = spent.system)"
            )
            return dict(rows.fetchall())

    def judgments(self) -> list[Judgment]:
        """All judgments, ordered by system, character, scenario and metric."""
        with self._errors():
            rows = self._db.execute(
                "SELECT * FROM judgment ORDER BY system, character, scenario, metric"
            )
            return [_named(_judgment, row, 4) for row in rows]

    def dialogues(self) -> list[Dialogue]:
        """All dialogues, ordered by system, character and scenario."""
        with self._errors():
            rows = self._db.execute("SELECT * FROM dialogue ORDER BY system, character, scenario")
            return [_named(_dialogue, row, 3) for row in rows]

    def _spend(self, seconds: float, judged: Mapping[str, int], new: Mapping[str, int]) -> None:
        """Divide the time by all that was `judged`; only `new` judgments are counted."""
        self._db.execute(_SPENT)
        each = seconds / sum(judged.values())
        self._db.executemany(
            "INSERT INTO spent VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET "
            "judgments = judgments + excluded.judgments, seconds = seconds + excluded.seconds",
            [(system, new[system], count * each) for system, count in judged.items()],
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


def _named(read: Callable[[tuple[Any, ...]], _Row], row: tuple[Any, ...], names: int) -> _Row:
    """What is read from a row; its errors name the row by its first columns."""
    try:
        if not all(isinstance(name, str) for name in row[:names]):
            raise TypeError("its names must be texts")
        return read(row)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"{'/'.join(map(str, row[:names]))}: {error}") from error


def _dialogue(row: tuple[Any, ...]) -> Dialogue:
    system, character, scenario, turns = row
    pairs = json.loads(turns)
    if not isinstance(pairs, list) or not all(
        isinstance(pair, list) and [type(text) for text in pair] == [str, str] for pair in pairs
    ):
        raise ValueError("its turns must be pairs of texts")
    return Dialogue(system, character, scenario, tuple(Turn(*pair) for pair in pairs))


def _logprobs(text: str) -> tuple[float, ...]:
    """Logarithms of probabilities that sum to 1 at most, but for rounding."""
    found = json.loads(text)
    numbers = [-math.inf if value is None else value for value in found]
    if not numbers or not all(type(value) in {int, float} for value in numbers):
        raise ValueError("its log-probabilities must be numbers, one for each label")
    highest = max(numbers)
    if not -math.inf < highest <= _ROUNDING or sum(map(math.exp, numbers)) > 1 + _ROUNDING:
        raise ValueError(f"its log-probabilities are none: the highest is {highest:g}")
    return tuple(map(float, numbers))


def _judgment(row: tuple[Any, ...]) -> Judgment:
    system, character, scenario, metric, key, status, reason, logprobs, top, *later = row
    reading, rationale = later or ("exact", None)  # format 1 ends before them
    outcome: ScoreDistribution | Failure
    if status == "ok":
        if reading not in _READINGS:
            raise ValueError(f"there is no reading {reading!r}")
        outcome = ScoreDistribution(_logprobs(logprobs), bool(top), _READINGS[reading])
    else:
        outcome = Failure(status, reason)
    return Judgment(key, system, character, scenario, metric, outcome, rationale)
