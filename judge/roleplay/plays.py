"""`play.sqlite` of a run folder: every line that was written while playing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from judge.database import Database
from judge.types import Failure, Reply

__all__ = ["FORMAT", "Line", "Part", "Place", "Plays", "Spent"]

FORMAT = 1
"""The newest format of play.sqlite that this version reads, in its `user_version`."""

Part = Literal["answer1", "question2", "answer2"]
Place = tuple[str, str]
"""A character and a scenario."""

_TABLES = (
    """CREATE TABLE IF NOT EXISTS line (
    part TEXT NOT NULL, character TEXT NOT NULL, scenario TEXT NOT NULL,
    key TEXT NOT NULL, asked TEXT NOT NULL, status TEXT NOT NULL, text TEXT NOT NULL,
    thought TEXT NOT NULL, tokens INTEGER NOT NULL, prompt_tokens INTEGER NOT NULL,
    cut INTEGER NOT NULL,
    PRIMARY KEY (part, character, scenario)
) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS spent (
    part TEXT NOT NULL PRIMARY KEY, seconds REAL NOT NULL
) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS writer (
    part TEXT NOT NULL, name TEXT NOT NULL, text TEXT NOT NULL,
    PRIMARY KEY (part, name, text)
)""",
)
_OK = "ok"
_BESIDE = " | "


class Line(NamedTuple):
    """What was written.

    Attributes:
        key: the hash of what it was written to, by whom and how.
        asked: the last message that it was written to.
        reply: it; its place among other replies means nothing.
    """

    key: str
    asked: str
    reply: Reply


class Spent(NamedTuple):
    """What a part has taken so far; tokens are 0 where the server does not count them."""

    seconds: float
    prompt_tokens: int
    tokens: int


class Plays(Database):
    """The lines of one model in one run folder.

    Args:
        folder: the run folder.
        create: make the folder and the database if they are not there.

    Raises:
        StoreError: see `Database`.
    """

    def __init__(self, folder: Path, *, create: bool = True) -> None:
        super().__init__(folder / "play.sqlite", FORMAT, _TABLES, create=create)

    def lines(self, part: Part) -> dict[Place, Line]:
        """All lines of a part, in the order of character and scenario."""
        with self._errors():
            rows = self._db.execute(
                "SELECT character, scenario, key, asked, status, text, thought, tokens, "
                "prompt_tokens, cut FROM line WHERE part = ? ORDER BY character, scenario",
                (part,),
            )
            return {(row[0], row[1]): _line(row[2:]) for row in rows}

    def add(
        self,
        part: Part,
        lines: Mapping[Place, Line],
        seconds: float,
        writer: Mapping[str, str] | None = None,
    ) -> None:
        """Keep a batch, all or nothing. A line that is there stays.

        Args:
            part: which part of the dialogues.
            lines: the batch.
            seconds: what it took.
            writer: what is to be known of who wrote it.
        """
        with self.transaction():
            self._db.executemany(
                "INSERT INTO line VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                [(part, *place, *_row(line)) for place, line in lines.items()],
            )
            self._db.execute(
                "INSERT INTO spent VALUES (?, ?) "
                "ON CONFLICT DO UPDATE SET seconds = seconds + excluded.seconds",
                (part, seconds),
            )
            self._db.executemany(
                "INSERT INTO writer VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                [(part, *fact) for fact in (writer or {}).items()],
            )

    def spent(self, part: Part) -> Spent:
        """Seconds of writing, loading left out, and tokens."""
        with self._errors():
            seconds = self._db.execute(
                "SELECT seconds FROM spent WHERE part = ?", (part,)
            ).fetchone()
            tokens = self._db.execute(
                "SELECT COALESCE(SUM(prompt_tokens), 0), COALESCE(SUM(tokens), 0) FROM line "
                "WHERE part = ?",
                (part,),
            ).fetchone()
        return Spent(seconds[0] if seconds else 0.0, *tokens)

    def writer(self, *parts: Part) -> dict[str, str]:
        """What is known of who wrote these parts; where batches differ, all of it side by side."""
        found: dict[str, dict[str, None]] = {}
        with self._errors():
            for part in parts:
                rows = self._db.execute(
                    "SELECT name, text FROM writer WHERE part = ? ORDER BY rowid", (part,)
                )
                for name, text in rows:
                    found.setdefault(name, {})[text] = None
        return {name: _BESIDE.join(texts) for name, texts in found.items()}


def _row(line: Line) -> tuple[object, ...]:
    reply = line.reply
    status, text = (
        (reply.outcome.code, reply.outcome.reason)
        if isinstance(reply.outcome, Failure)
        else (_OK, reply.outcome)
    )
    return (
        line.key,
        line.asked,
        status,
        text,
        reply.thought,
        reply.tokens,
        reply.prompt_tokens,
        int(reply.cut),
    )


def _line(row: Sequence[Any]) -> Line:
    key, asked, status, text, thought, tokens, prompt_tokens, cut = row
    outcome = text if status == _OK else Failure(status, text)
    return Line(key, asked, Reply(0, outcome, thought, tokens, prompt_tokens, bool(cut)))
