#!/usr/bin/env python3
"""Write SIMULATED ratings of a run, to try what a report on real ratings would look like.

    python scripts/simulate_ratings.py RUN OUT.csv --seed 0

No person gave these ratings. A rating is half the judge's own score plus random effects of the
system, the character, the scenario and the dialogue, minus the rater's severity, plus noise,
rounded to 1..5. Their agreement with the judge therefore says nothing about the judge. Every rater
is called `simulated NN`; `judge agree` recognises these names and says so on every page.
"""

from __future__ import annotations

import csv
from pathlib import Path

import click
import numpy as np

from judge.errors import JudgeError
from judge.store import Store

SLOPE = 0.5
"""The weight of the judge's score in a rating."""

EFFECTS = (0.25, 0.20, 0.15)
"""Standard deviations over systems, characters and scenarios, in points."""

DIALOGUE, SEVERITY, NOISE = 0.45, 0.25, 0.5
"""Standard deviations of dialogues, of raters and of single ratings, in points."""


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--raters", type=click.IntRange(min=2), default=40, show_default=True)
@click.option(
    "--per-cell",
    type=click.FloatRange(min=1, max=2),
    default=1.1,
    show_default=True,
    help="Ratings of a dialogue on a metric, on average.",
)
def main(run: Path, out: Path, seed: int, raters: int, per_cell: float) -> None:
    """Write SIMULATED ratings of everything that RUN has judged."""
    rng = np.random.default_rng(seed)
    try:
        with Store(run, create=False) as store:
            judged = [(j, j.score) for j in store.judgments() if j.score is not None]
    except JudgeError as error:
        raise click.ClickException(str(error)) from error
    ways = ("system", "character", "scenario")
    effects = [
        {
            name: rng.normal(0, size)
            for name in sorted({getattr(judgment, way) for judgment, _ in judged})
        }
        for way, size in zip(ways, EFFECTS, strict=True)
    ]
    severity = rng.normal(0, SEVERITY, raters)
    centre = float(np.mean([score for _, score in judged]))
    with out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow((*ways, "metric", "rater", "score"))
        for judgment, score in judged:
            cell = [getattr(judgment, way) for way in ways]
            seen = 3.9 + SLOPE * (score - centre) + rng.normal(0, DIALOGUE)
            seen += sum(of[name] for of, name in zip(effects, cell, strict=True))
            count = 1 + int(rng.random() < per_cell - 1)
            for rater in rng.choice(raters, count, replace=False):
                given = np.rint(seen - severity[rater] + rng.normal(0, NOISE))
                name = f"simulated {rater + 1:02}"
                writer.writerow((*cell, judgment.metric, name, int(np.clip(given, 1, 5))))
    click.echo(f"SIMULATED ratings: {out}")


if __name__ == "__main__":
    main()
