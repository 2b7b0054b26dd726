"""What columns and metrics may be called: one table from aliases to the names used here."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from judge.errors import UsageError
from judge.types import Metric

__all__ = ["COLUMNS", "Names", "plain"]

COLUMNS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "system": ("model", "系统", "模型"),
        "character": ("role", "角色", "人物"),
        "scenario": ("dialog_id", "dialogue_id", "场景", "情境", "对话编号"),
        "item": ("item_id", "条目"),
        "metric": ("dimension", "criterion", "指标", "维度", "评价指标"),
        "rater": ("rater_id", "annotator", "annotator_id", "评分员", "评分人", "标注员", "标注者"),
        "rater_type": (),
        "score": ("rating", "分数", "评分", "得分", "打分"),
    }
)
"""Column -> what else it may be called, before the user's own aliases."""

_SPELLINGS = {"coherence": "coherency", "behavioural_habit": "behavioral_habit"}


class Names:
    """Finds the column or the metric that a name stands for.

    Args:
        metrics: the metrics there are, with their titles; None takes every metric as it is named.
        aliases: NAME -> a column or a metric, the user's own; they come before all others.

    Raises:
        UsageError: an alias for something that is neither a column nor a metric.
    """

    def __init__(self, metrics: Iterable[Metric] | None, aliases: Mapping[str, str]) -> None:
        self.metrics = None if metrics is None else tuple(metrics)
        known = () if self.metrics is None else self.metrics
        self.order = tuple(metric.name for metric in known)
        self.without_scenario = frozenset(m.name for m in known if m.unit == "replies")
        """Metrics of many replies: what they judge has no scenario of its own."""
        self._columns = {plain(a): name for name, more in COLUMNS.items() for a in (name, *more)}
        self._metrics = {a: name for a, name in _SPELLINGS.items() if name in self.order}
        for metric in known:
            for title in (metric.name, *metric.titles.values()):
                self._metrics[plain(title)] = metric.name
        for alias, target in aliases.items():
            self._add(alias, target)

    def column(self, name: str) -> str | None:
        """The column that a heading means; None for any other heading."""
        return self._columns.get(plain(name))

    def metric(self, name: str) -> str | None:
        """The metric that a heading or a cell means; None if it is none."""
        found = self._metrics.get(plain(name))
        return name.strip() or None if found is None and self.metrics is None else found

    def _add(self, alias: str, target: str) -> None:
        if target in COLUMNS:
            self._columns[plain(alias)] = target
        elif self.metrics is None or target in self.order:
            self._metrics[plain(alias)] = target
            self._columns.pop(plain(alias), None)
        else:
            raise UsageError(
                f"--alias {alias}={target}: {target} is neither a metric nor a column",
                hint=f"metrics: {', '.join(self.order)}; columns: {', '.join(COLUMNS)}",
            )


def plain(name: str) -> str:
    """A name without what people write differently: case, width, blanks, hyphens."""
    return re.sub(r"[\s_-]+", "_", unicodedata.normalize("NFKC", name).strip().casefold())
