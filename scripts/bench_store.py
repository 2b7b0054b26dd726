#!/usr/bin/env python3
"""How many judgments a second the store of a run takes, and what its size does to that.

    python scripts/bench_store.py                    # 1,188,000 judgments; minutes
    python scripts/bench_store.py --quick --json     # 59,400; seconds

The judgments are drawn at random, nine of each dialogue, and stored in batches of 64 dialogues, in
the order of a run on a GPU. The time to draw them is not counted. Then the store is read as a run
that goes on reads it (the keys), and as a report does (all judgments).
"""

from __future__ import annotations

import json
import platform
import resource
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import numpy as np

from judge.store import Store
from judge.types import Dialogue, Judgment, ScoreDistribution, Turn

METRICS = tuple(f"metric_{i}" for i in range(9))
BATCH = 64


def names(n: int, dialogues: int) -> tuple[str, str, str]:
    """System, character and scenario of a dialogue: 11 systems, each as 20 characters."""
    system, rest = divmod(n, -(-dialogues // 11))
    return f"system-{system:02}", f"《作品》的角色{rest % 20:02}", f"{rest // 20:05}"


def batches(dialogues: int, rng: np.random.Generator) -> Iterator[list[Judgment]]:
    """The judgments of so many dialogues."""
    order = sorted(names(n, dialogues) for n in range(dialogues))
    for start in range(0, dialogues, BATCH):
        numbers = order[start : start + BATCH]
        logprobs = np.log(rng.dirichlet(np.ones(5), size=(len(numbers), len(METRICS))))
        yield [
            Judgment(
                key=rng.bytes(32).hex(),
                system=system,
                character=character,
                scenario=scenario,
                metric=metric,
                outcome=ScoreDistribution(tuple(row[i].tolist()), top_is_label=True),
            )
            for (system, character, scenario), row in zip(numbers, logprobs, strict=True)
            for i, metric in enumerate(METRICS)
        ]


def timed_reading(folder: Path) -> dict[str, float]:
    """Seconds and memory to read everything."""
    seconds = {}
    with Store(folder, create=False) as store:
        for what in ("keys", "judgments"):
            began = time.perf_counter()
            getattr(store, what)()
            seconds[f"seconds_to_read_{what}"] = round(time.perf_counter() - began, 2)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {**seconds, "peak_mib": round(peak)}


@click.command()
@click.option("--dialogues", type=click.IntRange(min=1), help="[default: 132,000]")
@click.option("--quick", is_flag=True, help="6,600 dialogues.")
@click.option("--folder", type=click.Path(path_type=Path), help="On another disk than /tmp.")
@click.option("--json", "as_json", is_flag=True, help="End with one JSON object on one line.")
def main(dialogues: int | None, folder: Path | None, *, quick: bool, as_json: bool) -> None:
    """Store, read, and print the rates; the last line is JSON with --json."""
    number = dialogues or (6_600 if quick else 132_000)
    rates: dict[int, float] = {}
    stored, spent, tenth = 0, 0.0, 0.0
    with TemporaryDirectory(dir=folder) as place:
        run = Path(place)
        with Store(run) as store:
            turns = (Turn("问" * 60, "答" * 100),) * 2
            dialogue_seconds = time.perf_counter()
            store.add_dialogues(Dialogue(*names(n, number), turns) for n in range(number))
            dialogue_seconds = time.perf_counter() - dialogue_seconds
            for batch in batches(number, np.random.default_rng(0)):
                began = time.perf_counter()
                store.add(batch, 1.0)
                took = time.perf_counter() - began
                before, stored = stored, stored + len(batch)
                spent, tenth = spent + took, tenth + took
                step = max(1, number * len(METRICS) // 10)
                if before // step != stored // step:
                    rates[stored] = round(step / tenth)
                    tenth = 0.0
        size = (run / "judge.sqlite").stat().st_size
        report = {
            "judgments": stored,
            "judgments_a_second": round(stored / spent),
            "in_each_tenth": rates,
            "dialogues_a_second": round(number / dialogue_seconds),
            "bytes_a_dialogue": round(size / number),
            "megabytes": round(size / 1e6),
            **timed_reading(run),
            "sqlite": sqlite3.sqlite_version,
            "machine": platform.machine(),
        }
    for key, value in report.items():
        click.echo(f"{key}: {value}")
    if as_json:
        click.echo(json.dumps(report))


if __name__ == "__main__":
    main()
