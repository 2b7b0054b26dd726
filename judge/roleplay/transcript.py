"""The transcript of a run: `play.sqlite`, which keeps every line that a model wrote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from judge.database import Database
from judge.types import Failure, Reply

__all__ = ["FORMAT", "Part", "SceneId", "Transcript", "TranscriptLine", "Usage", "round_of"]

FORMAT = 1
"""The newest format of play.sqlite that this version reads, stored as its `user_version`."""

Part = str
"""A part of a dialogue that models write: `answer1`, `question2`, `answer2` and so on, by rounds.
The first question is given by the scenario."""

SceneId = tuple[str, str]
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
_INSERT = """INSERT INTO line VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
    key = excluded.key, asked = excluded.asked, status = excluded.status, text = excluded.text,
    thought = excluded.thought, tokens = excluded.tokens, prompt_tokens = excluded.prompt_tokens,
    cut = excluded.cut
WHERE line.status <> 'ok'"""
_SEPARATOR = " | "


def round_of(part: Part) -> int:
    """The number of the round that a part is of, from 1."""
    return int(part.removeprefix("answer").removeprefix("question"))


class TranscriptLine(NamedTuple):
    """One line of a dialogue.

    Attributes:
        key: the hash of the chat, the model and the settings that the line was written with.
        in_reply_to: the last message of the chat.
        reply: the line; its field `chat` means nothing here.
    """

    key: str
    in_reply_to: str
    reply: Reply


@dataclass(frozen=True, slots=True)
class Usage:
    """What writing one part has taken so far.

    Attributes:
        seconds: of writing, without loading the model.
        prompt_tokens: tokens read, 0 where the server does not count them.
        tokens: tokens written, 0 where the server does not count them.
    """

    seconds: float
    prompt_tokens: int
    tokens: int


class Transcript(Database):
    """The lines of one model in one run folder.

    Args:
        create: make the folder and the database if they do not exist.

    Raises:
        StoreError: see `Database`.
    """

    def __init__(self, folder: Path, *, create: bool = True) -> None:
        super().__init__(folder / "play.sqlite", FORMAT, _TABLES, create=create)

    def lines(self, part: Part) -> dict[SceneId, TranscriptLine]:
        """All lines of a part, sorted by character and scenario."""
        with self._errors():
            rows = self._db.execute(
                "SELECT character, scenario, key, asked, status, text, thought, tokens, "
                "prompt_tokens, cut FROM line WHERE part = ? ORDER BY character, scenario",
                (part,),
            )
            return {(row[0], row[1]): _line(row[2:]) for row in rows}

    def parts(self) -> tuple[Part, ...]:
        """The parts that have lines, in no order."""
        with self._errors():
            return tuple(part for (part,) in self._db.execute("SELECT DISTINCT part FROM line"))

    def unsettled(self) -> int:
        """How many lines failed in a way that may have been passing."""
        parts = self.parts()
        outcomes = (line.reply.outcome for part in parts for line in self.lines(part).values())
        return sum(isinstance(outcome, Failure) and outcome.passing for outcome in outcomes)

    def add(
        self,
        part: Part,
        lines: Mapping[SceneId, TranscriptLine],
        seconds: float,
        engine: Mapping[str, str] | None = None,
    ) -> None:
        """Store a batch in one transaction. A line that is stored is not replaced unless it failed.

        Args:
            part: the part that the lines belong to.
            seconds: how long writing it took.
            engine: the description of the engine that wrote it.
        """
        with self.transaction():
            self._db.executemany(
                _INSERT, [(part, *scene_id, *_row(line)) for scene_id, line in lines.items()]
            )
            self._db.execute(
                "INSERT INTO spent VALUES (?, ?) "
                "ON CONFLICT DO UPDATE SET seconds = seconds + excluded.seconds",
                (part, seconds),
            )
            self._db.executemany(
                "INSERT INTO writer VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                [(part, *fact) for fact in (engine or {}).items()],
            )

    def usage(self, part: Part) -> Usage:
        """Seconds and tokens of all lines of a part."""
        with self._errors():
            seconds = self._db.execute(
                "SELECT seconds FROM spent WHERE part = ?", (part,)
            ).fetchone()
            tokens = self._db.execute(
                "SELECT COALESCE(SUM(prompt_tokens), 0), COALESCE(SUM(tokens), 0) FROM line "
                "WHERE part = ?",
                (part,),
            ).fetchone()
        return Usage(seconds[0] if seconds else 0.0, *tokens)

    def engine(self, *parts: Part) -> dict[str, str]:
        """The description of the engine that wrote these parts.

        Where batches were written by engines that differ in a fact, such as the device, all its
        values are joined by " | ".
        """
        facts: dict[str, dict[str, None]] = {}
        with self._errors():
            for part in parts:
                rows = self._db.execute(
                    "SELECT name, text FROM writer WHERE part = ? ORDER BY rowid", (part,)
                )
                for name, text in rows:
                    facts.setdefault(name, {})[text] = None
        return {name: _SEPARATOR.join(texts) for name, texts in facts.items()}


def _row(line: TranscriptLine) -> tuple[object, ...]:
    reply = line.reply
    status, text = (
        (reply.outcome.code, reply.outcome.reason)
        if isinstance(reply.outcome, Failure)
        else (_OK, reply.outcome)
    )
    counts = (reply.tokens, reply.prompt_tokens, int(reply.cut))
    return (line.key, line.in_reply_to, status, text, reply.thought, *counts)


def _line(row: Sequence[Any]) -> TranscriptLine:
    key, in_reply_to, status, text, thought, tokens, prompt_tokens, cut = row
    outcome = text if status == _OK else Failure(status, text)
    reply = Reply(0, outcome, thought, tokens, prompt_tokens, bool(cut))
    return TranscriptLine(key, in_reply_to, reply)
