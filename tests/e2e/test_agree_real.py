"""Figures that others published of public ratings, by the commands that docs/agreement.md shows.

Skipped where the released data are absent. `calibrated_by_its_authors` of LLM-Rubric is left out:
the predictions of their network were not released, only its two correlations.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.e2e.conftest import Program

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "agreement.md"

Agree = Callable[[str], dict[str, Any]]

EXPERTS = (
    "judge agree --table empathic_comm.csv.gz --judge gemini --where rater_type!=crowd "
    "--annotators expert"
)
HANNA_METRICS = (
    "judge agree --table hanna_metrics.csv.gz --where system!=Human "
    "--people Relevance,Coherence,Empathy,Surprise,Engagement,Complexity"
)
LLM_RUBRIC = (
    "judge agree --table llm_rubric_human.csv.gz --table llm_rubric_judge_probs.csv.gz "
    "--where split=real --alias criterion=dimension --metrics Q0"
)


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


@pytest.fixture
def agree(folder: Path, judge: Program) -> Agree:
    """The JSON of a command of the document, without resamples, where the released files are."""
    for file in folder.glob("*.gz"):
        (judge.folder / file.name).symlink_to(file.resolve())
    shown = DOCUMENT.read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    commands = {" ".join(line.split()) for line in shown}

    def run(command: str) -> dict[str, Any]:
        assert command in commands, "the document shows another"
        done = judge(*shlex.split(command)[1:], "--json", "--resamples", 0)
        found: dict[str, Any] = json.loads(done.out)
        agreement: dict[str, Any] = found.get("agreement", found)
        return agreement

    return run


def measures(agreement: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {measure["name"]: measure for measure in agreement["measures"]}


def over_all(measure: dict[str, Any], coefficient: str) -> float:
    value: float = measure["levels"][coefficient]["all"]["value"]
    return value


def test_empathic_pairs(agree: Agree, expected: dict[str, Any]) -> None:
    """84 pairs of experts, of crowd and Gemini: rho of 50 conversations each, to two decimals."""
    published = expected["empathic_comm"]
    found = {
        (pair["measure"], *sorted((pair["first"], pair["second"]))): pair["spearman"]
        for pair in agree("judge agree --table empathic_comm.csv.gz --judge gemini")["pairs"]
    }
    assert len(published["spearman"]) == 84
    for row in published["spearman"]:
        pair = found[row["dimension"], *sorted((row["a"], row["b"]))]
        assert pair["n"] == 50
        assert pair["value"] == pytest.approx(
            row["spearman"], abs=published["tolerance"]["spearman"]
        ), row


def test_empathic_alphas(agree: Agree, expected: dict[str, Any]) -> None:
    """21 dimensions: Krippendorff's alpha of the three experts, without the crowd."""
    published = expected["empathic_comm"]
    found = measures(agree(EXPERTS))
    wanted = published["alpha_interval_experts"]
    assert len(wanted) == 21
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        assert found[name]["alpha_human"]["value"] == pytest.approx(
            value, abs=published["tolerance"]["alpha"]
        ), name


def test_hanna_metrics(agree: Agree, expected: dict[str, Any]) -> None:
    """72 measures, 5 dimensions: |rho| of the means of 10 systems (Chhun et al. 2022)."""
    published = expected["hanna_metrics"]
    wanted = {
        (judge, dimension): value
        for judge, values in published["values"].items()
        for dimension, value in values.items()
    }
    found = {
        (row["judge"], row["dimension"].casefold()): row["levels"]["spearman"]["systems"]
        for row in agree(HANNA_METRICS)["judges"]
    }
    assert len(wanted) == 360
    assert found.keys() >= wanted.keys()
    for key, value in wanted.items():
        assert found[key]["n"] == 10
        assert abs(found[key]["value"]) == pytest.approx(value, abs=published["tolerance"]), key


@pytest.mark.parametrize(("point", "option"), [("expected", ""), ("argmax", " --point argmax")])
def test_llm_rubric(agree: Agree, expected: dict[str, Any], point: str, option: str) -> None:
    """GPT-3.5's probabilities, uncalibrated, of 223 real dialogues (Hashemi et al. 2024)."""
    published = expected["llm_rubric"]
    measure = measures(agree(LLM_RUBRIC + option))["Q0"]
    found = {
        "rmse": measure["rmse"]["value"],
        "pearson": over_all(measure, "pearson"),
        "spearman": over_all(measure, "spearman"),
        "kendall": over_all(measure, "kendall_b"),
    }
    assert measure["n"] == 223
    for name, value in published["values"][point].items():
        assert found[name] == pytest.approx(value, abs=published["tolerance"]), name


def test_topical_chat(agree: Agree, expected: dict[str, Any]) -> None:
    """UniEval against the mean of three people: 360 replies, 12 figures (Zhong et al. 2022)."""
    published = expected["topical_chat"]
    found = measures(agree("judge agree --table topical_chat.csv.gz"))
    assert found.keys() == published["values"].keys()
    for name, values in published["values"].items():
        assert found[name]["n"] == values["n"]
        for coefficient in ("pearson", "spearman"):
            assert over_all(found[name], coefficient) == pytest.approx(
                values[coefficient], abs=published["tolerance"]
            ), name


def test_hanna(agree: Agree) -> None:
    """1,056 stories, 3 ratings each, by 16 judges and prompts; a story is a system on a prompt."""
    listed = agree("judge agree --table hanna.csv.gz")["judges"]
    assert len({row["judge"] for row in listed}) == 16
    found = agree("judge agree --table hanna.csv.gz --judge ChatGPT-prompt1")
    assert (found["systems"], found["items"], found["ratings"]) == (11, 96, 1056 * 6 * 3)
    assert {measure["n"] for measure in found["measures"]} == {1056}
    of = {row["dimension"]: row for row in listed if row["judge"] == "ChatGPT-prompt1"}
    for name, measure in measures(found).items():
        for level, figure in measure["levels"]["spearman"].items():
            listed_as = of[name]["levels"]["spearman"][level]["value"]
            assert figure["value"] == pytest.approx(listed_as, abs=1e-12)
    share = {name: measure["ceiling"]["share"] for name, measure in measures(found).items()}
    # Raters of .01 and -.10 with the rest: a judge of .24 is no 1872% of that.
    assert (share["Surprise"], share["Coherence"]) == (None, None)
    # One rater's rho with the rest is .32; a judge of .42 is no 132% of what can be reached.
    assert 0.6 < share["Complexity"] < 0.8
