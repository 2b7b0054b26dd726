"""Sets of dialogues: read from files, counted, and selected."""

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
from typing import TYPE_CHECKING

from judge.dialogue_files import CHATANIME_HINT, COLUMNS, read_dialogue_file
from judge.errors import DataError, UsageError
from judge.types import Dialogue

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["DialogueSet", "SystemSummary", "read_dialogues", "select", "summarise"]

_SUFFIXES = (".json",), (".csv", ".tsv", ".txt", ".jsonl", ".parquet", ".xlsx", ".ods")
"""What is read of a folder: files of the first kind, or else of the second."""


@dataclass(frozen=True, slots=True)
class DialogueSet:
    """Dialogues in the order of their files.

    `sources` maps each system to the SHA-256 (hex) of the bytes of the file that holds it, and
    `notes` say how files were read where that could be otherwise.
    """

    dialogues: tuple[Dialogue, ...]
    sources: Mapping[str, str]
    notes: tuple[str, ...] = ()

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


def read_dialogues(path: Path) -> DialogueSet:
    """Every dialogue of a file, or of the files of a folder; see `judge.dialogue_files`.

    Of a folder the `*.json` files are read, in the order of their names, or else the tables.
    Hidden files and those that systems leave, such as `._x.json`, are passed over.

    Raises:
        DataError: a file is missing, is in no layout known here, or holds no dialogues.
        MissingExtraError: the library for a Parquet file or a spreadsheet is not installed.
    """
    files = [path]
    if path.is_dir():
        there = sorted(p for p in path.iterdir() if p.name[:1] not in {".", "~"})
        kinds = ([p for p in there if p.suffix.lower() in kind] for kind in _SUFFIXES)
        files = next(filter(None, kinds), [])
    if not files:
        raise DataError("no file of dialogues in this folder", path=path, hint=CHATANIME_HINT)
    read = [read_dialogue_file(file) for file in files]
    return DialogueSet(
        tuple(dialogue for one in read for dialogue in one.dialogues),
        {dialogue.system: one.sha256 for one in read for dialogue in one.dialogues},
        tuple(note for one in read for note in one.notes),
    )


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
