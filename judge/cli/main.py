"""The command `judge`: its subcommands, and what becomes of errors.

Exit status: 0 done, 1 done with failures counted, 2 the user's mistake, 3 interrupted.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from types import FrameType
from typing import NamedTuple, NoReturn

import click

from judge import __version__
from judge.cli.terminal import streams
from judge.errors import JudgeError
from judge.limits import harmless

__all__ = ["cli", "main"]


class _Entry(NamedTuple):
    """Where a command is, and the line about it in the list of commands."""

    module: str
    name: str
    summary: str


_COMMANDS = {
    "agree": _Entry(
        "judge.cli.agree_command",
        "agree",
        "Compare the scores of RUNS with human ratings, and write a report for a paper.",
    ),
    "calibrate": _Entry(
        "judge.cli.calibrate_command",
        "calibrate",
        "Fit the scores of RUNS to human ratings, or to published means.",
    ),
    "compare": _Entry(
        "judge.cli.report_command",
        "compare",
        "Say where two runs over the same dialogues differ: two judges, rubrics or languages.",
    ),
    "data": _Entry("judge.cli.data_command", "data", "Get and check dialogues."),
    "doctor": _Entry(
        "judge.cli.operator_command",
        "doctor",
        "Look whether this machine can do the work, and say what to mend.",
    ),
    "eval": _Entry(
        "judge.cli.eval_command",
        "evaluate",
        "Let a model play, judge it on nine metrics and write a report.",
    ),
    "export": _Entry(
        "judge.cli.operator_command",
        "export",
        "Write the judgments of RUNS, made with one judge and one rubric, as one table.",
    ),
    "generate": _Entry(
        "judge.cli.eval_command", "generate", "Let a model play the characters in every scenario."
    ),
    "leaderboard": _Entry(
        "judge.cli.report_command",
        "leaderboard",
        "Rank the systems of RUNS, folders made with one judge and one rubric.",
    ),
    "merge": _Entry(
        "judge.cli.operator_command",
        "merge",
        "Join RUNS, made with one judge and one rubric, in one new run folder.",
    ),
    "probe": _Entry(
        "judge.cli.probe_command",
        "probe",
        "Probe a judge without human labels: does it see what it should, and only that?",
    ),
    "ratings": _Entry(
        "judge.cli.ratings_command",
        "ratings",
        "Check human ratings, write sheets for annotators, collect them.",
    ),
    "report": _Entry(
        "judge.cli.report_command",
        "report",
        "Write one report over RUNS, folders made with one judge and one rubric.",
    ),
    "rubrics": _Entry(
        "judge.cli.rubrics_command", "rubrics", "List, read, try and check the rubric sets."
    ),
    "runs": _Entry(
        "judge.cli.operator_command",
        "runs",
        "List the run folders in FOLDERS (default: runs) with their size and state, oldest first.",
    ),
}
"""Modules are imported only when their command is asked for."""


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in _COMMANDS:
            return None
        entry = _COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(entry.module), entry.name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, _COMMANDS[name].summary) for name in sorted(_COMMANDS)])


@click.command(
    cls=_Lazy,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "JUDGE"},
)
@click.version_option(__version__, prog_name="judge")
def cli() -> None:
    """Score emotionally supportive role-playing dialogues with a local judge.

    \b
    Example:
      judge eval --model answers.json
      judge report runs/answers-lexical
    """


def main() -> None:
    """Run the command line; a user's mistake is two lines, never a traceback."""
    with streams():
        _run()


def _run() -> NoReturn:
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, _interrupt)
        status = cli.main(prog_name="judge", standalone_mode=False)
    except JudgeError as error:
        _fail(str(error), error.hint)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(2)
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else "judge"
        _fail(error.format_message(), f"see {path} --help")
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted; the same command goes on where this one stopped", err=True)
        sys.exit(3)
    except OSError as error:
        # The commands name the files they read and write. What is left is mostly the output
        # itself, on a full disk; sent elsewhere, lest Python try once more at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        what = error.filename or "the output"
        _fail(f"{what}: {error.strerror or error}", "is there room? What was judged is kept")
    sys.exit(status if isinstance(status, int) else 0)


def _fail(message: str, hint: str | None) -> NoReturn:
    click.echo(f"error: {harmless(message)}", err=True)
    if hint:
        click.echo(f"hint: {harmless(hint)}", err=True)
    sys.exit(2)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    del number, frame
    raise KeyboardInterrupt
