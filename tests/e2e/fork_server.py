"""Runs `judge` many times without importing its libraries each time: a process of its own a run.

    python tests/e2e/fork_server.py

Each line of standard input is a request, one JSON object: the arguments of the command, its
working folder, its environment, and the files that take its output. A child is forked for it,
which has everything imported and nothing else done, and a line with its exit status is the answer.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import pkgutil
import sys
from typing import Any, NoReturn

import click

from judge.cli.main import cli, main
from judge.workflows import __path__ as WORKFLOWS  # noqa: N812 - where the modules lie

DRAWING = ("matplotlib.figure", "matplotlib.style", "matplotlib.backends.backend_pdf")
"""What reports import when they are written."""


def load() -> None:
    """Import what commands import; no test of the program asks which modules were loaded."""
    context = click.Context(cli)
    for name in cli.list_commands(context):
        cli.get_command(context, name)
    workflows = [f"judge.workflows.{info.name}" for info in pkgutil.iter_modules(WORKFLOWS)]
    for module in (*workflows, *DRAWING, "matplotlib.backends.backend_svg", "judge.report.figures"):
        importlib.import_module(module)


def become(request: dict[str, Any]) -> NoReturn:
    """Be a process that was started with `python -m judge`, and end as it does."""
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv = ["judge", *request["arguments"]]
    for descriptor, path in enumerate((os.devnull, request["out"], request["err"])):
        flags = os.O_WRONLY | os.O_CREAT if descriptor else os.O_RDONLY
        os.dup2(os.open(path, flags, 0o600), descriptor)
    sys.stdin, sys.stdout, sys.stderr = (
        open(descriptor, mode, encoding="utf-8", closefd=False)  # noqa: SIM115 - kept open
        for descriptor, mode in enumerate("rww")
    )
    status: object = 70
    try:
        main()
    except SystemExit as end:
        status = end.code
    except BaseException:  # noqa: BLE001 - a traceback on standard error, as Python prints it
        sys.excepthook(*sys.exc_info())
        status = 1
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(status if isinstance(status, int) else 0)


def answer(what: object) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


def serve() -> None:
    """Until standard input ends."""
    load()
    answer("ready")
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            become(json.loads(line))
        _, status = os.waitpid(child, 0)
        answer(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    serve()
