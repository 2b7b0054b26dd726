"""Figures others have published of their ratings, from the ratings they released."""

from __future__ import annotations

import csv
import gzip
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from calibration.agreement.correlation import kendall_b, pearson, spearman, tie_codes
from calibration.agreement.levels import level_correlations
from calibration.agreement.raters import krippendorff_alpha

Row = dict[str, str]


@pytest.fixture(scope="module")
def expected(judge_data: Path) -> dict[str, Any]:
    return dict(json.loads((judge_data / "human_ratings" / "expected.json").read_text("utf-8")))


def _rows(folder: Path, name: str) -> list[Row]:
    with gzip.open(folder / "human_ratings" / f"{name}.csv.gz", "rt", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_empathic_communication(judge_data: Path, expected: dict[str, Any]) -> None:
    """84 correlations of annotators to two decimals, 21 alphas of three experts to three."""
    published = expected["empathic_comm"]
    scores: dict[tuple[str, str], dict[tuple[str, str], float]] = defaultdict(dict)
    for row in _rows(judge_data, "empathic_comm"):
        scores[row["dimension"], row["rater"]][row["system"], row["item"]] = float(row["score"])
    for case in published["spearman"]:
        a, b = scores[case["dimension"], case["a"]], scores[case["dimension"], case["b"]]
        shared = [key for key in a if key in b and key[0] == case["dataset"]]
        found = spearman([a[key] for key in shared], [b[key] for key in shared]).value
        assert found == pytest.approx(case["spearman"], abs=published["tolerance"]["spearman"])
    for dimension, alpha in published["alpha_interval_experts"].items():
        experts = [scores[dimension, f"expert{k}"] for k in (1, 2, 3)]
        score = [value for expert in experts for value in expert.values()]
        cell = ["/".join(key) for expert in experts for key in expert]
        found = krippendorff_alpha(score, cell).value
        assert found == pytest.approx(alpha, abs=published["tolerance"]["alpha"])
    assert len(published["spearman"]) == 84
    assert len(published["alpha_interval_experts"]) == 21


def test_stories_at_the_level_of_systems(judge_data: Path, expected: dict[str, Any]) -> None:
    """360 correlations of ten systems' means, 72 measures by 5 dimensions, to five decimals.

    The publication ranks two systems apart that have the same sum of "Complexity", 718 over 96
    stories: there, and only there, the means differ in their last bit. Here they tie.
    """
    published = expected["hanna_metrics"]
    table: dict[str, dict[tuple[str, str], float]] = defaultdict(dict)
    for row in _rows(judge_data, "hanna_metrics"):
        if row["system"] != "Human":
            table[row["measure"]][row["system"], row["item"]] = float(row["score"])
    where = list(table["Relevance"])
    system, item = ([key[side] for key in where] for side in (0, 1))
    checked = 0
    for measure, by_dimension in published["values"].items():
        judge = [table[measure][key] for key in where]
        for dimension, rho in by_dimension.items():
            human = [table[dimension.capitalize()][key] for key in where]
            found = abs(level_correlations(judge, human, system, item).systems.value)
            assert found == pytest.approx(rho, abs=published["tolerance"])
            checked += 1
    assert checked == 360
    sums: dict[str, float] = defaultdict(float)
    for (name, _), score in table["Complexity"].items():
        sums[name] += score
    assert sums["GPT"] != sums["TD-VAE"]
    codes = dict(zip(sums, tie_codes([total / 96 for total in sums.values()]), strict=True))
    assert codes["GPT"] == codes["TD-VAE"]


def test_topical_chat(judge_data: Path, expected: dict[str, Any]) -> None:
    """Pearson and Spearman of one judge in six dimensions, to three decimals."""
    published = expected["topical_chat"]
    sides: dict[tuple[str, str], dict[tuple[str, str], float]] = defaultdict(dict)
    for row in _rows(judge_data, "topical_chat"):
        key = (row["system"], row["item"])
        sides[row["dimension"], row["rater_type"]][key] = float(row["score"])
    for dimension, values in published["values"].items():
        human, judge = sides[dimension, "human"], sides[dimension, "judge"]
        pair = [judge[key] for key in human], list(human.values())
        assert pearson(*pair).value == pytest.approx(values["pearson"], abs=published["tolerance"])
        assert spearman(*pair).value == pytest.approx(
            values["spearman"], abs=published["tolerance"]
        )


def test_llm_rubric(judge_data: Path, expected: dict[str, Any]) -> None:
    """Pearson, Spearman and Kendall of expected and most probable scores, 223 dialogues."""
    published = expected["llm_rubric"]
    asked = [
        row
        for row in _rows(judge_data, "llm_rubric_judge_probs")
        if (row["split"], row["criterion"]) == ("real", "Q0")
    ]
    rated = {
        row["item"]: float(row["score"])
        for row in _rows(judge_data, "llm_rubric_human")
        if (row["split"], row["criterion"]) == ("real", "Q0")
    }
    asked = [row for row in asked if row["item"] in rated]
    human = [rated[row["item"]] for row in asked]
    p = np.array([[float(row[f"p{k}"]) for k in (1, 2, 3, 4)] for row in asked])
    scores = {"expected": p @ [1, 2, 3, 4] / p.sum(axis=1), "argmax": p.argmax(axis=1) + 1}
    assert len(human) == 223
    for name, judge in scores.items():
        values = published["values"][name]
        for coefficient in (pearson, spearman, kendall_b):
            key = coefficient.__name__.removesuffix("_b")
            if key in values:
                found = coefficient(judge, human).value
                assert found == pytest.approx(values[key], abs=published["tolerance"])
