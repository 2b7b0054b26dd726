"""What was written is kept as it is, batch by batch."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.errors import StoreError
from judge.roleplay import Plays
from judge.roleplay.plays import FORMAT, Line, Spent
from judge.types import Failure, Reply

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
outcomes = texts | st.builds(Failure, texts.filter(lambda code: code != "ok"), texts)
counts = st.integers(0, 10**6)
lines = st.builds(
    Line, texts, texts, st.builds(Reply, st.just(0), outcomes, texts, counts, counts, st.booleans())
)
places = st.tuples(texts, texts)


@given(found=st.dictionaries(places, lines, max_size=5))
def test_what_is_added_is_there(
    found: dict[tuple[str, str], Line], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Every line whole, in its part alone, after the file was closed; tokens are their sums."""
    folder = tmp_path_factory.mktemp("plays")
    with Plays(folder) as plays:
        plays.add("question2", found, 1.5)
    with Plays(folder, create=False) as plays:
        assert plays.lines("question2") == found
        assert plays.lines("answer1") == {}
        replies = [line.reply for line in found.values()]
        assert plays.spent("question2") == Spent(
            1.5, sum(r.prompt_tokens for r in replies), sum(r.tokens for r in replies)
        )
        assert plays.spent("answer1") == Spent(0.0, 0, 0)


def test_what_is_there_stays(tmp_path: Path) -> None:
    """A second line of a place is not kept; the time that it took is."""
    first, second = Line("k", "?", Reply(0, "一")), Line("k", "?", Reply(0, "二"))
    with Plays(tmp_path) as plays:
        plays.add("answer1", {("A", "1"): first}, 1.0)
        plays.add("answer1", {("A", "1"): second, ("A", "2"): second}, 0.5)
        assert plays.lines("answer1") == {("A", "1"): first, ("A", "2"): second}
        assert plays.spent("answer1").seconds == 1.5


def test_who_wrote_it(tmp_path: Path) -> None:
    """Facts that differ between batches stand side by side, in the order they came."""
    with Plays(tmp_path) as plays:
        plays.add("answer1", {}, 0, {"device": "cpu", "dtype": "float32"})
        plays.add("answer1", {}, 0, {"device": "cuda", "dtype": "float32"})
        plays.add("answer2", {}, 0, {"device": "cpu", "folded": "yes"})
        assert plays.writer("answer2") == {"device": "cpu", "folded": "yes"}
        assert plays.writer("answer1", "answer2") == {
            "device": "cpu | cuda",
            "dtype": "float32",
            "folded": "yes",
        }
        assert plays.writer("question2") == {}


def test_a_batch_that_cannot_be_kept_leaves_nothing(tmp_path: Path) -> None:
    """A text that no file can hold: neither its line nor those beside it, nor their time."""
    good, bad = Line("k", "?", Reply(0, "一")), Line("k", "?", Reply(0, "\ud800"))
    with Plays(tmp_path) as plays:
        with pytest.raises(StoreError, match="surrogates"):
            plays.add("answer1", {("A", "1"): good, ("A", "2"): bad}, 1.0)
        assert plays.lines("answer1") == {}
        assert plays.spent("answer1").seconds == 0


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    with Plays(tmp_path) as plays, plays.transaction():
        plays._db.execute(f"PRAGMA user_version = {FORMAT + 1}")
    with pytest.raises(StoreError, match=f"format {FORMAT + 1} is newer"):
        Plays(tmp_path)
