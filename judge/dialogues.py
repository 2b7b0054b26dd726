"""Reads dialogue files into `Dialogue` records, and selects some of the dialogues.

Two layouts are read:

- ChatAnime's, one JSON file per system: `<system>.json` holds
  `{character: [{dialog_id, question_r1, answer_r1, question_r2, answer_r2}, ...]}` with any
  number of rounds. A folder of such files is read in the order of the file names.
- a tidy table with one row per round, `system, character, scenario, round, question, answer`,
  in every format of `judge.tables` except `.json`. Without the column `system` the name of the
  file is the system.

A reply may be empty: it is kept, and becomes a failure when it is to be judged. Whatever cannot be
understood is an error that names the file and the line or record; nothing is dropped.
"""

from __future__ import annotations

import difflib
import hashlib
import itertools
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from types import MappingProxyType
from typing import TYPE_CHECKING

from judge import tables
from judge.errors import DataError, UsageError
from judge.text_files import describe, parse_json, read_bytes, stem, to_text
from judge.types import Dialogue, Turn

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["DialogueSet", "SystemSummary", "read_dialogues", "select", "summarise"]

COLUMNS = ("character", "scenario", "round", "question", "answer")
CHATANIME_HINT = (
    "a .json file is {character: [{dialog_id, question_r1, answer_r1, question_r2, answer_r2}, "
    "...]}, as in the ChatAnime release; a table belongs in .csv, .tsv, .jsonl, .parquet or .xlsx"
)
TIDY_HINT = f"one row per round with the columns {', '.join(COLUMNS)}, and optionally system"


@dataclass(frozen=True, slots=True)
class DialogueSet:
    """Dialogues in the order of their files.

    `sources` maps each system to the SHA-256 (hex) of the bytes of the file that holds it.
    """

    dialogues: tuple[Dialogue, ...]
    sources: Mapping[str, str]

    def to_frame(self) -> pd.DataFrame:
        """The tidy table that `read_dialogues` reads: a row for each round, numbered from 1."""
        import pandas as pd  # noqa: PLC0415 - slow to import

        rows = [
            (d.system, d.character, d.scenario, number, turn.question, turn.answer)
            for d in self.dialogues
            for number, turn in enumerate(d.turns, start=1)
        ]
        return pd.DataFrame(rows, columns=["system", *COLUMNS])


@dataclass(frozen=True, slots=True)
class SystemSummary:
    """Counts of one system. Lengths are characters of the non-blank replies, None without any."""

    system: str
    characters: int
    scenarios: int
    dialogues: int
    rounds: int
    empty_replies: int
    shortest: int | None
    median: float | None
    longest: int | None


class _RecordError(ValueError):
    """What is wrong with one value or record; the reader adds the file and the line."""


def read_dialogues(path: Path) -> DialogueSet:
    """Every dialogue of a file, or of the `*.json` files of a folder.

    Raises:
        DataError: the file is missing, is in no layout known here, or holds no dialogues.
        MissingExtraError: the library for a Parquet file or a spreadsheet is not installed.
    """
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    if not files:
        raise DataError("no *.json file in this folder", path=path, hint=CHATANIME_HINT)
    dialogues: list[Dialogue] = []
    sources: dict[str, str] = {}
    for file in files:
        read = _READERS.get(file.suffix.lower(), _read_tidy)
        parsed, sha256 = read(file)
        dialogues += parsed
        sources |= dict.fromkeys((dialogue.system for dialogue in parsed), sha256)
    return DialogueSet(tuple(dialogues), sources)


def summarise(dialogues: Iterable[Dialogue]) -> tuple[SystemSummary, ...]:
    """What each system has, in the order of first appearance."""
    systems: dict[str, list[Dialogue]] = {}
    for dialogue in dialogues:
        systems.setdefault(dialogue.system, []).append(dialogue)
    summaries = []
    for system, members in systems.items():
        replies = [turn.answer for dialogue in members for turn in dialogue.turns]
        lengths = [len(reply) for reply in replies if reply.strip()]
        summaries.append(
            SystemSummary(
                system=system,
                characters=len({dialogue.character for dialogue in members}),
                scenarios=len({dialogue.scenario for dialogue in members}),
                dialogues=len(members),
                rounds=len(replies),
                empty_replies=len(replies) - len(lengths),
                shortest=min(lengths, default=None),
                median=float(median(lengths)) if lengths else None,
                longest=max(lengths, default=None),
            )
        )
    return tuple(summaries)


# Selection


def select(
    dialogues: Sequence[Dialogue],
    *,
    characters: Sequence[str] = (),
    scenarios: Sequence[str] = (),
    limit: int | None = None,
    seed: int = 0,
) -> tuple[Dialogue, ...]:
    """The dialogues of these characters and scenarios, in the order given.

    Args:
        dialogues: what to choose from.
        characters: exact names, or parts that fit one name only; empty means all.
        scenarios: lists such as `1-12,15`; empty means all.
        limit: keep so many, drawn so that every system has the same characters and scenarios,
            and as many different ones as can be.
        seed: of that draw.

    Raises:
        UsageError: a name or scenario that nothing fits, or nothing is left.
    """
    if limit is not None and limit < 1:
        raise UsageError(f"--limit {limit}: it must be at least 1")
    selected = list(dialogues)
    if characters:
        known = list(dict.fromkeys(dialogue.character for dialogue in dialogues))
        names = {_match_character(name, known) for name in characters}
        selected = [dialogue for dialogue in selected if dialogue.character in names]
    if scenarios:
        known = list(dict.fromkeys(dialogue.scenario for dialogue in dialogues))
        ids = {scenario for text in scenarios for scenario in _match_scenarios(text, known)}
        selected = [dialogue for dialogue in selected if dialogue.scenario in ids]
    if not selected:
        raise UsageError(
            "no dialogue is left after --characters and --scenarios",
            hint="see what a file holds with `judge data check PATH`",
        )
    return tuple(selected if limit is None else _spread(selected, limit, seed))


def _match_character(name: str, known: Sequence[str]) -> str:
    if name in known:
        return name
    matches = [character for character in known if name and name.casefold() in character.casefold()]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise UsageError(
            f"--characters {name}: it fits {len(matches)} names",
            hint=f"one of: {', '.join(matches)}",
        )
    close = difflib.get_close_matches(name, known, n=5, cutoff=0.3) or known
    raise UsageError(
        f"--characters {name}: no such character", hint=f"did you mean: {', '.join(close)}"
    )


def _match_scenarios(text: str, known: Sequence[str]) -> Iterator[str]:
    """The known scenarios in a list such as `1-12,15`; an id that looks like a range is an id."""
    for part in filter(None, map(str.strip, text.split(","))):
        span = re.fullmatch(r"([0-9]{1,9})\s*-\s*([0-9]{1,9})", part)
        if part in known:
            matches = [part]
        elif span:
            low, high = int(span[1]), int(span[2])
            matches = [name for name in known if re.fullmatch("[0-9]{1,9}", name)]
            matches = [name for name in matches if low <= int(name) <= high]
        else:
            matches = []
        if not matches:
            shown = ", ".join(known[:12]) + (", ..." if len(known) > 12 else "")
            raise UsageError(f"--scenarios {part}: no such scenario", hint=f"there are: {shown}")
        yield from matches


def _spread(dialogues: Sequence[Dialogue], limit: int, seed: int) -> list[Dialogue]:
    """`limit` dialogues, left in their order, that use characters and scenarios evenly.

    All systems walk through the same order of (character, scenario) pairs, so that they are
    compared on the same ones.
    """
    order = _balanced_order(
        [dialogue.character for dialogue in dialogues],
        [dialogue.scenario for dialogue in dialogues],
        seed,
    )
    by_pair = sorted(range(len(dialogues)), key=order.__getitem__)
    taken: Counter[str] = Counter()
    turns: list[tuple[int, int, int]] = []
    for index in by_pair:
        system = dialogues[index].system
        taken[system] += 1
        turns.append((taken[system], order[index], index))
    return [dialogues[index] for index in sorted(index for *_, index in sorted(turns)[:limit])]


def _balanced_order(characters: Sequence[str], scenarios: Sequence[str], seed: int) -> list[int]:
    """(n,) position of each pair in a walk through the whole table of characters x scenarios.

    Both factors are shuffled by hashes of their names and the seed, so that the order is the same
    on every machine. Step t of the walk takes character t mod C and scenario
    (t + t // lcm(C, S)) mod S: a diagonal, moved on by one whenever it closes. Every pair has its
    own step, and any first steps use all characters, and all scenarios, about equally often.
    """

    def shuffled(name: str) -> bytes:
        return hashlib.sha256(f"{seed}/{name}".encode()).digest()

    row, column = (
        {name: position for position, name in enumerate(sorted(set(names), key=shuffled))}
        for names in (characters, scenarios)
    )
    common = math.gcd(len(row), len(column))
    rows, columns = len(row) // common, len(column) // common
    inverse = pow(rows, -1, columns)

    def step(character: str, scenario: str) -> int:
        i, j = row[character], column[scenario]
        diagonal = (j - i) % common
        # The one u below lcm(C, S) with u = i mod C and u = j - diagonal mod S.
        u = i + len(row) * ((j - diagonal - i) // common * inverse % columns)
        return diagonal * len(row) * columns + u

    return [step(*pair) for pair in zip(characters, scenarios, strict=True)]


# ChatAnime's layout


def _read_chatanime(path: Path) -> tuple[list[Dialogue], str]:
    """The dialogues of one JSON file, and its SHA-256."""
    data = read_bytes(path)
    dialogues = list(_parse_chatanime(path, parse_json(path, to_text(path, data).text)))
    if not dialogues:
        raise DataError("it holds no dialogues", path=path, hint=CHATANIME_HINT)
    return dialogues, hashlib.sha256(data).hexdigest()


def _parse_chatanime(path: Path, characters: object) -> Iterator[Dialogue]:
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
                    raise _RecordError(f"an object was expected, found {describe(record)}")
                scenario = _parse_scenario(_get(record, "dialog_id"), "dialog_id")
                record_name = f"dialog_id {scenario}"
                name = _parse_name(character, "character")
                if (name, scenario) in seen:
                    raise _RecordError("it appears twice")
                seen.add((name, scenario))
                yield Dialogue(path.stem, name, scenario, _turns(record))
            except _RecordError as error:
                raise DataError(
                    f"{character}, {record_name}: {error}", path=path, hint=CHATANIME_HINT
                ) from None


def _turns(record: Mapping[str, object]) -> tuple[Turn, ...]:
    """Rounds 1 to N, where N follows from the number of keys: a gap shows as a missing key."""
    keys = [key for key in record if re.fullmatch(r"(question|answer)_r[0-9]+", key)]
    rounds = max(1, math.ceil(len(keys) / 2))
    texts = [
        _parse_text(_get(record, key), key)
        for n in range(1, rounds + 1)
        for key in (f"question_r{n}", f"answer_r{n}")
    ]
    return tuple(map(Turn, texts[::2], texts[1::2]))


def _get(record: Mapping[str, object], key: str) -> object:
    if key not in record:
        raise _RecordError(f"no {key}")
    return record[key]


# Tidy tables


def _read_tidy(path: Path) -> tuple[list[Dialogue], str]:
    """The dialogues of a table, and the SHA-256 of the file."""
    table = tables.read_table(path)
    if not len(table):
        raise DataError("it holds no dialogues", path=path, hint=TIDY_HINT)
    if missing := [column for column in COLUMNS if column not in table.columns]:
        raise DataError(
            f"no column {', '.join(missing)} (found: {', '.join(table.columns) or 'none'})",
            path=path,
            line=int(table.lines[0]),
            hint=TIDY_HINT,
        )
    turns: dict[tuple[str, str, str], dict[int, Turn]] = {}
    first_line: dict[tuple[str, str, str], int] = {}
    systems = table.columns.get("system", itertools.repeat(stem(path)))
    values = (table.columns[column] for column in COLUMNS)
    for line, system, character, scenario, number, question, answer in zip(
        table.lines.tolist(), systems, *values, strict=False
    ):
        try:
            key = (
                _parse_name(system, "system"),
                _parse_name(character, "character"),
                _parse_scenario(scenario, "scenario"),
            )
            round_ = _parse_round(number)
            rounds = turns.setdefault(key, {})
            if round_ in rounds:
                raise _RecordError(f"round {round_} of {'/'.join(key)} appears twice")
            rounds[round_] = Turn(_parse_text(question, "question"), _parse_text(answer, "answer"))
            first_line.setdefault(key, line)
        except _RecordError as error:
            raise DataError(str(error), path=path, line=line, hint=TIDY_HINT) from None
    for key, rounds in turns.items():
        if gap := next((n for n in range(1, max(rounds) + 1) if n not in rounds), None):
            raise DataError(
                f"round {gap} of {'/'.join(key)} is missing",
                path=path,
                line=first_line[key],
                hint=TIDY_HINT,
            )
    dialogues = [
        Dialogue(*key, tuple(rounds[n] for n in sorted(rounds))) for key, rounds in turns.items()
    ]
    return dialogues, table.sha256


# Values; `column` is what they are called in messages


def _parse_text(value: object, column: str) -> str:
    if not isinstance(value, str):
        raise _RecordError(f'{column} must be text, found {describe(value)} (an empty reply is "")')
    try:
        value.encode()
    except UnicodeEncodeError as error:  # half of a surrogate pair, which JSON can write
        half = f"\\u{ord(value[error.start]):04x}"
        raise _RecordError(f"{column} holds half a character ({half}); write it whole") from None
    return value


def _parse_name(value: object, column: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise _RecordError(f"{column} must be a name, found {describe(value)}")
    return _parse_text(value, column).strip()


def _parse_scenario(value: object, column: str) -> str:
    """An id as text. Other programs write 7 as 7.0 in a column with gaps: both are scenario 7."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value.strip():
        raise _RecordError(f"{column} must be text or a whole number, found {describe(value)}")
    value = _parse_text(value, column)
    return re.sub(r"^([0-9]+)\.0+$", r"\1", value.strip()) if "." in value else value.strip()


def _parse_round(value: object) -> int:
    try:
        number = float(value) if isinstance(value, str | int | float) else -1.0
    except (ValueError, OverflowError):
        number = -1.0
    if isinstance(value, bool) or number < 1 or not number.is_integer():
        raise _RecordError(f"round must be 1, 2, 3, ..., found {value!r}")
    return int(number)


_READERS: Mapping[str, Callable[[Path], tuple[list[Dialogue], str]]] = MappingProxyType(
    {".json": _read_chatanime}
)
"""The reader of each extension that is not read as a tidy table. Further layouts belong here."""
