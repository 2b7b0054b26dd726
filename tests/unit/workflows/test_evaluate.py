"""The workflows as Python functions: what they take, what they give back, what they say."""

from __future__ import annotations

import json
import logging
import math
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

import judge
from judge.errors import DataError, RunMismatchError, UsageError
from judge.rubric import new_set
from judge.types import Failure
from judge.workflows.evaluate import plan_evaluation
from judge.workflows.inputs import RatingsFile, dialogue_lines
from judge.workflows.opening import PlayKeywords, PlayOptions
from judge.workflows.report import compare, report
from tests.unit.engines.small import shared_model
from tests.unit.roleplay.wire import serving

DEMO = Path(__file__).parents[3] / "scripts" / "demo_dialogues"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JUDGE_DATA", "no-data")


@pytest.fixture
def demo(tmp_path: Path) -> judge.Evaluation:
    """The demo dialogues, judged."""
    return judge.evaluate(DEMO, judge="lexical", out=tmp_path / "demo")


def ratings_of(run: judge.StoredRun, metric: str = "fluency") -> pd.DataFrame:
    """Two raters who say what the judge says, rounded; one of them a little later."""
    rng = np.random.default_rng(0)
    rows = [
        (j.system, j.character, j.scenario, metric, rater, min(5, round(j.score or 1) + more))
        for j in run.judgments
        if j.metric == metric
        for rater, more in (("a", 0), ("b", int(rng.integers(0, 2))))
    ]
    return pd.DataFrame(
        rows, columns=["system", "character", "scenario", "metric", "rater", "score"]
    )


def test_the_frame_has_the_numbers_of_the_report(demo: judge.Evaluation) -> None:
    """Each system and measure once, and each number that of results.json."""
    frame = demo.to_frame().set_index(["system", "measure"])
    stored = json.loads((demo.folder / "results.json").read_text(encoding="utf-8"))
    assert len(frame) == sum(len(system["measures"]) for system in stored["systems"])
    for system in stored["systems"]:
        for name, measure in system["measures"].items():
            row = frame.loc[(system["system"], name)]
            assert (row["mean"], row["n"]) == (measure["mean"], measure["n"])
            assert row["standard_error"] == pytest.approx(measure["standard_error"])
    assert demo.complete
    assert len(repr(demo)) < 200
    assert "warm-friend" in demo._repr_html_()


def test_dialogues_of_every_kind_give_the_same_scores(demo: judge.Evaluation) -> None:
    """A folder, its files, the dialogues as objects, and as a table in memory."""
    read = judge.read_dialogues(DEMO)
    Path("table.jsonl").write_text(dialogue_lines(read.dialogues), encoding="utf-8")
    table = pd.read_json("table.jsonl", lines=True)
    expected = demo.run.to_frame()
    for number, source in enumerate(
        [sorted(DEMO.glob("*.json")), list(read.dialogues), read, table, "table.jsonl"]
    ):
        found = judge.evaluate(source, judge="lexical", out=f"run{number}")
        pd.testing.assert_frame_equal(found.run.to_frame(), expected)
        assert found.run.manifest.data.keys() == {"warm-friend", "stiff-bot"}


def test_what_is_in_memory_is_known_again() -> None:
    """The same dialogues have the same digest, others another; the default folder has a name."""
    dialogues = list(judge.read_dialogues(DEMO).dialogues)[:2]
    first = judge.evaluate(dialogues, judge="mock")
    assert first.folder == Path("runs/dialogues-mock")
    assert (first.made, judge.evaluate(dialogues, judge="mock").made) == (18, 0)


def test_a_run_belongs_to_the_version_of_its_rubric() -> None:
    """It is continued under the version's own name, and refuses another version."""
    dialogues = list(judge.read_dialogues(DEMO).dialogues)[:2]
    first = judge.evaluate(dialogues, judge="mock")
    version = first.run.manifest.rubric.version
    named = judge.evaluate(dialogues, judge="mock", rubric=f"esrp@{version}")
    assert (named.folder, named.made, named.reused) == (first.folder, 0, 18)
    with pytest.raises(RunMismatchError, match=rf"the rubric esrp {version} .*, not .* esrp 1\.2"):
        judge.evaluate(dialogues, judge="mock", rubric="esrp@1.2.0")


def test_a_judge_scores_in_memory_as_in_a_run(demo: judge.Evaluation) -> None:
    """The numbers are the same to the last bit, in the order of the dialogues."""
    dialogues = judge.read_dialogues(DEMO).dialogues
    with judge.Judge("lexical") as lexical:
        scores = lexical.score(dialogues)
        few = lexical.score(dialogues[3:5], metrics=["coherency"])
    by_name = ["system", "character", "scenario", "metric"]
    expected = demo.run.to_frame().set_index(by_name).sort_index()
    pd.testing.assert_frame_equal(scores.to_frame().set_index(by_name).sort_index(), expected)
    assert [j.scenario for j in few.judgments] == [d.scenario for d in dialogues[3:5]]
    assert (few.failed, few.judge, repr(lexical)) == (
        0,
        "lexical",
        "Judge('lexical', rubric tiny zh)",
    )
    assert "coherency" in few._repr_html_()


def test_a_reply_that_cannot_be_judged() -> None:
    """It is a row without a number and with its reason."""
    empty = judge.Dialogue("bot", "路飞", "1", (judge.Turn("累了。", ""),))
    scores = judge.Judge("mock").score([empty])
    assert scores.failed == 9
    assert all(isinstance(j.outcome, Failure) for j in scores.judgments)
    frame = scores.to_frame()
    assert frame["score"].isna().all()
    assert set(frame["status"]) == {"empty_reply"}


def test_an_open_judge_can_evaluate() -> None:
    """It has its rubric and options already: giving them again is refused."""
    mock = judge.Judge("mock", rubric="tiny", seed=3)
    done = judge.evaluate(DEMO, judge=mock, limit=2)
    assert done.run.manifest.rubric.name == "tiny"
    assert done.run.manifest.judge["seed"] == "3"
    for more in ({"rubric": "esrp"}, {"language": "en"}, {"rationale": True}, {"seed": 1}):
        with pytest.raises(UsageError, match="an open judge has its rubric"):
            judge.evaluate(DEMO, judge=mock, **more)  # type: ignore[arg-type]


def test_nothing_is_printed(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Notes go to the logger `judge`, progress to the callback, and nothing to the terminal."""
    steps: list[tuple[str, int, int]] = []
    with caplog.at_level(logging.INFO, logger="judge"):
        judge.evaluate(DEMO, judge="lexical", limit=2, progress=lambda *step: steps.append(step))
    assert capfd.readouterr() == ("", "")
    assert any("18 judgments made" in message for message in caplog.messages)
    assert all(record.name.startswith("judge.") for record in caplog.records)
    assert (steps[0], steps[-1]) == (("judging", 0, 18), ("judging", 18, 18))


def test_mistakes_in_the_call() -> None:
    """An unknown keyword is Python's error; options of playing mean nothing to what is recorded."""
    with pytest.raises(TypeError, match="there is no option temprature"):
        judge.evaluate(DEMO, judge="lexical", temprature=1)  # type: ignore[call-arg]
    with pytest.raises(UsageError, match="--play-lang goes with a model that plays"):
        judge.evaluate(DEMO, judge="lexical", play_language="zh")
    with pytest.raises(UsageError, match="neither a model folder"):
        judge.generate("answers.json")
    with pytest.raises(DataError, match="no-file"):
        judge.read_ratings("no-file.csv")
    with pytest.raises(UsageError, match="--ratings or --published"):
        judge.calibrate("run")


def test_the_keywords_of_playing_are_its_options() -> None:
    """The typed keywords and the settings with their defaults are one list."""
    assert PlayKeywords.__annotations__.keys() == PlayOptions.__dataclass_fields__.keys()


def test_a_plan_asks_nothing() -> None:
    """Dialogues and prompts are counted, and no folder is made."""
    plan = plan_evaluation(DEMO, judge="lexical", limit=5, metrics=["fluency", "coherency"])
    assert (plan.judge, plan.dialogues, plan.prompts, plan.tokens) == ("lexical", 5, 10, None)
    assert not Path("runs").exists()


def test_ratings_of_every_kind_give_the_same_agreement(demo: judge.Evaluation) -> None:
    """A DataFrame, its file, the file with how to read it, and ratings that were read before."""
    frame = ratings_of(demo.run)
    frame.to_csv("ratings.csv", index=False)
    given = {"metrics": ["fluency"], "resamples": 0}
    of_frame = judge.agree(demo.folder, frame, **given, out="of-frame")  # type: ignore[arg-type]
    assert isinstance(of_frame, judge.AgreementReport)
    expected = of_frame.to_frame()
    for source in ("ratings.csv", judge.RatingsFile("ratings.csv", scale="1-5"),
                   judge.read_ratings("ratings.csv")):  # fmt: skip
        other = judge.agree(demo.folder, source, **given, out="other")  # type: ignore[arg-type]
        pd.testing.assert_frame_equal(other.to_frame(), expected)
    rho = expected.query(
        "statistic == 'spearman' and scorer == 'judge' and level == 'all' and subject == ''"
    )
    found = of_frame.agreement.measures[0].spearman["all"].value
    assert found is not None
    assert rho["value"].tolist() == [found]
    assert "Spearman" in of_frame._repr_html_()


def test_two_judges_are_compared(demo: judge.Evaluation) -> None:
    """By their two run folders; each row is one of the comparison's."""
    other = judge.evaluate(DEMO, judge="mock", rubric="tiny", out="mock")
    found = judge.agree([demo.folder, other.folder], ratings_of(demo.run), out="two")
    assert isinstance(found, judge.JudgeComparison)
    frame = found.to_frame()
    assert len(frame) == len(found.comparisons.rows) > 0
    assert "first: lexical" in found._repr_html_()


def test_a_table_of_judges() -> None:
    """One that names no judge lists them all, with the levels that a row has."""
    rng = np.random.default_rng(1)
    rows = [
        {"item": f"i{i}", "system": s, "dimension": "d", "rater": rater, "rater_type": kind,
         "score": int(rng.integers(1, 6))}
        for i in range(8) for s in "xyz"
        for rater, kind in (("p", "human"), ("j1", "llm"), ("j2", "llm"))
    ]  # fmt: skip
    table = pd.DataFrame(rows)
    found = judge.agree(table=table)
    assert isinstance(found, judge.JudgeList)
    frame = found.to_frame()
    assert frame["judge"].tolist() == ["j1", "j2"]
    value = found.rows[0].levels["spearman"]["all"].value
    assert value is not None
    assert math.isclose(frame["spearman_all"].iloc[0], value)
    one = judge.agree(table=table, judges=["j1"], resamples=0)
    assert isinstance(one, judge.AgreementReport)
    assert one.page == Path("agreement-j1/agreement.html")


def test_no_map_is_chosen_where_the_judge_adds_nothing(demo: judge.Evaluation) -> None:
    """Ratings that do not follow the judge: the frame marks no candidate, as the file has none."""
    ratings = ratings_of(demo.run, "fluency")
    ratings["score"] = [1 + row * 7919 % 5 for row in range(len(ratings))]
    fit = judge.calibrate(demo.folder, ratings, metrics=["fluency"])
    assert fit.calibration.fits["fluency"].calibrator is None
    assert not fit.to_frame()["chosen"].any()


def test_a_calibration_goes_round(demo: judge.Evaluation) -> None:
    """Fitted to ratings, it gives the report and the leaderboard a second column."""
    fit = judge.calibrate(
        demo.folder, ratings_of(demo.run, "experience_sharing"), metrics=["experience_sharing"]
    )
    assert fit.path == Path("calibration.json")
    tried = fit.to_frame()
    assert tried["chosen"].sum() == (
        fit.calibration.fits["experience_sharing"].calibrator is not None
    )
    assert "calibration.json" in fit._repr_html_()
    calibrated = report(demo.folder, calibration=fit.path)
    frame = calibrated.to_frame().set_index(["system", "measure"])
    assert calibrated.results.calibration is not None
    for system in ("warm-friend", "stiff-bot"):
        mean = calibrated.results.calibration.mean(system, "experience_sharing")
        assert mean is not None
        assert frame.loc[(system, "experience_sharing"), "calibrated"] == pytest.approx(
            mean.mean, nan_ok=True
        )
    board = judge.leaderboard(demo.folder, calibration=fit.path)
    assert board.to_frame()["rank"].tolist() == [s.rank for s in board.board.standings]
    assert "leaderboard" in board._repr_html_()


def test_a_model_plays() -> None:
    """Its dialogues come back as objects and as a table with one row for each round."""
    shutil.copytree(DEMO, "questions")
    with serving() as wire:
        done = judge.generate(
            "openai:player",
            user="replay:warm-friend",
            questions="questions",
            base_url=wire.url,
            limit=2,
            name="mine",
        )
    frame = done.to_frame()
    assert len(frame) == 4 == sum(len(d.turns) for d in done.dialogues)
    assert set(frame["system"]) == {"mine"}
    assert done.path == Path("runs/mine/dialogues.jsonl")
    read = judge.read_dialogues(done.path).dialogues
    assert {d.id for d in read} == {d.id for d in done.dialogues}
    assert "mine" in done._repr_html_()


@pytest.mark.parametrize("rounds", [1, 3])
def test_a_model_plays_any_number_of_rounds(rounds: int) -> None:
    """They are judged as played; a folder refuses another number before anyone is asked."""
    user = {} if rounds == 1 else {"user": "openai:asker"}
    with serving() as wire:

        def play(number: int, **options: str) -> judge.Evaluation:
            return judge.evaluate(
                "openai:player",
                judge="mock",
                questions=DEMO,
                base_url=wire.url,
                limit=2,
                out="run",
                rounds=number,
                **options,  # type: ignore[arg-type]
            )

        done = play(rounds, **user)
        assert [len(d.turns) for d in done.run.dialogues] == [rounds, rounds]
        assert (done.made, done.failed) == (18, 0)
        assert done.played[0].facts["rounds"] == str(rounds)
        assert play(rounds, **user).made == 0
        asked = len(wire.requests)
        with pytest.raises(RunMismatchError, match=f"have --rounds {rounds}, not 2"):
            play(2, user="openai:asker")
        assert not [r for r in wire.requests[asked:] if r.path == "/v1/chat/completions"]
        with pytest.raises(UsageError, match="from the second round on"):
            play(1, user="openai:asker")


def seven(folder: Path) -> Path:
    """A rubric set of two metrics on the scale 1-7, made of the skeleton."""
    new_set(folder)
    manifest = folder / "rubric.toml"
    text = manifest.read_text(encoding="utf-8")
    manifest.write_text(text.replace('"5"]', '"5", "6", "7"]'), encoding="utf-8")
    for path in folder.glob("en/*s*.j2"):
        path.write_text(path.read_text(encoding="utf-8") + "6: six\n7: seven\n", encoding="utf-8")
    return folder


def test_another_task_goes_the_whole_way(tmp_path: Path) -> None:
    """Own metrics, seven labels, own characters, three rounds and one: judged, compared, ranked."""
    dialogues = [
        judge.Dialogue(
            system,
            character,
            str(scenario),
            tuple(judge.Turn(f"Q{n}", f"{system} {scenario} {n}") for n in range(rounds)),
        )
        for system in ("a", "b", "c")
        for character, rounds in (("Sherlock Holmes", 3), ("Watson", 1))
        for scenario in range(4)
    ]
    rubric = seven(tmp_path / "mine")
    done = judge.evaluate(dialogues, judge="mock", rubric=rubric, out=tmp_path / "run")
    frame = done.run.to_frame()
    assert set(frame["metric"]) == {"warmth", "usefulness"}
    assert frame["score"].between(1, 7).all()
    assert frame["score"].max() > 5
    assert frame[[f"p{n}" for n in range(1, 8)]].sum(axis=1).to_numpy() == pytest.approx(1)
    assert done.run.manifest.notes[-1] == "Judged without a profile: Watson."
    assert done.results.labels == tuple("1234567")
    # The judge's own scores, rounded, as the ratings of a person.
    rated = frame[["system", "character", "scenario", "metric", "score"]].assign(rater="r")
    rated["score"] = rated["score"].round()
    rated.to_csv(tmp_path / "ratings.csv", index=False)
    source = RatingsFile(tmp_path / "ratings.csv", scale="1-7")
    agreement = judge.agree(done.folder, source, resamples=0, out=tmp_path / "agree")
    assert isinstance(agreement, judge.AgreementReport)
    warmth = frame["metric"] == "warmth"
    expected = spearmanr(frame["score"][warmth], rated["score"][warmth]).statistic
    measure = agreement.agreement.measure("warmth")
    assert measure.spearman["all"].value == pytest.approx(expected)
    with pytest.raises(DataError, match="another scale than 1-5"):
        judge.agree(done.folder, tmp_path / "ratings.csv", out=tmp_path / "wrong")
    judge.evaluate(dialogues, judge="mock", seed=1, rubric=rubric, out=tmp_path / "other")
    page = compare(tmp_path / "run", tmp_path / "other", out=tmp_path / "two").page
    bar = page.read_text(encoding="utf-8").partition('class="bar"')[2].partition("</span>")[0]
    colours = re.findall(r'class="(p[1-5])" style="width:[^;"]*(;background:[^"]*)?"', bar)
    assert len(colours) == len(set(colours)) == 7


def test_a_window_that_is_too_small_is_told_before_judging(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Once, when the run begins: all its prompts have more than 120 bytes, and so more tokens."""
    folder = str(shared_model("Llama", window=120))
    for _ in range(2):
        found = judge.evaluate(DEMO, judge=folder, rubric="tiny", limit=1, out="small")
        assert found.failed == len(found.run.judgments) > 0
    (told,) = [line for line in caplog.messages if "longest dialogue" in line]
    assert told.startswith("the model's window is 120 tokens, and a prompt about")
    caplog.clear()
    roomy = str(shared_model("Llama", window=1 << 16))
    judge.evaluate(DEMO, judge=roomy, rubric="tiny", limit=1, metrics=["fluency"], out="roomy")
    assert not [line for line in caplog.messages if "window" in line]
