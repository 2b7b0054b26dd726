"""Reports over judged runs: one of several together, and where two of them differ."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from judge import calibration_file
from judge import manifest as manifests
from judge.analysis.agreement.agreement_records import FORMAT as AGREEMENT_FORMAT
from judge.analysis.agreement.agreement_records import Agreement
from judge.analysis.agreement.data import simulated
from judge.analysis.breakdown import break_down
from judge.analysis.calibrated_scores import CalibratedScores, apply_calibration
from judge.analysis.published import PAPER_SOURCE, PublishedMeans, paper_diversity
from judge.analysis.ranking import leaderboard
from judge.analysis.reference_agreement import agree_with_reference
from judge.analysis.reply_diversity import summarize_diversity, word_segmenter
from judge.analysis.results import OVERALL, Results
from judge.analysis.run_differences import RunDifferences, compare_runs
from judge.analysis.summary import summarize
from judge.calibration_file import Calibration, MadeWith
from judge.dialogues import DialogueSet
from judge.errors import UsageError
from judge.manifest import Manifest
from judge.ratings import Ratings
from judge.ratings.reference import (
    FITTED_NOTE,
    fitted_to_reference,
    reference_dialogues,
    reference_ratings,
)
from judge.records import read_record_if_present
from judge.report import write_report
from judge.report.compare_page import write_differences
from judge.roleplay.playing_summary import PlayingSummary, read_playing_summary
from judge.rubric import is_reply_set
from judge.runs import StoredRun, open_run, show_frame
from judge.types import Dialogue, PromptItem
from judge.workflows.inputs import RatingsSource, published_means, usable_ratings

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "HumanScale",
    "Report",
    "RunComparison",
    "compare",
    "human_scale",
    "of_the_files",
    "report",
    "report_folder",
    "run_folders",
    "write_run_report",
]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Report:
    """A report that was written.

    Attributes:
        page: its HTML page; scores.csv and results.json lie beside it.
        failed: how many judgments could not be made.
    """

    results: Results = field(repr=False)
    page: Path
    failed: int

    def to_frame(self) -> pd.DataFrame:
        """One row for each system and measure, with the numbers of the report.

        Columns: `system`, `measure`, `title`, `kind` (metric, dimension or overall), `mean`,
        `standard_error`, `n` scored of `dialogues`, `unscored` (a share in [0, 1]); with a
        calibration also `calibrated`, `lower` and `upper`, on the human scale.
        """
        import pandas as pd

        results, rows = self.results, []
        for system in results.systems:
            for name, measure in system.measures.items():
                row: dict[str, object] = {
                    "system": system.system,
                    "measure": name,
                    "title": results.titles[name],
                    "kind": measure.kind,
                    "mean": measure.mean,
                    "standard_error": measure.standard_error,
                    "n": measure.n,
                    "dialogues": measure.dialogues,
                    "unscored": measure.unscored_share,
                }
                if results.calibration is not None:
                    mean = results.calibration.mean(system.system, name)
                    row["calibrated"] = None if mean is None else mean.mean
                    row["lower"] = None if mean is None else mean.lower
                    row["upper"] = None if mean is None else mean.upper
                rows.append(row)
        frame = pd.DataFrame(rows)
        numbers = [
            c for c in ("mean", "standard_error", "calibrated", "lower", "upper") if c in frame
        ]
        return frame.astype(dict.fromkeys(numbers, "float64"))

    def _repr_html_(self) -> str:
        frame = self.to_frame()
        value = "calibrated" if "calibrated" in frame else "mean"
        wide = frame.set_index(["title", "system"])[value].unstack()  # noqa: PD010 - unique rows
        wide = wide.reindex(frame["title"].unique())[frame["system"].unique()]
        wide = wide.rename_axis(columns=None).reset_index()
        signature = ", ".join(f"{key} {text}" for key, text in self.results.signature.items())
        return show_frame(wide, f"{value} scores; {signature}; report: {self.page}")


class HumanScale(NamedTuple):
    """A calibration that fits the run, and ratings of systems that it has not seen."""

    calibration: Calibration
    ratings: Ratings | None


def report(
    runs: str | Path | Sequence[str | Path],
    *,
    out: str | Path | None = None,
    published: str | Path | PublishedMeans | None = None,
    calibration: str | Path | None = None,
    ratings: RatingsSource | None = None,
) -> Report:
    """Write one report over run folders that one judge made with one rubric.

    Args:
        runs: a run folder, or several.
        out: the folder of the report; None for the run's own, if there is one run.
        published: published means to set beside; see `published_means`.
        calibration: what `calibrate` wrote: scores are given on the human scale too.
        ratings: with `calibration`: of some dialogues of systems that it has not seen.

    Raises:
        StoreError: a folder is no run, or the calibration is for another judge or rubric.
        UsageError: options that do not go together, or `out` is the folder of another run.
        DataError: a file cannot be used.
    """
    folders = run_folders(runs)
    if out is None and len(folders) > 1:
        raise UsageError(
            "several runs need --out, the folder of their common report",
            hint="for instance --out reports/all",
        )
    folder = report_folder(out or folders[0], folders)
    means = published_means(published)
    run = open_run(*folders)
    human = human_scale(calibration, ratings, run.manifest)
    played = [record for folder in folders if (record := read_playing_summary(folder)) is not None]
    return write_run_report(run, folder, means, human, played)


def run_folders(runs: str | Path | Sequence[str | Path]) -> list[Path]:
    """One folder or several, as a list."""
    return [Path(runs)] if isinstance(runs, str | Path) else [Path(run) for run in runs]


def report_folder(out: str | Path, runs: Sequence[Path] = ()) -> Path:
    """The folder of a report on `runs`, or on something that is no run.

    Raises:
        UsageError: it is the folder of another run, which has a report of its own.
    """
    folder = Path(out)
    known = [run.resolve() for run in runs]
    if manifests.read(folder) is not None and known != [folder.resolve()]:
        raise UsageError(
            f"--out {folder}: it is a run folder, and the report would be of something else",
            hint="name a folder of its own, such as --out reports/all",
        )
    return folder


def human_scale(
    calibration: str | Path | None, ratings: RatingsSource | None, manifest: Manifest
) -> HumanScale | None:
    """The calibration for a run with this manifest; None without one.

    Raises:
        StoreError: it cannot be read, or was made for another judge, rubric or prompts.
        UsageError: ratings without a calibration.
        DataError: ratings that cannot be used.
    """
    if calibration is None:
        if ratings is not None:
            raise UsageError(
                "--ratings goes with --calibration",
                hint="judge calibrate RUN --ratings FILE fits one; how far judge and ratings agree "
                "is what judge agree RUN --ratings FILE says",
            )
        return None
    path = Path(calibration)
    fitted = calibration_file.read(path)
    calibration_file.refuse_unusable(path, fitted)
    made_with = MadeWith.of(manifest.judge, manifest.rubric, manifest.prompts)
    calibration_file.refuse_mismatch(path, fitted, made_with)
    if ratings is None:
        return HumanScale(fitted, None)
    usable = usable_ratings(ratings, manifest.rubric.metrics)
    if usable.faults:
        _log.warning("%d ratings refused: `judge ratings check` lists them", len(usable.faults))
    return HumanScale(fitted, usable)


def write_run_report(
    run: StoredRun,
    folder: Path,
    published: PublishedMeans | None,
    human: HumanScale | None = None,
    played: Sequence[PlayingSummary] = (),
) -> Report:
    """Sum up a run and write the report into `folder`, on the human scale too if there is one.

    Args:
        played: how the systems played whose dialogues were not recorded.
    """
    judgments, dialogues, manifest = run.judgments, run.dialogues, run.manifest
    rated = None if human is None else human.ratings
    incomplete = [rated.incomplete] if rated is not None and rated.incomplete else []
    fitted = fitted_to_reference(manifest.judge)
    of_the_paper = published is not None and published.source == PAPER_SOURCE
    told = [FITTED_NOTE] if fitted and reference_dialogues(dialogues) else []
    given = (*manifest.notices, *told, *incomplete)
    results = summarize(
        judgments,
        manifest.rubric,
        dialogues=dialogues,
        provenance=manifest.provenance,
        notes=given,
        published=published,
        diversity=summarize_diversity(
            judgments,
            dialogues,
            manifest.rubric,
            segmenter=word_segmenter(),
            bars=paper_diversity() if of_the_paper else None,
        ),
        played=played,
    )
    for note in results.notes[len(given) :]:
        _log.info("note: %s", note)
    if not fitted:
        reference = agree_with_reference(judgments, dialogues, manifest.rubric)
        results = replace(results, reference=reference)
    summed_up = CalibratedScores(results, {})
    if human is not None:
        summed_up = apply_calibration(results, human.calibration, judgments, human.ratings)
    results, calibrated = summed_up.results, summed_up.overall
    files = write_report(
        results,
        folder,
        judgments=judgments,
        breakdown=break_down(results, judgments, calibrated=calibrated),
        board=leaderboard(results, judgments, calibrated=calibrated)
        if OVERALL in results.titles
        else None,
        dialogues=dialogues,
        items=summed_up.items,
        beside=_ratings_beside(dialogues, manifest, rated),
        agreement=_agreement_beside(folder, manifest),
    )
    return Report(results, files.html, run.failed)


def _agreement_beside(folder: Path, manifest: Manifest) -> Agreement | None:
    """What `judge agree` wrote into a run folder, of the same judge and rubric; None without."""
    found = read_record_if_present(
        folder / "agreement" / "agreement.json",
        Agreement,
        newest=AGREEMENT_FORMAT,
        kind="agreement",
        hint="write it again with judge agree, or delete it",
    )
    made_with = ("judge fingerprint", "rubric hash")
    known = manifest.provenance
    if found is None or any(found.provenance.get(key) != known.get(key) for key in made_with):
        return None
    return found


def _ratings_beside(
    dialogues: Sequence[Dialogue], manifest: Manifest, rated: Ratings | None
) -> dict[str, Ratings]:
    """What is shown beside the judge's scores of single dialogues, by its title."""
    beside = {}
    if rated is not None:
        beside["Simulated" if simulated(rated.raters) else "People"] = rated
    reference = reference_ratings(dialogues, manifest.rubric.metrics)
    return beside | ({"Reference": reference} if reference.dialogues else {})


def of_the_files(stored: StoredRun, given: DialogueSet, items: Sequence[PromptItem]) -> StoredRun:
    """The run without dialogues that these systems no longer have, or that were not asked for.

    Sets of replies stay: they are drawn anew where dialogues change.
    """
    wanted = {item.dialogue.id for item in items}
    known = {d.id for d in stored.dialogues if d.system in given.sources}
    aside = {d.id for d in stored.dialogues if not is_reply_set(d.scenario)} & known - wanted
    if not aside:
        return stored
    note = (
        f"The run folder holds {len(aside):,} more dialogues of these systems, which are not among "
        "those that were asked for: `judge report` shows all."
    )
    _log.info("note: %s", note)
    return replace(
        stored,
        manifest=replace(stored.manifest, notes=(*stored.manifest.notes, note)),
        dialogues=tuple(d for d in stored.dialogues if d.id not in aside),
        judgments=tuple(
            j for j in stored.judgments if f"{j.system}/{j.character}/{j.scenario}" not in aside
        ),
    )


@dataclass(frozen=True, slots=True)
class RunComparison:
    """A comparison that was written.

    Attributes:
        page: its HTML page; compare.csv lies beside it.
    """

    differences: RunDifferences = field(repr=False)
    page: Path


def compare(
    first: str | Path | Sequence[str | Path],
    second: str | Path | Sequence[str | Path],
    *,
    out: str | Path = "comparison",
    most: int = 30,
) -> RunComparison:
    """Say where two judges, rubrics or languages differ on the same dialogues.

    Args:
        first, second: each a run folder, or several of one judge and one rubric.
        out: the folder of the page and its files.
        most: how many dialogues are listed for each metric.

    Raises:
        StoreError: a folder is no run, or the page cannot be written.
        RunMismatchError: the runs have other scales, or no metric or dialogue in common.
        UsageError: `out` is a run folder.
    """
    folder = report_folder(out)
    runs = [open_run(*run_folders(run)) for run in (first, second)]
    differences = compare_runs(*runs, most=most)
    return RunComparison(differences, write_differences(differences, folder))
