"""What headings and names of metrics mean: from what people call them to the names used here.

A table of ratings comes in one of `SHAPES`, and a table of judges' scores is read by
`find_judged_columns`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from judge.errors import DataError, UsageError
from judge.names import plain
from judge.types import Metric

__all__ = [
    "JUDGED_COLUMNS",
    "RATINGS_HINT",
    "Layout",
    "Spread",
    "Vocabulary",
    "find_columns",
    "find_judged_columns",
    "judged_column",
]

RATING_COLUMNS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "system": ("model", "系统", "模型"),
        "character": ("role", "角色", "人物"),
        "scenario": ("dialog_id", "dialogue_id", "场景", "情境", "对话编号"),
        "item": ("item_id", "条目"),
        "metric": ("dimension", "criterion", "指标", "维度", "评价指标"),
        "rater": ("rater_id", "annotator", "annotator_id", "评分员", "评分人", "标注员", "标注者"),
        "rater_type": ("rater_kind", "annotator_type", "评分员类型", "标注员类型"),
        "score": ("rating", "分数", "评分", "得分", "打分"),
    }
)
"""Column of a ratings table -> what else it may be called, besides the user's own aliases."""

JUDGED_COLUMNS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "item": (
            *RATING_COLUMNS["item"],
            *RATING_COLUMNS["scenario"],
            *("doc_id", "story_id", "编号"),
        ),
        "system": RATING_COLUMNS["system"],
        "dimension": ("metric", "measure", "criteria", "aspect", *RATING_COLUMNS["metric"]),
        "rater": (*RATING_COLUMNS["rater"], "evaluator", "worker", "worker_id"),
        "rater_type": RATING_COLUMNS["rater_type"],
        "score": RATING_COLUMNS["score"],
    }
)
"""The same for a table of judges' scores."""

_SPELLINGS = {"coherence": "coherency", "behavioural_habit": "behavioral_habit"}

RATINGS_HINT = (
    "long: system, character, scenario, metric, rater, score; wide: one column per metric in "
    "place of metric and score; other headings with --alias HEADING=NAME; a column per annotator "
    "with --raters A,B, per system with --systems A,B; a questionnaire with --mapping FILE"
)
_JUDGED_HINT = (
    "item, system, dimension, rater, rater_type, score; or item, dimension, p1, p2, ... for a "
    "judge's probabilities; other headings with --alias HEADING=COLUMN"
)
_PROBABILITY = re.compile(r"p(?:rob)?_?([0-9]+)")


Spread = Mapping[str, Mapping[str, str]]
"""Heading -> column -> value: what all scores under a heading have in common."""


class Layout(NamedTuple):
    """What the headings of a table mean.

    Attributes:
        columns: column -> its heading.
        scores: heading -> what the scores under it are of (metric, rater, system, ...), where
            there are several columns of scores.
        labels: label of the scale -> heading of its probability, in a table of judges' scores.
    """

    columns: Mapping[str, str]
    scores: Spread = MappingProxyType({})
    labels: Mapping[int, str] = MappingProxyType({})
    unread: tuple[str, ...] = ()


class Vocabulary:
    """The names that columns and metrics may have.

    Args:
        metrics: the metrics there are, with their titles; None takes every metric as it is named.
        aliases: NAME -> a column or a metric, the user's own; they come before all others.

    Raises:
        UsageError: an alias for something that is neither a column nor a metric.
    """

    def __init__(
        self, metrics: Iterable[Metric] | None, aliases: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        known = () if metrics is None else tuple(metrics)
        self.order = tuple(metric.name for metric in known)
        self.without_scenario = frozenset(m.name for m in known if m.unit == "replies")
        """Metrics of many replies: what they judge has no scenario of its own."""
        self._any_metric = metrics is None
        self._columns = _known_names(RATING_COLUMNS)
        self._metrics = {a: name for a, name in _SPELLINGS.items() if name in self.order}
        for metric in known:
            for title in (metric.name, *metric.titles.values()):
                self._metrics[plain(title)] = metric.name
        for alias, target in aliases.items():
            self._add(alias, target)

    def column(self, name: str) -> str | None:
        """The column that a heading means; None for any other heading."""
        return self._columns.get(plain(name)) or self._columns.get(plain(_bare(name)))

    def metric(self, name: str) -> str | None:
        """The metric that a heading or a value means; None if it is none."""
        metric = self._metrics.get(plain(name)) or self._metrics.get(plain(_bare(name)))
        return name.strip() or None if metric is None and self._any_metric else metric

    def parts(self, heading: str) -> dict[str, str] | None:
        """The metric and the rater that a heading such as 流畅性_甲 names; None if it does not."""
        if self._any_metric:
            return None
        text = unicodedata.normalize("NFKC", heading).strip()
        for match in re.finditer(r"[\s/_.:|()-]+", text):
            first, second = text[: match.start()], text[match.end() :].rstrip(" )")
            for metric, rater in ((first, second), (second, first)):
                known = self._metrics.get(plain(_bare(metric)))
                if known and rater and not self._metrics.get(plain(_bare(rater))):
                    return {"metric": known, "rater": rater}
        return None

    def respondents(self) -> None:
        """Take the running number of a questionnaire's answers for the rater."""
        self._columns.setdefault("序号", "rater")

    def _add(self, alias: str, target: str) -> None:
        if target in RATING_COLUMNS:
            self._columns[plain(alias)] = target
        elif self._any_metric or target in self.order:
            self._metrics[plain(alias)] = target
            self._columns.pop(plain(alias), None)
        else:
            raise UsageError(
                f"--alias {alias}={target}: {target} is neither a metric nor a column",
                hint=f"metrics: {', '.join(self.order)}; columns: {', '.join(RATING_COLUMNS)}",
            )


def _bare(heading: str) -> str:
    """A heading without the number of its question, and the scale in brackets behind it."""
    text = unicodedata.normalize("NFKC", heading).strip()
    text = re.sub(r"^(?:q|第)?\s*[0-9]+\s*题?\s*[、.:)]\s*", "", text, flags=re.IGNORECASE)
    return re.sub(r"\s*[(\[【][^()\[\]【】]*[0-9][^()\[\]【】]*[)\]】]$", "", text)


# Tables of ratings


class Headings(NamedTuple):
    """What the headings of a ratings table mean one by one.

    Attributes:
        columns: column -> heading.
        metrics: heading -> metric.
        parts: heading -> metric and rater, for headings that name both.
        spread: heading -> what the scores under it are of, as the user says.
    """

    columns: Mapping[str, str]
    metrics: Mapping[str, str]
    parts: Spread
    spread: Spread


def _spread(found: Headings) -> Layout | None:
    """Columns of scores whose rater, system, metric, ... the user names."""
    if not found.spread:
        return None
    named = {name for fixed in found.spread.values() for name in fixed}
    others = {name: h for name, h in found.columns.items() if name not in named | {"score"}}
    return Layout(others, found.spread) if "metric" in named | others.keys() else None


def _long(found: Headings) -> Layout | None:
    """One row per rating, with the columns metric and score."""
    return Layout(found.columns) if {"metric", "score"} <= found.columns.keys() else None


def _wide(found: Headings) -> Layout | None:
    """One row per rater and dialogue, with a column for each metric."""
    scores = {heading: {"metric": metric} for heading, metric in found.metrics.items()}
    return Layout(_names(found), scores) if scores else None


def _wide_in_parts(found: Headings) -> Layout | None:
    """One row per dialogue, with a column for each metric and rater, or grouped metrics."""
    metrics = [fixed["metric"] for fixed in found.parts.values()]
    if not metrics:
        return None
    if len(set(metrics)) == len(metrics):  # the other part is a group, such as the dimension
        scores = {heading: {"metric": fixed["metric"]} for heading, fixed in found.parts.items()}
        return Layout(_names(found), scores)
    names = {name: heading for name, heading in _names(found).items() if name != "rater"}
    return Layout(names, found.parts)


def _names(found: Headings) -> dict[str, str]:
    return {name: h for name, h in found.columns.items() if name not in {"metric", "score"}}


SHAPES: Sequence[Callable[[Headings], Layout | None]] = (_spread, _long, _wide, _wide_in_parts)
"""The shapes of a ratings table, in the order in which they are tried. Each takes what the headings
mean, and returns None if the table does not have its shape."""


def find_columns(
    path: Path, header: Sequence[str], vocabulary: Vocabulary, spread: Spread = MappingProxyType({})
) -> Layout:
    """What the headings of a ratings table mean; `item` may stand for character and scenario.

    Args:
        path: the file, for messages.
        spread: heading -> what the scores under it are of.

    Raises:
        DataError: a column is missing, or two headings mean the same.
    """
    headings: dict[str, list[str]] = {}
    parts: dict[str, Mapping[str, str]] = {}
    for heading in header:
        meaning = vocabulary.column(heading) or vocabulary.metric(heading)
        if heading in spread:
            continue
        if meaning is not None:
            headings.setdefault(meaning, []).append(heading)
        elif fixed := vocabulary.parts(heading):
            parts[heading] = fixed
    heading_of = {name: _choose(path, name, several) for name, several in headings.items()}
    metrics = {h: name for name, h in heading_of.items() if name not in RATING_COLUMNS}
    named = {name: h for name, h in heading_of.items() if name in RATING_COLUMNS}
    found = Headings(named, metrics, parts, spread)
    layout = next(filter(None, (shape(found) for shape in SHAPES)), None)
    missing = [] if layout else ["metric", "score"]
    columns = dict(layout.columns if layout else named)
    fixed_names = {name for fixed in (layout.scores if layout else {}).values() for name in fixed}
    item = columns.pop("item", None)
    if item is not None and "scenario" not in columns:
        columns["scenario"] = item
    else:
        there = columns.keys() | fixed_names
        missing += [name for name in ("character", "scenario") if name not in there]
    if missing or layout is None:
        raise _missing_columns(path, missing, header, RATINGS_HINT)
    read = {*columns.values(), *layout.scores}
    return Layout(columns, layout.scores, unread=tuple(h for h in header if h not in read))


def _choose(path: Path, name: str, headings: Sequence[str]) -> str:
    """Of several headings with one meaning the one that is the name itself."""
    if len(headings) > 1 and name not in headings:
        raise _same_meaning(path, headings, name, "keep one of them")
    return name if name in headings else headings[0]


# Tables of judges' scores


def find_judged_columns(path: Path, header: Sequence[str], aliases: Mapping[str, str]) -> Layout:
    """What the headings of a table of judges' scores mean.

    Args:
        path: the file, for messages.
        aliases: HEADING -> column; no other heading means a column that has an alias here.

    Raises:
        DataError: a column is missing, or two headings mean the same.
    """
    own = {plain(alias): column for alias, column in aliases.items()}
    claimed = {own[plain(heading)] for heading in header if plain(heading) in own}
    known = _known_names({c: more for c, more in JUDGED_COLUMNS.items() if c not in claimed})
    headings: dict[str, list[str]] = {}
    labels: dict[int, list[str]] = {}
    for heading in header:
        name = plain(heading)
        if (column := own.get(name, known.get(name))) is not None:
            headings.setdefault(column, []).append(heading)
        elif match := _PROBABILITY.fullmatch(name):
            labels.setdefault(int(match[1]), []).append(heading)
    for column, several in headings.items():
        if len(several) > 1:
            hint = f"say which of them does, e.g. --alias {several[0]}={column}"
            raise _same_meaning(path, several, column, hint)
    missing = [column for column in ("item", "dimension") if column not in headings]
    missing += [] if labels or "score" in headings else ["score"]
    if missing:
        raise _missing_columns(path, missing, header, _JUDGED_HINT)
    low, high = min(labels, default=1), max(labels, default=0)
    if labels and (len(labels) < 2 or set(labels) != set(range(low, high + 1))):
        raise DataError(
            f"probabilities of the labels {', '.join(map(str, sorted(labels)))}: some are missing",
            path=path,
            hint="one column for each label of the scale: p1, p2, p3, p4, p5",
        )
    for several in labels.values():
        if len(several) > 1:
            raise _same_meaning(path, several, "one probability", "keep one of them")
    columns = {column: several[0] for column, several in headings.items()}
    probabilities = {label: labels[label][0] for label in range(low, high + 1)}
    read = {*columns.values(), *probabilities.values()}
    return Layout(columns, labels=probabilities, unread=tuple(h for h in header if h not in read))


def judged_column(heading: str, aliases: Mapping[str, str]) -> str | None:
    """The column of a table of judges' scores that a heading means; None for any other heading."""
    own = {plain(alias): column for alias, column in aliases.items()}
    return own.get(plain(heading), _known_names(JUDGED_COLUMNS).get(plain(heading)))


def _known_names(columns: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    return {plain(name): column for column, more in columns.items() for name in (column, *more)}


def _missing_columns(
    path: Path, missing: Sequence[str], header: Sequence[str], hint: str
) -> DataError:
    return DataError(
        f"no column {', '.join(missing)} (found: {', '.join(header)})", path=path, hint=hint
    )


def _same_meaning(path: Path, headings: Sequence[str], meaning: str, hint: str) -> DataError:
    return DataError(
        f"the columns {' and '.join(headings)} all mean {meaning}", path=path, hint=hint
    )
