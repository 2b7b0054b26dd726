"""Laws of reading and choosing dialogues."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from judge.dialogues import read_dialogues, select
from judge.types import Dialogue, Turn

# A thought at the beginning of an answer is set aside, so it does not come back.
texts = st.text(max_size=20).filter(lambda text: "think>" not in text)
# Names are stripped when read, and 7.0 in a table means 7: neither can round-trip.
names = st.text(min_size=1, max_size=8).filter(lambda name: name == name.strip())
ids = st.one_of(st.integers(0, 99).map(str), names.filter(lambda name: "." not in name))
turns = st.lists(st.builds(Turn, texts, texts), min_size=1, max_size=4).map(tuple)
cells = st.lists(st.tuples(names, ids, turns), min_size=1, max_size=6, unique_by=lambda c: c[:2])
COLUMNS = ("system", "character", "scenario", "round", "question", "answer")


def records(dialogues: Sequence[Dialogue]) -> list[tuple[str, str, str, int, str, str]]:
    return [
        (d.system, d.character, d.scenario, number, turn.question, turn.answer)
        for d in dialogues
        for number, turn in enumerate(d.turns, start=1)
    ]


@given(cells)
def test_chatanime_json_round_trip(given_cells: list[tuple[str, str, tuple[Turn, ...]]]) -> None:
    """Whatever is written in ChatAnime's layout reads back as it was, grouped by character."""
    content: dict[str, list[dict[str, str]]] = {}
    expected: dict[str, list[Dialogue]] = {}
    for character, scenario, rounds in given_cells:
        record = {"dialog_id": scenario}
        for number, turn in enumerate(rounds, start=1):
            record |= {f"question_r{number}": turn.question, f"answer_r{number}": turn.answer}
        content.setdefault(character, []).append(record)
        expected.setdefault(character, []).append(Dialogue("bot", character, scenario, rounds))
    with TemporaryDirectory() as folder:
        path = Path(folder, "bot.json")
        path.write_text(json.dumps(content), encoding="utf-8")
        found = read_dialogues(path).dialogues
    assert found == tuple(dialogue for group in expected.values() for dialogue in group)


@given(names, cells)
def test_tables_round_trip(
    system: str, given_cells: list[tuple[str, str, tuple[Turn, ...]]]
) -> None:
    """Whatever is written as JSONL, CSV or TSV reads back as it was, in its order."""
    dialogues = tuple(Dialogue(system, *cell) for cell in given_cells)
    with TemporaryDirectory() as folder:
        lines = Path(folder, "x.jsonl")
        with lines.open("w", encoding="utf-8", newline="") as file:
            for row in records(dialogues):
                named = dict(zip(COLUMNS, row, strict=True))
                file.write(json.dumps(named, ensure_ascii=False) + "\n")
        assert read_dialogues(lines).dialogues == dialogues
        for suffix, dialect in ((".csv", "excel"), (".tsv", "excel-tab")):
            table = Path(folder, f"x{suffix}")
            with table.open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file, dialect)
                writer.writerows([COLUMNS, *records(dialogues)])
            assert read_dialogues(table).dialogues == dialogues


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 90), st.integers(0, 99))
def test_limit_is_fair(characters: int, scenarios: int, limit: int, seed: int) -> None:
    """In a full design a limit keeps exactly so many, in order, even over both factors."""
    dialogues = [
        Dialogue("s", f"c{c}", str(k), ()) for c in range(characters) for k in range(scenarios)
    ]
    kept = select(dialogues, limit=limit, seed=seed)
    assert len(kept) == min(limit, len(dialogues))
    assert list(kept) == [dialogue for dialogue in dialogues if dialogue in kept]
    by_character = Counter(dialogue.character for dialogue in kept)
    by_scenario = Counter(dialogue.scenario for dialogue in kept)
    for counts, names, slack in ((by_character, characters, 1), (by_scenario, scenarios, 2)):
        assert len(counts) == min(names, limit)
        fewest = min(counts.values()) if len(counts) == names else 0
        assert max(counts.values()) - fewest <= slack
