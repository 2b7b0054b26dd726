"""The command itself: help, version, exit status, progress."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from judge import __version__
from judge.cli import command as shared
from judge.cli import main as command
from judge.cli.main import cli, main
from judge.errors import DataError

ROOT = Path(__file__).parents[2]


LOADED = """
import atexit, sys
atexit.register(lambda: print(*sys.modules, file=sys.stderr))
from judge.cli.main import main
main()
"""


def run(*args: str) -> tuple[subprocess.CompletedProcess[str], set[str]]:
    """`judge ARGS` in a process of its own, and the modules it has imported by its end."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *args],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done, set(done.stderr.split())


def test_help_names_every_command_and_loads_no_heavy_library() -> None:
    """No command is imported to list it, and each stands there with its own first line."""
    done, loaded = run("--help")
    context = click.Context(cli)
    for name in cli.list_commands(context):
        made = cli.get_command(context, name)
        assert made is not None
        line = re.search(rf"\n  {name} +(.*(?:\n {{4,}}.*)*)", done.stdout)
        assert line is not None
        assert " ".join(line[1].split()) == made.get_short_help_str(200)
    assert "judge.cli.eval_command" not in loaded
    assert {"torch", "transformers", "sklearn", "scipy", "pyarrow"} & loaded == set()


def test_version() -> None:
    """One line, from the package; no command is imported for it."""
    done, loaded = run("--version")
    assert done.stdout == f"judge, version {__version__}\n"
    assert "judge.cli.eval_command" not in loaded


def exit_of(monkeypatch: pytest.MonkeyPatch, *args: str) -> object:
    monkeypatch.setattr(sys, "argv", ["judge", *args])
    # The handler that `main` sets would outlive the test.
    monkeypatch.setattr(command.signal, "signal", lambda *_: None)
    with pytest.raises(SystemExit) as caught:
        main()
    return caught.value.code


@pytest.mark.parametrize(
    ("args", "message", "hint"),
    [
        (["sing"], "error: No such command 'sing'.", "hint: see judge --help"),
        (["eval", "--sing"], "error: No such option", "hint: see judge eval --help"),
        (["eval"], "error: Missing option '--model'.", "hint: see judge eval --help"),
        (["rubrics", "show"], "error: name either a METRIC or --set", "hint: for instance"),
    ],
)
def test_a_mistake_is_two_lines(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    args: list[str],
    message: str,
    hint: str,
) -> None:
    """Ours and those that click finds read alike: exit 2, an error, a hint."""
    assert exit_of(monkeypatch, *args) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith(message)
    assert lines[1].startswith(hint)


def test_no_command_is_a_question_for_help(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Bare `judge` shows the help, and is no success."""
    assert exit_of(monkeypatch) == 2
    assert capsys.readouterr().err.startswith("Usage: judge")


@pytest.mark.parametrize(
    ("raised", "code", "said"),
    [
        (DataError("no such file", path="a.json"), 2, "error: a.json: no such file\n"),
        (
            KeyboardInterrupt(),
            3,
            "\ninterrupted; the same command goes on where this one stopped\n",
        ),
    ],
)
def test_what_becomes_of_an_exception(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    raised: BaseException,
    code: int,
    said: str,
) -> None:
    """An error of ours without a hint is one line, exit 2; an interruption is exit 3."""

    @click.command
    def broken() -> None:
        raise raised

    monkeypatch.setattr(command, "cli", broken)
    assert exit_of(monkeypatch) == code
    assert capsys.readouterr().err == said


def test_a_defect_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is no user's mistake is not dressed up as one."""

    @click.command
    def broken() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(command, "cli", broken)
    monkeypatch.setattr(sys, "argv", ["judge"])
    monkeypatch.setattr(command.signal, "signal", lambda *_: None)
    with pytest.raises(ZeroDivisionError):
        main()


def test_progress_without_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line at the end, and none in between unless time has passed.

    What was there before counts as done, but not for the rate.
    """
    with shared.Progress() as tell:
        tell("judging", 50, 100)
        tell("judging", 75, 100)
        tell("judging", 100, 100)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("judging: 100/100, ")
    assert line.endswith("/s, 0 s left")
    monkeypatch.setattr(shared, "EVERY", 0.0)
    with shared.Progress() as tell:
        tell("judging", 50, 100)
        tell("judging", 75, 100)
    first, second = capsys.readouterr().err.splitlines()
    assert first == "judging: 50/100"
    assert second.startswith("judging: 75/100, ")


def test_progress_says_nothing_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    """Stdout is for results."""
    with shared.Progress() as tell:
        tell("judging", 1, 1)
    assert capsys.readouterr().out == ""
