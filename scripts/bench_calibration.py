#!/usr/bin/env python3
"""How long calibration takes at the size of the study, on SIMULATED ratings.

    python scripts/bench_calibration.py                 # all nine metrics; about four minutes
    python scripts/bench_calibration.py --quick --json  # one metric; half a minute

- chosen: what `judge calibrate` does. Every candidate with each system left out; the chosen one
  with each pair of systems, each character and each scenario left out. 132,000 ratings, 9 metrics.
- dearest: the same, had the rule chosen the ordinal one, which takes longest.
- every: as `chosen`, and every candidate also by character and by scenario.
- dense: as `chosen`, with ten ratings of each dialogue, 132,000 of each metric.
- ordinal: one fit of the cumulative logit with 40 raters to 26,000 ratings.

One process, one thread; metrics do not depend on each other, so that two cores take half the time.
Where the machine does other work too, the processor's seconds are the fairer figure: those of the
clock count the waiting.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import time
from collections.abc import Callable, Sequence
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from calibration.calibrators import CANDIDATES, Ordinal, Sample
from calibration.selection import pair_accuracy, select
from calibration.simulate import Shape, Simulated, simulate

Codes = NDArray[np.int64]

METRICS = 9
RATERS = 40
RATINGS = 132_000
ORDINAL_RATINGS = 26_000


def ratings_of(made: Simulated, metric: int, rows: Codes) -> Sample:
    """Some of the ratings of one metric; systems are left out."""
    rows = rows[made.metric[rows] == metric]
    return Sample.of(
        made.probs,
        metric,
        made.human[rows],
        made.cell[rows],
        raters=made.rater[rows],
        groups=made.system,
    )


def calibrate(sample: Sample, made: Simulated, *, every: bool = False, candidate: str = "") -> str:
    """All cross-validations of one metric; the candidate that was chosen, or given."""
    selection = select(sample)
    chosen = candidate or selection.chosen
    pair_accuracy(CANDIDATES[chosen], sample)
    for groups in (made.character, made.scenario):
        select(sample.by(groups), CANDIDATES if every else {chosen: CANDIDATES[chosen]})
    return chosen


def timed(way: str, samples: Sequence[Sample], work: Callable[[Sample], str]) -> dict[str, Any]:
    """Seconds of the clock and of the processor for `work` on each sample in turn."""
    wall, processor = time.perf_counter(), time.process_time()
    did = [work(sample) for sample in samples]
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    return {
        "way": way,
        "metrics": len(samples),
        "ratings": sum(len(sample.scores) for sample in samples),
        "wall_seconds": round(wall, 3),
        "processor_seconds": round(processor, 3),
        "processor_seconds_per_metric": round(processor / len(samples), 3),
        "candidates": sorted(set(did)),
    }


def fit_ordinal(sample: Sample) -> str:
    """One fit."""
    Ordinal.fit(sample)
    return Ordinal.name


@click.command()
@click.option("--quick", is_flag=True, help="One metric of the nine.")
@click.option("--seed", default=0, show_default=True, help="Of the simulated ratings.")
@click.option("--json", "as_json", is_flag=True, help="End with one JSON object on one line.")
def main(seed: int, *, quick: bool, as_json: bool) -> None:
    """Time the ways on SIMULATED ratings; the last line is JSON with --json."""
    threadpool_limits(1)
    rng = np.random.default_rng(seed)
    small = simulate(rng, Shape(systems=3, characters=2, scenarios=20))
    calibrate(ratings_of(small, 0, np.arange(len(small.human))), small, every=True)

    which = range(1 if quick else METRICS)
    sparse = simulate(rng, Shape(metrics=METRICS, raters=RATERS, per_cell=(1, 2)))
    dense = simulate(rng, Shape(metrics=METRICS, raters=RATERS, per_cell=(10, 10)))
    kept = rng.permutation(len(sparse.human))
    study = [ratings_of(sparse, metric, np.sort(kept[:RATINGS])) for metric in which]
    many = [ratings_of(dense, metric, np.arange(len(dense.human))) for metric in which]
    first = rng.permutation(np.flatnonzero(dense.metric == 0))[:ORDINAL_RATINGS]
    one = ratings_of(dense, 0, np.sort(first))
    rows = [
        timed("chosen", study, lambda sample: calibrate(sample, sparse)),
        timed("dearest", study, lambda sample: calibrate(sample, sparse, candidate=Ordinal.name)),
        timed("every", study, lambda sample: calibrate(sample, sparse, every=True)),
        timed("dense", many, lambda sample: calibrate(sample, dense)),
        timed("ordinal", [one], fit_ordinal),
    ]
    names = list(rows[0])
    click.echo("SIMULATED ratings: the times are measured, the data are not.\n")
    for line in (names, ["---"] * len(names), *([_plain(row[n]) for n in names] for row in rows)):
        click.echo(f"| {' | '.join(line)} |")
    if as_json:
        found = {
            "simulated": True,
            "quick": quick,
            "seed": seed,
            "machine": platform.machine(),
            "cores": os.cpu_count(),
            **{name: importlib.metadata.version(name) for name in ("numpy", "scipy")},
            "ways": rows,
        }
        click.echo(json.dumps(found))


def _plain(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value)


if __name__ == "__main__":
    main()
