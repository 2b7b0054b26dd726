"""What changed from one rubric set to another: the text of each metric, blocks, scale, profiles."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from judge.rubric.checks import SAMPLE
from judge.rubric.render import RubricSet

__all__ = ["Changes", "RubricComparison", "TextChange", "compare"]


@dataclass(frozen=True, slots=True)
class Changes:
    """Names of things that were added, removed or changed."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TextChange:
    """One text in two versions.

    Attributes:
        name: of the metric or the template.
        before, after: its length in characters; None where the set does not have it.
        lines: those that differ, each with `-` (before) or `+` (after) in front of it.
    """

    name: str
    before: int | None
    after: int | None
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RubricComparison:
    """What differs between two rubric sets in one language.

    Attributes:
        labels: the scale of the first and of the second.
        prompt: the length in characters of a whole prompt about one sample dialogue, with the
            first metric of each.
        metrics: the text of each metric of either set, changed or not: its own template as the
            judge reads it, its question and the stub of its answer.
        templates: the other templates, as they are written, where they differ.
    """

    language: str
    labels: tuple[tuple[str, ...], tuple[str, ...]]
    prompt: tuple[int, int]
    metrics: tuple[TextChange, ...]
    templates: tuple[TextChange, ...]
    blocks: Changes
    characters: Changes


def compare(first: RubricSet, second: RubricSet) -> RubricComparison:
    """How `second` differs from `first`; both are in one language.

    Raises:
        RubricError: a template cannot be rendered.
    """
    metrics, templates = (
        [_changed(name, old, new) for name in dict.fromkeys((*old, *new))]
        for old, new in (
            (_metric_texts(first), _metric_texts(second)),
            (_other_templates(first), _other_templates(second)),
        )
    )
    profiles = first.characters, second.characters
    both = [name for name in profiles[0] if name in profiles[1]]
    return RubricComparison(
        language=first.rubric.language,
        labels=(first.rubric.labels, second.rubric.labels),
        prompt=(_prompt(first), _prompt(second)),
        metrics=tuple(metrics),
        templates=tuple(change for change in templates if change.lines),
        blocks=_names(first.blocks, second.blocks),
        characters=_names(*profiles, [n for n in both if profiles[0][n] != profiles[1][n]]),
    )


def _metric_texts(one: RubricSet) -> dict[str, str]:
    texts = {}
    for metric in one.rubric.metrics:
        question = one.question(metric)
        text = f"{one.describe(metric) or ''}\n{question.text}{question.prefill}"
        texts[metric.name] = text.strip()
    return texts


def _other_templates(one: RubricSet) -> dict[str, str]:
    own = {f"{metric.name}.j2" for metric in one.rubric.metrics}
    return {name: text for name, (text, _) in one.sources.items() if name not in own}


def _prompt(one: RubricSet) -> int:
    return len("".join(one.segments(one.rubric.metrics[0], SAMPLE).values()))


def _changed(name: str, first: dict[str, str], second: dict[str, str]) -> TextChange:
    before, after = first.get(name), second.get(name)
    lines = difflib.unified_diff(
        (before or "").splitlines(), (after or "").splitlines(), n=0, lineterm=""
    )
    shown = tuple(line for line in list(lines)[2:] if not line.startswith("@@"))
    old, new = (None if text is None else len(text) for text in (before, after))
    return TextChange(name, old, new, shown)


def _names(before: Collection[str], after: Collection[str], changed: Sequence[str] = ()) -> Changes:
    return Changes(
        tuple(name for name in after if name not in before),
        tuple(name for name in before if name not in after),
        tuple(changed),
    )
