"""SIMULATED judges and ratings for the tests of agreement, and small ones by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration.simulate import Shape, simulate
from judge.analysis.agreement.data import PairedScores

METRICS = ("fluency", "sense", "style")
RATING_FIELDS = ("dialogue", "metric", "rater", "rating")
GROUPS = {"talk": ("fluency", "sense"), "role": ("style",)}


def drawn(
    seed: int = 0,
    *,
    systems: int = 5,
    characters: int = 3,
    scenarios: int = 8,
    raters: int = 4,
    per_cell: tuple[int, int] = (1, 3),
    **changed: Any,
) -> PairedScores:
    """Three metrics in two dimensions, by named raters."""
    shape = Shape(systems, characters, scenarios, len(METRICS), raters, per_cell)
    data = simulate(np.random.default_rng(seed), shape)
    n = len(data.system)
    fields: dict[str, Any] = {
        "judge": "machine",
        "metrics": METRICS,
        "titles": {name: name.title() for name in (*METRICS, *GROUPS, "overall")},
        "groups": GROUPS,
        "complete": frozenset(["talk"]),
        "has_overall": True,
        "system": np.char.add("s", data.system.astype(str)),
        "character": np.char.add("c", data.character.astype(str)),
        "scenario": (data.scenario + 1).astype(str),
        "item": "character and scenario",
        "score": data.probs @ np.arange(1.0, 6),
        "probs": data.probs,
        "dialogue": data.cell,
        "metric": data.metric,
        "rater": data.rater,
        "rating": data.human.astype(np.float64),
        "raters": tuple(f"r{code}" for code in range(raters)),
        "scale": dict.fromkeys(METRICS, (1.0, 5.0)),
        "scale_declared": True,
        "length": np.random.default_rng(seed + 1).integers(20, 200, n).astype(np.float64),
        "compare_raters": True,
    }
    return PairedScores(**(fields | changed))


def table(
    scores: Mapping[str, Sequence[float]],
    ratings: Sequence[tuple[int, str, str, float]],
    *,
    systems: Sequence[str] | None = None,
    items: Sequence[str] | None = None,
    **changed: Any,
) -> PairedScores:
    """By hand: a judge's scores of each metric; (dialogue, metric, rater or "", rating).

    One dialogue a system unless told otherwise; one dimension `all` of all metrics.
    """
    metrics = tuple(scores)
    n = len(scores[metrics[0]])
    raters = tuple(sorted({row[2] for row in ratings} - {""}))
    fields: dict[str, Any] = {
        "judge": "machine",
        "metrics": metrics,
        "titles": {},
        "groups": {"all": metrics},
        "complete": frozenset(["all"]) if len(metrics) > 1 else frozenset(),
        "has_overall": False,
        "system": np.array([f"s{row:02}" for row in range(n)] if systems is None else systems),
        "character": np.array(["i"] * n if items is None else items),
        "scenario": np.array([""] * n),
        "item": "item",
        "score": np.array([scores[metric] for metric in metrics], dtype=np.float64).T,
        "probs": None,
        "dialogue": np.array([row[0] for row in ratings], dtype=np.int64),
        "metric": np.array([metrics.index(row[1]) for row in ratings], dtype=np.int64),
        "rater": np.array(
            [raters.index(row[2]) if row[2] else -1 for row in ratings], dtype=np.int64
        ),
        "rating": np.array([row[3] for row in ratings], dtype=np.float64),
        "raters": raters,
        "scale": dict.fromkeys(metrics, (1.0, 5.0)),
        "scale_declared": True,
        "length": np.full(n, np.nan),
    }
    return PairedScores(**(fields | changed))


def rows_of(observed: PairedScores, order: NDArray[np.int64]) -> dict[str, Any]:
    """The fields that change when just the dialogues `order`, in that order, are kept."""
    place = np.full(len(observed.system), -1)
    place[order] = np.arange(len(order))
    own = place[observed.dialogue] >= 0
    per_dialogue = ("system", "character", "scenario", "score", "length")
    return {
        **{name: getattr(observed, name)[order] for name in per_dialogue},
        "probs": None if observed.probs is None else observed.probs[order],
        "dialogue": place[observed.dialogue[own]],
        **{name: getattr(observed, name)[own] for name in ("metric", "rater", "rating")},
    }
