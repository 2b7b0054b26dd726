"""The options that name a file of human ratings: the same for every command that uses one."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from judge.errors import UsageError
from judge.ratings import Ratings, Scale, ensure_usable, read_ratings
from judge.types import Metric

__all__ = ["alias", "rated_file", "rating_options"]

_NAMES = ("ratings", "aliases", "scale", "step")


def rating_options(what_for: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Gives a command the options, and hands them over as one argument `rated`.

    `rated_file` reads what they name. A decorator to stand among those of click.
    """
    options = (
        click.option("--ratings", type=click.Path(path_type=Path), help=what_for),
        click.option(
            "--alias",
            "aliases",
            metavar="NAME=METRIC",
            multiple=True,
            help="What a metric, or a column such as rater, is called in --ratings. Repeatable.",
        ),
        click.option("--scale", metavar="LOW-HIGH", help="What a rating may be.  [default: 1-5]"),
        click.option(
            "--step", type=float, default=1, show_default=True, help="0.5: half points; 0: any."
        ),
    )

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def collected(*args: Any, **kwargs: Any) -> Any:
            rated = {name: kwargs.pop(name) for name in _NAMES}
            return command(*args, rated=rated, **kwargs)

        for option in reversed(options):
            option(collected)
        return collected

    return decorate


def rated_file(rated: Mapping[str, Any], metrics: Iterable[Metric]) -> Ratings | None:
    """The ratings that the options name, None without any.

    Raises:
        UsageError: options of a file that was not named, or that cannot be satisfied.
        DataError: the file cannot be used.
    """
    if rated["ratings"] is None:
        if rated["aliases"] or rated["scale"] is not None or rated["step"] != 1:
            raise UsageError(
                "--alias, --scale and --step go with --ratings", hint="add it, or leave them out"
            )
        return None
    scale, step = rated["scale"], rated["step"]
    found = read_ratings(
        rated["ratings"],
        metrics=metrics,
        aliases=dict(map(alias, rated["aliases"])),
        scale=None if scale is None and step == 1 else Scale.parse(scale or "1-5", step),
    )
    ensure_usable(found)
    return found


def alias(text: str) -> tuple[str, str]:
    """NAME=METRIC, taken apart."""
    name, sign, target = text.rpartition("=")
    if not (sign and name.strip() and target.strip()):
        raise UsageError(f"--alias {text}: it is not NAME=METRIC", hint="--alias 流畅度=fluency")
    return name, target.strip()
