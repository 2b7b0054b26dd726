"""`judge report`: one report over the judgments of one or more runs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click
from rich.console import Console

from judge import calibration_file
from judge.analysis import (
    PAPER,
    CalibratedScores,
    PublishedDiversity,
    PublishedMeans,
    Results,
    apply_calibration,
    paper_means,
    read_published,
    read_published_diversity,
    summarize,
    summarize_diversity,
    word_segmenter,
)
from judge.calibration_file import Calibration, MadeWith
from judge.chatanime import data_root
from judge.cli.rated import rated_file, rating_options
from judge.errors import UsageError
from judge.manifest import Manifest
from judge.ratings import Ratings
from judge.report import terminal_table, write_report
from judge.roleplay.playing_summary import PlayingSummary, read_playing_summary
from judge.runs import open_run
from judge.types import Dialogue, Failure, Judgment

__all__ = [
    "Drawn",
    "HumanScale",
    "calibration_option",
    "draw",
    "human_scale",
    "means_of",
    "new_ratings",
    "published_means",
    "published_option",
    "report",
    "show",
]

published_option = click.option(
    "--published",
    type=click.Path(path_type=Path),
    help="CSV of published means (system, metric, mean) to set beside, or `paper` for those of "
    "Figure 1 of arXiv 2508.06388.  [default: that of $JUDGE_DATA, if there]",
)


calibration_option = click.option(
    "--calibration",
    type=click.Path(path_type=Path),
    help="What `judge calibrate` wrote: the scores are shown on the human scale too.",
)

new_ratings = rating_options(
    "With --calibration: ratings of some dialogues of systems that it has not seen. With the "
    "judge's scores they give narrower intervals."
)


class HumanScale(NamedTuple):
    """A calibration that fits the run, and ratings of systems that it has not seen."""

    calibration: Calibration
    ratings: Ratings | None


class Drawn(NamedTuple):
    """A report that was written: what it says, its page, and how many judgments failed."""

    results: Results
    page: Path
    failed: int


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), help="Folder of the report.  [default: the one run's]"
)
@published_option
@calibration_option
@new_ratings
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def report(
    ctx: click.Context,
    runs: tuple[Path, ...],
    out: Path | None,
    published: Path | None,
    calibration: Path | None,
    rated: Mapping[str, Any],
    as_json: bool,
) -> None:
    """Write one report over RUNS, folders made with one judge and one rubric.

    Ends with 1 if some judgments could not be made.

    \b
    Example:
      judge report runs/gpt-4.1-lexical
      judge report runs/gpt-4.1-lexical runs/human-lexical --out reports/both
      judge report runs/answers-lexical --calibration calibration.json
    """
    if out is None and len(runs) > 1:
        raise UsageError(
            "several runs need --out, the folder of their common report",
            hint="for instance --out reports/all",
        )
    means = published_means(published)
    run = open_run(*runs)
    human = human_scale(calibration, rated, run.manifest)
    played = [one for folder in runs if (one := read_playing_summary(folder)) is not None]
    parts = (run.manifest, run.judgments, run.dialogues, means, out or runs[0])
    drawn = draw(*parts, human, played)
    show(drawn, as_json=as_json)
    ctx.exit(1 if drawn.failed else 0)


def published_means(asked: Path | None) -> PublishedMeans | None:
    """The means asked for, or else those of the file beside the public data, if there."""
    beside = data_root() / "published" / "chatanime_figure1.csv"
    if asked is None and not beside.is_file():
        return None
    return means_of(asked or beside)


def means_of(asked: Path) -> PublishedMeans:
    """The means of a file, or the shipped ones of the paper."""
    return paper_means() if asked == Path(PAPER) else read_published(asked)


def human_scale(
    calibration: Path | None, rated: Mapping[str, Any], manifest: Manifest
) -> HumanScale | None:
    """The calibration asked for, None without one.

    Raises:
        StoreError: it cannot be read, or was made for another judge, rubric or prompts.
        UsageError: ratings without a calibration.
        DataError: ratings that cannot be used.
    """
    if calibration is None:
        if rated["ratings"] is not None:
            raise UsageError(
                "--ratings goes with --calibration",
                hint="judge calibrate RUN --ratings FILE fits one; how far judge and ratings agree "
                "is what judge agree RUN --ratings FILE says",
            )
        return None
    stored = calibration_file.read(calibration)
    run = MadeWith.of(manifest.judge, manifest.rubric, manifest.prompts)
    calibration_file.refuse_mismatch(calibration, stored, run)
    ratings = rated_file(rated, manifest.rubric.metrics)
    if ratings is not None and ratings.faults:
        refused = len(ratings.faults)
        click.echo(f"{refused} ratings refused: `judge ratings check` lists them", err=True)
    return HumanScale(stored, ratings)


def draw(
    manifest: Manifest,
    judgments: Sequence[Judgment],
    dialogues: Sequence[Dialogue],
    published: PublishedMeans | None,
    folder: Path,
    human: HumanScale | None = None,
    played: Sequence[PlayingSummary] = (),
) -> Drawn:
    """Sum up and write the report into `folder`, on the human scale too if there is one.

    `played` says how the systems played that were not recorded.
    """
    results = summarize(
        judgments,
        manifest.rubric,
        dialogues=dialogues,
        provenance=manifest.provenance,
        notes=manifest.notices,
        published=published,
        diversity=summarize_diversity(
            judgments, dialogues, manifest.rubric, segmenter=word_segmenter(), bars=_bars()
        ),
        played=played,
    )
    found = CalibratedScores(results, {})
    if human is not None:
        found = apply_calibration(results, human.calibration, judgments, human.ratings)
    files = write_report(found.results, folder, judgments=judgments, items=found.items)
    failed = sum(isinstance(judgment.outcome, Failure) for judgment in judgments)
    return Drawn(found.results, files.html, failed)


def _bars() -> PublishedDiversity | None:
    """The published bars of response diversity, if they are beside the public data."""
    beside = data_root() / "published" / "chatanime_diversity_bars.csv"
    return read_published_diversity(beside) if beside.is_file() else None


def show(drawn: Drawn, *, as_json: bool, **facts: object) -> None:
    """Print the table, or one JSON object of `facts` and the results."""
    if as_json:
        facts |= {"report": str(drawn.page), "failed": drawn.failed}
        click.echo(json.dumps({**facts, "results": drawn.results.to_dict()}, ensure_ascii=False))
    else:
        Console().print(terminal_table(drawn.results))
        click.echo(f"report: {drawn.page}")
