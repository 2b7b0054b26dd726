"""Dialogues as people store them, as records: one file in, whatever its layout.

- ChatAnime's, one JSON file per system: `<system>.json` holds
  `{character: [{dialog_id, question_r1, answer_r1, question_r2, answer_r2}, ...]}`.
- one row for each round: `system, character, scenario, round, question, answer`. Without `round`
  the rows of a dialogue are its rounds in their order. Columns `answer_NAME` are the answers of
  several systems.
- one row for each dialogue: `question_r1, answer_r1, ...`, or `messages` (OpenAI) or
  `conversations` (ShareGPT).

Rows come in any format of `judge.tables`, with English or Chinese headings. Without a column of
systems the name of the file is the system, without one of characters the system prompt names it,
and without one of scenarios dialogues with the same first question have the same. A reply may be
empty: it is kept, and becomes a failure when it is to be judged. What cannot be understood is an
error that names the file and the line or record; nothing is dropped.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from judge import tables
from judge.chats import RecordError, character_in, parse_text, read_chat, without_thought
from judge.errors import DataError
from judge.names import clean, plain
from judge.tables import Table
from judge.text_files import describe, from_cell, parse_json, read_bytes, stem, to_text
from judge.types import Dialogue, Turn

__all__ = ["CHATANIME_HINT", "COLUMNS", "DialogueFile", "read_dialogue_file"]

COLUMNS = ("character", "scenario", "round", "question", "answer")
CHATANIME_HINT = (
    "a .json file is {character: [{dialog_id, question_r1, answer_r1, question_r2, answer_r2}, "
    "...]}, as in the ChatAnime release, or a list of rows"
)
TIDY_HINT = (
    f"one row per round with the columns {', '.join(COLUMNS)}, and optionally system; or one per "
    "dialogue with messages, or with question_r1, answer_r1, ..."
)

_NAMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "system": ("model", "model_name", "系统", "模型"),
        "character": ("role", "role_name", "character_name", "角色", "角色名", "人物"),
        "scenario": ("scene", "dialog_id", "dialogue_id", "场景", "情境", "对话编号"),
        "round": ("turn", "轮次", "轮", "回合"),
        "question": ("user", "query", "问题", "提问", "用户"),
        "answer": ("response", "reply", "assistant", "回答", "回复", "答复"),
        "messages": ("conversations", "conversation", "dialogue", "对话"),
        "system_prompt": ("系统提示", "系统提示词"),
    }
)
"""Column -> what else it may be called."""

_CHATS = ("messages", "conversations", "conversation", "dialogue")

_ROUND = re.compile(r"(question|answer|问题|回答|回复)_?r?([0-9]+)")
_ANSWER = "answer|response|回答|回复"
_SIDE = re.compile(
    rf"(?:{_ANSWER})[\s:_(/-]+(.+?)\)?|(.+?)[\s:_/(-]+(?:{_ANSWER})\)?", re.IGNORECASE
)


class DialogueFile(NamedTuple):
    """The dialogues of one file, the SHA-256 of its bytes, and how it was read."""

    dialogues: list[Dialogue]
    sha256: str
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class _Reader:
    """Collects the rounds of the dialogues of a table, and what was done on the way."""

    path: Path
    rounds: dict[tuple[str, str, str], dict[int, Turn]] = field(default_factory=dict)
    lines: dict[tuple[str, str, str], int] = field(default_factory=dict)
    scenarios: dict[str, str] = field(default_factory=dict)
    said: Counter[str] = field(default_factory=Counter)

    def add(self, key: tuple[str, str, str], number: int | None, turn: Turn, line: int) -> None:
        """One round; without a number it follows those that are there."""
        rounds = self.rounds.setdefault(key, {})
        self.lines.setdefault(key, line)
        if number is None:
            number = len(rounds) + 1
        if number in rounds:
            raise RecordError(f"round {number} of {'/'.join(key)} appears twice")
        rounds[number] = Turn(turn.question, self.answer(turn.answer))

    def answer(self, text: str) -> str:
        """An answer without what the model thought before it."""
        rest = without_thought(text)
        self.said["thoughts"] += rest is not None
        return text if rest is None else rest

    def dialogues(self) -> list[Dialogue]:
        """All of them, once every row was read; DataError if a round is missing."""
        first = min((min(rounds) for rounds in self.rounds.values()), default=1)
        if first == 0:
            self.said["from 0"] = 1
        for key, rounds in self.rounds.items():
            start = min(first, 1)
            if gap := [n for n in range(start, max(rounds) + 1) if n not in rounds]:
                raise DataError(
                    f"round {gap[0]} of {'/'.join(key)} is missing",
                    path=self.path,
                    line=self.lines[key],
                    hint=TIDY_HINT,
                )
        return [
            Dialogue(*key, tuple(rounds[n] for n in sorted(rounds)))
            for key, rounds in self.rounds.items()
        ]

    def notes(self) -> Iterator[str]:
        """What was taken for something that it does not say itself."""
        name = self.path.name
        if n := self.said["thoughts"]:
            yield f"{name}: thoughts (<think>) were set aside in {n:,} answers."
        if n := self.said["prompt"]:
            yield f"{name}: the system prompt named the character of {n:,} dialogues."
        if self.said["scenario"]:
            yield f"{name} has no scenarios: dialogues with the same first question have the same."
        if self.said["from 0"]:
            yield f"{name}: rounds are counted from 0."
        if self.said["rows"]:
            yield f"{name} has no column round: the rows of a dialogue are its rounds."


def read_dialogue_file(path: Path) -> DialogueFile:
    """Every dialogue of a file.

    Raises:
        DataError: the file is missing, is in no layout known here, or holds no dialogues.
        MissingExtraError: the library for a Parquet file or a spreadsheet is not installed.
    """
    read = _READERS.get(path.suffix.lower(), _read_rows)
    found = read(path)
    if not found.dialogues:
        hint = CHATANIME_HINT if path.suffix.lower() == ".json" else TIDY_HINT
        raise DataError("it holds no dialogues", path=path, hint=hint)
    return found


# ChatAnime's layout


def _read_json(path: Path) -> DialogueFile:
    """A file of ChatAnime, or rows."""
    data = read_bytes(path)
    text, notes = to_text(path, data)
    whole = parse_json(path, text)
    rows = isinstance(whole, list) or (isinstance(whole, dict) and _is_frame(whole))
    if rows:
        return _read_table(tables.read_table(path))
    sha256 = hashlib.sha256(data).hexdigest()
    if isinstance(whole, dict) and any(_is_chat(whole.get(key)) for key in _CHATS):
        found = tables.table_of_records(path, {1: whole})
        return _read_table(Table(path, sha256, found.columns, found.lines, notes))
    reader = _Reader(path)
    dialogues = list(_parse_chatanime(path, whole, reader))
    return DialogueFile(dialogues, sha256, (*notes, *reader.notes()))


def _is_chat(value: object) -> bool:
    """Whether it is a list of messages, not of a character's dialogues."""
    first = value[0] if isinstance(value, list) and value else None
    return isinstance(first, dict) and bool(first.keys() & {"role", "from"})


def _is_frame(whole: Mapping[str, object]) -> bool:
    """Whether it is what pandas writes, by columns, by rows or in parts."""
    if whole.keys() >= {"columns", "data"} or whole.keys() >= {"schema", "data"}:
        return True
    first = next(iter(whole.values()), None)
    if not isinstance(first, dict):
        return False
    return all(map(str.isdigit, whole)) or (bool(first) and all(map(str.isdigit, first)))


def _parse_chatanime(path: Path, characters: object, reader: _Reader) -> Iterator[Dialogue]:
    if not isinstance(characters, dict):
        raise DataError(
            f"an object of characters was expected, found {describe(characters)}",
            path=path,
            hint=CHATANIME_HINT,
        )
    seen: set[tuple[str, str]] = set()
    for character, records in characters.items():
        if not isinstance(records, list):
            raise DataError(
                f"{character}: a list of dialogues was expected, found {describe(records)}",
                path=path,
                hint=CHATANIME_HINT,
            )
        for index, record in enumerate(records, start=1):
            record_name = f"record {index}"
            try:
                if not isinstance(record, dict):
                    raise RecordError(f"an object was expected, found {describe(record)}")
                scenario = _parse_scenario(_get(record, "dialog_id"), "dialog_id")
                record_name = f"dialog_id {scenario}"
                name = _parse_name(character, "character")
                if (name, scenario) in seen:
                    raise RecordError("it appears twice")
                seen.add((name, scenario))
                turns = tuple(Turn(t.question, reader.answer(t.answer)) for t in _turns(record))
                yield Dialogue(path.stem, name, scenario, turns)
            except RecordError as error:
                raise DataError(
                    f"{character}, {record_name}: {error}", path=path, hint=CHATANIME_HINT
                ) from None


def _turns(record: Mapping[str, object]) -> tuple[Turn, ...]:
    """Rounds 1 to N, where N follows from the number of keys: a gap shows as a missing key."""
    keys = [key for key in record if re.fullmatch(r"(question|answer)_r[0-9]+", key)]
    rounds = max(1, math.ceil(len(keys) / 2))
    texts = [
        parse_text(_get(record, key), key)
        for n in range(1, rounds + 1)
        for key in (f"question_r{n}", f"answer_r{n}")
    ]
    return tuple(map(Turn, texts[::2], texts[1::2]))


def _get(record: Mapping[str, object], key: str) -> object:
    if key not in record:
        raise RecordError(f"no {key}")
    return record[key]


# Rows


class _Layout(NamedTuple):
    """What the headings mean: column -> heading, round heading -> its key, system -> heading."""

    columns: Mapping[str, str]
    flat: Mapping[str, str]
    sides: Mapping[str, str]


def _read_rows(path: Path) -> DialogueFile:
    """The dialogues of a file that is a table."""
    return _read_table(tables.read_table(path))


def _read_table(table: Table) -> DialogueFile:
    """The dialogues of a table."""
    path = table.path
    if not len(table):
        raise DataError("it holds no dialogues", path=path, hint=TIDY_HINT)
    layout = _find_layout(table)
    reader = _Reader(path)
    for line, row in table.rows():
        try:
            _read_row(reader, layout, row, line)
        except RecordError as error:
            raise DataError(str(error), path=path, line=line, hint=TIDY_HINT) from None
    dialogues = reader.dialogues()
    notes = (*table.notes, *reader.notes())
    return DialogueFile(dialogues, table.sha256, notes)


def _find_layout(table: Table) -> _Layout:
    """What the headings mean; DataError if a column is missing."""
    names = {plain(n): column for column, more in _NAMES.items() for n in (column, *more)}
    columns: dict[str, str] = {}
    flat: dict[str, str] = {}
    sides: dict[str, str] = {}
    for heading, values in table.columns.items():
        name = plain(heading)
        if match := _ROUND.fullmatch(name):
            word = "question" if match[1] in {"question", "问题"} else "answer"
            flat[heading] = f"{word}_r{int(match[2])}"
        elif column := names.get(name):
            blank = column == "system" and all(map(_is_blank, values))
            if not blank and (column not in columns or name == column):
                columns[column] = heading
        elif match := _SIDE.fullmatch(clean(heading)):
            sides[(match[1] or match[2]).strip()] = heading
    if "messages" in columns and (model := _model_beside_prompt(table, columns)):
        columns |= {"system_prompt": columns["system"], "system": model}
    if "messages" in columns or flat:
        return _Layout(columns, {} if "messages" in columns else flat, {})
    needed = [
        c for c in ("question", "answer") if c not in columns and not (c == "answer" and sides)
    ]
    missing = [c for c in ("character", "scenario") if c not in columns] + needed
    if needed or "character" in missing or ("scenario" in missing and "round" in columns):
        found = ", ".join(table.columns) or "none"
        first = int(table.lines[0])
        raise DataError(
            f"no column {', '.join(missing)} (found: {found})",
            path=table.path,
            line=first,
            hint=TIDY_HINT,
        )
    return _Layout(columns, {}, {} if "answer" in columns else sides)


def _model_beside_prompt(table: Table, columns: Mapping[str, str]) -> str | None:
    """The column `model`, where chats have it beside a column `system` with the system prompt."""
    models = [heading for heading in table.columns if plain(heading) in {"model", "模型"}]
    return models[0] if models and plain(columns.get("system", "")) == "system" else None


def _read_row(reader: _Reader, layout: _Layout, row: Mapping[str, object], line: int) -> None:
    """Add the rounds of one row."""
    given = {column: row[heading] for column, heading in layout.columns.items()}
    prompt = str(given.get("system_prompt") or "")
    turns: list[Turn] = []
    if "messages" in given:
        prompt, turns = read_chat(given["messages"], prompt)
    elif layout.flat:
        record = {key: row[heading] for heading, key in layout.flat.items()}
        turns = list(_turns({key: v for key, v in record.items() if not _is_missing(v)}))
    system = _parse_name(given["system"], "system") if "system" in given else stem(reader.path)
    if "character" in given:
        character = _parse_name(given["character"], "character")
    else:
        character = character_in(prompt)
        reader.said["prompt"] += 1
    question = turns[0].question if turns else parse_text(given["question"], "question")
    if "scenario" in given:
        scenario = _parse_scenario(given["scenario"], "scenario")
    else:
        reader.said["scenario"] += 1
        scenario = reader.scenarios.setdefault(question, str(len(reader.scenarios) + 1))
    if turns:
        key = (system, character, scenario)
        if key in reader.rounds:
            raise RecordError(f"{'/'.join(key)} appears twice")
        for number, turn in enumerate(turns, start=1):
            reader.add(key, number, turn, line)
        return
    given_number = _parse_round(given["round"]) if "round" in given else None
    answers = {name: row[heading] for name, heading in layout.sides.items()}
    for name, answer in (answers or {system: given.get("answer")}).items():
        key = (name, character, scenario)
        if given_number is None and key in reader.rounds:
            reader.said["rows"] += 1
        reader.add(key, given_number, Turn(question, parse_text(answer, "answer")), line)


# Values; `column` is what they are called in messages


def _is_missing(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _is_blank(value: object) -> bool:
    return value is None or _is_missing(value) or (isinstance(value, str) and not value.strip())


def _parse_name(value: object, column: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise RecordError(f"{column} must be a name, found {describe(value)}")
    return from_cell(parse_text(value, column).strip())


def _parse_scenario(value: object, column: str) -> str:
    """An id as text. Other programs write 7 as 7.0 in a column with gaps: both are scenario 7."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value.strip():
        raise RecordError(f"{column} must be text or a whole number, found {describe(value)}")
    value = parse_text(value, column)
    return re.sub(r"^([0-9]+)\.0+$", r"\1", value.strip()) if "." in value else value.strip()


def _parse_round(value: object) -> int:
    try:
        number = float(value) if isinstance(value, str | int | float) else -1.0
    except (ValueError, OverflowError):
        number = -1.0
    if isinstance(value, bool) or number < 0 or not number.is_integer():
        raise RecordError(f"round must be 1, 2, 3, ... (or from 0 on), found {value!r}")
    return int(number)


_READERS = MappingProxyType({".json": _read_json})
"""The reader of each extension that is not read as rows."""
