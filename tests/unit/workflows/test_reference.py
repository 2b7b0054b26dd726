"""The reference judgments: what ships, which dialogues they are of, what reports say of them."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.stats import spearmanr

import judge
from judge.cli.main import cli
from judge.dialogues import read_dialogues
from judge.errors import DataError, UsageError
from judge.ratings.reference import (
    FITTED_NOTE,
    REFERENCE_NOTE,
    REFERENCE_RUBRIC_HASH,
    reference_dialogues,
)
from judge.rubric import load_rubric, new_set
from judge.types import Turn

FILE = Path(judge.__file__).parent / "embedded" / "reference.csv"
TWICE = {
    "fluency": 0.93,
    "coherency": 0.86,
    "consistency": 0.58,
    "character_knowledge": 0.94,
    "speech_style": 0.96,
    "behavioral_habit": 0.96,
    "emotional_value": 0.97,
    "experience_sharing": 0.98,
    "demand_matching": 0.96,
}
"""Spearman of the two readings, as published with the reference by those who made it."""


def rows() -> list[dict[str, str]]:
    with FILE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def spearman(first: list[float], second: list[float]) -> float:
    """Of scipy, for which scores that differ by rounding errors alone would be no ties."""
    return float(spearmanr(np.round(first, 8), np.round(second, 8)).statistic)


@pytest.fixture(scope="module")
def run(judge_data: Path, tmp_path_factory: pytest.TempPathFactory) -> judge.Evaluation:
    """The reference dialogues, judged by `mock`, which has learnt from nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUDGE_DATA", str(judge_data))
        out = tmp_path_factory.mktemp("run")
        return judge.evaluate("reference", judge="mock", rubric="tiny", out=out)


def test_what_ships() -> None:
    """11 systems x 20 characters x 2 scenarios, 110 of them twice, by the rubric it names."""
    first = [row for row in rows() if row["rater"] == "reading 1"]
    assert len(first) == 440
    assert len(rows()) == 550
    assert len({row["system"] for row in first}) == 11
    assert len({(row["character"], row["scenario"]) for row in first}) == 40
    assert load_rubric("esrp@1.1.0", language="zh").rubric.hash == REFERENCE_RUBRIC_HASH
    assert all(1 <= float(row[metric]) <= 5 for row in rows() for metric in TWICE)


def test_just_its_dialogues_are_judged(run: judge.Evaluation) -> None:
    """Each of them once, on every metric."""
    judged = {(j.system, j.character, j.scenario) for j in run.run.judgments}
    assert judged == {(row["system"], row["character"], row["scenario"]) for row in rows()}
    assert len(run.run.judgments) == 440 * 9


def test_the_numbers_are_those_of_scipy(run: judge.Evaluation) -> None:
    """Over all, within items and over systems, against plain loops over the file."""
    found = run.results.reference
    assert found is not None
    assert (found.dialogues, found.systems, found.of, found.read_twice) == (440, 11, 440, 110)
    assert not found.same_rubric
    readings: dict[tuple[str, ...], list[float]] = defaultdict(list)
    for row in rows():
        for metric in TWICE:
            readings[row["system"], row["character"], row["scenario"], metric].append(
                float(row[metric])
            )
    of_measure = {row.measure: row for row in found.measures}
    for metric, published in TWICE.items():
        pairs = [
            (j.system, (j.character, j.scenario), j.score, round(float(np.mean(readings[key])), 6))
            for j in run.run.judgments
            if j.metric == metric
            and (key := (j.system, j.character, j.scenario, metric)) in readings
        ]
        of_system, of_item = defaultdict(list), defaultdict(list)
        for system, item, score, reference in pairs:
            of_system[system].append((score, reference))
            of_item[item].append((score, reference))
        row = of_measure[metric]
        assert row.n == 440
        over_all = spearman([p[2] for p in pairs], [float(p[3]) for p in pairs])
        assert row.over_all.value == pytest.approx(over_all, abs=1e-4)
        within = np.mean([spearman(*map(list, zip(*v, strict=True))) for v in of_item.values()])
        assert row.within_item.value == pytest.approx(within, abs=1e-4)
        means = np.array([np.mean(v, axis=0) for v in of_system.values()])
        assert row.systems.value == pytest.approx(spearman(*means.T.tolist()), abs=1e-4)
        for rho in (row.over_all, row.within_item, row.systems):
            assert rho.lower is not None
            assert rho.value is not None
            assert rho.upper is not None
            assert rho.lower < rho.value < rho.upper
        twice = [values for key, values in readings.items() if key[3] == metric and values[1:]]
        own = spearman(*map(list, zip(*twice, strict=True)))
        assert row.readings_all.value == pytest.approx(own, abs=1e-4)
        assert row.readings_all.value == pytest.approx(published, abs=0.006)


def test_page_and_results_say_what_it_is(run: judge.Evaluation) -> None:
    """In words, before the first table: a strong LLM, not people."""
    page = run.page.read_text(encoding="utf-8")
    head = page[: page.index("<table")]
    assert "a strong LLM" in head
    assert "not people" in head
    assert "with the rubric esrp 1.1.0 zh" in page
    assert "This judge scored 440 of them with the rubric tiny 1.0.0 zh." in page
    stored = json.loads((run.folder / "results.json").read_text(encoding="utf-8"))
    assert stored["reference"]["of"] == 440


def test_a_judge_that_was_fitted_to_it_is_not_held_against_it(
    judge_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`lexical` has seen these scores: no agreement is given, which is said, or refused."""
    monkeypatch.setenv("JUDGE_DATA", str(judge_data))
    fitted = judge.evaluate("reference", judge="lexical", limit=11, out=tmp_path / "run")
    assert fitted.results.reference is None
    page = fitted.page.read_text(encoding="utf-8")
    head = page[: page.index("<table")]  # where a note of two sentences is folded after the first
    assert all(sentence in head for sentence in FITTED_NOTE.split(". "))
    with pytest.raises(UsageError, match="lexical was fitted to the reference judgments"):
        judge.agree(fitted.folder, "reference", resamples=0, out=tmp_path / "agreement")


def test_another_text_of_the_same_name_is_not_taken_for_it(judge_data: Path) -> None:
    """One character more in one answer, and the dialogue is nobody's."""
    dialogues = read_dialogues(judge_data / "chatanime").dialogues
    held = reference_dialogues(dialogues)
    assert len(held) == 440
    last = held[0].turns[-1]
    other = replace(held[0], turns=(*held[0].turns[:-1], Turn(last.question, last.answer + "。")))
    assert reference_dialogues([other, held[1]]) == (held[1],)


def test_agree_names_it_on_every_page(run: judge.Evaluation, tmp_path: Path) -> None:
    """The page, the LaTeX and the CSV say that it is not people, and the numbers are the same."""
    found = judge.agree(run.folder, "reference", resamples=0, out=tmp_path)
    assert isinstance(found, judge.AgreementReport)
    assert found.agreement.reference
    assert found.agreement.notes[0] == REFERENCE_NOTE
    assert "strong LLM: not people" in found.page.read_text(encoding="utf-8")
    assert "strong LLM: not people" in found.tex.read_text(encoding="utf-8")
    frame = found.to_frame()
    assert set(frame["ratings"]) == {"reference"}
    brief = run.results.reference
    assert brief is not None
    for row in brief.measures:
        whole = found.agreement.measure(row.measure).spearman
        assert row.over_all.value == whole["all"].value
        assert row.within_item.value == whole["within_item"].value


def test_a_rubric_of_other_metrics_has_none_of_it(judge_data: Path, tmp_path: Path) -> None:
    """The run is reported without it, and `agree` says why there is nothing to compare."""
    new_set(tmp_path / "mine")
    read = judge.read_dialogues(judge_data / "chatanime" / "human.json").dialogues
    held = reference_dialogues(read)[:2]
    done = judge.evaluate(held, judge="mock", rubric=tmp_path / "mine", out=tmp_path / "run")
    assert done.results.reference is None
    with pytest.raises(UsageError, match="none of the metrics of the rubric mine"):
        judge.agree(done.folder, "reference")


def test_a_run_of_other_dialogues_has_none_of_it(tmp_path: Path) -> None:
    """No word of the reference in its report, and `agree` says how to get a run that has it."""
    demo = Path(__file__).parents[3] / "scripts" / "demo_dialogues"
    done = judge.evaluate(demo, judge="lexical", limit=4, out=tmp_path / "run")
    assert done.results.reference is None
    assert "reference judgments" not in done.page.read_text(encoding="utf-8")
    with pytest.raises(UsageError, match="holds none of the public dialogues") as caught:
        judge.agree(done.folder, "reference")
    assert "judge eval --model reference" in caught.value.hint
    words = ["agree", str(done.folder), "--ratings", "reference"]  # which is no file
    with pytest.raises(UsageError, match="holds none of the public dialogues"):
        CliRunner().invoke(cli, words, catch_exceptions=False, standalone_mode=False)


def test_without_the_public_dialogues(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder is named, and the command that fills it; so is a folder that lacks some."""
    monkeypatch.setenv("JUDGE_DATA", str(tmp_path))
    with pytest.raises(DataError, match="they are not there") as caught:
        judge.evaluate("reference", judge="lexical", out=tmp_path / "run")
    assert "judge data fetch" in caught.value.hint
    (tmp_path / "chatanime").mkdir()
    talk = {
        "dialog_id": 1,
        **{f"{what}_r{n}": "x" for n in (1, 2) for what in ("question", "answer")},
    }
    (tmp_path / "chatanime" / "gpt-4.1.json").write_text(json.dumps({"某人": [talk]}))
    with pytest.raises(DataError, match="holds 0 of the 440 dialogues"):
        judge.evaluate("reference", judge="lexical", out=tmp_path / "run")
