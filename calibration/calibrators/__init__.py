"""Calibrators: maps from a judge's label distributions to the human scale."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from calibration.calibrators.base import (
    Calibrator,
    Expected,
    Isotonic,
    Linear,
    Mode,
    NoJudge,
    Shift,
)
from calibration.calibrators.ordinal import Ordinal
from calibration.calibrators.ridge import Ridge
from calibration.calibrators.sample import CannotFitError, Sample, as_distributions

__all__ = [
    "CANDIDATES",
    "Calibrator",
    "CannotFitError",
    "Expected",
    "Isotonic",
    "Linear",
    "Mode",
    "NoJudge",
    "Ordinal",
    "Ridge",
    "Sample",
    "Shift",
    "as_distributions",
    "from_dict",
]

CANDIDATES: Mapping[str, type[Calibrator]] = {
    kind.name: kind for kind in (Mode, Expected, Shift, Linear, Isotonic, Ridge, Ordinal)
}
"""All kinds of maps by name, from the simplest to the most flexible. `NoJudge` is none of them."""


def from_dict(data: Mapping[str, Any]) -> Calibrator:
    """The calibrator that `to_dict` wrote, of any kind.

    Raises:
        ValueError: unknown kind, another format version, or impossible parameters.
    """
    name = data.get("rung")
    if not isinstance(name, str) or name not in CANDIDATES:
        raise ValueError(f"no calibrator is called {name!r}; there are {', '.join(CANDIDATES)}")
    return CANDIDATES[name].from_dict(data)
