"""Reading published system means."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from judge.analysis.published import read_published
from judge.errors import DataError

ROOT = Path(__file__).parents[3]
DATA = Path(os.environ.get("JUDGE_DATA", ROOT.parent / "shared" / "data"))


def written(folder: Path, text: str) -> Path:
    """The text in a file."""
    path = folder / "means.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_reads_means_and_skips_comments(tmp_path: Path) -> None:
    """Comments, a byte order mark, blank lines and further columns do no harm."""
    text = (
        "\ufeff# read off a figure\nsystem,metric,mean,visible\na,fluency,4.06,0\n\nb,fluency,3,1\n"
    )
    published = read_published(written(tmp_path, text))
    assert published.means == {"a": {"fluency": 4.06}, "b": {"fluency": 3.0}}
    assert published.source == "means.csv"


def test_the_mean_over_metrics_needs_them_all(tmp_path: Path) -> None:
    """A dimension with an unpublished metric has no published mean."""
    published = read_published(written(tmp_path, "system,metric,mean\na,f,4\na,g,3\nb,f,2\n"))
    assert published.mean("a", ("f", "g")) == 3.5
    assert published.mean("b", ("f", "g")) is None
    assert published.mean("c", ("f",)) is None


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("system,metric\na,f\n", None, "no column mean"),
        ("", None, "no column system, metric, mean"),
        ("system,metric,mean\n", None, "no rows"),
        ("# c\nsystem,metric,mean\na,f,4\n\na,f,3\n", 5, "second mean for a, f"),
        ("system,metric,mean\na,f,high\n", 2, "'high' is not a number"),
        ("system,metric,mean\na,f,nan\n", 2, "'nan' is not a number"),
        ("system,metric,mean\na,f\n", 2, "'' is not a number"),
        ("system,metric,mean\n,f,3\n", 2, "names no system"),
    ],
)
def test_bad_files_are_refused_by_line(
    tmp_path: Path, text: str, line: int | None, message: str
) -> None:
    """Each fault has a message that names the file, the line where there is one, and a hint."""
    path = written(tmp_path, text)
    with pytest.raises(DataError, match=message) as caught:
        read_published(path)
    assert (caught.value.path, caught.value.line) == (path, line)
    assert caught.value.hint


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """A path that is not there is a user's mistake, not a traceback."""
    with pytest.raises(DataError, match="cannot be read"):
        read_published(tmp_path / "none.csv")


def test_the_published_figure_has_six_systems_and_nine_metrics() -> None:
    """The real file of published means reads as what its own header says."""
    path = DATA / "published" / "chatanime_figure1.csv"
    if not path.exists():
        pytest.skip(f"no published means at {path}; set JUDGE_DATA")
    published = read_published(path)
    assert len(published.means) == 6
    assert {len(row) for row in published.means.values()} == {9}
    assert all(1 <= mean <= 5 for row in published.means.values() for mean in row.values())
