"""`judge probe`: does a judge see what it should, and only that?"""

from __future__ import annotations

from typing import Any

import click

from judge.cli.command import FOLDER_OR_FILE, Progress, command, echo_json, given_options, option
from judge.cli.options import (
    ENGINE,
    GIVEN,
    JUDGE,
    REPORT,
    SERVER,
    confidence_option,
    engine_options,
    given_cluster,
    json_option,
    metrics_option,
    out_option,
    retry_failed_option,
)

__all__ = ["probe"]


@command("probe")
@option(
    "--judge",
    multiple=True,
    group=JUDGE,
    help="As of `judge eval`. Given twice, both judges stand in one report.",
)
@option(
    "--rubric",
    multiple=True,
    group=JUDGE,
    help="A shipped set or a folder. Given twice, each judge is probed with both.  "
    "[default: the judge's]",
)
@option("--lang", "language", group=JUDGE, help="Language of the rubric.  [default: its first]")
@metrics_option
@option(
    "--dialogues",
    type=FOLDER_OR_FILE,
    group=GIVEN,
    help="What to damage and bait.  [default: the public dialogues, else those of the demo]",
)
@option(
    "--limit",
    type=click.IntRange(min=2),
    default=40,
    show_default=True,
    group=GIVEN,
    help="Dialogues of the sample, each judged in about 60 forms; --limit 12 for a first look.",
)
@option(
    "--against",
    multiple=True,
    metavar="ENGINE|seed=N",
    group=GIVEN,
    help="Score the unaltered dialogues with another engine or seed too. Repeatable.",
)
@engine_options
@retry_failed_option
@option(
    "--require",
    multiple=True,
    metavar="NAME>=NUMBER",
    group=REPORT,
    help="End with 1 if a number is missed: a metric (how often damage scores lower), halo, bait "
    "(the most that a bait buys, in points), other_character or shuffled (known answers). "
    "Repeatable; quote it for the shell.",
)
@out_option("Folder of the page and all judgments.  [default: runs/probe-JUDGE]")
@confidence_option
@json_option
@click.pass_context
def probe(ctx: click.Context, /, as_json: bool, **_: Any) -> None:
    """Probe a judge without human labels: does it see what it should, and only that?

    Damages and baits a sample of dialogues in known ways, lets the judge score every form, and
    says which damage it sees, what else moves, which baits it takes, and whether it scores the same
    twice. Can be stopped at any time: the same command goes on where it stopped. Ends with 1 if a
    requirement is missed or some judgments could not be made.

    \b
    Example:
      judge probe --judge lexical
      judge probe --judge Qwen/Qwen3-8B --require 'fluency>=.8' --require 'bait<=.2'
      judge probe --judge lexical --judge tiny --limit 12 --out runs/both
      judge probe --judge Qwen/Qwen3-8B --rubric esrp --rubric ./mine --against hf-naive
    """
    from judge.cli.terminal import print_table
    from judge.report.probe_summary import requirement_sentence, terminal_probe
    from judge.workflows import probe as workflow

    asked = given_options(ctx, GIVEN, JUDGE, ENGINE, SERVER, REPORT) | given_cluster(ctx)
    for name in ("judge", "rubric"):
        if name in asked:
            asked[name] = list(asked[name])
    with Progress() as progress:
        done = workflow.probe(progress=progress, **asked)
    if as_json:
        facts = {"page": str(done.page), "failed": done.failed}
        facts |= {"missed": [one.text for one in done.missed]}
        echo_json({**facts, "probe": done.record.to_dict()})
    else:
        print_table(terminal_probe(done.record))
        several = len(done.record.findings) > 1
        for one in done.record.requirements:
            click.echo(requirement_sentence(one, several=several))
        click.echo(f"probe: {done.page}")
    ctx.exit(1 if done.failed or done.missed else 0)
