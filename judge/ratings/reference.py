"""The reference judgments that ship with the program: scores by a strong LLM, not by people.

They are of 440 public dialogues; `judge/embedded/REFERENCE.md` says how they were made. A dialogue
is known by its name and by its text, so that another dialogue of the same name is not taken for it.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from judge.ratings.read import read_ratings
from judge.ratings.record import DialogueId, Ratings, Scale
from judge.types import Dialogue, Metric

__all__ = [
    "FITTED_NOTE",
    "REFERENCE",
    "REFERENCE_NOTE",
    "REFERENCE_RUBRIC",
    "REFERENCE_RUBRIC_HASH",
    "fitted_to_reference",
    "is_reference",
    "reference_dialogues",
    "reference_ratings",
    "reference_scores",
]

REFERENCE = "reference"
"""Users name the reference judgments, and their dialogues, by this word instead of a file."""

REFERENCE_RUBRIC = "esrp 1.1.0 zh"
REFERENCE_RUBRIC_HASH = "57f117f267b6f606c289b7dcb39c9f0a938662c387858bad3649010df088536f"

REFERENCE_NOTE = (
    "The ratings are the reference judgments: a strong LLM gave them, not people. What is said of "
    "people here is said of that LLM."
)
"""The first note of everything that is computed from them."""

FITTED_NOTE = (
    "This judge was fitted to the reference judgments, so its agreement with them is not given: it "
    "would look good whatever the judge is worth. Its model card has the figures on systems and "
    "characters that were left out."
)
"""Said instead of an agreement that the judge has seen the answers of."""

_FILE = Path(__file__).parents[1] / "embedded" / "reference.csv"


def is_reference(source: object) -> bool:
    """Whether a user means the reference judgments, or their dialogues, and no file."""
    return isinstance(source, str | Path) and str(source) == REFERENCE


def fitted_to_reference(judge: Mapping[str, str]) -> bool:
    """Whether a judge, as a manifest describes it, has learnt from the reference judgments.

    That is every judge of the engine `lexical`: scripts/train_lexical_judge.py fits it to them.
    """
    return judge.get("fingerprint", "").startswith("lexical/")


@cache
def _texts() -> dict[DialogueId, str]:
    """Dialogue -> the beginning of the hash of its text."""
    with _FILE.open(encoding="utf-8", newline="") as file:
        return {
            DialogueId(row["system"], row["character"], row["scenario"]): row["text"]
            for row in csv.DictReader(file)
        }


def reference_dialogues(dialogues: Iterable[Dialogue]) -> tuple[Dialogue, ...]:
    """Those of `dialogues` that have reference judgments."""
    texts = _texts()
    return tuple(
        d
        for d in dialogues
        if (text := texts.get(DialogueId(d.system, d.character, d.scenario))) and text == _hash(d)
    )


def reference_scores(metrics: Iterable[Metric] | None) -> Ratings:
    """All reference judgments of `metrics`, None for every one; the raters are its two readings."""
    found = read_ratings(_FILE, metrics=metrics, scale=Scale(1, 5, 0))
    digest = next(iter(found.sources.values()))
    return replace(found, unread=(), sources={"reference judgments": digest})


def reference_ratings(dialogues: Iterable[Dialogue], metrics: Sequence[Metric]) -> Ratings:
    """The reference judgments of those of `dialogues` and `metrics` that have any; maybe none."""
    everything = reference_scores(None)
    asked = [metric for metric in metrics if metric.name in everything.metrics]
    found = reference_scores(asked) if asked else everything
    held = reference_dialogues(dialogues) if asked else ()
    known = {DialogueId(d.system, d.character, d.scenario) for d in held}
    kept = np.array([name in known for name in found.dialogues])
    rows = kept[found.dialogue]
    new_code = np.cumsum(kept, dtype=np.int32) - 1
    return replace(
        found,
        dialogues=tuple(name for name in found.dialogues if name in known),
        dialogue=new_code[found.dialogue[rows]].astype(np.int32),
        **{
            name: getattr(found, name)[rows] for name in ("metric", "rater", "score", "row", "file")
        },
    )


def _hash(dialogue: Dialogue) -> str:
    text = "\n".join(said for turn in dialogue.turns for said in (turn.question, turn.answer))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
