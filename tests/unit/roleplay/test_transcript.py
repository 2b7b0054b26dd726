"""The transcript stores lines unchanged, batch by batch."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.errors import StoreError
from judge.roleplay import Transcript
from judge.roleplay.transcript import FORMAT, TranscriptLine, Usage
from judge.types import Failure, Reply
from tests.memory import MEMORY

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
outcomes = texts | st.builds(Failure, texts.filter(lambda code: code != "ok"), texts)
counts = st.integers(0, 10**6)
lines = st.builds(
    TranscriptLine,
    texts,
    texts,
    st.builds(Reply, st.just(0), outcomes, texts, counts, counts, st.booleans()),
)
places = st.tuples(texts, texts)


@given(found=st.dictionaries(places, lines, max_size=5))
def test_what_is_added_is_there(found: dict[tuple[str, str], TranscriptLine]) -> None:
    """Every line is read back equal, from its part alone, after reopening; tokens are summed."""
    with TemporaryDirectory(dir=MEMORY) as name:
        folder = Path(name)
        with Transcript(folder) as transcript:
            transcript.add("question2", found, 1.5)
        with Transcript(folder, create=False) as transcript:
            assert transcript.lines("question2") == found
            assert transcript.lines("answer1") == {}
            replies = [line.reply for line in found.values()]
            assert transcript.usage("question2") == Usage(
                1.5, sum(r.prompt_tokens for r in replies), sum(r.tokens for r in replies)
            )
            assert transcript.usage("answer1") == Usage(0.0, 0, 0)


def test_what_is_there_stays(tmp_path: Path) -> None:
    """A second line of the same scene is not stored, but its time counts."""
    first, second = (
        TranscriptLine("k", "?", Reply(0, "一")),
        TranscriptLine("k", "?", Reply(0, "二")),
    )
    with Transcript(tmp_path) as transcript:
        transcript.add("answer1", {("A", "1"): first}, 1.0)
        transcript.add("answer1", {("A", "1"): second, ("A", "2"): second}, 0.5)
        assert transcript.lines("answer1") == {("A", "1"): first, ("A", "2"): second}
        assert transcript.usage("answer1").seconds == 1.5


def test_who_wrote_it(tmp_path: Path) -> None:
    """Facts of the engine that differ between batches are joined in their order."""
    with Transcript(tmp_path) as transcript:
        transcript.add("answer1", {}, 0, {"device": "cpu", "dtype": "float32"})
        transcript.add("answer1", {}, 0, {"device": "cuda", "dtype": "float32"})
        transcript.add("answer2", {}, 0, {"device": "cpu", "folded": "yes"})
        assert transcript.engine("answer2") == {"device": "cpu", "folded": "yes"}
        assert transcript.engine("answer1", "answer2") == {
            "device": "cpu | cuda",
            "dtype": "float32",
            "folded": "yes",
        }
        assert transcript.engine("question2") == {}


def test_a_batch_that_cannot_be_kept_leaves_nothing(tmp_path: Path) -> None:
    """If one text cannot be stored, neither the other lines of the batch nor its time are."""
    good, bad = (
        TranscriptLine("k", "?", Reply(0, "一")),
        TranscriptLine("k", "?", Reply(0, "\ud800")),
    )
    with Transcript(tmp_path) as transcript:
        with pytest.raises(StoreError, match="surrogates"):
            transcript.add("answer1", {("A", "1"): good, ("A", "2"): bad}, 1.0)
        assert transcript.lines("answer1") == {}
        assert transcript.usage("answer1").seconds == 0


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    with Transcript(tmp_path) as transcript, transcript.transaction():
        transcript._db.execute(f"PRAGMA user_version = {FORMAT + 1}")
    with pytest.raises(StoreError, match=f"format {FORMAT + 1} is newer"):
        Transcript(tmp_path)
