"""Dialogue files: both layouts read alike, and each mistake is named where it is."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections import Counter
from datetime import date
from pathlib import Path

import pytest

from judge.dialogues import read_dialogues, select, summarise
from judge.errors import DataError, MissingExtraError, UsageError
from judge.types import Dialogue, Turn

DEMO = Path(__file__).parents[2] / "scripts" / "demo_dialogues"
CHATANIME = Path(os.environ.get("JUDGE_DATA") or DEMO.parents[2] / "shared" / "data") / "chatanime"

RECORD = {
    "dialog_id": 7,
    "question_r1": "在吗",
    "answer_r1": "在",
    "question_r2": "?",
    "answer_r2": "",
}
EXPECTED = (Dialogue("bot", "路飞", "7", (Turn("在吗", "在"), Turn("?", ""))),)
HEADER = "system,character,scenario,round,question,answer\n"


def write(path: Path, content: object) -> Path:
    """A file holding text as it is, bytes as they are, anything else as JSON."""
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
        path.write_text(text, encoding="utf-8", newline="")
    return path


# What is read


def test_the_chatanime_layout(tmp_path: Path) -> None:
    """The file's stem is the system, dialog_id 7 is scenario "7", an empty reply is kept."""
    path = write(tmp_path / "bot.json", {"路飞": [RECORD]})
    found = read_dialogues(path)
    assert found.dialogues == EXPECTED
    assert found.sources == {"bot": hashlib.sha256(path.read_bytes()).hexdigest()}


def test_the_tidy_layouts_say_the_same(tmp_path: Path) -> None:
    """JSONL, CSV (with a byte-order mark) and TSV of one dialogue equal its ChatAnime form."""
    rows = [
        {
            "system": "bot",
            "character": "路飞",
            "scenario": 7,
            "round": n,
            "question": q,
            "answer": a,
        }
        for n, q, a in ((1, "在吗", "在"), (2, "?", ""))
    ]
    lines = "\n".join(json.dumps(row) for row in rows)
    table = HEADER + "bot,路飞,7.0,1,在吗,在\nbot,路飞,7.0,2.0,?,\n"
    for path in (
        write(tmp_path / "x.jsonl", lines + "\n\n"),
        write(tmp_path / "x.csv", b"\xef\xbb\xbf" + table.encode()),
        write(tmp_path / "x.tsv", table.replace(",", "\t")),
    ):
        assert read_dialogues(path).dialogues == EXPECTED, path


def test_parquet(tmp_path: Path) -> None:
    """A Parquet table, written by pyarrow with a scenario column of floats, reads the same."""
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    columns = {
        "system": ["bot"] * 2,
        "character": ["路飞"] * 2,
        "scenario": [7.0, 7.0],
        "round": [1, 2],
        "question": ["在吗", "?"],
        "answer": ["在", ""],
    }
    parquet.write_table(pyarrow.table(columns), tmp_path / "x.parquet")
    assert read_dialogues(tmp_path / "x.parquet").dialogues == EXPECTED
    parquet.write_table(
        pyarrow.table([["a"], ["b"]], names=["answer", "answer"]), tmp_path / "y.parquet"
    )
    with pytest.raises(DataError, match="the column answer appears twice"):
        read_dialogues(tmp_path / "y.parquet")


def test_a_parquet_value_that_is_not_text(tmp_path: Path) -> None:
    """A date where a reply belongs is named by its type, with its row."""
    pyarrow = pytest.importorskip("pyarrow")
    row = {"character": "a", "scenario": 1, "round": 1, "question": "q", "answer": date(2025, 1, 1)}
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.Table.from_pylist([row]), tmp_path / "x.parquet")
    with pytest.raises(DataError, match=r"x.parquet:1: answer must be text, found date"):
        read_dialogues(tmp_path / "x.parquet")


def test_parquet_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pyarrow the error is the line that installs it."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    path = write(tmp_path / "x.parquet", b"PAR1")
    with pytest.raises(MissingExtraError) as caught:
        read_dialogues(path)
    assert caught.value.hint == "pip install 'esrp-judge[parquet]'"


def test_rows_in_any_order_without_the_system_column(tmp_path: Path) -> None:
    """Rounds are put in order, dialogues keep their order of first appearance."""
    rows = "character,scenario,round,question,answer\nb,1,2,q2,a2\n\na,1,1,q,a\nb,1,1,q1,a1\n"
    found = read_dialogues(write(tmp_path / "my.bot.csv", rows))
    assert found.dialogues == (
        Dialogue("my.bot", "b", "1", (Turn("q1", "a1"), Turn("q2", "a2"))),
        Dialogue("my.bot", "a", "1", (Turn("q", "a"),)),
    )


def test_one_table_of_two_systems_has_one_source(tmp_path: Path) -> None:
    """Every system of a table carries the hash of that table."""
    path = write(tmp_path / "x.csv", HEADER + "s,a,1,1,q,r\nt,a,1,1,q,r\n")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert read_dialogues(path).sources == {"s": digest, "t": digest}


def test_a_quoted_line_break_is_part_of_the_reply(tmp_path: Path) -> None:
    """A reply over two lines stays one reply, line separators of Unicode included."""
    answer = 'one\r\ntwo\u2028"three"'
    quoted = answer.replace('"', '""')
    table = write(tmp_path / "x.csv", HEADER + f's,a,1,1,q,"{quoted}"\n')
    row = {"character": "a", "scenario": "1", "round": 1, "question": "q", "answer": answer}
    lines = write(tmp_path / "x.jsonl", json.dumps(row, ensure_ascii=False))
    for path in (table, lines):
        assert read_dialogues(path).dialogues[0].turns == (Turn("q", answer),)


def test_a_folder_is_read_in_the_order_of_its_names(tmp_path: Path) -> None:
    """Two files make two systems, each with the hash of its own file."""
    for name in ("b", "a"):
        write(tmp_path / f"{name}.json", {"路飞": [RECORD | {"answer_r1": name}]})
    found = read_dialogues(tmp_path)
    assert [dialogue.system for dialogue in found.dialogues] == ["a", "b"]
    assert list(found.sources) == ["a", "b"]
    assert found.sources["a"] != found.sources["b"]


def test_five_rounds(tmp_path: Path) -> None:
    """Rounds are ordered as numbers, as many as there are, in whatever order the keys come."""
    rounds = range(11, 0, -1)
    record = {"dialog_id": 1} | {
        f"{k}_r{n}": f"{k[0]}{n}" for k in ("answer", "question") for n in rounds
    }
    (dialogue,) = read_dialogues(write(tmp_path / "bot.json", {"a": [record]})).dialogues
    assert dialogue.turns == tuple(Turn(f"q{n}", f"a{n}") for n in range(1, 12))


def test_the_shipped_dialogues() -> None:
    """The two demo files hold the same 6 characters and questions, with replies of 50-130."""
    found = read_dialogues(DEMO)
    warm, stiff = (
        {(d.character, d.scenario): d.turns for d in found.dialogues if d.system == system}
        for system in ("warm-friend", "stiff-bot")
    )
    assert len(warm) == 24
    assert {key: turns[0].question for key, turns in warm.items()} == {
        key: turns[0].question for key, turns in stiff.items()
    }
    assert all(len(d.turns) == 2 for d in found.dialogues)
    assert all(50 <= len(turn.answer) <= 130 for d in found.dialogues for turn in d.turns)


@pytest.mark.skipif(not CHATANIME.is_dir(), reason=f"no public dialogues at {CHATANIME}")
def test_the_public_dialogues() -> None:
    """The release has 11 systems x 20 characters x 60 scenarios x 2 rounds, as its paper says."""
    found = read_dialogues(CHATANIME)
    assert len(found.dialogues) == 13_200
    assert len(found.sources) == 11
    for system in summarise(found.dialogues):
        assert (system.characters, system.scenarios, system.rounds) == (20, 60, 2_400)
    some = select(found.dialogues, limit=220)
    assert len({dialogue.character for dialogue in some}) == 20
    assert len({dialogue.scenario for dialogue in some}) == 20
    assert set(Counter(dialogue.system for dialogue in some).values()) == {20}


# What is refused


def without(key: str) -> dict[str, object]:
    return {name: value for name, value in RECORD.items() if name != key}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([RECORD], "no column character, and no system prompt that says who is played"),
        ("3", "an object of characters was expected, found the number 3"),
        ({"路飞": RECORD}, "路飞: a list of dialogues was expected, found an object"),
        ({"路飞": [RECORD, "x"]}, "路飞, record 2: an object was expected, found text"),
        ({"路飞": [without("dialog_id")]}, "路飞, record 1: no dialog_id"),
        ({"路飞": [RECORD | {"dialog_id": None}]}, "record 1: dialog_id must be .*, found null"),
        ({"路飞": [RECORD | {"dialog_id": True}]}, "dialog_id must be .*, found true"),
        ({"路飞": [RECORD | {"dialog_id": 1.5}]}, "dialog_id must be .*, found the number 1.5"),
        ({"路飞": [RECORD | {"dialog_id": " "}]}, "dialog_id must be .*, found blank text"),
        ({"路飞": [without("answer_r2")]}, "路飞, dialog_id 7: no answer_r2"),
        ({"路飞": [without("question_r1")]}, "路飞, dialog_id 7: no question_r1"),
        ({"路飞": [{"dialog_id": 7}]}, "路飞, dialog_id 7: no question_r1"),
        ({"路飞": [RECORD | {"question_r4": "", "answer_r4": ""}]}, "dialog_id 7: no question_r3"),
        ({"路飞": [RECORD | {"question_r0": "", "answer_r0": ""}]}, "dialog_id 7: no question_r3"),
        ({"路飞": [RECORD | {"answer_r1": None}]}, "answer_r1 must be text, found null"),
        ({"路飞": [RECORD | {"answer_r1": 3}]}, "answer_r1 must be text, found the number 3"),
        ({"路飞": [RECORD | {"answer_r1": ["x"]}]}, "answer_r1 must be text, found a list"),
        ({"路飞": [RECORD, RECORD | {"dialog_id": "7"}]}, "路飞, dialog_id 7: it appears twice"),
        ({"路飞": [RECORD], "路飞 ": [RECORD]}, "路飞 , dialog_id 7: it appears twice"),
        ({" ": [RECORD]}, "character must be a name, found blank text"),
        ({}, "it holds no dialogues"),
        ({"路飞": []}, "it holds no dialogues"),
        ("", "the file is empty"),
        (b"\xef\xbb\xbf \n", "the file is empty"),
        ('{"a": [],\n"a": []}', "the key 'a' appears twice"),
        ('{"a": [\n  {"dialog_id" 1}]}', r":2: not valid JSON: .* \(column 16\)"),
        ('{"a": [', ":1: not valid JSON"),
        ("[" * 100_000, "more than 100 levels"),
        (b'{"a":\n"\x81\xff\x8d\x9d"}', ":2: it is not UTF-8 .byte 0x81"),
    ],
)
def test_a_chatanime_file_that_cannot_be_read(
    tmp_path: Path, content: object, message: str
) -> None:
    """Each mistake is a DataError that names the file, the record and how to mend it."""
    path = write(tmp_path / "bot.json", content)
    with pytest.raises(DataError, match=message) as caught:
        read_dialogues(path)
    assert caught.value.path == path
    assert caught.value.hint


@pytest.mark.parametrize(
    ("suffix", "content", "message"),
    [
        (
            ".csv",
            "character,scenario,round\na,1,1\n",
            ":2: no column question, answer .*found: char",
        ),
        (".csv", HEADER, "it holds no dialogues"),
        (".csv", HEADER + 's,a,1,1,"q\nq",r\ns,a,1,1,q,r\n', ":4: round 1 of s/a/1 appears twice"),
        (".csv", HEADER + "s,a,1,1,q,r\ns,a,1,3,q,r\n", ":2: round 2 of s/a/1 is missing"),
        (".csv", HEADER + "s,a,1,2,q,r\n", ":2: round 1 of s/a/1 is missing"),
        (
            ".csv",
            HEADER + "s,a,1,-1,q,r\n",
            ":2: round must be 1, 2, 3, ... .or from 0 on., found '-1'",
        ),
        (".csv", HEADER + "s,a,1,one,q,r\n", "round must be"),
        (".csv", HEADER + "s,a,1,1.5,q,r\n", "round must be"),
        (".csv", HEADER + "s,a,1,nan,q,r\n", "round must be"),
        (".csv", HEADER + "s,a,1,1e999,q,r\n", "round must be"),
        (".csv", HEADER + "s,a,1,1,q\n", ":2: 5 cells under 6 columns"),
        (".csv", HEADER + "s,a,1,1,q,r,x\n", ":2: 7 cells under 6 columns"),
        (".csv", HEADER + 's,a,1,1,q,"r"x\n', ":2: not a readable table"),
        (".csv", HEADER + 's,a,1,1,q,"r\n', "not a readable table"),
        (".csv", "answer," + HEADER, "the column answer appears twice"),
        (".csv", HEADER + "s,,1,1,q,r\n", ":2: character must be a name, found blank text"),
        (
            ".csv",
            HEADER + ",a,1,1,q,r\ns,a,1,1,q,r\n",
            ":2: system must be a name, found blank text",
        ),
        (".csv", HEADER + "s,a,,1,q,r\n", ":2: scenario must be"),
        (".tsv", "character\tscenario\na\t1\n", ":2: no column question, answer"),
        (".jsonl", "\n[1]\n", ":2: an object was expected, found a list"),
        (".jsonl", '{"character": "a"}', r":1: no column scenario.*found: character\)"),
        (".jsonl", "\n\n{]", ":3: not valid JSON"),
        (".jsonl", "{}", r"found: none\)"),
        (".parquet", "not parquet", "not a readable Parquet file"),
        (".doc", "x", "not from .doc"),
        ("", "x", "not from a file without extension"),
    ],
)
def test_a_table_that_cannot_be_read(
    tmp_path: Path, suffix: str, content: str, message: str
) -> None:
    """Each mistake is a DataError that names the file and the line where its row begins."""
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    path = write(tmp_path / f"bot{suffix}", content)
    with pytest.raises(DataError, match=message) as caught:
        read_dialogues(path)
    assert caught.value.path == path
    assert caught.value.hint


@pytest.mark.parametrize(
    ("value", "found"), [(None, "null"), (4, "the number 4"), (False, "false"), ({}, "an object")]
)
def test_a_reply_that_is_not_text(tmp_path: Path, value: object, found: str) -> None:
    """Null is not silently taken for an empty reply; the message says how to write one."""
    row = {"character": "a", "scenario": 1, "round": 1, "question": "q", "answer": value}
    with pytest.raises(
        DataError, match=f'answer must be text, found {found} .an empty reply is ""'
    ):
        read_dialogues(write(tmp_path / "x.jsonl", row))


def test_a_round_too_large_for_a_float(tmp_path: Path) -> None:
    """A whole number beyond the range of float is refused, not a crash."""
    row = {"character": "a", "scenario": 1, "round": 10**400, "question": "q", "answer": "r"}
    with pytest.raises(DataError, match="round must be"):
        read_dialogues(write(tmp_path / "x.jsonl", row))


def test_paths_that_hold_nothing(tmp_path: Path) -> None:
    """A missing file and a folder without files of dialogues are named."""
    with pytest.raises(DataError, match=r"none.json: no such file"):
        read_dialogues(tmp_path / "none.json")
    write(tmp_path / "notes.md", HEADER)
    with pytest.raises(DataError, match="no file of dialogues in this folder"):
        read_dialogues(tmp_path)
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(DataError, match=r"folder.json: it cannot be read: Is a directory"):
        read_dialogues(tmp_path)


def test_a_folder_names_the_file_that_does_not_match(tmp_path: Path) -> None:
    """One JSON file of another shape among good ones is an error with its name."""
    write(tmp_path / "a.json", {"路飞": [RECORD]})
    bad = write(tmp_path / "config.json", {"version": 1})
    with pytest.raises(DataError, match=r"version: a list .* found the number 1") as caught:
        read_dialogues(tmp_path)
    assert caught.value.path == bad


def test_a_frame_reads_back(tmp_path: Path) -> None:
    """The table of dialogues, written as CSV, gives the same dialogues again."""
    shipped = read_dialogues(DEMO)
    shipped.to_frame().to_csv(tmp_path / "x.csv", index=False)
    assert read_dialogues(tmp_path / "x.csv").dialogues == shipped.dialogues


# What is counted


def test_counts_and_lengths() -> None:
    """Blank replies are counted apart and have no length; without any reply there is no median."""
    turns = tuple(Turn("q", answer) for answer in ("一二", "", " \n", "一二三", "一二三四五"))
    (row,) = summarise([Dialogue("s", "a", "1", turns)])
    assert (row.rounds, row.empty_replies) == (5, 2)
    assert (row.shortest, row.median, row.longest) == (2, 3.0, 5)
    (row,) = summarise([Dialogue("s", "a", "1", (Turn("q", ""),))])
    assert (row.shortest, row.median, row.longest) == (None, None, None)
    assert summarise([]) == ()


# What is asked for

NAMES = ("《海贼王》的路飞", "《银魂》的银时", "《刀剑神域》的桐谷和人", "《刀剑神域》的亚丝娜")
ALL = tuple(
    Dialogue(system, name, str(scenario), (Turn("q", "a"),))
    for system in ("s", "t")
    for name in NAMES
    for scenario in range(1, 13)
)


def chosen(
    *characters: str, scenarios: tuple[str, ...] = (), limit: int | None = None
) -> tuple[Dialogue, ...]:
    return select(ALL, characters=characters, scenarios=scenarios, limit=limit)


def test_everything_by_default() -> None:
    """Without a wish every dialogue stays, in its order."""
    assert chosen() == ALL


def test_characters_by_name_or_unique_part() -> None:
    """An exact name and a part that fits one name choose; the order stays that of the file."""
    assert {d.character for d in chosen("路飞")} == {NAMES[0]}
    found = chosen("桐谷", NAMES[1], "银时")
    assert list(dict.fromkeys(d.character for d in found)) == [NAMES[1], NAMES[2]]
    assert len(found) == 2 * 2 * 12


def test_an_exact_name_wins_over_a_longer_one() -> None:
    """A name that is part of another name can still be chosen."""
    pair = (Dialogue("s", "Saber", "1", ()), Dialogue("s", "Saber Alter", "1", ()))
    assert select(pair, characters=["Saber"], scenarios=[], limit=None) == pair[:1]
    assert select(pair, characters=["alter"], scenarios=[], limit=None) == pair[1:]


@pytest.mark.parametrize(
    ("asked", "message", "hint"),
    [
        ("刀剑神域", "it fits 2 names", "桐谷和人.*亚丝娜"),
        ("《银魂》的银石", "no such character", "did you mean: 《银魂》的银时"),
        ("Naruto", "no such character", "路飞.*银时.*桐谷和人.*亚丝娜"),
        ("", "no such character", "路飞"),
    ],
)
def test_characters_that_do_not_fit(asked: str, message: str, hint: str) -> None:
    """An unknown or ambiguous name is a UsageError whose hint lists what could be meant."""
    with pytest.raises(UsageError, match=message) as caught:
        chosen(asked)
    assert re.search(hint, caught.value.hint or "")


def test_scenarios_as_lists_and_ranges() -> None:
    """`1-3,12` and several options together choose the union, each scenario once."""
    assert {d.scenario for d in chosen(scenarios=("1-3, 12", "2"))} == {"1", "2", "3", "12"}
    assert {d.scenario for d in chosen(scenarios=("11-99",))} == {"11", "12"}


def test_a_scenario_that_looks_like_a_range() -> None:
    """An id such as `1-2` is that id before it is a range."""
    ids = [Dialogue("s", "a", scenario, ()) for scenario in ("1-2", "1", "2", "x")]
    assert select(ids, characters=[], scenarios=["1-2"], limit=None) == (ids[0],)
    assert select(ids, characters=[], scenarios=["1-9,x"], limit=None) == tuple(ids[1:])


@pytest.mark.parametrize("asked", ["13", "13-20", "3-1", "abc", "1,x"])
def test_scenarios_that_do_not_exist(asked: str) -> None:
    """A scenario or range that fits nothing is a UsageError that lists what there is."""
    with pytest.raises(UsageError, match="no such scenario") as caught:
        chosen(scenarios=(asked,))
    assert caught.value.hint == "there are: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12"


def test_limit_spreads_over_both_factors() -> None:
    """40 of 11 x 20 x 60 are 3 or 4 of each system, of pairs that share no character or scenario.

    The first scenarios of the file alone would say nothing of the others.
    """
    everything = [
        Dialogue(f"s{s}", f"c{c}", str(k), ())
        for s in range(11)
        for c in range(20)
        for k in range(60)
    ]
    few = select(everything, limit=40)
    assert {Counter(d.system for d in few)[f"s{s}"] for s in range(11)} == {3, 4}
    pairs = {(d.character, d.scenario) for d in few}
    assert len(pairs) == len({c for c, _ in pairs}) == len({k for _, k in pairs}) == 4
    assert select(everything, limit=40) == few
    assert select(everything, limit=40, seed=1) != few
    assert chosen(limit=10_000) == ALL


def test_limit_gives_systems_with_different_dialogues_equal_shares() -> None:
    """Systems that share no scenario still take turns."""
    apart = [Dialogue(s, "c", f"{s}{k}", ()) for s in "ab" for k in range(9)]
    assert Counter(d.system for d in select(apart, limit=6)) == {"a": 3, "b": 3}


@pytest.mark.parametrize("limit", [0, -1])
def test_limit_below_one(limit: int) -> None:
    """A limit that keeps nothing is a mistake."""
    with pytest.raises(UsageError, match=f"--limit {limit}"):
        chosen(limit=limit)


def test_nothing_left() -> None:
    """Wishes that each fit, but no dialogue together, and an empty list, are UsageErrors."""
    pair = (Dialogue("s", "a", "1", ()), Dialogue("s", "b", "2", ()))
    with pytest.raises(UsageError, match="no dialogue is left"):
        select(pair, characters=["a"], scenarios=["2"], limit=None)
    with pytest.raises(UsageError, match="no dialogue is left"):
        chosen(scenarios=(",",))


def test_half_a_character_is_refused(tmp_path: Path) -> None:
    """JSON can write a lone surrogate, which no later step could store: the reader says where."""
    path = tmp_path / "bot.json"
    record = '{"dialog_id": 1, "question_r1": "a", "answer_r1": "b \\ud83d"}'
    path.write_text(f'{{"路飞": [{record}]}}', encoding="utf-8")
    with pytest.raises(DataError, match=r"answer_r1 holds half a character \(\\ud83d\)"):
        read_dialogues(path)
