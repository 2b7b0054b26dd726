"""JudgedTable tables: every shape they come in, who is a person, and what is refused where."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge import limits
from judge.errors import DataError, JudgeError, UsageError
from judge.ratings import JudgedTable, read_judged_table

LONG = """item,system,dimension,rater,rater_type,score
1,A,warmth,ann,human,4
1,A,warmth,bob,human,5
1,A,warmth,gpt,llm,3.5
2,A,warmth,ann,human,2
2,A,warmth,gpt,llm,2.25
1,B,warmth,ann,human,1
"""

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def to(text: str, name: str = "table.csv") -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return to


def scores(tidy: JudgedTable) -> list[tuple[str, str, str, str, bool, float]]:
    """Each row as (system, item, dimension, rater, judged, score); a blank for -1."""
    columns = (
        (tidy.systems, tidy.system),
        (tidy.items, tidy.item),
        (tidy.dimensions, tidy.dimension),
        (tidy.raters, tidy.rater),
    )
    names = [[of[c] if c >= 0 else "" for c in codes.tolist()] for of, codes in columns]
    return list(zip(*names, tidy.judged.tolist(), tidy.score.tolist(), strict=True))


EXPECTED = [
    ("A", "1", "warmth", "ann", False, 4.0),
    ("A", "1", "warmth", "bob", False, 5.0),
    ("A", "1", "warmth", "gpt", True, 3.5),
    ("A", "2", "warmth", "ann", False, 2.0),
    ("A", "2", "warmth", "gpt", True, 2.25),
    ("B", "1", "warmth", "ann", False, 1.0),
]


def test_a_long_table(write: Write) -> None:
    """One row per score; the type says who is a judge, and the file's hash is kept."""
    path = write(LONG)
    tidy = read_judged_table([path])
    assert scores(tidy) == EXPECTED
    assert tidy.probs is None
    assert tidy.faults == tidy.notes == ()
    assert tidy.sources == {str(path): hashlib.sha256(path.read_bytes()).hexdigest()}


@pytest.mark.parametrize("suffix", ["tsv", "jsonl", "parquet", "csv.gz"])
def test_every_format_reads_the_same(tmp_path: Path, suffix: str) -> None:
    """TSV, JSONL, Parquet with numbers as numbers, and gzip give what CSV gives."""
    head, *lines = [line.split(",") for line in LONG.splitlines()]
    rows: list[dict[str, Any]] = [dict(zip(head, cells, strict=True)) for cells in lines]
    for row in rows:
        row |= {"item": int(row["item"]), "score": float(row["score"])}
    path = tmp_path / f"table.{suffix}"
    match suffix:
        case "tsv":
            path.write_text(LONG.replace(",", "\t"), encoding="utf-8")
        case "jsonl":
            path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
        case "parquet":
            pq.write_table(pa.Table.from_pylist(rows), path)
        case _:
            path.write_bytes(gzip.compress(LONG.encode()))
    assert scores(read_judged_table([path])) == EXPECTED


def test_headings_in_other_words(write: Write) -> None:
    """Chinese headings are known, any other is named by an alias, and an alias goes before."""
    text = LONG.replace(
        "item,system,dimension,rater,rater_type,score", "条目,模型,维度,评分员,rater_type,打分"
    )
    assert scores(read_judged_table([write(text)])) == EXPECTED
    text = LONG.replace("item,", "story,").replace(",score", ",score,points")
    text = "\n".join(
        line if "points" in line else f"{line.rpartition(',')[0]},,{line.rpartition(',')[2]}"
        for line in text.splitlines()
    )
    aliases = {"story": "item", "points": "score"}
    tidy = read_judged_table([write(text)], aliases=aliases)
    assert scores(tidy) == EXPECTED
    assert tidy.notes == ("Columns that were not read: score.",)


PROBS = """item,criterion,p1,p2,p3
1,warmth,0,.5,.25
2,warmth,.2,.2,.6
"""
HUMAN = """item,criterion,rater,score
1,warmth,ann,3
2,warmth,ann,1
"""


def test_probabilities_beside_people(write: Write) -> None:
    """By hand: (2 * .5 + 3 * .25) / .75 = 7/3 and .2 + .4 + 1.8 = 2.4; the judge is the file's."""
    tidy = read_judged_table([write(HUMAN, "people.csv"), write(PROBS, "gpt.csv")])
    assert [row[2:] for row in scores(tidy)] == [
        ("warmth", "ann", False, 3.0),
        ("warmth", "ann", False, 1.0),
        ("warmth", "gpt", True, pytest.approx(7 / 3)),
        ("warmth", "gpt", True, pytest.approx(2.4)),
    ]
    assert tidy.labels == (1, 2, 3)
    assert tidy.probs is not None
    assert tidy.probs[2:].tolist() == [[0, 0.5, 0.25], [0.2, 0.2, 0.6]]
    assert tidy.systems == ("",)
    assert tidy.notes == (
        "The table has no column system: all items count as those of one system.",
    )


def test_the_most_probable_label(write: Write) -> None:
    """The most probable label, of equal ones the lowest, is the score; labels may start at 0."""
    text = "item,dimension,rater,score,p0,p1,p2\n1,d,ann,2,,,\n1,d,m,,.1,.3,.6\n2,d,m,,.4,.4,.2\n"
    tidy = read_judged_table([write(text)], point="argmax")
    assert [row[3:] for row in scores(tidy)] == [
        ("ann", False, 2.0),
        ("m", True, 2.0),
        ("m", True, 0.0),
    ]
    assert tidy.labels == (0, 1, 2)


def test_a_score_beside_probabilities_is_not_read(write: Write) -> None:
    """The probabilities are the reading, and that a score stood beside them is said."""
    text = "item,system,dimension,rater,score,p1,p2\n1,A,d,ann,2,,\n1,A,d,m,9,.5,.5\n"
    tidy = read_judged_table([write(text)])
    assert tidy.score.tolist() == [2.0, 1.5]
    assert tidy.notes == ("Scores beside probabilities, which were not read: 1.",)


def test_measures(write: Write) -> None:
    """Measures that are not people's are judges of every dimension that is."""
    text = "item,system,measure,score\n1,A,warmth,4.5\n1,A,BLEU,.25\n1,A,wit,2\n"
    tidy = read_judged_table([write(text)], people=["warmth", "wit"])
    assert scores(tidy) == [
        ("A", "1", "warmth", "", False, 4.5),
        ("A", "1", "", "BLEU", True, 0.25),
        ("A", "1", "wit", "", False, 2.0),
    ]


def test_judges_by_name(write: Write) -> None:
    """Without types everybody is a person, but for the judges that are named."""
    text = LONG.replace("rater_type", "origin")
    tidy = read_judged_table([write(text)], judges=["gpt"])
    assert scores(tidy) == EXPECTED


def test_several_types_of_people(write: Write) -> None:
    """Crowd and experts both count as people, which is said; a filter chooses."""
    text = LONG.replace("bob,human", "bob,Crowd")
    tidy = read_judged_table([write(text)])
    assert scores(tidy) == EXPECTED
    assert tidy.notes == ("Raters of the types human and Crowd all count as people.",)
    tidy = read_judged_table([write(text)], where=[("rater_type!", "Crowd")])
    assert scores(tidy) == [row for row in EXPECTED if row[3] != "bob"]
    assert tidy.notes == ()


def test_filters(write: Write) -> None:
    """Values of one column are alternatives, columns are all asked for; other files stay whole."""
    text = "\n".join(f"{line},{'split' if i == 0 else i}" for i, line in enumerate(LONG.split()))
    other = "item,system,dimension,p1,p2\n1,A,warmth,1,0\n"
    where = [("split", "1"), ("split", "4"), ("split", "6"), ("system!", "B")]
    tidy = read_judged_table([write(text), write(other, "m.csv")], where=where)
    assert scores(tidy) == [EXPECTED[0], EXPECTED[3], ("A", "1", "warmth", "m", True, 1.0)]
    assert tidy.where == ("split=1", "split=4", "split=6", "system!=B")
    assert tidy.notes == ()


def test_what_is_filtered_out_is_not_found_fault_with(write: Write) -> None:
    """A row that nobody asked for may hold anything."""
    text = LONG + "9,C,warmth,cat,alien,excellent\n"
    assert scores(read_judged_table([write(text)], where=[("system!", "C")])) == EXPECTED


@pytest.mark.parametrize(
    ("line", "kind", "text"),
    [
        ("3,A,warmth,ann,human,good", "not_a_number", "'good' is not a number"),
        ("3,A,warmth,ann,human,nan", "not_a_number", "'nan' is not a number"),
        ("3,A,warmth,ann,human,1_0", "not_a_number", "'1_0' is not a number"),
        ("3,A,warmth,ann,human,", "empty", "no score"),
        ("3,,warmth,ann,human,3", "no_name", "item, system or dimension is blank"),
        (",A,warmth,ann,human,3", "no_name", "item, system or dimension is blank"),
        ("3,A, ,ann,human,3", "no_name", "item, system or dimension is blank"),
        (
            "1,A,warmth,bob,human,5.0",
            "duplicate",
            "bob gave the same score again (rows 3, 8); one is kept",
        ),
    ],
)
def test_a_row_that_cannot_be_used(write: Write, line: str, kind: str, text: str) -> None:
    """It is listed with its row and counted; the others stay."""
    path = write(f"{LONG}{line}\n")
    tidy = read_judged_table([path])
    assert scores(tidy) == EXPECTED
    assert tidy.faults == ((path, 8, kind, text),)
    assert tidy.refused == {kind: 1}
    told = kind.replace("_", " ")
    assert tidy.notes == (f"Rows refused: 1 ({told} 1), such as table.csv:8: {text}.",)


def test_a_rater_who_contradicts_himself(write: Write) -> None:
    """Neither of two scores can be known to be meant: both are refused, with their files."""
    one = write(LONG, "one.csv")
    two = write(LONG.splitlines()[0] + "\n1,A,warmth,gpt,llm,1\n", "two.csv")
    tidy = read_judged_table([one, two])
    assert scores(tidy) == [row for row in EXPECTED if row != EXPECTED[2]]
    assert [(fault.path, fault.row) for fault in tidy.faults] == [(one, 4), (two, 2)]
    said = "gpt gave 1 and 3.5 (rows one.csv:4, two.csv:2); none is kept"
    assert {fault.text for fault in tidy.faults} == {said}
    assert tidy.refused == {"conflict": 2}


def test_ratings_of_nobody_are_no_copies(write: Write) -> None:
    """Two equal ratings without a rater may be two people's: both stay."""
    text = "item,system,dimension,rater,score\n1,A,d,,3\n1,A,d,,3\n1,A,d,m,2\n"
    tidy = read_judged_table([write(text)], judges=["m"])
    assert tidy.rater.tolist()[:2] == [-1, -1]
    assert tidy.score.tolist() == [3, 3, 2]


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (".5,,.5", "empty"),
        (".5,x,.5", "not_a_number"),
        (".5,-.1,.6", "no_distribution"),
        (".5,.5,.5", "no_distribution"),
        ("0,0,0", "no_distribution"),
    ],
)
def test_probabilities_that_are_none(write: Write, cells: str, kind: str) -> None:
    """A missing or impossible probability has no score, and nothing is put in its place."""
    tidy = read_judged_table([write(HUMAN, "a.csv"), write(f"{PROBS}3,warmth,{cells}\n", "b.csv")])
    assert len(tidy) == 4
    assert tidy.refused == {kind: 1}
    assert tidy.faults[0].row == 4


def test_rows_of_json_may_differ(write: Write) -> None:
    """A key that only some rows have is a blank in the others."""
    rows = [
        {"item": 1, "system": "A", "dimension": "d", "rater": "ann", "score": 3},
        {"item": 1, "system": "A", "dimension": "d", "rater": "m", "p1": 0.25, "p2": 0.75},
        {"item": 1, "system": "A", "dimension": "d", "rater": "bob", "score": True},
    ]
    tidy = read_judged_table([write("\n".join(map(json.dumps, rows)), "t.jsonl")])
    assert tidy.score.tolist() == [3, 1.75]
    assert tidy.refused == {"not_a_number": 1}


@pytest.mark.parametrize(
    ("texts", "options", "error", "message"),
    [
        (["item,score\n1,2\n"], {}, DataError, "no column dimension (found: item, score)"),
        (["item,dimension\n1,2\n"], {}, DataError, "no column score"),
        (
            ["item,metric,dimension,score\n1,a,b,2\n"],
            {},
            DataError,
            "the columns metric and dimension all mean dimension",
        ),
        (["item,item,dimension,score\n1,1,d,2\n"], {}, DataError, "item appears twice"),
        (["item,dimension,p1,p3\n1,d,0,1\n"], {}, DataError, "labels 1, 3: some are missing"),
        (["item,dimension,p1\n1,d,1\n"], {}, DataError, "labels 1: some are missing"),
        (["item,dimension,p1,p2,P_2\n1,d,0,1,1\n"], {}, DataError, "p2 and P_2 all mean one"),
        (["item,dimension,score\n"], {}, DataError, "it holds no rows"),
        ([LONG.replace("gpt,llm", "gpt,alien")], {}, DataError, "'alien' tells neither"),
        ([LONG, HUMAN], {}, DataError, "no column system, and 0.csv has one"),
        (
            [HUMAN, PROBS, "item,dimension,p1,p2\n1,d,0,1\n"],
            {},
            DataError,
            "labels 1-2, after others of 1-3",
        ),
        ([HUMAN[:28] + "1,d,ann,x\n"], {}, DataError, "none of 1 rows can be used: 'x'"),
        ([], {}, UsageError, "no table is named"),
        ([LONG], {"aliases": {"story": "thing"}}, UsageError, "thing is no column of a table"),
        ([LONG], {"aliases": {"story": "item"}}, UsageError, "no table has a column story"),
        ([LONG], {"where": [("split", "real")]}, UsageError, "no table has a column split"),
        ([LONG], {"where": [("system!", "Human")]}, UsageError, "no row has 'Human' in the col"),
        (
            [LONG],
            {"where": [("system", "B"), ("item", "2")]},
            UsageError,
            "--where system=B item=2: no row is left",
        ),
        ([LONG], {"people": ["wit"]}, UsageError, "--people wit: it is no measure"),
        ([LONG], {"judges": ["claude"]}, UsageError, "--judge claude: nobody in the table"),
        ([HUMAN], {}, UsageError, "nobody in the table is a judge"),
        ([PROBS], {}, UsageError, "nobody in the table is a person"),
    ],
)
def test_what_cannot_be_read(
    write: Write,
    texts: Sequence[str],
    options: dict[str, Any],
    error: type[JudgeError],
    message: str,
) -> None:
    """Each is an error of the user's that says what is wrong and how to mend it."""
    paths = [write(text, f"{number}.csv") for number, text in enumerate(texts)]
    with pytest.raises(error) as caught:
        read_judged_table(paths, **options)
    assert message in caught.value.message
    assert caught.value.hint


def test_a_strange_type_names_its_row(write: Write) -> None:
    """The first row of a type that nobody knows is named."""
    path = write(LONG.replace("gpt,llm", "gpt,alien"))
    with pytest.raises(DataError) as caught:
        read_judged_table([path])
    assert (caught.value.path, caught.value.line) == (path, 4)


def test_a_table_named_twice(write: Write) -> None:
    """Every score would be a copy."""
    path = write(LONG)
    with pytest.raises(UsageError, match="named twice"):
        read_judged_table([path, path])


def test_a_file_too_large(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file above the limit is refused before it is read, a packed one while it is unpacked."""
    monkeypatch.setattr(limits, "TABLE_BYTES", 1 << 20)
    long = LONG + "".join(f"{i},A,warmth,ann,human,3\n" for i in range(10, 60_000))
    with pytest.raises(DataError, match="up to 1 MiB are read") as caught:
        read_judged_table([write(long)])
    assert caught.value.hint
    packed = tmp_path / "bomb.csv.gz"
    packed.write_bytes(gzip.compress(long.encode()))
    assert packed.stat().st_size < 1 << 20
    with pytest.raises(DataError, match="more than 1 MiB"):
        read_judged_table([packed])


CELL = st.sampled_from(["", " ", "1", "1.0", "A", "ann", "llm", "human", "4", "nan", "x", "-3e2"])


@given(st.lists(st.tuples(*[CELL] * 6), min_size=1, max_size=12))
def test_no_row_is_lost(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, ...]]
) -> None:
    """Whatever stands in the cells, a row is kept or refused, or the file is with a reason."""
    path = tmp_path_factory.mktemp("any") / "t.csv"
    lines = ["item,system,dimension,rater,rater_type,score", *map(",".join, rows)]
    path.write_text("\n".join(lines), encoding="utf-8")
    filled = sum(any(map(str.strip, row)) for row in rows)
    try:
        tidy = read_judged_table([path])
    except (DataError, UsageError) as error:
        assert error.hint  # noqa: PT017 - either outcome is right
    else:
        assert len(tidy) + sum(tidy.refused.values()) == filled
        assert len(tidy.faults) == sum(tidy.refused.values())


def test_many_blocks_are_one_table(write: Write) -> None:
    """A table longer than what is read at once gives the scores of all its rows."""
    lines = [f"{i},S{i % 7},d,r{i % 3},{'llm' if i % 3 else 'human'},{i % 5}" for i in range(5000)]
    tidy = read_judged_table([write("\n".join([LONG.splitlines()[0], *lines]))])
    assert tidy.score.tolist() == [i % 5 for i in range(5000)]
    assert [tidy.systems[c] for c in tidy.system.tolist()] == [f"S{i % 7}" for i in range(5000)]
    assert [tidy.items[c] for c in tidy.item.tolist()] == list(map(str, range(5000)))


def test_a_column_of_systems_that_is_blank_throughout(write: Write) -> None:
    """All items count as those of one system, and both facts are said."""
    text = "item,system,dimension,rater,rater_type,score\n1,,q,h,human,3\n1,,q,j,llm,4\n"
    table = read_judged_table([write(text)])
    assert table.systems == ("",)
    assert len(table) == 2
    assert any("Blank throughout" in note and "system" in note for note in table.notes)
    assert any("no column system" in note for note in table.notes)


def test_a_column_for_each_judge_and_rater(tmp_path: Path) -> None:
    """The same as the long table with the same scores; blank cells are no scores."""
    wide, long = tmp_path / "wide.csv", tmp_path / "long.csv"
    scores = {
        ("q1", "a"): ("4", "4", "5"),
        ("q1", "b"): ("3.5", "2", ""),
        ("q2", "a"): ("1", "", "2"),
    }
    names = ("gpt-4", "ann1", "ann2")
    rows = [",".join(("item", "system", *names))]
    rows += [",".join((*place, *cells)) for place, cells in scores.items()]
    wide.write_text("\n".join(rows), encoding="utf-8")
    rows = ["item,system,dimension,rater,score"]
    rows += [
        ",".join((*place, "score", name, cells[at]))
        for at, name in enumerate(names)
        for place, cells in scores.items()
        if cells[at]
    ]
    long.write_text("\n".join(rows), encoding="utf-8")
    one = read_judged_table([wide], judges=["gpt-4"], scorers=names)
    two = read_judged_table([long], judges=["gpt-4"])
    for name in ("items", "systems", "dimensions", "raters", "refused"):
        assert getattr(one, name) == getattr(two, name)
    for name in ("item", "system", "dimension", "rater", "judged", "score"):
        assert getattr(one, name).tolist() == getattr(two, name).tolist()


@pytest.mark.parametrize(
    ("heads", "scorers", "message"),
    [
        ("item,gpt-4,ann1", ("gpt-4", "ann3"), "no column ann3"),
        ("item,rater,gpt-4", ("gpt-4",), "has a column rater"),
    ],
)
def test_columns_of_raters_that_cannot_be(
    tmp_path: Path, heads: str, scorers: tuple[str, ...], message: str
) -> None:
    """A heading that is missing, and a table that is long already."""
    path = tmp_path / "t.csv"
    path.write_text(f"{heads}\nq1,4,5\n", encoding="utf-8")
    with pytest.raises(UsageError, match=message):
        read_judged_table([path], judges=["gpt-4"], scorers=scorers)
