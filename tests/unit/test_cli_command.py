"""What all commands share: groups of options, option files, variables, what is loaded for help."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from calibration.calibrators import CANDIDATES
from judge.analysis.fit_calibration import AUTO
from judge.cli import calibrate_command
from judge.cli.command import Option
from judge.cli.main import cli
from judge.errors import UsageError

ROOT = Path(__file__).parents[2]
DEMO = str(ROOT / "scripts" / "demo_dialogues")


def judge(*args: object, **variables: str) -> str:
    """The output of a command; what it raises is raised here."""
    runner = CliRunner(env={"JUDGE_DATA": "no-data", **variables})
    result = runner.invoke(cli, list(map(str, args)), prog_name="judge", standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return result.stdout


def plan(*args: object, **variables: str) -> dict[str, object]:
    """What `judge eval --dry-run` counts."""
    found = json.loads(judge("eval", *args, "--dry-run", "--json", **variables))
    assert isinstance(found, dict)
    return found


def options() -> Iterator[tuple[str, Option]]:
    """Every option of every command, with the words that call the command."""
    todo: list[tuple[str, click.Command]] = [("judge", cli)]
    while todo:
        path, command = todo.pop()
        if isinstance(command, click.Group):
            context = click.Context(command)
            children = {n: command.get_command(context, n) for n in command.list_commands(context)}
            todo += [(f"{path} {name}", child) for name, child in children.items() if child]
        yield from ((path, p) for p in command.params if isinstance(p, Option))


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """An option file."""
    path = tmp_path / "options.toml"
    path.write_text(
        f'model = ["{DEMO}"]\njudge = "lexical"\nlimit = 6\nmetrics = ["fluency", "coherency"]\n',
        encoding="utf-8",
    )
    return path


# Help


def test_the_options_of_eval_stand_in_groups() -> None:
    """No heading has more than the 15 that are seen at once, and few options are left over."""
    groups: dict[str, list[str]] = {}
    for path, option in options():
        if path == "judge eval":
            groups.setdefault(option.group, []).append(option.key)
    assert groups.keys() == {
        *(
            "What is judged",
            "The judge",
            "How models are asked",
            "How a server is asked",
            "A model that plays",
        ),
        *("Several workers", "The report", "Human ratings", "Options"),
    }
    assert max(map(len, groups.values())) <= 15
    rest = ["dry-run", "tokens-per-second", "save-config", "json", "config", "verbose"]
    assert groups["Options"] == rest
    text = judge("eval", "--help")
    assert all(f"\n{group}:\n" in text for group in groups)


@pytest.mark.parametrize("key", ["limit", "quantization", "step", "point", "systems-fixed", "seed"])
def test_the_help_of_what_needs_explaining_has_an_example(key: str) -> None:
    """Every command that has one of these options says what it does, and how it is written."""
    found = [(path, option) for path, option in options() if option.key == key]
    assert found
    for path, option in found:
        said = option.help or ""
        assert len(said) > 60, path
        assert any(word in said for word in (f"--{key}", "such as", "instance")), path


@pytest.mark.parametrize("command", ["eval", "generate", "agree", "calibrate", "report"])
def test_help_loads_no_library(command: str) -> None:
    """Neither numbers nor drawing are needed to say what a command can do."""
    code = (
        "import atexit, sys\n"
        "atexit.register(lambda: print(*sys.modules, file=sys.stderr))\n"
        "from judge.cli.main import main\nmain()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, command, "--help"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    heavy = {"numpy", "scipy", "pandas", "matplotlib", "sklearn", "jinja2", "rich", "torch"}
    assert heavy & set(done.stderr.split()) == set()


def test_the_names_of_the_maps_are_those_that_there_are() -> None:
    """They are written out for the help, which loads no statistics."""
    assert tuple(CANDIDATES) == calibrate_command.CANDIDATES
    (rung,) = (option for _, option in options() if option.key == "rung")
    assert isinstance(rung.type, click.Choice)
    assert list(rung.type.choices) == [AUTO, *CANDIDATES]


# Options from a file


def test_options_from_a_file(config: Path) -> None:
    """They count like those of the command line, which come before them."""
    assert plan("--config", config) == {"judge": "lexical", "dialogues": 6, "prompts": 12}
    assert plan("--config", config, "--limit", 2, "--metrics", "fluency")["prompts"] == 2


def test_a_dash_or_an_underscore(config: Path) -> None:
    """A key is written either way, and one text will do where several can be given."""
    config.write_text(f'model = "{DEMO}"\njudge = "lexical"\nsave_config = "x"\n')
    with pytest.raises(UsageError, match="save_config is no option"):
        plan("--config", config)
    config.write_text(f'model = "{DEMO}"\njudge = "lexical"\ngpu-memory = 0.5\n')
    with pytest.raises(UsageError, match="--gpu-memory means nothing to the engine lexical"):
        plan("--config", config)
    config.write_text(f'model = "{DEMO}"\njudge = "lexical"\nbatch_size = 7\nrationale = false\n')
    assert plan("--config", config)["dialogues"] == 48


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        ("limmit = 3", "options.toml: limmit is no option of `judge eval`", "did you mean limit"),
        ("wit = 1", "options.toml: wit is no option of `judge eval`", "--help"),
        ("json = true", "options.toml: json is no option", "lists them"),
        ("limit = 0", "options.toml: limit: 0 is not in the range", "judge eval --help"),
        ("limit = true", "options.toml: limit: True is not a text or a number", "--help"),
        ('rationale = "yes"', "options.toml: rationale: 'yes' is not true or false", "--help"),
        ("[limit]\nx = 1", "options.toml: limit: {'x': 1} is not", "--help"),
        ("limit 3", "options.toml: not valid TOML", 'judge = "lexical"'),
    ],
)
def test_what_cannot_be_in_a_file(config: Path, line: str, message: str, hint: str) -> None:
    """The file and the key are named, with what to do."""
    config.write_text(f'model = "{DEMO}"\njudge = "lexical"\n{line}\n', encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        plan("--config", config)
    assert message in str(caught.value)
    assert hint in str(caught.value.hint)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """It is named, and so is a JSON file that is no manifest; a manifest is for `judge eval`."""
    with pytest.raises(UsageError, match=r"none\.toml: cannot be read"):
        plan("--config", tmp_path / "none.toml")
    (tmp_path / "manifest.json").write_text("{}", encoding="utf-8")
    for name in ("options.json", "none/manifest.json"):
        with pytest.raises(UsageError, match=r"no manifest\.json of a run"):
            plan("--config", tmp_path / name)
    with pytest.raises(UsageError, match="the options of `judge eval`"):
        judge("report", "run", "--config", tmp_path / "manifest.json")


def test_variables_come_between(config: Path) -> None:
    """Before an option file, after the command line; an empty one counts as none."""
    assert plan("--config", config, JUDGE_EVAL_LIMIT="3")["dialogues"] == 3
    assert plan("--config", config, "--limit", 4, JUDGE_EVAL_LIMIT="3")["dialogues"] == 4
    assert plan("--config", config, JUDGE_EVAL_LIMIT="")["dialogues"] == 6
    named = plan("--config", config, JUDGE_EVAL_METRICS="fluency")
    assert named["prompts"] == 6
    with pytest.raises(click.BadParameter, match="many"):
        plan("--config", config, JUDGE_EVAL_LIMIT="many")


def test_no_variable_means_two_things() -> None:
    """Those that are no options keep their meaning, and every option has one of its own."""
    names = [
        f"{path.upper().replace(' ', '_')}_{option.key.upper().replace('-', '_')}"
        for path, option in options()
    ]
    assert len(set(names)) == len(names) > 100
    assert {"JUDGE_DATA", "JUDGE_API_KEY", "JUDGE_DEMO_EXTRA"} & set(names) == set()


def test_options_are_saved_and_given_back(tmp_path: Path) -> None:
    """What was given, and nothing else; a server's address only where it holds no password."""
    saved = tmp_path / "saved.toml"
    asked = ["--model", DEMO, "--judge", "lexical", "--characters", "路飞, 银时", "--limit", 5]
    first = plan(*asked, "--save-config", saved, JUDGE_EVAL_SCENARIOS="1-3")
    assert tomllib.loads(saved.read_text(encoding="utf-8")) == {
        "model": [DEMO],
        "judge": "lexical",
        "characters": ["路飞", "银时"],
        "scenarios": ["1-3"],
        "limit": 5,
    }
    assert plan("--config", saved) == first
    for address in ("http://me:secret@x/v1", "http://x/v1?key=secret"):
        with pytest.raises(UsageError, match="--judge names none"):
            plan("--model", DEMO, "--base-url", address, "--save-config", saved)
        assert "secret" not in saved.read_text(encoding="utf-8")


def test_a_manifest_is_an_option_file(tmp_path: Path) -> None:
    """The same command again, but for --out: nothing is left to judge, and the same is found."""
    run = tmp_path / "run"
    asked = ["--model", DEMO, "--judge", "mock", "--rubric", "tiny", "--lang", "zh", "--limit", 4]
    first = json.loads(judge("eval", *asked, "--seed", 3, "--out", run, "--json"))
    again = json.loads(judge("eval", "--config", run / "manifest.json", "--out", run, "--json"))
    assert (first["made"], again["made"]) == (36, 0)
    assert again["results"] == first["results"]
    before = json.loads((run / "manifest.json").read_text(encoding="utf-8"))["options"]
    other = tmp_path / "other"
    judge("eval", "--config", run / "manifest.json", "--out", other)
    assert json.loads((other / "manifest.json").read_text(encoding="utf-8"))["options"] == before


def test_a_manifest_names_the_version_of_the_rubric(tmp_path: Path) -> None:
    """A rubric that was not named is asked for by its version, which `esrp` may not always mean."""
    run = tmp_path / "run"
    made = json.loads(
        judge("eval", "--model", DEMO, "--judge", "mock", "--limit", 1, "--out", run, "--json")
    )["results"]
    judge("eval", "--config", run / "manifest.json", "--out", tmp_path / "other")
    stored = json.loads((tmp_path / "other" / "manifest.json").read_text(encoding="utf-8"))
    assert stored["options"]["rubric"] == f"esrp@{made['rubric_version']}"
