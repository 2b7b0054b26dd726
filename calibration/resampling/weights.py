"""How often a resample draws each system, character and scenario."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["CrossedWeights", "crossed_weights"]

Codes = NDArray[np.int64]


class CrossedWeights(NamedTuple):
    """Counts: (B, systems), (B, characters), (B, scenarios). A row weighs the product of its."""

    system: Codes
    character: Codes
    scenario: Codes


def crossed_weights(
    rng: np.random.Generator,
    sizes: tuple[int, int, int],
    resamples: int,
    *,
    systems_fixed: bool = False,
) -> CrossedWeights:
    """The crossed ("pigeonhole") bootstrap: every factor is drawn with replacement, on its own.

    After Owen (2007) and Owen and Eckles (2012): counts of each factor are multinomial, and a row
    weighs the product of its factors' counts. Its variance is never too small for large factors; at
    worst it counts the noise of single rows three times.

    Args:
        rng: draws all counts before anything is computed, so that how the work is cut up later
            changes nothing.
        sizes: how many systems, characters and scenarios.
        resamples: B.
        systems_fixed: every system once in every resample: these systems are all there is.

    Raises:
        ValueError: a size or the number of resamples is below 1.
    """
    if min(*sizes, resamples) < 1:
        raise ValueError(f"at least 1 is needed of each, not {resamples} resamples of {sizes}")
    fixed = (systems_fixed, False, False)
    return CrossedWeights(*(
        np.ones((resamples, size), dtype=np.int64)
        if keep
        else rng.multinomial(size, np.full(size, 1 / size), size=resamples)
        for size, keep in zip(sizes, fixed, strict=True)
    ))  # fmt: skip
