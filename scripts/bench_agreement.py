#!/usr/bin/env python3
"""The crossed bootstrap of agreement at full size, against a plain loop over scipy and nlpstats.

    python scripts/bench_agreement.py                 # B = 2,000; two minutes
    python scripts/bench_agreement.py --quick --json  # B = 100; seconds

On SIMULATED scores: 11 systems x 20 characters x 60 scenarios, nine metrics, their three dimensions
and overall. The time such scores take does not depend on what they say.

- judge: Spearman, Pearson, MAE and bias at four levels, for all 13 targets.
- scipy: Spearman at four levels, by spearmanr on the drawn rows. A few resamples are timed; the
  figure for B of them is a projection, and called so.
- nlpstats: Spearman at its three levels, systems and items drawn; one target and a few resamples
  are timed, 13 and B projected. Left out if not installed (pip install nlpstats).
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import json
import platform
import resource
import time
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import click
import numpy as np
from numpy.typing import NDArray
from scipy import stats

from calibration.resampling.bootstrap import CrossedBootstrap, crossed_bootstrap
from calibration.resampling.weighted import LEVELS, STATISTICS, Level
from calibration.simulate import Shape, simulate

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
SIZES = (11, 20, 60)
NLPSTATS: dict[str, Level] = {"global": "all", "input": "within_item", "system": "systems"}


class Scores(NamedTuple):
    """(11, 20, 60, 13) each: SIMULATED scores of judge and people."""

    judged: Floats
    human: Floats

    def rows(self) -> tuple[Floats, Floats, Codes, Codes, Codes]:
        """As `crossed_bootstrap` takes them."""
        judged, human = (side.reshape(-1, side.shape[-1]) for side in self)
        system, character, scenario = np.indices(SIZES).reshape(3, -1)
        return judged, human, system, character, scenario

    def draw(self, rng: np.random.Generator) -> Scores:
        """One crossed resample, written out."""
        drawn = np.ix_(*(rng.integers(size, size=size) for size in SIZES))
        return Scores(self.judged[drawn], self.human[drawn])


def scores(rng: np.random.Generator) -> Scores:
    """One rating of each dialogue on nine metrics; a dimension is a mean of three, overall of nine.

    Rounded: scores a billionth apart are one for us and two for scipy.
    """
    data = simulate(rng, Shape(metrics=9, per_cell=(1, 1)))
    human = np.zeros(data.seen.shape)
    human[data.cell, data.metric] = data.human
    sides = []
    for side in (data.probs @ np.arange(1, 6), human):
        dimensions = side.reshape(-1, 3, 3).mean(axis=2)
        every = np.hstack([side, dimensions, side.mean(axis=1, keepdims=True)])
        sides.append(every.round(6).reshape(*SIZES, -1))
    return Scores(*sides)


def by_scipy(data: Scores, target: int) -> dict[Level, float]:
    """Spearman's rho at the four levels, one group after the other."""
    x, y = data.judged[..., target], data.human[..., target]
    items = (11, 1200)
    return {
        "all": spearman(x.ravel(), y.ravel()),
        "within_item": mean(zip(x.reshape(items).T, y.reshape(items).T, strict=True)),
        "within_system": mean(zip(x.reshape(items), y.reshape(items), strict=True)),
        "systems": spearman(x.mean(axis=(1, 2)), y.mean(axis=(1, 2))),
    }


def spearman(x: Floats, y: Floats) -> float:
    """The one of scipy, nan where a side is constant."""
    if (x == x[0]).all() or (y == y[0]).all():
        return float("nan")
    return float(stats.spearmanr(x, y).statistic)


def mean(pairs: Any) -> float:
    """Of the correlations that are defined."""
    return float(np.nanmean([spearman(x, y) for x, y in pairs]))


def timed(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """What it returns, wall and processor seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return result, time.perf_counter() - wall, time.process_time() - cpu


def peak() -> int:
    """The most memory that this process has had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def estimates(found: CrossedBootstrap, level: Level) -> Floats:
    """(T,) Spearman's rho as we find it."""
    values: Floats = found.estimate[0, STATISTICS.index("spearman"), LEVELS.index(level)]
    return values


def run_scipy(data: Scores, found: CrossedBootstrap, resamples: int, few: int) -> dict[str, Any]:
    """Point estimates of every target, and the time of a few resamples."""
    targets = range(data.human.shape[-1])
    alone = [by_scipy(data, target) for target in targets]
    rng = np.random.default_rng(2)

    def resample() -> None:
        for _ in range(few):
            drawn = data.draw(rng)
            for target in targets:
                by_scipy(drawn, target)

    _, wall, _ = timed(resample)
    gaps = [
        np.abs(estimates(found, level) - [one[level] for one in alone]).max() for level in LEVELS
    ]
    return {
        "timed_resamples": few,
        "timed_seconds": round(wall, 2),
        "projected_seconds": round(wall / few * resamples),
        "max_abs_difference": float(max(gaps)),
    }


def run_nlpstats(data: Scores, found: CrossedBootstrap, resamples: int, few: int) -> dict[str, Any]:
    """Point estimates of every target, and the time of a few resamples of the first."""
    library = importlib.import_module("nlpstats.correlations.bootstrap")
    judged, human = (np.moveaxis(side.reshape(11, 1200, -1), -1, 0) for side in data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.ConstantInputWarning)
        gaps = [
            abs(estimates(found, level)[t] - library.correlate(x, y, name, "spearman"))
            for name, level in NLPSTATS.items()
            for t, (x, y) in enumerate(zip(judged, human, strict=True))
        ]

        def resample() -> None:
            for name in NLPSTATS:
                library.bootstrap(judged[0], human[0], name, "spearman", "both", n_resamples=few)

        _, wall, _ = timed(resample)
    return {
        "version": importlib.metadata.version("nlpstats"),
        "timed_resamples": few,
        "timed_seconds": round(wall, 2),
        "projected_seconds": round(wall / few * resamples * len(human)),
        "max_abs_difference": float(max(gaps)),
    }


@click.command()
@click.option("--threads", type=click.IntRange(1), default=2, show_default=True)
@click.option("--resamples", type=click.IntRange(1), help="B; 2,000, or 100 with --quick.")
@click.option("--quick", is_flag=True, help="Fewer resamples everywhere.")
@click.option("--json", "as_json", is_flag=True, help="End with one JSON object on one line.")
def main(threads: int, resamples: int | None, *, quick: bool, as_json: bool) -> None:
    """Time the three and print what they took; the last line is JSON with --json."""
    number = resamples or (100 if quick else 2000)
    few = 1 if quick else 3
    data = scores(np.random.default_rng(0))
    before = peak()
    found, wall, cpu = timed(
        lambda: crossed_bootstrap(
            *data.rows(), np.random.default_rng(1), resamples=number, threads=threads
        )
    )
    report: dict[str, Any] = {
        "data": "SIMULATED",
        "rows": int(found.n[0]),
        "targets": len(found.n),
        "resamples": number,
        "threads": threads,
        "machine": platform.machine(),
        **{name: importlib.metadata.version(name) for name in ("numpy", "scipy")},
        "seconds": round(wall, 2),
        "processor_seconds": round(cpu, 2),
        "peak_mib": peak(),
        "peak_mib_before": before,
        "scipy_loop": run_scipy(data, found, number, few),
        "nlpstats": None,
    }
    if importlib.util.find_spec("nlpstats"):
        report["nlpstats"] = run_nlpstats(data, found, number, few)
    for name in ("scipy_loop", "nlpstats"):
        other = report[name]
        report[f"ratio_vs_{name}"] = other and round(other["projected_seconds"] / wall, 1)
    click.echo("SIMULATED scores; Spearman alone in the loops, four statistics in ours.")
    for key, value in report.items():
        click.echo(f"{key}: {value}")
    if as_json:
        click.echo(json.dumps(report))


if __name__ == "__main__":
    main()
