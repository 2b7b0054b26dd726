"""`judge rubrics`: what the judge is asked, and whether a rubric set is in order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from judge import rubric as sets
from judge.cli.command import FOLDER_OR_FILE, Group, echo_json, option, table
from judge.cli.options import characters_file_option
from judge.dialogues import read_dialogues, select
from judge.errors import UsageError
from judge.rubric import RubricComparison, RubricSet, TextChange, load_rubric
from judge.types import Metric

__all__ = ["rubrics"]


@click.group(cls=Group)
def rubrics() -> None:
    """List, read, try and check the rubric sets.

    \b
    Example:
      judge rubrics list
      judge rubrics show fluency --lang en
    """


def _which(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that choose a rubric set and its language."""
    language = option("--lang", help="Language of the prompts.  [default: the set's first]")
    return _rubric_option(language(command))


def _rubric_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return option(
        "--rubric",
        metavar="NAME|FOLDER",
        default="esrp",
        show_default=True,
        help="A shipped rubric set, such as esrp@1.2.0, or a folder with a rubric.toml.",
    )(command)


@rubrics.command("list")
@option("--json", "as_json", is_flag=True, help="Print one JSON array.")
def list_(as_json: bool) -> None:
    """List the rubric sets that come with judge, one line for each language.

    The version of a set that is used unless another is asked for has the name alone. NAME@VERSION
    names any version.

    \b
    Example:
      judge rubrics list --json
    """
    header = ("name", "version", "language", "metrics", "characters", "hash")
    rows: list[tuple[str | int, ...]] = []
    for name in sets.shipped_sets():
        for language in sets.languages(name):
            loaded = load_rubric(name, language)
            rubric = loaded.rubric
            counts = (len(rubric.metrics), len(loaded.characters))
            rows.append((name, rubric.version, language, *counts, rubric.hash))
    if as_json:
        echo_json([dict(zip(header, row, strict=True)) for row in rows])
    else:
        click.echo(table([header, *((*row[:-1], str(row[-1])[:12]) for row in rows)]))


@rubrics.command()
@click.argument("metric", required=False)
@option("--set", "whole", is_flag=True, help="The metrics of the set, in place of METRIC.")
@_which
@option("--json", "as_json", is_flag=True, help="With --set: print one JSON object.")
def show(metric: str | None, whole: bool, rubric: str, lang: str | None, as_json: bool) -> None:
    """Print what a set asks about METRIC, or with --set what is in the set.

    \b
    Example:
      judge rubrics show emotional_value
      judge rubrics show --set --rubric tiny
    """
    if (metric is None) != whole:
        raise UsageError(
            "name either a METRIC or --set",
            hint="for instance: judge rubrics show fluency, or judge rubrics show --set",
        )
    if as_json and not whole:
        raise UsageError("--json goes with --set", hint="a rubric's text is printed as it is")
    loaded = load_rubric(rubric, lang)
    if metric is None:
        _show_set(loaded, as_json)
        return
    found = _metric(loaded, metric, "METRIC")
    question = loaded.question(found)
    text = loaded.describe(found)
    if text is not None:
        click.echo(text.strip() + "\n")
    click.echo(f"question  {question.text.strip()}\nstub      {question.prefill.strip()}")
    if found.unit == "dialogue" and loaded.has_rationale:
        reasoned = loaded.question(found, rationale=True)
        click.echo(f"rationale {reasoned.text.strip()}")


def _show_set(loaded: RubricSet, as_json: bool) -> None:
    rubric = loaded.rubric
    header = ("metric", "title", "dimension", "unit")
    rows = [
        (m.name, m.titles[rubric.language], m.dimension or None, m.unit) for m in rubric.metrics
    ]
    if as_json:
        echo_json(
            {
                "name": rubric.name,
                "version": rubric.version,
                "language": rubric.language,
                "hash": rubric.hash,
                "labels": rubric.labels,
                "characters": list(loaded.characters),
                "metrics": [dict(zip(header, row, strict=True)) for row in rows],
            }
        )
        return
    click.echo(f"{rubric.name} {rubric.version}, {rubric.language}, hash {rubric.hash}")
    click.echo(f"labels {' '.join(rubric.labels)}, {len(loaded.characters)} characters")
    click.echo()
    click.echo(table([header, *(tuple(cell or "-" for cell in row) for row in rows)]))


@rubrics.command()
@click.argument("file", required=False, type=FOLDER_OR_FILE)
@option("--metric", help="What is asked.  [default: the set's first metric]")
@option("--characters", metavar="NAME", help="Take the first dialogue of this character.")
@option("--scenarios", metavar="ID", help="Take the first dialogue of this scenario.")
@option("--segments", is_flag=True, help="Put a line with its name before each segment.")
@option("--rationale", is_flag=True, help="The prompt that asks for a reason first.")
@_which
@characters_file_option
def render(
    file: Path | None,
    metric: str | None,
    characters: str | None,
    scenarios: str | None,
    segments: bool,
    rationale: bool,
    rubric: str,
    lang: str | None,
    characters_file: Path | None,
) -> None:
    """Print one whole prompt, as a judge reads it but for the marks of its chat template.

    It is made of the first dialogue of FILE, or without FILE of a sample. The last segment
    begins the judge's answer: the label would follow it. With --rationale the judge would begin
    its reason instead.

    \b
    Example:
      judge rubrics render data/chatanime/gpt-4.1.json --metric coherency --segments
    """
    loaded = load_rubric(rubric, lang, characters_file)
    asked = loaded.rubric.metrics[0] if metric is None else _metric(loaded, metric, "--metric")
    dialogue = sets.SAMPLE
    if file is not None:
        dialogue = select(
            read_dialogues(file).dialogues,
            characters=() if characters is None else (characters,),
            scenarios=() if scenarios is None else (scenarios,),
        )[0]
    elif characters is not None or scenarios is not None:
        raise UsageError(
            "--characters and --scenarios choose a dialogue of FILE, and there is no FILE",
            hint="judge rubrics render FILE --characters NAME",
        )
    if rationale and asked.unit == "replies":
        raise UsageError(
            f"--rationale: {asked.name} judges many replies, and is asked without a reason",
            hint="choose a metric of dialogues with --metric",
        )
    for name, text in loaded.segments(asked, dialogue, rationale=rationale).items():
        if segments:
            click.echo(f"--- {name}, {len(text)} characters")
        click.echo(text, nl=segments and not text.endswith("\n"))
    if not segments:
        click.echo()


@rubrics.command()
@click.argument("folder", type=FOLDER_OR_FILE)
def new(folder: Path) -> None:
    """Write a small rubric set with comments into FOLDER, to be changed into one of your own.

    \b
    Example:
      judge rubrics new ./my-rubric
    """
    sets.new_set(folder)
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        click.echo(str(path))
    click.echo(f"edit them, then: judge rubrics check --rubric {folder}")


@rubrics.command()
@_rubric_option
@characters_file_option
@option("--json", "as_json", is_flag=True, help="Print one JSON array.")
@click.pass_context
def check(ctx: click.Context, rubric: str, characters_file: Path | None, as_json: bool) -> None:
    """Look for every fault of a set, in all its languages.

    Missing or needless templates, syntax errors, variables that are not there, levels without
    an anchor, profiles that lack something. Ends with 2 if there is any, each on a line of its
    own with file and line.

    \b
    Example:
      judge rubrics check --rubric ./my-rubric
    """
    problems = sets.check(rubric, characters_file)
    if as_json:
        echo_json([{**p._asdict(), "path": str(p.path)} for p in problems])
    else:
        for problem in problems:
            click.echo(str(problem))
        click.echo(f"{rubric}: {len(problems) or 'no'} problem{'s' * (len(problems) != 1)}")
    if problems:
        ctx.exit(2)


@rubrics.command()
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@option("--lang", help="Compare in this language.  [default: the first that both have]")
@option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def diff(first: str, second: str, lang: str | None, as_json: bool) -> None:
    """Show what changed from set A to set B: each a shipped set, a version of one, or a folder.

    For each metric its length and the lines that differ, then the other templates, blocks, the
    scale and the profiles. Lines of A begin with -, lines of B with +.

    \b
    Example:
      judge rubrics diff esrp@1.1.0 esrp@1.2.0
      judge rubrics diff esrp ./my-rubric --lang en --json
    """
    if lang is None:
        there = sets.languages(second)
        lang = next((language for language in sets.languages(first) if language in there), None)
        if lang is None:
            raise UsageError(
                f"{first} and {second} have no language in common",
                hint="judge rubrics list shows the languages of the shipped sets",
            )
    loaded = load_rubric(first, lang), load_rubric(second, lang)
    found = sets.compare(*loaded)
    names = [f"{one.rubric.name} {one.rubric.version} {one.rubric.hash[:12]}" for one in loaded]
    if as_json:
        echo_json({"first": names[0], "second": names[1], **asdict(found)})
        return
    click.echo(f"{names[0]} -> {names[1]}, {lang}")
    _show_changes(found)


def _show_changes(found: RubricComparison) -> None:
    labels = [" ".join(labels) for labels in found.labels]
    click.echo(f"labels      {labels[0]}" + (f" -> {labels[1]}" if labels[0] != labels[1] else ""))
    for title, names in (("blocks", found.blocks), ("characters", found.characters)):
        parts = [f"{verb} {', '.join(which)}" for verb, which in asdict(names).items() if which]
        click.echo(f"{title:11} {'; '.join(parts) or 'the same'}")
    rows: list[tuple[object, ...]] = [("one whole prompt", *found.prompt, "")]
    for change in (*found.metrics, *found.templates):
        lengths = ["-" if n is None else n for n in (change.before, change.after)]
        rows.append((change.name, *lengths, _kind(change)))
    click.echo("\n" + table([("characters of", "before", "after", ""), *rows]))
    for change in (*found.metrics, *found.templates):
        if change.lines:
            click.echo(f"\n{change.name}")
        for line in change.lines:
            click.secho(line, fg="red" if line.startswith("-") else "green")


def _kind(change: TextChange) -> str:
    if change.before is None:
        return "added"
    return "removed" if change.after is None else "changed" if change.lines else "the same"


def _metric(loaded: RubricSet, name: str, option: str) -> Metric:
    try:
        return loaded.rubric.metric(name)
    except KeyError:
        raise UsageError(
            f"{option} {name}: not a metric of {loaded.rubric.name}",
            hint=f"choose from {', '.join(m.name for m in loaded.rubric.metrics)}",
        ) from None
