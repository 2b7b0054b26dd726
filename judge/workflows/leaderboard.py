"""The systems of several runs in one order, with the ranks that are open to each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from judge import manifest as manifests
from judge.analysis.breakdown import SceneScores, break_down
from judge.analysis.calibrated_scores import apply_calibration
from judge.analysis.ranking import Leaderboard, SystemCost
from judge.analysis.ranking import leaderboard as rank_systems
from judge.analysis.summary import summarize
from judge.errors import UsageError
from judge.report.figures.dots import systems_plot
from judge.report.leaderboard_page import write_leaderboard
from judge.roleplay.playing_summary import read_playing_summary
from judge.runs import open_run, show_frame
from judge.store import Store
from judge.workflows.report import human_scale, report_folder, run_folders

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["LeaderboardReport", "leaderboard"]


@dataclass(frozen=True, slots=True)
class LeaderboardReport:
    """A leaderboard that was written.

    Attributes:
        board: everything that it says.
        page: its HTML page; leaderboard.json, .csv, .md and .tex lie beside it.
        failed: how many judgments could not be made.
    """

    board: Leaderboard = field(repr=False)
    page: Path
    failed: int

    def to_frame(self) -> pd.DataFrame:
        """One row for each system, best first.

        Columns: `system`, `rank`, the best (`first`) and worst (`last`) rank that it could have,
        the overall `mean` with its interval from `lower` to `upper`, `n` scored of `dialogues`,
        `unscored` (a share in [0, 1]), the mean of each dimension, and `calibrated`, the overall
        mean on the human scale (NaN without a calibration).
        """
        import pandas as pd

        rows = [
            {
                "system": s.system,
                "rank": s.rank,
                "first": s.first,
                "last": s.last,
                "mean": s.mean,
                "lower": s.lower,
                "upper": s.upper,
                "n": s.n,
                "dialogues": s.dialogues,
                "unscored": s.unscored,
                **{name: measure.mean for name, measure in s.dimensions.items()},
                "calibrated": None if s.calibrated is None else s.calibrated.mean,
            }
            for s in self.board.standings
        ]
        return pd.DataFrame(rows)

    def _repr_html_(self) -> str:
        shown = ["system", "rank", "first", "last", "mean", "lower", "upper", "n"]
        return show_frame(self.to_frame()[shown], f"leaderboard: {self.page}")


def leaderboard(
    runs: str | Path | Sequence[str | Path],
    *,
    out: str | Path = "leaderboard",
    calibration: str | Path | None = None,
    confidence: float = 0.95,
) -> LeaderboardReport:
    """Rank the systems of run folders that one judge made with one rubric.

    Systems that are not shown to differ share a rank.

    Args:
        runs: a run folder, or several.
        out: the folder of the page and its files.
        calibration: what `calibrate` wrote: overall scores are given on the human scale too.
        confidence: of each interval, and of all ranks together; between 0 and 1.

    Raises:
        StoreError: a folder is no run, or the calibration is for another judge or rubric.
        UsageError: two runs hold different dialogues under one system's name, or `out` is a run
            folder.
    """
    folders = run_folders(runs)
    folder = report_folder(out, folders)
    run = open_run(*folders)
    _refuse_namesakes(folders)
    manifest, judgments = run.manifest, run.judgments
    results = summarize(
        judgments, manifest.rubric, provenance=manifest.provenance, notes=manifest.notices
    )
    human = human_scale(calibration, None, manifest)
    calibrated: SceneScores = {}
    if human is not None:
        results, _, calibrated = apply_calibration(results, human.calibration, judgments)
    board = rank_systems(
        results,
        judgments,
        costs=_costs(folders),
        confidence=confidence,
        calibrated=calibrated,
    )
    breakdown = break_down(results, judgments, confidence=confidence, calibrated=calibrated)
    plots = (systems_plot(results, breakdown, narrow=narrow) for narrow in (False, True))
    pictures = [plot for plot in plots if plot is not None]
    return LeaderboardReport(board, write_leaderboard(board, pictures, folder), run.failed)


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
    costs: dict[str, SystemCost] = {}
    for run in runs:
        with Store(run, create=False) as store:
            systems = {system for system, *_ in store.keys()}  # noqa: SIM118 - a method of ours
            judging_seconds = store.seconds()
        played = read_playing_summary(run)
        for system in systems:
            cost = SystemCost(judging=judging_seconds.get(system))
            if played is not None and played.system == system:
                took = played.of_answers
                writing = sum(part.seconds for part in took) if took else None
                cost = SystemCost(played.tokens, writing, cost.judging)
            costs[system] = _sum_of_costs(costs[system], cost) if system in costs else cost
    return costs


def _sum_of_costs(first: SystemCost, second: SystemCost) -> SystemCost:
    known = first.judging is not None and second.judging is not None
    judging = (first.judging or 0) + (second.judging or 0) if known else None
    # Runs that share a system share its dialogues, which were written once.
    return SystemCost(first.tokens or second.tokens, first.writing or second.writing, judging)
