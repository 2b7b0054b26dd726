"""How far a judge agrees with people: every statistic of every measure."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from calibration.agreement.alt_test import EPSILON
from calibration.agreement.pairwise_accuracy import tie_calibrated_accuracy
from calibration.agreement.small_sample import bonett_wright, permutation_p
from calibration.resampling.bootstrap import crossed_bootstrap
from calibration.resampling.jackknife import FEWEST, crossed_jackknife
from calibration.skill import holm
from judge.analysis.agreement import rater_statistics, statistics
from judge.analysis.agreement.agreement_records import (
    Agreement,
    Estimate,
    Interval,
    MeasureAgreement,
    PairwiseAccuracy,
)
from judge.analysis.agreement.categories import categorical_agreement
from judge.analysis.agreement.data import (
    GroupCodes,
    MeasureScores,
    PairedScores,
    measure_scores,
    purpose_rng,
    simulated,
)
from judge.analysis.agreement.statistics import Resamples, estimate
from judge.analysis.judgment_table import finite_or_none
from judge.errors import UsageError

__all__ = ["agree", "bootstrap_options_iv", "resample", "systems_interval"]

_FEW_SYSTEMS = 10
"""Of fewer systems no interval is given for other systems."""

Progress = Callable[[int, int], None]
"""Called with how many measures are done, of how many."""


def agree(
    scores: PairedScores,
    *,
    resamples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
    systems_fixed: bool = False,
    annotators: str | None = None,
    annotators_min_others: int = 1,
    progress: Progress | None = None,
) -> Agreement:
    """How far the judge agrees with people.

    The same seed gives the same bytes. The numbers of a measure do not depend on which other
    measures there are, nor on the order of the rows.

    Args:
        scores: of the judge and of people.
        resamples: of the crossed bootstrap (Owen 2007) of the systems' means; 0 for no intervals.
        confidence: of every interval, between 0 and 1.
        seed: of the resamples and permutations, from 0.
        systems_fixed: do not resample systems: conclusions are about these systems only.
        annotators: `expert`, `skilled` or `crowd`; sets epsilon of the alternative annotator test.
            None for what the scores say of the raters, else `crowd`.
        annotators_min_others: of that test, how many others must have rated a dialogue.
        progress: called before every measure and at the end.

    Raises:
        UsageError: an option is outside its range.
    """
    annotators = annotators or scores.annotators or "crowd"
    bootstrap_options_iv(resamples, confidence, seed)
    _annotators_iv(annotators, annotators_min_others)
    groups, measures = GroupCodes.of(scores), measure_scores(scores)
    resampled: dict[str, Resamples] = {}
    resamples = 0 if scores.categories else resamples
    if resamples:
        resampled = resample(
            measures, groups, resamples, confidence, seed, systems_fixed=systems_fixed
        )
    agreements = []
    for done, measure in enumerate(measures):
        if progress is not None:
            progress(done, len(measures))
        if scores.categories:
            of_labels = categorical_agreement(
                measure, scores.raters, annotators, annotators_min_others
            )
            agreements.append(of_labels)
            continue
        agreements.append(
            _measure_agreement(
                scores,
                measure,
                groups,
                resampled.get(measure.name),
                confidence=confidence,
                seed=seed,
                systems_fixed=systems_fixed,
                annotators=annotators,
                annotators_min_others=annotators_min_others,
            )
        )
    if progress is not None:
        progress(len(measures), len(measures))
    both = np.any([measure.both for measure in measures], axis=0)
    cells = scores.dialogue * len(scores.metrics) + scores.metric
    ratings_per_cell = np.unique(cells, return_counts=True)[1]
    return Agreement(
        judge=scores.judge,
        provenance=dict(scores.provenance),
        simulated=simulated(scores.rater_names),
        partial=scores.partial,
        notes=(
            *scores.notes,
            *(_few_groups(groups, both) if resampled else ()),
            *_without_skill(agreements, resampled, confidence),
        ),
        item=scores.item,
        systems=len(np.unique(groups.system[both])),
        items=len(np.unique(groups.item[both])),
        raters=len(set(scores.rater_names)),
        ratings=len(scores.rating),
        cells=len(ratings_per_cell),
        cells_repeated=int((ratings_per_cell > 1).sum()),
        resamples=resamples,
        confidence=confidence,
        seed=seed,
        systems_fixed=systems_fixed,
        epsilon=EPSILON[annotators],
        annotators=annotators,
        annotators_min_others=annotators_min_others,
        titles=dict(scores.titles),
        groups=dict(scores.groups),
        measures=tuple(agreements),
        pairs=() if scores.categories else rater_statistics.rater_pairs(scores),
        disagreements=() if scores.categories else rater_statistics.disagreements(scores, measures),
        categories=scores.categories,
    )


def _few_groups(groups: GroupCodes, both: NDArray[np.bool_]) -> Iterator[str]:
    """Says which groups are too few to be taken for a sample."""
    names = ("items",) if len(groups.clusters) == 1 else ("characters", "scenarios")
    for name, code in zip(("systems", *names), (groups.system, *groups.clusters), strict=True):
        if 1 < (number := len(np.unique(code[both]))) < FEWEST:
            yield f"Intervals take the {number} {name} for all there are: so few are no sample."


def _without_skill(
    agreements: Sequence[MeasureAgreement], resampled: Mapping[str, Resamples], confidence: float
) -> Iterator[str]:
    """Says on which measures no skill is shown, over all dialogues or between systems.

    Intervals and p-values hold one by one: of many measures, a judge of noise has one that looks
    like skill in about every third report. Of each measure the smaller p-value of Spearman's rho
    at the two levels counts, doubled (Bonferroni).
    """
    titles, p = [], []
    for measure in agreements:
        if measure.name not in resampled:
            continue
        jackknife = resampled[measure.name].jackknife
        of_all, of_systems = measure.spearman["all"], measure.spearman["systems"]
        found = [
            q if rho.value > 0 else 1.0
            for rho, q in (
                (of_all, jackknife.p_value("spearman", "all")),
                (of_systems, measure.permutation_p.value),
            )
            if rho.value is not None and q is not None and not math.isnan(q)
        ]
        if found:
            titles.append(measure.title)
            p.append(min(1.0, len(found) * min(found)))
    adjusted = holm(p).tolist()
    lacking = [title for title, q in zip(titles, adjusted, strict=True) if q > 1 - confidence]
    if not lacking:
        return
    which, corrected = "; ".join(lacking), ""
    several = any(measure.permutation_p.value is not None for measure in agreements)
    where = "over all or between systems" if several else "over all"
    if len(titles) > 1:
        corrected = f", after Holm's correction over {len(titles)} measures"
        which = "any measure" if len(lacking) == len(titles) else f"these: {which}"
    yield (
        f"No skill of the judge is shown on {which} ({where}, at {100 * (1 - confidence):.3g}%"
        f"{corrected}). Every interval and p-value holds by itself only: what looks like skill "
        "there may be chance."
    )


def bootstrap_options_iv(resamples: int, confidence: float, seed: int) -> None:
    """Refuse options of intervals that are outside their ranges.

    Raises:
        UsageError: one is.
    """
    if resamples < 0:
        raise UsageError(
            f"--resamples {resamples}: it cannot be negative",
            hint="--resamples 2000, or 0 for no intervals",
        )
    if not 0 < confidence < 1:
        raise UsageError(
            f"--confidence {confidence:g}: it lies between 0 and 1", hint="--confidence 0.95"
        )
    if seed < 0:
        raise UsageError(f"--seed {seed}: it cannot be negative", hint="--seed 0")


def _annotators_iv(annotators: str, min_others: int) -> None:
    if annotators not in EPSILON:
        raise UsageError(
            f"--annotators {annotators}: there are {', '.join(EPSILON)}", hint="--annotators crowd"
        )
    if min_others < 1:
        raise UsageError(
            f"--annotators-min-others {min_others}: an annotator is compared with 1 other at least",
            hint="--annotators-min-others 1",
        )


def resample(
    measures: Sequence[MeasureScores],
    groups: GroupCodes,
    resamples: int,
    confidence: float,
    seed: int,
    *,
    systems_fixed: bool,
) -> dict[str, Resamples]:
    """Measure -> its resamples; nothing for a measure without scores.

    The systems, characters and scenarios that a measure has scores of are resampled. Measures that
    have the same ones, usually all, are resampled together.
    """
    factors = (groups.system, groups.character, groups.scenario)
    alike: dict[tuple[bytes, ...], list[MeasureScores]] = {}
    for measure in measures:
        if measure.both.any():
            present = tuple(np.unique(factor[measure.both]).tobytes() for factor in factors)
            alike.setdefault(present, []).append(measure)
    resampled: dict[str, Resamples] = {}
    for together in alike.values():
        rows = np.any([measure.both for measure in together], axis=0)
        system, character, scenario = (factor[rows] for factor in factors)
        bootstrap = crossed_bootstrap(
            np.stack([measure.judge[rows] for measure in together], axis=1),
            np.stack([measure.human[rows] for measure in together], axis=1),
            system,
            character,
            scenario,
            purpose_rng(seed, "bootstrap"),
            resamples=resamples,
            systems_fixed=systems_fixed,
            means_only=True,
            threads=os.cpu_count() or 1,
        )
        resampled |= {
            measure.name: Resamples(
                crossed_jackknife(
                    measure.judge[rows],
                    measure.human[rows],
                    system,
                    character,
                    scenario,
                    systems_fixed=systems_fixed,
                ),
                bootstrap,
                target,
                confidence,
            )
            for target, measure in enumerate(together)
        }
    return resampled


def _measure_agreement(
    scores: PairedScores,
    measure: MeasureScores,
    groups: GroupCodes,
    resamples: Resamples | None,
    *,
    confidence: float,
    seed: int,
    systems_fixed: bool,
    annotators: str,
    annotators_min_others: int,
) -> MeasureAgreement:
    """Every statistic of one measure; intervals only with `resamples`."""
    levels = statistics.correlations(measure, groups, resamples)
    points = statistics.system_points(measure, groups)
    permutation = permutation_p(
        [point.judge for point in points],
        [point.human for point in points],
        purpose_rng(seed, "permutation", measure.name),
    )
    soft, human_p = statistics.soft_pairwise(measure, groups, seed)
    alpha_human, alpha_with_judge = rater_statistics.alphas(measure)
    return MeasureAgreement(
        name=measure.name,
        kind=measure.kind,
        title=measure.title,
        parts=measure.parts,
        scale=(measure.low, measure.high),
        scale_declared=scores.scale_declared,
        n=int(measure.both.sum()),
        not_rated=int((~np.isnan(measure.judge) & ~measure.both).sum()),
        not_judged=int((~np.isnan(measure.human) & ~measure.both).sum()),
        ratings=int(measure.used.sum()),
        levels=levels,
        bonett_wright=systems_interval(
            levels["spearman"]["systems"], confidence, systems_fixed=systems_fixed
        ),
        permutation_p=estimate(permutation.value, permutation.n, reason=permutation.reason),
        permutation_exact=permutation.exact,
        **statistics.errors(measure, resamples),
        kappa=statistics.kappa(measure),
        alpha_human=alpha_human,
        alpha_with_judge=alpha_with_judge,
        soft_pairwise=soft,
        pairwise=_pairwise(measure, groups),
        annotator_tests=tuple(
            rater_statistics.alt_tests(measure, scores.raters, annotators, annotators_min_others)
        ),
        ceiling=rater_statistics.ceiling(measure, levels["pearson"]["all"]),
        sentinels=statistics.sentinels(
            measure,
            groups,
            scores.length,
            lambda name: purpose_rng(seed, "sentinel", measure.name, name),
        ),
        confusion=statistics.confusion(measure),
        curve=statistics.reliability_curve(measure),
        systems=points,
        without=statistics.left_out_systems(measure, groups, points),
        constant=statistics.of_a_constant(measure, groups, human_p),
        icc=statistics.intraclass(measure, points, confidence),
    )


def systems_interval(rho: Estimate, confidence: float, *, systems_fixed: bool = False) -> Interval:
    """The interval of Bonett and Wright of a correlation of system means.

    It is for other systems with as many dialogues each: for the order of such means, not for the
    order that endless dialogues would show, which noise hides. Of fewer than ten systems it is not
    given, nor where the systems are all there is.
    """
    ends = bonett_wright(math.nan if rho.value is None else rho.value, rho.n, confidence)
    reason = ends.reason
    if systems_fixed:
        reason = "the systems are taken as all there is, and this interval is for a sample of them"
    elif rho.value is not None and rho.n < _FEW_SYSTEMS:
        reason = f"an interval of {rho.n} systems cannot be trusted: {_FEW_SYSTEMS} are needed"
    if reason:
        return Interval(None, None, "Bonett-Wright", reason=reason)
    return Interval(ends.lower, ends.upper, "Bonett-Wright")


def _pairwise(measure: MeasureScores, groups: GroupCodes) -> PairwiseAccuracy:
    accuracy = tie_calibrated_accuracy(measure.judge, measure.human, groups.system, groups.item)
    return PairwiseAccuracy(
        accuracy=estimate(accuracy.value, accuracy.pairs, reason=accuracy.reason),
        at_zero=finite_or_none(accuracy.at_zero),
        threshold=finite_or_none(accuracy.threshold),
        tied=accuracy.tied,
    )
