"""No verdict on remains: what may be missing from ratings before figures are made of them.

Scores that lie off a scale are set aside and counted. Where more than 1% of the scores that a
figure rests on were refused, nothing is said of the rest unless the user asks for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from judge.errors import DataError, UsageError
from judge.ratings.record import Fault, JudgedTable, Ratings, Scale

__all__ = [
    "MOST_LOST",
    "ensure_complete",
    "ensure_complete_table",
    "list_counts",
    "on_scale",
    "refuse_half_points",
]

MOST_LOST = 0.01
"""The largest share of scores that may be typing errors."""

_MOST_MISTAKES = 0.25
"""The largest share of scores off a scale that the user named which may be mistakes."""

_FEW_VALUES = 12
"""So many different scores are those of a scale, not of measurements."""

_HINT = (
    "mend the file (`judge ratings check` lists every row that is refused), or go on with what is "
    "left: --allow-missing"
)


def list_counts(counts: Mapping[float, int]) -> str:
    """Scores and how often each was given: `3.5 (12 times), 4 (once)`."""
    shown = [
        f"{score:g} ({'once' if n == 1 else f'{n:,} times'})" for score, n in sorted(counts.items())
    ]
    return ", ".join(shown[:_FEW_VALUES]) + (", ..." if len(shown) > _FEW_VALUES else "")


def ensure_complete(
    ratings: Ratings, metrics: Collection[str] = (), *, allow_missing: bool = False
) -> Ratings:
    """The ratings, if at most 1% of those of each metric were refused.

    Args:
        ratings: what was read.
        metrics: the metrics that matter; () for all.
        allow_missing: take what is left; `incomplete` then says what is missing.

    Raises:
        DataError: more of a metric was refused, with the first of the faults.
    """
    kept = Counter(np.array(ratings.metrics, dtype=np.object_)[ratings.metric].tolist())
    lost = {name: n for name, n in ratings.lost.items() if not metrics or name in metrics}
    missing = _missing(lost, kept)
    if not missing or allow_missing:
        return replace(ratings, incomplete=missing)
    path = Path(next(iter(ratings.sources), "ratings"))
    raise _too_much_lost(path, missing, ratings.faults)


def ensure_complete_table(
    table: JudgedTable,
    judges: Collection[str] = (),
    metrics: Collection[str] = (),
    *,
    allow_missing: bool = False,
) -> JudgedTable:
    """The same for people's scores and those of some judges of a table, in each dimension.

    Args:
        judges: whose scores matter beside people's; () for all.
        metrics: the dimensions that matter; () for all.
        allow_missing: take what is left; `incomplete` then says what is missing.

    Raises:
        DataError: more was refused in a dimension.
    """
    all_judges = {table.raters[code] for code in np.unique(table.rater[table.judged]).tolist()}
    others = all_judges - set(judges) if judges else set()
    lost: Counter[str] = Counter()
    for (rater, dimension), n in table.lost.items():
        if rater not in others and (not metrics or not dimension or dimension in metrics):
            lost[dimension] += n
    used = ~np.isin(table.rater, [table.raters.index(name) for name in others]) | ~table.judged
    names = np.array([*table.dimensions, ""], dtype=np.object_)
    missing = _missing(lost, Counter(names[table.dimension[used]].tolist()))
    if not missing or allow_missing:
        return replace(table, incomplete=missing)
    raise _too_much_lost(Path(next(iter(table.sources))), missing, table.faults)


def refuse_half_points(path: Path, between: Mapping[float, int], others: int, scale: Scale) -> None:
    """Raise DataError if more than 1% of the scores lie between the steps of the scale.

    Args:
        between: such scores -> how often each was given.
        others: how many other scores there are.
    """
    count = sum(between.values())
    if count <= MOST_LOST * (count + others):
        return

    def fits(step: float) -> bool:
        steps = (np.array(list(between)) - scale.low) / step
        return bool((abs(steps - np.round(steps)) < 1e-9).all())

    step = next(filter(fits, (0.5, 0.25, 0.1)), 0)
    raise DataError(
        f"{count:,} scores are not on the scale {scale}: {list_counts(between)}",
        path=path,
        hint=f"say that they are meant: --step {step}",
    )


def _missing(lost: Mapping[str, int], kept: Mapping[str, int]) -> str:
    """Which measures lack too many scores, as a sentence; "" if none does."""
    parts = [
        f"{n:,} of {n + kept.get(name, 0):,} scores{f' of {name}' if name else ''}"
        for name, n in lost.items()
        if n > MOST_LOST * (n + kept.get(name, 0))
    ]
    return f"refused and missing from the figures: {', '.join(parts)}." if parts else ""


def _too_much_lost(path: Path, missing: str, faults: Collection[Fault]) -> DataError:
    shown = next((fault for fault in faults if fault.kind not in {"empty", "duplicate"}), None)
    first = f" The first: line {shown.row}, {shown.text}." if shown else ""
    return DataError(f"{missing[:-1]}: more than 1%.{first}", path=path, hint=_HINT)


# Tables of judges' scores


def on_scale(table: JudgedTable, scale: Scale | None, of_judge: Scale | None = None) -> JudgedTable:
    """The table without scores that are not on the scale of people, all of them counted in notes.

    A judge may have a scale of its own: one most of whose scores lie off that of people keeps them,
    and where `of_judge` names it, only those off that are set aside.
    Where no scale is named, -1 among scores that are otherwise not negative is what many programs
    write for an answer that they could not read, and taken as missing.

    Raises:
        UsageError: more than a quarter of people's scores in a dimension are off the scale.
        DataError: more than 1% of people's scores lie between its steps.
    """
    notes: list[str] = []
    off = np.zeros(len(table), dtype=np.bool_)
    person = ~table.judged
    if scale is None:
        notes += _people_by_value(table)
    else:
        aside = person & ~((scale.low <= table.score) & (table.score <= scale.high))
        _refuse_other_scale(table, aside, scale)
        between = person & ~aside & _between_steps(table.score, scale)
        off |= aside | between
        if aside.any():
            notes.append(
                f"People's scores off the scale {scale}, set aside: {_counts(table, aside)}."
            )
        halves = Counter(table.score[between].tolist())
        refuse_half_points(Path(next(iter(table.sources))), halves, int(person.sum()), scale)
        if between.any():
            notes.append(
                f"People's scores between the steps of {scale}, set aside: {list_counts(halves)}."
            )
    nonnegative = bool(person.any()) and float(table.score[person].min()) >= 0
    for code in np.unique(table.rater[table.judged]).tolist():
        rows = table.judged & (table.rater == code)
        name, score = table.raters[code], table.score[rows]
        if scale is None:
            unread = rows & (table.score == -1)
            others = score[score != -1]
            if not (unread.any() and nonnegative and len(others) and others.min() >= 0):
                continue
            notes.append(f"{name}: -1, which stands for no score, {int(unread.sum()):,} times.")
        else:
            own = of_judge or scale
            unread = rows & ~((own.low <= table.score) & (table.score <= own.high))
            if not unread.any():
                continue
            if 2 * np.count_nonzero(unread) > len(score):
                notes.append(f"{name} has a scale of its own: most of its scores are off {own}.")
                continue
            notes.append(
                f"Scores of {name} off the scale {own}, missing: {_counts(table, unread)}."
            )
        off |= unread
    found = replace(table, notes=(*table.notes, *notes))
    return _without(found, off) if off.any() else found


def _refuse_other_scale(table: JudgedTable, aside: NDArray[np.bool_], scale: Scale) -> None:
    """Raise UsageError if so many people's scores are off the scale that it is not theirs."""
    for code in np.unique(table.dimension[aside]).tolist():
        rated = ~table.judged & (table.dimension == code)
        off = rated & aside
        n, of = int(off.sum()), int(rated.sum())
        if n > _MOST_MISTAKES * of:
            raise UsageError(
                f"--scale {scale}: {n:,} of {of:,} people's scores of {table.dimensions[code]} are "
                f"off it: {_counts(table, off)}",
                hint="choose dimensions of one scale with --metrics, or leave --scale out",
            )


def _between_steps(score: NDArray[np.float64], scale: Scale) -> NDArray[np.bool_]:
    if not scale.step:
        return np.zeros(len(score), dtype=np.bool_)
    steps = (score - scale.low) / scale.step
    return np.asarray(abs(steps - np.round(steps)) >= 1e-9)


def _counts(table: JudgedTable, rows: NDArray[np.bool_]) -> str:
    return list_counts(Counter(table.score[rows].tolist()))


def _people_by_value(table: JudgedTable) -> Iterator[str]:
    """How often people gave each score, if they are those of a scale; dimensions alike together."""
    if table.categories:
        return
    alike: dict[tuple[float, float], Counter[float]] = {}
    for code in np.unique(table.dimension[~table.judged]).tolist():
        score = table.score[~table.judged & (table.dimension == code)]
        ends = float(score.min()), float(score.max())
        alike.setdefault(ends, Counter()).update(score.tolist())
    for counts in alike.values():
        if len(counts) <= _FEW_VALUES:
            yield (f"People's scores, all taken as no --scale is named: {list_counts(counts)}.")


def _without(table: JudgedTable, off: NDArray[np.bool_]) -> JudgedTable:
    keep = ~off
    arrays = ("item", "system", "dimension", "rater", "judged", "score")
    probs = None if table.probs is None else table.probs[keep]
    return replace(table, probs=probs, **{name: getattr(table, name)[keep] for name in arrays})
