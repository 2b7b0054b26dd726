"""`judge rubrics`: what is printed, and with which exit code it ends."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from judge.cli.rubrics_command import rubrics
from judge.errors import RubricError, StoreError, UsageError
from judge.roleplay import load_prompts
from judge.rubric import BLOCKS, SAMPLE, load_rubric, shipped_sets
from judge.types import Character


def run(*args: object, code: int = 0) -> str:
    result = CliRunner().invoke(rubrics, [str(arg) for arg in args], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.output


def recorded(path: Path) -> Path:
    """A file with two dialogues of two characters."""
    record = {
        "question_r1": "累了。",
        "answer_r1": "睡吧。",
        "question_r2": "嗯。",
        "answer_r2": "乖。",
    }
    content = {"路飞": [{"dialog_id": 1, **record}], "小明": [{"dialog_id": 2, **record}]}
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_list() -> None:
    """One line for each set, version and language, with the name to give and its hash."""
    header, *rows = (line.split() for line in run("list").splitlines())
    assert header == ["name", "version", "language", "metrics", "characters", "hash"]
    found = [(row[0], row[2], row[3], row[4]) for row in rows]
    assert found == [
        ("esrp", "zh", "10", "20"),
        ("esrp", "en", "10", "20"),
        ("esrp@1.2.0", "zh", "10", "20"),
        ("esrp@1.2.0", "en", "10", "20"),
        ("tiny", "zh", "9", "20"),
    ]
    whole = json.loads(run("list", "--json"))
    assert [row["hash"] for row in whole] == [
        load_rubric(row["name"], row["language"]).rubric.hash for row in whole
    ]
    assert [row["hash"][:12] for row in whole] == [row[5] for row in rows]


@pytest.mark.parametrize(
    ("lang", "first"), [(None, "## 流畅性（fluency）"), ("en", "## Fluency (fluency)")]
)
def test_show_a_metric(lang: str | None, first: str) -> None:
    """The metric's text, then its question, the stub of the answer and the other question."""
    args = [] if lang is None else ["--lang", lang]
    lines = run("show", "fluency", *args).splitlines()
    question = load_rubric("esrp", lang).question(
        load_rubric("esrp", lang).rubric.metric("fluency")
    )
    assert lines[0] == first
    other = load_rubric("esrp", lang).tree([SAMPLE], ["fluency"], rationale=9).questions["fluency"]
    assert lines[-4:] == [
        "",
        f"question  {question.text}",
        f"stub      {question.prefill}",
        f"rationale {other.text}",
    ]


def test_replies_are_judged_without_a_reason() -> None:
    """What cannot be asked is not shown."""
    assert "rationale" not in run("show", "response_diversity")


def test_show_a_metric_without_a_text_of_its_own() -> None:
    """`tiny` has nothing but its question."""
    assert run("show", "fluency", "--rubric", "tiny") == "question  流畅性\nstub      ：\n"


def test_show_a_set() -> None:
    """Its metrics with title, dimension and unit; a metric of replies is in no dimension."""
    lines = run("show", "--set", "--lang", "en").splitlines()
    assert lines[0].startswith("esrp 1.1.0, en, hash ")
    assert lines[1] == "labels 1 2 3 4 5, 20 characters"
    assert lines[3].split() == ["metric", "title", "dimension", "unit"]
    assert lines[4].split() == ["fluency", "Fluency", "basic_dialogue", "dialogue"]
    assert lines[-1].split() == ["response_diversity", "Response", "diversity", "-", "replies"]
    whole = json.loads(run("show", "--set", "--json"))
    assert whole["metrics"][-1]["dimension"] is None
    assert whole["hash"] == load_rubric("esrp").rubric.hash


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["show"], "either a METRIC or --set"),
        (["show", "fluency", "--set"], "either a METRIC or --set"),
        (["show", "fluency", "--json"], "--json goes with --set"),
        (["show", "fluent"], "METRIC fluent: not a metric of esrp"),
        (["show", "fluency", "--lang", "ja"], "--lang ja"),
        (["render", "--metric", "fluent"], "--metric fluent: not a metric of esrp"),
        (["render", "--characters", "路飞"], "there is no FILE"),
        (["render", "--metric", "response_diversity", "--rationale"], "--rationale: response_di"),
    ],
)
def test_mistakes_go_up(args: list[str], message: str) -> None:
    """A user's mistake leaves the command as a UsageError with a hint."""
    with pytest.raises(UsageError, match=message) as caught:
        run(*args)
    assert caught.value.hint


@pytest.mark.parametrize("command", ["show --set", "render", "check"])
def test_a_set_that_is_not_there(command: str) -> None:
    """A wrong --rubric is a RubricError that lists the shipped sets."""
    with pytest.raises(RubricError, match="there is no rubric set 'nowhere'") as caught:
        run(*command.split(), "--rubric", "nowhere")
    assert "esrp, esrp@1.2.0, tiny" in (caught.value.hint or "")


def test_render_is_the_prompt() -> None:
    """Without --segments the output is the prompt itself and a last newline."""
    rubric = load_rubric("tiny")
    expected = "".join(rubric.segments(rubric.rubric.metrics[0], SAMPLE).values())
    assert run("render", "--rubric", "tiny") == expected + "\n"


def test_render_with_a_reason() -> None:
    """The prompt ends with the question that asks for it; the tree holds the same texts."""
    rubric = load_rubric("esrp", "en")
    tree = rubric.tree([SAMPLE], rationale=9)
    expected = tree.system + tree.profiles[SAMPLE.character] + tree.items[0].text
    expected += tree.questions["coherency"].text + "\n"
    assert run("render", "--lang", "en", "--metric", "coherency", "--rationale") == expected


def test_render_shows_segments(tmp_path: Path) -> None:
    """Each segment follows a line with its name and length."""
    path = recorded(tmp_path / "bot.json")
    output = run("render", path, "--rubric", "tiny", "--metric", "coherency", "--segments")
    profile = load_rubric("tiny").tree([SAMPLE]).profiles["路飞"]
    assert output == (
        "--- system, 0 characters\n\n"
        f"--- profile, {len(profile)} characters\n{profile}"
        "--- dialogue, 22 characters\n问：累了。\n答：睡吧。\n问：嗯。\n答：乖。\n"
        "--- question, 3 characters\n连贯性\n"
        "--- stub, 1 characters\n：\n"
    )


@pytest.mark.parametrize("option", [("--characters", "小明"), ("--scenarios", "2")])
def test_render_another_dialogue(tmp_path: Path, option: tuple[str, str]) -> None:
    """The first dialogue that fits is taken; replies are judged without the user's words."""
    path = recorded(tmp_path / "bot.json")
    output = run("render", path, *option, "--metric", "response_diversity", "--lang", "en")
    assert "# Character: 小明\nNo profile" in output
    assert "# Replies to rate (2)\n1. 睡吧。\n2. 乖。\n" in output
    assert "累了" not in output


def test_check_of_a_good_set() -> None:
    """No problem, exit 0."""
    assert run("check") == "esrp: no problems\n"
    assert json.loads(run("check", "--rubric", "tiny", "--json")) == []


def test_check_of_a_damaged_set(tmp_path: Path) -> None:
    """Each problem as `path:line: message`, and exit 2."""
    folder = tmp_path / "mine"
    shutil.copytree(shipped_sets()["tiny"], folder)
    layout = folder / "zh" / "layout.j2"
    layout.write_text(layout.read_text(encoding="utf-8").replace("metric.titles", "metrics.titles"))
    lines = run("check", "--rubric", folder, code=2).splitlines()
    assert lines[0].startswith(f"{layout}:10: block `question`: 'metrics' is undefined")
    assert lines[1:] == [f"{folder}: 1 problem"]
    (problem,) = json.loads(run("check", "--rubric", folder, "--json", code=2))
    assert (problem["path"], problem["line"]) == (str(layout), 10)


def test_new(tmp_path: Path) -> None:
    """A set without a fault, named like its folder, with every block but those about replies."""
    folder = tmp_path / "我的 set"
    lines = run("new", folder).splitlines()
    assert lines[-1] == f"edit them, then: judge rubrics check --rubric {folder}"
    assert set(lines[:-1]) == {str(path) for path in folder.rglob("*.*")}
    assert json.loads(run("check", "--rubric", folder, "--json")) == []
    made = load_rubric(folder)
    assert made.rubric.name == "我的 set"
    assert set(BLOCKS) - set(made.blocks) == {"replies_system", "replies"}
    (character,) = made.characters.values()
    empty = Character(name="")
    fields = [name for name in Character.__dataclass_fields__ if name != "known"]
    assert [name for name in fields if getattr(character, name) == getattr(empty, name)] == []
    with pytest.raises(UsageError, match="is there already"):
        run("new", folder)
    with pytest.raises(StoreError, match="cannot be written"):
        run("new", folder / "rubric.toml" / "below")


def test_characters_in_a_file_of_their_own(tmp_path: Path) -> None:
    """They replace those of the set in the prompt and in its hash; a wrong file has its line."""
    run("new", tmp_path / "mine")
    file = tmp_path / "mine" / "characters.toml"
    given = ("--characters-file", file)
    shown = run("render", recorded(tmp_path / "bot.json"), *given, "--lang", "en")
    assert "# Character: 路飞\nNo profile" in shown
    holmes = load_rubric("esrp", "en", file)
    assert list(holmes.characters) == ["Sherlock Holmes"]
    assert holmes.rubric.hash != load_rubric("esrp", "en").rubric.hash
    same = Path(shutil.copy(shipped_sets()["esrp"] / "characters.toml", tmp_path))
    assert load_rubric("esrp", "en", same).rubric == load_rubric("esrp", "en").rubric
    assert list(load_prompts("roleplay", "en", file).characters) == ["Sherlock Holmes"]
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("traits = ", "trait = "), encoding="utf-8")
    (problem,) = json.loads(run("check", *given, "--json", code=2))
    line = next(n for n, t in enumerate(text.splitlines(), 1) if t.startswith("traits"))
    assert (problem["path"], problem["line"]) == (str(file), line)
    with pytest.raises(RubricError, match="no such file of characters"):
        load_rubric("esrp", characters_file=tmp_path / "none")
    with pytest.raises(RubricError, match="no such file of characters"):
        load_prompts(characters_file=tmp_path / "none")


def test_diff_of_an_edited_set(tmp_path: Path) -> None:
    """Exactly what was edited: one line of a metric, a block, a profile, a metric and the scale."""
    folder = Path(shutil.copytree(shipped_sets()["esrp"], tmp_path / "mine"))

    def edit(name: str, old: str, new: str) -> None:
        text = (folder / name).read_text(encoding="utf-8")
        assert old in text
        (folder / name).write_text(text.replace(old, new, 1), encoding="utf-8")

    edit("zh/fluency.j2", "1：残缺、乱码，读不通。", "1：读不通。")
    edit("zh/layout.j2", "{% block rationale %}", "{% block reasons %}")
    edit("characters.toml", "traits = ", 'traits = "x" # ')
    text = (folder / "rubric.toml").read_text(encoding="utf-8").split("[[metric]]")
    text[0] = text[0].replace('version = "1.1.0"', 'version = "9"').replace(', "5"]', "]")
    (folder / "rubric.toml").write_text("[[metric]]".join(text[:-1]), encoding="utf-8")
    (folder / "zh" / "response_diversity.j2").unlink()

    found = json.loads(run("diff", "esrp", folder, "--json"))
    changed = {change["name"]: change for change in found["metrics"] if change["lines"]}
    assert changed.keys() == {"fluency", "response_diversity"}
    assert changed["fluency"]["lines"] == ["-1：残缺、乱码，读不通。", "+1：读不通。"]
    assert changed["fluency"]["before"] - changed["fluency"]["after"] == len("残缺、乱码，")
    assert changed["response_diversity"]["after"] is None
    assert [change["name"] for change in found["templates"]] == ["layout.j2"]
    assert len(found["templates"][0]["lines"]) == 2
    assert found["blocks"] == {"added": ["reasons"], "removed": ["rationale"], "changed": []}
    assert found["characters"] == {
        "added": [],
        "removed": [],
        "changed": ["《海贼王》的蒙奇·D·路飞"],
    }
    assert found["labels"] == [["1", "2", "3", "4", "5"], ["1", "2", "3", "4"]]
    shown = run("diff", "esrp", folder)
    assert "\nfluency\n-1：残缺、乱码，读不通。\n+1：读不通。\n" in shown
    assert "labels      1 2 3 4 5 -> 1 2 3 4\n" in shown
    assert "blocks      added reasons; removed rationale\n" in shown
    back = json.loads(run("diff", folder, "esrp", "--json"))
    assert back["metrics"][0]["lines"] == ["-1：读不通。", "+1：残缺、乱码，读不通。"]


def test_diff_of_the_same_and_of_nothing(tmp_path: Path) -> None:
    """A set does not differ from itself; without a common language there is nothing to compare."""
    same = json.loads(run("diff", "esrp", "esrp@1.1.0", "--json"))
    assert not any(change["lines"] for change in same["metrics"] + same["templates"])
    assert "\n-" not in run("diff", "esrp", "esrp", "--lang", "en")
    folder = Path(shutil.copytree(shipped_sets()["esrp"], tmp_path / "mine"))
    text = (folder / "rubric.toml").read_text(encoding="utf-8")
    text = text.replace('languages = ["zh", "en"]', 'languages = ["en"]')
    (folder / "rubric.toml").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match="have no language in common"):
        run("diff", "tiny", folder)


@pytest.mark.parametrize("name", rubrics.commands)
def test_every_command_explains_itself(name: str) -> None:
    """Help with an example for the command, and help for each of its options."""
    command = rubrics.commands[name]
    assert f"judge rubrics {name}" in run(name, "--help")
    assert all(p.help for p in command.params if isinstance(p, click.Option))
