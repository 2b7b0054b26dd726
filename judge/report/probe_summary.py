"""A probe in words, and as tables: for the terminal, for a paper, and as CSV."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from judge.analysis.probe_records import (
    BaitFinding,
    MeanShift,
    ProbeFinding,
    ProbeRecord,
    ProbeRequirement,
)
from judge.baits import ALL
from judge.report.format import count, csv_text, english_title, fixed, level, many, share, signed
from judge.report.paper.table import Column, Entry, Number, PaperTable, Range, Row

__all__ = [
    "ALTERATIONS",
    "KNOWN_ANSWERS",
    "bait_verdict",
    "number_rows",
    "probe_csv",
    "probe_table",
    "requirement_sentence",
    "short_metrics",
    "side_by_side",
    "terminal_probe",
    "verdict",
]

ALTERATIONS = {
    "swap_characters": "Characters swapped",
    "double_characters": "Characters doubled",
    "drop_characters": "Characters dropped",
    "off_topic": "Reply to another worry",
    "deny_first": "Denies the first reply",
    "second_from_other": "Second reply is another’s",
    "other_character": "Reply of another character",
    "neutral_terms": "Terms of the work made vague",
    "foreign_terms": "Terms of another work",
    "neutral_speech": "Catchphrases removed",
    "foreign_speech": "Catchphrases of others",
    "assistant_voice": "Voice of an assistant",
    "cold": "Cold words",
    "cut_comfort": "Comfort cut",
    "cut_story": "Own story cut",
    "cut_advice": "Advice cut",
    "cut_rest": "Only made shorter",
}
"""The perturbations in plain words."""

_SHOWN = 6
"""How many baits the verdict names."""

KNOWN_ANSWERS = {
    "other_character": "the right character’s reply over another one’s to the same worry",
    "shuffled": "a reply over its own sentences in another order",
}


def short_metrics(record: ProbeRecord) -> dict[str, str]:
    """Metric -> its English title."""
    return {name: english_title(name, title) for name, title in record.titles.items()}


def verdict(record: ProbeRecord, finding: ProbeFinding) -> list[str]:
    """What the probe says of one judge, the most important first."""
    titles = {name: title.lower() for name, title in short_metrics(record).items()}
    lines = [_seen(finding, titles), _baits(record, finding)]
    if finding.counts_length:
        lines.insert(
            0,
            "It counts length: twice as long a reply gains "
            f"{fixed(finding.length_points)} points, and {share(finding.length_explained)} of what "
            "alterations do to the overall score follows from their length. What else it seems to "
            "see may be that.",
        )
    missed = dict.fromkeys(
        b.title for b in finding.baits if b.expected == "falls" and b.resisted is False
    )
    if missed:
        lines.append(f"It does not lower what it must: {', '.join(missed)}.")
    if finding.seen:
        lines += [*_shortened(finding), _halo(finding), *_known(finding)]
    lines += _repeated(finding)
    if finding.failed:
        lines.append(
            f"{many(finding.failed, 'judgment')} of {count(finding.asked)} could not be made."
        )
    return lines


def _seen(finding: ProbeFinding, titles: dict[str, str]) -> str:
    tested = [row for row in finding.sensitivity if row.auc.value is not None]
    if not tested:
        return "No damage concerns these metrics: nothing is known of what this judge sees."
    if not finding.seen:
        return (
            "This judge is not shown to see anything: on no metric does it score damaged replies "
            "lower more often than chance would. What follows then speaks neither for it nor "
            "against it."
        )
    seen = [row for row in tested if row.auc.above_chance]
    values = sorted(row.auc.value or 0 for row in seen)
    rest = [titles[row.metric] for row in tested if not row.auc.above_chance]
    span = fixed(values[0]) if len(values) == 1 else f"{fixed(values[0])} to {fixed(values[-1])}"
    return (
        f"It sees damage on {len(seen)} of {many(len(tested), 'metric')}: a damaged reply scores "
        f"lower in {span} of the pairs (chance: 0.50)."
        + (f" Not shown for {', '.join(rest)}." if rest else "")
        + f" More damage costs more on {sum(row.dose.above_chance for row in tested)}."
    )


def _baits(record: ProbeRecord, finding: ProbeFinding) -> str:
    steady = [b for b in finding.baits if b.expected == "steady" and b.shift.value is not None]
    tested = dict.fromkeys(b.bait for b in steady)
    best: dict[str, float] = {}
    for bait in finding.taken:
        best[bait.title] = max(bait.shift.value or 0, best.get(bait.title, 0))
    undecided = {b.bait for b in steady if b.resisted is None} - {b.bait for b in finding.taken}
    tail = f" {len(undecided)} of {len(tested)} are open." if undecided else ""
    if best:
        names = sorted(best, key=lambda title: -best[title])
        shown = ", ".join(f"{name} ({signed(best[name])})" for name in names[:_SHOWN])
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        return f"It takes {many(len(names), 'bait')}: {shown}{more}.{tail}"
    held = len(tested) - len(undecided)
    return (
        f"It is not shown to take any bait: {held} of {many(len(tested), 'bait')} are shown to buy "
        f"less than {record.margin:g} points.{tail}"
    )


def _halo(finding: ProbeFinding) -> str:
    if finding.halo.value is None:
        return f"Halo is unknown: {finding.halo.reason}."
    return (
        f"Halo {fixed(finding.halo.value)} {_ends(finding.halo)}: where damage lowers the metrics "
        "that it concerns by one point, it lowers the others by so much."
    )


def _shortened(finding: ProbeFinding) -> Iterator[str]:
    """Whether the loss of sentences that no metric asks for costs points."""
    for cell in finding.cells:
        lost = cell.shift
        if (cell.alteration, cell.measure) == ("cut_rest", ALL) and (lost.upper or 0) < 0:
            yield f"Replies that are only made shorter lose {fixed(-(lost.value or 0))} points."


def _known(finding: ProbeFinding) -> Iterator[str]:
    for answer in finding.known:
        if answer.auc.value is not None:
            whose = " (human fans)" if answer.of == "human fans" else ""
            yield (
                f"It prefers {KNOWN_ANSWERS[answer.name]}{whose} in {fixed(answer.auc.value)} of "
                f"the pairs {_ends(answer.auc)}."
            )


def _repeated(finding: ProbeFinding) -> Iterator[str]:
    done = [f"{r.name} {fixed(r.rms)}" for r in finding.rescored if r.rms is not None]
    if done:
        yield f"Root mean square difference, in points, of its scores: {', '.join(done)}."


def side_by_side(record: ProbeRecord) -> list[tuple[str, list[str]]]:
    """The few numbers by which findings are compared: what, and a text for each."""

    def over_metrics(finding: ProbeFinding) -> str:
        known = [m.auc.value for m in finding.sensitivity if m.auc.value is not None]
        return fixed(sum(known) / len(known)) if known else fixed(None)

    def preferred(finding: ProbeFinding, name: str) -> str:
        found = [a.auc for a in finding.known if a.name == name]
        return f"{fixed(found[0].value)} {_ends(found[0])}" if found else fixed(None)

    lines: dict[str, Callable[[ProbeFinding], str]] = {
        "A damaged reply scores lower, mean of metrics": over_metrics,
        "Metrics on which damage is seen": lambda f: str(len(f.seen)),
        "Halo": lambda f: f"{fixed(f.halo.value)} {_ends(f.halo)}",
        "Baits taken": lambda f: str(len({b.bait for b in f.taken})),
        "Prefers the right character": lambda f: preferred(f, "other_character"),
        "Prefers sentences in order": lambda f: preferred(f, "shuffled"),
        "Points by a doubled length": lambda f: signed(f.length_points),
    }
    return [(text, [cell(f) for f in record.findings]) for text, cell in lines.items()]


def requirement_sentence(one: ProbeRequirement, *, several: bool) -> str:
    """Whether a threshold was met, and by what."""
    of = f" for {one.of}" if several else ""
    found = "it is unknown" if one.value is None else f"found {fixed(one.value, 3)}"
    _, sign, bound = one.text.partition(">=")
    if sign and one.value is not None and not one.met and one.value >= float(bound):
        found += ", but that may be chance"
    return f"Required {one.text}{of}: {found}, {'met' if one.met else 'missed'}."


def bait_verdict(bait: BaitFinding) -> str:
    """What is shown of one bait, in two or three words."""
    if bait.shift.value is None:
        return "not applied"
    if bait.expected == "falls":
        return {True: "falls", False: "does not fall", None: "open"}[bait.resisted]
    if bait.resisted is None:
        return "open"
    if not bait.resisted:
        return "takes it"
    return "equivalent" if bait.equivalent else "resists"


def _ends(shift: MeanShift) -> str:
    return "" if shift.lower is None else f"[{fixed(shift.lower)}, {fixed(shift.upper)}]"


# Tables


def terminal_probe(record: ProbeRecord) -> RenderableType:
    """The verdicts, and how often damage is seen on each metric."""
    table = Table(box=None, pad_edge=False)
    table.add_column("damaged scores lower", no_wrap=True)
    alone = len(record.findings) == 1
    for finding in record.findings:
        for head in (finding.name, "more damage"):
            table.add_column(head, justify="right", overflow="fold")
    for at, title in enumerate(short_metrics(record).values()):
        cells = []
        for finding in record.findings:
            row = finding.sensitivity[at]
            auc = f"{fixed(row.auc.value)} {_ends(row.auc) if alone else ''}".strip()
            cells += [auc, fixed(row.dose.value)]
        table.add_row(title, *cells)
    texts: list[RenderableType] = []
    for finding in record.findings:
        if len(record.findings) > 1:
            texts.append(Text(finding.name, style="bold"))
        texts += [Text(line) for line in verdict(record, finding)]
    signature = Text(
        f"{many(record.dialogues, 'dialogue')} of {record.source}, {record.altered:,} altered; "
        f"{level(record.confidence)} intervals over characters and scenarios; seed {record.seed}",
        style="dim",
    )
    notes = (Text(f"note: {note}") for note in record.notes)
    return Group(*texts, Text(), table, *notes, signature)


def probe_table(record: ProbeRecord) -> PaperTable:
    """Sensitivity, dose-response and the known answers for a paper."""
    columns = [Column("Metric", kind="text")]
    rows: list[list[Entry]] = [[title] for title in short_metrics(record).values()]
    for finding in record.findings:
        group = finding.name if len(record.findings) > 1 else ""
        columns += [Column("AUC", group), Column("Interval", group, kind="range")]
        columns.append(Column("Dose", group))
        for row, found in zip(rows, finding.sensitivity, strict=True):
            auc, dose = found.auc, found.dose
            row += [Number(auc.value, 2, auc.reason)]
            row += [Range(auc.lower, auc.upper, 2, auc.reason or "undefined")]
            row += [Number(dose.value, 2, dose.reason)]
    caption = (
        "How often a damaged reply scores lower than the same reply undamaged, ties one half "
        f"(AUC, with {level(record.confidence)} intervals of a crossed bootstrap over characters "
        "and scenarios), and a more damaged one lower than a less damaged one (Dose). "
        f"{many(record.dialogues, 'dialogue')}, {record.altered:,} altered forms."
    )
    notes = [f"{f.name}: {' '.join(verdict(record, f))}" for f in record.findings]
    body = tuple(Row(tuple(row)) for row in rows)
    return PaperTable("probe", caption, tuple(columns), body, notes=tuple(notes))


def probe_csv(record: ProbeRecord) -> str:
    """`number_rows` as CSV, with six decimals."""
    rows = (row.values() for row in number_rows(record))
    text = ([f"{v:z.6f}" if isinstance(v, float) else v for v in row] for row in rows)
    return csv_text([_HEAD, *text])


def number_rows(record: ProbeRecord) -> Iterator[dict[str, str | float | int | None]]:
    """Every number of every finding, with its interval and its pairs where it has them."""
    for finding in record.findings:
        for part, name, measure, statistic, value in _numbers(finding):
            shift = value if isinstance(value, MeanShift) else MeanShift(0, value, None, None)
            names = (finding.name, part, name, measure, statistic)
            n = shift.n if isinstance(value, MeanShift) else None
            cells = (*names, shift.value, shift.lower, shift.upper, n, shift.reason)
            yield dict(zip(_HEAD, cells, strict=True))


_HEAD = (
    *("judge", "part", "name", "measure", "statistic"),
    *("value", "lower", "upper", "n", "note"),
)
_PARTS = ("sensitivity", "rows", "cells", "baits", "known", "rescored", "labels")
_NAMES = ("perturbation", "alteration", "bait", "name")

_Number = tuple[str, str, str, str, MeanShift | float | None]


def _numbers(finding: ProbeFinding) -> Iterator[_Number]:
    """Part, name, measure, statistic and value of all numbers, as the record calls them."""
    for part in _PARTS:
        for entry in getattr(finding, part):
            name = next((getattr(entry, key) for key in _NAMES if hasattr(entry, key)), "")
            measure = getattr(entry, "metric", getattr(entry, "measure", ""))
            for field in fields(entry):
                value = getattr(entry, field.name)
                if isinstance(value, Mapping):  # by strength, or by metric
                    for key, each in value.items():
                        yield part, name, measure or key, f"{field.name} {key}", each
                elif isinstance(value, MeanShift | float):
                    yield part, name, measure, field.name, value
    for name, value in finding.specificity.items():
        yield "specificity", name, "", "specificity", value
    for statistic in ("halo", "length_points", "length_explained"):
        yield "all", "", "", statistic, getattr(finding, statistic)
