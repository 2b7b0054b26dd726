"""The methods section of an agreement: every choice behind its numbers, in text to be pasted."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from judge.analysis.agreement.agreement_records import (
    Agreement,
    Estimate,
    Interval,
    Level,
    MeasureAgreement,
)
from judge.report.agreement_summary import LEVEL_TITLES, people
from judge.report.format import count, english_title, many
from judge.report.format import level as percent
from judge.report.paper.references import Formula, Paragraph, Part, prose

__all__ = ["methods"]

_CHATANIME = {
    "basic_dialogue": ("fluency", "coherency", "consistency"),
    "role_playing": ("character_knowledge", "speech_style", "behavioral_habit"),
    "emotional_support": ("emotional_value", "experience_sharing", "demand_matching"),
}

_NAMED = ("model", "engine", "rubric", "rubric hash", "prompts hash", "ratings", "ratings SHA-256")
"""Which parts of the provenance stand in the text; a table has all of it."""

_R = Formula("r", "r")

_STATISTICS: dict[str, Callable[[MeasureAgreement], Estimate]] = {
    "ρ over all dialogues": lambda m: m.spearman["all"],
    "ρ within item": lambda m: m.spearman["within_item"],
    "ρ of systems": lambda m: m.spearman["systems"],
    "MAE and bias": lambda m: m.mae,
    "κ": lambda m: m.kappa,
    "ceiling of ρ": lambda m: m.ceiling.rater,
    "soft pairwise accuracy": lambda m: m.soft_pairwise,
    "pairwise accuracy": lambda m: m.pairwise.accuracy,
    "α among people": lambda m: m.alpha_human,
}
"""The estimates of the main table: the text says which of them are undefined, and why."""


def methods(agreement: Agreement) -> tuple[Paragraph, ...]:
    """What was compared and how, and what could not be computed."""
    paragraphs = [
        Paragraph("Data", tuple(_data(agreement))),
        Paragraph("Coefficients and levels", tuple(_levels(agreement))),
        Paragraph("Intervals", tuple(_intervals(agreement))),
        Paragraph("Points of the scale", tuple(_points(agreement))),
        Paragraph("Order of systems and pairs", tuple(_order(agreement))),
        Paragraph("Agreement among people", tuple(_people(agreement))),
        Paragraph("Sentinels", tuple(_sentinels(agreement))),
        Paragraph("Left out and undefined", tuple(_left_out(agreement))),
    ]
    return tuple(paragraph for paragraph in paragraphs if paragraph.parts)


def _data(agreement: Agreement) -> Iterator[Part]:
    yield (
        f"We compare the scores of the judge {agreement.judge} with {people(agreement)}: "
        f"{many(agreement.ratings, 'rating')} by {many(agreement.raters, 'rater')} of "
        f"{many(agreement.cells, 'cell')} (one dialogue and one metric), "
        f"{count(agreement.cells_repeated)} of which were rated at least twice, for "
        f"{many(agreement.systems, 'system')} and {many(agreement.items, 'item')} (an item: "
        f"{agreement.item}). "
    )
    if dict(agreement.groups) == _CHATANIME:
        yield from prose("The metrics are the nine of ChatAnime [@qiu2026chatanime]. ")
    score = agreement.provenance.get("score", "")
    if score == "expected label":
        yield from prose(
            "The judge's score is the mean of its distribution over the labels "
            "[@wang2025improving]. "
        )
    elif score:
        yield f"The judge's score is its {score}. "
    if any(m.kind != "metric" for m in agreement.measures):
        yield (
            "The score of a dimension is the mean of its metrics, the overall score that of all "
            "metrics; a dialogue that lacks one of them has none. "
        )
    named = [
        f"{name} {_short_hash(agreement.provenance[name])}"
        for name in _NAMED
        if name in agreement.provenance
    ]
    if named:
        yield f"Provenance: {'; '.join(named)}. "
    yield f"The seed of everything drawn is {agreement.seed}."
    if agreement.simulated:
        yield " The ratings were drawn by a program: these figures say nothing about people."
    if agreement.partial:
        yield f" The figures are partial: {agreement.partial.rstrip('.')}."


def _short_hash(value: str) -> str:
    """Every hash in a text cut to its first 12 digits."""
    return re.sub(r"\b([0-9a-f]{12})[0-9a-f]{28,}\b", r"\1", value)


def _levels(agreement: Agreement) -> Iterator[Part]:
    yield from prose(
        "Spearman's ρ [@spearman1904proof], Pearson's {r}, Kendall's τ-b [@kendall1945treatment] "
        "and τ-c [@stuart1953estimation] are computed at four levels [@deutsch2021statistical; "
        "@deutsch2023ties]: over all dialogues; between the systems within an item ({item}), as "
        "the mean over items; between the dialogues of a system, as the mean over systems; and "
        "between the means of the systems. Several ratings of one cell are averaged. All levels "
        "rest on the dialogues that have both scores. Ties have mid-ranks, and numbers that "
        "differ by floating-point noise only are ties.",
        r=_R,
        item=agreement.item,
    )


def _intervals(agreement: Agreement) -> Iterator[Part]:
    level = percent(agreement.confidence)
    if agreement.resamples:
        yield from prose(
            "Intervals are at {level}. Of ρ, {r}, the mean absolute error and the bias they come "
            "from a crossed bootstrap [@owen2007pigeonhole; @owen2012bootstrapping] with {B}: "
            "{drawn} are drawn with replacement and independently of each other, and a dialogue "
            "counts as often as the product of its draws. The ends are percentiles",
            level=level,
            r=_R,
            B=Formula(f"B={agreement.resamples}", f"B = {count(agreement.resamples)}"),
            drawn=_drawn(agreement),
        )
        if corrected := _corrected(agreement):
            yield from prose(
                ", except {corrected}, where percentiles lie too low and too close together for "
                "few systems: there they are {formula}, with the estimate, the mean and the "
                "standard deviation of the resamples, and the fewest levels {m} of what is drawn",
                corrected=corrected,
                formula=Formula(
                    r"(2\hat\theta-\bar\theta^{*})\pm t_{m-1}\sqrt{m/(m-1)}\,s^{*}",
                    "(2θ − mean) ± t(m − 1) √(m / (m − 1)) SD",
                ),
                m=Formula("m", "m"),
            )
        yield ". "
        if lost := max((i.undefined for i in _all_intervals(agreement)), default=0):
            yield (
                f"Resamples in which a figure is undefined are left out, at most {count(lost)} of "
                f"{count(agreement.resamples)}; where their share is larger than what the interval "
                "may leave out, there is no interval. "
            )
    else:
        yield "No resamples were drawn. "
    yield from prose(
        "Of the systems' ρ there is also the analytic {level} interval [@bonett2000sample], "
        "{formula}, which needs no resamples and has no value at a perfect correlation.",
        level=level,
        formula=Formula(
            r"\tanh\bigl(\mathrm{atanh}\,\rho\pm z\sqrt{(1+\rho^{2}/2)/(n-3)}\bigr)",
            "tanh(atanh ρ ± z √((1 + ρ²/2) / (n − 3)))",
        ),
    )


def _drawn(agreement: Agreement) -> str:
    """What the bootstrap draws."""
    if agreement.systems_fixed:
        units = "characters and scenarios" if _by_scenario(agreement) else "items"
        return f"the systems are taken for all there are, and {units}"
    return "systems, characters and scenarios" if _by_scenario(agreement) else "systems and items"


def _by_scenario(agreement: Agreement) -> bool:
    return "scenario" in agreement.item


def _corrected(agreement: Agreement) -> str:
    """The levels whose bootstrap intervals are corrected for few systems."""
    levels = [
        LEVEL_TITLES[level].lower()
        for level in LEVEL_TITLES
        if any(
            (interval := m.levels[name][level].interval) is not None
            and "corrected" in interval.method
            for m in agreement.measures
            for name in ("spearman", "pearson")
        )
    ]
    return " and ".join(levels)


def _all_intervals(agreement: Agreement) -> Iterator[Interval]:
    for measure in agreement.measures:
        estimates = [e for levels in measure.levels.values() for e in levels.values()]
        for estimate in [*estimates, measure.mae, measure.bias]:
            if estimate.interval is not None:
                yield estimate.interval


def _points(agreement: Agreement) -> Iterator[Part]:
    if not any(m.mae.value is not None for m in agreement.measures):
        return
    yield (
        "The mean absolute error, the root mean squared error and the bias (judge less people) "
        "are against the mean rating of a dialogue. "
    )
    if any(m.kappa.value is not None for m in agreement.measures):
        yield from prose(
            "Kappa [@cohen1968weighted] has quadratic weights and compares the judge, rounded to "
            "the nearest label (halves up), with single ratings; its labels are those of the "
            "scale, used or not. "
        )
    if all(m.scale_declared for m in agreement.measures):
        yield "The scale was declared."
    else:
        yield "The ends of the scale are those of the ratings observed."


def _order(agreement: Agreement) -> Iterator[Part]:
    exact = {m.permutation_exact for m in agreement.measures if m.permutation_p.value is not None}
    if exact:
        yield "The systems' ρ is tested two-sided by permutation, "
        if True in exact:
            yield "counting all orders of the systems"
        if False in exact:
            yield " or, where they are too many, with " if True in exact else "with "
            yield Formula("p=(1+b)/(1+B)", "p = (1 + b)/(1 + B)")
            yield " over a sample of the orders"
        yield ". "
    if any(m.soft_pairwise.value is not None for m in agreement.measures):
        yield from prose(
            "Soft pairwise accuracy [@thompson2024improving] is one less the mean over pairs of "
            "systems of the distance between two p-values, by people and by the judge, that the "
            "first system is not the better one; they come of swapping the scores of the pair "
            "item by item, ties counted half (mid-p). "
        )
    if any(m.pairwise.accuracy.value is not None for m in agreement.measures):
        yield from prose(
            "Pairwise accuracy with ties [@deutsch2023ties] is the share of pairs of systems on "
            "an item that the judge orders, or ties, as people do, as the mean over items; judge "
            "scores tie when they differ by no more than a threshold, which for each pair of "
            "systems is the best one for the pairs without either of the two."
        )


def _people(agreement: Agreement) -> Iterator[Part]:
    measures = agreement.measures
    if any(m.alpha_human.value is not None for m in measures):
        yield from prose(
            "Krippendorff's α [@krippendorff2011computing] is for interval data and rests on "
            "cells with at least two ratings; with the judge as one more rater, on cells rated "
            "at all. "
        )
    if any(m.ceiling.mean.value is not None for m in measures):
        yield from prose(
            "The reliability of one rating is ICC(1) [@shrout1979intraclass] by one-way analysis "
            "of variance for unequal numbers of ratings [@donner1986review]; that of a cell's "
            "mean follows from the numbers of ratings there are, and its square root is the "
            "ceiling of {r} [@spearman1904proof]. ",
            r=_R,
        )
    if any(m.ceiling.rater.value is not None for m in measures):
        yield (
            "The ceiling of ρ is the mean over raters of the correlation of a rater with the mean "
            "of the others; the judge is set beside it against the same others on the same cells. "
        )
    if not agreement.cells_repeated:
        yield "No ceiling can be known, for no cell has two raters. "
    if any(t.winning_rate is not None for m in measures for t in m.annotator_tests):
        yield from prose(
            "The alternative annotator test [@calderon2025alternative] is made at ε = {epsilon}, "
            "for {annotators} annotators, on cells that at least two others rated and annotators "
            "with at least 30 of them, by root mean squared error to the others, with one-sided "
            "t-tests at .05 after a correction for the rate of false discoveries "
            "[@benjamini2001control]; once on the judge's scores as they are and once on scores "
            "rounded to labels.",
            epsilon=f"{agreement.epsilon:g}",
            annotators=agreement.annotators,
        )


def _sentinels(agreement: Agreement) -> Iterator[Part]:
    names = list(dict.fromkeys(s.name for m in agreement.measures for s in m.sentinels))
    if names:
        yield from prose(
            "Sentinels [@perrella2024guardians] are scores that cannot have read the dialogue, "
            "put in the judge's place: {names}. The means are of human scores of other dialogues: "
            "the systems, or the items, are split into random halves, each half is given the "
            "means of the other and correlated by itself, and the correlations are averaged.",
            names=", ".join(names),
        )
    if any(p.human_error is not None for m in agreement.measures for p in m.systems):
        yield " Standard errors of the systems' means are clustered by "
        if _by_scenario(agreement):
            yield from prose("character and scenario [@cameron2011robust].")
        else:
            yield "item."


def _left_out(agreement: Agreement) -> Iterator[str]:
    """How many dialogues and groups were left out, and why estimates of the main table are."""
    measures = agreement.measures
    low, high = min((m.n for m in measures), default=0), max((m.n for m in measures), default=0)
    both = count(high) if low == high else f"{count(low)} to {count(high)}"
    yield f"Of each measure {both} dialogues have both scores"
    lost = [
        f"up to {count(most)} were {what}"
        for what, most in (
            ("judged but not rated", max((m.not_rated for m in measures), default=0)),
            ("rated but not judged", max((m.not_judged for m in measures), default=0)),
        )
        if most
    ]
    yield f"; {' and '.join(lost)}, and are left out. " if lost else ", and none has just one. "
    yield "Nothing is filled in. "
    groups: dict[Level, str] = {"within_item": "Items", "within_system": "Systems"}
    for level, what in groups.items():
        if most := max((m.spearman[level].undefined for m in measures), default=0):
            yield (
                f"{what} within which a side is constant, or has fewer than two scores, have no "
                f"correlation and are left out of the mean: at most {count(most)}. "
            )
    undefined = [text for what, of in _STATISTICS.items() if (text := _why(measures, what, of))]
    yield "A dash is a figure that is undefined, and never a 0"
    yield f": {'; '.join(undefined)}." if undefined else "; there is none in the main table."


def _why(
    measures: Sequence[MeasureAgreement], what: str, of: Callable[[MeasureAgreement], Estimate]
) -> str:
    """For which measures an estimate is undefined, by reason; empty if for none."""
    by_reason: dict[str, list[str]] = {}
    for measure in measures:
        if of(measure).value is None:
            reason = of(measure).reason or "undefined"
            by_reason.setdefault(reason, []).append(english_title(measure.name, measure.title))
    parts = (
        f"for {'all measures' if len(names) == len(measures) else ', '.join(names)} ({reason})"
        for reason, names in by_reason.items()
    )
    return f"{what} {' and '.join(parts)}" if by_reason else ""
