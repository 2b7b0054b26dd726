"""Figures that others published of public ratings, through the tables as a user would name them.

`calibrated_by_its_authors` of LLM-Rubric is left out: the predictions of their network were not
released, only its two correlations.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from judge.analysis.agreement.from_table import overview, scores_from_table, table_judges
from judge.analysis.agreement.judge_agreement import agree
from judge.ratings import Point, read_judged_table


@pytest.fixture(scope="module")
def folder(judge_data: Path) -> Path:
    path = judge_data / "human_ratings"
    if not (path / "expected.json").is_file():
        pytest.skip(f"no {path / 'expected.json'}; set JUDGE_DATA to the folder that has it")
    return path


@pytest.fixture(scope="module")
def expected(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
    return found


def test_hanna_metrics(folder: Path, expected: dict[str, Any]) -> None:
    """72 measures, 5 dimensions: |rho| of the means of 10 systems (Chhun et al. 2022)."""
    people = ("Relevance", "Coherence", "Empathy", "Surprise", "Engagement", "Complexity")
    tidy = read_judged_table(
        [folder / "hanna_metrics.csv.gz"], people=people, where=[("system!", "Human")]
    )
    published = expected["hanna_metrics"]
    found = {
        (row.judge, row.dimension.casefold()): row.levels["spearman"]["systems"]
        for row in overview(tidy, metrics=people[:5], coefficients=["spearman"])
    }
    wanted = {
        (judge, dimension): value
        for judge, values in published["values"].items()
        for dimension, value in values.items()
    }
    assert len(wanted) == 360
    assert found.keys() == wanted.keys()
    for key, value in wanted.items():
        assert found[key].n == 10
        assert found[key].value is not None
        assert abs(found[key].value or 0) == pytest.approx(value, abs=published["tolerance"]), key


def test_empathic_pairs(folder: Path, expected: dict[str, Any]) -> None:
    """84 pairs of experts, of crowd and judge: rho of 50 conversations each, to two decimals."""
    published = expected["empathic_comm"]
    tidy = read_judged_table([folder / "empathic_comm.csv.gz"])
    found = {
        (pair.measure, *sorted((pair.first, pair.second))): pair.spearman.value
        for pair in agree(scores_from_table(tidy, "gemini"), resamples=0).pairs
    }
    assert len(published["spearman"]) == 84
    for row in published["spearman"]:
        key = (row["dimension"], *sorted((row["a"], row["b"])))
        assert found[key] == pytest.approx(
            row["spearman"], abs=published["tolerance"]["spearman"]
        ), key


def test_empathic_alphas(folder: Path, expected: dict[str, Any]) -> None:
    """21 dimensions: Krippendorff's alpha of the three experts, without the crowd."""
    published = expected["empathic_comm"]
    tidy = read_judged_table([folder / "empathic_comm.csv.gz"], where=[("rater_type!", "crowd")])
    found = agree(scores_from_table(tidy, "gemini"), resamples=0)
    wanted = published["alpha_interval_experts"]
    assert len(wanted) == 21
    assert {measure.name for measure in found.measures} == wanted.keys()
    for name, value in wanted.items():
        alpha = found.measure(name).alpha_human
        assert alpha.value == pytest.approx(value, abs=published["tolerance"]["alpha"]), name


@pytest.mark.parametrize("point", ["expected", "argmax"])
def test_llm_rubric(folder: Path, expected: dict[str, Any], point: Point) -> None:
    """GPT-3.5's probabilities, uncalibrated, of 223 real dialogues (Hashemi et al. 2024)."""
    published = expected["llm_rubric"]
    names = ("llm_rubric_human.csv.gz", "llm_rubric_judge_probs.csv.gz")
    tidy = read_judged_table(
        [folder / name for name in names], where=[("split", "real")], point=point
    )
    (judge,) = table_judges(tidy)
    measure = agree(scores_from_table(tidy, judge, metrics=["Q0"]), resamples=0).measure("Q0")
    found = {
        "rmse": measure.rmse,
        "pearson": measure.levels["pearson"]["all"],
        "spearman": measure.levels["spearman"]["all"],
        "kendall": measure.levels["kendall_b"]["all"],
    }
    assert measure.n == 223
    for name, value in published["values"][point].items():
        assert found[name].value == pytest.approx(value, abs=published["tolerance"]), name


def test_topical_chat(folder: Path, expected: dict[str, Any]) -> None:
    """UniEval against the mean of three people, 360 replies, 6 dimensions (Zhong et al. 2022)."""
    published = expected["topical_chat"]
    tidy = read_judged_table([folder / "topical_chat.csv.gz"])
    found = agree(scores_from_table(tidy, "unieval"), resamples=0)
    assert {measure.name for measure in found.measures} == published["values"].keys()
    for name, values in published["values"].items():
        measure = found.measure(name)
        assert measure.n == values["n"]
        for coefficient in ("pearson", "spearman"):
            value = measure.levels[coefficient]["all"].value  # type: ignore[index]
            assert value == pytest.approx(values[coefficient], abs=published["tolerance"]), name


def test_hanna(folder: Path) -> None:
    """1,056 stories, 3 ratings each, 16 judges: items are prompts that 11 systems answered."""
    tidy = read_judged_table([folder / "hanna.csv.gz"])
    observed = scores_from_table(tidy, "ChatGPT-prompt1")
    assert len(table_judges(tidy)) == 16
    assert observed.score.shape == (1056, 6)
    assert len(observed.rating) == 1056 * 6 * 3
    assert not observed.notes
    row = overview(tidy, judges=["ChatGPT-prompt1"], metrics=["Coherence"])[0]
    figure = row.levels["spearman"]["within_item"]
    assert figure.groups + figure.undefined == 96
