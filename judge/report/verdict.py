"""The first words of a run's report: who is ahead, and how far its scores can be trusted."""

from __future__ import annotations

import math
from collections.abc import Iterator

from judge.analysis.agreement.agreement_records import Agreement
from judge.analysis.breakdown import Breakdown, MeanOf
from judge.analysis.ranking import HUMAN, Leaderboard
from judge.analysis.results import OVERALL, CalibratedResults, Results
from judge.report.agreement_summary import sentences as sentences_of_agreement
from judge.report.agreement_summary import warnings_of
from judge.report.format import fixed, level, many, short_title
from judge.report.leaderboard_page import (
    ahead_sentence,
    human_sentence,
    sentences,
    told_apart_sentence,
)

__all__ = ["standing_sentences", "trust_sentences"]


def standing_sentences(
    results: Results, breakdown: Breakdown, board: Leaderboard | None
) -> list[str]:
    """Who is ahead and by how much, what cannot be told apart, where the human fans stand.

    Args:
        board: the ranks; None without an overall score.
    """
    if OVERALL not in breakdown.measures or board is None:
        asked = ", ".join(short_title(results.titles[metric]) for metric in results.metrics)
        return [f"No overall score: of the rubric's metrics only these were judged: {asked}."]
    means = [
        (system.system, mean)
        for system in results.systems
        if (mean := breakdown.measures[OVERALL].get(system.system)) is not None
        and mean.mean is not None
    ]
    if not means:
        return ["No dialogue has an overall score."]
    of = f" of {breakdown.scale[1]:g} overall"
    of += " on the human scale" if breakdown.human_scale else ""
    (first, best), *others = means
    if not others:
        return [f"{first} has {_with_ends(best, breakdown, of)}."]
    ranked = [standing.system for standing in board.ranked]
    if len(ranked) < 2:
        second, next_best = others[0]
        lead = f"{first} has the highest mean, {_with_ends(best, breakdown, of)}; {second} has "
        return [f"{lead}{_with_ends(next_best, breakdown)}.", *sentences(board)]
    lead = f"{first} has the highest mean, {_with_ends(best, breakdown, of)}."
    people = [human_sentence(board)] if HUMAN in ranked else []
    return [f"{lead} {ahead_sentence(board)}", told_apart_sentence(board), *people]


def trust_sentences(results: Results, agreement: Agreement | None = None) -> list[str]:
    """What is known of the judge's agreement with people, with the reference, or with neither.

    Args:
        agreement: what `judge agree` found on this run; None where it was not asked.
    """
    of_people = agreement is not None and not (agreement.simulated or agreement.reference)
    told = list(_people(results))
    if agreement is not None:
        lead = sentences_of_agreement(agreement).lead
        told.insert(0, " ".join([*warnings_of(agreement), f"By `judge agree`: {lead}"]))
    if not of_people and not list(_people(results)):
        told.append(
            "Whether this judge agrees with people is not known from this run: no human ratings "
            "were set beside it. `judge agree RUN --ratings FILE` compares the two."
        )
    return [*told, *_reference(results)]


def _people(results: Results) -> Iterator[str]:
    calibration = results.calibration
    if calibration is not None:
        yield from _calibration(results, calibration)
    published = next((row for row in results.agreement if row.measure == OVERALL), None)
    if published is not None and published.rho is not None:
        yield (
            f"The judge’s order of {published.n} systems and that of their published human means "
            f"agree at ρ = {fixed(published.rho)} overall: so few systems that it can be chance."
        )


def _calibration(results: Results, calibration: CalibratedResults) -> Iterator[str]:
    mapped = [m for m in calibration.metrics if m.before is not None and m.after is not None]
    if mapped:
        before, after = (
            math.fsum(values) / len(mapped)
            for values in zip(*((m.before or 0, m.after or 0) for m in mapped), strict=True)
        )
        what = "a dialogue" if calibration.kind == "ratings" else "the mean of a system"
        yield (
            f"Calibrated on {calibration.source} for {len(mapped)} of "
            f"{many(len(results.metrics), 'metric')}: on systems left out of the fit, the error of "
            f"{what} is {fixed(after)} points, where the raw scores are {fixed(before)} off."
        )
    else:
        yield f"Calibrated on {calibration.source}: for no metric was a map found."
    if calibration.verdict:
        yield calibration.verdict
    if not calibration.orders:
        yield "The overall score is not calibrated, so the systems stand by their raw scores."


def _reference(results: Results) -> Iterator[str]:
    if results.reference is None:
        return
    overall = next((row for row in results.reference.measures if row.measure == OVERALL), None)
    if overall is None or overall.within_item.value is None:
        return
    yield (
        "With the reference judgments, which are a strong LLM's and not people's, its overall "
        f"score agrees at ρ = {fixed(overall.within_item.value)} within an item; the reference "
        f"read twice reaches {fixed(overall.readings_within_item.value)} with itself."
    )


def _with_ends(found: MeanOf, breakdown: Breakdown, of: str = "") -> str:
    if found.lower is None or found.upper is None:
        return f"{fixed(found.mean)}{of}"
    ends = f"{fixed(found.lower)} to {fixed(found.upper)}"
    return f"{fixed(found.mean)}{of} ({level(breakdown.confidence)} interval {ends})"
