"""How far a judge agrees with human ratings: one judge, two compared, or a table of many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from judge.analysis.agreement.data import PairedScores, simulated
from judge.analysis.agreement.from_run import scores_from_run
from judge.analysis.agreement.from_table import overview, scores_from_table, table_judges
from judge.analysis.agreement.judge_agreement import agree as measure_agreement
from judge.analysis.agreement.two_judges import ComparisonTest, compare_judges
from judge.errors import UsageError
from judge.ratings import Point, Ratings, Scale, ensure_complete_table, on_scale, read_judged_table
from judge.ratings.reference import (
    REFERENCE,
    REFERENCE_NOTE,
    REFERENCE_RUBRIC,
    REFERENCE_RUBRIC_HASH,
    fitted_to_reference,
    is_reference,
    reference_dialogues,
    reference_ratings,
    reference_scores,
)
from judge.report.agreement_page import write_agreement
from judge.report.two_judges_page import write_comparisons
from judge.runs import StoredRun, group_by_judge, open_run
from judge.workflows import Progress, no_progress
from judge.workflows.agreement_results import AgreementReport, JudgeComparison, JudgeList
from judge.workflows.inputs import (
    RatingsFile,
    RatingsSource,
    as_file,
    reference_or_file,
    usable_ratings,
    usual_table_name,
)
from judge.workflows.report import report_folder, run_folders

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["AgreementReport", "JudgeComparison", "JudgeList", "agree", "scores_of_table"]

TableSource: TypeAlias = "str | Path | pd.DataFrame"


def agree(
    runs: str | Path | Sequence[str | Path] = (),
    ratings: RatingsSource | None = None,
    *,
    table: TableSource | Sequence[str | Path] | None = None,
    judges: Sequence[str] = (),
    people: Sequence[str] = (),
    where: Sequence[str] = (),
    aliases: Mapping[str, str] | None = None,
    scale: str | None = None,
    step: float = 1.0,
    sheet: str | None = None,
    allow_missing: bool = False,
    raters: Sequence[str] = (),
    metrics: Sequence[str] = (),
    point: Point = "expected",
    systems_fixed: bool = False,
    resamples: int = 2000,
    confidence: float = 0.95,
    annotators: Literal["expert", "skilled", "crowd"] | None = None,
    annotators_min_others: int = 1,
    test: ComparisonTest = "exchange",
    seed: int = 0,
    out: str | Path | None = None,
    progress: Progress = no_progress,
) -> AgreementReport | JudgeComparison | JudgeList:
    """Hold a judge's scores against human ratings, and write a report.

    Args:
        runs: run folders of one judge, or of two judges, which are then compared.
        ratings: human ratings of what was judged; `reference` for the judgments of a strong LLM
            that ship with the program, of 440 public dialogues.
        table: in place of runs and ratings: a table, or several, of scores that judges and people
            gave to anything.
        judges: of the table: one judge for a report, two to be compared; none lists all of them.
        people: of the table: the measures that people gave.
        where: of the table: only rows with `COLUMN=VALUE`, or without `COLUMN!=VALUE`.
        aliases, scale, step, sheet: how `ratings` or `table` is to be read; see `RatingsFile`.
        allow_missing: go on where more than 1% of the scores that a figure rests on are refused;
            every page says so.
        raters: of the table: the headings of columns that each hold the scores of one judge or
            rater; `judges` says which are judges.
        metrics: only these.
        point: which number stands for a distribution: its mean (`expected`) or its most probable
            label (`argmax`).
        systems_fixed: do not resample systems: what is said holds for these systems alone.
        resamples: of the bootstrap of the systems' means; 0 for no intervals.
        confidence: of every interval, between 0 and 1.
        annotators: who rated, for the alternative annotator test; None for what their rater_type
            says, else `crowd`.
        annotators_min_others: of that test, how many others must have rated a dialogue.
        test: of two judges: `exchange`, whether they agree equally well, or `perm-both`, whether
            they are interchangeable.
        seed: of all that is drawn at random.
        out: the folder of the report; None for `RUN/agreement`, with `reference` for
            `RUN/agreement-reference`, and of a table for `agreement-TABLE-JUDGE`.
        progress: told how far the computation is.

    Returns:
        The agreement of one judge; of two judges how they compare; of a table with several judges
        of which none is named, all of them in a list, for which nothing is written.

    Raises:
        UsageError: options that do not go together.
        DataError: a file cannot be used, or a judge and people have nothing in common.
        StoreError: a folder is no run, or the report cannot be written.
    """
    folders = run_folders(runs)
    if bool(folders) == (table is not None):
        raise UsageError(
            "name run folders or --table, one of them",
            hint="judge agree RUN --ratings FILE, or judge agree --table FILE",
        )
    wanted = None if out is None else report_folder(out, folders)
    read = RatingsFile("", aliases or {}, scale, step, sheet, allow_missing, raters)
    if table is not None:
        if ratings is not None:
            raise UsageError(
                "--ratings goes with RUNS; a --table holds the ratings itself",
                hint="name both files with --table",
            )
        chosen = scores_of_table(table, judges, people, where, read, metrics=metrics, point=point)
        if isinstance(chosen, JudgeList):
            if out is not None:
                raise UsageError(
                    "--out goes with one judge of the table or two: a list of all has no report",
                    hint="name the judge: --judge NAME",
                )
            return chosen
        folder = wanted or Path(usual_table_name("agreement", table, [s.judge for s in chosen]))
    else:
        if judges or people or where:
            raise UsageError("--judge, --people and --where go with --table", hint="leave them out")
        if isinstance(ratings, str | Path):
            ratings = reference_or_file(read._replace(path=ratings))
        chosen = _of_runs(folders, ratings, metrics=metrics, point=point)
        if out is None and len(folders) > 1:
            raise UsageError(
                "several runs need --out, the folder of their common report",
                hint="for instance --out reports/agreement",
            )
        usual = "agreement-reference" if is_reference(ratings) else "agreement"
        folder = wanted or folders[0] / usual
    if len(chosen) > 1:
        comparisons = compare_judges(
            chosen[0],
            chosen[1],
            test=test,
            resamples=resamples,
            confidence=confidence,
            systems_fixed=systems_fixed,
            seed=seed,
            progress=partial(progress, "agreement"),
        )
        written = write_comparisons(comparisons, folder)
        return JudgeComparison(comparisons, written.html, written.tex)
    agreement = measure_agreement(
        chosen[0],
        resamples=resamples,
        confidence=confidence,
        seed=seed,
        systems_fixed=systems_fixed,
        annotators=annotators,
        annotators_min_others=annotators_min_others,
        progress=partial(progress, "agreement"),
    )
    files = write_agreement(agreement, folder)
    return AgreementReport(agreement, files.html, files.tex)


def _of_runs(
    runs: Sequence[Path], ratings: RatingsSource | None, *, metrics: Sequence[str], point: Point
) -> list[PairedScores]:
    """What each judge said of what was rated: of one judge or of two."""
    if ratings is None:
        raise UsageError(
            "agreement needs human ratings: name their file with --ratings",
            hint="without ratings there is nothing to agree with; `judge ratings sheet` writes "
            "sheets for people to fill in, and --ratings reference are those of a strong LLM",
        )
    groups = group_by_judge(runs)
    if len(groups) > 2:
        raise UsageError(
            f"RUNS are of {len(groups)} judges or rubrics; two can be compared",
            hint="name runs of one, or of two",
        )
    observed = []
    usable: Ratings | None = None
    opened = [open_run(*group) for group in groups]
    for run, name in zip(opened, _names(opened), strict=True):
        notes = run.manifest.notices
        if is_reference(ratings):
            notes = (REFERENCE_NOTE, *_reference_notes(run), *notes)
            usable = reference_ratings(run.dialogues, run.manifest.rubric.metrics)
        else:
            judged = list(dict.fromkeys(judgment.metric for judgment in run.judgments))
            usable = usable or usable_ratings(
                ratings, run.manifest.rubric.metrics, metrics or judged
            )
        observed.append(
            scores_from_run(
                run.judgments,
                run.dialogues,
                run.manifest.rubric,
                usable,
                judge=name,
                provenance=run.manifest.provenance,
                notes=notes,
                metrics=metrics,
                point=point,
            )
        )
    return observed


def _names(runs: Sequence[StoredRun]) -> list[str]:
    """The judges; of one judge twice, each with its rubric or, where that is one, its folder."""
    names = [run.manifest.judge["name"] for run in runs]
    if len(set(names)) == len(names):
        return names
    rubrics = [run.manifest.rubric for run in runs]
    sides = [f"{rubric.name} {rubric.version} {rubric.language}" for rubric in rubrics]
    if len(set(sides)) < len(sides):
        sides = [run.folders[0].name for run in runs]
    return [f"{name} ({side})" for name, side in zip(names, sides, strict=True)]


def _reference_notes(run: StoredRun) -> list[str]:
    """What is to be known of the reference judgments beside this run.

    Raises:
        UsageError: the run holds none of their dialogues or metrics, or its judge was fitted to
            them.
    """
    if not reference_dialogues(run.dialogues):
        raise UsageError(
            f"--ratings {REFERENCE}: the run holds none of the public dialogues that it is of",
            hint=f"judge eval --model {REFERENCE} --judge NAME judges them",
        )
    if fitted_to_reference(run.manifest.judge):
        raise UsageError(
            f"--ratings {REFERENCE}: the judge {run.manifest.judge['name']} was fitted to the "
            "reference judgments, so agreement with them says nothing of it",
            hint="its model card has the figures on systems and characters that were left out",
        )
    rubric = run.manifest.rubric
    known = reference_scores(None).metrics
    if not any(metric.name in known for metric in rubric.metrics):
        raise UsageError(
            f"--ratings {REFERENCE}: none of the metrics of the rubric {rubric.name} has reference "
            "judgments",
            hint=f"they are of {', '.join(known)}",
        )
    if rubric.hash == REFERENCE_RUBRIC_HASH:
        return []
    read = f"{rubric.name} {rubric.version} {rubric.language}"
    return [f"The reference was scored by the rubric {REFERENCE_RUBRIC}; the judge read {read}."]


def scores_of_table(
    table: TableSource | Sequence[str | Path],
    judges: Sequence[str],
    people: Sequence[str],
    where: Sequence[str],
    read: RatingsFile,
    *,
    metrics: Sequence[str],
    point: Point,
    judge_scale: Scale | None = None,
) -> list[PairedScores] | JudgeList:
    """What the named judges said; a list of all where none is named and there are several.

    `read` says how the table is read, not which it is.
    """
    if len(judges) > 2:
        raise UsageError(
            f"{' '.join(f'--judge {name}' for name in judges)}: two can be compared",
            hint="name one, or two; none lists them all",
        )
    with ExitStack() as files:
        if isinstance(table, str | Path):
            paths = [Path(table)]
        elif isinstance(table, Sequence):
            paths = [Path(one) for one in table]
        else:
            paths = [files.enter_context(as_file(table))]
        judged = read_judged_table(
            paths,
            aliases=read.aliases,
            where=list(map(_condition, where)),
            people=people,
            judges=judges,
            point=point,
            categories=True,
            sheet=read.sheet,
            scorers=read.raters,
        )
    of_people = None if read.scale is None else Scale.parse(read.scale, read.step)
    if judged.categories and of_people is not None:
        raise UsageError(
            f"--scale {of_people}: the labels are categories: {', '.join(judged.categories)}",
            hint="leave --scale out",
        )
    judged = on_scale(judged, of_people, judge_scale)
    judged = ensure_complete_table(judged, judges, metrics, allow_missing=read.allow_missing)
    known = table_judges(judged)
    if not judges and len(known) > 1:
        raters = np.unique(judged.rater[~judged.judged])
        notes = (*([judged.incomplete] if judged.incomplete else []), *judged.notes)
        drawn = simulated(judged.raters[code] for code in raters if code >= 0)
        return JudgeList(overview(judged, metrics=metrics), notes, drawn)
    return [
        scores_from_table(judged, judge, metrics=metrics, scale=of_people)
        for judge in judges or known
    ]


def _condition(text: str) -> tuple[str, str]:
    """COLUMN=VALUE or COLUMN!=VALUE, taken apart; the column of the second keeps its mark."""
    column, sign, value = text.partition("=")
    if not (sign and column.strip("! ") and value.strip()):
        raise UsageError(
            f"--where {text}: it is not COLUMN=VALUE",
            hint="--where split=real, --where system!=Human",
        )
    return column.strip(), value.strip()
