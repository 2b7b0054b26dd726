"""What a report says fits the data at hand: no sentence of systems where there is one, and so on.

The scores are made up.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
import pytest

from judge.analysis.agreement.from_table import scores_from_table
from judge.analysis.agreement.judge_agreement import agree
from judge.ratings import read_judged_table
from judge.report.agreement_page import write_agreement

HEAD = ("item", "system", "dimension", "rater", "rater_type", "score")


def written(folder: Path, *, systems: int, raters: int, labels: str = "12345") -> str:
    """The page and the Markdown of a judge in a table of this shape, as one text."""
    rng = np.random.default_rng(5)
    with (folder / "t.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(HEAD)
        for item in range(12):
            for system in range(systems):
                worth = int(rng.integers(len(labels)))
                for name in ("j", *(f"p{n}" for n in range(raters))):
                    seen = labels[(worth + int(rng.integers(4) == 0)) % len(labels)]
                    kind = "llm" if name == "j" else "human"
                    rows.writerow((item, f"s{system}", "wit", name, kind, seen))
    table = read_judged_table([folder / "t.csv"], categories=True)
    found = agree(scores_from_table(table, "j"), resamples=20)
    files = write_agreement(found, folder / "r")
    page = re.sub(r"(?s)<(style|script).*?</\1>|<[^>]*>", "", files.html.read_text("utf-8"))
    return page + (folder / "r" / "agreement.md").read_text("utf-8")


def test_one_system(tmp_path: Path) -> None:
    """Its items are counted; nothing is said of an order, nor twice what is within it."""
    said = written(tmp_path, systems=1, raters=2)
    assert "24 ratings by 2 raters of 12 items" in said
    assert "There is one system" in said
    for false in ("dialogue", "character", "scenario", "Within system", "Bonett", "outputs"):
        assert false not in said, false
    assert not list((tmp_path / "r" / "tables").glob("order*"))
    assert not list((tmp_path / "r" / "figures").glob("systems*"))


def test_several_systems(tmp_path: Path) -> None:
    """Their outputs are counted, and standard errors are clustered by item."""
    said = written(tmp_path, systems=3, raters=2)
    assert "72 ratings by 2 raters of 36 outputs (3 systems, 12 items)" in said
    assert "clustered by item" in said
    for false in ("dialogue", "character", "scenario", "There is one system"):
        assert false not in said, false


@pytest.mark.parametrize(("raters", "ceiling"), [(1, False), (2, True)])
def test_one_rater_gives_no_ceiling(tmp_path: Path, *, raters: int, ceiling: bool) -> None:
    """Where no two have rated the same, no column is there for what that would say."""
    said = written(tmp_path, systems=3, raters=raters)
    page = (tmp_path / "r" / "agreement.html").read_text("utf-8")
    head = page.partition('<table class="comparison')[2].partition("</thead>")[0]
    assert ("Ceiling" in head) == ceiling
    assert "no cell has two raters" in said or ceiling


def test_categories(tmp_path: Path) -> None:
    """Labels have no order: no correlation, no error in points, no figure of one."""
    said = written(tmp_path, systems=1, raters=3, labels="XYZ")
    assert "The judge’s label for wit is that of people in" in said
    for false in ("ρ =", "MAE", "Bonett", "most frequent label, 0", "crossed jackknife"):
        assert false not in said
    assert not list((tmp_path / "r" / "figures").glob("*"))
