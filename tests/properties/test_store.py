"""Laws of the store, for any text and any number."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import example, given, settings
from hypothesis import strategies as st

from judge.store import Store
from judge.types import Dialogue, Failure, Judgment, ScoreDistribution, Turn
from tests.memory import MEMORY

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
logprobs = st.floats(max_value=0.0, allow_nan=False) | st.just(-math.inf)
distributions = st.builds(
    ScoreDistribution,
    st.lists(logprobs, min_size=2, max_size=7)
    .filter(lambda values: max(values) > -math.inf)
    .map(lambda values: tuple(value - math.log(len(values)) for value in values)),
    st.booleans(),
    st.sampled_from(["exact", "truncated", "sampled"]),
)
failures = st.builds(Failure, texts.filter(lambda code: code != "ok"), texts)
judgments = st.lists(
    st.builds(
        Judgment, texts, texts, texts, texts, texts, distributions | failures, st.none() | texts
    ),
    unique_by=lambda j: (j.system, j.character, j.scenario, j.metric),
    max_size=8,
)
dialogues = st.lists(
    st.builds(
        Dialogue,
        texts,
        texts,
        texts,
        st.lists(st.builds(Turn, texts, texts), max_size=3).map(tuple),
    ),
    unique_by=lambda d: (d.system, d.character, d.scenario),
    max_size=8,
)


@settings(max_examples=60)
@given(judgments, dialogues)
@example(
    [
        Judgment(
            "k", "s", "c", "1", "m", ScoreDistribution((-5e-324, -1.7976931348623157e308), True)
        )
    ],
    [],
)
def test_everything_reads_back_exactly(made: list[Judgment], said: list[Dialogue]) -> None:
    """Every float to the last bit and every text to the last character, in a new process or not."""
    with TemporaryDirectory(dir=MEMORY) as folder:
        with Store(Path(folder)) as store:
            store.add_dialogues(said)
            store.add(made)
        with Store(Path(folder), create=False) as store:
            found = store.judgments()
            assert {repr(j) for j in found} == {repr(j) for j in made}
            assert set(store.dialogues()) == set(said)
            cells = [(j.system, j.character, j.scenario, j.metric) for j in found]
            assert cells == sorted(cells, key=lambda cell: [part.encode() for part in cell])
            assert store.keys() == {
                (c, *rest): j.key for (c, *rest), j in zip(cells, found, strict=True)
            }


@settings(max_examples=40)
@given(judgments, st.lists(st.integers(0, 8), max_size=4))
def test_order_and_batches_do_not_matter(made: list[Judgment], cuts: list[int]) -> None:
    """One batch, several, backwards, twice over: the store holds the same."""
    with TemporaryDirectory(dir=MEMORY) as folder:
        with Store(Path(folder) / "one") as one:
            one.add(made)
            expected = one.judgments()
        with Store(Path(folder) / "other") as other:
            edges = [0, *sorted(cuts), len(made)]
            backwards = made[::-1]
            for start, stop in pairwise(edges):
                other.add(backwards[start:stop])
            other.add(made)
            assert other.judgments() == expected
