"""What all commands share: options in groups, option files, notes, progress, plain tables."""

from __future__ import annotations

import difflib
import json
import logging
import sys
import time
import tomllib
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import click
from click.core import ParameterSource

from judge.errors import JudgeError, UsageError
from judge.limits import CONFIG_BYTES, LimitError, harmless, read_regular
from judge.text_files import refuse_name

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

__all__ = [
    "FOLDER_OR_FILE",
    "Command",
    "Group",
    "NameList",
    "Progress",
    "command",
    "echo_json",
    "given_options",
    "option",
    "table",
    "write_config",
]

EVERY = 20.0
"""Seconds between two lines of progress where there is no terminal."""


class _Path(click.Path):
    """A folder or a file, refused before the work if reports could not name it after it."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        refuse_name(Path(value))
        return super().convert(value, param, ctx)


FOLDER_OR_FILE = _Path(path_type=Path)

_WITH_SECRET = ("@", "?")
"""What an address with a password, or with a key behind it, has."""
_VERBOSE = "judge.verbose"
_TIMED = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_NOT_IN_FILES = {"config", "verbose", "save-config", "json", "dry-run", "tokens-per-second"}
"""Options that are about one run of a command: an option file cannot have them."""


class NameList(click.ParamType):  # type: ignore[type-arg]
    """Names separated by commas, as a tuple; in an option file a list of names will do."""

    name = "text"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """The names without blanks around them."""
        del param, ctx
        parts = value.split(",") if isinstance(value, str) else map(str, value)
        return tuple(part.strip() for part in parts if part.strip())


class Option(click.Option):
    """An option that stands in a group of the help."""

    def __init__(self, *args: Any, group: str = "Options", **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.group = group

    @property
    def key(self) -> str:
        """Its name in an option file: that of the command line without the dashes."""
        return max(self.opts, key=len).lstrip("-")

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:
        """Take a list of names that is given twice as one list."""
        super().add_to_parser(parser, ctx)
        if not isinstance(self.type, NameList):
            return
        for flag in self.opts:
            known = parser._long_opt[flag]  # noqa: SLF001 - as click's own examples do
            known.process = partial(_append_names, known.dest)

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        """The variable `JUDGE_COMMAND_OPTION`; an empty one counts as not set."""
        if ctx.auto_envvar_prefix and self.envvar is None:
            self.envvar = f"{ctx.auto_envvar_prefix}_{self.key.upper().replace('-', '_')}"
        return super().resolve_envvar_value(ctx)


def _append_names(name: str, value: str, state: Any) -> None:
    before = state.opts.get(name)
    state.opts[name] = value if before is None else f"{before},{value}"


option = partial(click.option, cls=Option)


class Command(click.Command):
    """A command with grouped help, whose options can also come from a file."""

    def __init__(self, *args: Any, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.params.append(
            Option(
                ["--config"],
                type=FOLDER_OR_FILE,
                metavar="FILE",
                is_eager=True,
                expose_value=False,
                callback=_read_config,
                help="Take options from a TOML file, as limit = 100 for --limit 100, or from the "
                "manifest.json of a run. Options of the command line come before, and before "
                "those of the file variables such as JUDGE_EVAL_LIMIT.",
            )
        )

        self.params.append(
            Option(
                ["-v", "--verbose"],
                is_flag=True,
                is_eager=True,
                expose_value=False,
                callback=_be_verbose,
                help="Say on standard error what is done when, in every batch, and after an error "
                "where in the program it arose.",
            )
        )

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The options by their groups."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None:
                groups.setdefault(getattr(param, "group", "Options"), []).append(record)
        for heading, records in groups.items():
            with formatter.section(heading):
                formatter.write_dl(records)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; what its workflow tells goes to standard error meanwhile."""
        log = logging.getLogger("judge")
        handler = _Echo()
        before = log.level, log.propagate
        verbose = ctx.meta.get(_VERBOSE, False)
        if verbose:
            handler.setFormatter(logging.Formatter(_TIMED))
        log.addHandler(handler)
        log.setLevel(logging.DEBUG if verbose else logging.INFO)
        log.propagate = False
        try:
            return super().invoke(ctx)
        except JudgeError as error:
            log.debug("the error below arose here:", exc_info=error)
            raise
        finally:
            log.removeHandler(handler)
            log.level, log.propagate = before


command = partial(click.command, cls=Command)


class Group(click.Group):
    """A command with commands below it."""

    command_class = Command


class _Echo(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        click.echo(harmless(self.format(record)), err=True)


def _be_verbose(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    del param
    ctx.meta[_VERBOSE] = value


# Options from a file


def _read_config(ctx: click.Context, param: click.Parameter, path: Path | None) -> None:
    del param
    if path is None:
        return
    options = [p for p in ctx.command.params if isinstance(p, Option)]
    known = {option.key: option for option in options if option.key not in _NOT_IN_FILES}
    values: dict[str, Any] = {}
    for name, value in _options_in(path, ctx.command.name).items():
        key = name.replace("_", "-")
        if key not in known:
            close = difflib.get_close_matches(key, known, n=3)
            raise UsageError(
                f"{name} is no option of `{ctx.command_path}`",
                path=path,
                hint=f"did you mean {' or '.join(close)}?" if close else "--help lists them",
            )
        values[str(known[key].name)] = _checked(ctx, known[key], path, name, value)
    ctx.default_map = {**(ctx.default_map or {}), **values}


def _options_in(path: Path, command_name: str | None) -> Mapping[str, Any]:
    if path.suffix == ".json":
        if command_name != "eval":
            raise UsageError(
                "a manifest has the options of `judge eval`",
                path=path,
                hint="name a TOML file, such as --config options.toml",
            )
        return _options_of_manifest(path)
    try:
        options: dict[str, Any] = tomllib.loads(read_regular(path, CONFIG_BYTES).decode("utf-8"))
    except LimitError as error:
        raise UsageError(str(error), path=path) from None
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", path=path) from None
    except ValueError as error:
        raise UsageError(
            f"not valid TOML: {error}", path=path, hint='write options as judge = "lexical"'
        ) from None
    return options


def _options_of_manifest(path: Path) -> dict[str, Any]:
    """The options that a run was made with; the address of a server is not among them."""
    from judge import manifest as manifests

    made = manifests.read(path.parent) if path.name == "manifest.json" else None
    if made is None:
        raise UsageError(
            "this is no manifest.json of a run", path=path, hint="options stand in a .toml file"
        )
    rubric = f"{made.rubric.name}@{made.rubric.version}"  # where none was named: a shipped one
    options: dict[str, Any] = {"judge": made.judge["name"], "rubric": rubric}
    options |= {"lang": made.rubric.language, **made.options}
    if "rationale" in made.judge:  # "at most 512 tokens"
        options |= {"rationale": True, "rationale_tokens": made.judge["rationale"].split()[2]}
    return {key: value for key, value in options.items() if value is not None and key != "played"}


def _checked(ctx: click.Context, option: Option, path: Path, name: str, value: Any) -> Any:
    """A value of an option file, if the option can have it."""
    if option.multiple and not isinstance(value, list):
        value = [value]
    try:
        if isinstance(value, dict) or isinstance(value, bool) != option.is_flag:
            kind = "true or false" if option.is_flag else "a text or a number"
            raise click.BadParameter(f"{value!r} is not {kind}.")
        option.type_cast_value(ctx, value)
    except click.BadParameter as error:
        raise UsageError(
            f"{name}: {error.message}", path=path, hint=f"see {ctx.command_path} --help"
        ) from None
    return value


def write_config(ctx: click.Context, path: Path) -> None:
    """Write the options that were given, wherever they came from, as an option file.

    Raises:
        StoreError: the file cannot be written.
    """
    from judge.records import write_text

    lines = []
    for param in ctx.command.params:
        value = ctx.params.get(str(param.name))
        if not isinstance(param, Option) or not is_given(ctx, param) or param.key in _NOT_IN_FILES:
            continue
        if param.key.endswith("url") and any(sign in str(value) for sign in _WITH_SECRET):
            click.echo(f"--{param.key} is not saved: it may hold a password or a key", err=True)
        elif value is not None:
            # JSON's texts, numbers, truths and lists of texts are TOML's too.
            plain = value if isinstance(value, bool | int | float | tuple) else str(value)
            text = json.dumps(plain, ensure_ascii=False, default=str)
            lines.append(f"{param.key} = {text}\n")
    write_text(path, "".join(lines))


# What is printed


def given_options(ctx: click.Context, *groups: str) -> dict[str, Any]:
    """The options of some groups that the user gave, by parameter; defaults are left out."""
    given = (p for p in ctx.command.params if isinstance(p, Option) and p.group in groups)
    names = (str(option.name) for option in given if is_given(ctx, option))
    return {name: ctx.params[name] for name in names}


def is_given(ctx: click.Context, option: click.Parameter) -> bool:
    """Whether the user gave an option: on the command line, in a variable or in a file."""
    return ctx.get_parameter_source(str(option.name)) is not ParameterSource.DEFAULT


def table(rows: Sequence[Sequence[object]]) -> str:
    """Left-aligned columns; a Chinese character takes two columns of the terminal."""
    from rich.cells import cell_len

    cells = [list(map(str, row)) for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(c + " " * (w - cell_len(c)) for c, w in zip(row, widths, strict=True)).rstrip()
        for row in cells
    )


def echo_json(value: object) -> None:
    """Print one JSON value on one line."""
    click.echo(json.dumps(value, ensure_ascii=False, default=str))


class Progress:
    """Progress on standard error: a bar on a terminal, a line now and then elsewhere.

    Use as a context manager, and as the `progress` of a workflow.
    """

    def __init__(self) -> None:
        self._what: str | None = None
        self._bar: Bar | None = None
        self._start: tuple[float, int] = (0.0, 0)
        self._said = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def __call__(self, what: str, done: int, total: int) -> None:
        """`done` of `total` are there; the first call tells what was there before."""
        now = time.monotonic()
        if what != self._what:
            self._stop()
            self._what, self._start, self._said = what, (now, done), now
            self._bar = _bar(what) if sys.stderr.isatty() else None
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=done, total=total)
            if done >= total:  # what is told next must not be written into the bar
                self._stop()
        elif now - self._said >= EVERY or done >= total:
            self._said = now
            click.echo(self._line(now, done, total), err=True)

    def _line(self, now: float, done: int, total: int) -> str:
        since, before = self._start
        line = f"{self._what}: {done}/{total}"
        if done > before and now > since:
            rate = (done - before) / (now - since)
            line += f", {rate:.1f}/s, {(total - done) / rate:.0f} s left"
        return line

    def _stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()
        self._bar = self._what = None


def _bar(what: str) -> Bar:
    from rich import progress
    from rich.console import Console
    from rich.text import Text

    class Rate(progress.ProgressColumn):
        def render(self, task: progress.Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text("-/s" if speed is None else f"{speed:.1f}/s")

    columns = ("{task.description}", progress.BarColumn(), progress.MofNCompleteColumn())
    bar = progress.Progress(
        *columns, Rate(), progress.TimeRemainingColumn(), console=Console(stderr=True)
    )
    bar.add_task(what, total=None)
    bar.start()
    return bar
