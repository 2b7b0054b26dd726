"""Dialogue files in, `Dialogue` records out; and the part of them that is asked for.

Two layouts are read:

- ChatAnime's, one JSON file per system: `<system>.json` holds
  `{character: [{dialog_id, question_r1, answer_r1, question_r2, answer_r2}, ...]}` with any
  number of rounds. A folder of such files is read in the order of the file names.
- a tidy table with one row per round, `system, character, scenario, round, question, answer`,
  as JSONL, CSV, TSV or Parquet. Without the column `system` the file's stem is the system.

A reply may be empty: it is kept, and counted as a failure where it would be judged. Whatever
cannot be understood is an error that names the file and the place; nothing is dropped.
"""

from __future__ import annotations

import difflib
import hashlib
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from judge import tables
from judge.errors import DataError, UsageError
from judge.types import Dialogue, Turn

__all__ = ["DialogueSet", "SystemSummary", "read_dialogues", "select", "summarise"]

COLUMNS = ("character", "scenario", "round", "question", "answer")
CHATANIME_HINT = (
    "a .json file is {character: [{dialog_id, question_r1, answer_r1, question_r2, answer_r2}, "
    "...]}, as in the ChatAnime release; a table belongs in .jsonl, .csv, .tsv or .parquet"
)
TIDY_HINT = f"one row per round with the columns {', '.join(COLUMNS)}, and if you like system"


@dataclass(frozen=True, slots=True)
class DialogueSet:
    """Dialogues in the order of their files.

    `sources` maps each system to the SHA-256 (hex) of the bytes of the file that holds it.
    """

    dialogues: tuple[Dialogue, ...]
    sources: Mapping[str, str]


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
    """What is wrong with one value or record; the reader adds the file and the place."""


def read_dialogues(path: Path) -> DialogueSet:
    """Every dialogue of a file, or of the `*.json` files of a folder.

    Raises:
        DataError: the file is missing, is in no layout known here, or holds no dialogues.
        MissingExtraError: a Parquet file, and pyarrow is not installed.
    """
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    if not files:
        raise DataError("no *.json file in this folder", path=path, hint=CHATANIME_HINT)
    dialogues: list[Dialogue] = []
    sources: dict[str, str] = {}
    for file in files:
        data = tables.read_bytes(file)
        found = list(_parse(file, data))
        if not found:
            hint = CHATANIME_HINT if file.suffix.lower() == ".json" else TIDY_HINT
            raise DataError("it holds no dialogues", path=file, hint=hint)
        dialogues += found
        sources |= dict.fromkeys((d.system for d in found), hashlib.sha256(data).hexdigest())
    return DialogueSet(tuple(dialogues), sources)


def summarise(dialogues: Iterable[Dialogue]) -> tuple[SystemSummary, ...]:
    """What each system has, in the order of first appearance."""
    systems: dict[str, list[Dialogue]] = {}
    for dialogue in dialogues:
        systems.setdefault(dialogue.system, []).append(dialogue)
    return tuple(_summary(system, members) for system, members in systems.items())


def _summary(system: str, dialogues: Sequence[Dialogue]) -> SystemSummary:
    replies = [turn.answer for dialogue in dialogues for turn in dialogue.turns]
    lengths = [len(reply) for reply in replies if reply.strip()]
    return SystemSummary(
        system=system,
        characters=len({dialogue.character for dialogue in dialogues}),
        scenarios=len({dialogue.scenario for dialogue in dialogues}),
        dialogues=len(dialogues),
        rounds=len(replies),
        empty_replies=len(replies) - len(lengths),
        shortest=min(lengths, default=None),
        median=float(median(lengths)) if lengths else None,
        longest=max(lengths, default=None),
    )


# The part that is asked for


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
    chosen = list(dialogues)
    if characters:
        known = list(dict.fromkeys(dialogue.character for dialogue in dialogues))
        names = {_match_character(asked, known) for asked in characters}
        chosen = [dialogue for dialogue in chosen if dialogue.character in names]
    if scenarios:
        ids = list(dict.fromkeys(dialogue.scenario for dialogue in dialogues))
        wanted = {id_ for asked in scenarios for id_ in _match_scenarios(asked, ids)}
        chosen = [dialogue for dialogue in chosen if dialogue.scenario in wanted]
    if not chosen:
        raise UsageError(
            "no dialogue is left after --characters and --scenarios",
            hint="see what a file holds with `judge data check PATH`",
        )
    return tuple(chosen if limit is None else _spread(chosen, limit, seed))


def _match_character(asked: str, known: Sequence[str]) -> str:
    if asked in known:
        return asked
    fits = [name for name in known if asked and asked.casefold() in name.casefold()]
    if len(fits) == 1:
        return fits[0]
    if fits:
        raise UsageError(
            f"--characters {asked}: it fits {len(fits)} names", hint=f"one of: {', '.join(fits)}"
        )
    close = difflib.get_close_matches(asked, known, n=5, cutoff=0.3) or known
    raise UsageError(
        f"--characters {asked}: no such character", hint=f"did you mean: {', '.join(close)}"
    )


def _match_scenarios(asked: str, known: Sequence[str]) -> Iterator[str]:
    """The known scenarios in a list such as `1-12,15`; an id that looks like a range is an id."""
    for part in filter(None, map(str.strip, asked.split(","))):
        span = re.fullmatch(r"([0-9]{1,9})\s*-\s*([0-9]{1,9})", part)
        if part in known:
            fits = [part]
        elif span:
            low, high = int(span[1]), int(span[2])
            fits = [name for name in known if re.fullmatch("[0-9]{1,9}", name)]
            fits = [name for name in fits if low <= int(name) <= high]
        else:
            fits = []
        if not fits:
            shown = ", ".join(known[:12]) + (", ..." if len(known) > 12 else "")
            raise UsageError(f"--scenarios {part}: no such scenario", hint=f"there are: {shown}")
        yield from fits


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


# From bytes to records


def _parse(path: Path, data: bytes) -> Iterator[Dialogue]:
    suffix = path.suffix.lower()
    if suffix == ".json":
        return _chatanime(path, tables.parse_json(path, tables.to_text(path, data)))
    if suffix in tables.SUFFIXES:
        return _tidy(path, tables.read_rows(path, data))
    raise DataError(
        f"dialogues are read from .json, {', '.join(tables.SUFFIXES)}, not from "
        f"{suffix or 'a file without extension'}",
        path=path,
        hint="rename or convert the file",
    )


def _chatanime(path: Path, top: object) -> Iterator[Dialogue]:
    if not isinstance(top, dict):
        raise DataError(
            f"an object of characters was expected, found {tables.describe(top)}",
            path=path,
            hint=CHATANIME_HINT,
        )
    seen: set[tuple[str, str]] = set()
    for character, records in top.items():
        if not isinstance(records, list):
            raise DataError(
                f"{character}: a list of dialogues was expected, found {tables.describe(records)}",
                path=path,
                hint=CHATANIME_HINT,
            )
        for index, record in enumerate(records, start=1):
            place = f"record {index}"
            try:
                if not isinstance(record, dict):
                    raise _RecordError(f"an object was expected, found {tables.describe(record)}")
                scenario = _scenario(record, "dialog_id")
                place = f"dialog_id {scenario}"
                name = _name({"character": character}, "character")
                if (name, scenario) in seen:
                    raise _RecordError("it appears twice")
                seen.add((name, scenario))
                yield Dialogue(path.stem, name, scenario, _turns(record))
            except _RecordError as error:
                raise DataError(
                    f"{character}, {place}: {error}", path=path, hint=CHATANIME_HINT
                ) from None


def _turns(record: Mapping[str, object]) -> tuple[Turn, ...]:
    """Rounds 1..N, where N is what the number of round keys would make without a gap."""
    named = [key for key in record if re.fullmatch(r"(question|answer)_r[0-9]+", key)]
    rounds = max(1, math.ceil(len(named) / 2))
    return tuple(
        Turn(_string(record, f"question_r{n}"), _string(record, f"answer_r{n}"))
        for n in range(1, rounds + 1)
    )


def _tidy(path: Path, rows: Iterable[tuple[int, Mapping[str, object]]]) -> Iterator[Dialogue]:
    turns: dict[tuple[str, str, str], dict[int, Turn]] = {}
    first: dict[tuple[str, str, str], int] = {}
    for line, row in rows:
        try:
            missing = [column for column in COLUMNS if column not in row]
            if missing:
                found = ", ".join(map(str, row)) or "none"
                raise _RecordError(f"no column {', '.join(missing)} (found: {found})")
            system = _name(row, "system") if "system" in row else path.stem
            key = (system, _name(row, "character"), _scenario(row, "scenario"))
            number = _round(row["round"])
            if number in turns.setdefault(key, {}):
                raise _RecordError(f"round {number} of {'/'.join(key)} appears twice")
            turns[key][number] = Turn(_string(row, "question"), _string(row, "answer"))
            first.setdefault(key, line)
        except _RecordError as error:
            raise DataError(str(error), path=path, line=line, hint=TIDY_HINT) from None
    for key, rounds in turns.items():
        gap = next((n for n in range(1, max(rounds) + 1) if n not in rounds), None)
        if gap is not None:
            raise DataError(
                f"round {gap} of {'/'.join(key)} is missing",
                path=path,
                line=first[key],
                hint=TIDY_HINT,
            )
        yield Dialogue(*key, tuple(rounds[n] for n in sorted(rounds)))


# Values


def _string(record: Mapping[str, object], key: str) -> str:
    if key not in record:
        raise _RecordError(f"no {key}")
    value = record[key]
    if not isinstance(value, str):
        raise _RecordError(
            f'{key} must be text, found {tables.describe(value)} (an empty reply is "")'
        )
    return _whole(value, key)


def _name(record: Mapping[str, object], key: str) -> str:
    value = record[key]
    if not isinstance(value, str) or not value.strip():
        raise _RecordError(f"{key} must be a name, found {tables.describe(value)}")
    return _whole(value, key).strip()


def _whole(text: str, key: str) -> str:
    """`text`, unless it holds half a character, which JSON can say and no file can."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        half = f"\\u{ord(text[error.start]):04x}"
        raise _RecordError(f"{key} holds half a character ({half}); write it whole") from None
    return text


def _scenario(record: Mapping[str, object], key: str) -> str:
    """An id as text. Tables turn 7 into 7.0 when the column has gaps; both are scenario 7."""
    if key not in record:
        raise _RecordError(f"no {key}")
    value = record[key]
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value.strip():
        raise _RecordError(f"{key} must be text or a whole number, found {tables.describe(value)}")
    return re.sub(r"^([0-9]+)\.0+$", r"\1", value.strip())


def _round(value: object) -> int:
    try:
        number = float(value) if isinstance(value, str | int | float) else -1.0
    except (ValueError, OverflowError):
        number = -1.0
    if isinstance(value, bool) or number < 1 or not number.is_integer():
        raise _RecordError(f"round must be 1, 2, 3, ..., found {value!r}")
    return int(number)
