"""The methods section: every choice behind the numbers, in words that can be pasted."""

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
from judge.report.format import count
from judge.report.format import level as percent
from judge.report.paper.references import Cite, Formula, Paragraph, Part
from judge.report.paper.table import english

__all__ = ["left_out", "methods"]

_CHATANIME = {
    "basic_dialogue": ("fluency", "coherency", "consistency"),
    "role_playing": ("character_knowledge", "speech_style", "behavioral_habit"),
    "emotional_support": ("emotional_value", "experience_sharing", "demand_matching"),
}

_NAMED = ("model", "engine", "rubric", "rubric hash", "prompts hash", "ratings", "ratings SHA-256")
"""What of the provenance a reader wants in the text; all of it is in a table."""


def methods(agreement: Agreement) -> tuple[Paragraph, ...]:
    """What was compared, how, and what could not be computed."""
    paragraphs = [
        Paragraph("Data", tuple(_data(agreement))),
        Paragraph("Coefficients and levels", tuple(_levels(agreement))),
        Paragraph("Intervals", tuple(_intervals(agreement))),
        Paragraph("Points of the scale", tuple(_points(agreement))),
        Paragraph("Order of systems and pairs", tuple(_order(agreement))),
        Paragraph("Agreement among people", tuple(_people(agreement))),
        Paragraph("Sentinels", tuple(_sentinels(agreement))),
        Paragraph("Left out and undefined", tuple(left_out(agreement))),
    ]
    return tuple(paragraph for paragraph in paragraphs if paragraph.parts)


def _data(agreement: Agreement) -> Iterator[Part]:
    whom = people(agreement)
    yield f"We compare the scores of the judge {agreement.judge} with {whom}: "
    yield (
        f"{_many(agreement.ratings, 'rating')} by {_many(agreement.raters, 'rater')} of "
        f"{_many(agreement.cells, 'cell')} (one dialogue and one metric), "
        f"{count(agreement.cells_repeated)} of which were rated at least twice, for "
        f"{_many(agreement.systems, 'system')} and {_many(agreement.items, 'item')} (an item: "
        f"{agreement.item}). "
    )
    if dict(agreement.groups) == _CHATANIME:
        yield "The metrics are the nine of ChatAnime "
        yield Cite(("qiu2026chatanime",))
        yield ". "
    score = agreement.provenance.get("score", "")
    if score == "expected label":
        yield "The judge's score is the mean of its distribution over the labels "
        yield Cite(("wang2025improving",))
        yield ". "
    elif score:
        yield f"The judge's score is its {score}. "
    if any(m.kind != "metric" for m in agreement.measures):
        yield (
            "The score of a dimension is the mean of its metrics, the overall score that of all "
            "metrics; a dialogue that lacks one of them has none. "
        )
    named = [
        f"{name} {_short(agreement.provenance[name])}"
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


def _short(value: str) -> str:
    """Hashes by their first 12 digits."""
    return re.sub(r"\b([0-9a-f]{12})[0-9a-f]{28,}\b", r"\1", value)


def _levels(agreement: Agreement) -> Iterator[Part]:
    yield "Spearman's ρ "
    yield Cite(("spearman1904proof",))
    yield ", Pearson's "
    yield Formula("r", "r")
    yield ", Kendall's τ-b "
    yield Cite(("kendall1945treatment",))
    yield " and τ-c "
    yield Cite(("stuart1953estimation",))
    yield " are computed at four levels "
    yield Cite(("deutsch2021statistical", "deutsch2023ties"))
    yield (
        f": over all dialogues; between the systems within an item ({agreement.item}), as the mean "
        "over items; between the dialogues of a system, as the mean over systems; and between the "
        "means of the systems. Several ratings of one cell are averaged. All levels rest on the "
        "dialogues that have both scores. Ties have mid-ranks, and numbers that differ by "
        "floating-point noise only are ties."
    )


def _intervals(agreement: Agreement) -> Iterator[Part]:
    level = percent(agreement.confidence)
    if agreement.resamples:
        yield f"Intervals are at {level}. Of ρ, "
        yield Formula("r", "r")
        yield ", the mean absolute error and the bias they come from a crossed bootstrap "
        yield Cite(("owen2007pigeonhole", "owen2012bootstrapping"))
        yield " with "
        yield Formula(f"B={agreement.resamples}", f"B = {count(agreement.resamples)}")
        yield (
            f": {_drawn(agreement)} are drawn with replacement and independently of each other, "
            "and a dialogue counts as often as the product of its draws. The ends are percentiles"
        )
        if corrected := _corrected(agreement):
            yield f", except {corrected}, where percentiles lie too low and too close together "
            yield "for few systems: there they are "
            yield Formula(
                r"(2\hat\theta-\bar\theta^{*})\pm t_{m-1}\sqrt{m/(m-1)}\,s^{*}",
                "(2θ − mean) ± t(m − 1) √(m / (m − 1)) SD",
            )
            yield ", with the estimate, the mean and the standard deviation of the resamples, and "
            yield "the fewest levels "
            yield Formula("m", "m")
            yield " of what is drawn"
        yield ". "
        if lost := max((i.undefined for i in _all_intervals(agreement)), default=0):
            yield (
                f"Resamples in which a figure is undefined are left out, at most {count(lost)} of "
                f"{count(agreement.resamples)}; where their share is larger than what the interval "
                "may leave out, there is no interval. "
            )
    else:
        yield "No resamples were drawn. "
    yield f"Of the systems' ρ there is also the analytic {level} interval "
    yield Cite(("bonett2000sample",))
    yield ", "
    yield Formula(
        r"\tanh\bigl(\mathrm{atanh}\,\rho\pm z\sqrt{(1+\rho^{2}/2)/(n-3)}\bigr)",
        "tanh(atanh ρ ± z √((1 + ρ²/2) / (n − 3)))",
    )
    yield ", which needs no resamples and has no value at a perfect correlation."


def _drawn(agreement: Agreement) -> str:
    if agreement.systems_fixed:
        units = "characters and scenarios" if _by_scenario(agreement) else "items"
        return f"the systems are taken for all there are, and {units}"
    return "systems, characters and scenarios" if _by_scenario(agreement) else "systems and items"


def _by_scenario(agreement: Agreement) -> bool:
    return "scenario" in agreement.item


def _corrected(agreement: Agreement) -> str:
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
        figures = [f for levels in measure.levels.values() for f in levels.values()]
        for figure in [*figures, measure.mae, measure.bias]:
            if figure.interval is not None:
                yield figure.interval


def _points(agreement: Agreement) -> Iterator[Part]:
    if not any(m.mae.value is not None for m in agreement.measures):
        return
    yield (
        "The mean absolute error, the root mean squared error and the bias (judge less people) "
        "are against the mean rating of a dialogue. "
    )
    if any(m.kappa.value is not None for m in agreement.measures):
        yield "Kappa "
        yield Cite(("cohen1968weighted",))
        yield (
            " has quadratic weights and compares the judge, rounded to the nearest label (halves "
            "up), with single ratings; its labels are those of the scale, used or not. "
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
        yield "Soft pairwise accuracy "
        yield Cite(("thompson2024improving",))
        yield (
            " is one less the mean over pairs of systems of the distance between two p-values, by "
            "people and by the judge, that the first system is not the better one; they come of "
            "swapping the scores of the pair item by item, ties counted half (mid-p). "
        )
    if any(m.pairwise.accuracy.value is not None for m in agreement.measures):
        yield "Pairwise accuracy with ties "
        yield Cite(("deutsch2023ties",))
        yield (
            " is the share of pairs of systems on an item that the judge orders, or ties, as "
            "people do, as the mean over items; judge scores tie when they differ by no more than "
            "a threshold, which for each pair of systems is the best one for the pairs without "
            "either of the two."
        )


def _people(agreement: Agreement) -> Iterator[Part]:
    measures = agreement.measures
    if any(m.alpha_human.value is not None for m in measures):
        yield "Krippendorff's α "
        yield Cite(("krippendorff2011computing",))
        yield (
            " is for interval data and rests on cells with at least two ratings; with the judge as "
            "one more rater, on cells rated at all. "
        )
    if any(m.ceiling.mean.value is not None for m in measures):
        yield "The reliability of one rating is ICC(1) "
        yield Cite(("shrout1979intraclass",))
        yield " by one-way analysis of variance for unequal numbers of ratings "
        yield Cite(("donner1986review",))
        yield (
            "; that of a cell's mean follows from the numbers of ratings there are, and its square "
            "root is the ceiling of "
        )
        yield Formula("r", "r")
        yield " "
        yield Cite(("spearman1904proof",))
        yield ". "
    if any(m.ceiling.rater.value is not None for m in measures):
        yield (
            "The ceiling of ρ is the mean over raters of the correlation of a rater with the mean "
            "of the others; the judge is set beside it against the same others on the same cells. "
        )
    if not agreement.cells_repeated:
        yield "No ceiling can be known, for no cell has two raters. "
    if any(t.winning_rate is not None for m in measures for t in m.annotator_tests):
        yield "The alternative annotator test "
        yield Cite(("calderon2025alternative",))
        yield (
            f" is made at ε = {agreement.epsilon:g}, for {agreement.annotators} annotators, on "
            "cells that at least two others rated and annotators with at least 30 of them, by "
            "root mean squared error to the others, with one-sided t-tests at .05 after a "
            "correction for the rate of false discoveries "
        )
        yield Cite(("benjamini2001control",))
        yield "; once on the judge's scores as they are and once on scores rounded to labels."


def _sentinels(agreement: Agreement) -> Iterator[Part]:
    names = list(dict.fromkeys(s.name for m in agreement.measures for s in m.sentinels))
    if names:
        yield "Sentinels "
        yield Cite(("perrella2024guardians",))
        yield (
            f" are scores that cannot have read the dialogue, put in the judge's place: "
            f"{', '.join(names)}. The means are of human scores of other dialogues: the systems, "
            "or the items, are split into random halves, each half is given the means of the other "
            "and correlated by itself, and the correlations are averaged."
        )
    if any(p.human_error is not None for m in agreement.measures for p in m.systems):
        ways = "character and scenario" if _by_scenario(agreement) else "item"
        yield f" Standard errors of the systems' means are clustered by {ways}"
        if _by_scenario(agreement):
            yield " "
            yield Cite(("cameron2011robust",))
        yield "."


def _many(number: int, what: str) -> str:
    return f"{count(number)} {what}{'' if number == 1 else 's'}"


def left_out(agreement: Agreement) -> Iterator[str]:
    """Counts of dialogues and groups, and every figure of the main table that is a dash."""
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
    missing = [text for what, of in _STATISTICS.items() if (text := _missing(measures, what, of))]
    yield "A dash is a figure that is undefined, and never a 0"
    yield f": {'; '.join(missing)}." if missing else "; there is none in the main table."


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


def _missing(
    measures: Sequence[MeasureAgreement], what: str, of: Callable[[MeasureAgreement], Estimate]
) -> str:
    """For which measures a statistic is undefined, by reason."""
    by_reason: dict[str, list[str]] = {}
    for measure in measures:
        if of(measure).value is None:
            reason = of(measure).reason or "undefined"
            by_reason.setdefault(reason, []).append(english(measure.name, measure.title))
    parts = (
        f"for {'all measures' if len(names) == len(measures) else ', '.join(names)} ({reason})"
        for reason, names in by_reason.items()
    )
    return f"{what} {' and '.join(parts)}" if by_reason else ""
