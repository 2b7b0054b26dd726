"""Laws of ratings: shape and order do not matter, and what is filled in comes back."""

from __future__ import annotations

import csv
import io
import random
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import openpyxl
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import DisjointSet

from judge.names import fold
from judge.ratings import (
    DialogueId,
    Form,
    Overlap,
    Ratings,
    Scale,
    collect,
    plan_sheets,
    read_key,
    read_ratings,
    write_sheets,
)
from judge.types import Dialogue, Metric, Turn

METRICS = tuple(Metric(name, "d", {"en": name.title()}) for name in ("one", "two", "three"))
NAMES = st.text(
    st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=4
).filter(lambda name: fold(name) == name)
"""Names that are distinct in more than their spelling."""
Rated = dict[tuple[str, str, int, str], dict[str, int]]
"""(system, character, scenario, rater) -> metric -> score, for the metrics that were rated."""

RATED = st.dictionaries(
    st.tuples(NAMES, NAMES, st.integers(1, 60), NAMES.map("r{}".format)),
    st.dictionaries(st.sampled_from([m.name for m in METRICS]), st.integers(1, 5), min_size=1),
    min_size=1,
    max_size=12,
)


def read(rows: list[tuple[object, ...]], head: tuple[str, ...], folder: Path) -> Ratings:
    path = folder / "r.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([head, *rows])
    return read_ratings(path, metrics=METRICS)


def long_rows(rated: Rated) -> list[tuple[object, ...]]:
    return [
        (system, character, scenario, metric, rater, score)
        for (system, character, scenario, rater), scores in rated.items()
        for metric, score in scores.items()
    ]


WIDE = ("system", "character", "scenario", "rater", "One", "Two", "Three")
LONG = ("system", "character", "scenario", "metric", "rater", "score")


def content(ratings: Ratings) -> tuple[object, ...]:
    """All that is said of ratings, but for the rows they stood in."""
    arrays = (ratings.dialogue, ratings.metric, ratings.rater, ratings.score)
    return (
        *(ratings.dialogues, ratings.metrics, ratings.raters),
        *(array.tolist() for array in arrays),
    )


@given(RATED)
def test_long_and_wide_read_equal(rated: Rated) -> None:
    """The shape of a table does not matter; a blank cell of a wide one is a missing rating."""
    wide = [
        (*key[:3], key[3], *(scores.get(m.name, "") for m in METRICS))
        for key, scores in rated.items()
    ]
    with TemporaryDirectory() as folder:
        one = read(long_rows(rated), LONG, Path(folder))
        two = read(
            wide, ("system", "character", "scenario", "rater", "One", "Two", "Three"), Path(folder)
        )
    assert content(one) == content(two)
    assert len(one.faults) == 0
    blanks = sum(len(METRICS) - len(scores) for scores in rated.values())
    assert Counter(f.kind for f in two.faults) == ({"empty": blanks} if blanks else {})


@given(RATED)
def test_every_rating_is_kept_as_it_was(rated: Rated) -> None:
    """What is read, named again, is the table that was written."""
    with TemporaryDirectory() as folder:
        found = read(long_rows(rated), LONG, Path(folder))
    columns = (found.dialogue, found.metric, found.rater, found.score)
    assert {
        (*found.dialogues[c], found.metrics[m], found.raters[r]): s
        for c, m, r, s in zip(*(a.tolist() for a in columns), strict=True)
    } == {(s, c, str(n), m, r): v for s, c, n, m, r, v in long_rows(rated)}


MESSY = st.lists(
    st.tuples(
        st.sampled_from(["s", "t", ""]),
        st.sampled_from(["c", "d"]),
        st.integers(1, 2),
        st.sampled_from(["one", "two", "none"]),
        st.sampled_from(["r", "q", ""]),
        st.sampled_from([1, 2, 5, 6, "", "x", 2.5]),
    ),
    min_size=1,
    max_size=30,
)


@given(MESSY, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(
    rows: list[tuple[object, ...]], lot: random.Random
) -> None:
    """Also not for what is refused, and every row is either kept or refused once."""
    shuffled = rows.copy()
    lot.shuffle(shuffled)
    with TemporaryDirectory() as folder:
        one, two = (read(table, LONG, Path(folder)) for table in (rows, shuffled))
    assert content(one) == content(two)
    assert Counter(f.kind for f in one.faults) == Counter(f.kind for f in two.faults)
    assert sorted([*one.row.tolist(), *(f.row for f in one.faults)]) == [
        n + 2 for n in range(len(rows))
    ]


@st.composite
def plans(draw: st.DrawFn) -> tuple[int, int, Overlap, int]:
    """Raters, dialogues, overlap and seed, with just enough overlap to link all raters."""
    raters = draw(st.integers(2, 12))
    copies = draw(st.integers(2, min(4, raters)))
    least = -(-(raters - 1) // (copies - 1))
    shared = draw(st.integers(least, least + 8))
    count = shared + draw(st.integers(0, 30))
    while count + (copies - 1) * shared < raters:
        count += 1
    return raters, count, Overlap(copies, shared / count), draw(st.integers(0, 2**32))


@given(plans())
@settings(max_examples=300)
def test_plans_are_connected_and_balanced(plan: tuple[int, int, Overlap, int]) -> None:
    """All raters are linked, loads differ by one at most, nobody rates a dialogue twice."""
    raters, count, overlap, seed = plan
    dialogues = [
        Dialogue(f"s{i % 3}", f"c{i % 2}", str(i // 6), (Turn("q", "a"),)) for i in range(count)
    ]
    rng = np.random.default_rng(seed)
    made = plan_sheets(dialogues, raters=raters, overlap=overlap, per_rater=None, rng=rng)
    loads = [len(sheet) for sheet in made.sheets]
    assert max(loads) - min(loads) <= 1
    assert all(len(set(sheet)) == len(sheet) for sheet in made.sheets)
    times = Counter(i for sheet in made.sheets for i in sheet)
    assert set(times) == set(range(count))
    assert Counter(times.values())[overlap.copies] == made.shared
    links = DisjointSet(range(raters))
    for one in range(raters):
        for other in range(one):
            if set(made.sheets[one]) & set(made.sheets[other]):
                links.merge(one, other)
    assert links.n_subsets == 1


@given(st.data())
@settings(max_examples=25)
def test_what_is_filled_in_comes_back(data: st.DataObject) -> None:
    """Sheet, fill, collect: exactly the scores that were filled in, under the hidden systems."""
    dialogues = [
        Dialogue(system, character, str(n), (Turn("q", "=1"),))
        for system in ("a", "=b")
        for character in ("c", "-d")
        for n in range(data.draw(st.integers(1, 3)))
    ]
    kind = data.draw(st.sampled_from(["csv", "xlsx"]))
    seed = data.draw(st.integers(0, 2**32))
    form = Form(METRICS, {}, "en", Scale(), "hash")
    rng = np.random.default_rng(seed)
    plan = plan_sheets(dialogues, raters=2, overlap=Overlap(2, 0.5), per_rater=None, rng=rng)
    filled: dict[tuple[DialogueId, str, str], int] = {}
    with TemporaryDirectory() as name:
        folder = Path(name)
        paths = write_sheets(
            folder, dialogues, plan, form, kind=kind, seed=seed, sources={}, rng=rng
        )
        key = read_key(folder / "key.json")
        for path in paths:
            rows = text_of(path)
            for row in rows[1:]:
                for column, metric in enumerate(METRICS, start=3):
                    score = data.draw(st.integers(1, 5) | st.none())
                    row[column] = score
                    if score is not None:
                        item = key.items[str(row[0])]
                        filled[DialogueId(*item[1:]), item.rater, metric.name] = score
            save(path, rows)
        found, absent = collect(paths, key)
    assert absent == {}
    columns = (found.dialogue, found.rater, found.metric, found.score)
    assert {
        (found.dialogues[c], found.raters[r], found.metrics[m]): s
        for c, r, m, s in zip(*(a.tolist() for a in columns), strict=True)
    } == filled
    cells = sum(map(len, plan.sheets)) * len(METRICS)
    assert Counter(f.kind for f in found.faults) == Counter({"empty": cells - len(filled)}) or (
        cells == len(filled) and not found.faults
    )


def text_of(path: Path) -> list[list[object]]:
    if path.suffix == ".csv":
        return [[*row] for row in csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig")))]
    return [[cell.value for cell in row] for row in openpyxl.load_workbook(path).active]


def save(path: Path, rows: list[list[object]]) -> None:
    if path.suffix == ".csv":
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(rows)
        return
    book = openpyxl.load_workbook(path)
    for number, row in enumerate(rows[1:], start=2):
        for column, value in enumerate(row[3:], start=4):
            book.active.cell(number, column).value = value
    book.save(path)
