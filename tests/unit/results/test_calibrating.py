"""Judgments and ratings become a calibration, and a calibration becomes results."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from calibration.calibrators import Linear
from calibration.published_line import published_line
from judge.analysis.breakdown import break_down
from judge.analysis.calibrated_scores import ItemScore, apply_calibration
from judge.analysis.fit_calibration import calibrate
from judge.analysis.fit_to_published import calibrate_to_published
from judge.analysis.published import PublishedMeans, paper_means, read_published
from judge.analysis.results import Results
from judge.analysis.summary import summarize
from judge.calibration_file import Calibration, MadeWith
from judge.errors import DataError, StoreError, UsageError
from judge.ratings import Ratings, Scale, read_ratings
from judge.report import render_html
from judge.report.dialogues_page import render_dialogues
from judge.types import Failure, Judgment, Rubric
from tests.unit.stored import reread, unpacked

Make = Callable[..., Judgment]
Row = tuple[str, str, float]

METRICS = ("fluency", "sense", "style")
SYSTEMS = tuple("ABCDEFGHIJ")
ANY = Scale(1, 5, 0)
MADE = MadeWith("mock", "mock/0", "small", "1.2.0", "zh", "0" * 64, "1" * 64)


def cells(systems: Iterable[str] = SYSTEMS, n: int = 3) -> list[str]:
    """Grids of n x n dialogues of each system."""
    return [f"{s}/c{i}/{j}" for s in systems for i in range(n) for j in range(n)]


@pytest.fixture
def scores() -> dict[tuple[str, str], float]:
    """SIMULATED raw scores of ten systems, three metrics each."""
    rng = np.random.default_rng(4)
    return {(who, m): float(rng.uniform(1.2, 4.8)) for who in cells() for m in METRICS}


@pytest.fixture
def judgments(scores: Mapping[tuple[str, str], float], judged: Make) -> list[Judgment]:
    """Judgments with those scores."""
    return [judged(who, metric, score) for (who, metric), score in scores.items()]


@pytest.fixture
def rated(rubric: Rubric, tmp_path: Path) -> Callable[..., Ratings]:
    """`rated([("system/character/scenario", metric, score), ...])`, by way of a file."""

    def make(rows: Iterable[Row], scale: Scale | None = ANY, name: str = "r.csv") -> Ratings:
        path = tmp_path / name
        with path.open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(["system", "character", "scenario", "metric", "score"])
            table.writerows((*who.split("/"), metric, score) for who, metric, score in rows)
        return read_ratings(path, metrics=rubric.metrics, scale=scale)

    return make


def on_a_line(scores: Mapping[tuple[str, str], float], off: float = 0.0) -> list[Row]:
    """People say 1.5 + score / 2, the even systems `off` more and the odd ones as much less."""
    sign = {s: 1 if at % 2 else -1 for at, s in enumerate(SYSTEMS)}
    return [
        (who, metric, 1.5 + score / 2 + off * sign[who[0]])
        for (who, metric), score in scores.items()
    ]


def test_a_line_is_found(
    scores: dict[tuple[str, str], float],
    judgments: list[Judgment],
    rubric: Rubric,
    rated: Callable[..., Ratings],
) -> None:
    """Ratings on a line are predicted by it to the last bit, on systems left out and on all."""
    found = calibrate(judgments, rubric, rated(on_a_line(scores)), MADE)
    for at, metric in enumerate(METRICS):
        fit = found.fits[metric]
        line = fit.load()
        assert isinstance(line, Linear)
        assert (line.target, line.metrics) == (at, 3)
        assert line.slope == pytest.approx(0.5)
        assert line.intercept == pytest.approx(1.5)
        assert fit.shifts == pytest.approx(dict.fromkeys(SYSTEMS, 0.0), abs=1e-9)
        assert fit.radius == pytest.approx(0, abs=1e-9)
        rungs = {row["rung"]: row for row in fit.details["ladder"]}
        raw = np.array([scores[who, metric] for who in cells()])
        error = raw - (1.5 + raw / 2)
        assert rungs["expected"]["mae"] == pytest.approx(np.abs(error).mean())
        assert rungs["expected"]["bias"] == pytest.approx(error.mean())
        assert rungs["linear"]["mae"] == pytest.approx(0, abs=1e-9)
        assert fit.details["rank_invariant"]
        assert fit.details["pairs"]["value"] == 1
        assert fit.details["by_character"]["groups"] == 3
        assert fit.details["by_scenario"]["mae"] == pytest.approx(0, abs=1e-9)
        assert set(fit.details["item_intervals"]["held_out_coverage"].values()) == {1.0}
        assert fit.details["judged_means"]["A"] == pytest.approx(raw[:9].mean())
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["metrics"] == list(METRICS)


def test_what_does_not_join_is_counted(
    scores: dict[tuple[str, str], float],
    judgments: list[Judgment],
    rubric: Rubric,
    judged: Make,
    rated: Callable[..., Ratings],
) -> None:
    """Both ways: ratings without a judge score, and judge scores without a rating."""
    judgments[0] = judged(cells()[0], "fluency", Failure("too_long", "why"))
    rows = [row for row in on_a_line(scores) if row[1] != "style"]
    rows += [("Z/c0/0", "fluency", 3), ("A/c9/0", "sense", 3), ("A/c0/1", "fluency", 4)]
    rows += [("A/c0/1", "no such metric", 4)]
    found = calibrate(judgments, rubric, rated(rows), MADE)
    n = 90
    assert found.counts == {
        "ratings": 2 * n + 3,
        "ratings_refused": 1,
        "ratings_used": 2 * n,  # one falls to the failure, one is a second rating of its cell
        "ratings_without_judge_score": 3,
        "judge_scores": 3 * n - 1,
        "judge_scores_rated": 2 * n - 1,
        "judge_scores_without_rating": n,
        "dialogues_judged": n,
        "dialogues_rated": n,
        "raters": 0,
    }
    assert found.fits["style"].calibrator is None
    assert found.fits["style"].reason == "no rating of it belongs to these dialogues"
    assert found.notes == ("Judged, but not rated: style.",)
    assert found.fits["fluency"].details["ratings"] == n


@pytest.mark.parametrize(
    ("keep", "score", "reason"),
    [
        ("A", None, "ratings of one system only (A)"),
        ("ABCDEFGHIJ", 5, "every rating is 5: nothing tells one dialogue from another"),
    ],
)
def test_too_little_is_said(
    scores: dict[tuple[str, str], float],
    judgments: list[Judgment],
    rubric: Rubric,
    rated: Callable[..., Ratings],
    keep: str,
    score: float | None,
    reason: str,
) -> None:
    """One system, or one rating for all: no map, no number, and the reason."""
    rows = [
        (who, m, y if score is None else score) for who, m, y in on_a_line(scores) if who[0] in keep
    ]
    for fit in calibrate(judgments, rubric, rated(rows), MADE).fits.values():
        assert fit.calibrator is None
        assert fit.reason.startswith(reason)
        assert (fit.shifts, fit.radius, fit.details) == ({}, None, {})


def test_few_systems_have_no_item_intervals(
    scores: dict[tuple[str, str], float],
    judgments: list[Judgment],
    rubric: Rubric,
    rated: Callable[..., Ratings],
) -> None:
    """Of 5 systems a sixth is the worst once in six times: 83.3% at most, so 90% is refused."""
    rows = [row for row in on_a_line(scores) if row[0][0] in "ABCDE"]
    fit = calibrate(judgments, rubric, rated(rows), MADE).fits["sense"]
    assert fit.radius is None
    assert "at most 83.3% confidence" in fit.details["item_intervals"]["reason"]
    assert fit.calibrator is not None
    lower = calibrate(judgments, rubric, rated(rows), MADE, confidence=0.8).fits["sense"]
    assert lower.radius == pytest.approx(0, abs=1e-9)


def test_the_user_may_choose_the_rung(
    scores: dict[tuple[str, str], float],
    judgments: list[Judgment],
    rubric: Rubric,
    rated: Callable[..., Ratings],
) -> None:
    """The rung that was asked for is fitted; what the rule would choose is kept beside it."""
    found = calibrate(
        judgments, rubric, rated(on_a_line(scores)), MADE, candidate="shift", metrics=["style"]
    )
    assert list(found.fits) == ["style"]
    assert found.metrics == METRICS
    details = found.fits["style"].details
    assert (details["rung"], details["rule_chooses"]) == ("shift", "linear")
    assert details["chosen_by"] == "--rung"
    refused = calibrate(judgments, rubric, rated(on_a_line(scores)), MADE, candidate="ordinal")
    assert refused.fits["style"].reason == "the ordinal model needs ratings that are whole labels"


def test_what_cannot_be_joined_is_an_error(
    scores: dict[tuple[str, str], float],
    judgments: list[Judgment],
    rubric: Rubric,
    rated: Callable[..., Ratings],
) -> None:
    """Ratings of something else, a metric that was not judged, a run named twice, odd scales."""
    rows = on_a_line(scores)
    with pytest.raises(DataError, match="no rating in it belongs") as caught:
        calibrate(judgments, rubric, rated([("Z/a/1", "sense", 3.0)]), MADE)
    assert "no dialogue of system 'Z'" in str(caught.value.hint)
    some = [j for j in judgments if j.metric == "style"]
    with pytest.raises(DataError, match="no rating in it belongs") as caught:
        calibrate(some, rubric, rated([row for row in rows if row[1] == "sense"]), MADE)
    assert caught.value.hint == "they rate sense; judged were style"
    with pytest.raises(UsageError, match="--metrics: wit was not judged"):
        calibrate(judgments, rubric, rated(rows), MADE, metrics=["wit"])
    with pytest.raises(StoreError, match="two judgments of"):
        calibrate([*judgments, judgments[0]], rubric, rated(rows), MADE)
    with pytest.raises(UsageError, match=r"--scale 1-4\.5.*not whole"):
        calibrate(judgments, rubric, rated(rows, Scale(1, 4.5, 0)), MADE)


def applied(
    judgments: list[Judgment], rubric: Rubric, fitted: Calibration, ratings: Ratings | None = None
) -> tuple[Results, dict[tuple[str, str, str, str], tuple[float, int | None, int | None]]]:
    """Results with the calibration, after a way through JSON, and item scores."""
    found = apply_calibration(summarize(judgments, rubric), fitted, judgments, ratings)
    again = reread(found.results.to_dict(), Results, 5)
    assert again == found.results
    return again, {key: tuple(item) for key, item in found.items.items()}


def test_a_new_system_on_the_human_scale(
    scores: dict[tuple[str, str], float],
    judgments: list[Judgment],
    rubric: Rubric,
    judged: Make,
    rated: Callable[..., Ratings],
) -> None:
    """Means by the map, the interval from the shifts by hand; a dimension's from its metrics'."""
    fitted = calibrate(judgments, rubric, rated(on_a_line(scores, off=0.2)), MADE)
    # Seen systems lie +-.2 off; every fit that leaves one out errs by .2 and a little more.
    shifts = {m: np.array([*fitted.fits[m].shifts.values()]) for m in METRICS}
    assert np.abs(shifts["sense"]) == pytest.approx([0.2] * 10, abs=0.1)
    new = [judged(f"new/c{i}/{j}", m, 2 + 0.5 * i) for i in (0, 1) for j in (0, 1) for m in METRICS]
    results, items = applied(new, rubric, fitted)
    calibration = results.calibration
    assert calibration is not None
    t = stats.t.ppf(0.95, 9)
    for name, parts in {
        "sense": ("sense",),
        "talk": ("fluency", "sense"),
        "overall": METRICS,
    }.items():
        found = calibration.mean("new", name)
        assert found is not None
        maps = [fitted.fits[part].load() for part in parts]
        # The raw mean is 2.25; a line of a mean is the mean of the line.
        mean = np.mean([m.slope * 2.25 + m.intercept for m in maps if isinstance(m, Linear)])
        together = np.mean([shifts[part] for part in parts], axis=0)
        # Two characters of raw 2 and 2.5, alike in both scenarios. With deviations of e and -e, the
        # clusters give V_1 = 2 (8 e^2) / 16, V_2 = 0 and V_12 = 4/3 (4 e^2) / 16: e^2 2/3.
        e = 0.25 * np.mean([m.slope for m in maps if isinstance(m, Linear)])
        half = t * math.sqrt(np.mean(together**2) + e**2 * 2 / 3)
        assert found.mean == pytest.approx(mean)
        assert (found.lower, found.upper) == (
            pytest.approx(mean - half),
            pytest.approx(mean + half),
        )
        assert (found.n, found.basis, found.reason) == (4, "new", "")
    score, lower, upper = items["new", "c1", "0", "style"]
    line = fitted.fits["style"].load()
    assert isinstance(line, Linear)
    assert score == pytest.approx(line.slope * 2.5 + line.intercept)
    radius = fitted.fits["style"].radius
    assert radius is not None
    inside = [k for k in range(1, 6) if abs(k - score) <= radius]
    assert (lower, upper) == (min(inside or [round(score)]), max(inside or [round(score)]))
    scores_of = {key: ItemScore(*item) for key, item in items.items()}
    page = render_dialogues(results, new, [], items=scores_of, beside={})
    index = unpacked(page, "index")
    assert index["first"] == "calibrated"
    # The list has the calibrated scores, in ten thousandths; what is opened has the raw ones too.
    style = index["metrics"].index("Style")
    assert index["score"][style][0] == pytest.approx(
        1e4 * items["new", "c0", "0", "style"][0], abs=1
    )
    assert unpacked(page, "block-0")[0][1][style][4] == 2.0
    text = render_html(results, break_down(results, new))
    assert "On the human scale" in text
    assert "raw judge scores, and calibrated ones (r.csv" in text


def test_a_fitted_system_has_no_interval(
    scores: dict[tuple[str, str], float],
    judgments: list[Judgment],
    rubric: Rubric,
    rated: Callable[..., Ratings],
) -> None:
    """Its own ratings made the map: a mean, and the reason why there is nothing around it."""
    rows = [row for row in on_a_line(scores, off=0.1) if row[0][0] != "J"]
    fitted = calibrate(judgments, rubric, rated(rows), MADE)
    calibration = applied(judgments, rubric, fitted)[0].calibration
    assert calibration is not None
    for system in SYSTEMS:
        found = calibration.mean(system, "overall")
        assert found is not None
        assert found.mean is not None
        assert (found.lower is None) == (system != "J")
        assert found.basis == ("new" if system == "J" else "fitted")
    assert calibration.fitted == tuple("ABCDEFGHI")
    assert calibration.missing == (
        "no interval for a fitted system: its own human scores are the better evidence",
    )


def test_a_metric_without_a_map_has_no_number(
    scores: dict[tuple[str, str], float],
    judgments: list[Judgment],
    rubric: Rubric,
    judged: Make,
    rated: Callable[..., Ratings],
) -> None:
    """Nor has the dimension or the overall score that it is a part of."""
    rows = [row for row in on_a_line(scores) if row[1] != "sense"]
    fitted = calibrate(judgments, rubric, rated(rows), MADE)
    results, items = applied([judged("new/a/1", m, 3) for m in METRICS], rubric, fitted)
    assert results.calibration is not None
    means = results.calibration.means["new"]
    assert {name for name, mean in means.items() if mean.mean is None} == {
        "sense",
        "talk",
        "overall",
    }
    assert means["sense"].reason == "no calibration of sense"
    assert means["fluency"].mean == pytest.approx(3)
    assert {key[3] for key in items} == {"fluency", "style"}


def test_ratings_of_a_new_system_take_over(
    scores: dict[tuple[str, str], float],
    judgments: list[Judgment],
    rubric: Rubric,
    judged: Make,
    rated: Callable[..., Ratings],
) -> None:
    """All its dialogues rated: their mean itself, whatever the map says. Without any: the map.

    Where metrics are rated in different dialogues, a dimension has no mean that fits theirs.
    """
    fitted = calibrate(judgments, rubric, rated(on_a_line(scores)), MADE)
    new = [judged(who, m, 3) for who in cells(["new"]) for m in METRICS]
    y = dict(zip(cells(["new"]), [2, 3, 4, 5, 4, 3, 2, 2, 5], strict=True))
    rows: list[Row] = [(who, "fluency", score) for who, score in y.items()]
    rows += [("A/c0/0", "fluency", 1.0), (cells(["new"])[0], "style", 4.0)]
    results, _ = applied(new, rubric, fitted, rated(rows, name="few.csv"))
    assert results.calibration is not None
    assert results.calibration.labels == "few.csv"
    means = results.calibration.means["new"]
    fluency = means["fluency"]
    assert fluency.mean == pytest.approx(30 / 9)
    assert (fluency.basis, fluency.labelled) == ("labelled", 9)
    assert fluency.lower is not None
    assert fluency.lower < 30 / 9
    assert (means["sense"].basis, means["sense"].mean) == ("new", pytest.approx(3))
    assert (means["style"].labelled, means["style"].lower) == (1, None)
    assert "fewer than 2 clusters" in means["style"].reason
    assert (means["talk"].mean, means["talk"].reason) == (
        None,
        "no dialogue has ratings of all its metrics",
    )


def test_ratings_that_are_of_no_use_are_refused(
    scores: dict[tuple[str, str], float],
    judgments: list[Judgment],
    rubric: Rubric,
    rated: Callable[..., Ratings],
) -> None:
    """Of fitted systems only, or on another scale."""
    fitted = calibrate(judgments, rubric, rated(on_a_line(scores)), MADE)
    with pytest.raises(DataError, match="whose system the calibration has not seen"):
        applied(judgments, rubric, fitted, rated(on_a_line(scores)))
    with pytest.raises(DataError, match="not that of the calibration, 1-5"):
        applied(judgments, rubric, fitted, rated([("A/c0/0", "sense", 3.0)], Scale(0, 4)))


def test_beyond_what_was_fitted_is_said(
    scores: dict[tuple[str, str], float],
    judgments: list[Judgment],
    rubric: Rubric,
    judged: Make,
    rated: Callable[..., Ratings],
) -> None:
    """A new system whose raw mean no fitted one comes near is called a guess, others are not."""
    fitted = calibrate(judgments, rubric, rated(on_a_line(scores)), MADE)
    for score, said in ((1.0, True), (3.0, False)):
        results, _ = applied([judged("new/a/1", "sense", score)], rubric, fitted)
        assert results.calibration is not None
        assert any("guess: new (sense)" in note for note in results.calibration.notes) == said


def test_other_metrics_that_are_missing_are_said(
    scores: dict[tuple[str, str], float],
    judgments: list[Judgment],
    rubric: Rubric,
    judged: Make,
    rated: Callable[..., Ratings],
) -> None:
    """Ridge reads all metrics: where one was not asked, the fit's average stands in, counted."""
    fitted = calibrate(judgments, rubric, rated(on_a_line(scores)), MADE, candidate="ridge")
    results, items = applied([judged("new/a/1", "sense", 3)], rubric, fitted)
    assert results.calibration is not None
    assert items["new", "a", "1", "sense"][0] == pytest.approx(3, abs=0.2)
    assert any(
        note.startswith("sense: 1 dialogues lack another") for note in results.calibration.notes
    )


def test_ridge_stays_on_the_scale(
    scores: dict[tuple[str, str], float],
    judgments: list[Judgment],
    rubric: Rubric,
    judged: Make,
    rated: Callable[..., Ratings],
) -> None:
    """Scores that differ by a hair carry no ridge far beyond them; a rising line goes anywhere."""
    rng = np.random.default_rng(6)
    raw = {key: 2 + 0.02 * rng.random() for key in scores}
    judgments = [judged(who, metric, score) for (who, metric), score in raw.items()]
    rows = [(who, m, 1.5 + 150 * (score - 2)) for (who, m), score in raw.items()]
    for rung, end in (("ridge", 5.0), ("linear", 301.5)):
        fitted = calibrate(judgments, rubric, rated(rows), MADE, candidate=rung)
        new = [judged("new/a/1", m, 4.0) for m in METRICS]
        score, *_ = applied(new, rubric, fitted)[1]["new", "a", "1", "sense"]
        assert score == pytest.approx(end)


# Published means


def published(scores: Mapping[tuple[str, str], float], slope: float) -> PublishedMeans:
    """SIMULATED means of six systems: a line of the judge's, and a little beside it."""
    rng = np.random.default_rng(5)
    return PublishedMeans(
        "p.csv",
        {
            s: {
                m: 2 + slope * np.mean([scores[who, m] for who in cells([s])]) + rng.normal(0, 0.02)
                for m in METRICS
            }
            for s in SYSTEMS[:6]
        },
        "f" * 64,
    )


def test_lines_to_published_means(
    scores: dict[tuple[str, str], float], judgments: list[Judgment], rubric: Rubric
) -> None:
    """The line of numpy, errors by fitting again without each system, and no word on dialogues."""
    means = published(scores, 0.5)
    fitted = calibrate_to_published(judgments, rubric, means, MADE)
    assert (fitted.kind, fitted.source, fitted.sha256) == ("published", "p.csv", "f" * 64)
    x = np.array([np.mean([scores[who, "sense"] for who in cells([s])]) for s in SYSTEMS[:6]])
    y = np.array([means.means[s]["sense"] for s in SYSTEMS[:6]])
    fit = fitted.fits["sense"]
    slope, intercept = np.polyfit(x, y, 1)
    line = fit.load()
    assert isinstance(line, Linear)
    assert (line.slope, line.intercept) == (
        pytest.approx(slope),
        pytest.approx(intercept),
    )
    left_out = [
        y[i] - np.polyval(np.polyfit(np.delete(x, i), np.delete(y, i), 1), x[i]) for i in range(6)
    ]
    assert fit.shifts == pytest.approx(dict(zip(SYSTEMS, left_out, strict=False)))
    assert fit.details["error_line"] == pytest.approx(np.abs(left_out).mean())
    results, items = applied(judgments, rubric, fitted)
    assert items == {}
    assert results.calibration is not None
    assert results.calibration.metrics[1].after == pytest.approx(np.abs(left_out).mean())
    new = results.calibration.mean("J", "sense")
    assert new is not None
    grid = np.array([scores[who, "sense"] for who in cells(["J"])]).reshape(3, 3)
    raw = grid.mean()
    off = slope * (grid - raw) / 9
    ways = [3 / 2 * np.sum(off.sum(axis=a) ** 2) for a in (0, 1)]
    variance = sum(ways) - 9 / 8 * np.sum(off**2)
    variance = variance if variance > 0 else max(ways)
    half = stats.t.ppf(0.95, 5) * math.sqrt(np.mean(np.square(left_out)) + variance)
    assert new.mean == pytest.approx(slope * raw + intercept)
    assert new.upper == pytest.approx(slope * raw + intercept + half)
    known = results.calibration.mean("A", "sense")
    assert known is not None
    assert (known.basis, known.lower) == ("fitted", None)
    assert any("Nothing is known of single dialogues" in n for n in results.calibration.notes)
    assert "Nothing is known of single dialogues" in render_html(
        results, break_down(results, judgments)
    )


def test_a_line_that_falls_is_not_used(
    scores: dict[tuple[str, str], float], judgments: list[Judgment], rubric: Rubric
) -> None:
    """Where the judge has the order of people reversed: no map, but the errors."""
    fitted = calibrate_to_published(judgments, rubric, published(scores, -0.5), MADE)
    fit = fitted.fits["style"]
    assert fit.calibrator is None
    assert fit.reason.startswith("the line does not rise")
    assert fit.details["slope"] == pytest.approx(-0.5, abs=0.2)


def test_too_few_published_means(
    scores: dict[tuple[str, str], float], judgments: list[Judgment], rubric: Rubric
) -> None:
    """Two systems make no line, a metric may lack its means, no system in common is an error."""
    means = published(scores, 0.5)
    two = replace(means, means={s: means.means[s] for s in "AB"})
    fitted = calibrate_to_published(judgments, rubric, two, MADE)
    assert fitted.fits["sense"].reason == "a line needs at least 3 systems with both means, not 2"
    some = {s: {m: v for m, v in row.items() if m != "sense"} for s, row in means.means.items()}
    fitted = calibrate_to_published(judgments, rubric, replace(means, means=some), MADE)
    assert fitted.fits["sense"].calibrator is None
    assert fitted.fits["style"].calibrator is not None
    with pytest.raises(DataError, match="has published means"):
        calibrate_to_published(
            judgments, rubric, PublishedMeans("p.csv", {"Z": {"sense": 3.0}}), MADE
        )


def test_the_shipped_means_are_those_of_the_figure(judge_data: Path) -> None:
    """Six systems, nine metrics, each as the released table has it."""
    shipped = paper_means()
    released = read_published(judge_data / "published" / "chatanime_figure1.csv")
    assert shipped.means == released.means
    assert {len(row) for row in shipped.means.values()} == {9}
    assert len(shipped.means) == 6


def test_the_table_of_the_trial_is_true(judge_data: Path) -> None:
    """Every figure of the trial in docs/calibration.md, computed again from the released scores."""
    text = (Path(__file__).parents[3] / "docs" / "calibration.md").read_text(encoding="utf-8")
    with (judge_data / "judge_pilot" / "scores.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["rubric"] == "draft2"]
    assert len(rows) == 240
    means = paper_means().means
    errors = []
    for metric in next(iter(means.values())):
        judged = [np.mean([float(r[metric]) for r in rows if r["system"] == s]) for s in means]
        line = published_line(judged, [means[s][metric] for s in means])
        of_it = (line.error_raw, line.error_shift, line.error_line, line.error_mean)
        half = stats.t.ppf(0.95, 5) * math.sqrt(np.mean(line.held_out**2))
        cells = [f"{value:.3f}".lstrip("0") for value in of_it]
        assert f"| {metric} | {' | '.join(cells)} | ±{f'{half:.2f}'.lstrip('0')} |" in text
        errors.append(of_it)
    cells = [f"{value:.3f}".lstrip("0") for value in np.mean(errors, axis=0)]
    assert f"| mean | {' | '.join(cells)} | |" in text
