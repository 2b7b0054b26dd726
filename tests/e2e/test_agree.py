"""`judge agree`: from a run and ratings to a report, two judges compared, and bad input.

The ratings are SIMULATED. Where people are meant, the raters bear other names than `simulated`.
"""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from tests.e2e.conftest import Done, Program

Recorded = Callable[..., Path]
Rows = list[list[object]]
SYSTEMS = ("s0", "s1", "s2", "s3")
HEAD = ["system", "character", "scenario", "metric", "rater", "score"]
TABLE = ["item", "system", "dimension", "rater", "rater_type", "score"]
QUICK = ("--resamples", 20)


def evaluated(
    judge: Program,
    recorded: Recorded,
    run: str = "run",
    *options: object,
    names: Sequence[str] = SYSTEMS,
    engine: str = "mock",
) -> Done:
    """Judge 8 dialogues of each system on two metrics; what each says is its own."""
    words: list[object] = []
    for name in names:
        replies = {i: f"我是{name}，第{i}次了。" for i in range(1, 5)}
        words += ["--model", recorded(name, n=4, replies=replies)]
    two = ("--metrics", "fluency,coherency")
    return judge("eval", *words, "--judge", engine, "--out", run, *two, *options)


def drawn(judge: Program, run: str = "run", raters: Sequence[str] = ("甲", "乙", "丙")) -> Rows:
    """Ratings of every dialogue of a run by each rater, rounded, half of what the judge saw."""
    rng = np.random.default_rng(7)
    return [
        [*(score[name] for name in HEAD[:4]), rater, round(min(5, max(1, seen)))]
        for score in judge.scores(run)
        for rater in raters
        for seen in [1.7 + 0.5 * float(score["score"]) + rng.normal(0, 0.6)]
    ]


def written(judge: Program, rows: Iterable[Sequence[object]], head: Sequence[str] = HEAD) -> Path:
    path = judge.folder / "ratings.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([head, *rows])
    return path


@pytest.fixture
def rated(judge: Program, recorded: Recorded) -> Program:
    """A finished run, and ratings of it."""
    evaluated(judge, recorded)
    written(judge, drawn(judge))
    return judge


def table(judge: Program, rows: Iterable[Sequence[object]], head: Sequence[str] = TABLE) -> Path:
    """A tidy table."""
    return written(judge, rows, head).rename(judge.folder / "table.csv")


def scores(items: int = 12, systems: int = 3, judges: Sequence[str] = ("j",)) -> Rows:
    """A tidy table of two raters and some judges, all of whom see the item's worth."""
    rng = np.random.default_rng(3)
    rows: Rows = []
    for item in range(items):
        for system in range(systems):
            worth = 3 + rng.normal()
            who = [("ann", "human"), ("bob", "human"), *((name, "llm") for name in judges)]
            for name, kind in who:
                score = min(5, max(1, round(worth + rng.normal(0, 0.5))))
                rows.append([item, f"s{system}", "tone", name, kind, score])
    return rows


def agreement(done: Done) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(done.out)["agreement"]
    return found


def test_a_run_and_ratings_make_a_report(rated: Program) -> None:
    """Tables are printed; page, LaTeX, Markdown, CSV, JSON and figures are written."""
    done = rated("agree", "run", "--ratings", "ratings.csv", *QUICK)
    for words in (
        "judge mock: 192 ratings of 3 raters on 32 dialogues (4 systems, 8 items)",
        "note: The mock judge draws its scores from a hash: they mean nothing.",
        "95% intervals by jackknife, each by itself",
        "fluency",
        "report: run/agreement/agreement.html",
        "for a paper: run/agreement/agreement.tex",
    ):
        assert words in done.out
    assert "SIMULATED" not in done.out
    assert "PARTIAL" not in done.out
    folder = rated.folder / "run" / "agreement"
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    for ending in ("html", "tex", "md", "csv", "json", "bib"):
        assert f"agreement.{ending}" in names
    svgs = {name.removesuffix(".svg") for name in names if name.endswith(".svg")}
    assert svgs
    assert svgs == {name.removesuffix(".pdf") for name in names if name.endswith(".pdf")}


def test_the_same_seed_gives_the_same_bytes(rated: Program) -> None:
    """Every file twice alike; another seed gives other sentinels and the same correlations."""
    runs = {}
    for out, seed in (("a", 1), ("b", 1), ("c", 2)):
        rated("agree", "run", "--ratings", "ratings.csv", *QUICK, "--seed", seed, "--out", out)
        folder = rated.folder / out
        runs[out] = {
            path.relative_to(folder): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        }
    assert runs["a"] == runs["b"]
    one, other = (json.loads(runs[out][Path("agreement.json")])["measures"][0] for out in "ac")
    assert one["levels"]["spearman"]["all"]["value"] == other["levels"]["spearman"]["all"]["value"]
    assert one["sentinels"] != other["sentinels"]


def test_json_is_one_object_and_nothing_else(rated: Program) -> None:
    """With the same numbers as agreement.json; no resamples, no interval, and none of 4 systems."""
    done = rated("agree", "run", "--ratings", "ratings.csv", "--resamples", 0, "--json")
    found = agreement(done)
    kept = rated.folder / "run" / "agreement" / "agreement.json"
    assert json.loads(kept.read_text(encoding="utf-8")) == found
    for measure in found["measures"]:
        assert {figure["interval"] for figure in measure["levels"]["spearman"].values()} == {None}
        few = "an interval of 4 systems cannot be trusted: 10 are needed"
        assert measure["bonett_wright"]["reason"] == few
    printed = rated("agree", "run", "--ratings", "ratings.csv", "--resamples", 0).out
    assert "Spearman's rho with people\n" in printed  # of so few systems there is none


@pytest.mark.parametrize("name", ["simulated 1", "Simulated-07"])
def test_one_simulated_rater_marks_everything(
    judge: Program, recorded: Recorded, name: str
) -> None:
    """Terminal, page, LaTeX, methods, every table, Markdown, CSV, every figure."""
    evaluated(judge, recorded)
    ratings = written(judge, drawn(judge, raters=("甲", "乙", name)))
    done = judge("agree", "run", "--ratings", ratings, *QUICK, "--out", "out")
    assert done.out.startswith("SIMULATED RATINGS: not given by people\n")
    folder = judge.folder / "out"
    files = [folder / f"agreement.{ending}" for ending in ("html", "tex", "md")]
    files += [*(folder / "tables").glob("*.tex"), *(folder / "figures").glob("*.svg")]
    assert len(files) > 5
    for file in files:
        assert "simulated ratings" in file.read_text(encoding="utf-8").casefold(), file.name
    with (folder / "agreement.csv").open(encoding="utf-8-sig", newline="") as opened:
        assert {row["ratings"] for row in csv.DictReader(opened)} == {"simulated"}


def test_a_run_still_going_on_is_marked_partial(rated: Program) -> None:
    """With how many judgments are missing, wherever numbers stand; the rest is reported on.

    A run of 16 judgments fewer, of 64, is what one that is interrupted leaves behind.
    """
    missing = remove_judgments(rated, "run")
    assert missing == 16
    done = rated("agree", "run", "--ratings", "ratings.csv", *QUICK, "--out", "out")
    said = "16 of 64 judgments are not there yet"
    assert f"PARTIAL: {said}.\n" in done.out
    folder = rated.folder / "out"
    tables = [path.read_text(encoding="utf-8") for path in (folder / "tables").glob("*.tex")]
    assert tables
    assert all(said in text for text in tables)
    for ending in ("html", "tex", "md"):
        assert said in (folder / f"agreement.{ending}").read_text(encoding="utf-8"), ending
    with (folder / "agreement.csv").open(encoding="utf-8-sig", newline="") as file:
        assert {row["partial"] for row in csv.DictReader(file)} == {f"{said}."}


def test_fixed_systems_have_no_interval_of_their_order(rated: Program) -> None:
    """None is known that holds, and the terminal says so; Bonett and Wright's is for a sample."""
    words = ("agree", "run", "--ratings", "ratings.csv", "--systems-fixed", *QUICK)
    found = agreement(rated(*words, "--json"))
    said = rated(*words).out
    for measure in found["measures"]:
        rho = measure["levels"]["spearman"]["systems"]
        if rho["value"] is not None:
            assert rho["interval"]["lower"] is None
            assert "systems that are all there is" in rho["interval"]["reason"]
    assert "systems that are all there is" in " ".join(said.split())
    assert "Bonett" not in said


def remove_judgments(judge: Program, run: str) -> int:
    """One scenario of four from a run; how many judgments that were."""
    with closing(sqlite3.connect(judge.folder / run / "judge.sqlite")) as db, db:
        return db.execute("DELETE FROM judgment WHERE scenario = '2'").rowcount


def test_two_judges_are_compared(rated: Program, recorded: Recorded) -> None:
    """On what both have said; the files need --out; what is simulated or partial is marked."""
    evaluated(rated, recorded, "other", "--seed", 1)
    words = ("agree", "run", "other", "--ratings", "ratings.csv")
    assert "several runs need --out" in rated.mistake(*words)[0]
    done = rated(*words, "--out", "two")
    assert "mock (run) against mock (other)" in done.out
    assert "the largest over exchanging whole groups (exchange test, 1000 exchanges)" in done.out
    by_name = rated(*words, "--test", "perm-both", "--out", "published")
    assert "PERM-BOTH with 1000 exchanges, whether the judges are interchangeable" in by_name.out
    assert "SIMULATED" not in done.out
    names = {path.name for path in (rated.folder / "two").iterdir() if path.is_file()}
    assert names >= {f"comparison.{ending}" for ending in ("html", "json", "tex", "md", "csv")}
    assert (rated.folder / "two" / "figures" / "two-judges.pdf").exists()
    assert "report: two/comparison.html" in done.out
    found = json.loads(rated(*words, "--out", "again", "--json").out)["comparisons"]
    assert {row["name"] for row in found["rows"]} == {"fluency", "coherency"}
    for name in names:
        assert (rated.folder / "two" / name).read_bytes() == (
            rated.folder / "again" / name
        ).read_bytes()

    written(rated, drawn(rated, raters=("simulated 1",)))
    remove_judgments(rated, "other")
    done = rated(*words, "--out", "marked")
    assert "SIMULATED RATINGS: not given by people\nPARTIAL: mock (other): 16 of 64" in done.out
    for ending in ("html", "tex", "md"):
        text = (rated.folder / "marked" / f"comparison.{ending}").read_text(encoding="utf-8")
        assert "SIMULATED" in text
        assert "16 of 64 judgments are not there yet" in text
    with (rated.folder / "marked" / "comparison.csv").open(
        encoding="utf-8-sig", newline=""
    ) as file:
        rows = list(csv.DictReader(file))
    assert {row["ratings"] for row in rows} == {"simulated"}
    assert {row["partial"] for row in rows} == {
        "mock (other): 16 of 64 judgments are not there yet."
    }


def test_three_judges_are_refused(rated: Program, recorded: Recorded) -> None:
    """Of runs, and of a table."""
    for seed in (1, 2):
        evaluated(rated, recorded, f"run{seed}", "--seed", seed)
    words = ("run", "run1", "run2", "--ratings", "ratings.csv", "--out", "out")
    message, hint = rated.mistake("agree", *words)
    assert "RUNS are of 3 judges or rubrics; two can be compared" in message
    assert hint == "hint: name runs of one, or of two"
    table(rated, scores(judges=("j", "k", "l")))
    several = [word for name in "jkl" for word in ("--judge", name)]
    message, _ = rated.mistake("agree", "--table", "table.csv", *several)
    assert "--judge j --judge k --judge l: two can be compared" in message
    message, hint = rated.mistake("agree", "--table", "table.csv", "--out", "out")
    assert "a list of all has no report" in message
    assert hint == "hint: name the judge: --judge NAME"


def test_ratings_and_run_need_not_hold_the_same(rated: Program) -> None:
    """What has no counterpart is counted, with an example of it."""
    rows = [row for row in drawn(rated) if row[0] != "s3"]
    rows += [["s9", *row[1:]] for row in rows if row[0] == "s0"]
    rows += [[*row[:3], "consistency", *row[4:]] for row in rows if row[0] == "s1"]
    written(rated, rows)
    done = rated("agree", "run", "--ratings", "ratings.csv", *QUICK)
    assert "note: Rated dialogues that the run does not hold: 8, such as s9/" in done.out
    assert "note: Judged dialogues that nobody rated: 8, such as s3/" in done.out
    assert "note: Rated, but not judged: consistency." in done.out
    assert "3 systems, 8 items" in done.out


def test_faults_are_counted_and_the_rest_is_used(rated: Program) -> None:
    """A score in words, one off the scale and a doubled row are left out, and said to be."""
    rows = drawn(rated)
    rows[0][5], rows[1][5] = "good", 99
    rows.append(rows[2])
    written(rated, rows)
    words = ("agree", "run", "--ratings", "ratings.csv", "--scale", "1-5", *QUICK)
    message, _ = rated.mistake(*words)
    assert "1 of 95 scores of fluency: more than 1%" in message
    assert "line 2, fluency: 'good' is not a number" in message
    done = rated(*words, "--allow-missing")
    assert "PARTIAL: refused and missing from the figures: 1 of 95 scores of fluency" in done.out
    for page in ("agreement.html", "agreement.tex", "agreement.md", "agreement.csv"):
        text = (rated.folder / "run" / "agreement" / page).read_text(encoding="utf-8-sig")
        assert "1 of 95 scores of fluency" in text
    assert "Off the scale 1-5, set aside: 99 (once)." in done.out
    assert "190 ratings of 3 raters" in done.out
    assert "Ratings refused: 3 (" in done.out
    for kind in ("not a number 1", "off scale 1", "duplicate 1"):
        assert kind in done.out


def words_for_scores(rows: Rows) -> Rows:
    return [[*row[:5], "good"] for row in rows]


def two_scales(rows: Rows) -> Rows:
    """Half of the raters use 1 to 5, the others 0 to 100."""
    return [[*row[:5], int(str(row[5])) * 20] if row[4] == "甲" else row for row in rows]


UNFIT: dict[str, tuple[Callable[[Rows], Rows], list[str], str]] = {
    "strangers": (
        lambda rows: [[f"x{row[0]}", *row[1:]] for row in rows],
        HEAD,
        "no rating in it belongs",
    ),
    "other metric": (
        lambda rows: [[*row[:3], "wit", *row[4:]] for row in rows],
        HEAD,
        "can be used",
    ),
    "no score": (lambda rows: rows, [*HEAD[:5], "marks"], "no column metric, score"),
    "twice": (
        lambda rows: [[*r, r[5]] for r in rows],
        [*HEAD[:5], "Score", "分数"],
        "all mean score",
    ),
    "same twice": (lambda rows: [[*r, r[5]] for r in rows], [*HEAD, "score"], "score"),
    "words": (words_for_scores, HEAD, "can be used (not_a_number 192)"),
    "two scales": (two_scales, HEAD, "another scale than 1-5"),
    "empty": (lambda rows: rows[:0], HEAD, "holds no ratings"),
}


def test_ratings_that_cannot_be_used_are_refused(rated: Program) -> None:
    """With the file, what is wrong and how to mend it; and no report is written."""
    rows = drawn(rated)
    for name, (change, head, message) in UNFIT.items():
        written(rated, change(rows), head)
        said, _ = rated.mistake("agree", "run", "--ratings", "ratings.csv")
        assert "ratings.csv" in said, name
        assert message in said, name
    assert not (rated.folder / "run" / "agreement").exists()


UNFIT_TABLES: dict[str, tuple[Callable[[Rows], Rows], list[str], str]] = {
    "no dimension": (lambda rows: rows, ["item", "system", "trait", *TABLE[3:]], "no column dim"),
    "twice": (lambda rows: [[*r, r[5]] for r in rows], [*TABLE, "Score"], "all mean score"),
    "words": (words_for_scores, TABLE, "none of 108 rows can be used"),
    "no people": (lambda rows: [r for r in rows if r[4] == "llm"], TABLE, "nobody in the table is"),
    "no judge": (lambda rows: [r for r in rows if r[4] != "llm"], TABLE, "nobody in the table is"),
    "types": (lambda rows: [[*r[:4], "robot", r[5]] for r in rows], TABLE, "'robot' tells neither"),
    "strangers": (
        lambda rows: [[f"{r[0]}{r[4]}", *r[1:]] for r in rows],
        TABLE,
        "in common of tone",
    ),
}


def test_tables_that_cannot_be_used_are_refused(judge: Program) -> None:
    """Likewise."""
    for name, (change, head, message) in UNFIT_TABLES.items():
        table(judge, change(scores()), head)
        assert message in judge.mistake("agree", "--table", "table.csv")[0], name
    assert not list(judge.folder.glob("agreement*"))


NONSENSE: list[tuple[tuple[str, ...], str]] = [
    (("run", "--ratings", "reference", "--scale", "1-7"), "--ratings reference is none"),
    (("run", "--ratings", "reference", "--alias", "a=fluency"), "--ratings reference is none"),
    (("run", "--ratings", "reference", "--raters", "a,b"), "go with a file of --ratings"),
    ((), "name run folders or --table"),
    (("run", "--table", "table.csv"), "name run folders or --table"),
    (("--table", "table.csv", "--ratings", "ratings.csv"), "--ratings goes with RUNS"),
    (("--table", "table.csv", "--judge", "nobody"), "--judge nobody"),
    (("--table", "table.csv", "--where", "system"), "it is not COLUMN=VALUE"),
    (("--table", "table.csv", "--where", "colour=red"), "colour"),
    (("--table", "table.csv", "--metrics", "wit"), "--metrics wit"),
    (("--table", "table.csv", "--scale", "1-3"), "--scale 1-3"),
    (("--table", "table.csv", "--alias", "trait=dimension"), "--alias trait=dimension"),
    (("--table", "none.csv"), "none.csv"),
    (("run",), "agreement needs human ratings"),
    (("nowhere", "--ratings", "ratings.csv"), "no run folder"),
    (("run", "--ratings", "none.csv"), "none.csv"),
    (("run", "--ratings", "ratings.csv", "--judge", "mock"), "go with --table"),
    (("run", "--ratings", "ratings.csv", "--metrics", "wit"), "wit"),
    (("run", "--ratings", "ratings.csv", "--seed", "-1"), "--seed"),
    (("run", "--ratings", "ratings.csv", "--confidence", "1"), "--confidence"),
    (("run", "--ratings", "ratings.csv", "--resamples", "-1"), "--resamples"),
    (("--table", "table.csv", "--where", "system=s9"), "--where: no row has 's9'"),
    (("--table", "table.csv", "--people", "wit"), "--people wit: it is no measure"),
]


def test_options_that_make_no_sense(rated: Program) -> None:
    """Each is refused with the option at fault."""
    table(rated, scores())
    written(rated, drawn(rated))
    for words, message in NONSENSE:
        assert message in rated.mistake("agree", *words)[0], words


def test_people_on_two_scales_in_a_table(judge: Program) -> None:
    """Of a table no scale is known, so what was observed is said; with --scale it is refused.

    A third of the scores are off that scale: too many for mistakes.
    """
    rows = [[*row[:5], 20 * int(str(row[5]))] if row[3] == "ann" else row for row in scores()]
    table(judge, rows)
    found = agreement(judge("agree", "--table", "table.csv", "--resamples", 0, "--json"))
    (measure,) = found["measures"]
    assert (measure["scale"], measure["scale_declared"]) == ([1, 100], False)
    message, _ = judge.mistake("agree", "--table", "table.csv", "--scale", "1-5")
    assert "people's scores of tone are off it: 20 (" in message


def test_one_system(judge: Program) -> None:
    """What compares systems is undefined, with the reason; the rest is there."""
    table(judge, scores(systems=1))
    found = agreement(judge("agree", "--table", "table.csv", *QUICK, "--json"))
    (measure,) = found["measures"]
    rho = measure["levels"]["spearman"]
    assert rho["all"]["value"] > 0
    assert rho["within_item"]["value"] is None
    assert rho["systems"]["value"] is None
    assert rho["systems"]["reason"]
    done = judge("agree", "--table", "table.csv", *QUICK)
    assert "note: There is one system: nothing can be said of the order of systems" in done.out


def test_one_rater(judge: Program) -> None:
    """No ceiling, no alpha: a dash and the reason, never a 0."""
    table(judge, [row for row in scores() if row[3] != "bob"])
    done = judge("agree", "--table", "table.csv", *QUICK)
    assert "ceiling: no cell has two raters (tone)" in done.out
    assert "36 ratings of 1 rater on 36 outputs (3 systems, 12 items)\n" in done.out
    (measure,) = agreement(judge("agree", "--table", "table.csv", *QUICK, "--json"))["measures"]
    assert (measure["ceiling"]["share"], measure["alpha_human"]["value"]) == (None, None)


def test_a_constant_judge(judge: Program) -> None:
    """No correlation at any level; its errors are known all the same."""
    table(judge, [[*row[:5], 3] if row[4] == "llm" else row for row in scores()])
    (measure,) = agreement(judge("agree", "--table", "table.csv", *QUICK, "--json"))["measures"]
    for levels in measure["levels"].values():
        assert [figure["value"] for figure in levels.values()] == [None] * 4
        assert all(figure["reason"] for figure in levels.values())
    assert measure["mae"]["value"] > 0
    done = judge("agree", "--table", "table.csv", *QUICK)
    assert "systems" in done.out


def test_the_annotator_test_says_its_settings_and_what_it_lacks(judge: Program) -> None:
    """Experts by their rater_type: epsilon .2; with two raters the reason is that they are two."""
    rng = np.random.default_rng(0)
    rows: Rows = []
    for item in range(40):
        worth = int(rng.integers(1, 6))
        rows += [[item, "s", "tone", name, "expert", worth] for name in ("ann", "bob", "cyd")]
        rows.append([item, "s", "tone", "j", "llm", worth])
    rows.append([0, "s", "tone", "dan", "expert", 3])
    table(judge, rows)
    said = judge("agree", "--table", "table.csv", "--resamples", 0).out
    assert (
        "alt-test: epsilon 0.2 (expert annotators), by squared error, on what another rated too: "
        "40 items, 3 annotators with 40 each\n"
        "alt-test: left out, with fewer than 30 such items: dan (1)\n"
    ) in said
    page = (judge.folder / "agreement-table-j" / "agreement.html").read_text(encoding="utf-8")
    assert "Left out, with fewer than 30 items that enough others rated: dan (1)." in page
    assert "On 40 items that another rated too; expert annotators;" in page
    table(judge, [row for row in rows if row[3] in {"ann", "bob", "j"}])
    said = judge("agree", "--table", "table.csv", "--resamples", 0).out
    assert "alt-test, alt-test whole: 3 annotators are needed, not 2 (tone)" in said


def test_labels_that_are_no_numbers(judge: Program) -> None:
    """Equal shares, kappa, alpha and the annotator test by accuracy; correlations have a reason.

    By hand: of 40 items 30 are A by all three, 10 B by all; the judge says A to 35, so that 35 of
    40 labels are equal, expected by chance (35 x 30 + 5 x 10) / 1600 = .6875, kappa .6; A for all
    has .75.
    """
    rows: Rows = []
    for item in range(40):
        label = "A" if item < 30 else "B"
        rows += [[item, "s", "tone", name, "expert", label] for name in ("ann", "bob", "cyd")]
        rows.append([item, "s", "tone", "j", "llm", "A" if item < 35 else "B"])
    table(judge, rows)
    said = judge("agree", "--table", "table.csv", "--out", "labels").out
    line = next(line for line in said.splitlines() if "0.88 (0.75)" in line)
    assert line.split()[3:5] == ["0.60", "1.00"]
    assert "MAE: the labels are categories, which have no order (tone)" in said
    assert "epsilon 0.2 (expert annotators), by accuracy" in said
    assert "note: The labels are no numbers, but categories: A, B." in said
    text = (judge.folder / "labels" / "agreement.md").read_text(encoding="utf-8")
    assert "The labels are categories without an order (A, B)" in text
    assert "Krippendorff's α for nominal data" in text
    page = (judge.folder / "labels" / "agreement.html").read_text(encoding="utf-8")
    assert "Labels: A, B." in page
    message, _ = judge.mistake("agree", "--table", "table.csv", "--scale", "1-5")
    assert "the labels are categories: A, B" in message
    two = [[*row[:3], "k", *row[4:]] for row in rows if row[3] == "j"]
    table(judge, [*rows, *two])
    listed = json.loads(judge("agree", "--table", "table.csv", "--json").out)["judges"]
    assert [row["judge"] for row in listed] == ["j", "k"]
    for row in listed:
        assert row["equal"]["value"] == 35 / 40
        assert row["kappa"]["value"] == pytest.approx(0.6)
        assert row["constant"]["equal"]["value"] == 0.75
    assert "shares of equal labels; in brackets" in judge("agree", "--table", "table.csv").out
    pair = ("--judge", "j", "--judge", "k", "--out", "two")
    assert "categories have none" in judge.mistake("agree", "--table", "table.csv", *pair)[0]


def test_judges_of_a_table_are_listed_and_compared(judge: Program) -> None:
    """Without --judge all of them in short; with one a report; with two a comparison."""
    table(judge, scores(judges=("j", "k")))
    done = judge("agree", "--table", "table.csv")
    assert [line.split()[0] for line in done.out.splitlines()[1:4]] == ["judge", "j", "k"]
    assert not list(judge.folder.glob("agreement*"))
    listed = json.loads(judge("agree", "--table", "table.csv", "--json").out)
    assert [row["judge"] for row in listed["judges"]] == ["j", "k"]
    assert not listed["simulated"]
    done = judge("agree", "--table", "table.csv", "--judge", "j", *QUICK)
    assert "report: agreement-table-j/agreement.html" in done.out
    done = judge("agree", "--table", "table.csv", "--judge", "j", "--judge", "k", "--out", "two")
    assert "j against k, 36 outputs" in done.out
    page = (judge.folder / "two" / "comparison.html").read_text(encoding="utf-8")
    for false in ("dialogue", "character", "scenario"):
        assert false not in done.out, false
        assert false not in re.sub("(?s)<style.*?</style>", "", page), false


def test_a_folder_holds_one_report_and_loses_no_file_of_others(judge: Program) -> None:
    """A second table into the same folder: of the first only what somebody changed is left."""

    def files() -> set[str]:
        return {
            p.relative_to(judge.folder / "r").as_posix()
            for p in (judge.folder / "r").rglob("*")
            if p.is_file()
        }

    table(judge, scores(judges=("j", "k")))
    to = ("agree", "--table", "table.csv", "--judge", "j", "--resamples", 0, "--out", "r")
    judge(*to)
    first = files()
    assert {"agreement.html", "tables/kendall.tex", "agreement-files.json"} <= first
    (judge.folder / "r" / "tables" / "mine.tex").write_text("of a person")
    changed = "tables/kendall.tex"
    (judge.folder / "r" / changed).write_text("changed by a person")
    judge(*to, "--judge", "k")
    assert {"comparison.tex", changed, "tables/mine.tex"} <= files()
    assert not {name for name in files() - {changed, "agreement-files.json"} if name in first}
    (judge.folder / "r" / changed).unlink()
    judge(*to)
    assert files() == {*first, "tables/mine.tex"}


def test_a_run_folder_takes_no_report_of_anything_else(rated: Program) -> None:
    """Of a table, of several runs or a leaderboard: its own report would be replaced."""
    shutil.copytree(rated.folder / "run", rated.folder / "twin")
    table(rated, scores())
    before = {path.name for path in (rated.folder / "run").iterdir()}
    for words in (
        ("agree", "--table", "table.csv"),
        ("agree", "twin", "--ratings", "ratings.csv"),
        ("report", "twin"),
        ("report", "run", "twin"),
        ("leaderboard", "twin"),
    ):
        message, _ = rated.mistake(*words, "--out", "run")
        assert "--out run: it is a run folder" in message
    assert {path.name for path in (rated.folder / "run").iterdir()} == before


def test_simulated_raters_of_a_table_are_told_even_in_the_list(judge: Program) -> None:
    """The short list, too, says whose ratings these are."""
    rows = [[*row[:3], f"simulated {row[3]}", *row[4:]] for row in scores(judges=("j", "k"))]
    table(
        judge,
        [
            [*row[:3], str(row[3]).removeprefix("simulated "), *row[4:]] if row[4] == "llm" else row
            for row in rows
        ],
    )
    done = judge("agree", "--table", "table.csv")
    assert done.out.startswith("SIMULATED RATINGS: not given by people\n")
    assert json.loads(judge("agree", "--table", "table.csv", "--json").out)["simulated"]


def test_files_that_would_fill_the_memory_are_refused(rated: Program) -> None:
    """By their size, before they are read: ratings from 256 MiB on, tables from 1 GiB on."""
    for option, size, words in (
        ("--ratings", (256 << 20) + 1, ("run",)),
        ("--table", (1 << 30) + 1, ()),
    ):
        with (rated.folder / "huge.csv").open("wb") as file:
            file.truncate(size)  # a file with a hole: it takes no room
        message, hint = rated.mistake("agree", *words, option, "huge.csv")
        assert f"up to {size >> 20} MiB are read" in message
        assert "divide it" in hint


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written(rated: Program) -> None:
    """A mistake of the user's, with the path."""
    shut = rated.folder / "shut"
    shut.mkdir()
    shut.chmod(0o500)
    said, _ = rated.mistake("agree", "run", "--ratings", "ratings.csv", *QUICK, "--out", shut)
    assert "shut" in said


def test_a_file_in_place_of_the_folder(rated: Program) -> None:
    """Likewise."""
    (rated.folder / "taken").write_text("here", encoding="utf-8")
    said, _ = rated.mistake("agree", "run", "--ratings", "ratings.csv", *QUICK, "--out", "taken")
    assert "taken" in said
