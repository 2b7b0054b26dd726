"""How sure agreement is: resamples of systems, characters and scenarios, crossed."""

from calibration.resampling.bootstrap import (
    BootstrapInterval,
    CrossedBootstrap,
    CrossedWeights,
    Method,
    corrected_interval,
    crossed_bootstrap,
    crossed_weights,
    percentile_interval,
)
from calibration.resampling.weighted import LEVELS, STATISTICS, Level, Statistic

__all__ = [
    "LEVELS",
    "STATISTICS",
    "BootstrapInterval",
    "CrossedBootstrap",
    "CrossedWeights",
    "Level",
    "Method",
    "Statistic",
    "corrected_interval",
    "crossed_bootstrap",
    "crossed_weights",
    "percentile_interval",
]
