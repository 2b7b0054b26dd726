"""The whole agreement: what must not change it, what it says of nothing, and how it is stored."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from judge.analysis.agreement import agreement_records
from judge.analysis.agreement.agreement_records import Agreement, Estimate
from judge.analysis.agreement.data import PairedScores
from judge.analysis.agreement.judge_agreement import agree
from judge.errors import UsageError
from tests.unit.analysis.agreement.seen import RATING_FIELDS, drawn, rows_of, table
from tests.unit.stored import reread


def walk(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every dict inside, with where it stands."""
    if isinstance(value, Mapping):
        yield name, value
        for key, inner in value.items():
            yield from walk(inner, f"{name}.{key}")
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for position, inner in enumerate(value):
            yield from walk(inner, f"{name}[{position}]")


def through_json(found: Agreement) -> Agreement:
    """Out and in; nan is no JSON."""
    return reread(found.to_dict(), Agreement, agreement_records.FORMAT)


def nearly(value: Any) -> Any:
    """With numbers rounded: a mean may differ in its last bits with the order of its terms."""
    if isinstance(value, float):
        return round(value, 9) + 0.0
    if isinstance(value, Estimate):
        return nearly(asdict(value))
    if isinstance(value, dict):
        return {key: nearly(inner) for key, inner in value.items()}
    return [nearly(inner) for inner in value] if isinstance(value, list | tuple) else value


def test_measures_stand_group_by_group() -> None:
    """Each group's metrics, then its dimension if that is complete; overall last."""
    found = agree(drawn(), resamples=0)
    assert [(m.name, m.kind) for m in found.measures] == [
        ("fluency", "metric"),
        ("sense", "metric"),
        ("talk", "dimension"),
        ("style", "metric"),
        ("overall", "overall"),
    ]
    assert found.measure("talk").parts == ("fluency", "sense")


def test_what_is_counted() -> None:
    """Systems, items, raters, ratings and cells of a drawn set, counted the plain way."""
    observed = drawn()
    found = agree(observed, resamples=0)
    cells = list(zip(observed.dialogue.tolist(), observed.metric.tolist(), strict=True))
    assert (found.systems, found.items, found.raters) == (5, 24, 4)
    assert (found.ratings, found.cells) == (len(cells), len(set(cells)))
    assert found.cells_repeated == sum(cells.count(cell) > 1 for cell in set(cells))


def test_the_same_seed_gives_the_same_bytes() -> None:
    """And another seed another interval."""
    first, again, other = (
        json.dumps(agree(drawn(), resamples=40, seed=seed).to_dict()) for seed in (7, 7, 8)
    )
    assert first == again
    assert first != other


def test_the_order_of_rows_changes_nothing() -> None:
    """Dialogues and ratings shuffled: the same agreement, intervals and disagreements included."""
    observed = drawn()
    rng = np.random.default_rng(0)
    turned = replace(observed, **rows_of(observed, rng.permutation(len(observed.system))))
    ratings = rng.permutation(len(turned.rating))
    turned = replace(
        turned,
        **{name: getattr(turned, name)[ratings] for name in RATING_FIELDS},
    )
    first, second = (agree(one, resamples=40) for one in (observed, turned))
    assert nearly(first.to_dict()) == nearly(second.to_dict())
    assert first.disagreements == second.disagreements


def test_the_names_of_systems_change_no_correlation() -> None:
    """Renamed, and with it sorted otherwise, systems have the same rho at every level."""
    observed = drawn()
    renamed = replace(
        observed, system=np.char.add("z", np.char.replace(observed.system, "s0", "y"))
    )
    first, second = (agree(one, resamples=0) for one in (observed, renamed))
    for one, other in zip(first.measures, second.measures, strict=True):
        assert nearly(one.levels) == nearly(other.levels)
        assert [point.human for point in one.systems] == [point.human for point in other.systems]


@settings(max_examples=8)
@given(slope=st.floats(0.01, 50), offset=st.floats(-100, 100))
def test_a_judge_on_another_range(slope: float, offset: float) -> None:
    """A line through it keeps every correlation; its points are no points of the human scale."""
    observed = drawn(systems=3, scenarios=3)
    ends = (1 * slope + offset, 5 * slope + offset)
    moved = replace(observed, score=observed.score * slope + offset, probs=None, judge_scale=ends)
    plain, found = (agree(one, resamples=0).measure("fluency") for one in (observed, moved))
    for coefficient in plain.levels:
        for level, figure in plain.levels[coefficient].items():
            assert found.levels[coefficient][level].value == pytest.approx(figure.value, abs=1e-6)
    if ends == (1, 5):
        return
    for figure in (found.rmse, found.mae, found.bias, found.kappa, found.alpha_with_judge):
        assert (figure.value, "judge scores" in figure.reason) == (None, True)
    assert found.alpha_human == plain.alpha_human
    assert found.confusion == ()
    assert {(test.passed, test.reason) for test in found.annotator_tests} == {
        (None, found.mae.reason)
    }


def test_a_judge_beyond_the_scale_is_on_another_range() -> None:
    """Where its scale is not known, one score beyond the ends says so."""
    observed = drawn()
    score = observed.score.copy()
    score[7, 0] = 5.5
    found = agree(replace(observed, score=score), resamples=20)
    assert found.measure("fluency").mae.reason == "judge scores off the scale 1..5: 1"
    assert found.measure("talk").mae.value is None
    assert found.measure("sense").mae.value is not None


def test_without_resamples_there_are_no_intervals() -> None:
    """And nothing else is different."""
    none, some = (agree(drawn(), resamples=resamples) for resamples in (0, 30))
    for one, other in zip(none.measures, some.measures, strict=True):
        for level in one.levels["spearman"]:
            for coefficient in ("spearman", "pearson"):
                assert one.levels[coefficient][level].interval is None
                assert other.levels[coefficient][level].interval is not None
            for coefficient in ("kendall_b", "kendall_c"):
                assert other.levels[coefficient][level].interval is None
        assert other.mae.interval is not None
        assert other.bias.interval is not None
        stripped = {name: {**levels} for name, levels in other.levels.items()}
        for levels in stripped.values():
            for level, figure in levels.items():
                levels[level] = replace(figure, interval=None)
        assert one == replace(
            other,
            levels=stripped,
            mae=replace(other.mae, interval=None),
            bias=replace(other.bias, interval=None),
        )


def test_fixed_systems_are_not_left_out() -> None:
    """A narrower interval of the bias, and none of the order of the systems, with the reason."""
    widths = []
    for fixed in (True, False):
        found = agree(drawn(systems=8), resamples=300, systems_fixed=fixed).measure("overall")
        assert found.bias.interval is not None
        assert found.bias.interval.width is not None
        widths.append(found.bias.interval.width)
        if fixed:
            order = found.spearman["systems"].interval
            assert order is not None
            assert order.width is None
            assert "systems that are all there is" in order.reason
    assert widths[0] < widths[1]


def test_simulated_raters_are_told() -> None:
    """By the beginning of a name that is used, whatever its case; an unused one says nothing."""
    observed = drawn()
    names = ("Simulated annotator 1", *observed.raters[1:])
    assert not agree(observed, resamples=0).simulated
    assert agree(replace(observed, raters=names), resamples=0).simulated
    own = observed.rater != 0
    used = {name: getattr(observed, name)[own] for name in RATING_FIELDS}
    assert not agree(replace(observed, raters=names, **used), resamples=0).simulated


def hide(observed: PairedScores, rows: np.ndarray[Any, Any]) -> PairedScores:
    """Without the judge's scores of some dialogues."""
    score = observed.score.copy()
    score[rows] = np.nan
    return replace(observed, score=score)


DEGENERATE: dict[str, Callable[[], PairedScores]] = {
    "one system": lambda: drawn(systems=1),
    "two systems": lambda: drawn(systems=2),
    "one character": lambda: drawn(characters=1),
    "one scenario": lambda: drawn(scenarios=1),
    "one dialogue": lambda: drawn(systems=1, characters=1, scenarios=1),
    "one rater": lambda: drawn(raters=1, per_cell=(1, 1)),
    "one rating each": lambda: drawn(per_cell=(1, 1)),
    "nobody named": lambda: replace(drawn(), rater=np.full(len(drawn().rater), -1), raters=()),
    "a constant judge": lambda: replace(drawn(), score=np.full((120, 3), 3.0)),
    "constant people": lambda: replace(drawn(), rating=np.full(len(drawn().rating), 4.0)),
    "an unscored metric": lambda: replace(drawn(), score=drawn().score * [1, np.nan, 1]),
    "nothing scored": lambda: replace(drawn(), score=drawn().score * np.nan),
    "nothing in common": lambda: hide(drawn(), np.unique(drawn().dialogue)),
    "half points": lambda: replace(drawn(), rating=drawn().rating - 0.5 * (drawn().rating > 2)),
    "no items": lambda: table(
        {"m": [1, 2, 3]}, [(0, "m", "a", 2), (1, "m", "a", 1), (2, "m", "a", 5)]
    ),
    "one rating": lambda: table({"m": [1, 2, 3]}, [(0, "m", "", 2)]),
}


@pytest.mark.parametrize("case", DEGENERATE)
def test_what_is_undefined_has_a_reason(case: str) -> None:
    """No error, no nan; a number that is not there says why, and one that is there says nothing."""
    found = agree(DEGENERATE[case](), resamples=15)
    assert through_json(found) == found
    for where, inner in walk(found.to_dict()):
        if "undefined" in inner and "value" in inner:
            assert (inner["value"] is None) == bool(inner["reason"]), where
            if inner["interval"] is not None:
                assert inner["value"] is not None, where
        if "lower" in inner and inner["lower"] is None:
            assert inner["reason"], where
        if "winning_rate" in inner:
            assert (inner["winning_rate"] is None) == bool(inner.get("reason")), where


def test_one_system_has_no_order() -> None:
    """Nothing at the level of systems, nor within an item, nor with that system left out."""
    found = agree(drawn(systems=1), resamples=15).measure("fluency")
    assert found.spearman["systems"].reason == "fewer than 2 pairs"
    assert found.spearman["within_item"].value is None
    assert found.spearman["all"].value == pytest.approx(found.spearman["within_system"].value)
    assert found.without[0].all.value is None
    assert "two systems are needed" in found.soft_pairwise.reason


def test_one_rating_a_cell_has_no_ceiling() -> None:
    """It cannot be known, and it says so."""
    found = agree(drawn(per_cell=(1, 1)), resamples=0).measure("fluency").ceiling
    assert (found.rater.value, found.single.value, found.share) == (None, None, None)
    assert found.rater.reason == found.mean.reason == ("no cell has two raters")


def test_a_constant_judge_has_errors_but_no_correlation() -> None:
    """Undefined is not 0."""
    found = agree(DEGENERATE["a constant judge"](), resamples=15).measure("fluency")
    assert {figure.value for figure in found.spearman.values()} == {None}
    assert found.mae.value is not None
    assert found.mae.interval is not None
    assert [(point.judge, point.n) for point in found.curve] == [(3.0, 120)]


def test_raters_without_a_name_are_no_annotators() -> None:
    """Alpha and the ceiling need no names, the annotator test does; a composite has no raters."""
    found = agree(DEGENERATE["nobody named"](), resamples=0)
    named = agree(drawn(), resamples=0)
    metric = found.measure("fluency")
    assert found.raters == 0
    assert metric.alpha_human == named.measure("fluency").alpha_human
    assert metric.ceiling.single == named.measure("fluency").ceiling.single
    assert metric.ceiling.rater.value is not None
    assert {test.reason for test in metric.annotator_tests} == {"no rater is named"}
    assert found.measure("talk").ratings == 0
    assert found.measure("talk").spearman == named.measure("talk").spearman


def test_half_points_are_no_labels() -> None:
    """Kappa, the confusion matrix and the rounded annotator test are for labels."""
    found = agree(DEGENERATE["half points"](), resamples=0).measure("fluency")
    assert (found.kappa.value, found.kappa.reason) == (None, "the ratings are not whole labels")
    assert found.confusion == ()
    assert found.annotator_tests[1].reason == "the ratings are not whole labels"
    assert found.mae.value is not None


def test_progress_is_told_to_the_end() -> None:
    """From 0 to all five measures."""
    told: list[tuple[int, int]] = []
    agree(drawn(), resamples=0, progress=lambda *now: told.append(now))
    assert told == [(done, 5) for done in range(6)]


@pytest.mark.parametrize(
    "option",
    [{"resamples": -1}, {"confidence": 1.0}, {"seed": -1}, {"annotators": "cats"}],
    ids=str,
)
def test_options_that_make_no_sense_are_refused(option: dict[str, Any]) -> None:
    """By the name of the option, with one that does."""
    name = f"--{next(iter(option))}"
    with pytest.raises(UsageError, match=name) as caught:
        agree(drawn(), **option)
    assert caught.value.hint
