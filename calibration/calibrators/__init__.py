"""The ladder: maps from a judge's label distributions to the human scale, simplest first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from calibration.calibrators.base import (
    VERSION,
    Calibrator,
    Expected,
    Isotonic,
    Linear,
    Mode,
    Shift,
)
from calibration.calibrators.ordinal import Ordinal
from calibration.calibrators.ridge import Ridge
from calibration.calibrators.sample import CannotFitError, Sample, as_distributions

__all__ = [
    "CANDIDATES",
    "VERSION",
    "Calibrator",
    "CannotFitError",
    "Expected",
    "Isotonic",
    "Linear",
    "Mode",
    "Ordinal",
    "Ridge",
    "Sample",
    "Shift",
    "as_distributions",
    "from_dict",
]

CANDIDATES: Mapping[str, type[Calibrator]] = {
    rung.name: rung for rung in (Mode, Expected, Shift, Linear, Isotonic, Ridge, Ordinal)
}
"""Every rung by its name, from the simplest to the richest."""


def from_dict(data: Mapping[str, Any]) -> Calibrator:
    """The calibrator that `to_dict` of any rung wrote.

    Raises:
        ValueError: no such rung, another format version, or parameters that cannot be its.
    """
    name = data.get("rung")
    if not isinstance(name, str) or name not in CANDIDATES:
        raise ValueError(f"no calibrator is called {name!r}; there are {', '.join(CANDIDATES)}")
    return CANDIDATES[name].from_dict(data)
