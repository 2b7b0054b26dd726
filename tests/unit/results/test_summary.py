"""What `summarize` says of judgments whose scores are known."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable
from dataclasses import replace

import pytest

from judge.analysis.published import PublishedMeans
from judge.analysis.results import Results
from judge.analysis.summary import summarize
from judge.errors import StoreError
from judge.types import Dialogue, Failure, Judgment, Reading, Rubric, ScoreDistribution, Turn
from tests.unit.stored import reread

Make = Callable[..., Judgment]

LONG = Failure("too_long", "the prompt does not fit")
EMPTY = Failure("empty_reply", "round 2 has no reply")
GRID = ["s/a/1", "s/a/2", "s/b/1", "s/b/2"]


def test_means_and_errors_by_hand(rubric: Rubric, judged: Make) -> None:
    """Scores 1 2 3 5 on a grid of characters and scenarios: V by hand, and a mean of means."""
    js = [judged(who, "fluency", x) for who, x in zip(GRID, [1, 2, 3, 5], strict=True)]
    js += [judged(who, "sense", 3) for who in GRID]
    js += [judged(who, "style", 4) for who in GRID]
    system = summarize(js, rubric).systems[0]
    # Residuals -1.75 -.75 .25 2.25: rows -2.5 2.5, columns -1.5 1.5.
    variance = (2 * 12.5 + 2 * 4.5 - 4 / 3 * 8.75) / 16
    assert system.mean("fluency") == pytest.approx(2.75)
    assert system.measures["fluency"].standard_error == pytest.approx(math.sqrt(variance))
    assert system.measures["fluency"].clustered_by == ("character", "scenario")
    assert system.mean("talk") == pytest.approx(2.875)
    assert system.measures["talk"].standard_error == pytest.approx(math.sqrt(variance) / 2)
    assert system.mean("overall") == pytest.approx((2.75 + 3 + 4) / 3)
    assert (system.dialogues, system.characters, system.scenarios) == (4, 2, 2)


def test_a_missing_part_misses_the_whole(rubric: Rubric, judged: Make) -> None:
    """A failed metric takes its dialogue out of the dimension and the overall, by its code."""
    js = [judged(who, metric, 3) for who in GRID[1:] for metric in ("fluency", "sense", "style")]
    js += [judged(GRID[0], "fluency", 5), judged(GRID[0], "sense", LONG)]
    js += [judged(GRID[0], "style", EMPTY)]
    measures = summarize(js, rubric).systems[0].measures
    assert measures["fluency"].mean == pytest.approx(3.5)
    assert (measures["fluency"].n, measures["fluency"].unscored) == (4, {})
    assert (measures["sense"].n, measures["sense"].unscored) == (3, {"too_long": 1})
    assert (measures["talk"].mean, measures["talk"].unscored) == (3, {"too_long": 1})
    assert (measures["overall"].n, measures["overall"].unscored) == (3, {"too_long": 1})
    assert measures["style"].unscored_share == 0.25


def test_nothing_scored_has_no_number(rubric: Rubric, judged: Make) -> None:
    """A metric that failed throughout has neither mean nor error nor shares."""
    measure = (
        summarize([judged(who, "style", LONG) for who in GRID], rubric).systems[0].measures["style"]
    )
    assert (measure.n, measure.mean, measure.standard_error) == (0, None, None)
    assert (measure.flagged, measure.top_is_label, measure.unscored_share) == (None, None, 1)
    assert measure.standard_error_reason == "no dialogue was scored"


def test_an_interrupted_run_is_counted_as_such(rubric: Rubric, judged: Make) -> None:
    """A dialogue judged on one metric but not on another that was asked is `not_judged` there."""
    js = [judged(who, "fluency", 3) for who in GRID] + [judged(GRID[0], "sense", 3)]
    results = summarize(js, rubric)
    assert results.systems[0].measures["sense"].unscored == {"not_judged": 3}
    assert [(f.code, f.count) for f in results.failures] == [("not_judged", 3)]


def test_only_what_was_asked_appears(rubric: Rubric, judged: Make) -> None:
    """A dimension needs all its metrics, the overall score all metrics."""
    results = summarize([judged(who, m, 3) for who in GRID for m in ("style", "fluency")], rubric)
    assert list(results.systems[0].measures) == ["fluency", "role", "style"]
    assert results.measures == ("fluency", "role", "style")
    assert results.metrics == ("fluency", "style")
    assert results.extremes_by == "asked"
    assert results.titles["fluency"] == "Fluency (流畅性)"


def test_one_character_has_no_error(rubric: Rubric, judged: Make) -> None:
    """Clustering by character is undefined with one character, and the reason is given."""
    measure = summarize([judged(who, "style", 3) for who in GRID[:2]], rubric).systems[0].measures
    assert measure["style"].standard_error is None
    assert measure["style"].standard_error_reason == "only one character"
    assert measure["style"].clustered_by == ()


def test_shares_of_flagged_and_of_labels_on_top(rubric: Rubric, judged: Make) -> None:
    """Mass .5 is not flagged, .49 is; a dimension pools its judgments."""
    masses, tops = [0.49, 0.5, 0.9, 0.2], [False, True, True, True]
    js = [
        judged(who, "fluency", 2, mass=mass, top=top)
        for who, mass, top in zip(GRID, masses, tops, strict=True)
    ]
    js += [judged(who, "sense", 2, mass=0.51) for who in GRID]
    measures = summarize(js, rubric).systems[0].measures
    assert (measures["fluency"].flagged, measures["fluency"].top_is_label) == (0.5, 0.75)
    assert (measures["talk"].flagged, measures["talk"].top_is_label) == (0.25, 0.875)


def test_readings_are_counted_and_noted(rubric: Rubric, judged: Make) -> None:
    """Scores that are no exact probabilities are counted, named first, and in the signature."""
    ways: list[Reading] = ["sampled", "exact", "truncated", "sampled"]
    js = [judged(who, "fluency", 2, reading=way) for who, way in zip(GRID, ways, strict=True)]
    js += [judged(who, "sense", 2) for who in GRID[:3]] + [judged(GRID[3], "sense", LONG)]
    results = summarize(js, rubric, notes=["mine"])
    assert results.readings == {"exact": 4, "sampled": 2, "truncated": 1}
    mine, sampled, truncated = results.notes
    assert mine == "mine"
    assert sampled.startswith("Sampled: 2 of 7 scores are shares of sampled answers")
    assert truncated.startswith("Truncated: 1 of 7 scores were read from the most probable tokens")
    signature = dict(results.signature)
    assert (signature["sampled"], signature["truncated"]) == ("2 of 7", "1 of 7")
    (system,) = results.systems
    counts = {name: measure.sampled for name, measure in system.measures.items()}
    # The dialogue without a sense takes its sampled fluency out of the dimension.
    assert counts == {"talk": 1, "fluency": 2, "sense": 0}
    assert system.sampled


def test_exact_scores_need_no_note(rubric: Rubric, judged: Make) -> None:
    """Nothing is marked where there is nothing to say."""
    results = summarize([judged("s/a/1", "style", 3)], rubric)
    assert (results.readings, results.notes) == ({"exact": 1}, ())
    assert {"sampled", "truncated", "exact"}.isdisjoint(results.signature)
    assert not results.systems[0].sampled


def test_extremes_carry_the_reasons(rubric: Rubric, judged: Make) -> None:
    """Each metric its own, and how it was read."""
    js = [
        judged("s/a/1", "fluency", 3, reason="“a”: smooth", reading="truncated"),
        judged("s/a/1", "sense", 3, reason=""),
        judged("s/a/1", "style", 3),
    ]
    (extreme,) = summarize(js, rubric).highest
    found = [(s.metric, s.reading, s.rationale) for s in extreme.metrics]
    assert found == [
        ("fluency", "truncated", "“a”: smooth"),
        ("sense", "exact", ""),
        ("style", "exact", None),
    ]


def test_failures_are_counted_with_an_example(rubric: Rubric, judged: Make) -> None:
    """Most frequent first; the example is the first in the order of dialogues."""
    js = [judged(who, "style", LONG) for who in ("s/a/10", "s/a/9")] + [
        judged("s/b/1", "style", EMPTY)
    ]
    failures = summarize(js, rubric).failures
    assert [(f.code, f.count, f.example) for f in failures] == [
        ("too_long", 2, "s/a/9 style"),
        ("empty_reply", 1, "s/b/1 style"),
    ]


def test_extremes_are_ordered_with_ties_by_id(rubric: Rubric, judged: Make) -> None:
    """Lowest and highest by score, then scenario by number; the unscored take no part."""
    score = {"s/a/2": 3, "s/a/10": 3, "s/a/1": 5, "s/b/1": 1, "s/b/2": 5, "s/b/3": 1}
    js = [judged(who, "style", x) for who, x in score.items()] + [judged("s/b/9", "style", LONG)]
    text = Dialogue("s", "b", "1", (Turn("q", "a"),))
    results = summarize(js, rubric, dialogues=[text], extremes=3)
    assert [(e.character, e.scenario) for e in results.lowest] == [
        ("b", "1"),
        ("b", "3"),
        ("a", "2"),
    ]
    assert [(e.character, e.scenario) for e in results.highest] == [
        ("a", "1"),
        ("b", "2"),
        ("a", "10"),
    ]
    assert results.lowest[0].turns == (Turn("q", "a"),)
    assert results.lowest[1].turns == ()
    assert results.lowest[0].metrics[0].score == 1


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_no_dialogue_is_both_lowest_and_highest(rubric: Rubric, judged: Make, n: int) -> None:
    """Few dialogues with one score make short lists that share nothing and miss nothing."""
    results = summarize([judged(f"s/a/{i}", "style", 3) for i in range(n)], rubric)
    shown = [e.scenario for e in (*results.lowest, *results.highest)]
    assert sorted(shown) == [str(i) for i in range(n)]


def test_systems_are_ordered_by_overall(rubric: Rubric, judged: Make) -> None:
    """Highest first; a system without a mean comes last."""
    score = {"low": 2, "top": 5, "none": LONG, "mid": 3}
    js = [
        judged(f"{system}/a/1", metric, x)
        for system, x in score.items()
        for metric in ("fluency", "sense", "style")
    ]
    assert [s.system for s in summarize(js, rubric).systems] == ["top", "mid", "low", "none"]


def test_rank_agreement_with_published_means(rubric: Rubric, judged: Make) -> None:
    """Four systems with one swap of neighbours: rho .8; a metric with two in common has none."""
    ours = {"a": 2, "b": 3, "c": 4, "d": 5}
    js = [judged(f"{s}/x/1", m, x) for s, x in ours.items() for m in ("fluency", "sense")]
    theirs = {"a": 3.1, "b": 3.5, "c": 3.3, "d": 4.0, "elsewhere": 1.0}
    means = {s: {"fluency": x} for s, x in theirs.items()}
    means["a"]["sense"], means["b"]["sense"] = 3.0, 4.0
    found = summarize(js, rubric, published=PublishedMeans("p.csv", means)).agreement
    rows = {row.measure: row for row in found}
    assert rows["fluency"].rho == pytest.approx(0.8)
    assert rows["fluency"].n == 4
    assert (rows["sense"].rho, rows["sense"].n) == (None, 2)
    assert rows["talk"].n == 2


def test_equal_systems_have_no_rank_agreement(rubric: Rubric, judged: Make) -> None:
    """A judge that gives all systems one mean has no order to compare."""
    js = [judged(f"{s}/x/1", "style", 3) for s in "abc"]
    published = PublishedMeans(
        "p.csv", {s: {"style": x} for s, x in zip("abc", (1, 2, 3), strict=True)}
    )
    row = summarize(js, rubric, published=published).agreement[-1]
    assert (row.rho, row.n, row.reason) == (None, 3, "one side is constant")


def test_a_judge_that_gives_one_score_to_everything_is_told(rubric: Rubric, judged: Make) -> None:
    """19 of 20 alike are nearly all of enough; 18 are not, nor are 19 of 19, which are few."""
    noted = {}
    for n, alike in ((20, 19), (20, 18), (19, 19)):
        scores = [5] * alike + [1] * (n - alike)
        js = [judged(f"s/a/{i}", "fluency", x) for i, x in enumerate(scores)]
        notes = summarize(js, rubric).notes
        noted[n, alike] = [note for note in notes if "nearly the same score" in note]
    assert [len(notes) for notes in noted.values()] == [1, 0, 0]
    assert noted[20, 19][0].endswith("so that it tells nothing apart: fluency (5.00).")


def test_unlike_dialogues_are_noted(rubric: Rubric, judged: Make) -> None:
    """Systems judged on different scenarios are not silently compared."""
    alike = summarize([judged("s/a/1", "style", 3), judged("t/a/1", "style", 3)], rubric)
    unlike = summarize([judged("s/a/1", "style", 3), judged("t/a/2", "style", 3)], rubric)
    assert alike.notes == ()
    assert "not judged on the same" in unlike.notes[0]


def test_json_round_trip(rubric: Rubric, judged: Make) -> None:
    """Results are what they were after a way through JSON, which has no NaN."""
    js = [judged(who, "style", x) for who, x in zip(GRID, (1, 2, 3, LONG), strict=True)]
    published = PublishedMeans("p.csv", {"s": {"style": 3.0}})
    text = Dialogue("s", "a", "1", (Turn("q", "a"),))
    results = summarize(
        js, rubric, dialogues=[text], provenance={"seed": "0"}, notes=["n"], published=published
    )
    data = json.loads(json.dumps(results.to_dict(), allow_nan=False))
    assert data["format"] == 5
    assert reread(data, Results, 5) == results


def test_results_of_format_1_read(rubric: Rubric, judged: Make) -> None:
    """They know neither readings nor reasons: scores without a mark, and no reason."""
    results = summarize([judged("s/a/1", "style", 3)], rubric)
    data = json.loads(json.dumps(results.to_dict())) | {"format": 1}
    del data["readings"]
    for measure in data["systems"][0]["measures"].values():
        del measure["sampled"]
    for score in data["highest"][0]["metrics"]:
        del score["reading"], score["rationale"]
    assert reread(data, Results, 5) == replace(results, readings={})


def test_results_of_format_2_read(rubric: Rubric, judged: Make) -> None:
    """They know no calibration, and no hash of published means: raw scores, a hash unknown."""
    published = PublishedMeans("p.csv", {"s": {"style": 3.0}})
    results = summarize([judged("s/a/1", "style", 3)], rubric, published=published)
    data = json.loads(json.dumps(results.to_dict())) | {"format": 2}
    del data["calibration"], data["published"]["sha256"]
    assert reread(data, Results, 5) == results
    assert results.signature["scores"] == "raw judge scores"


@pytest.mark.parametrize(
    ("version", "message"),
    [(6, "format 6 is newer"), (0, r"\$\.format"), (None, r"got `null` - at `\$\.format"),
     ("1", r"got `str` - at `\$\.format")],
)  # fmt: skip
def test_other_formats_are_refused(
    rubric: Rubric, judged: Make, version: int | str | None, message: str
) -> None:
    """Results of a newer format, or of none, are not guessed at."""
    data = summarize([judged("s/a/1", "style", 3)], rubric).to_dict() | {"format": version}
    with pytest.raises(StoreError, match=message):
        reread(data, Results, 5)


def test_order_of_judgments_does_not_matter(rubric: Rubric, judged: Make) -> None:
    """Every order of the same judgments gives the same results."""
    js = [judged(who, "style", x) for who, x in zip(GRID, (1.5, 2.25, 3, LONG), strict=True)]
    results = [summarize(order, rubric) for order in itertools.permutations(js)]
    assert all(other == results[0] for other in results)


def test_what_cannot_be_summarised_is_refused(rubric: Rubric, judged: Make) -> None:
    """No judgments, two of one thing, an unknown metric, a distribution without probability."""
    one = judged("s/a/1", "style", 3)
    nothing = judged("s/a/2", "style", 3)
    object.__setattr__(nothing, "outcome", ScoreDistribution((-math.inf,) * 5, False))
    cases = [
        ([], "no judgments"),
        ([one, one], "two judgments of style of s/a/1"),
        ([one, judged("s/a/1", "wit", 3)], "wit was judged"),
        ([one, nothing], "no label has any probability in style of s/a/2"),
    ]
    for js, message in cases:
        with pytest.raises(StoreError, match=message) as caught:
            summarize(js, rubric)
        assert caught.value.hint
