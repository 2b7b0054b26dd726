"""How sure agreement is: resamples of systems, characters and scenarios, crossed."""

from calibration.resampling.bootstrap import CrossedBootstrap, crossed_bootstrap
from calibration.resampling.interval import (
    BootstrapInterval,
    Method,
    corrected_interval,
    percentile_interval,
)
from calibration.resampling.levels import LEVELS, STATISTICS, Level, Statistic
from calibration.resampling.weights import CrossedWeights, crossed_weights

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
