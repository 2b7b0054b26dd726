"""`judge leaderboard`: one table over runs made with one judge and one rubric."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import click
from rich.console import Console

from judge import calibration_file
from judge import manifest as manifests
from judge.analysis import apply_calibration, summarize
from judge.analysis.ranking import SystemCost, leaderboard
from judge.calibration_file import MadeWith
from judge.cli.report_command import calibration_option
from judge.errors import UsageError
from judge.report.leaderboard_page import sentences, terminal_leaderboard, write_leaderboard
from judge.roleplay.playing_summary import read_playing_summary
from judge.runs import open_run
from judge.store import Store
from judge.types import Failure

__all__ = ["leaderboard_of_runs"]

_ANSWERS = ("answer1", "answer2")


@click.command(name="leaderboard")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("leaderboard"),
    show_default=True,
    help="Folder of the page and its files.",
)
@calibration_option
@click.option(
    "--confidence",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.95,
    show_default=True,
    help="Of the intervals, and of all ranks together.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def leaderboard_of_runs(
    ctx: click.Context,
    runs: tuple[Path, ...],
    out: Path,
    calibration: Path | None,
    confidence: float,
    as_json: bool,
) -> None:
    """Rank the systems of RUNS, folders made with one judge and one rubric.

    Systems that are not shown to differ share a rank. Ends with 1 if some judgments could not be
    made.

    \b
    Example:
      judge leaderboard runs/public-Qwen3-8B runs/mine-Qwen3-8B
      judge leaderboard runs/* --calibration calibration.json --out leaderboards/today
    """
    found = open_run(*runs)
    manifest, judgments = found.manifest, found.judgments
    _refuse_namesakes(runs)
    results = summarize(
        judgments, manifest.rubric, provenance=manifest.provenance, notes=manifest.notices
    )
    if calibration is not None:
        stored = calibration_file.read(calibration)
        run = MadeWith.of(manifest.judge, manifest.rubric, manifest.prompts)
        calibration_file.refuse_mismatch(calibration, stored, run)
        results = apply_calibration(results, stored, judgments).results
    board = leaderboard(results, judgments, costs=_costs(runs), confidence=confidence)
    page = write_leaderboard(board, results, out)
    failed = sum(isinstance(judgment.outcome, Failure) for judgment in judgments)
    if as_json:
        facts = {"page": str(page), "failed": failed, "leaderboard": board.to_dict()}
        click.echo(json.dumps(facts, ensure_ascii=False))
    else:
        Console().print(terminal_leaderboard(board))
        for sentence in sentences(board):
            click.echo(sentence)
        click.echo(f"leaderboard: {page}")
    ctx.exit(1 if failed else 0)


def _refuse_namesakes(runs: Sequence[Path]) -> None:
    """Refuse two systems of one name: their dialogues would become those of one.

    Raises:
        UsageError: two runs hold different dialogues under one name.
    """
    seen: dict[str, tuple[str, Path]] = {}
    for run in runs:
        manifest = manifests.read(run)
        for system, digest in (manifest.data if manifest else {}).items():
            other, where = seen.setdefault(system, (digest, run))
            if other != digest:
                raise UsageError(
                    f"{where} and {run} hold different dialogues of a system called {system}",
                    hint="leave one of them out, or judge one again under another name",
                )


def _costs(runs: Sequence[Path]) -> Mapping[str, SystemCost]:
    """System -> what it took; of a system in several runs only what all of them know."""
    found: dict[str, SystemCost] = {}
    for run in runs:
        with Store(run, create=False) as store:
            systems = {system for system, *_ in store.keys()}  # noqa: SIM118 - a method of ours
            timed = store.seconds()
        one = read_playing_summary(run)
        for system in systems:
            cost = SystemCost(judging=timed.get(system))
            if one is not None and one.system == system:
                took = [one.took[part] for part in _ANSWERS if part in one.took]
                writing = sum(part.seconds for part in took) if took else None
                cost = SystemCost(one.tokens, writing, cost.judging)
            found[system] = _both(found[system], cost) if system in found else cost
    return found


def _both(one: SystemCost, other: SystemCost) -> SystemCost:
    known = one.judging is not None and other.judging is not None
    judging = (one.judging or 0) + (other.judging or 0) if known else None
    # Runs that share a system share its dialogues, which were written once.
    return SystemCost(one.tokens or other.tokens, one.writing or other.writing, judging)
