"""Agreements to write up: one computed from ratings, one with chosen gaps; and a way to TeX."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from judge.analysis.agreement.agreement_records import Agreement
from judge.analysis.agreement.data import PairedScores
from judge.analysis.agreement.judge_agreement import agree

METRICS = (
    *("fluency", "coherency", "consistency"),
    *("character_knowledge", "speech_style", "behavioral_habit"),
    *("emotional_value", "experience_sharing", "demand_matching"),
)
GROUPS = {
    "basic_dialogue": METRICS[:3],
    "role_playing": METRICS[3:6],
    "emotional_support": METRICS[6:],
}


@pytest.fixture(scope="session")
def computed() -> Agreement:
    """Five systems, eight characters, five scenarios, nine metrics, four raters of every cell.

    One rating in ten is missing, so that nothing is a round number.
    """
    rng = np.random.default_rng(5)
    systems, characters, scenarios = np.meshgrid(
        [f"model_{k}" for k in range(4)] + ["人类"],
        [f"角色{k}" for k in range(8)],
        [str(k) for k in range(1, 6)],
        indexing="ij",
    )
    n, metrics = systems.size, len(METRICS)
    quality = rng.normal(size=(5, 1)).repeat(n // 5, axis=0)
    worth = 3.2 + 0.5 * quality + 0.7 * rng.normal(size=(n, metrics))
    score = np.clip(worth + 0.5 * rng.normal(size=(n, metrics)), 1, 5)
    cell, metric, rater = (index.ravel() for index in np.indices((n, metrics, 4), dtype=np.int64))
    rating = np.clip(np.rint(worth[cell, metric] + 0.6 * rng.normal(size=cell.size)), 1, 5)
    kept = rng.random(cell.size) > 0.1
    names = {**{name: name.replace("_", " ") for name in METRICS}, **dict.fromkeys(GROUPS, "组")}
    observed = PairedScores(
        judge="tiny_judge 8B (评审)",
        metrics=METRICS,
        titles={**names, "overall": "Overall"},
        groups=GROUPS,
        complete=frozenset(GROUPS),
        has_overall=True,
        system=systems.ravel(),
        character=characters.ravel(),
        scenario=scenarios.ravel(),
        item="character and scenario",
        score=score,
        probs=None,
        dialogue=cell[kept],
        metric=metric[kept],
        rater=rater[kept],
        rating=rating[kept],
        raters=("r1", "r2", "r3", "r4"),
        scale=dict.fromkeys(METRICS, (1.0, 5.0)),
        scale_declared=True,
        length=rng.integers(10, 90, n).astype(np.float64),
        compare_raters=True,
        provenance={"model": "tiny", "rubric hash": "0123456789ab" * 5, "score": "expected label"},
    )
    return agree(observed, resamples=50, seed=3, annotators="skilled")


@pytest.fixture(scope="session")
def pdflatex() -> Callable[[Path], str]:
    """Compiles a document where it lies, references too, and gives the last log."""
    for program in ("pdflatex", "bibtex"):
        if shutil.which(program) is None:
            pytest.skip(f"no {program} here; on Debian it is in texlive-latex-extra")

    def once(file: Path, *options: str) -> str:
        tex = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", *options, file.name]
        done = subprocess.run(tex, cwd=file.parent, capture_output=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout.decode("utf-8", "replace")[-2000:]
        return file.with_suffix(".log").read_text(encoding="utf-8", errors="replace")

    def run(file: Path) -> str:
        if "\\bibliography{" not in file.read_text(encoding="utf-8"):
            return once(file)
        once(file, "-draftmode")
        cite = ["bibtex", file.stem]
        done = subprocess.run(cite, cwd=file.parent, capture_output=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout.decode("utf-8", "replace")
        assert b"Warning" not in done.stdout, done.stdout.decode("utf-8", "replace")
        once(file, "-draftmode")
        return once(file)

    return run


@pytest.fixture(scope="session")
def too_wide() -> Callable[[str], list[float]]:
    """By how many points lines of a log stick out, where that can be seen."""

    def found(log: str) -> list[float]:
        points = re.findall(r"Overfull \\hbox \(([\d.]+)pt too wide\)", log)
        return [float(point) for point in points if float(point) > 1]

    return found
