"""`check` finds each fault of a rubric set, with its position, and none in a good set."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from judge.errors import RubricError
from judge.rubric import SAMPLE, Problem, check, load_rubric, shipped_sets


@pytest.fixture
def esrp(tmp_path: Path) -> Path:
    """A copy of the shipped set that a test may change."""
    return Path(shutil.copytree(shipped_sets()["esrp"], tmp_path / "esrp"))


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def line_of(path: Path, text: str) -> int:
    lines = path.read_text(encoding="utf-8").splitlines()
    return next(n for n, line in enumerate(lines, 1) if text in line)


@pytest.mark.parametrize("name", shipped_sets())
def test_shipped_sets_are_clean(name: str) -> None:
    """The shipped sets have no faults, by name or as a folder."""
    assert check(name) == check(shipped_sets()[name]) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        # variables, in whatever branch
        ("zh/fluency.j2", "从 4", "{{ nothing }}从 4", "'nothing' is undefined"),
        ("zh/fluency.j2", "从 4", "{{ metric.nothing }}从 4", "no attribute 'nothing'"),
        ("zh/_macros.j2", "metric.name", "metrik.name", "'metrik' is undefined"),
        ("zh/layout.j2", "# 任务", "{{ dialogue.system }}", "`system`: 'dialogue' is undefined"),
        ("zh/layout.j2", "资料，请凭", "{{ who }}", "`profile`: 'who' is undefined"),
        ("zh/layout.j2", "性格：{{ character.traits", "{{ character.trait", "attribute 'trait'"),
        ("zh/layout.j2", "in dialogue.turns", "in dialogue.rounds", "no attribute 'rounds'"),
        ("zh/layout.j2", "replies | length", "dialogue | length", "`replies`: 'dialogue' is undef"),
        (
            "zh/layout.j2",
            "现在只评",
            "{% if 0 %}{{ dialogue }}{% endif %}",
            "'dialogue' is undefined",
        ),
        (
            "en/layout.j2",
            "}} score:",
            "}}{{ character.name }}:",
            "`stub`: 'character' is undefined",
        ),
        ("zh/layout.j2", "先用两三句话", "{{ dialogue }}", "`rationale`: 'dialogue' is undefined"),
        ("en/layout.j2", "First give your", "{{ metric.x }}", "no attribute 'x'"),
        # syntax
        ("zh/fluency.j2", "从 4", "{% if %}", "template syntax"),
        ("zh/_macros.j2", "{% macro quoted", "{% macro 5", "template syntax"),
        ("en/layout.j2", "# Task", "{{ 1 | nofilter }}", "No filter named 'nofilter'"),
        # levels
        ("zh/coherency.j2", "2：有一次", "6：有一次", "the level 6 is not a label of the scale"),
        # TOML
        ("rubric.toml", 'labels = ["1"', 'labels = [1, "1"', "labels: must be a list of texts"),
        ("rubric.toml", 'unit = "replies"', 'unit = "x"', "must be dialogue or replies"),
        ("characters.toml", 'habits = "爱吃肉', 'habit = "爱吃肉', "habit: unknown key"),
        ("characters.toml", 'traits = "单纯', 'traits = "" # "单纯', "traits: must be text"),
    ],
)
def test_faults_at_a_line(esrp: Path, file: str, old: str, new: str, message: str) -> None:
    """The fault is reported once, with its line."""
    path = esrp / file
    edit(path, old, new)
    found = [problem for problem in check(esrp) if message in problem.message]
    assert [(p.path, p.line) for p in found] == [(path, line_of(path, new))]
    assert str(found[0]).startswith(f"{path}:{line_of(path, new)}: ")


@pytest.mark.parametrize(
    ("file", "old", "new", "at", "message"),
    [
        ("en/coherency.j2", "3: One", "One", "en/coherency.j2", "begins with the label 3"),
        (
            "zh/coherency.j2",
            "2：有一次",
            "23：有一次",
            "zh/coherency.j2",
            "begins with the label 2",
        ),
        ("zh/layout.j2", "评分：{%", "评分： {%", "zh/layout.j2", "ends in white space"),
        ("zh/layout.j2", "k question", "k quest", "zh/layout.j2", "no block `question`"),
        (
            "zh/layout.j2",
            "{{ self.stub() }}",
            "评分",
            "zh/layout.j2",
            "block `rationale`: it does not show the stub of fluency",
        ),
        ("zh/layout.j2", "k replies ", "k replys ", "zh/layout.j2", "no block `replies`"),
        (
            "zh/layout.j2",
            '{% include metric.name ~ ".j2" %}',
            "",
            "zh/fluency.j2",
            "the layout does not put this text into the prompt",
        ),
        ("rubric.toml", '"4", "5"]', '"4", "4"]', "rubric.toml", "labels must be two or more"),
        ("rubric.toml", '["fluency", ', '["x", "fluency", ', "rubric.toml", "names x, which has"),
        ("rubric.toml", '["fluency", ', "[", "rubric.toml", "fluency is in no dimension"),
    ],
)
def test_faults_of_a_whole_file(
    esrp: Path, file: str, old: str, new: str, at: str, message: str
) -> None:
    """If no single line is at fault, the file is named."""
    edit(esrp / file, old, new)
    found = [problem for problem in check(esrp) if message in problem.message]
    assert (esrp / at, None) in [(p.path, p.line) for p in found]
    assert str(found[0]).startswith(f"{esrp / at}: ")
    assert len(found) == len({str(problem) for problem in found})


def test_missing_and_needless_templates(esrp: Path) -> None:
    """Metrics without a template and templates without a metric are reported once each."""
    (esrp / "zh" / "fluency.j2").unlink()
    (esrp / "en" / "fluent.j2").write_text("1: x\n")
    (esrp / "en" / "_part.j2").write_text("shared parts begin with an underscore\n")
    assert check(esrp) == [
        Problem(esrp / "zh" / "fluency.j2", None, "the template of this metric is missing"),
        Problem(
            esrp / "en" / "fluent.j2", None, "no metric has this name (shared parts begin with _)"
        ),
    ]


def test_a_layout_that_includes_what_no_metric_has(esrp: Path) -> None:
    """If the layout includes metric templates and there are none, all are missing."""
    for metric in load_rubric(esrp).rubric.metrics:
        (esrp / "en" / f"{metric.name}.j2").unlink()
    missing = [p.path.name for p in check(esrp)]
    assert missing == [f"{m.name}.j2" for m in load_rubric(esrp).rubric.metrics]
    edit(esrp / "en" / "layout.j2", "# Task", "{% if %}")
    (problem,) = check(esrp)  # what a layout asks for is unknown until it can be read
    assert problem.message.startswith("template syntax")


def test_all_faults_at_once(esrp: Path) -> None:
    """One fault does not hide another, in the same or another file or language."""
    edit(esrp / "rubric.toml", 'zh = "连贯性", ', "")
    edit(esrp / "characters.toml", 'speech = "大白话', 'speach = "大白话')
    edit(esrp / "characters.toml", 'name = "《银魂》的坂田银时"\n', "")
    edit(esrp / "zh" / "fluency.j2", "从 4", "{{ a }}{{ b }}从 4")
    edit(esrp / "zh" / "consistency.j2", "1：多处", "多处")
    edit(esrp / "en" / "layout.j2", "# Task", "{% if %}")
    messages = [p.message for p in check(esrp)]
    assert [m.split(" (")[0] for m in messages] == [
        "coherency has no title in the language zh",
        "character 《海贼王》的蒙奇·D·路飞, speach: unknown key",
        "character 3, name: the key is missing",
        "fluency.j2: 'a' is undefined",
        "fluency.j2: 'b' is undefined",
        "block `question`: 'dict object' has no attribute 'zh'",
        "block `rationale`: 'dict object' has no attribute 'zh'",
        "block `stub`: 'dict object' has no attribute 'zh'",
        "coherency.j2: 'dict object' has no attribute 'zh'",
        "no line begins with the label 1",
        "template syntax: Expected an expression, got 'end of statement block'",
    ]


def test_languages_and_files_that_cannot_be_read(esrp: Path) -> None:
    """A language without layout, profiles that are not TOML, and a folder that is no set."""
    (esrp / "en" / "layout.j2").unlink()
    (esrp / "characters.toml").write_text("format = 1\n[[character]\n")
    found = check(esrp)
    assert [p.path for p in found] == [esrp / "characters.toml", esrp / "en"]
    assert [p.line for p in found] == [2, None]
    (esrp / "rubric.toml").write_text("labels = [")
    (problem,) = check(esrp)
    assert (problem.path, problem.line) == (esrp / "rubric.toml", None)
    with pytest.raises(RubricError, match="there is no rubric set"):
        check(esrp / "zh")


def test_a_name_filed_twice(esrp: Path) -> None:
    """A second profile of the same name is reported at its line."""
    path = esrp / "characters.toml"
    edit(path, 'name = "《银魂》的坂田银时"', 'name = "《火影忍者》的漩涡鸣人"  # again')
    (problem,) = check(esrp)
    assert problem.line == line_of(path, "# again")


def test_a_set_of_replies_only(tmp_path: Path) -> None:
    """The blocks of dialogues are not needed if no metric judges dialogues."""
    (tmp_path / "zh").mkdir()
    (tmp_path / "rubric.toml").write_text(
        'format = 1\nname = "mine"\nversion = "1"\nlabels = ["1", "2"]\nlanguages = ["zh"]\n'
        'dimension = []\nmetric = [{ name = "m", titles = { zh = "M" }, unit = "replies" }]\n'
    )
    blocks = ("replies_system", "profile", "replies", "question", "stub")
    layout = "".join(f"{{% block {name} %}}x{{% endblock %}}" for name in blocks)
    (tmp_path / "zh" / "layout.j2").write_text(layout)
    assert check(tmp_path) == []


def test_the_sample_has_two_rounds_of_a_known_character() -> None:
    """The sample shows a profile and more than one round."""
    assert len(SAMPLE.turns) == 2
    assert load_rubric("esrp").character(SAMPLE.character).known
