"""The record of how a model played: written, read back, told."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from judge.errors import StoreError
from judge.played import FORMAT, NAME, Mark, Played, Took, read, write

PLAYED = Played(
    system="me",
    facts={"model": "me", "seed": "0"},
    scenes=5,
    dialogues=3,
    replies=7,
    marks={
        "failed": Mark(0),
        "cut": Mark(2, "小明/2, round 1"),
        "as_user": Mark(1, "小明/1, round 2"),
    },
    broken=2,
    reasons={"the chat is too long": 3},
    took={"answer1": Took(2.0, 60, 20), "question2": Took(1.0, 0, 0), "answer2": Took(0.5, 9, 8)},
    imitation={"format": 1},
)


def test_a_way_through_a_file(tmp_path: Path) -> None:
    """What is written is read; where nobody played there is nothing."""
    assert read(tmp_path) is None
    write(tmp_path, PLAYED)
    assert read(tmp_path) == PLAYED
    write(tmp_path, replace(PLAYED, imitation=None))
    assert read(tmp_path) == replace(PLAYED, imitation=None)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": 1}', json.dumps({**PLAYED.to_dict(), "marks": {"cut": 3}})]
)
def test_a_damaged_file(tmp_path: Path, text: str) -> None:
    """It is named, and how to get it anew."""
    (tmp_path / NAME).write_text(text, encoding="utf-8")
    with pytest.raises(StoreError) as caught:
        read(tmp_path)
    assert NAME in str(caught.value)
    assert caught.value.hint


def test_a_newer_format(tmp_path: Path) -> None:
    newer = {**PLAYED.to_dict(), "format": FORMAT + 1, "more": 1}
    (tmp_path / NAME).write_text(json.dumps(newer), encoding="utf-8")
    with pytest.raises(StoreError, match=f"format {FORMAT + 1}") as caught:
        read(tmp_path)
    assert caught.value.hint == "upgrade esrp-judge"


def test_what_is_told() -> None:
    """Counts as they are; a rate is of one part, and only where tokens were counted."""
    assert PLAYED.lines() == [
        "me: 3 of 5 scenes played",
        "2 left out: without a second question, or not gone on with",
        "cut: 2 of 7 replies, such as 小明/2, round 1",
        "as user: 1 of 7 replies, such as 小明/1, round 2",
        "3 times: the chat is too long",
        "first answers: 2.0 s of writing, 20 tokens, 10.0 tokens/s",
        "second questions: 1.0 s of writing",
        "second answers: 0.5 s of writing, 8 tokens, 16.0 tokens/s",
    ]


def test_sums() -> None:
    """All seconds; tokens of answers only, and none where nobody counted."""
    assert (PLAYED.seconds, PLAYED.tokens) == (3.5, 28)
    assert replace(PLAYED, took={"answer1": Took(1.0, 0, 0)}).tokens is None


@pytest.mark.parametrize(
    ("broken", "name", "incomplete"),
    [(0, "cut", False), (0, "refusal", False), (1, "cut", True), (0, "empty", True),
     (0, "failed", True)],
)  # fmt: skip
def test_what_is_incomplete(broken: int, name: str, incomplete: bool) -> None:
    """A scene left out, an empty or failed reply; the other marks are as the model speaks."""
    found = replace(
        PLAYED, broken=broken, marks={name: Mark(1, "x"), "failed": Mark(name == "failed")}
    )
    assert found.incomplete is incomplete
