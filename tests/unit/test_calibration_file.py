"""The calibration file on its way to disk and back, and who may use it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from calibration.calibrators import Isotonic, Linear
from judge.calibration_file import Calibration, Fit, MadeWith, read, refuse_mismatch, write
from judge.errors import RunMismatchError, StoreError
from judge.types import Rubric

GOLDEN = Path(__file__).parents[1] / "golden" / "calibration-v1.json"
SHAPE: dict[str, Any] = {"metrics": 3, "labels": 5, "low": 1, "high": 5}
MADE = MadeWith("mock", "mock/0", "esrp", "1.1.0", "zh", "a" * 64, "b" * 64)


@pytest.fixture
def calibration() -> Calibration:
    """Two maps and a metric without one."""
    return Calibration(
        kind="ratings",
        made_with=MADE,
        source="ratings.csv",
        sha256="c" * 64,
        labels=("1", "2", "3", "4", "5"),
        metrics=("fluency", "coherency", "consistency"),
        scale=(1, 5),
        confidence=0.9,
        fits={
            "fluency": Fit(
                Linear(target=0, slope=1 / 3, intercept=0.1 + 0.2, **SHAPE).to_dict(),
                shifts={"系统": -0.1, "b": 1 / 7},
                radius=1.25,
                details={"ladder": [{"rung": "mode", "loss": None}]},
            ),
            "coherency": Fit(Isotonic(target=1, x=(1.5, 2.25), y=(2.0, 4.0), **SHAPE).to_dict()),
            "consistency": Fit(None, "no rating of it belongs to these dialogues"),
        },
        counts={"ratings": 7},
        notes=("a note",),
        created="2026-01-02T03:04:05+00:00",
        versions={"esrp-judge": "0.1.0"},
    )


def test_a_calibration_reads_back_to_the_last_bit(calibration: Calibration, tmp_path: Path) -> None:
    """Maps, shifts and everything else are what was written; folders are made as needed."""
    path = tmp_path / "new" / "calibration.json"
    write(path, calibration)
    assert read(path) == calibration
    assert [p.name for p in path.parent.iterdir()] == ["calibration.json"]
    assert read(path).systems == ("b", "系统")


def test_format_1_reads() -> None:
    """A calibration file as version 1 wrote it, of a mock judge and SIMULATED ratings."""
    found = read(GOLDEN)
    assert (found.kind, found.made_with.fingerprint, found.scale) == ("ratings", "mock/0", (1, 5))
    assert found.systems == ("s0", "s1", "s2")
    calibrator = found.fits["fluency"].load()
    assert isinstance(calibrator, Linear)
    # The raw score 3 of an even distribution, by the line that the file shows.
    assert calibrator.predict([[[0.2] * 5] * len(found.metrics)]).tolist() == [
        pytest.approx(3 * calibrator.slope + calibrator.intercept)
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda raw: raw.update(format=2), "format 2 is newer than this version reads (1)"),
        (lambda raw: raw.pop("format"), "missing required field `format`"),
        (lambda raw: raw.pop("fits"), "missing required field `fits`"),
        (lambda raw: raw.update(kind="guessed"), "Invalid enum value 'guessed' - at `$.kind`"),
        (lambda raw: raw.update(confidence=1), "lies between 0 and 1"),
        (lambda raw: raw["made_with"].pop("prompts"), "prompts"),
        (lambda raw: raw["fits"]["fluency"].update(radius=float("nan")), "malformed"),
        (lambda raw: raw["fits"]["fluency"]["calibrator"].update(rung="magic"), "magic"),
        (lambda raw: raw["fits"]["fluency"]["calibrator"].update(version=2), "version 2"),
        (lambda raw: raw["fits"]["fluency"]["calibrator"].update(slope="1"), "slope"),
        (lambda raw: raw["fits"]["fluency"]["calibrator"].update(target=1), "map for fluency"),
        (lambda raw: raw["metrics"].append("more"), "map for fluency"),
        (lambda raw: raw.update(scale=[0, 4]), "map for fluency"),
    ],
)
def test_what_is_no_calibration_is_refused(
    calibration: Calibration,
    tmp_path: Path,
    change: Callable[[dict[str, Any]], object],
    message: str,
) -> None:
    """A newer format, a missing part or an impossible map: named, with the file and a hint."""
    path = tmp_path / "c.json"
    write(path, calibration)
    raw = json.loads(path.read_text(encoding="utf-8"))
    change(raw)
    path.write_text(json.dumps(raw), encoding="utf-8")
    with pytest.raises(StoreError, match=re.escape(message)) as caught:
        read(path)
    assert caught.value.path == path
    assert caught.value.hint


@pytest.mark.parametrize("content", [None, "", "[]", "{", "[1, 2]"])
def test_another_file_is_refused(tmp_path: Path, content: str | None) -> None:
    """No file, no JSON, or JSON of something else."""
    path = tmp_path / "c.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(StoreError, match="not a readable calibration") as caught:
        read(path)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (
            replace(MADE, fingerprint="mock/1"),
            "the judge mock (fingerprint mock/0), not the judge mock (fingerprint mock/1)",
        ),
        (
            replace(MADE, version="1.2.0", rubric_hash="d" * 64, prompts="e" * 64),
            f"esrp 1.1.0 zh (hash {'a' * 16}), not the rubric esrp 1.2.0 zh (hash {'d' * 16})",
        ),
        (replace(MADE, prompts="e" * 64), "scores of prompts of hash bbbbbbbbbbbbbbbb"),
    ],
)
def test_another_run_is_refused_by_name(
    calibration: Calibration, run: MadeWith, message: str
) -> None:
    """The message says what differs, and nothing of what does not."""
    with pytest.raises(RunMismatchError, match=re.escape(message)) as caught:
        refuse_mismatch(Path("c.json"), calibration, run)
    assert caught.value.message.count(", not ") == 1
    assert caught.value.hint


def test_the_run_it_was_made_for_is_taken(calibration: Calibration) -> None:
    """The facts that a manifest has of a run, put together, are those of the calibration."""
    rubric = Rubric("esrp", "1.1.0", "zh", "a" * 64, calibration.labels, (), ())
    run = MadeWith.of({"name": "mock", "fingerprint": "mock/0", "seed": "0"}, rubric, "b" * 64)
    assert run == MADE
    refuse_mismatch(Path("c.json"), calibration, run)


def test_an_older_file_survives_a_write_that_fails(
    calibration: Calibration, tmp_path: Path
) -> None:
    """What cannot be JSON, or cannot be put in place, leaves what was there, and nothing beside."""
    path = tmp_path / "c.json"
    write(path, calibration)
    before = path.read_bytes()
    fits = {"fluency": Fit(None, "", details={"loss": float("nan")})}
    with pytest.raises(ValueError, match="JSON"):
        write(path, replace(calibration, fits=fits))
    assert path.read_bytes() == before
    path.unlink()
    tmp_path.rmdir()
    tmp_path.write_text("")
    with pytest.raises(StoreError, match="cannot be written") as caught:
        write(path, calibration)
    assert caught.value.path == path
    tmp_path.unlink()
    tmp_path.mkdir()
    path.mkdir()
    with pytest.raises(StoreError, match="cannot be written"):
        write(path, calibration)
    assert [p.name for p in tmp_path.iterdir()] == ["c.json"]
