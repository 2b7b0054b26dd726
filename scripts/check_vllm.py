#!/usr/bin/env python3
"""How far the scores.csv of some runs are from that of the first.

    python scripts/check_vllm.py runs/hf/scores.csv runs/vllm/scores.csv

Ends with 1 where a number differs in the third decimal, or where one run has a number and the
other none.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

TOLERANCE = 5e-4
NUMBERS = ("score", "label_mass", "p1", "p2", "p3", "p4", "p5")

Row = dict[str, str]


def read(path: Path) -> dict[tuple[str, ...], Row]:
    """The rows of a scores.csv by what was judged."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        keys = ("system", "character", "scenario", "metric")
        return {tuple(row[key] for key in keys): row for row in csv.DictReader(file)}


def main(reference: Path, *others: Path) -> bool:
    """Whether every run gives what the first gives."""
    expected = read(reference)
    same = bool(expected) and bool(others)
    for path in others:
        found = read(path)
        if found.keys() != expected.keys():
            print(f"{path}: other judgments than {reference}")
            same = False
            continue
        pairs = [(row[n], found[key][n]) for key, row in expected.items() for n in NUMBERS]
        alone = sum((one == "") != (other == "") for one, other in pairs)
        off = [abs(float(one) - float(other)) for one, other in pairs if one and other]
        largest = max(off, default=float("nan"))
        print(
            f"{path}: {len(found)} judgments, {alone} numbers in one of the two only, "
            f"largest difference {largest:.1e}"
        )
        same = same and alone == 0 and largest <= TOLERANCE
    return same


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    sys.exit(not main(*map(Path, sys.argv[1:])))
